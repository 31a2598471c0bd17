"""Users, roles, plans, servers, subusers, and SSH keys of EcliPanel.

EcliPanel encrypts names, addresses, and dates of birth with its own key. Such a value is not imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from service.moving.records import Dropped, Record, RoleRecord, ServerRecord, SubuserRecord, Tables, UserRecord
from service.moving.sources import values
from service.moving.sources.eclipanel_parts import Plans, address, encrypted, settings, visible
from service.moving.sources.permission_names import (
    ECLIPANEL_ADMIN,
    ECLIPANEL_SERVER,
    ECLIPANEL_SERVER_ALL,
    translated,
)
from service.moving.sources.rows import (
    BUILT_IN_ROLES,
    NO_SECOND_FACTOR,
    SUSPENDED_SERVER,
    Row,
    UniqueNames,
    UnusableRowError,
    key_of,
    not_taken,
    records,
    rows,
)
from service.moving.sources.ssh_keys import ssh_keys

TABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "plan": (
            *("id", "name", "type", "description", "memory", "disk", "cpu", "serverLimit", "databases", "backups"),
            *("portCount", "isDefault"),
        ),
        "permission": ("id", "value", "roleId"),
        "role": ("id", "name", "description"),
        "user_role": ("id", "userId", "roleId"),
        "order": ("id", "userId", "planId", "status", "createdAt"),
        "user": (
            *("id", "email", "passwordHash", "role", "portalType", "firstName", "lastName", "displayName"),
            *("dateOfBirth", "address", "address2", "billingCompany", "billingCity", "billingState", "billingZip"),
            *("billingCountry", "limits", "educationLimits", "settings", "emailVerified", "twoFactorEnabled"),
            *("twoFactorSecret", "suspended", "pendingDeletionUntil", "deletedAt", "createdAt", "lastLoginAt"),
        ),
        "ssh_key": ("id", "userId", "name", "publicKey", "createdAt"),
        "api_key": ("id", "userId"),
        "passkey": ("id", "userId"),
        "server_config": ("uuid", "userId", "orgId", "name", "suspended", "createdAt"),
        "server_subuser": ("id", "serverUuid", "userId", "permissions", "accepted", "locked", "createdAt"),
    }
)
ROLES: Final = MappingProxyType(
    {"*": "ROOT", "rootAdmin": "ROOT", "admin": "ADMIN", "staff": "STAFF", "user": "USER", "": "USER"}
)
API_KEY: Final = "An API key of EcliPanel has another form, and was stored in clear text. Create a new one."
PASSKEY: Final = f"A passkey is bound to the address of the panel. {NO_SECOND_FACTOR}"
SUSPENDED: Final = "Suspended in EcliPanel"


def read(tables: Tables, dropped: Dropped) -> Iterator[Record]:
    """Yield the records of EcliPanel's tables."""
    plans = Plans(UniqueNames())
    yield from records(rows(tables, dropped, "plan"), plans.record)
    yield from records(rows(tables, dropped, "role"), _role_of(_permissions(tables, dropped)))
    plans.of_users = _latest_plans(tables, dropped)
    yield from records(_present(tables, dropped), _user_of(plans, _roles_of_users(tables, dropped)))
    yield from ssh_keys(rows(tables, dropped, "ssh_key"), "userId", "publicKey", "createdAt")
    not_taken(tables, dropped, "api_key", owner="userId", reason=API_KEY)
    not_taken(tables, dropped, "passkey", owner="userId", reason=PASSKEY)
    yield from records(rows(tables, dropped, "server_config", "uuid"), _server)
    yield from records(rows(tables, dropped, "server_subuser"), _subuser)


def _permissions(tables: Tables, dropped: Dropped) -> dict[str, list[str]]:
    """Return the permissions of the roles, by their keys."""
    found: dict[str, list[str]] = {}
    for row in rows(tables, dropped, "permission"):
        role, name = key_of(row.columns.get("roleId")), row.columns.get("value")
        if role is not None and isinstance(name, str):
            found.setdefault(role, []).append(name)
    return found


def _role_of(permissions: Mapping[str, list[str]]) -> Callable[[Row], Record]:
    unique = UniqueNames(BUILT_IN_ROLES)

    def convert(row: Row) -> Record:
        given = permissions.get(row.key, ())
        return RoleRecord(
            key=row.key,
            name=row.name("name", unique, default=f"Role {row.key}"),
            description=row.text("description"),
            permissions=translated(row, "permissions", given, lambda name: ECLIPANEL_ADMIN.get(name, ())),
        )

    return convert


def _roles_of_users(tables: Tables, dropped: Dropped) -> dict[str, str]:
    """Return the first role of each user that has one."""
    found: dict[str, str] = {}
    for row in rows(tables, dropped, "user_role"):
        user, role = row.other("userId"), row.role("roleId")
        if user is not None and role is not None and found.setdefault(user, role) != role:
            row.drop(f"A user has one role. The user {user} has another one already.")
    return found


def _latest_plans(tables: Tables, dropped: Dropped) -> Mapping[str, str]:
    """Return the plan of each user's latest active order."""
    found: dict[str, tuple[tuple[float, int], str]] = {}
    for row in rows(tables, dropped, "order"):
        user, plan = row.other("userId"), row.other("planId")
        if user is None or plan is None or row.columns.get("status") != "active":
            continue
        created = row.value("createdAt", values.moment) or values.UNKNOWN_TIME
        place = (created.timestamp(), int(row.key) if row.key.isdecimal() else 0)
        if user not in found or found[user][0] < place:
            found[user] = (place, plan)
    return {user: plan for user, (_place, plan) in found.items()}


def _present(tables: Tables, dropped: Dropped) -> Iterator[Row]:
    """Yield the users that were not erased."""
    for row in rows(tables, dropped, "user"):
        if row.has("deletedAt"):
            row.drop("deletedAt: The account was erased.")
        else:
            yield row


def _user_of(plans: Plans, roles: Mapping[str, str]) -> Callable[[Row], Record]:
    def convert(row: Row) -> Record:
        hidden = encrypted(row)
        shown = visible(row, hidden)
        created = row.value("createdAt", values.moment)
        # SECURITY: a value of another form must not lift the suspension
        suspended = row.flag("suspended", unreadable=True)
        if row.has("pendingDeletionUntil"):
            row.report("pendingDeletionUntil", "The user has asked for the deletion of the account.")
        email = row.text("email")
        member, language = settings(row)
        return UserRecord(
            key=row.key,
            email=email,
            email_verified=email is not None and row.flag("emailVerified"),
            first_name=shown.text("firstName"),
            last_name=shown.text("lastName"),
            display_name=shown.text("displayName"),
            language=language,
            tier=plans.tier(row, "portalType"),
            role=_role(row, roles.get(row.key)),
            plan=plans.of_users.get(row.key),
            date_of_birth=shown.value("dateOfBirth", values.date_of_birth),
            billing_address=address(shown),
            settings=member,
            limits=plans.overrides(row),
            external_id=row.key,
            created_at=created,
            last_login_at=row.value("lastLoginAt", values.moment),
            # EcliPanel does not keep the time
            suspended_at=(created or values.UNKNOWN_TIME) if suspended else None,
            suspended_reason=SUSPENDED if suspended else None,
            password_hash=row.password_hash("passwordHash"),
            two_factor_secret=row.two_factor_secret(
                "twoFactorSecret", enabled=row.flag("twoFactorEnabled", unreadable=True)
            ),
        )

    return convert


def _role(row: Row, other: str | None) -> str:
    given = row.columns.get("role") or ""
    role = ROLES.get(given) if isinstance(given, str) else None
    if role is None:
        row.report("role", "There is no built-in role of this name.")
    if role in {None, "USER"}:
        return other or "USER"
    if other is not None:
        row.report("role", f"A user has one role, which is {role} for this one.")
    return role or "USER"


def _server(row: Row) -> Record:
    if row.flag("suspended"):
        row.report("suspended", SUSPENDED_SERVER)
    if row.has("orgId"):
        row.report("orgId", "Organisations are not imported. The server belongs to its user alone.")
    return ServerRecord(
        key=row.key,
        owner=row.reference("userId"),
        name=row.text("name") or f"Server {row.key[:8]}",
        id=row.value("uuid", values.uuid),
        created_at=row.value("createdAt", values.moment),
    )


def _subuser(row: Row) -> Record:
    if not row.flag("accepted"):
        raise UnusableRowError("accepted: The user has not accepted the invitation.")
    if row.flag("locked"):
        row.report("locked", "Other subusers who manage subusers can remove this one.")
    given = row.value("permissions", values.names) or ()
    permissions = translated(row, "permissions", given, _server_permissions)
    if not permissions:
        raise UnusableRowError("permissions: The subuser has no permission that exists here.")
    return SubuserRecord(
        key=row.key,
        server=row.reference("serverUuid"),
        user=row.reference("userId"),
        permissions=permissions,
        created_at=row.value("createdAt", values.moment),
    )


def _server_permissions(name: str) -> tuple[str, ...]:
    return ECLIPANEL_SERVER_ALL if name == "*" else ECLIPANEL_SERVER.get(name, ())

"""Users, roles, servers, subusers, and SSH keys of Calagopus Panel. Ids are UUIDs, and they are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final

from service.moving.records import Dropped, Record, RoleRecord, ServerRecord, SubuserRecord, Tables, UserRecord
from service.moving.sources import values
from service.moving.sources.permission_names import CALAGOPUS_ADMIN, server_permission, translated
from service.moving.sources.rows import (
    BUILT_IN_ROLES,
    NO_SECOND_FACTOR,
    SUSPENDED_SERVER,
    Row,
    UniqueNames,
    UnusableRowError,
    not_taken,
    records,
    rows,
)
from service.moving.sources.ssh_keys import line_of_blob, ssh_keys

TABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "roles": (*("uuid", "name", "description", "require_two_factor", "admin_permissions", "server_permissions"),),
        "users": (
            *("uuid", "role_uuid", "external_id", "username", "email", "name_first", "name_last", "password", "admin"),
            *("frozen", "suspended", "totp_enabled", "totp_secret", "language", "created"),
        ),
        "user_ssh_keys": ("uuid", "user_uuid", "name", "public_key", "created"),
        "user_api_keys": ("uuid", "user_uuid"),
        "user_security_keys": ("uuid", "user_uuid"),
        "servers": ("uuid", "external_id", "owner_uuid", "name", "suspended", "created"),
        "server_subusers": ("server_uuid", "user_uuid", "permissions", "ignored_files", "created"),
    }
)
API_KEY: Final = "An API key of Calagopus has another form and a slow hash, and cannot be used here."
SECURITY_KEY: Final = f"A passkey is bound to the address of the panel. {NO_SECOND_FACTOR}"
SUSPENDED: Final = "Suspended in Calagopus"


def read(tables: Tables, dropped: Dropped) -> Iterator[Record]:
    """Yield the records of Calagopus's tables."""
    yield from records(rows(tables, dropped, "roles", "uuid"), _role_of(UniqueNames(BUILT_IN_ROLES)))
    yield from records(rows(tables, dropped, "users", "uuid"), _user)
    keys = rows(tables, dropped, "user_ssh_keys", "uuid")
    yield from ssh_keys(keys, "user_uuid", "public_key", "created", line_of_blob)
    not_taken(tables, dropped, "user_api_keys", owner="user_uuid", reason=API_KEY, key="uuid")
    not_taken(tables, dropped, "user_security_keys", owner="user_uuid", reason=SECURITY_KEY, key="uuid")
    yield from records(rows(tables, dropped, "servers", "uuid"), _server)
    yield from records(rows(tables, dropped, "server_subusers", "server_uuid", "user_uuid"), _subuser)


def _role_of(unique: UniqueNames) -> Callable[[Row], Record]:
    def convert(row: Row) -> Record:
        admin = row.value("admin_permissions", values.names) or ()
        if row.has("server_permissions"):
            row.report("server_permissions", "A role holds admin permissions only.")
        return RoleRecord(
            key=row.key,
            name=row.name("name", unique, default=f"Role {row.key}"),
            description=row.text("description"),
            permissions=translated(row, "admin_permissions", admin, lambda name: CALAGOPUS_ADMIN.get(name, ())),
            # SECURITY: a value of another form must not lift the requirement
            require_two_factor=row.flag("require_two_factor", unreadable=True),
        )

    return convert


def _user(row: Row) -> Record:
    created = row.value("created", values.moment)
    # SECURITY: a value of another form must not lift the suspension
    suspended = row.flag("suspended", unreadable=True)
    if row.flag("frozen", unreadable=True):
        row.report("frozen", "An account cannot be frozen here. Its user can change it.")
    return UserRecord(
        key=row.key,
        id=row.value("uuid", values.uuid),
        username=row.text("username"),
        email=row.text("email"),
        first_name=row.text("name_first"),
        last_name=row.text("name_last"),
        language=row.value("language", values.language) or "en",
        role=_role_of_user(row),
        external_id=row.text("external_id"),
        created_at=created,
        # Calagopus does not keep the time
        suspended_at=(created or values.UNKNOWN_TIME) if suspended else None,
        suspended_reason=SUSPENDED if suspended else None,
        password_hash=row.password_hash("password"),
        two_factor_secret=row.two_factor_secret("totp_secret", enabled=row.flag("totp_enabled", unreadable=True)),
    )


def _role_of_user(row: Row) -> str:
    role = row.role("role_uuid")
    if not row.flag("admin"):
        return role or "USER"
    if role is not None:
        row.report("role_uuid", "A user has one role, which is ADMIN for a full administrator.")
    return "ADMIN"


def _server(row: Row) -> Record:
    if row.flag("suspended"):
        row.report("suspended", SUSPENDED_SERVER)
    return ServerRecord(
        key=row.key,
        owner=row.reference("owner_uuid"),
        name=row.text("name") or f"Server {row.key[:8]}",
        id=row.value("uuid", values.uuid),
        external_id=row.text("external_id"),
        created_at=row.value("created", values.moment),
    )


def _subuser(row: Row) -> Record:
    permissions = translated(row, "permissions", row.value("permissions", values.names) or (), server_permission)
    if row.has("ignored_files"):
        # SECURITY: without the list, the permissions on files would open the files that were hidden
        permissions = tuple(name for name in permissions if not name.startswith("file."))
        row.report("ignored_files", "Files cannot be hidden here, so the permissions on files are not taken.")
    if not permissions:
        raise UnusableRowError("permissions: The subuser has no permission that exists here.")
    return SubuserRecord(
        key=row.key,
        server=row.reference("server_uuid"),
        user=row.reference("user_uuid"),
        permissions=permissions,
        created_at=row.value("created", values.moment),
    )

"""The kinds of objects that are imported: how a record becomes a row, and what other rows it needs or collides with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from service import limits
from service.moving.checks import Check, Item
from service.moving.objects import (
    check_api_key,
    check_passkey,
    check_plan,
    check_role,
    check_server,
    check_ssh_key,
    check_subuser,
    check_wallet,
)
from service.moving.own_form import KINDS as NAMES
from service.moving.records import (
    ApiKeyRecord,
    PasskeyRecord,
    PlanRecord,
    RoleRecord,
    ServerRecord,
    SshKeyRecord,
    SubuserRecord,
    UserRecord,
    WalletRecord,
)
from service.moving.user import check_user


@dataclass(frozen=True, slots=True)
class Most:
    """How many rows of a kind there may be with the same value of a column. `counted` is an SQL condition of those.

    Without a `number`, it is that of the limits of each user.
    """

    column: str
    number: int | None
    counted: str = "TRUE"


@dataclass(frozen=True, eq=False)
class Kind:
    """A kind of objects: its table, the type of its rows, and the columns that an import sets.

    `references` are the kinds of the records that columns name; those of `optional` columns may be missing. `unique`
    are the conditions under which another row `o` has the same value as a new row `s`, each with a word for the value.
    """

    record: type[Any]
    table: str
    row: str
    columns: tuple[str, ...]
    check: Callable[[Any, Check], Item]
    references: Mapping[str, str] = field(default_factory=dict)
    optional: frozenset[str] = frozenset()
    unique: Mapping[str, str] = field(default_factory=dict)
    most: Most | None = None

    @property
    def name(self) -> str:
        """The name in the own form, in reports, and in events."""
        return NAMES[self.record]


OWN_NAME: Final = "o.user_id = s.user_id AND fold(o.name) = fold(s.name)"
USER_COLUMNS: Final = (
    *("id", "username", "email", "email_verified", "first_name", "last_name", "display_name", "language", "tier"),
    *("role_id", "plan_id", "date_of_birth", "billing_address", "settings", "limit_overrides", "two_factor_enabled"),
    *("external_id", "suspended_at", "suspended_reason", "suspended_until", "suspended_by", "last_login_at"),
    *("created_at", "updated_at"),
)
# In an order in which every record follows those that it names
KINDS: Final = (
    Kind(
        PlanRecord,
        "plans",
        "Plan",
        ("id", "name", "description", "tier", "is_default", "limits", "created_at"),
        check_plan,
        unique={"name": "fold(o.name) = fold(s.name)"},
    ),
    Kind(
        RoleRecord,
        "roles",
        "Role",
        ("id", "name", "description", "permissions", "require_two_factor", "created_at"),
        check_role,
        unique={"name": "fold(o.name) = fold(s.name)"},
    ),
    Kind(
        UserRecord,
        "users",
        "User",
        USER_COLUMNS,
        check_user,
        references={"plan_id": "plan", "role_id": "role"},
        optional=frozenset({"plan_id", "role_id"}),
        unique={
            "username": "fold(o.username) = fold(s.username)",
            "email address": "fold(o.email) = fold(s.email)",
            "external id": "o.external_id = s.external_id",
        },
    ),
    Kind(
        SshKeyRecord,
        "ssh_keys",
        "SshKey",
        ("id", "user_id", "name", "type", "fingerprint", "public_key", "created_at", "last_used_at"),
        check_ssh_key,
        references={"user_id": "user"},
        unique={"name": OWN_NAME, "key": "o.fingerprint = s.fingerprint AND o.user_id = s.user_id"},
        most=Most("user_id", limits.SSH_KEYS_PER_USER),
    ),
    Kind(
        ApiKeyRecord,
        "api_keys",
        "ApiKey",
        (
            *("id", "user_id", "name", "prefix", "permissions", "allowed_ips", "created_at", "last_used_at"),
            "expires_at",
        ),
        check_api_key,
        references={"user_id": "user"},
        unique={"name": OWN_NAME},
        most=Most("user_id", limits.API_KEYS_PER_USER, "in_force(expires_at)"),
    ),
    Kind(
        PasskeyRecord,
        "passkeys",
        "Passkey",
        (
            *("id", "user_id", "name", "credential_id", "public_key", "sign_count", "transports", "created_at"),
            "last_used_at",
        ),
        check_passkey,
        references={"user_id": "user"},
        unique={"name": OWN_NAME, "credential": "o.credential_id = s.credential_id"},
        most=Most("user_id", limits.PASSKEYS_PER_USER),
    ),
    Kind(
        WalletRecord,
        "wallets",
        "Wallet",
        ("id", "user_id", "owner_id", "name", "is_default", "created_at"),
        check_wallet,
        references={"user_id": "user"},
    ),
    Kind(
        ServerRecord,
        "servers",
        "Server",
        ("id", "name", "external_id", "owner_id", "created_at"),
        check_server,
        references={"owner_id": "user"},
        unique={"external id": "o.external_id = s.external_id"},
        most=Most("owner_id", None),
    ),
    Kind(
        SubuserRecord,
        "subusers",
        "Subuser",
        ("id", "server_id", "user_id", "permissions", "until", "created_at"),
        check_subuser,
        references={"server_id": "server", "user_id": "user"},
        unique={"membership": "o.server_id = s.server_id AND o.user_id = s.user_id"},
        most=Most("server_id", limits.SUBUSERS_PER_SERVER, "in_force(until)"),
    ),
)
BY_RECORD: Final[Mapping[type[Any], Kind]] = MappingProxyType({kind.record: kind for kind in KINDS})

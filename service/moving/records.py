"""What is imported and exported, in one form for all systems.

A source reads the tables of another system and yields these records. A record names others by `Key`: the table and the
id that the other system gave the row. The first import of a key creates a row, and each later import finds it again.
The order is that of `RECORDS`: a record follows all records that it names.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """A plan. `limits` has the names of ResourceLimits in snake case; an absent one means no limit."""

    key: str
    name: str
    description: str | None = None
    tier: str = "FREE"
    is_default: bool = False
    limits: Mapping[str, int] = field(default_factory=dict)
    id: str | None = None
    created_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class RoleRecord:
    """A role with names of the catalogue; the names of built-in roles (USER, STAFF, ADMIN, ROOT) are not imported."""

    key: str
    name: str
    description: str | None = None
    permissions: tuple[str, ...] = ()
    require_two_factor: bool = False
    id: str | None = None
    created_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class UserRecord:
    """A user with the credentials that can be used here.

    `role` is the name of a built-in role or the key of a RoleRecord. `id` keeps a UUID of the other system.
    `password_hash` has a form that `credentials.foreign_hashes` verifies. `two_factor_secret` is the base32 secret in
    clear text; the import encrypts it. `encrypted_two_factor_secret` is one that the keys of this service decrypt.
    `recovery_codes` are digests as they are stored here. `suspended_at` without `suspended_until` means until it is
    lifted; `suspended_by` is the id of a user. The default wallet of a user gets its id and time with the user.
    """

    key: str
    id: str | None = None
    username: str | None = None
    email: str | None = None
    email_verified: bool = False
    first_name: str | None = None
    last_name: str | None = None
    display_name: str | None = None
    language: str = "en"
    tier: str | None = None
    role: str = "USER"
    plan: str | None = None
    date_of_birth: dt.date | None = None
    billing_address: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, int | None] = field(default_factory=dict)
    external_id: str | None = None
    created_at: dt.datetime | None = None
    last_login_at: dt.datetime | None = None
    suspended_at: dt.datetime | None = None
    suspended_until: dt.datetime | None = None
    suspended_reason: str | None = None
    password_hash: str | None = None
    two_factor_secret: str | None = None
    suspended_by: str | None = None
    password_changed_at: dt.datetime | None = None
    encrypted_two_factor_secret: str | None = None
    recovery_codes: tuple[bytes, ...] = ()
    default_wallet_id: str | None = None
    default_wallet_created_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class SshKeyRecord:
    """An SSH key, in the form of an authorized_keys line."""

    key: str
    user: str
    name: str
    public_key: str
    created_at: dt.datetime | None = None
    last_used_at: dt.datetime | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ApiKeyRecord:
    """An API key whose secret has at least 128 random bits; `hash` is the SHA-256 of the whole secret."""

    key: str
    user: str
    name: str
    prefix: str
    hash: bytes
    permissions: tuple[str, ...] = ()
    allowed_ips: tuple[str, ...] = ()
    created_at: dt.datetime | None = None
    last_used_at: dt.datetime | None = None
    expires_at: dt.datetime | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class PasskeyRecord:
    """A passkey; it can only be used if the public address of this service has the same host as where it was made."""

    key: str
    user: str
    name: str
    credential_id: bytes
    public_key: bytes
    sign_count: int = 0
    transports: tuple[str, ...] = ()
    created_at: dt.datetime | None = None
    last_used_at: dt.datetime | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class WalletRecord:
    """A wallet. The import adds one entry of the ledger with the balance in millisatoshi, if it is not 0."""

    key: str
    user: str
    name: str
    is_default: bool
    balance_msat: int = 0
    created_at: dt.datetime | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True)
class ServerRecord:
    """A server and its owner."""

    key: str
    owner: str
    name: str
    id: str | None = None
    external_id: str | None = None
    created_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class SubuserRecord:
    """A membership, with names of server permissions of the catalogue."""

    key: str
    server: str
    user: str
    permissions: tuple[str, ...]
    created_at: dt.datetime | None = None
    until: dt.datetime | None = None
    id: str | None = None


Record = (
    PlanRecord
    | RoleRecord
    | UserRecord
    | SshKeyRecord
    | ApiKeyRecord
    | PasskeyRecord
    | WalletRecord
    | ServerRecord
    | SubuserRecord
)
RECORDS: tuple[type[Any], ...] = (
    PlanRecord,
    RoleRecord,
    UserRecord,
    SshKeyRecord,
    ApiKeyRecord,
    PasskeyRecord,
    WalletRecord,
    ServerRecord,
    SubuserRecord,
)


class Tables(Protocol):
    """The exported tables of another system: JSON lines, one file for each table, named after it."""

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        """Yield the rows of a table in the order of its file; nothing if there is no file of it."""


class Dropped(Protocol):
    """Where a source reports what it does not take."""

    def __call__(self, table: str, key: str, reason: str, *, taken: bool = False) -> None:
        """Report a row with a sentence that says why it is not imported. `taken`: the row is, without a part of it."""


class Source(Protocol):
    """A reader of one system's tables."""

    def __call__(self, tables: Tables, dropped: Dropped) -> Iterator[Record]:
        """Yield the records in the order of RECORDS. A bad row is dropped with a reason; it stops nothing."""

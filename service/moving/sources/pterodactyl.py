"""Users, servers, subusers, and SSH keys of Pterodactyl.

A user keeps the UUID and the external id. The number of the user is only the key of the import: as an external id it
could be the number that a billing system gives to another customer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from service.moving.records import Dropped, Record, ServerRecord, SubuserRecord, Tables, UserRecord
from service.moving.sources import values
from service.moving.sources.permission_names import server_permission, translated
from service.moving.sources.rows import (
    NO_SECOND_FACTOR,
    SUSPENDED_SERVER,
    Row,
    UnusableRowError,
    not_taken,
    records,
    rows,
)
from service.moving.sources.ssh_keys import ssh_keys

TABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "users": (
            *("id", "external_id", "uuid", "username", "email", "name_first", "name_last", "password", "language"),
            *("root_admin", "use_totp", "created_at"),
        ),
        "user_ssh_keys": ("id", "user_id", "name", "public_key", "created_at", "deleted_at"),
        "api_keys": ("id", "user_id"),
        "servers": ("id", "external_id", "uuid", "name", "status", "owner_id", "created_at"),
        "subusers": ("id", "user_id", "server_id", "permissions", "created_at"),
    }
)
API_KEY: Final = "An API key of Pterodactyl has another form, and cannot be used here."


def read(tables: Tables, dropped: Dropped) -> Iterator[Record]:
    """Yield the records of Pterodactyl's tables."""
    yield from records(rows(tables, dropped, "users"), _user)
    yield from ssh_keys(_kept_keys(tables, dropped), "user_id", "public_key", "created_at")
    not_taken(tables, dropped, "api_keys", owner="user_id", reason=API_KEY)
    yield from records(rows(tables, dropped, "servers"), _server)
    yield from records(rows(tables, dropped, "subusers"), _subuser)


def _user(row: Row) -> Record:
    # SECURITY: the secret is encrypted with the panel's key. The operator must learn who loses the second factor.
    if row.flag("use_totp", unreadable=True):
        row.report("use_totp", f"The secret is encrypted with the key of the panel. {NO_SECOND_FACTOR}")
    return UserRecord(
        key=row.key,
        id=row.value("uuid", values.uuid),
        username=row.text("username"),
        email=row.text("email"),
        first_name=row.text("name_first"),
        last_name=row.text("name_last"),
        language=row.value("language", values.language) or "en",
        role="ADMIN" if row.flag("root_admin") else "USER",
        external_id=row.text("external_id"),
        created_at=row.value("created_at", values.moment),
        password_hash=row.password_hash("password"),
    )


def _kept_keys(tables: Tables, dropped: Dropped) -> Iterator[Row]:
    """Yield the SSH keys that their users have not deleted; Pterodactyl keeps the others, too."""
    for row in rows(tables, dropped, "user_ssh_keys"):
        if row.has("deleted_at"):
            row.drop("deleted_at: The user deleted this key.")
        else:
            yield row


def _server(row: Row) -> Record:
    if row.columns.get("status") == "suspended":
        row.report("status", SUSPENDED_SERVER)
    return ServerRecord(
        key=row.key,
        owner=row.reference("owner_id"),
        name=row.text("name") or f"Server {row.key}",
        id=row.value("uuid", values.uuid),
        external_id=row.text("external_id"),
        created_at=row.value("created_at", values.moment),
    )


def _subuser(row: Row) -> Record:
    server, user = row.reference("server_id"), row.reference("user_id")
    permissions = translated(row, "permissions", row.value("permissions", values.names) or (), server_permission)
    if not permissions:
        raise UnusableRowError("permissions: The subuser has no permission that exists here.")
    return SubuserRecord(
        key=row.key,
        server=server,
        user=user,
        permissions=permissions,
        created_at=row.value("created_at", values.moment),
    )

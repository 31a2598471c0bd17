"""Export of everything that an import can bring back, as of one moment, in the service's own form.

Sessions, links, mails, and the audit log are not exported. The rows of a kind are in the order of their ids, so that
two databases with the same content give the same file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import IO, Any, Final

from service.database.connection import Database
from service.moving.own_form import KINDS, line_of
from service.moving.records import (
    ApiKeyRecord,
    PasskeyRecord,
    PlanRecord,
    Record,
    RoleRecord,
    ServerRecord,
    SshKeyRecord,
    SubuserRecord,
    UserRecord,
    WalletRecord,
)

ROWS: Final = 1_000  # that are in memory at the same time


def _plan(row: Any) -> Record:
    return PlanRecord(
        row["id"],
        row["name"],
        row["description"],
        row["tier"],
        row["is_default"],
        row["limits"],
        row["id"],
        row["created_at"],
    )


def _role(row: Any) -> Record:
    return RoleRecord(
        row["id"],
        row["name"],
        row["description"],
        tuple(row["permissions"]),
        row["require_two_factor"],
        row["id"],
        row["created_at"],
    )


USER_COLUMNS: Final = (
    *("id", "username", "email", "email_verified", "first_name", "last_name", "display_name", "language", "tier"),
    *("role", "date_of_birth", "billing_address", "settings", "external_id", "created_at", "last_login_at"),
    *("suspended_at", "suspended_until", "suspended_reason", "suspended_by", "password_hash", "password_changed_at"),
    *("default_wallet_id", "default_wallet_created_at"),
)


def _user(row: Any) -> Record:
    secret = row["two_factor_secret"]
    return UserRecord(
        key=row["id"],
        plan=row["plan_id"],
        limits=row["limit_overrides"],
        # SECURITY: the secret stays encrypted, so that the file alone has no usable second factor
        encrypted_two_factor_secret=None if secret is None else secret.decode(),
        recovery_codes=tuple(row["recovery_codes"]),
        **{name: row[name] for name in USER_COLUMNS},
    )


def _ssh_key(row: Any) -> Record:
    return SshKeyRecord(
        row["id"],
        row["user_id"],
        row["name"],
        row["public_key"],
        row["created_at"],
        row["last_used_at"],
        row["id"],
    )


def _api_key(row: Any) -> Record:
    return ApiKeyRecord(
        row["id"],
        row["user_id"],
        row["name"],
        row["prefix"],
        row["hash"],
        tuple(row["permissions"]),
        tuple(row["allowed_ips"]),
        row["created_at"],
        row["last_used_at"],
        row["expires_at"],
        row["id"],
    )


def _passkey(row: Any) -> Record:
    return PasskeyRecord(
        row["id"],
        row["user_id"],
        row["name"],
        row["credential_id"],
        row["public_key"],
        row["sign_count"],
        tuple(row["transports"]),
        row["created_at"],
        row["last_used_at"],
        row["id"],
    )


def _wallet(row: Any) -> Record:
    return WalletRecord(
        row["id"],
        row["user_id"],
        row["name"],
        row["is_default"],
        row["balance_msat"],
        row["created_at"],
        row["id"],
    )


def _server(row: Any) -> Record:
    return ServerRecord(row["id"], row["owner_id"], row["name"], row["id"], row["external_id"], row["created_at"])


def _subuser(row: Any) -> Record:
    return SubuserRecord(
        row["id"],
        row["server_id"],
        row["user_id"],
        tuple(row["permissions"]),
        row["created_at"],
        row["until"],
        row["id"],
    )


# The statement of each kind, and what makes a record of its rows
EXPORTS: Final[tuple[tuple[str, Callable[[Any], Record]], ...]] = (
    ("exported_plans", _plan),
    ("exported_roles", _role),
    ("exported_users", _user),
    ("exported_ssh_keys", _ssh_key),
    ("exported_api_keys", _api_key),
    ("exported_passkeys", _passkey),
    ("exported_wallets", _wallet),
    ("exported_servers", _server),
    ("exported_subusers", _subuser),
)


async def export(database: Database, file: IO[bytes]) -> Counter[str]:
    """Write a line for each object, as of one moment; return the number of objects by kind."""
    counts: Counter[str] = Counter()
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        await connection.execute("SET LOCAL statement_timeout = 0")
        for statement, record_of in EXPORTS:
            async for row in connection.cursor(database.statements[statement].query.sql, prefetch=ROWS):
                record = record_of(row)
                counts[KINDS[type(record)]] += 1
                file.write(line_of(record))
    return counts

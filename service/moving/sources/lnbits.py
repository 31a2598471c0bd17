"""Accounts and wallets of LNbits, from SQLite or PostgreSQL.

The 32 hexadecimal digits of an account's id become a UUID. A balance is that of the view `balances`, in millisatoshi.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from service import limits
from service.moving.records import Dropped, Record, Tables, UserRecord, WalletRecord
from service.moving.sources import values
from service.moving.sources.rows import Row, UnusableRowError, key_of, records, rows

TABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "system_settings": ("id", "value"),
        "accounts": (
            *("id", "username", "email", "password_hash", "pubkey", "external_id", "extra", "activated", "created_at"),
            "updated_at",
        ),
        "wallets": ("id", "user", "name", "wallet_type", "deleted", "created_at", "balance"),
    }
)
SUPER_USER: Final = "super_user"
ADMINS: Final = "lnbits_admin_users"
SHARED: Final = "lightning-shared"
ID_DIGITS: Final = 10  # of a username that is made from an id
DEACTIVATED: Final = "Deactivated in LNbits"


def read(tables: Tables, dropped: Dropped) -> Iterator[Record]:
    """Yield the records of LNbits's tables."""
    yield from records(rows(tables, dropped, "accounts"), _user_of(_roles(tables, dropped)))
    yield from records(rows(tables, dropped, "wallets"), _wallet_of(set()))


def _roles(tables: Tables, dropped: Dropped) -> dict[str, str]:
    """Return the roles of the administrators, by the ids of their accounts."""
    found: dict[str, str] = {}
    for row in rows(tables, dropped, "system_settings"):
        if row.key == SUPER_USER:
            found[row.value("value", _setting) or ""] = "ROOT"
        elif row.key == ADMINS:
            for account in row.value("value", values.names) or ():
                found.setdefault(account, "ADMIN")
    return found


def _setting(value: Any) -> str:
    """Return the text of a setting, which is stored as JSON."""
    text = value.strip().strip('"') if isinstance(value, str) else ""
    if key_of(text) is None:
        raise ValueError("The value is not the id of an account.")
    return text


def _user_of(roles: Mapping[str, str]) -> Callable[[Row], Record]:
    def convert(row: Row) -> Record:
        extra = row.value("extra", lambda value: values.json_of(value, dict)) or {}
        profile = dataclasses.replace(row, columns=extra)
        created = row.value("created_at", values.moment)
        # SECURITY: a value of another form must not activate the account. Older versions have no such column.
        deactivated = row.has("activated") and not row.flag("activated")
        username, email = row.text("username"), row.text("email")
        if username is None and email is None:
            # The id alone signs in there. The account may have a balance, so it must not be lost.
            username = f"user_{row.key[:ID_DIGITS]}"
            row.report("username", f"The account has no username and no email address. It is named {username}.")
        if row.has("pubkey"):
            row.report("pubkey", "A Nostr key cannot sign in here.")
        # SECURITY: `extra` also says that the address is verified, but there the user can write it
        return UserRecord(
            key=row.key,
            id=row.value("id", values.uuid),
            username=username,
            email=email,
            first_name=profile.text("first_name"),
            last_name=profile.text("last_name"),
            display_name=profile.text("display_name"),
            role=roles.get(row.key, "USER"),
            external_id=row.text("external_id"),
            created_at=created,
            suspended_at=_last_change(row) if deactivated else None,
            suspended_reason=DEACTIVATED if deactivated else None,
            password_hash=row.password_hash("password_hash"),
        )

    return convert


def _last_change(row: Row) -> Any:
    """Return the latest time at which an account can have been deactivated."""
    return row.value("updated_at", values.moment) or row.value("created_at", values.moment) or values.UNKNOWN_TIME


def _wallet_of(with_default: set[str]) -> Callable[[Row], Record]:
    """Return the converter of wallets. `with_default` have an earlier wallet, which is their default."""

    def convert(row: Row) -> Record:
        if row.flag("deleted"):
            raise UnusableRowError("deleted: The wallet was deleted.")
        if row.columns.get("wallet_type") == SHARED:
            raise UnusableRowError("wallet_type: A shared wallet has no balance of its own.")
        user = row.reference("user")
        first = user not in with_default
        with_default.add(user)
        return WalletRecord(
            key=row.key,
            user=user,
            name=row.text("name") or "Wallet",
            is_default=first,
            balance_msat=row.value("balance", _balance) or 0,
            created_at=row.value("created_at", values.moment),
        )

    return convert


def _balance(value: Any) -> int:
    found = values.whole(value)
    if not 0 <= found <= limits.SAFE_INTEGER:
        raise ValueError("The balance is below 0 or too large. The wallet is imported with 0.")
    return found

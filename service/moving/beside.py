"""What is stored beside the row of an imported object: passwords, second factors, and the hashes of API keys."""

from __future__ import annotations

from collections.abc import Sequence

from service.database.transaction import Transaction
from service.moving.checks import Item
from service.moving.kinds import Kind
from service.moving.staging import copy
from service.moving.wallets import store_balances


async def store_beside(transaction: Transaction, kind: Kind, items: Sequence[Item]) -> None:
    """Store what belongs to new rows."""
    if kind.name == "user":
        await _store_of_users(transaction, items)
    elif kind.name == "api-key":
        rows = [(item.beside["hash"], item.columns["id"]) for item in items]
        await copy(transaction.connection, "api_key_secrets", ("hash", "api_key_id"), rows)
    elif kind.name == "passkey":
        await transaction.run("set_two_factor_of_users", ids=[item.columns["user_id"] for item in items])
    elif kind.name == "wallet":
        await store_balances(transaction, items)


async def _store_of_users(transaction: Transaction, items: Sequence[Item]) -> None:
    for table, columns, names in (
        ("credentials", ("user_id", "password_hash", "changed_at"), ("password", "password_changed_at")),
        ("two_factor_secrets", ("user_id", "secret"), ("authenticator",)),
    ):
        rows = [(item.columns["id"], *(item.beside[name] for name in names)) for item in items if item.beside[names[0]]]
        if rows:
            await copy(transaction.connection, table, columns, rows)
    codes = [(item.columns["id"], code) for item in items for code in dict.fromkeys(item.beside["recovery_codes"])]
    if codes:
        await copy(transaction.connection, "recovery_codes", ("user_id", "hash"), codes)

"""Wallets that are imported: the default one is there already, and the balance becomes an entry of the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from service import limits
from service.database.transaction import Transaction
from service.moving.checks import Item
from service.moving.report import Report

ADOPTED: Final = "adopted"


def is_adopted(item: Item) -> bool:
    """Return whether the item is for a wallet that there is already."""
    return ADOPTED in item.beside


async def with_wallets(transaction: Transaction, items: Sequence[Item], report: Report) -> list[Item]:
    """Return the items within the limit of their users. The first default one of a user gets the default wallet.

    The users are locked. No row is removed later, because the ledger keeps every wallet.
    """
    users = list({item.columns["user_id"] for item in items})
    wallets = {row["user_id"]: row for row in await transaction.run("default_wallets_of_users", ids=users)}
    numbers = Counter({user_id: row["number"] for user_id, row in wallets.items()})
    found = []
    for item in items:
        user_id = item.columns["owner_id"] = item.columns["user_id"]
        wallet = wallets.pop(user_id, None) if item.beside["default"] else None
        if wallet is not None:
            item.columns["id"], item.kept_id, item.beside[ADOPTED] = wallet["id"], False, True
        elif numbers[user_id] >= limits.WALLETS_PER_USER:
            report.dropped("wallet", item.key, "LIMIT_REACHED: the limits allow no more.")
            continue
        else:
            numbers[user_id] += 1
        found.append(item)
    return found


async def adopt(transaction: Transaction, items: Sequence[Item]) -> list[Any]:
    """Give the default wallets the names of the records, and return them."""
    if not items:
        return []
    ids, names = [item.columns["id"] for item in items], [item.columns["name"] for item in items]
    return list(await transaction.run("rename_wallets", ids=ids, names=names))


async def store_balances(transaction: Transaction, items: Sequence[Item]) -> None:
    """Add an entry with the balance to each wallet that has one."""
    entries = [(item.columns["id"], item.beside["balance"]) for item in items if item.beside["balance"]]
    if entries:
        ids, amounts = map(list, zip(*entries, strict=True))
        await transaction.run("create_imported_entries", ids=ids, amounts=amounts, reason="Imported balance")

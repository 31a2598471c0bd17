"""Wallets of the sample accounts, with entries whose balances are never below 0."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from service.seeding import words
from service.seeding.ids import uuid7

ENTRIES: Final = (0,) * 60 + (1,) * 20 + (2,) * 12 + (4,) * 8
MOST_SAT: Final = 250_000


def wallets(user_id: str, created: int, end: int, generator: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the wallets of an account, the default one first."""
    yield _wallet(user_id, created, generator, "Default", is_default=True)
    if generator.random() < 0.08:  # noqa: PLR2004
        added = created + int(generator.random() * (end - created))
        yield _wallet(user_id, added, generator, generator.choice(words.WALLET_NAMES), is_default=False)


def entries(wallet: dict[str, Any], end: int, generator: random.Random) -> Iterator[dict[str, Any]]:
    """Yield the entries of a wallet in the order of their times: deposits, and debits of what is there."""
    balance, created = 0, wallet["created_at"]
    moments = sorted(created + int(generator.random() * (end - created)) for _ in range(generator.choice(ENTRIES)))
    for moment in moments:
        debit = balance > 0 and generator.random() < 0.5  # noqa: PLR2004
        amount = -generator.randint(1, balance) if debit else generator.randint(1, MOST_SAT)
        balance += amount
        yield {
            "id": uuid7(moment, generator),
            "wallet_id": wallet["id"],
            "amount_msat": amount * 1_000,
            "reason": generator.choice(words.DEBITS if debit else words.DEPOSITS),
            "created_at": moment,
        }


def _wallet(user_id: str, created: int, generator: random.Random, name: str, *, is_default: bool) -> dict[str, Any]:
    return {
        "id": uuid7(created, generator),
        "created_at": created,
        "user_id": user_id,
        "owner_id": user_id,
        "name": name,
        "is_default": is_default,
    }

"""Imports of wallets: every user has a default one, and a balance becomes one entry of the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.conftest import Client
from tests.imports import contents, import_records, user

MOST = 2**53 - 1
LEDGER = """
SELECT wallets.name, is_default, balance_msat, amount_msat, reason
FROM wallets JOIN users ON users.id = user_id LEFT JOIN wallet_entries ON wallet_id = wallets.id
WHERE username = $1 ORDER BY is_default DESC, wallets.name
"""


def wallet(key: str, **fields: Any) -> dict[str, Any]:
    return {"type": "wallet", "key": key, "user": "ada", "name": key, "is_default": False} | fields


async def ledger(client: Client, username: str = "ada") -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await client.rows(LEDGER, username)]


async def test_wallets_come_with_their_balances_once(client: Client, database_url: str, tmp_path: Path) -> None:
    records = [
        user("ada"),
        user("bea"),
        wallet("main", is_default=True, balance_msat=1_001),
        wallet("other", is_default=True, balance_msat=7),
        wallet("empty"),
        wallet("debt", balance_msat=-5),
    ]
    imported = await import_records(database_url, tmp_path, *records)
    assert imported.numbers("wallet") == {"read": 4, "new": 4}
    assert imported.reasons("debt") == ["The balance is -5 msat. A balance cannot be negative: the wallet is empty."]
    assert await ledger(client) == [
        ("main", True, 1_001, 1_001, "Imported balance"),
        ("debt", False, 0, None, None),
        ("empty", False, 0, None, None),
        ("other", False, 7, 7, "Imported balance"),
    ]
    assert await ledger(client, "bea") == [("Default", True, 0, None, None)]
    before = await contents(database_url)
    again = await import_records(database_url, tmp_path, *records)
    assert again.numbers("wallet") == {"read": 4, "known": 4}
    assert await contents(database_url) == before
    events = await client.rows("SELECT changes FROM audit_events WHERE event = 'wallet.import' ORDER BY id")
    assert sorted(event["changes"]["balanceMsat"]["new"] for event in events) == [0, 0, 7, 1_001]


async def test_balances_beyond_the_ceiling_are_not_taken(client: Client, database_url: str, tmp_path: Path) -> None:
    imported = await import_records(
        database_url,
        tmp_path,
        user("ada"),
        wallet("main", is_default=True, balance_msat=MOST),
        wallet("more", balance_msat=1),
        wallet("huge", balance_msat=MOST + 1),
        wallet("empty"),
    )
    assert imported.numbers("wallet") == {"read": 4, "new": 2, "dropped": 2}
    assert imported.reasons("more") == ["The database does not accept the row: wallets_total_most."]
    assert imported.reasons("huge") == [f"The balance exceeds {MOST} msat."]
    assert [row[:3] for row in await ledger(client)] == [("main", True, MOST), ("empty", False, 0)]


async def test_the_number_of_wallets_is_limited(client: Client, database_url: str, tmp_path: Path) -> None:
    wallets = [wallet(f"w{number:02}", balance_msat=1) for number in range(21)]
    main = wallet("main", is_default=True, balance_msat=5)
    imported = await import_records(database_url, tmp_path, user("ada"), *wallets, main)
    assert imported.numbers("wallet") == {"read": 22, "new": 20, "dropped": 2}
    assert [line["key"] for line in imported.report] == ["w19", "w20"]

"""LNbits: its tables, exported by the commands of docs/moving.md from SQLite and from PostgreSQL."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from service import limits
from service.moving.records import UserRecord, WalletRecord
from tests.source_tables import exported, of, run

DATABASES = {"SQLite": exported("lnbits"), "PostgreSQL": exported("lnbits_postgresql")}
TABLES = DATABASES["SQLite"]
SUPER, ADMIN, OFF, NAMELESS = (row["id"] for row in TABLES["accounts"])


def second(number: int) -> dt.datetime:
    return dt.datetime(2024, 1, 2, 3, 4, number, tzinfo=dt.UTC)


def dashed(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def wallet(**columns: Any) -> tuple[list[WalletRecord], list[str]]:
    """Return the record of the first wallet with a balance, with other columns, and the reported reasons."""
    records, reports = run("lnbits", {"wallets": [TABLES["wallets"][1] | columns]})
    return of(records, WalletRecord), [reason for _table, _key, reason, _taken in reports]


@pytest.mark.parametrize("database", DATABASES)
def test_accounts_have_uuids_roles_and_suspensions(database: str) -> None:
    tables = DATABASES[database]
    records, _reports = run("lnbits", tables)
    hashes = [row["password_hash"] for row in tables["accounts"]]
    assert of(records, UserRecord) == [
        UserRecord(
            key=SUPER, id=dashed(SUPER), username="super", role="ROOT", created_at=second(1), password_hash=hashes[0]
        ),
        UserRecord(
            key=ADMIN,
            id=dashed(ADMIN),
            username="sat.oshi",
            email="sat@ln.example",
            first_name="Sat",
            last_name="Oshi",
            display_name="⚡",
            role="ADMIN",
            external_id="ext 1",
            created_at=second(2),
            password_hash=hashes[1],
        ),
        UserRecord(
            key=OFF,
            id=dashed(OFF),
            email="off@ln.example",
            created_at=second(3),
            suspended_at=second(33),
            suspended_reason="Deactivated in LNbits",
            password_hash=hashes[2],
        ),
        UserRecord(key=NAMELESS, id=dashed(NAMELESS), username="user_aaaaaaaaaa", created_at=second(4)),
    ]


@pytest.mark.parametrize("database", DATABASES)
def test_wallets_have_balances_in_millisatoshi(database: str) -> None:
    records, reports = run("lnbits", DATABASES[database])
    start = "a" * 31
    assert of(records, WalletRecord) == [
        WalletRecord(f"{start}1", ADMIN, "Main", is_default=True, balance_msat=1_949_000, created_at=second(10)),
        WalletRecord(f"{start}2", ADMIN, "Second", is_default=False, created_at=second(11)),
        WalletRecord(f"{start}4", NAMELESS, "Only", is_default=True, balance_msat=5, created_at=second(12)),
        WalletRecord(f"{start}6", OFF, "Debt", is_default=True, created_at=second(14)),
    ]
    assert reports == [
        ("accounts", ADMIN, "pubkey: A Nostr key cannot sign in here.", True),
        (
            "accounts",
            NAMELESS,
            "username: The account has no username and no email address. It is named user_aaaaaaaaaa.",
            True,
        ),
        ("wallets", f"{start}3", "deleted: The wallet was deleted.", False),
        ("wallets", f"{start}5", "wallet_type: A shared wallet has no balance of its own.", False),
        (
            "wallets",
            f"{start}6",
            "balance: The balance is below 0 or too large. The wallet is imported with 0.",
            True,
        ),
    ]


def test_an_address_that_the_user_calls_verified_is_not() -> None:
    """LNbits lets users write this column."""
    assert '"email_verified": true' in TABLES["accounts"][1]["extra"]
    records, _reports = run("lnbits", TABLES)
    assert [user.email_verified for user in of(records, UserRecord)] == [False] * 4


def test_only_the_settings_of_the_core_name_administrators() -> None:
    values = {row["id"]: row["value"] for row in TABLES["system_settings"]}
    assert values == {"super_user": f'"{SUPER}"', "lnbits_admin_users": f'["{ADMIN}"]'}
    records, _reports = run("lnbits", TABLES | {"system_settings": []})
    assert {user.role for user in of(records, UserRecord)} == {"USER"}


@pytest.mark.parametrize("value", [None, "", "[]", "{", "null", 7, [], '[["a"]]', '""'])
def test_broken_settings_name_no_administrators(value: Any) -> None:
    settings = [{"id": "super_user", "value": value}, {"id": "lnbits_admin_users", "value": value}]
    records, _reports = run("lnbits", TABLES | {"system_settings": settings})
    assert {user.role for user in of(records, UserRecord)} == {"USER"}


@pytest.mark.parametrize("value", [0, False, "false", "broken", 7])
def test_an_account_is_active_only_if_the_table_says_so(value: Any) -> None:
    records, _reports = run("lnbits", {"accounts": [TABLES["accounts"][0] | {"activated": value}]})
    assert of(records, UserRecord)[0].suspended_at == second(1)


def test_an_older_lnbits_has_no_such_column() -> None:
    row = {name: value for name, value in TABLES["accounts"][0].items() if name != "activated"}
    records, _reports = run("lnbits", {"accounts": [row]})
    assert of(records, UserRecord)[0].suspended_at is None


@pytest.mark.parametrize(
    ("balance", "expected"),
    [(0, 0), (1, 1), ("21", 21), (3.0, 3), (limits.SAFE_INTEGER, limits.SAFE_INTEGER), (None, 0)],
)
def test_a_balance_is_a_whole_number(balance: Any, expected: int) -> None:
    [record], reasons = wallet(balance=balance)
    assert (record.balance_msat, reasons) == (expected, [])


@pytest.mark.parametrize("balance", [-1, limits.SAFE_INTEGER + 1, 0.5, "1 sat", True, [1], 1e300])
def test_any_other_balance_is_reported_and_is_not_money(balance: Any) -> None:
    [record], [reason] = wallet(balance=balance)
    assert record.balance_msat == 0
    assert reason.startswith("balance: ")


def test_the_first_wallet_that_is_kept_is_the_default() -> None:
    row = TABLES["wallets"][1]
    rows = [row | {"id": "b" * 32, "deleted": 1}, row | {"id": "c" * 32}, row | {"id": "d" * 32, "user": SUPER}, row]
    records, _reports = run("lnbits", {"wallets": rows})
    assert [(found.key[0], found.is_default) for found in of(records, WalletRecord)] == [
        *(("c", True), ("d", True), ("a", False)),
    ]

"""Wallets: each user has a default one, users create others, and administrators change balances in the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from service.clean_up import clean_up
from tests.conftest import Client, Person
from tests.wallets import MOST_MSAT, adjust, codes, default_wallet, require_consistent

ME = "{ me { walletCount balanceMsat wallets { id name isDefault balanceMsat ownerId user { username } } } }"
MISSING = "01890000-0000-7000-8000-00000000dead"


async def create(client: Client, by: Person | str, name: str = "Savings", **more: Any) -> dict[str, Any]:
    """Return the payload of createWallet."""
    value = {"name": name} | more
    return await client.mutate("createWallet", value, "wallet { id name isDefault balanceMsat }", by=by)


async def test_a_new_user_has_an_empty_default_wallet(client: Client, alice: Person) -> None:
    me = (await client.data(ME, by=alice))["me"]
    wallet = await default_wallet(client, alice)
    expected = {"id": str(wallet["id"]), "name": "Default", "isDefault": True, "balanceMsat": 0, "ownerId": alice.id}
    assert me == {"walletCount": 1, "balanceMsat": 0, "wallets": [expected | {"user": {"username": "alice"}}]}


async def test_an_amount_in_satoshi_is_an_entry_in_millisatoshi(client: Client, admin: Person, alice: Person) -> None:
    payload = await adjust(client, admin, alice, 21, reason=" Deposit ")
    wallet = await default_wallet(client, alice)
    entry = payload["entry"]
    assert payload["wallet"] == {"id": str(wallet["id"]), "balanceMsat": 21_000}
    assert (payload["newBalanceMsat"], payload["errors"]) == (21_000, [])
    assert entry == {"id": entry["id"], "amountMsat": 21_000, "balanceAfterMsat": 21_000, "reason": "Deposit"}
    assert (await adjust(client, admin, alice, -1))["newBalanceMsat"] == 20_000
    fields = "amountMsat balanceAfterMsat reason actorId actor { username } wallet { isDefault }"
    query = f"{{ me {{ wallets {{ entries(first: 1) {{ totalCount nodes {{ {fields} }} }} }} }} }}"
    page = (await client.data(query, by=alice))["me"]["wallets"][0]["entries"]
    newest = {"amountMsat": -1_000, "balanceAfterMsat": 20_000, "reason": "Test", "wallet": {"isDefault": True}}
    assert page == {"totalCount": 2, "nodes": [newest | {"actorId": admin.id, "actor": {"username": "adam"}}]}


async def test_pages_of_entries_are_newest_first(client: Client, admin: Person, alice: Person) -> None:
    for amount in (1, 2, 3, 4, 5):
        await adjust(client, admin, alice, amount)
    query = """query ($after: String) { me { wallets { entries(first: 2, after: $after) {
      nodes { amountMsat } pageInfo { hasNextPage endCursor } } } } }"""
    found, after = list[int](), None
    for _ in range(3):
        page = (await client.data(query, {"after": after}, by=alice))["me"]["wallets"][0]["entries"]
        found += [node["amountMsat"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert (found, page["pageInfo"]["hasNextPage"]) == ([5_000, 4_000, 3_000, 2_000, 1_000], False)


async def test_each_change_has_one_event_that_the_owner_can_read(client: Client, admin: Person, alice: Person) -> None:
    wallet = (await create(client, alice))["wallet"]
    entry = (await adjust(client, admin, alice, 5, walletId=wallet["id"]))["entry"]
    query = "{ me { auditEvents(first: 2) { nodes { event targetType targetId actorId changes } } } }"
    adjusted, made = (await client.data(query, by=alice))["me"]["auditEvents"]["nodes"]
    assert (made["event"], made["targetType"], made["targetId"]) == ("wallet.create", "Wallet", wallet["id"])
    assert made["changes"]["name"] == {"old": None, "new": "Savings"}
    assert (adjusted["event"], adjusted["targetId"]) == ("wallet.adjust", entry["id"])
    assert (adjusted["targetType"], adjusted["actorId"]) == ("WalletEntry", admin.id)
    changes = {name: change["new"] for name, change in adjusted["changes"].items()}
    assert changes == {
        "amountMsat": 5_000,
        "balanceAfterMsat": 5_000,
        "reason": "Test",
        "actorId": admin.id,
        "walletId": wallet["id"],
    }


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"amountSat": 0}, ["INVALID amountSat"]),
        ({"amountSat": -1}, ["INSUFFICIENT_BALANCE amountSat"]),
        ({"amountSat": -MOST_MSAT}, ["INSUFFICIENT_BALANCE amountSat"]),
        ({"amountSat": MOST_MSAT // 1_000 + 1}, ["LIMIT_REACHED amountSat"]),
        ({"amountSat": MOST_MSAT}, ["LIMIT_REACHED amountSat"]),
        ({"reason": ""}, ["REQUIRED reason"]),
        ({"reason": "x" * 1_025}, ["TOO_LONG reason"]),
        ({"reason": "a\0b"}, ["INVALID reason"]),
        ({"userId": MISSING}, ["NOT_FOUND userId"]),
        ({"walletId": MISSING}, ["NOT_FOUND walletId"]),
        ({"idempotencyKey": "x" * 256}, ["TOO_LONG idempotencyKey"]),
        ({"amountSat": -1, "reason": ""}, ["REQUIRED reason", "INSUFFICIENT_BALANCE amountSat"]),
        (
            {"amountSat": 0, "reason": "", "walletId": MISSING},
            ["REQUIRED reason", "INVALID amountSat", "NOT_FOUND walletId"],
        ),
    ],
)
async def test_a_rejected_change_reports_all_problems_and_changes_nothing(
    client: Client, admin: Person, alice: Person, change: dict[str, Any], expected: list[str]
) -> None:
    value = {"amountSat": 5} | change
    payload = await adjust(client, admin, alice, **{"amount": value.pop("amountSat")} | value)
    assert (codes(payload), payload["newBalanceMsat"], payload["entry"]) == (expected, None, None)
    assert await client.rows("SELECT FROM wallet_entries") == []
    assert await client.rows("SELECT FROM audit_events WHERE event LIKE 'wallet.%'") == []


@pytest.mark.parametrize("amount", ["5", 1.5, 2**53, -(2**53), 1e400, True, None, [5], "NaN"])
async def test_an_amount_must_be_a_whole_number_that_json_has_exactly(
    client: Client, admin: Person, alice: Person, amount: object
) -> None:
    text = "1e400" if amount == 1e400 else None
    document = (
        'mutation ($a: BigInt!) { adjustBalance(input: {userId: $user, amountSat: $a, reason: "x"}) { entry { id } } }'
    )
    document = document.replace("$user", f'"{alice.id}"')
    if text is not None:
        document, variables = document.replace("($a: BigInt!) ", "").replace("$a", text), {}
    else:
        variables = {"a": amount}
    answer = await client.execute(document, variables, by=admin)
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}
    assert await client.rows("SELECT FROM wallet_entries") == []


async def test_a_balance_reaches_its_bounds_exactly(client: Client, admin: Person, alice: Person) -> None:
    most = MOST_MSAT // 1_000
    assert (await adjust(client, admin, alice, most))["newBalanceMsat"] == most * 1_000
    assert codes(await adjust(client, admin, alice, 1)) == ["LIMIT_REACHED amountSat"]
    # The sum of all wallets has the same bound, so that it is a BigInt as well
    wallet = (await create(client, alice))["wallet"]["id"]
    assert codes(await adjust(client, admin, alice, 1, walletId=wallet)) == ["LIMIT_REACHED amountSat"]
    assert (await adjust(client, admin, alice, -most))["newBalanceMsat"] == 0
    assert (await adjust(client, admin, alice, most, walletId=wallet))["errors"] == []
    me = (await client.data(ME, by=alice))["me"]
    assert (me["walletCount"], me["balanceMsat"]) == (2, most * 1_000)
    assert [each["balanceMsat"] for each in me["wallets"]] == [0, most * 1_000]
    await require_consistent(client)


async def test_the_same_key_returns_the_same_entry_and_balance(client: Client, admin: Person, alice: Person) -> None:
    first = await adjust(client, admin, alice, 7, idempotencyKey="invoice-1")
    await adjust(client, admin, alice, 100)
    again = await adjust(client, admin, alice, 7, idempotencyKey="invoice-1")
    assert (again["entry"], again["newBalanceMsat"]) == (first["entry"], 7_000)
    # The wallet is that of the entry, as it is now
    assert again["wallet"] == {"id": first["wallet"]["id"], "balanceMsat": 107_000}
    for change in ({"amount": 8}, {"reason": "Other"}, {"walletId": first["wallet"]["id"]}):
        value = {"amount": 7, "idempotencyKey": "invoice-1"} | change
        assert codes(await adjust(client, admin, alice, **value)) == ["IDEMPOTENCY_MISMATCH idempotencyKey"]
    assert (await default_wallet(client, alice))["balance_msat"] == 107_000


async def test_a_key_of_the_ledger_counts_after_a_day_and_after_a_clean_up(
    client: Client, admin: Person, alice: Person
) -> None:
    first = await adjust(client, admin, alice, 7, idempotencyKey="invoice-1")
    await create(client, alice, idempotencyKey="wallet-1")
    await client.rows("UPDATE idempotency_keys SET created_at = now() - interval '2 days'")
    assert await adjust(client, admin, alice, 7, idempotencyKey="invoice-1") == first
    await clean_up(client.resources.database)
    assert await adjust(client, admin, alice, 7, idempotencyKey="invoice-1") == first
    assert [row["operation"] for row in await client.rows("SELECT operation FROM idempotency_keys")] == [
        "adjustBalance"
    ]


async def test_a_rejected_change_leaves_its_key_free_and_keys_belong_to_their_caller(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    assert codes(await adjust(client, admin, alice, -7, idempotencyKey="a")) == ["INSUFFICIENT_BALANCE amountSat"]
    await adjust(client, admin, alice, 10)
    assert (await adjust(client, admin, alice, -7, idempotencyKey="a"))["newBalanceMsat"] == 3_000
    assert (await adjust(client, root, alice, -1, idempotencyKey="a"))["newBalanceMsat"] == 2_000


async def test_a_user_creates_wallets_up_to_the_limit(client: Client, alice: Person) -> None:
    made = await create(client, alice, " Savings  box ", idempotencyKey="w")
    assert made["wallet"] == {"id": made["wallet"]["id"], "name": "Savings box", "isDefault": False, "balanceMsat": 0}
    assert await create(client, alice, " Savings  box ", idempotencyKey="w") == made
    assert codes(await create(client, alice, "Other", idempotencyKey="w")) == ["IDEMPOTENCY_MISMATCH idempotencyKey"]
    for name, code in (("", "REQUIRED"), ("x" * 256, "TOO_LONG"), ("a\u200bb", "INVALID")):
        assert codes(await create(client, alice, name)) == [f"{code} name"]
    for _ in range(18):
        assert (await create(client, alice))["errors"] == []
    assert codes(await create(client, alice)) == ["LIMIT_REACHED name"]
    assert (await client.data("{ me { walletCount } }", by=alice))["me"] == {"walletCount": 20}

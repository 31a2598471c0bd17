"""Wallets under parallel requests of several workers: no balance is spent twice, and no key counts twice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service.settings import Settings
from tests.conftest import Client, Person, opened_client
from tests.wallets import MOST_MSAT, adjust, codes, default_wallet, outcomes, patient, require_consistent


@pytest.fixture
def settings() -> Settings:
    """Give each worker several connections for writes."""
    return Settings(writers=4, readers=2)


@pytest_asyncio.fixture
async def workers(client: Client, settings: Settings, database_url: str) -> AsyncIterator[tuple[Client, Client]]:
    """Return two workers on one database."""
    async with opened_client(settings, database_url) as other:
        yield client, other


async def entries(client: Client) -> list[int]:
    """Return the amounts of all entries."""
    return [row["amount_msat"] for row in await client.rows("SELECT amount_msat FROM wallet_entries ORDER BY id")]


async def all_at_once(client: Client, *changes: Any, least: int) -> list[dict[str, Any]]:
    """Return the payloads of changes, of which at least some wait for the users before any of them continues."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(20), client.resources.database.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM users WHERE username IN ('alice', 'bob') FOR UPDATE")
        found = asyncio.gather(*changes)
        while len(await connection.fetch(waiting)) < least:
            # Otherwise a transaction reads the same statistics again
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)
    return await found


async def test_a_hundred_parallel_debits_never_go_below_zero(
    workers: tuple[Client, Client], admin: Person, alice: Person
) -> None:
    client = workers[0]
    await adjust(client, admin, alice, 500)
    amounts = [1 + number % 17 for number in range(100)]
    assert sum(amounts) > 500
    debits = [adjust(each, admin, alice, -amount) for each, amount in zip(itertools.cycle(workers), amounts)]
    payloads = await asyncio.gather(*debits)
    found = outcomes(payloads)
    assert set(found) == {"done", "INSUFFICIENT_BALANCE amountSat"}
    spent = -sum(payload["entry"]["amountMsat"] for payload in payloads if not payload["errors"])
    balance = (await default_wallet(client, alice))["balance_msat"]
    assert (balance, sum(await entries(client))) == (500_000 - spent, balance)
    assert 0 <= balance < 17_000
    # Each success has another balance, and the last one is that of the wallet
    after = [payload["newBalanceMsat"] for payload in payloads if not payload["errors"]]
    assert len(set(after)) == len(after) == len(await entries(client)) - 1
    assert min(after) == balance
    await require_consistent(client)


async def test_one_key_twenty_times_at_once_is_one_entry(
    workers: tuple[Client, Client], admin: Person, alice: Person
) -> None:
    client = workers[0]
    await adjust(client, admin, alice, 100)
    repeated = [adjust(workers[n % 2], admin, alice, -30, idempotencyKey="invoice-7") for n in range(20)]
    payloads = await all_at_once(client, *repeated, least=4)
    assert payloads == [payloads[0]] * 20
    assert (payloads[0]["newBalanceMsat"], payloads[0]["errors"]) == (70_000, [])
    assert await entries(client) == [100_000, -30_000]
    events = await client.rows("SELECT FROM audit_events WHERE event = 'wallet.adjust'")
    assert len(events) == 2


async def test_one_key_with_two_inputs_at_once_counts_for_one_of_them(
    workers: tuple[Client, Client], admin: Person, alice: Person
) -> None:
    client = workers[0]
    changes = [adjust(workers[n % 2], admin, alice, 1 + n % 2, idempotencyKey="k") for n in range(10)]
    found = outcomes(await all_at_once(client, *changes, least=4))
    assert found == {"done": 5, "IDEMPOTENCY_MISMATCH idempotencyKey": 5}
    assert len(await entries(client)) == 1


async def test_parallel_credits_to_several_wallets_never_exceed_the_bound(
    workers: tuple[Client, Client], admin: Person, alice: Person
) -> None:
    client = workers[0]
    made = [await client.mutate("createWallet", {"name": "w"}, "wallet { id }", by=alice) for _ in range(3)]
    ids = [each["wallet"]["id"] for each in made]
    quarter = MOST_MSAT // 4_000 - 10
    changes = [adjust(workers[n % 2], admin, alice, quarter, walletId=ids[n % 3]) for n in range(12)]
    found = outcomes(await all_at_once(client, *changes, least=4))
    assert found == {"done": 4, "LIMIT_REACHED amountSat": 8}
    [row] = await client.rows("SELECT CAST(sum(balance_msat) AS bigint) AS total FROM wallets")
    assert row["total"] == 4 * quarter * 1_000 <= MOST_MSAT
    await require_consistent(client)


async def test_transfers_in_both_directions_do_not_deadlock(
    workers: tuple[Client, Client], admin: Person, alice: Person, bob: Person
) -> None:
    client = workers[0]
    for person in (alice, bob):
        await adjust(client, admin, person, 1_000)
    changes = []
    for number in range(10):
        first, second = (alice, bob) if number % 2 else (bob, alice)
        changes += [adjust(workers[number % 2], admin, first, -7), adjust(workers[number % 2], admin, second, 7)]
    assert outcomes(await all_at_once(client, *changes, least=4)) == {"done": 20}
    for person in (alice, bob):
        assert (await default_wallet(client, person))["balance_msat"] == 1_000_000
    await require_consistent(client)


async def test_a_change_and_the_deletion_of_its_user_happen_one_after_the_other(
    workers: tuple[Client, Client], root: Person, admin: Person, alice: Person
) -> None:
    client, other = workers
    changes = [adjust(client, admin, alice, 5) for _ in range(5)]
    deletion = patient(other, "deleteUser", {"id": alice.id}, "deletedId", root)
    payloads = await all_at_once(client, *changes[:2], deletion, *changes[2:], least=3)
    assert payloads.pop(2) == {"deletedId": alice.id, "errors": []}
    found = outcomes(payloads)
    assert set(found) <= {"done", "NOT_FOUND userId"}
    wallet = await default_wallet(client, alice)
    assert wallet["closed_at"] is not None
    assert wallet["balance_msat"] == found["done"] * 5_000
    assert await entries(client) == [5_000] * found["done"]
    await require_consistent_without_users(client)


async def require_consistent_without_users(client: Client) -> None:
    """Compare the balances with the ledger, also those of closed wallets."""
    await require_consistent(client)
    assert await client.rows("SELECT FROM wallets WHERE (user_id IS NULL) <> (closed_at IS NOT NULL)") == []


@pytest.mark.parametrize("suspended", ["user", "caller"])
async def test_a_change_during_a_suspension(
    workers: tuple[Client, Client], root: Person, admin: Person, alice: Person, suspended: str
) -> None:
    client, other = workers
    person, value = (alice if suspended == "user" else admin), {"userId": alice.id, "amountSat": 5, "reason": "x"}
    document = "mutation ($i: AdjustBalanceInput!) { adjustBalance(input: $i) { entry { id } errors { code } } }"
    changes = [client.execute(document, {"i": value}, by=admin) for _ in range(3)]
    suspension = patient(other, "suspendUser", {"id": person.id}, "user { id }", root)
    answers = await all_at_once(client, *changes, suspension, least=2)
    assert answers.pop()["errors"] == []
    done = [answer for answer in answers if "errors" not in answer and answer["data"]["adjustBalance"]["entry"]]
    denied = {error["extensions"]["code"] for answer in answers for error in answer.get("errors", [])}
    # A suspended user keeps the wallet; a suspended administrator changes nothing from then on
    assert denied <= (set() if suspended == "user" else {"USER_SUSPENDED"})
    assert len(done) == (3 if suspended == "user" else len(await entries(client)))
    answer = await client.execute(document, {"i": value}, by=admin)
    assert ("errors" in answer) is (suspended == "caller")
    assert len(await entries(client)) == len(done) + int(suspended == "user")
    await require_consistent(client)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("UPDATE users SET role_id = '00000000-0000-7000-8000-000000000001' WHERE id = $1", "FORBIDDEN"),
        ("UPDATE users SET suspended_at = now() WHERE id = $1", "USER_SUSPENDED"),
        ("UPDATE sessions SET ended_at = now() WHERE user_id = $1", "UNAUTHENTICATED"),
    ],
    ids=["demoted", "suspended", "signed out"],
)
async def test_a_caller_who_lost_the_permission_while_waiting_changes_nothing(
    client: Client, admin: Person, alice: Person, change: str, code: str
) -> None:
    value = {"userId": alice.id, "amountSat": 5, "reason": "x"}
    document = "mutation ($i: AdjustBalanceInput!) { adjustBalance(input: $i) { entry { id } errors { code } } }"
    async with client.resources.database.connection() as connection:
        async with connection.transaction():
            await connection.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", alice.id)
            waiting = asyncio.create_task(client.execute(document, {"i": value}, by=admin))
            sql = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            async with asyncio.timeout(10):
                while not await connection.fetch(sql):
                    await connection.execute("SELECT pg_stat_clear_snapshot()")
                    await asyncio.sleep(0.01)
            await connection.execute(change, admin.id)
        answer = await waiting
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert await entries(client) == []


async def test_parallel_requests_create_no_more_wallets_than_the_limit(
    workers: tuple[Client, Client], alice: Person
) -> None:
    client = workers[0]
    value = {"name": "w"}
    made = [patient(workers[n % 2], "createWallet", value, "wallet { id }", alice) for n in range(30)]
    assert outcomes(await all_at_once(client, *made, least=4)) == {"done": 19, "LIMIT_REACHED name": 11}
    assert len(await client.rows("SELECT FROM wallets WHERE user_id = $1", alice.id)) == 20


async def test_debits_of_one_request_count_one_after_the_other(client: Client, admin: Person, alice: Person) -> None:
    await adjust(client, admin, alice, 10)
    fields = [
        f'a{n}: adjustBalance(input: {{userId: "{alice.id}", amountSat: -4, reason: "x"}}) '
        "{ newBalanceMsat errors { code field } }"
        for n in range(5)
    ]
    found = await client.data(f"mutation {{ {' '.join(fields)} }}", by=admin)
    assert [each["newBalanceMsat"] for each in found.values()] == [6_000, 2_000, None, None, None]
    assert [codes(each) for each in found.values()] == [[], [], *[["INSUFFICIENT_BALANCE amountSat"]] * 3]

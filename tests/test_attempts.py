"""Counted attempts: the growing wait, what is forgotten, and attempts at the same moment, also of several workers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from service.access.actor import ANONYMOUS, Actor
from service.attempts import LOGIN, RESET, Attempt, Limit, Operation, attempt_in_turn, begin_attempt, too_many
from service.context import Context, Request
from service.database.loaders import Loaders
from service.errors import ApiError, ApiErrorCode
from service.operations.cost import Budget
from service.schema import RULES
from service.settings import Settings
from tests.conftest import Client, Person, opened_client

OPERATION = Operation(
    "test",
    pair=Limit(3, wait=60, longest=900, period=3_600),
    client=Limit(10, wait=10, longest=900, period=3_600),
    account=Limit(5, wait=60, longest=900, period=3_600),
)


def context_of(client: Client, ip: str | None = "192.0.2.1", actor: Actor = ANONYMOUS) -> Context:
    """Return the context of an operation of a client with this address."""
    resources = client.resources
    loaders = Loaders(resources.database)
    return Context.of(resources, Request("id", ip), loaders, RULES, Budget(anonymous=True), actor)


async def outcome(client: Client, ip: str | None = "192.0.2.1", actor: Actor = ANONYMOUS, **given: Any) -> int:
    """Return 0 for an attempt that may go on, else the seconds to wait."""
    try:
        await begin_attempt(context_of(client, ip, actor), OPERATION, **given)
    except ApiError as error:
        return int((error.extensions or {})["retryAfter"]) if error.code is ApiErrorCode.RATE_LIMITED else -1
    return 0


async def pass_time(client: Client, seconds: float) -> None:
    """Make all attempts that much older."""
    await client.rows(
        """UPDATE attempts SET forgotten_at = forgotten_at - make_interval(secs => $1),
           blocked_until = blocked_until - make_interval(secs => $1)""",
        seconds,
    )


@pytest.mark.parametrize(
    ("seconds", "wait"),
    [
        (1, "1 second"),
        (60, "60 seconds"),
        (121, "3 minutes"),
        (300, "5 minutes"),
        (5_400, "90 minutes"),
        (7_200, "2 hours"),
        (172_800, "2 days"),
    ],
)
def test_the_message_tells_how_long_to_wait(seconds: int, wait: str) -> None:
    error = too_many(seconds)
    assert error.message == f"There were too many attempts. Try again in {wait}."
    assert error.extensions == {"code": "RATE_LIMITED", "retryAfter": seconds}


async def test_after_the_limit_the_wait_doubles_up_to_the_longest(client: Client) -> None:
    assert [await outcome(client, account="alice") for _ in range(3)] == [0, 0, 0]
    waits = []
    for _ in range(5):
        waits.append(await outcome(client, account="alice"))
        assert await outcome(client, account="alice") == waits[-1], "a blocked attempt is not counted"
        await pass_time(client, waits[-1])
        # Not the time that is forgotten meanwhile, but the number of attempts doubles the wait
        await client.rows("UPDATE attempts SET forgotten_at = forgotten_at + make_interval(secs => $1)", waits[-1])
        assert await outcome(client, account="alice") == 0
    assert waits == [60, 120, 240, 480, 900]


async def test_attempts_are_forgotten_one_after_the_other(client: Client) -> None:
    assert [await outcome(client, account="alice") for _ in range(4)] == [0, 0, 0, 60]
    await pass_time(client, 1_200)  # a third of the period: one of three
    assert [await outcome(client, account="alice") for _ in range(2)] == [0, 60]
    await pass_time(client, 3_600)
    assert [await outcome(client, account="alice") for _ in range(4)] == [0, 0, 0, 60]


async def test_forgotten_attempts_are_deleted_and_others_are_kept(client: Client) -> None:
    await outcome(client, account="alice")
    await pass_time(client, 10_000)
    await outcome(client, account="bob", trusted=True)  # the client's again, and a pair
    async with client.resources.database.transaction() as transaction:
        await transaction.run("delete_old_attempts", most=10)
    assert len(await client.rows("SELECT key FROM attempts")) == 2


async def test_a_success_forgets_the_account_and_one_attempt_of_the_client(client: Client) -> None:
    # SECURITY: with an account of their own, attackers could otherwise clear what their address has tried elsewhere
    for name in ("a", "b", "c", "d", "e", "f", "g", "h"):
        assert await outcome(client, account=name) == 0
    for _ in range(2):
        attempt = await begin_attempt(context_of(client), OPERATION, account="own")
        async with client.resources.database.transaction() as transaction:
            await attempt.succeeded(transaction.run)
    assert [await outcome(client, account="own") for _ in range(3)] == [0, 0, 10]
    await pass_time(client, 10)
    assert await outcome(client, account="own") == 0, "only the client was blocked"


async def test_a_success_of_a_parallel_attempt_lifts_the_block_that_it_caused(client: Client) -> None:
    attempts = [await begin_attempt(context_of(client), OPERATION, account="alice") for _ in range(3)]
    assert await outcome(client, account="alice") == 60
    async with client.resources.database.transaction() as transaction:
        await attempts[0].succeeded(transaction.run)
    assert await outcome(client, account="alice") == 0


async def test_a_block_of_the_client_outlasts_a_success_if_enough_others_failed(client: Client) -> None:
    attempt = await begin_attempt(context_of(client), OPERATION, account="own")
    for number in range(9):
        assert await outcome(client, account=str(number)) == 0
    await client.rows("UPDATE attempts SET forgotten_at = forgotten_at + interval '2000 seconds'")  # more attempts
    async with client.resources.database.transaction() as transaction:
        await attempt.succeeded(transaction.run)
    assert await outcome(client, account="own") == 10


async def test_an_account_is_limited_over_all_addresses_but_not_for_the_trusted_one(client: Client) -> None:
    for number in range(5):
        assert await outcome(client, f"198.51.100.{number}", account="alice") == 0
    assert await outcome(client, "203.0.113.9", account="alice") == 60
    assert await outcome(client, "203.0.113.9", account="alice", trusted=True) == 0
    assert await outcome(client, "203.0.113.9", account="bob") == 0


async def test_a_stranger_does_not_lock_out_the_signed_in_owner(client: Client, alice: Person) -> None:
    owner = Actor(alice.id, session_id="01900000-0000-7000-8000-000000000001")
    for number in range(6):
        await outcome(client, f"198.51.100.{number}", account=alice.id)
    assert await outcome(client, "198.51.100.1", account=alice.id) == 60
    # Not even from the address of the attacker
    assert [await outcome(client, "198.51.100.1", owner, account=alice.id) for _ in range(4)] == [0, 0, 0, 60]
    other = replace(owner, session_id="01900000-0000-7000-8000-000000000002")
    assert await outcome(client, "198.51.100.1", other, account=alice.id) == 0


async def test_sessions_of_another_account_do_not_multiply_the_attempts_of_an_address(client: Client) -> None:
    found = []
    for number in range(5):
        stranger = Actor("stranger", session_id=f"session {number}")
        found.append(await outcome(client, "198.51.100.1", stranger, account="alice"))
    assert found == [0, 0, 0, 60, 60]


async def test_addresses_of_one_ipv6_network_are_one_client(client: Client) -> None:
    hosts = [f"2001:db8:1:2::{number}" for number in range(1, 5)]
    assert [await outcome(client, host, account="alice") for host in hosts] == [0, 0, 0, 60]
    assert await outcome(client, "2001:db8:1:3::1", account="alice") == 0


async def test_a_client_without_an_address_is_limited(client: Client) -> None:
    assert [await outcome(client, None, account="alice") for _ in range(4)] == [0, 0, 0, 60]


async def test_an_attempt_without_an_account_counts_for_the_client(client: Client) -> None:
    assert [await outcome(client) for _ in range(11)] == [0] * 10 + [10]
    assert await outcome(client, "192.0.2.2") == 0


async def test_operations_are_counted_apart(client: Client) -> None:
    assert [await outcome(client, account="alice") for _ in range(4)] == [0, 0, 0, 60]
    assert isinstance(await begin_attempt(context_of(client), LOGIN, account="alice"), Attempt)
    assert isinstance(await begin_attempt(context_of(client), RESET, account="alice"), Attempt)


async def test_parallel_attempts_of_two_workers_do_not_pass_the_limit_cve_2024_4629(
    client: Client, database_url: str
) -> None:
    async with opened_client(Settings(), database_url) as other:
        found = await asyncio.gather(*(outcome(each, account="alice") for each in (client, other) for _ in range(25)))
    assert Counter(seconds == 0 for seconds in found) == {True: 3, False: 47}


async def test_attempts_on_many_keys_do_not_deadlock(client: Client) -> None:
    # Each shares the client with some, and the account with others, and succeeds or fails while they wait
    await client.rows("DELETE FROM attempts")

    async def attempt(number: int) -> None:
        context = context_of(client, f"192.0.2.{number % 3}")
        limit = Limit(1_000, wait=1, longest=1, period=1)
        operation = Operation("test", pair=limit, client=limit, account=limit)
        found = await begin_attempt(context, operation, account=f"{number % 4}")
        if number % 2:
            async with client.resources.database.transaction() as transaction:
                await found.succeeded(transaction.run)

    for _ in range(3):
        await asyncio.gather(*(attempt(number) for number in range(48)))
    assert len(await client.rows("SELECT key FROM attempts")) == 3 + 4 + 12


async def test_the_count_survives_the_rollback_of_the_request_cve_2026_35597(client: Client) -> None:
    found = []

    async def fail() -> None:
        async with client.resources.database.transaction():
            found.append(await outcome(client, account="alice"))
            raise ZeroDivisionError

    for _ in range(4):
        with pytest.raises(ZeroDivisionError):
            await fail()
    assert found == [0, 0, 0, 60]


async def test_an_attempt_is_counted_although_its_request_is_cancelled(client: Client) -> None:
    for _ in range(3):
        task = asyncio.create_task(outcome(client, account="alice"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with asyncio.timeout(5):
        while await outcome(client, account="alice", trusted=True) == 0:
            pass  # at most three, because those of the cancelled requests count
    [pair] = await client.rows("SELECT count(*) FROM attempts WHERE blocked_until IS NOT NULL")
    assert pair["count"] == 1


async def test_an_attempt_survives_the_loss_of_the_connections(client: Client) -> None:
    assert await outcome(client, account="alice") == 0
    others = "pid <> pg_backend_pid() AND datname = current_database()"
    await client.rows(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")  # noqa: S608
    assert [await outcome(client, account="alice") for _ in range(3)] == [0, 0, 60]


async def test_attempts_that_will_succeed_wait_for_each_other(client: Client) -> None:
    most = 0
    running = 0

    async def sign_in() -> None:
        nonlocal most, running
        async with attempt_in_turn(context_of(client), OPERATION, account="alice") as attempt:
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1
            async with client.resources.database.transaction() as transaction:
                await attempt.succeeded(transaction.run)

    await asyncio.gather(*(sign_in() for _ in range(60)))
    assert most == 1, "a limit of 3, for one worker and an attempt more"


async def test_no_key_contains_what_was_entered(client: Client) -> None:
    await client.rows("DELETE FROM attempts")
    await outcome(client, account="hunter2")
    rows = await client.rows("SELECT encode(key, 'escape') AS key FROM attempts")
    assert len(rows) == 3
    assert not any("hunter2" in row["key"] for row in rows)

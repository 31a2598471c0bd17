"""A row or a table that another session holds: the others are served, and what waits for it fails in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import PASSWORD, Client, Person
from tests.faults import eventually, held, seconds

CHANGE = (
    """mutation ($id: ID!) { updateUser(input: {id: $id, firstName: "B"}) { user { firstName } errors { code } } }"""
)
PLAN = "mutation ($name: String!) { createPlan(input: {name: $name, tier: FREE}) { errors { code } } }"
LOGIN = f'mutation {{ login(input: {{login: "alice", password: "{PASSWORD}"}}) {{ errors {{ code }} }} }}'
ME = "{ me { username } }"
ROW = "SELECT FROM users WHERE id = $1 FOR UPDATE"
UNAVAILABLE = ["UNAVAILABLE"]


def codes(answer: dict[str, Any]) -> list[str]:
    return [error["extensions"]["code"] for error in answer.get("errors", [])]


@pytest.mark.parametrize("waiters", [1, 8, 40])
async def test_writes_that_wait_for_a_row_leave_connections_to_others(
    client: Client, database_url: str, root: Person, bob: Person, waiters: int
) -> None:
    await client.execute(LOGIN)
    async with held(database_url, ROW, bob.id) as holder:
        blocked = [
            asyncio.create_task(seconds(client.execute(CHANGE, {"id": bob.id}, by=root))) for _ in range(waiters)
        ]
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        await eventually(lambda: holder.fetch(waiting))
        for number in range(5):
            for document in (LOGIN, PLAN):
                answer, taken = await seconds(client.execute(document, {"name": f"p{number}"}, by=root))
                assert codes(answer) == []
                assert taken < 5, "the eight connections would wait for two seconds for each eight of the waiters"
        answers = await asyncio.gather(*blocked)
        assert [codes(answer) for answer, _ in answers] == [UNAVAILABLE] * waiters
        assert max(taken for _, taken in answers) < 8
    assert codes(await client.execute(CHANGE, {"id": bob.id}, by=root)) == []


async def test_writes_of_one_row_that_is_released_in_time_succeed(
    client: Client, database_url: str, root: Person, bob: Person
) -> None:
    async with held(database_url, ROW, bob.id) as holder:
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        blocked = [asyncio.create_task(client.execute(CHANGE, {"id": bob.id}, by=root)) for _ in range(4)]

        async def all_wait() -> bool:
            await holder.execute("SELECT pg_stat_clear_snapshot()")
            return len(await holder.fetch(waiting)) == 4

        await eventually(all_wait)
    assert [codes(answer) for answer in await asyncio.gather(*blocked)] == [[]] * 4


async def test_a_table_that_is_held_makes_reads_and_writes_fail_in_time(
    client: Client, database_url: str, root: Person, bob: Person
) -> None:
    async with held(database_url, "LOCK TABLE users IN ACCESS EXCLUSIVE MODE"):
        reads = [client.execute(ME, by=person) for person in (root, bob) * 10]
        answers, taken = await seconds(asyncio.gather(*reads, client.execute(CHANGE, {"id": bob.id}, by=root)))
        assert [codes(answer) for answer in answers] == [UNAVAILABLE] * 21
        assert taken < 20
        assert (await client.http.get("/health/live")).status_code == 200
        assert (await client.http.get("/health/ready")).status_code == 200
    assert codes(await client.execute(ME, by=root)) == []
    assert codes(await client.execute(CHANGE, {"id": bob.id}, by=root)) == []


async def test_a_read_does_not_wait_for_the_record_of_its_session(
    client: Client, database_url: str, alice: Person
) -> None:
    await client.rows("UPDATE sessions SET last_seen_at = now() - interval '1 hour'")
    async with held(database_url, "SELECT FROM sessions FOR UPDATE"):
        answer, taken = await seconds(client.execute(ME, by=alice))
        assert (codes(answer), answer["data"]) == ([], {"me": {"username": "alice"}})
        assert taken < 5


async def test_the_lists_of_one_request_leave_a_connection_to_others(
    client: Client, database_url: str, root: Person, alice: Person
) -> None:
    await client.execute(ME, by=alice)
    aliases = " ".join(f"a{number}: auditEvents(first: {number + 1}) {{ nodes {{ id }} }}" for number in range(12))
    async with held(database_url, "LOCK TABLE audit_events IN ACCESS EXCLUSIVE MODE") as holder:
        slow = asyncio.create_task(client.execute(f"{{ {aliases} }}", by=root))
        waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"

        async def all_wait() -> bool:
            await holder.execute("SELECT pg_stat_clear_snapshot()")
            return len(await holder.fetch(waiting)) == 1

        await eventually(all_wait, 4)
        for _ in range(10):
            assert await client.data(ME, by=alice) == {"me": {"username": "alice"}}
        assert len(await holder.fetch(waiting)) == 1
        assert not slow.done()
    assert "errors" not in await slow

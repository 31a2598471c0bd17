"""What ends a mutation on many users in the middle: each user is reported, and what was done stays done."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from service import limits, write_limits
from service.database.transaction import Transaction
from service.settings import Settings
from service.weights import MANY_USERS
from tests.conftest import Client, Person, opened_client
from tests.many_users import FIELDS, RESULTS, create_gold, create_users, key, many, outcomes

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
SUSPEND = f"mutation ($input: SuspendUsersInput!) {{ suspendUsers(input: $input) {{ {RESULTS} errors {{ code }} }} }}"


@asynccontextmanager
async def held(url: str, user_id: str, seconds: float = 10) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Hold the row of a user; the connection sees what waits for it."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(seconds), connection.transaction():
            await connection.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", user_id)
            yield connection
    finally:
        await connection.close()


async def wait_for_lock(url: str) -> None:
    """Wait until a statement waits for a lock."""
    connection = await asyncpg.connect(url)
    try:
        while not await connection.fetchval(WAITING):
            await connection.execute("SELECT pg_sleep(0.01)")
    finally:
        await connection.close()


async def suspended(client: Client, ids: list[str]) -> list[bool]:
    """Return which of the users are suspended."""
    rows = await client.rows("SELECT id FROM users WHERE suspended_at IS NOT NULL")
    found = {row["id"] for row in rows}
    return [each in found for each in ids]


async def test_a_user_who_is_held_is_reported_and_the_others_are_changed(
    client: Client, root: Person, database_url: str
) -> None:
    ids = await create_users(client, 3)
    async with held(database_url, ids[1]):
        payload = await many(client, "suspendUsers", {"ids": ids}, root)
    assert outcomes(payload) == ["done", ("CONFLICT", "ids.1"), "done"]
    assert await suspended(client, ids) == [True, False, True]


async def test_users_that_the_time_does_not_reach_are_reported(
    client: Client, root: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await create_users(client, 5)
    monkeypatch.setattr(limits, "USERS_AT_ONCE_TIME", 1)
    async with held(database_url, ids[2]):
        payload = await many(client, "suspendUsers", {"ids": ids}, root)
    late = [("LIMIT_REACHED", f"ids.{number}") for number in (3, 4)]
    assert outcomes(payload) == ["done", "done", ("CONFLICT", "ids.2"), *late]
    assert await suspended(client, ids) == [True, True, False, False, False]
    again = await many(client, "suspendUsers", {"ids": ids[2:]}, root)
    assert outcomes(again) == ["done"] * 3


async def test_the_time_is_that_of_the_request(client: Client, root: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = await create_users(client, 2)
    monkeypatch.setattr(limits, "USERS_AT_ONCE_TIME", -1)  # an earlier operation of the request has taken it
    for field in FIELDS:
        if field == "changePlans":
            await create_gold(client, root)
        payload = await many(client, field, {"ids": ids} | FIELDS[field], root)
        assert outcomes(payload) == [("LIMIT_REACHED", "ids.0"), ("LIMIT_REACHED", "ids.1")]


async def test_every_user_counts_as_a_change_of_the_account(
    client: Client, admin: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await create_users(client, 70)
    monkeypatch.setattr(write_limits, "ADMIN_FACTOR", 1)
    client.resources.writes._seconds = write_limits.SECONDS / 60  # noqa: SLF001
    payload = await many(client, "suspendUsers", {"ids": ids}, admin)
    assert outcomes(payload)[:60] == ["done"] * 60
    assert outcomes(payload)[60:] == [("LIMIT_REACHED", f"ids.{number}") for number in range(60, 70)]
    assert payload["results"][60]["errors"][0]["message"].startswith("This account has changed too much in an hour")
    answer = await client.execute(SUSPEND, {"input": {"ids": ids[60:]}}, by=admin)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == ({"suspendUsers": None}, "RATE_LIMITED")
    assert sum(await suspended(client, ids)) == 60


LOSSES = {
    "suspended": ("UPDATE users SET suspended_at = now() WHERE id = $1", "This account is suspended."),
    "demoted": (
        "UPDATE users SET role_id = (SELECT id FROM roles WHERE name = 'USER') WHERE id = $1",
        "This requires the permission users.suspend.",
    ),
    "signed out": (
        "DELETE FROM session_tokens USING sessions WHERE sessions.id = session_id AND user_id = $1",
        "The session or API key is not valid. Sign in again.",
    ),
}


@pytest.mark.parametrize("loss", LOSSES)
async def test_a_caller_who_loses_access_changes_no_further_users(
    client: Client, admin: Person, database_url: str, loss: str
) -> None:
    ids = await create_users(client, 4)
    statement, message = LOSSES[loss]
    document = f"""mutation ($ids: [ID!]) {{
      a: suspendUsers(input: {{ids: $ids}}) {{ users {{ id email }} {RESULTS} errors {{ code }} }}
      b: unsuspendUsers(input: {{ids: $ids}}) {{ users {{ id }} }} }}"""
    async with asyncio.timeout(10), held(database_url, ids[1]) as other:
        changing = asyncio.create_task(client.execute(document, {"ids": ids}, by=admin))
        await wait_for_lock(database_url)
        await other.execute(statement, admin.id)
    answer = await changing
    payload = answer["data"]["a"]
    assert [len(each["errors"]) for each in payload["results"]] == [0, 1, 1, 1]
    errors = [each["errors"][0] for each in payload["results"][1:]]
    assert {(error["code"], error["message"]) for error in errors} == {("NOT_ALLOWED", message)}
    assert [error["field"] for error in errors] == [["ids", str(number)] for number in (1, 2, 3)]
    assert await suspended(client, ids) == [True, False, False, False]
    # The rest of the operation is for the caller as of now
    assert (payload["users"], answer["data"]["b"]) == ([{"id": ids[0], "email": None}], None)
    paths = {(error["path"][0], error["path"][-1]) for error in answer["errors"]}
    assert paths == {("a", "email"), ("b", "b")}


async def test_a_caller_without_access_at_the_first_user_gets_the_error_of_the_mutation_on_one(
    client: Client, admin: Person, database_url: str
) -> None:
    ids = await create_users(client, 2)
    async with asyncio.timeout(10), held(database_url, ids[0]) as other:
        changing = asyncio.create_task(client.execute(SUSPEND, {"input": {"ids": ids}}, by=admin))
        await wait_for_lock(database_url)
        await other.execute(LOSSES["demoted"][0], admin.id)
    answer = await changing
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == ({"suspendUsers": None}, "FORBIDDEN")
    assert await suspended(client, ids) == [False, False]


async def test_a_key_that_is_emptied_in_the_middle_changes_no_further_users(
    client: Client, admin: Person, database_url: str
) -> None:
    ids = await create_users(client, 3)
    secret = await key(client, admin, "users.suspend")
    await client.execute("{ me { id } }", by=secret)  # records the use of the key, which would wait
    async with asyncio.timeout(10), held(database_url, ids[1]):
        changing = asyncio.create_task(many(client, "suspendUsers", {"ids": ids}, secret))
        await wait_for_lock(database_url)
        await client.rows("UPDATE api_keys SET permissions = '{}'")
    payload = await changing
    assert [bool(each["errors"]) for each in payload["results"]] == [False, True, True]
    assert await suspended(client, ids) == [True, False, False]


@pytest.mark.parametrize("number", [0, 2])
async def test_a_lost_connection_in_the_middle_is_reported(
    client: Client, root: Person, database_url: str, number: int
) -> None:
    ids = await create_users(client, 5)
    async with asyncio.timeout(10), held(database_url, ids[number]) as other:
        changing = asyncio.create_task(client.execute(SUSPEND, {"input": {"ids": ids}}, by=root))
        await wait_for_lock(database_url)
        ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        await other.execute(f"{ended} AND datname = current_database()")
        answer = await changing
    assert await suspended(client, ids) == [True] * number + [False] * (5 - number)
    if not number:
        extensions = answer["errors"][0]["extensions"]
        assert (answer["data"], extensions["code"]) == ({"suspendUsers": None}, "UNAVAILABLE")
        return
    results = answer["data"]["suspendUsers"]["results"]
    found = [[error["code"] for error in each["errors"]] for each in results]
    assert found == [[], [], ["CONFLICT"], ["LIMIT_REACHED"], ["LIMIT_REACHED"]]
    assert "Read the user" in results[2]["errors"][0]["message"]


# Beside BEGIN and COMMIT; each changing statement also reads the caller's credential, in the same round trip
STATEMENTS = {
    "suspendUsers": ["lock_user", "suspend_user", "end_sessions_by_user", "create_audit_event"],
    "unsuspendUsers": ["lock_user", "unsuspend_user", "create_audit_event"],
    "deleteUsers": [
        *("lock_user", "dependents_of_user", "delete_user", "create_retired_username", "create_audit_event"),
    ],
    "changePlans": ["lock_user", "plan_by_key", "attribute_plan", "change_plan", "create_audit_event"],
    "setRoles": ["lock_user", "role_by_key", "update_user", "create_audit_event"],
}


@pytest.mark.parametrize("field", STATEMENTS)
async def test_statements_grow_with_the_users_and_nothing_else(
    client: Client, root: Person, monkeypatch: pytest.MonkeyPatch, field: str
) -> None:
    ids = await create_users(client, 15)
    await create_gold(client, root)
    if field == "unsuspendUsers":
        await client.rows("UPDATE users SET suspended_at = now() WHERE username LIKE 'many%'")
    ran: list[str] = []
    run, run_with_row = Transaction.run, Transaction.run_with_row

    async def run_and_note(self: Transaction, name: str, /, **parameters: Any) -> Any:
        ran.append(name)
        return await run(self, name, **parameters)

    async def run_with_row_and_note(self: Transaction, name: str, reading: str, /, **parameters: Any) -> Any:
        ran.append(name)
        return await run_with_row(self, name, reading, **parameters)

    monkeypatch.setattr(Transaction, "run", run_and_note)
    monkeypatch.setattr(Transaction, "run_with_row", run_with_row_and_note)
    by_filter = {"filter": {"ids": ids[5:]}, "expectedCount": 10}
    selections: list[tuple[dict[str, Any], int, int]] = [({"ids": ids[:5]}, 5, 0), (by_filter, 10, 1)]
    for selection, count, reads in selections:
        ran.clear()
        before = client.reads
        assert outcomes(await many(client, field, selection | FIELDS[field], root)) == ["done"] * count
        assert ran == STATEMENTS[field] * count
        # The caller, the users of a filter, and the plan: once for all users
        assert client.reads - before == 1 + reads + (field == "changePlans")


async def test_a_request_may_have_two_mutations_on_many_users(client: Client, root: Person) -> None:
    ids = await create_users(client, 2)

    def document(count: int) -> str:
        field = f'suspendUsers(input: {{ids: ["{ids[0]}"]}}) {{ results {{ userId }} }}'
        return "mutation { " + " ".join(f"a{number}: {field}" for number in range(count)) + " }"

    headers = {"authorization": f"Bearer {root.token}"}
    for body, times, runs in (([document(3)], 3, 0), ([document(10)], 10, 0), ([document(1)] * 3, 3, 2)):
        batch = [{"query": text} for text in body]
        answers = (await client.http.post("/graphql", json=batch, headers=headers)).json()
        over = {"code": "QUERY_TOO_COMPLEX", "cost": times * MANY_USERS.statements, "limit": 500}
        assert [error["extensions"] for answer in answers for error in answer.get("errors", ())] == [over]
        assert len([answer for answer in answers if "data" in answer]) == runs
    assert len(await client.data(document(2), by=root)) == 2


async def test_the_objects_of_a_hundred_users_count(client: Client, root: Person) -> None:
    def document(pages: int) -> str:
        page = "sessions(first: 100) { nodes { id } }"
        selection = " ".join(f"p{number}: {page}" for number in range(pages))
        return f'mutation {{ suspendUsers(input: {{search: "x"}}) {{ users {{ {selection} }} }} }}'

    limit = Settings().node_limit
    allowed = limit // (100 * 100)
    answer = await client.execute(document(allowed + 1), by=root)
    cost = 100 * (1 + 100 * (allowed + 1))
    assert answer["errors"][0]["extensions"] == {"code": "QUERY_TOO_COMPLEX", "cost": cost, "limit": limit}


async def test_a_hundred_users_do_not_delay_others(
    client: Client, root: Person, alice: Person, database_url: str
) -> None:
    ids = await create_users(client, 100)
    async with opened_client(Settings(writers=1), database_url) as narrow:
        changing = asyncio.create_task(many(narrow, "suspendUsers", {"ids": ids}, root))
        slowest, others = 0.0, Counter[str]()
        while not changing.done():
            started = time.perf_counter()
            await narrow.data("{ me { id } }", by=alice)
            slowest = max(slowest, time.perf_counter() - started)
            value = {"firstName": f"A{others['reads']}"}
            payload = await narrow.mutate("updateProfile", value, "user { id }", by=alice)
            others.update(["reads", *(["writes"] if not payload["errors"] else [])])
    assert outcomes(await changing) == ["done"] * 100
    # With one connection for writes, the writes of others come between those of the users
    assert others["writes"] == others["reads"] > 5
    assert slowest < 1

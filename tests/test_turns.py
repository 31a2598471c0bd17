"""Long work gives other requests their turn of the event loop."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import pytest_asyncio

from service import turns
from service.execution import levels, relations
from service.operations import documents
from service.turns import TURNS_BETWEEN, aside, pause
from tests.conftest import Client, Person
from tests.module_client import module_client

FILL = """
INSERT INTO audit_events (event, actor_id, credential, target_type, target_id, owner_id, changes)
SELECT 'user.update', users.id, 'command', 'User', users.id, users.id, '{}'
FROM users, generate_series(1, 90)
"""
LONG = "{ users { nodes { id auditEvents(first: 90) { nodes { id event createdAt actor { username } } } } } }"
USERS = 5


@pytest_asyncio.fixture(scope="module")
async def client(server_url: str, people: dict[str, Person]) -> AsyncIterator[Client]:
    """Return one client for all tests, on a database with a long list of events."""
    assert people
    async with module_client(server_url) as opened:
        await opened.rows(FILL)
        yield opened


@pytest.fixture
def no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every turn a long one, so that each part of long work ends it."""
    monkeypatch.setattr(turns, "LONGEST_TURN", -1.0)


@pytest.fixture(autouse=True)
def _no_pauses() -> None:
    """Divide the work, which other tests do not."""


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[None]]:
    """Return a list that grows with every pause that long work made."""
    found = list[None]()
    resume = turns._Turns._resume  # noqa: SLF001

    def watched(self: Any, left: int) -> None:
        if not left:
            found.append(None)
        resume(self, left)

    with monkeypatch.context() as patch:
        patch.setattr(turns._Turns, "_resume", watched)  # noqa: SLF001
        yield found


async def test_a_short_turn_has_no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "LONGEST_TURN", 60.0)
    with counted(monkeypatch) as pauses:
        for _ in range(100):
            await pause()
    assert len(pauses) == 0


@pytest.mark.usefixtures("no_time")
async def test_others_have_turns_between_two_parts() -> None:
    order = list[str]()

    async def long() -> None:
        for number in range(3):
            order.append(f"part {number}")
            await pause()

    async def other() -> None:
        while len(order) < 3 + 2 * TURNS_BETWEEN:
            order.append("other")
            await asyncio.sleep(0)

    await asyncio.gather(long(), other())
    places = [order.index(f"part {number}") for number in range(3)]
    assert all(second - first >= TURNS_BETWEEN for first, second in itertools.pairwise(places))


@pytest.mark.usefixtures("no_time")
async def test_long_work_of_several_requests_takes_turns() -> None:
    order = list[str]()

    async def long(name: str) -> None:
        for _ in range(4):
            order.append(name)
            await pause()

    await asyncio.gather(long("a"), long("b"), long("c"))
    assert order == ["a", "b", "c"] * 4


@pytest.mark.usefixtures("no_time")
async def test_a_cancelled_pause_does_not_stop_the_others() -> None:
    cancelled, other = asyncio.create_task(pause()), asyncio.create_task(pause())
    await asyncio.sleep(0)
    cancelled.cancel()
    await other
    assert cancelled.cancelled()


async def test_work_aside_leaves_the_loop_free() -> None:
    task = asyncio.create_task(aside(time.sleep, 0.2))
    turns_meanwhile = 0
    while not task.done():
        turns_meanwhile += 1
        await asyncio.sleep(0)
    assert turns_meanwhile > 10
    with pytest.raises(ZeroDivisionError):
        await aside(divmod, 1, 0)


@pytest.mark.usefixtures("no_time")
async def test_a_long_level_is_built_in_parts(client: Client, root: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = await client.data(LONG, by=root)
    with counted(monkeypatch) as few:
        await client.data(LONG, by=root)
    monkeypatch.setattr(levels, "VALUES_PER_PART", 100)
    with counted(monkeypatch) as many:
        assert await client.data(LONG, by=root) == whole
    assert len(whole["users"]["nodes"]) == USERS
    assert {len(user["auditEvents"]["nodes"]) for user in whole["users"]["nodes"]} == {90}
    assert len(few) < 5
    assert len(many) >= USERS * 90 // (100 // 4)  # rows of four fields


@pytest.mark.parametrize("by", ["root", "alice", "bob"])
async def test_parts_change_neither_answers_nor_queries(
    client: Client, people: dict[str, Person], by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = """nodes { id event credential ip changes actor { username email plan { name } } target { id ... on User {
      email suspension { reason } limits { memoryMb } permissions sessions { totalCount edges { cursor } } } } }"""
    query = f"{{ me {{ auditEvents(first: 40) {{ {fields} edges {{ cursor node {{ ip }} }} }} }} }}"
    answers, reads = [], []
    for values, rows in ((10**9, 10**9), (1, 1)):
        monkeypatch.setattr(levels, "VALUES_PER_PART", values)
        monkeypatch.setattr(relations, "ROWS_PER_PART", rows)
        before = client.reads
        answers.append(await client.execute(query, by=people[by]))
        reads.append(client.reads - before)
    assert answers[0] == answers[1]
    assert reads[0] == reads[1]


@pytest.mark.usefixtures("no_time")
async def test_many_root_fields_take_turns(client: Client, root: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = " ".join(f"a{number}: user(by: {{id: $id}}) {{ id }}" for number in range(60))
    with counted(monkeypatch) as pauses:
        found = await client.data(f"query ($id: ID!) {{ {fields} }}", {"id": root.id}, by=root)
    assert len(found) == 60
    assert len(pauses) >= 60 * 2


async def test_long_documents_variables_and_failures_are_handled_aside(
    client: Client, root: Person, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled = list[str]()

    async def watched(function: Any, *arguments: Any) -> Any:
        handled.append(getattr(function, "__name__", ""))
        return await aside(function, *arguments)

    for module in ("operations.documents", "execution.engine", "execution.run", "graphql_core.introspection"):
        monkeypatch.setattr(f"service.{module}.aside", watched)
    long = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {' '.join(f'a{number}: id' for number in range(50))} }} }}"
    for expected in (["_parse", "get", "get"], []):
        handled.clear()
        await client.data(long, {"ids": []}, by=root)
        assert handled == expected
    handled.clear()
    await client.data(long, {"ids": [root.id] * 90}, by=root)
    assert handled == ["_coerced", "get"]
    handled.clear()
    # One scalar, which is as large as its JSON value
    settings = "mutation ($patch: JSON!) { updateSettings(input: {patch: $patch}) { errors { code } } }"
    await client.data(settings, {"patch": dict.fromkeys(map(str, range(500)))}, by=root)
    assert handled == ["_coerced"]
    # Failures in a response of many objects
    nodes = "nodes { id target { ... on User { externalId } } }"
    for text, expected in (
        (f"{{ me {{ auditEvents(first: 20) {{ {nodes} }} }} }}", []),
        (f"{{ me {{ auditEvents(first: 90) {{ edges {{ node {{ id }} }} {nodes} }} }} }}", ["_resolved"]),
    ):
        handled.clear()
        answer = await client.execute(text, by=alice)
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
        assert handled == expected
    handled.clear()
    answer = await client.execute("{ users(after: 1) { nodes { id } } }" + " " * documents.SHORT_TEXT, by=root)
    assert (answer["errors"][0]["extensions"]["code"], handled) == ("BAD_USER_INPUT", ["_parse"])

"""Loaders: the rows of many keys in one query, kept for the request, and forgotten after a write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import asyncpg
import pytest

from service.database.counts import Count
from service.database.loaders import Loaders
from service.pagination import Window
from tests.conftest import Client, Person

UNKNOWN = "00000000-0000-7000-8000-00000000ffff"


def names(users: Iterable[Any]) -> list[str]:
    """Return the usernames."""
    return [user.username for user in users]


async def test_keys_that_are_requested_together_share_a_query(
    client: Client, alice: Person, bob: Person, root: Person
) -> None:
    loaders, before = Loaders(client.resources.database), client.reads
    users = await asyncio.gather(*(loaders.one("users_by_id", person.id) for person in (bob, alice, root, bob)))
    assert names(users) == ["bob", "alice", "root", "bob"]
    assert client.reads - before == 1


async def test_a_result_is_kept(client: Client, alice: Person, bob: Person) -> None:
    loaders, before = Loaders(client.resources.database), client.reads
    first = await loaders.one("users_by_id", alice.id)
    again, other = await asyncio.gather(loaders.one("users_by_id", alice.id), loaders.one("users_by_id", bob.id))
    assert (again is first, other.username, client.reads - before) == (True, "bob", 2)


async def test_a_missing_row_is_kept_too(client: Client) -> None:
    loaders, before = Loaders(client.resources.database), client.reads
    assert [await loaders.one("users_by_id", UNKNOWN) for _ in range(3)] == [None] * 3
    assert [await loaders.page("sessions_by_user", UNKNOWN, Window("sessions")) for _ in range(3)] == [[]] * 3
    none = {UNKNOWN: [Count(0, is_estimate=False)]}
    assert [await loaders.load_counts("sessions_by_user", (UNKNOWN,)) for _ in range(3)] == [none] * 3
    assert client.reads - before == 3


async def test_pages_and_counts_of_many_parents_take_one_query_each(client: Client, alice: Person, bob: Person) -> None:
    loaders, before = Loaders(client.resources.database), client.reads
    parents, window = (alice.id, bob.id, UNKNOWN), Window("sessions")
    found = await asyncio.gather(
        *(loaders.page("sessions_by_user", key, window) for key in parents),
        *(loaders.load_counts("sessions_by_user", (key,)) for key in parents),
    )
    counts = [count[key][0].number for key, count in zip(parents, found[3:], strict=True)]
    assert [len(rows) for rows in found[:3]] == counts == [1, 1, 0]
    assert [row.user_id for rows in found[:3] for row in rows] == [alice.id, bob.id]
    assert client.reads - before == 2


async def test_pages_of_different_windows_are_different_queries(client: Client, alice: Person) -> None:
    loaders, before = Loaders(client.resources.database), client.reads
    windows = [Window("sessions", size) for size in (1, 2)] + [Window("sessions", backward=True)]
    found = await asyncio.gather(*(loaders.page("sessions_by_user", alice.id, window) for window in windows * 2))
    assert [len(rows) for rows in found] == [1] * 6
    assert client.reads - before == 3


async def test_nothing_is_kept_after_a_write(client: Client, alice: Person) -> None:
    loaders = Loaders(client.resources.database)
    old = await loaders.one("users_by_id", alice.id)
    await client.rows("UPDATE users SET first_name = 'Alicia' WHERE id = $1", alice.id)
    assert (await loaders.one("users_by_id", alice.id)).first_name == old.first_name
    loaders.forget()
    assert (await loaders.one("users_by_id", alice.id)).first_name == "Alicia"


async def test_a_request_just_before_a_write_gets_its_result(client: Client, alice: Person) -> None:
    loaders, before = Loaders(client.resources.database), client.reads
    early = asyncio.ensure_future(loaders.one("users_by_id", alice.id))
    await asyncio.sleep(0)  # it is pending, and its query has not started
    loaders.forget()
    late = asyncio.ensure_future(loaders.one("users_by_id", alice.id))
    async with asyncio.timeout(5):
        assert names(await asyncio.gather(early, late)) == ["alice", "alice"]
    assert client.reads - before == 1  # the statement starts after both requests, so it is outdated for none


async def test_an_error_reaches_every_request_of_the_query(client: Client, alice: Person, bob: Person) -> None:
    loaders = Loaders(client.resources.database)
    await client.rows("ALTER TABLE ssh_keys RENAME TO lost")
    keys = (alice.id, bob.id, alice.id)
    found = await asyncio.gather(*(loaders.one("ssh_keys_by_id", key) for key in keys), return_exceptions=True)
    assert [type(error) for error in found] == [asyncpg.UndefinedTableError] * 3
    with pytest.raises(asyncpg.UndefinedTableError):
        await loaders.one("ssh_keys_by_id", alice.id)


async def test_a_key_of_the_wrong_type_affects_no_later_request(client: Client, alice: Person) -> None:
    loaders = Loaders(client.resources.database)
    with pytest.raises(asyncpg.DataError):
        await loaders.one("users_by_id", "not an id")
    assert (await loaders.one("users_by_id", alice.id)).username == "alice"


async def test_a_cancelled_request_does_not_cancel_the_others(client: Client, alice: Person) -> None:
    requests = [Loaders(client.resources.database) for _ in range(2)]
    cancelled, other = (asyncio.ensure_future(loaders.one("users_by_id", alice.id)) for loaders in requests)
    await asyncio.sleep(0)
    cancelled.cancel()
    assert (await other).username == "alice"
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_a_field_that_graphql_core_cancels_does_not_cancel_the_others(client: Client, alice: Person) -> None:
    loaders = Loaders(client.resources.database)
    loaders.shielded = True
    cancelled, other = (asyncio.ensure_future(loaders.one("users_by_id", alice.id)) for _ in range(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    assert (await other).username == "alice"
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    only = asyncio.ensure_future(loaders.one("users_by_email", "alice@roster.test"))
    await asyncio.sleep(0)
    only.cancel()
    assert (await loaders.one("users_by_email", "alice@roster.test")).username == "alice"


async def test_each_http_request_has_its_own_loaders(client: Client, alice: Person, root: Person) -> None:
    document = "query ($id: ID!) { user(by: {id: $id}) { firstName } }"
    for name in ("One", "Two"):
        await client.rows("UPDATE users SET first_name = $1 WHERE id = $2", name, alice.id)
        assert await client.data(document, {"id": alice.id}, by=root) == {"user": {"firstName": name}}


async def test_a_mutation_returns_its_result_for_a_row_that_was_read_before(client: Client, alice: Person) -> None:
    document = """mutation {
        a: updateProfile(input: {firstName: "A"}) { user { firstName sessions { nodes { user { firstName } } } } }
        b: updateProfile(input: {firstName: "B"}) { user { firstName sessions { nodes { user { firstName } } } } }
    }"""
    data = await client.data(document, by=alice)
    for alias, name in (("a", "A"), ("b", "B")):
        nodes = [{"user": {"firstName": name}}]
        assert data[alias] == {"user": {"firstName": name, "sessions": {"nodes": nodes}}}

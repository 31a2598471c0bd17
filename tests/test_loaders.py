"""Rows of many keys in one statement: batched, kept for the request, forgotten after a write."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import asyncpg
import pytest

from service.loaders import Loaders
from tests.conftest import Door, Person


def names(users: Iterable[Any]) -> list[str]:
    return [user.username for user in users]


async def test_keys_of_one_moment_share_a_statement(door: Door, alice: Person, bob: Person, root: Person) -> None:
    loaders, before = Loaders(door.house.database), door.reads
    users = await asyncio.gather(*(loaders.one("users_by_id", person.id) for person in (bob, alice, root, bob)))
    assert names(users) == ["bob", "alice", "root", "bob"]
    assert door.reads - before == 1


async def test_an_answer_is_kept(door: Door, alice: Person, bob: Person) -> None:
    loaders, before = Loaders(door.house.database), door.reads
    first = await loaders.one("users_by_id", alice.id)
    again, other = await asyncio.gather(loaders.one("users_by_id", alice.id), loaders.one("users_by_id", bob.id))
    assert (again is first, other.username, door.reads - before) == (True, "bob", 2)


async def test_a_missing_row_is_kept_too(door: Door) -> None:
    loaders, before = Loaders(door.house.database), door.reads
    nobody = "00000000-0000-7000-8000-00000000ffff"
    assert [await loaders.one("users_by_id", nobody) for _ in range(3)] == [None] * 3
    assert await loaders.many("sessions_by_user", nobody, low=None, high=None, ascending=False, limit=5) == []
    assert door.reads - before == 2


async def test_other_parameters_are_another_question(door: Door, alice: Person) -> None:
    loaders, before = Loaders(door.house.database), door.reads
    page = {"low": None, "high": None, "ascending": False}
    one, two = await asyncio.gather(
        loaders.many("sessions_by_user", alice.id, **page, limit=1),
        loaders.many("sessions_by_user", alice.id, **page, limit=2),
    )
    assert (one, door.reads - before) == (two, 2)


async def test_nothing_is_kept_beyond_a_write(door: Door, alice: Person) -> None:
    loaders = Loaders(door.house.database)
    old = await loaders.one("users_by_id", alice.id)
    await door.rows("UPDATE users SET first_name = 'Alicia' WHERE id = $1", alice.id)
    assert (await loaders.one("users_by_id", alice.id)).first_name == old.first_name
    loaders.forget()
    assert (await loaders.one("users_by_id", alice.id)).first_name == "Alicia"


async def test_who_asked_just_before_a_write_is_answered_too(door: Door, alice: Person) -> None:
    loaders, before = Loaders(door.house.database), door.reads
    early = asyncio.ensure_future(loaders.one("users_by_id", alice.id))
    await asyncio.sleep(0)  # the question stands, its statement does not run yet
    loaders.forget()
    late = asyncio.ensure_future(loaders.one("users_by_id", alice.id))
    async with asyncio.timeout(5):
        assert names(await asyncio.gather(early, late)) == ["alice", "alice"]
    assert door.reads - before == 2


async def test_an_error_reaches_everybody_who_waits(door: Door, alice: Person, bob: Person) -> None:
    loaders = Loaders(door.house.database)
    await door.rows("ALTER TABLE ssh_keys RENAME TO lost")
    keys = (alice.id, bob.id, alice.id)
    found = await asyncio.gather(*(loaders.one("ssh_keys_by_id", key) for key in keys), return_exceptions=True)
    assert [type(error) for error in found] == [asyncpg.UndefinedTableError] * 3
    with pytest.raises(asyncpg.UndefinedTableError):
        await loaders.one("ssh_keys_by_id", alice.id)


async def test_a_key_that_fits_no_type_fails_alone(door: Door, alice: Person) -> None:
    loaders = Loaders(door.house.database)
    with pytest.raises(asyncpg.DataError):
        await loaders.one("users_by_id", "no id")
    assert (await loaders.one("users_by_id", alice.id)).username == "alice"


async def test_who_goes_away_takes_nothing_from_the_others(door: Door, alice: Person) -> None:
    loaders = Loaders(door.house.database)
    going, staying = (asyncio.ensure_future(loaders.one("users_by_id", alice.id)) for _ in range(2))
    await asyncio.sleep(0)
    going.cancel()
    assert (await staying).username == "alice"
    with pytest.raises(asyncio.CancelledError):
        await going
    last = asyncio.ensure_future(loaders.one("users_by_email", "alice@roster.test"))
    await asyncio.sleep(0)
    last.cancel()
    assert (await loaders.one("users_by_email", "alice@roster.test")).username == "alice"


async def test_each_request_has_its_own(door: Door, alice: Person, root: Person) -> None:
    document = "query ($id: ID!) { user(by: {id: $id}) { firstName } }"
    for name in ("One", "Two"):
        await door.rows("UPDATE users SET first_name = $1 WHERE id = $2", name, alice.id)
        assert await door.data(document, {"id": alice.id}, by=root) == {"user": {"firstName": name}}


async def test_a_mutation_answers_with_what_it_made_of_a_row_read_before(door: Door, alice: Person) -> None:
    document = """mutation {
        a: updateProfile(input: {firstName: "A"}) { user { firstName sessions { nodes { user { firstName } } } } }
        b: updateProfile(input: {firstName: "B"}) { user { firstName sessions { nodes { user { firstName } } } } }
    }"""
    answer = await door.data(document, by=alice)
    for alias, name in (("a", "A"), ("b", "B")):
        nodes = [{"user": {"firstName": name}}]
        assert answer[alias] == {"user": {"firstName": name, "sessions": {"nodes": nodes}}}

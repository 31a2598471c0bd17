"""Connections that are lost, outdated or few: reads are answered all the same, and writes find a new one."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from service.settings import Settings
from tests.conftest import Door, Person

ME = "{ me { username role { name } sessions { nodes { id } } } }"
PROFILE = 'mutation { updateProfile(input: {firstName: "Al"}) { user { firstName } errors { code } } }'
KILL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'roster' AND pid <> pg_backend_pid()"""


async def outside(database_url: str, sql: str) -> list[Any]:
    """Rows of a statement by somebody else than the service."""
    connection = await asyncpg.connect(database_url)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


async def lock_waited_for(database_url: str) -> None:
    """Until somebody waits for a lock."""
    async with asyncio.timeout(5):
        waiting: list[Any] = []
        while not waiting:
            waiting = await outside(database_url, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


async def test_reads_under_way_survive_the_loss_of_every_connection(
    door: Door, database_url: str, alice: Person
) -> None:
    answers: list[dict[str, Any]] = []
    killed = 0

    async def client() -> None:
        answers.extend([await door.ask(ME, by=alice) for _ in range(30)])

    async def killer() -> None:
        nonlocal killed
        for _ in range(5):
            await asyncio.sleep(0.1)
            killed += len(await outside(database_url, KILL))

    await asyncio.gather(killer(), *(client() for _ in range(8)))
    assert killed >= 5
    assert [answer for answer in answers if "errors" in answer] == []
    assert len(answers) == 240


async def test_the_first_read_after_a_loss_is_answered(door: Door, database_url: str, alice: Person) -> None:
    for _ in range(3):
        assert await outside(database_url, KILL)
        assert (await door.data(ME, by=alice))["me"]["username"] == "alice"
    assert await outside(database_url, KILL)
    together = await asyncio.gather(*(door.data(ME, by=alice) for _ in range(20)))
    assert {answer["me"]["username"] for answer in together} == {"alice"}


async def test_writes_find_a_new_connection(door: Door, database_url: str, alice: Person) -> None:
    assert await door.data(PROFILE, by=alice)
    assert await outside(database_url, KILL)
    await asyncio.sleep(0.05)  # what the server closed is seen by the loop, not by the next statement
    assert (await door.data(PROFILE, by=alice))["updateProfile"] == {"user": {"firstName": "Al"}, "errors": []}


async def test_a_write_that_loses_its_connection_changes_nothing_and_says_so(
    door: Door, database_url: str, alice: Person
) -> None:
    blocker = await asyncpg.connect(database_url)
    async with blocker.transaction():
        await blocker.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", alice.id)
        waiting = asyncio.ensure_future(door.ask(PROFILE, by=alice))
        await lock_waited_for(database_url)
        await outside(database_url, KILL)
        answer = await waiting
    await blocker.close()
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAVAILABLE"]
    assert await door.rows("SELECT FROM users WHERE first_name = 'Al'") == []
    assert await door.rows("SELECT FROM audit_events WHERE event = 'user.profile'") == []
    assert (await door.data(PROFILE, by=alice))["updateProfile"]["errors"] == []


TABLES = ("api_keys", "plans", "roles", "servers", "sessions", "ssh_keys", "subusers", "users")
WIDE = """{ users(orderBy: USERNAME_ASC) { nodes {
  username role { id } plan { id } sessions { nodes { id } } apiKeys { nodes { id } } sshKeys { nodes { id } }
  servers { nodes { id } } memberships { nodes { id } }
} } plans { id } roles { id } }"""


async def test_a_new_column_disturbs_no_read(door: Door, database_url: str, root: Person) -> None:
    before = await door.data(WIDE, by=root)
    for number in range(3):
        for table in TABLES:
            await outside(database_url, f"ALTER TABLE {table} ADD COLUMN new_{number} integer NOT NULL DEFAULT 1")
        assert await asyncio.gather(*(door.data(WIDE, by=root) for _ in range(8))) == [before] * 8


async def test_a_new_column_disturbs_no_write(door: Door, database_url: str, alice: Person) -> None:
    for number in range(3):
        assert (await door.data(PROFILE, by=alice))["updateProfile"]["errors"] == []
        await outside(database_url, f"ALTER TABLE users ADD COLUMN new_{number} integer NOT NULL DEFAULT 1")


async def test_a_write_that_met_a_new_column_may_be_tried_again(door: Door, database_url: str, alice: Person) -> None:
    assert await door.data(PROFILE, by=alice)
    await outside(database_url, "ALTER TABLE users ADD COLUMN new integer NOT NULL DEFAULT 1")
    answer = await door.ask(PROFILE, by=alice)
    assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"UNAVAILABLE"}
    assert (await door.data(PROFILE, by=alice))["updateProfile"] == {"user": {"firstName": "Al"}, "errors": []}


class TestOneConnection:
    """A worker that holds a single connection for reads, and one for writes."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(readers=1, writers=1)

    async def test_more_reads_than_connections_wait_for_their_turn(self, door: Door, alice: Person) -> None:
        answers = await asyncio.gather(*(door.data(ME, by=alice) for _ in range(50)))
        assert {answer["me"]["username"] for answer in answers} == {"alice"}

    async def test_more_writes_than_connections_wait_for_their_turn(self, door: Door, alice: Person) -> None:
        before = (await door.data("{ me { version } }", by=alice))["me"]["version"]
        names = [f"Al{number}" for number in range(20)]
        query = "mutation ($name: String) { updateProfile(input: {firstName: $name}) { user { firstName } } }"
        answers = await asyncio.gather(*(door.data(query, {"name": name}, by=alice) for name in names))
        assert [answer["updateProfile"]["user"]["firstName"] for answer in answers] == names
        assert (await door.data("{ me { version } }", by=alice))["me"]["version"] == before + 20

    async def test_a_read_that_is_given_up_does_not_take_the_connection(self, door: Door, alice: Person) -> None:
        database = door.house.database
        async with database.connection() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.ensure_future(database.read("users_by_id", keys=[alice.id]))
            await asyncio.sleep(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await database.read("ping") == 1
        assert (await door.data(ME, by=alice))["me"]["username"] == "alice"

    async def test_a_read_that_fails_does_not_take_the_connection(self, door: Door, alice: Person) -> None:
        for _ in range(3):
            with pytest.raises(asyncpg.DataError):
                await door.house.database.read("users_by_id", keys=["no id"])
        assert (await door.data(ME, by=alice))["me"]["username"] == "alice"

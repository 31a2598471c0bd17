"""Connections that are lost, outdated, or few: reads are repeated, and writes get a new connection."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from service.database.connection import Database
from service.database.read_connection import PREPARED
from service.database.statements import Statement
from service.settings import Settings
from tests.conftest import Client, Person

ME = "{ me { username role { name } sessions { nodes { id } } } }"
PROFILE = 'mutation { updateProfile(input: {firstName: "Al"}) { user { firstName } errors { code } } }'
KILL = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'roster' AND pid <> pg_backend_pid()"""


async def outside(database_url: str, sql: str) -> list[Any]:
    """Return the rows of a statement on a connection that is not the service's."""
    connection = await asyncpg.connect(database_url)
    try:
        return list(await connection.fetch(sql))
    finally:
        await connection.close()


async def wait_for_lock(database_url: str) -> None:
    """Wait until a connection waits for a lock."""
    async with asyncio.timeout(5):
        waiting: list[Any] = []
        while not waiting:
            waiting = await outside(database_url, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")


async def test_reads_in_progress_survive_the_loss_of_every_connection(
    client: Client, database_url: str, alice: Person
) -> None:
    responses: list[dict[str, Any]] = []
    killed = 0

    async def read() -> None:
        responses.extend([await client.execute(ME, by=alice) for _ in range(30)])

    async def kill() -> None:
        nonlocal killed
        for _ in range(5):
            await asyncio.sleep(0.1)
            killed += len(await outside(database_url, KILL))

    await asyncio.gather(kill(), *(read() for _ in range(8)))
    assert killed >= 5
    assert [response for response in responses if "errors" in response] == []
    assert len(responses) == 240


async def test_the_first_read_after_a_loss_succeeds(client: Client, database_url: str, alice: Person) -> None:
    for _ in range(3):
        assert await outside(database_url, KILL)
        assert (await client.data(ME, by=alice))["me"]["username"] == "alice"
    assert await outside(database_url, KILL)
    together = await asyncio.gather(*(client.data(ME, by=alice) for _ in range(20)))
    assert {data["me"]["username"] for data in together} == {"alice"}


async def test_writes_get_a_new_connection(client: Client, database_url: str, alice: Person) -> None:
    assert await client.data(PROFILE, by=alice)
    assert await outside(database_url, KILL)
    await asyncio.sleep(0.05)  # the event loop notices the closed connection, a statement would not
    assert (await client.data(PROFILE, by=alice))["updateProfile"] == {"user": {"firstName": "Al"}, "errors": []}


async def test_a_write_that_loses_its_connection_changes_nothing_and_reports_it(
    client: Client, database_url: str, alice: Person
) -> None:
    blocker = await asyncpg.connect(database_url)
    async with blocker.transaction():
        await blocker.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", alice.id)
        waiting = asyncio.ensure_future(client.execute(PROFILE, by=alice))
        await wait_for_lock(database_url)
        await outside(database_url, KILL)
        response = await waiting
    await blocker.close()
    assert [error["extensions"]["code"] for error in response["errors"]] == ["UNAVAILABLE"]
    assert await client.rows("SELECT FROM users WHERE first_name = 'Al'") == []
    assert await client.rows("SELECT FROM audit_events WHERE event = 'user.profile'") == []
    assert (await client.data(PROFILE, by=alice))["updateProfile"]["errors"] == []


TABLES = ("api_keys", "plans", "roles", "servers", "sessions", "ssh_keys", "subusers", "users")
WIDE = """{ users(orderBy: USERNAME_ASC) { nodes {
  username role { id } plan { id } sessions { nodes { id } } apiKeys { nodes { id } } sshKeys { nodes { id } }
  servers { nodes { id } } memberships { nodes { id } }
} } plans { id } roles { id } }"""


async def test_a_new_column_affects_no_read(client: Client, database_url: str, root: Person) -> None:
    before = await client.data(WIDE, by=root)
    for number in range(3):
        for table in TABLES:
            await outside(database_url, f"ALTER TABLE {table} ADD COLUMN new_{number} integer NOT NULL DEFAULT 1")
        assert await asyncio.gather(*(client.data(WIDE, by=root) for _ in range(8))) == [before] * 8


async def test_a_new_column_affects_no_write(client: Client, database_url: str, alice: Person) -> None:
    for number in range(3):
        assert (await client.data(PROFILE, by=alice))["updateProfile"]["errors"] == []
        await outside(database_url, f"ALTER TABLE users ADD COLUMN new_{number} integer NOT NULL DEFAULT 1")


async def test_a_write_that_fails_by_a_new_column_succeeds_when_it_is_repeated(
    client: Client, database_url: str, alice: Person
) -> None:
    assert await client.data(PROFILE, by=alice)
    await outside(database_url, "ALTER TABLE users ADD COLUMN new integer NOT NULL DEFAULT 1")
    response = await client.execute(PROFILE, by=alice)
    assert {error["extensions"]["code"] for error in response.get("errors", [])} <= {"UNAVAILABLE"}
    assert (await client.data(PROFILE, by=alice))["updateProfile"] == {"user": {"firstName": "Al"}, "errors": []}


class TestOneConnection:
    """A worker with one connection for reads, and one for writes."""

    @pytest.fixture
    def settings(self) -> Settings:
        """Return settings with one connection of each kind."""
        return Settings(readers=1, writers=1)

    async def test_more_reads_than_connections_wait_for_their_turn(self, client: Client, alice: Person) -> None:
        found = await asyncio.gather(*(client.data(ME, by=alice) for _ in range(50)))
        assert {data["me"]["username"] for data in found} == {"alice"}

    async def test_more_writes_than_connections_wait_for_their_turn(self, client: Client, alice: Person) -> None:
        before = (await client.data("{ me { version } }", by=alice))["me"]["version"]
        names = [f"Al{number}" for number in range(20)]
        query = "mutation ($name: String) { updateProfile(input: {firstName: $name}) { user { firstName } } }"
        found = await asyncio.gather(*(client.data(query, {"name": name}, by=alice) for name in names))
        assert [data["updateProfile"]["user"]["firstName"] for data in found] == names
        assert (await client.data("{ me { version } }", by=alice))["me"]["version"] == before + 20

    async def test_a_cancelled_read_returns_its_connection(self, client: Client, alice: Person) -> None:
        database = client.resources.database
        async with database.connection() as blocker, blocker.transaction():
            await blocker.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.ensure_future(database.read("users_by_id", keys=[alice.id]))
            await asyncio.sleep(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert await database.read("ping") == 1
        assert (await client.data(ME, by=alice))["me"]["username"] == "alice"

    async def test_a_failed_read_returns_its_connection(self, client: Client, alice: Person) -> None:
        for _ in range(3):
            with pytest.raises(asyncpg.DataError):
                await client.resources.database.read("users_by_id", keys=["not an id"])
        assert (await client.data(ME, by=alice))["me"]["username"] == "alice"


async def test_a_connection_keeps_a_limited_number_of_prepared_queries(database_url: str) -> None:
    known = {
        f"q{number}": Statement(f"q{number}", "value", None, f"SELECT {number}") for number in range(PREPARED + 50)
    }
    known["kept"] = Statement("kept", "value", None, "SELECT count(*) FROM pg_prepared_statements")
    database = Database(database_url, known, readers=1)
    await database.connect()
    try:
        for _ in range(2):
            assert [await database.read(f"q{number}") for number in range(PREPARED + 50)] == list(range(PREPARED + 50))
        assert await database.read("kept") <= PREPARED + 1  # one more may wait to be closed
    finally:
        await database.close()

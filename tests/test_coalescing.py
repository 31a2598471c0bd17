"""Reads of many requests: which leave in one statement, what they see, and how they are prepared."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from service.database import statements
from service.database.connection import SESSION_SETTINGS, Database
from service.database.read_pool import MOST_KEYS
from service.database.statements import Query
from service.resources import database_of
from service.settings import Settings
from tests.conftest import Client, Person

ME = "{ me { username } }"
NAMES = Query("names", "SELECT count(*) FROM pg_prepared_statements WHERE name LIKE 'read%'", (), "value", None)


async def test_keys_of_one_turn_leave_in_one_statement(client: Client, people: dict[str, Person]) -> None:
    database, before = client.resources.database, client.reads
    ids = [person.id for person in people.values()]
    found = await asyncio.gather(*(database.load_rows("users_by_id", [key]) for key in ids))
    assert [rows[key][0].id for rows, key in zip(found, ids, strict=True)] == ids
    assert client.reads - before == 1


async def test_requests_of_one_turn_share_their_look_ups(client: Client, alice: Person, bob: Person) -> None:
    await asyncio.gather(*(client.data(ME, by=person) for person in (alice, bob)))  # the use of both is recorded
    before = client.reads
    answers = await asyncio.gather(*(client.data(ME, by=person) for person in (alice, bob) * 8))
    assert [answer["me"]["username"] for answer in answers] == ["alice", "bob"] * 8
    assert client.reads - before < 16  # 32 without sharing


async def test_a_read_after_the_start_of_a_statement_has_its_own(client: Client, alice: Person) -> None:
    database, before = client.resources.database, client.reads
    first = database.load_rows("users_by_id", [alice.id])
    async with asyncio.timeout(5):
        while client.reads == before:  # noqa: ASYNC110  (a turn of the loop, not a time)
            await asyncio.sleep(0)
    second = database.load_rows("users_by_id", [alice.id])
    assert (await first)[alice.id][0].id == (await second)[alice.id][0].id == alice.id
    assert client.reads - before == 2


async def test_a_statement_has_a_limited_number_of_keys(client: Client, alice: Person) -> None:
    database, before = client.resources.database, client.reads
    keys = [f"00000000-0000-7000-8000-{number:012x}" for number in range(MOST_KEYS)]
    found = await asyncio.gather(database.load_rows("users_by_id", keys), database.load_rows("users_by_id", [alice.id]))
    assert (alice.id in found[0], alice.id in found[1], client.reads - before) == (False, True, 2)


async def test_a_cancelled_request_does_not_end_the_read_of_another(client: Client, alice: Person) -> None:
    database = client.resources.database
    cancelled, other = (asyncio.ensure_future(database.load_rows("users_by_id", [alice.id])) for _ in range(2))
    cancelled.cancel()
    assert alice.id in await other


async def test_a_suspension_counts_from_the_next_request(client: Client, alice: Person) -> None:
    running = True

    async def read() -> None:
        while running:
            await client.execute(ME, by=alice)

    readers = [asyncio.create_task(read()) for _ in range(4)]
    for _ in range(50):
        await client.rows("UPDATE users SET suspended_at = now() WHERE id = $1", alice.id)
        suspended = await client.execute(ME, by=alice)
        assert [error["extensions"]["code"] for error in suspended["errors"]] == ["USER_SUSPENDED"]
        await client.rows("UPDATE users SET suspended_at = NULL WHERE id = $1", alice.id)
        assert await client.data(ME, by=alice) == {"me": {"username": "alice"}}
    running = False
    await asyncio.gather(*readers)


async def test_statements_are_prepared_by_name_unless_the_operator_turns_it_off(
    client: Client, database_url: str, alice: Person
) -> None:
    for names in (True, False):
        database = Database(database_url, statements.load(), readers=1, names=names)
        await database.connect()
        try:
            for _ in range(3):
                assert alice.id in await database.load_rows("users_by_id", [alice.id])
            assert (await database._lookups.run(NAMES, {}) > 0) is names  # noqa: SLF001
        finally:
            await database.close()


@pytest.fixture
def pooler(database_url: str) -> Iterator[str]:
    """Return the URL of a PgBouncer in transaction mode in front of the database."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    url = urlsplit(database_url)
    host, name = parse_qs(url.query)["host"][0], url.path.lstrip("/")
    folder = Path(tempfile.mkdtemp(prefix="roster-test-"))
    folder.chmod(0o777)  # PgBouncer does not run as root
    configuration = folder / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n{name} = host={host} port=5432 user={url.username}\n[pgbouncer]\nlisten_port = 6432\n"
        f"unix_socket_dir = {folder}\nauth_type = any\npool_mode = transaction\ndefault_pool_size = 2\n"
        f"ignore_startup_parameters = {','.join(SESSION_SETTINGS)},lock_timeout\n",
        encoding="utf-8",
    )
    as_other = ["-u", Path(host).owner()] if os.geteuid() == 0 else []
    process = subprocess.Popen([program, "-q", *as_other, str(configuration)])
    try:
        while not (folder / ".s.PGSQL.6432").exists():
            assert process.poll() is None
        yield f"postgresql://{url.username}@/{name}?host={folder}&port=6432"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder)


async def test_reads_and_writes_pass_a_pooler_that_keeps_no_statements(pooler: str, alice: Person) -> None:
    database = database_of(Settings(prepare=False), pooler)
    await database.connect()
    try:

        async def write() -> None:
            async with database.transaction() as transaction:
                assert (await transaction.run("lock_user", id=alice.id)).id == alice.id

        for _ in range(3):
            await asyncio.gather(*(write() for _ in range(4)), *(database.load_rows("users_by_id", [alice.id]),) * 1)
    finally:
        await database.close()

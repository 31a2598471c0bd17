"""An import that is killed in the middle goes on when it is run again, and then changes nothing."""

from __future__ import annotations

import asyncio
import signal
import time
from pathlib import Path

import asyncpg
import pytest

from bench.moving import write
from tests.conftest import Client
from tests.imports import SMALL_BATCH, Imported, contents, import_files, slow_batches, started

USERS = 4 * SMALL_BATCH
COUNTS = """
SELECT
  (SELECT count(*) FROM users WHERE username LIKE 'user%') AS users,
  (SELECT count(*) FROM credentials WHERE password_hash LIKE '$2y$%') AS passwords,
  (SELECT count(*) FROM imported_rows WHERE kind = 'user') AS keys,
  (SELECT count(*) FROM audit_events WHERE event = 'user.import') AS events
"""
DIFFERENT = """
SELECT count(*) FROM imported_rows
LEFT JOIN users ON users.id = object_id LEFT JOIN audit_events ON target_id = object_id AND event = 'user.import'
WHERE kind = 'user' AND (users.id IS NULL OR audit_events.id IS NULL)
"""


async def users_of(url: str) -> tuple[int, ...]:
    """Return the number of imported users, their passwords, keys, and events."""
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(COUNTS)
        assert row is not None
        assert await connection.fetchval(DIFFERENT) == 0
        return tuple(row)
    finally:
        await connection.close()


async def import_and_kill(url: str, path: Path) -> None:
    """Start an import, and kill it after its first batch of users was committed, without a chance to clean up."""
    async with slow_batches(url):
        process = started(url, "--from", "jsonl", path)
        deadline = time.monotonic() + 90
        while (await users_of(url))[0] < SMALL_BATCH:
            assert process.poll() is None
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert await asyncio.to_thread(process.wait, 10) == -signal.SIGKILL
        process.communicate()


async def test_an_import_that_was_killed_goes_on_and_a_further_one_changes_nothing(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "users.jsonl"
    write(path, USERS)
    await import_and_kill(database_url, path)
    found = await users_of(database_url)
    assert len(set(found)) == 1, "a batch is complete, or not there at all"
    assert SMALL_BATCH <= found[0] < USERS, "it was killed in the middle"
    resumed = await import_files(database_url, path)
    assert resumed.numbers("user") == {"read": USERS, "known": found[0], "new": USERS - found[0]}
    assert resumed.numbers("server") == {"read": -(-USERS // 3), "new": -(-USERS // 3)}
    assert await users_of(database_url) == (USERS,) * 4
    before = await contents(database_url)
    repeated: Imported = await import_files(database_url, path)
    assert await contents(database_url) == before
    assert repeated.numbers("user") == {"read": USERS, "known": USERS}
    assert repeated.report == resumed.report == []


@pytest.mark.parametrize("killed", [False, True])
async def test_a_killed_dry_run_leaves_nothing(client: Client, database_url: str, tmp_path: Path, killed: bool) -> None:
    path = tmp_path / "users.jsonl"
    write(path, SMALL_BATCH)
    before = await contents(database_url)
    if not killed:
        tried = await import_files(database_url, path, options=("--dry-run",))
        assert tried.numbers("user") == {"read": SMALL_BATCH, "new": SMALL_BATCH}
    else:
        process = started(database_url, "--dry-run", "--from", "jsonl", path)
        deadline = time.monotonic() + 90
        while not await client.rows("SELECT FROM pg_stat_activity WHERE application_name = 'roster import'"):
            assert process.poll() is None
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        process.kill()
        await asyncio.to_thread(process.communicate)
    assert await contents(database_url) == before

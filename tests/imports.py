"""Imports and exports of tests: files, and the commands as operators run them."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import bcrypt
from click.testing import CliRunner, Result

from service.__main__ import main
from tests.conftest import REPOSITORY, dropped, in_maintenance, named

PASSWORD = "a-password-from-elsewhere-7"
# With the least cost, because tests verify it
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode().replace("$2b$", "$2y$")
SMALL_BATCH = 100
# The command with small batches, so that few users are many of them
IMPORT = f"""
from service.moving import batches
batches.BATCH = {SMALL_BATCH}
from service.__main__ import main
main(prog_name="python -m service")
"""
IMPORTING = """SELECT count(*) FROM pg_stat_activity
  WHERE application_name = 'roster import' AND datname = current_database()"""
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ laptop"


@dataclass(frozen=True)
class Imported:
    """The output of an import, and the lines of its report."""

    output: str
    report: list[dict[str, Any]]

    def numbers(self, kind: str) -> dict[str, int]:
        """Return the numbers of a kind that are not 0."""
        lines = [line.split() for line in self.output.splitlines()]
        header = next(line for line in lines if line[:1] == ["kind"])
        found = next((line for line in lines if line[0] == kind), [kind, *"00000"])
        return {name: int(number) for name, number in zip(header[1:], found[1:], strict=True) if number != "0"}

    def reasons(self, key: str) -> list[str]:
        """Return what the report says about a row."""
        return [line["reason"] for line in self.report if line["key"] == key]

    def taken(self, key: str) -> set[bool]:
        """Return whether the rows with the key were taken."""
        return {line["taken"] for line in self.report if line["key"] == key}


def command(url: str, *arguments: str | Path) -> Result:
    """Run a command of the service on a database, in this process."""
    return CliRunner(env={"ROSTER_DATABASE_URL": url}).invoke(main, list(map(str, arguments)))


def code_of(secret: str) -> str:
    """Return the code that an authenticator app shows now (RFC 6238, RFC 4226 section 5.3)."""
    key = base64.b32decode(secret)
    digest = hmac.digest(key, int(time.time() // 30).to_bytes(8), "sha1")
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4]) & 0x7FFFFFFF) % 1_000_000:06}"


def write(path: Path, *records: dict[str, Any]) -> Path:
    """Write JSON lines."""
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records), encoding="utf-8")
    return path


def user(key: str, **fields: Any) -> dict[str, Any]:
    """Return the line of a user, with the key as the username, or a longer one."""
    return {"type": "user", "key": key, "username": key if len(key) > 2 else f"user_{key}"} | fields


async def import_files(url: str, *files: Path, system: str = "jsonl", options: tuple[str, ...] = ()) -> Imported:
    """Import files, and return the output and the report."""
    report = files[0].parent / "report.jsonl"
    arguments: tuple[str | Path, ...] = ("import", "--from", system, "--report", report, *options, *files)
    ended = await asyncio.to_thread(command, url, *arguments)
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert report.stat().st_mode & 0o777 == 0o600
    return Imported(ended.stdout, [json.loads(line) for line in report.read_text("utf-8").splitlines()])


async def import_records(url: str, folder: Path, *records: dict[str, Any], options: tuple[str, ...] = ()) -> Imported:
    """Import records in the service's own form."""
    return await import_files(url, write(folder / "records.jsonl", *records), options=options)


@asynccontextmanager
async def empty_database(server_url: str, name: str) -> AsyncIterator[str]:
    """Return a database with the schema of the service, and without users."""
    name = f"roster_moving_{name}_{os.getpid()}"
    await in_maintenance(server_url, f"DROP DATABASE IF EXISTS {name}")
    await in_maintenance(server_url, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    try:
        ended = await asyncio.to_thread(command, named(server_url, name), "migrate")
        assert ended.exit_code == 0, ended.stderr
        yield named(server_url, name)
    finally:
        await dropped(server_url, name)


async def contents(url: str) -> dict[str, list[str]]:
    """Return every row of every table as text."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        found = {}
        for [table] in tables:
            rows = await connection.fetch(f'SELECT CAST(to_jsonb(t) AS text) FROM "{table}" AS t ORDER BY 1')  # noqa: S608
            found[table] = [row[0] for row in rows]
        return found
    finally:
        await connection.close()


def started(url: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    """Start an import as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", IMPORT, "import", *map(str, arguments)],
        cwd=REPOSITORY,
        env=os.environ | {"ROSTER_DATABASE_URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


@asynccontextmanager
async def slow_batches(url: str) -> AsyncIterator[None]:
    """Let each batch of users take a second, so that an import can be killed in the middle on any machine."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """CREATE FUNCTION wait_for_a_test() RETURNS trigger LANGUAGE plpgsql
                 AS 'BEGIN PERFORM pg_sleep(1); RETURN NULL; END';
               CREATE TRIGGER users_wait AFTER INSERT ON users
                 FOR EACH STATEMENT EXECUTE FUNCTION wait_for_a_test()"""
        )
        yield
    finally:
        await connection.execute("DROP FUNCTION wait_for_a_test CASCADE")
        # The server notices only after a while that a process was killed
        while await connection.fetchval(IMPORTING):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        await connection.close()

"""The database of the benchmark: a server of its own, unless ROSTER_BENCH_DATABASE_URL names one, with seeded users."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from bench.processes import server_of
from bench.sign_in import token_of
from service.embedded import server
from service.types.role import USER_ROLE

NAME = "roster_bench"
SEED_SECONDS = 3600
SAMPLE = 1000  # users that the requests ask for


@dataclass(frozen=True)
class Data:
    """A seeded database, tokens of a root account and of a user, ids of users, and the process id of PostgreSQL."""

    url: str
    users: int
    token: str
    user_token: str
    ids: list[str]
    postmaster: int | None

    def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """Return the rows of a statement."""
        return asyncio.run(_fetch(self.url, sql, *arguments))


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Return the URL of a database on a running server, which is stopped at the end if it was started here."""
    given = os.environ.get("ROSTER_BENCH_DATABASE_URL")
    if given:
        yield given
        return
    embedded = server.start(folder / "data", database=NAME)
    try:
        yield embedded.url
    finally:
        embedded.close()


@contextmanager
def started(users: int) -> Iterator[tuple[Data, Path]]:
    """Return a database of this number of users on a running server, and a folder; both are removed at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="bench-")))
        url = stack.enter_context(running(folder))
        data = seeded(url, users)
        stack.callback(drop, data, url)
        yield data, folder


def seeded(url: str, users: int) -> Data:
    """Return a database of this number of users, in the server of the URL. It is created again if it exists."""
    name = f"{NAME}_{users}"
    parts = urlsplit(url)
    own = urlunsplit(parts._replace(path=f"/{name}"))
    asyncio.run(_create(url, name))
    environment = service_environment(ROSTER_DATABASE_URL=own)
    _command(environment, "seed", "--users", str(users))
    _command(environment, "create-admin", "--username", "benchroot", "--root")
    asyncio.run(_execute(own, "VACUUM ANALYZE"))
    asyncio.run(_execute(own, "CHECKPOINT", superuser=True))
    rows = asyncio.run(_fetch(own, "SELECT id::text AS id FROM users ORDER BY md5(id::text) LIMIT $1", SAMPLE))
    return Data(own, users, token_of(own), token_of(own, USER_ROLE), [row["id"] for row in rows], _postmaster(own))


def drop(data: Data, url: str) -> None:
    """Remove a database."""
    asyncio.run(_execute(url, f'DROP DATABASE "{urlsplit(data.url).path[1:]}" WITH (FORCE)'))


def service_environment(**settings: str) -> dict[str, str]:
    """Return the environment without the settings of the person who runs the benchmark, and with these."""
    return {name: value for name, value in os.environ.items() if not name.startswith("ROSTER_")} | settings


def _command(environment: Mapping[str, str], *arguments: str) -> None:
    command = [sys.executable, "-m", "service", *arguments]
    result = subprocess.run(  # noqa: S603
        command, env=dict(environment), capture_output=True, text=True, timeout=SEED_SECONDS, check=False
    )
    if result.returncode:
        raise RuntimeError(f"{' '.join(arguments)}: {result.stderr}")


async def _create(url: str, name: str) -> None:
    await _execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await _execute(url, f"CREATE DATABASE \"{name}\" TEMPLATE template0 ENCODING 'UTF8'")


async def _execute(url: str, sql: str, *, superuser: bool = False) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    except asyncpg.InsufficientPrivilegeError:
        if not superuser:
            raise
    finally:
        await connection.close()


async def _fetch(url: str, sql: str, *arguments: Any) -> list[Any]:
    connection = await asyncpg.connect(url)
    try:
        rows: list[Any] = await connection.fetch(sql, *arguments)
        return rows
    finally:
        await connection.close()


def _postmaster(url: str) -> int | None:
    """Return the process id of the PostgreSQL server, if it runs on this machine."""

    async def run() -> int | None:
        connection = await asyncpg.connect(url)
        try:
            return server_of(int(await connection.fetchval("SELECT pg_backend_pid()")))
        finally:
            await connection.close()

    return asyncio.run(run())

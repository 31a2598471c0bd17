"""What is a database asked to tell whether it is sound? Nothing that changes it."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from enum import Enum
from typing import Final

import asyncpg

from service import migrations
from service.database import OLDEST_VERSION, Database
from service.house import database_of
from service.readers import Connection
from service.settings import Settings
from service.types.role import ROOT_ROLE

MOST_SKEW: Final = 1.0  # seconds: the database's clock ends sessions, Python's judges what is sent
PATIENCE: Final = 10.0  # seconds for a connection, and then for all questions
TRIES: Final = 5


class Level(Enum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, and what was found."""

    level: Level
    check: str
    text: str

    def __str__(self) -> str:
        return f"{self.level.value:<8} {self.check:<16} {' '.join(self.text.split())}"


async def questions(settings: Settings, url: str, whose: str) -> list[Finding]:
    """What there is to say of the database at `url`; `whose` says where the address is from. Raises TimeoutError."""
    read_only = {"default_transaction_read_only": "on"}
    try:
        connection = await asyncpg.connect(url, timeout=PATIENCE, server_settings=read_only)
    except ValueError:
        # SECURITY: the error is not repeated, for a part of the password may stand where a port should
        return [Finding(Level.PROBLEM, "database", f"{whose} is no address of a PostgreSQL server")]
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error) or type(error).__name__
        return [Finding(Level.PROBLEM, "database", f"cannot be reached ({whose}): {reason}")]
    async with asyncio.timeout(PATIENCE):
        try:
            found = [await _version(connection, whose), await _clocks(connection)]
            database = database_of(settings, url)
            await database.connect()
            try:
                return found + await _contents(database, connection)
            finally:
                await database.close()
        finally:
            await connection.close()


async def _version(connection: Connection, whose: str) -> Finding:
    taken = []
    for _ in range(TRIES):
        started = time.perf_counter()
        await connection.fetchval("SELECT 1")
        taken.append(time.perf_counter() - started)
    version = str(await connection.fetchval("SHOW server_version")).split()[0]
    text = f"PostgreSQL {version} ({whose}), {statistics.median(taken) * 1000:.2f} ms for one round trip"
    if connection.get_server_version().major < OLDEST_VERSION:
        return Finding(Level.PROBLEM, "database", f"{text}: {OLDEST_VERSION} or newer is needed")
    return Finding(Level.OK, "database", text)


async def _clocks(connection: Connection) -> Finding:
    before = time.time()
    theirs = await connection.fetchval("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float)")
    skew = theirs - (before + time.time()) / 2
    level = Level.OK if abs(skew) <= MOST_SKEW else Level.WARNING
    return Finding(level, "clocks", f"the database's is {abs(skew):.3f} s {'ahead' if skew >= 0 else 'behind'}")


async def _contents(database: Database, connection: Connection) -> list[Finding]:
    """What the database holds; without all migrations there is no point in asking for more."""
    trigrams = await _trigrams(connection)
    try:
        known = await migrations.status(database)
    except migrations.MigrationError as error:
        return [Finding(Level.PROBLEM, "migrations", str(error)), trigrams]
    missing = [migration.name for migration in known if not migration.applied]
    if len(missing) == len(known):
        return [Finding(Level.WARNING, "migrations", "none is applied yet: `serve` will apply them"), trigrams]
    if missing:
        text = f"missing: {', '.join(missing)} (`migrate` and `serve` apply them)"
        return [Finding(Level.PROBLEM, "migrations", text), trigrams]
    return [
        Finding(Level.OK, "migrations", f"all {len(known)} are applied"),
        trigrams,
        await _statements(database),
        await _root(connection),
    ]


async def _statements(database: Database) -> Finding:
    unfit = await database.check()
    if unfit:
        return Finding(Level.PROBLEM, "statements", "; ".join(unfit))
    return Finding(Level.OK, "statements", f"all {len(database.statements)} fit the schema")


async def _trigrams(connection: Connection) -> Finding:
    row = await connection.fetchrow(
        "SELECT installed_version, default_version FROM pg_available_extensions WHERE name = 'pg_trgm'"
    )
    if row is None:
        return Finding(Level.PROBLEM, "pg_trgm", "not available: install PostgreSQL's contrib package on its server")
    if row["installed_version"] is None:
        return Finding(Level.WARNING, "pg_trgm", f"{row['default_version']} is available; the migrations install it")
    return Finding(Level.OK, "pg_trgm", row["installed_version"])


async def _root(connection: Connection) -> Finding:
    roots = await connection.fetchval("SELECT count(*) FROM users WHERE role_id = CAST($1 AS uuid)", ROOT_ROLE)
    if not roots:
        return Finding(Level.WARNING, "root account", "there is none: `serve` will make one")
    return Finding(Level.OK, "root account", f"{roots} with the role ROOT")

"""The checks of `doctor` on a database. They change nothing."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import dataclass
from enum import Enum
from typing import Final

import asyncpg

from service.database import migrations
from service.database.connection import ENCODING, OLDEST_VERSION, Database
from service.database.servers import Connection
from service.resources import database_of
from service.schema import ORDERS
from service.settings import Settings
from service.types.role import ROOT_ROLE

MOST_SKEW: Final = 1.0  # seconds: the database's clock expires sessions, the service's clock checks inputs
TIMEOUT: Final = 10.0  # seconds for a connection, and then for all checks
TRIES: Final = 5


class Level(Enum):
    """Severity of a finding."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was checked, and the result."""

    level: Level
    check: str
    text: str

    def __str__(self) -> str:
        return f"{self.level.value:<8} {self.check:<16} {' '.join(self.text.split())}"


async def database_findings(settings: Settings, url: str, source: str) -> list[Finding]:
    """Return the findings on the database at `url`; `source` says where the URL is from. Raise TimeoutError."""
    read_only = {"default_transaction_read_only": "on"}
    try:
        connection = await asyncpg.connect(url, timeout=TIMEOUT, server_settings=read_only)
    except ValueError:
        # SECURITY: the error is not repeated, because a part of the password may be in the place of the port
        return [Finding(Level.PROBLEM, "database", f"{source} is not the URL of a PostgreSQL server")]
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error) or type(error).__name__
        return [Finding(Level.PROBLEM, "database", f"cannot be reached ({source}): {reason}")]
    async with asyncio.timeout(TIMEOUT):
        try:
            found = [await _version(connection, source), await _clocks(connection)]
            database = database_of(settings, url)
            await database.connect()
            try:
                return found + await _contents(database, connection)
            finally:
                await database.close()
        finally:
            await connection.close()


async def _version(connection: Connection, source: str) -> Finding:
    seconds = []
    for _ in range(TRIES):
        started = time.perf_counter()
        await connection.fetchval("SELECT 1")
        seconds.append(time.perf_counter() - started)
    version = str(await connection.fetchval("SHOW server_version")).split()[0]
    text = f"PostgreSQL {version} ({source}), {statistics.median(seconds) * 1000:.2f} ms for one round trip"
    if connection.get_server_version().major < OLDEST_VERSION:
        return Finding(Level.PROBLEM, "database", f"{text}: {OLDEST_VERSION} or newer is required")
    encoding = await connection.fetchval("SHOW server_encoding")
    if encoding != ENCODING:
        return Finding(Level.PROBLEM, "database", f"{text}: its encoding is {encoding}, and must be {ENCODING}")
    return Finding(Level.OK, "database", text)


async def _clocks(connection: Connection) -> Finding:
    before = time.time()
    theirs = await connection.fetchval("SELECT CAST(extract(epoch FROM clock_timestamp()) AS float)")
    skew = theirs - (before + time.time()) / 2
    level = Level.OK if abs(skew) <= MOST_SKEW else Level.WARNING
    return Finding(level, "clocks", f"the database's clock is {abs(skew):.3f} s {'ahead' if skew >= 0 else 'behind'}")


async def _contents(database: Database, connection: Connection) -> list[Finding]:
    """Return the findings on the content; without all migrations there is nothing more to check."""
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
        await _letter_case(database),
        await _statements(database),
        await _root(connection),
    ]


async def _statements(database: Database) -> Finding:
    problems = await database.check(ORDERS)
    if problems:
        return Finding(Level.PROBLEM, "statements", "; ".join(problems))
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


async def _letter_case(database: Database) -> Finding:
    if await database.ignores_case():
        return Finding(Level.OK, "letter case", "is ignored for letters of every script")
    return Finding(Level.PROBLEM, "letter case", "is not ignored correctly: the collation `roster` does not work")


async def _root(connection: Connection) -> Finding:
    roots = await connection.fetchval("SELECT count(*) FROM users WHERE role_id = CAST($1 AS uuid)", ROOT_ROLE)
    if not roots:
        return Finding(Level.WARNING, "root account", "there is none: `serve` will create one")
    return Finding(Level.OK, "root account", f"{roots} with the role ROOT")

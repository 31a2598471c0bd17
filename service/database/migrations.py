"""Migrations: the files `sql/migrations/NNNN_what.sql`, applied in order, each in its own transaction.

Migrations cannot be reverted. The SHA-256 of each applied file is stored, so that a later edit is detected. An advisory
lock allows several processes to start at the same time: one migrates, and the others wait and have nothing to apply.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from service.database.connection import Database
from service.database.servers import Connection

MIGRATIONS = Path(__file__).parent.parent.parent / "sql" / "migrations"
LOCK = 0x726F73746572  # "roster"; all processes use the same number
NAME = re.compile(r"^(\d{4})_[a-z0-9_]+\.sql$")
TABLE = """
CREATE TABLE IF NOT EXISTS migrations (
  number integer CONSTRAINT migrations_pkey PRIMARY KEY,
  name text NOT NULL,
  sha256 text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(Exception):
    """The database and the migration files do not match; the message is one line."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file, and whether it is applied to the database."""

    number: int
    name: str
    sha256: str
    sql: str
    applied: bool = False


def files(folder: Path = MIGRATIONS) -> list[Migration]:
    """Return the migrations of the folder in order. Raise MigrationError for a gap, a duplicate, or an invalid name."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = NAME.match(path.name)
        if match is None:
            raise MigrationError(f"{path.name} is not a migration name: NNNN_what.sql")
        content = path.read_bytes()
        found.append(Migration(int(match[1]), path.name, hashlib.sha256(content).hexdigest(), content.decode()))
    for position, migration in enumerate(found, start=1):
        if migration.number != position:
            raise MigrationError(f"{migration.name} should have the number {position:04}")
    return found


async def status(database: Database, folder: Path = MIGRATIONS) -> list[Migration]:
    """Return every migration, with whether it is applied. Change nothing."""
    async with database.connection() as connection:
        return await _compare(connection, files(folder))


async def migrate(database: Database, folder: Path = MIGRATIONS) -> list[Migration]:
    """Apply the missing migrations, and return them. Raise MigrationError if the database has other or newer ones."""
    applied = []
    async with database.connection() as connection:
        await connection.execute("SET statement_timeout = 0")
        try:
            await connection.execute("SELECT pg_advisory_lock($1)", LOCK)
            try:
                for migration in await _compare(connection, files(folder)):
                    if not migration.applied:
                        await _apply(connection, migration)
                        applied.append(migration)
            finally:
                await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)
        finally:
            await connection.execute("RESET statement_timeout")
    return applied


async def _compare(connection: Connection, wanted: list[Migration]) -> list[Migration]:
    exists = await connection.fetchval("SELECT to_regclass('migrations') IS NOT NULL")
    rows = await connection.fetch("SELECT number, name, sha256 FROM migrations ORDER BY number") if exists else []
    known = {row["number"]: row for row in rows}
    newest = max(known, default=0)
    if newest > len(wanted):
        raise MigrationError(
            f"the database is from a newer version of the service: it has migration {newest:04}, this version ends at "
            f"{len(wanted):04}"
        )
    for migration in wanted:
        row = known.get(migration.number)
        if row is not None and row["sha256"] != migration.sha256:
            raise MigrationError(f"{migration.name} was changed after it was applied as {row['name']}")
    return [Migration(item.number, item.name, item.sha256, item.sql, applied=item.number in known) for item in wanted]


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(TABLE)
        await connection.execute(migration.sql)
        await connection.execute(
            "INSERT INTO migrations (number, name, sha256) VALUES ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.sha256,
        )

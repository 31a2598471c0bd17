"""Migrations: applied once and in order, also by several processes at once, and only if the history fits."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from service.database import statements
from service.database.connection import Database
from service.database.migrations import MIGRATIONS, MigrationError, files, migrate, status
from tests.conftest import dropped, in_maintenance, named

NAMES = [path.name for path in sorted(MIGRATIONS.glob("*.sql"))]


@pytest.fixture
async def empty_url(server_url: str) -> AsyncIterator[str]:
    """Return an empty database."""
    name = f"roster_empty_{os.getpid()}"
    await in_maintenance(server_url, f"CREATE DATABASE {name}")
    try:
        yield named(server_url, name)
    finally:
        await dropped(server_url, name)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the migrations that a test may change."""
    return Path(shutil.copytree(MIGRATIONS, tmp_path / "migrations"))


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Database]:
    """Return a connected database."""
    database = Database(url, statements.load())
    await database.connect()
    try:
        yield database
    finally:
        await database.close()


async def test_an_empty_database_gets_every_migration_once(empty_url: str) -> None:
    async with connected(empty_url) as database:
        assert [(item.name, item.applied) for item in await status(database)] == [(name, False) for name in NAMES]
        assert [item.name for item in await migrate(database)] == NAMES
        assert await migrate(database) == []
        assert [(item.name, item.applied) for item in await status(database)] == [(name, True) for name in NAMES]


async def test_of_several_processes_that_migrate_at_once_one_applies_the_migrations(empty_url: str) -> None:
    async with connected(empty_url) as one, connected(empty_url) as two, connected(empty_url) as three:
        found = await asyncio.gather(*(migrate(database) for database in (one, two, three)))
    assert sorted([item.name for item in applied] for applied in found) == [[], [], NAMES]


async def test_a_later_migration_is_added_to_an_older_database(empty_url: str, folder: Path) -> None:
    async with connected(empty_url) as database:
        await migrate(database, folder)
        later = folder / f"{len(NAMES) + 1:04}_add_nicknames.sql"
        later.write_text("ALTER TABLE users ADD COLUMN nickname text;", encoding="utf-8")
        assert [item.name for item in await migrate(database, folder)] == [later.name]


async def test_a_failed_migration_changes_nothing(empty_url: str, folder: Path) -> None:
    async with connected(empty_url) as database:
        await migrate(database, folder)
        later = folder / f"{len(NAMES) + 1:04}_add_nicknames.sql"
        later.write_text("ALTER TABLE users ADD COLUMN nickname text; SELECT nothing;", encoding="utf-8")
        with pytest.raises(asyncpg.UndefinedColumnError):
            await migrate(database, folder)
        assert [item.applied for item in await status(database, folder)] == [True] * len(NAMES) + [False]
        later.write_text("ALTER TABLE users ADD COLUMN nickname text;", encoding="utf-8")
        assert [item.name for item in await migrate(database, folder)] == [later.name]


async def test_a_file_that_was_changed_after_it_was_applied_is_rejected(empty_url: str, folder: Path) -> None:
    async with connected(empty_url) as database:
        await migrate(database, folder)
        changed = folder / NAMES[2]
        changed.write_text(changed.read_text(encoding="utf-8") + "-- a comment\n", encoding="utf-8")
        for work in (migrate, status):
            with pytest.raises(MigrationError, match=rf"^{NAMES[2]} was changed after it was applied as {NAMES[2]}$"):
                await work(database, folder)


async def test_a_database_of_a_newer_version_is_rejected(empty_url: str, folder: Path) -> None:
    async with connected(empty_url) as database:
        await migrate(database)
        (folder / NAMES[-1]).unlink()
        message = (
            rf"^the database is from a newer version of the service: it has migration {len(NAMES):04}, "
            rf"this version ends at {len(NAMES) - 1:04}$"
        )
        with pytest.raises(MigrationError, match=message):
            await migrate(database, folder)


def test_a_gap_between_the_numbers_is_rejected(folder: Path) -> None:
    (folder / NAMES[1]).unlink()
    with pytest.raises(MigrationError, match=rf"^{NAMES[2]} should have the number 0002$"):
        files(folder)


def test_a_number_that_is_used_twice_is_rejected(folder: Path) -> None:
    (folder / "0002_another.sql").write_text("SELECT 1;", encoding="utf-8")
    with pytest.raises(MigrationError, match=r"^0002_\w+\.sql should have the number 0003$"):
        files(folder)


@pytest.mark.parametrize("name", ["7_short.sql", "0007.sql", "0007_Upper.sql", "0007-dashes.sql", "readme.sql"])
def test_a_file_name_of_another_form_is_rejected(folder: Path, name: str) -> None:
    (folder / name).write_text("SELECT 1;", encoding="utf-8")
    with pytest.raises(MigrationError, match=rf"^{re.escape(name)} is not a migration name: NNNN_what\.sql$"):
        files(folder)

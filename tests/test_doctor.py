"""Does `doctor` tell what is wrong with an installation, in one line each, and leave everything as it is?"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from service.embedded import start
from tests.conftest import REPOSITORY, dropped, named

CHECKS = {
    *("python", "settings", "open files", "password hash", "schema.graphql", "data folder"),
    *("database", "clocks", "migrations", "pg_trgm", "statements", "root account"),
}
LEVELS = {"ok", "warning", "problem"}


class Diagnosis:
    """What the command said: level and text by check."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.code = done.returncode
        self.lines = done.stdout.splitlines()
        self.level = {line[9:25].strip(): line[:8].strip() for line in self.lines}
        self.text = {line[9:25].strip(): line[26:] for line in self.lines}
        assert "Traceback" not in done.stderr
        assert set(self.level.values()) <= LEVELS
        assert len(self.level) == len(self.lines)
        assert (self.code == 2) is ("problem" in self.level.values())


def diagnose(*, files: int = 2048, checkout: Path = REPOSITORY, **settings: str) -> Diagnosis:
    """Runs the command with these settings and no others, and `files` as the limit of open files."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROSTER_")}
    environment |= {f"ROSTER_{name.upper()}": value for name, value in settings.items()}
    command = ["/bin/sh", "-c", f'ulimit -n {files}; exec "$0" -m service doctor', sys.executable]
    done = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return Diagnosis(done)


async def diagnose_database(url: str) -> Diagnosis:
    return await asyncio.to_thread(diagnose, database_url=url)


async def execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder outside that of pytest, which the account that runs PostgreSQL may not search."""
    made = Path(tempfile.mkdtemp(prefix="roster-test-"))
    yield made
    shutil.rmtree(made)


async def test_a_sound_installation_passes_every_check(database_url: str) -> None:
    found = await diagnose_database(database_url)
    assert found.code == 0
    assert set(found.level) == CHECKS
    assert set(found.level.values()) == {"ok"}
    assert found.text["database"].startswith("PostgreSQL ")
    assert found.text["database"].endswith(" ms for one round trip")


async def test_a_missing_migration_is_named(database_url: str) -> None:
    await execute(database_url, "DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
    found = await diagnose_database(database_url)
    newest = max(path.name for path in (REPOSITORY / "sql" / "migrations").glob("*.sql"))
    assert found.level["migrations"] == "problem"
    assert newest in found.text["migrations"]


async def test_a_database_of_a_newer_version_is_told(database_url: str) -> None:
    await execute(database_url, "INSERT INTO migrations (number, name, sha256) VALUES (9999, '9999_later.sql', '')")
    found = await diagnose_database(database_url)
    assert found.level["migrations"] == "problem"
    assert "the database is from a newer version of the service" in found.text["migrations"]


async def test_a_statement_that_does_not_fit_is_named(database_url: str) -> None:
    await execute(database_url, "ALTER TABLE servers RENAME COLUMN external_id TO other_id")
    found = await diagnose_database(database_url)
    assert found.level["statements"] == "problem"
    assert "create_server" in found.text["statements"]


async def test_a_missing_root_account_is_a_warning(database_url: str) -> None:
    await execute(database_url, "UPDATE users SET role_id = DEFAULT")
    found = await diagnose_database(database_url)
    assert found.code == 0
    assert found.level["root account"] == "warning"


async def test_a_clock_that_goes_wrong_is_a_warning(database_url: str) -> None:
    await execute(
        database_url,
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
        "AS $$ SELECT pg_catalog.clock_timestamp() - interval '90 seconds' $$",
        f"ALTER DATABASE {database_url.rpartition('/')[2].partition('?')[0]} SET search_path = public, pg_catalog",
    )
    found = await diagnose_database(database_url)
    assert found.level["clocks"] == "warning"
    told = re.fullmatch(r"the database's is ([0-9.]+) s behind", found.text["clocks"])
    assert told is not None
    assert 85 < float(told[1]) < 95  # a busy machine adds its round trips


async def test_an_empty_database_stays_empty(server_url: str) -> None:
    name = f"roster_doctor_{os.getpid()}"
    await execute(named(server_url, "postgres"), f"CREATE DATABASE {name}")
    try:
        found = await diagnose_database(named(server_url, name))
        assert found.code == 0
        assert found.level["migrations"] == found.level["pg_trgm"] == "warning"
        connection = await asyncpg.connect(named(server_url, name))
        relations = "SELECT count(*) FROM pg_class WHERE relnamespace = CAST('public' AS regnamespace)"
        assert await connection.fetchval(relations) == 0
        assert await connection.fetchval("SELECT count(*) FROM pg_extension WHERE extname = 'pg_trgm'") == 0
        await connection.close()
    finally:
        await dropped(server_url, name)


def test_a_database_that_cannot_be_reached_is_a_problem() -> None:
    found = diagnose(database_url="postgresql://127.0.0.1:1/roster")
    assert found.level["database"] == "problem"
    assert "cannot be reached (ROSTER_DATABASE_URL)" in found.text["database"]


def test_an_address_that_cannot_be_read_is_not_repeated() -> None:
    found = diagnose(database_url="postgresql://somebody:swordfish/1@127.0.0.1/roster")
    assert found.level["settings"] == "problem"
    assert found.text["settings"].startswith("ROSTER_DATABASE_URL: ")
    assert not any("swordfish" in line for line in found.lines)


def test_a_wrong_setting_is_a_problem_and_its_value_is_not_told() -> None:
    found = diagnose(port="swordfish")
    assert found.level["settings"] == "problem"
    assert found.text["settings"].startswith("ROSTER_PORT: ")
    assert "swordfish" not in found.text["settings"]
    assert "database" not in found.level


def test_few_open_files_are_a_warning(folder: Path) -> None:
    found = diagnose(files=512, data_dir=str(folder / "none"))
    assert found.code == 0
    assert found.level["open files"] == "warning"
    assert found.text["open files"].startswith("512 ")


def test_a_schema_file_that_is_not_current_is_a_problem(folder: Path) -> None:
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("service", "sql"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=ignored)
    found = diagnose(checkout=folder, data_dir=str(folder / "none"))
    assert found.text["schema.graphql"] == "missing: run `python -m service schema`"
    (folder / "schema.graphql").write_text("type Query { old: Int }\n")
    found = diagnose(checkout=folder, data_dir=str(folder / "none"))
    assert found.level["schema.graphql"] == "problem"
    assert found.text["schema.graphql"] == "not current: run `python -m service schema`"


def test_a_data_folder_that_is_not_there_is_not_made(folder: Path) -> None:
    found = diagnose(data_dir=str(folder / "none"))
    assert found.code == 0
    assert found.text["data folder"] == f"{folder}/none: no data yet: `serve` will make it"
    assert found.text["database"] == "no data yet: `serve` will make it"
    assert found.level["free space"] in {"ok", "warning"}
    assert list(folder.iterdir()) == []


def test_an_empty_data_folder_stays_empty(folder: Path) -> None:
    found = diagnose(data_dir=str(folder))
    assert found.code == 0
    assert found.text["database"] == "no data yet: `serve` will make it"
    assert list(folder.iterdir()) == []


def test_a_data_folder_that_others_can_read_is_a_warning(folder: Path) -> None:
    folder.chmod(0o755)
    found = diagnose(data_dir=str(folder))
    assert found.level["data folder"] == "warning"
    assert "mode 0755, open to others" in found.text["data folder"]


def test_a_file_in_the_place_of_the_data_folder_is_a_problem(folder: Path) -> None:
    (folder / "data").touch()
    found = diagnose(data_dir=str(folder / "data"))
    assert found.level["data folder"] == "problem"


def test_the_embedded_server_is_used_where_it_runs_and_stopped_where_it_did_not(folder: Path) -> None:
    data = folder / "data"
    use = start(data, durable=False)
    running = diagnose(data_dir=str(data))
    use.close()
    started = diagnose(data_dir=str(data))
    assert "(embedded, running)" in running.text["database"]
    assert "(embedded, started for these checks)" in started.text["database"]
    assert list(data.rglob("postmaster.pid")) == []

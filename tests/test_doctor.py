"""The command `doctor`: it reports each problem of an installation in one line, and changes nothing."""

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
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.embedded.server import start
from tests.conftest import REPOSITORY, dropped, named

CHECKS = {
    *("python", "settings", "open files", "password hash", "schema.graphql", "data folder"),
    *("database", "clocks", "migrations", "pg_trgm", "letter case", "statements", "root account"),
}
LEVELS = {"ok", "warning", "problem"}


class Diagnosis:
    """The output of the command: level and text by check."""

    def __init__(self, ended: subprocess.CompletedProcess[str]) -> None:
        self.code = ended.returncode
        self.lines = ended.stdout.splitlines()
        self.level = {line[9:25].strip(): line[:8].strip() for line in self.lines}
        self.text = {line[9:25].strip(): line[26:] for line in self.lines}
        assert "Traceback" not in ended.stderr
        assert set(self.level.values()) <= LEVELS
        assert len(self.level) == len(self.lines)
        assert (self.code == 2) is ("problem" in self.level.values())


def diagnose(*, files: int = 2048, checkout: Path = REPOSITORY, **settings: str) -> Diagnosis:
    """Run the command with these settings and no others, and `files` as the limit of open files."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ROSTER_")}
    environment |= {f"ROSTER_{name.upper()}": value for name, value in settings.items()}
    command = ["/bin/sh", "-c", f'ulimit -n {files}; exec "$0" -m service doctor', sys.executable]
    ended = subprocess.run(
        command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return Diagnosis(ended)


async def diagnose_database(url: str) -> Diagnosis:
    """Run the command for a database."""
    return await asyncio.to_thread(diagnose, database_url=url)


async def execute(url: str, *statements: str) -> None:
    """Execute statements on a connection of the test's own."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder outside those of pytest, which the account that runs PostgreSQL may not search."""
    created = Path(tempfile.mkdtemp(prefix="roster-test-"))
    yield created
    shutil.rmtree(created)


async def test_an_installation_without_problems_passes_every_check(database_url: str) -> None:
    found = await diagnose_database(database_url)
    assert found.code == 0
    assert set(found.level) == CHECKS
    assert set(found.level.values()) == {"ok"}
    assert found.text["database"].startswith("PostgreSQL ")
    assert found.text["database"].endswith(" ms for one round trip")
    assert found.text["letter case"] == "is ignored for letters of every script"


async def test_a_missing_migration_is_named(database_url: str) -> None:
    await execute(database_url, "DELETE FROM migrations WHERE number = (SELECT max(number) FROM migrations)")
    found = await diagnose_database(database_url)
    newest = max(path.name for path in (REPOSITORY / "sql" / "migrations").glob("*.sql"))
    assert found.level["migrations"] == "problem"
    assert newest in found.text["migrations"]


async def test_a_database_of_a_newer_version_is_reported(database_url: str) -> None:
    await execute(database_url, "INSERT INTO migrations (number, name, sha256) VALUES (9999, '9999_later.sql', '')")
    found = await diagnose_database(database_url)
    assert found.level["migrations"] == "problem"
    assert "the database is from a newer version of the service" in found.text["migrations"]


async def test_a_statement_that_does_not_fit_is_named(database_url: str) -> None:
    await execute(database_url, "ALTER TABLE servers RENAME COLUMN external_id TO other_id")
    found = await diagnose_database(database_url)
    assert found.level["statements"] == "problem"
    assert "create_server" in found.text["statements"]


async def test_a_fold_that_depends_on_the_locale_is_a_problem(database_url: str) -> None:
    await execute(
        database_url,
        "CREATE OR REPLACE FUNCTION fold(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE "
        """RETURN lower(value COLLATE "C")""",
    )
    found = await diagnose_database(database_url)
    assert found.level["letter case"] == "problem"
    assert found.text["letter case"] == "is not ignored correctly: the collation `roster` does not work"
    assert found.level["statements"] == "problem"
    assert found.text["statements"] == "the collation `roster` does not ignore letter case correctly"


async def test_a_missing_root_account_is_a_warning(database_url: str) -> None:
    await execute(database_url, "UPDATE users SET role_id = DEFAULT")
    found = await diagnose_database(database_url)
    assert found.code == 0
    assert found.level["root account"] == "warning"
    assert found.text["root account"] == "there is none: `serve` will create one"


async def test_a_clock_that_differs_is_a_warning(database_url: str) -> None:
    await execute(
        database_url,
        "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql "
        "AS $$ SELECT pg_catalog.clock_timestamp() - interval '90 seconds' $$",
        f"ALTER DATABASE {urlsplit(database_url).path.removeprefix('/')} SET search_path = public, pg_catalog",
    )
    found = await diagnose_database(database_url)
    assert found.level["clocks"] == "warning"
    behind = re.fullmatch(r"the database's clock is ([0-9.]+) s behind", found.text["clocks"])
    assert behind is not None
    assert 85 < float(behind[1]) < 95  # a busy machine adds its round trips


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


def test_a_url_that_cannot_be_read_is_not_repeated() -> None:
    found = diagnose(database_url="postgresql://user:swordfish/1@127.0.0.1/roster")
    assert found.level["settings"] == "problem"
    assert found.text["settings"].startswith("ROSTER_DATABASE_URL: ")
    assert not any("swordfish" in line for line in found.lines)


def test_a_wrong_setting_is_a_problem_and_its_value_is_not_printed() -> None:
    found = diagnose(port="swordfish")
    assert found.level["settings"] == "problem"
    assert found.text["settings"].startswith("ROSTER_PORT: ")
    assert "swordfish" not in found.text["settings"]
    assert "database" not in found.level


@pytest.mark.parametrize(
    "settings",
    [
        {"port": "70000", "workers": "0"},
        {"root_email": "nonsense", "root_password": "short", "username_pattern": "("},
        {"port": "70000", "username_pattern": "("},
    ],
    ids=["ranges", "values", "both"],
)
def test_every_wrong_setting_is_named(settings: dict[str, Any]) -> None:
    found = diagnose(**settings)
    assert found.level["settings"] == "problem"
    names = re.findall(r"ROSTER_[A-Z_]+", found.text["settings"])
    assert sorted(names) == [f"ROSTER_{name.upper()}" for name in settings]


def test_few_open_files_are_a_warning(folder: Path) -> None:
    found = diagnose(files=512, data_dir=str(folder / "none"))
    assert found.code == 0
    assert found.level["open files"] == "warning"
    assert found.text["open files"] == "at most 512 (1024 or more are recommended: ulimit -n)"


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


def test_a_missing_data_folder_is_not_created(folder: Path) -> None:
    found = diagnose(data_dir=str(folder / "none"))
    assert found.code == 0
    assert found.text["data folder"] == f"{folder}/none: no data yet: `serve` will create it"
    assert found.text["database"] == "no data yet: `serve` will create it"
    assert found.level["free space"] in {"ok", "warning"}
    assert list(folder.iterdir()) == []


def test_an_empty_data_folder_stays_empty(folder: Path) -> None:
    found = diagnose(data_dir=str(folder))
    assert found.code == 0
    assert found.text["database"] == "no data yet: `serve` will create it"
    assert list(folder.iterdir()) == []


def test_a_data_folder_that_other_users_can_read_is_a_warning(folder: Path) -> None:
    folder.chmod(0o755)
    found = diagnose(data_dir=str(folder))
    assert found.level["data folder"] == "warning"
    assert "(mode 0755, accessible to other users: chmod 700)" in found.text["data folder"]


def test_a_file_instead_of_the_data_folder_is_a_problem(folder: Path) -> None:
    (folder / "data").touch()
    found = diagnose(data_dir=str(folder / "data"))
    assert found.level["data folder"] == "problem"
    assert found.text["data folder"] == f"{folder}/data is not a folder: move it away"


def test_a_running_embedded_server_is_used_and_another_is_stopped_after_the_checks(folder: Path) -> None:
    data = folder / "data"
    use = start(data, durable=False)
    running = diagnose(data_dir=str(data))
    use.close()
    started = diagnose(data_dir=str(data))
    assert "(embedded, running)" in running.text["database"]
    assert "(embedded, started for these checks)" in started.text["database"]
    assert list(data.rglob("postmaster.pid")) == []

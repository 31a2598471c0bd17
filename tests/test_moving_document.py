"""docs/moving.md: its commands export what the readers read. Those for SQLite and PostgreSQL are run."""

from __future__ import annotations

import json
import re
import sqlite3
from typing import Any

import asyncpg
import pytest

from service.moving.sources import SOURCES, TABLES
from tests.conftest import REPOSITORY, named
from tests.source_tables import FOLDER, exported

TEXT = (REPOSITORY / "docs" / "moving.md").read_text(encoding="utf-8")
TITLES = {
    "pterodactyl": "Pterodactyl",
    "calagopus": "Calagopus",
    "openpanel": "OpenPanel",
    "lnbits": "LNbits",
    "eclipanel": "EcliPanel",
}
COMMAND = re.compile(r'^save(?:_\w+)? (\w+) "(.*?)"$', re.DOTALL | re.MULTILINE)
OBJECT = re.compile(r"JSON_OBJECT\((.*)\)\s+FROM", re.DOTALL | re.IGNORECASE)
PAIR = re.compile(r"'(\w+)', \\?`?(?:\w\.)?(\w+)\\?`?(?:, |$)")
SUBQUERY = re.compile(r"\(SELECT\s+(.*?)\s+FROM", re.DOTALL)


def blocks(system: str) -> list[dict[str, str]]:
    """Return the statements of each block of commands of a system, by table."""
    section = re.search(rf"^## {TITLES[system]}\n(.*?)(?=^## |\Z)", TEXT, re.DOTALL | re.MULTILINE)
    assert section is not None
    return [dict(COMMAND.findall(block)) for block in re.findall(r"```sh\n(.*?)```", section[1], re.DOTALL)]


def columns_of(statement: str) -> list[str]:
    """Return the columns that a statement exports."""
    found = OBJECT.search(statement)
    if found is not None:
        text = re.sub(r"\s*\n\s*", " ", found[1]).strip()
        pairs = PAIR.findall(text)
        assert ", ".join(f"'{name}', {column}" for name, column in pairs) == re.sub(r"\\?`|\b\w\.", "", text)
        assert [name for name, _column in pairs] == [column for _name, column in pairs]
        return [name for name, _column in pairs]
    inner = SUBQUERY.search(statement)
    assert inner is not None
    listed = re.split(r",\s+(?![^(]*\))", inner[1])
    return [column.rpartition(" AS ")[2].rpartition(".")[2] for column in listed]


@pytest.mark.parametrize("system", sorted(SOURCES))
def test_a_command_exports_each_column_that_is_read(system: str) -> None:
    for block in blocks(system):
        found = {table: columns_of(statement) for table, statement in block.items()}
        assert {table: set(columns) for table, columns in found.items()} == {
            table: set(columns) for table, columns in TABLES[system].items()
        }
        assert all(len(columns) == len(set(columns)) for columns in found.values())
        assert all("ORDER BY" in statement for statement in block.values())


@pytest.mark.parametrize("system", sorted(SOURCES))
def test_a_command_reads_the_table_that_its_file_is_named_after(system: str) -> None:
    for block in blocks(system):
        for table, statement in block.items():
            assert re.search(rf"\sFROM \\?`?{table}\\?`?\s", statement)


def test_secrets_that_are_not_used_are_not_exported() -> None:
    """SECURITY: secrets of API keys, passkeys, and the settings of LNbits stay where they are."""
    for system, table in (
        *(("pterodactyl", "api_keys"), ("calagopus", "user_api_keys"), ("calagopus", "user_security_keys")),
        *(("eclipanel", "api_key"), ("eclipanel", "passkey")),
    ):
        assert len(TABLES[system][table]) == 2
    for block in blocks("lnbits"):
        assert "WHERE id IN ('super_user', 'lnbits_admin_users') AND tag = 'core'" in block["system_settings"]


def test_files_are_private() -> None:
    for section in TITLES.values():
        body = TEXT.split(f"## {section}\n")[1]
        assert body.split("```sh\n")[1].startswith("umask 077\n")


def test_the_commands_for_sqlite_export_the_files_of_the_tests() -> None:
    database = sqlite3.connect(":memory:")
    database.executescript((FOLDER / "lnbits.sql").read_text(encoding="utf-8"))
    statements = blocks("lnbits")[0]
    found = {table: [json.loads(row[0]) for row in database.execute(statements[table])] for table in statements}
    database.close()
    assert found == exported("lnbits")


@pytest.mark.parametrize(
    ("system", "place", "folder"), [("calagopus", 0, "calagopus"), ("lnbits", 1, "lnbits_postgresql")]
)
async def test_the_commands_for_postgresql_export_the_files_of_the_tests(
    server_url: str, system: str, place: int, folder: str
) -> None:
    script = (FOLDER / f"{folder}.sql").read_text(encoding="utf-8")
    connection = await asyncpg.connect(named(server_url, "postgres"))
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        await connection.execute(re.sub(r"CREATE (TABLE|VIEW)", r"CREATE TEMP \1", script))
        for table, statement in blocks(system)[place].items():
            rows = await connection.fetch(statement)
            found[table] = [json.loads(row[0]) for row in rows]
    finally:
        await connection.close()
    assert found == exported(folder)


@pytest.mark.parametrize("system", sorted(SOURCES))
def test_the_guide_names_each_system(system: str) -> None:
    assert f"\n## {TITLES[system]}\n" in TEXT

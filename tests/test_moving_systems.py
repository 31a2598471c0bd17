"""Exports of the five systems are imported into the database, and a second import changes nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from service.moving.sources import SOURCES
from tests.conftest import REPOSITORY, Client
from tests.imports import contents, import_files


@pytest.mark.parametrize("system", sorted(SOURCES))
async def test_the_tables_of_a_system_are_imported_once(
    client: Client, database_url: str, tmp_path: Path, system: str
) -> None:
    folder = Path(shutil.copytree(REPOSITORY / "tests" / "moving" / system, tmp_path / system))
    imported = await import_files(database_url, folder, system=system)
    users = imported.numbers("user")
    assert users["new"] > 0
    assert users["read"] == sum(number for name, number in users.items() if name != "read")
    before = await contents(database_url)
    again = await import_files(database_url, folder, system=system)
    assert again.numbers("user") == {"known" if name == "new" else name: number for name, number in users.items()}
    assert again.report == imported.report
    assert await contents(database_url) == before

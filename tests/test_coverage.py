"""The table of what replaces the operations of the five systems names operations and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from service.__main__ import main
from service.schema import schema

REPOSITORY = Path(__file__).parents[1]
TABLES = (REPOSITORY / "docs" / "coverage.md").read_text()
SYSTEMS = ("Calagopus Panel", "Pterodactyl", "OpenPanel", "LNbits", "EcliPanel")
ROW = re.compile(r"^\| (?P<operation>.+?) \| (?P<graphql>.+?) \| (?P<test>.*?) ?\| (?P<notes>.*?) ?\|$", re.MULTILINE)
ROWS = [row for row in ROW.finditer(TABLES) if row["operation"] not in {"operation", "---"}]
LEFT_OUT = "left out"


def identifier(row: re.Match[str]) -> str:
    return row["operation"]


def names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def is_operation(name: str) -> bool:
    """Return whether a type has this field, or the service this command."""
    if name.startswith("service "):
        return name.removeprefix("service ") in main.commands
    type_name, _, field = name.partition(".")
    found = schema._schema.type_map.get(type_name)  # noqa: SLF001
    return found is not None and field in getattr(found, "fields", {})


def test_every_system_has_its_rows() -> None:
    sections = {part.partition("\n")[0]: part for part in TABLES.split("\n## ")[1:]}
    assert tuple(sections) == SYSTEMS
    assert {name: len(ROW.findall(part)) > 10 for name, part in sections.items()} == dict.fromkeys(SYSTEMS, True)


@pytest.mark.parametrize("row", ROWS, ids=identifier)
def test_a_row_names_an_operation_and_a_test_or_a_reason(row: re.Match[str]) -> None:
    if row["graphql"] == LEFT_OUT:
        assert not row["test"]
        assert row["notes"]
        return
    operations = names(row["graphql"]) + [name for name in names(row["notes"]) if "." in name]
    assert [name for name in operations if not is_operation(name)] == []
    [test] = names(row["test"])
    module, _, function = test.partition("::")
    assert re.search(rf"^(async )?def {function}\(", (REPOSITORY / "tests" / module).read_text(), re.MULTILINE)

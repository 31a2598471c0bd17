"""Exported tables of other systems, from the files of `tests/moving` or from lists, and what a reader makes of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from service.moving.records import Record
from service.moving.sources import SOURCES
from tests.conftest import REPOSITORY

FOLDER = REPOSITORY / "tests" / "moving"
Report = tuple[str, str, str, bool]


class Recorded(dict[str, Any]):
    """A row that records which columns are read."""

    def __init__(self, row: Mapping[str, Any], seen: set[str]) -> None:
        super().__init__(row)
        self.seen = seen

    def get(self, key: str, default: Any = None) -> Any:
        self.seen.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> Any:
        self.seen.add(key)
        return super().__getitem__(key)


class Lists:
    """Tables as lists of rows. `seen` are the columns that a reader reads, by table."""

    def __init__(self, tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        self.tables = tables
        self.seen: defaultdict[str, set[str]] = defaultdict(set)

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        for row in self.tables.get(table, ()):
            yield Recorded(row, self.seen[table])


def exported(name: str) -> dict[str, list[dict[str, Any]]]:
    """Return the tables in a folder of `tests/moving`."""
    found = {}
    for path in sorted((FOLDER / name).glob("*.jsonl")):
        found[path.stem] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert found
    return found


def run(system: str, tables: Mapping[str, Sequence[Mapping[str, Any]]] | Lists) -> tuple[list[Record], list[Report]]:
    """Return the records of a reader, and what it reports: table, key, reason, and whether the row is taken."""
    reports: list[Report] = []

    def dropped(table: str, key: str, reason: str, *, taken: bool = False) -> None:
        reports.append((table, key, reason, taken))

    source = tables if isinstance(tables, Lists) else Lists(tables)
    return list(SOURCES[system](source, dropped)), reports


def of(records: Sequence[Record], kind: type[Any]) -> list[Any]:
    """Return the records of a kind."""
    return [record for record in records if isinstance(record, kind)]

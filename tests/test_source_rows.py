"""All readers: whatever a row contains, it stops nothing, and the report does not repeat it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest

from service.moving.records import RECORDS, Record, UserRecord
from service.moving.sources import SOURCES, TABLES
from tests.source_tables import Lists, Recorded, exported, of, run

SYSTEMS = sorted(SOURCES)
MARK = "s3cret-s3cret-s3cret"
# Tables whose rows become parts of others' records
BESIDE = {"order", "permission", "system_settings", "user_role"}
# Ids and names of permissions are in the report
SHOWN = {
    *("id", "uuid", "user_id", "userId", "user_uuid", "server_uuid"),
    *("permissions", "admin_permissions"),
}
VALUES: list[Any] = [
    *(None, "", " ", "x", MARK, f"{MARK}\n\x00", "\\", "'; DROP TABLE users; --", "{}", "[]", "[null]", f'["{MARK}"]'),
    *(0, 1, -1, 2, 2**31, 2**53, 2**63, -(2**63), 1e308, -1e308, 0.5, True, False, [], {}, [None], [[MARK]], [{}]),
    *({"a": MARK}, {"memory": [MARK], "portsPerServer": {}}, {"locale": [MARK], "theme": MARK}, [MARK, 1, None]),
    *("9" * 400, "a" * 100_000, "[" * 5_000, "😀" * 300, "\u202e", "0000-00-00", "2026-02-30 00:00:00", "*", "PQ1:"),
    *("-----BEGIN PUBLIC KEY-----\nAAAA", "\\x", "\\xzz", "00000007", "SUSPENDED_00000000000000_", "a:b:c", "=:=:="),
]


@pytest.mark.parametrize("system", SYSTEMS)
def test_no_value_of_a_column_stops_a_reader(system: str) -> None:
    tables = exported(system)
    for table, columns in TABLES[system].items():
        for column in columns:
            assert column in tables[table][0]
            rows = [tables[table][0] | {column: value} for value in VALUES]
            records, reports = run(system, tables | {table: rows})
            if table not in BESIDE:
                assert len(records) + len(reports) >= len(rows)
            if column not in SHOWN and table != "permission":
                assert MARK not in str(reports)


@pytest.mark.parametrize("system", SYSTEMS)
def test_rows_without_columns_are_reported(system: str) -> None:
    for table in TABLES[system]:
        records, reports = run(system, {table: [{}, {"unknown": 1}]})
        assert records == []
        assert [(report[0], report[1], report[3]) for report in reports] == [
            *((table, "row 1", False), (table, "row 2", False)),
        ]


@pytest.mark.parametrize("system", SYSTEMS)
def test_tables_may_be_absent(system: str) -> None:
    assert run(system, {}) == ([], [])


@pytest.mark.parametrize("system", SYSTEMS)
def test_records_are_in_the_order_of_their_references(system: str) -> None:
    records, _reports = run(system, exported(system))
    places = [RECORDS.index(type(record)) for record in records]
    assert places == sorted(places)


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_second_reading_yields_the_same(system: str) -> None:
    assert run(system, exported(system)) == run(system, exported(system))


@pytest.mark.parametrize("system", SYSTEMS)
def test_keys_are_unique_within_a_kind(system: str) -> None:
    records, _reports = run(system, exported(system))
    keys = [(type(record), record.key) for record in records]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("system", SYSTEMS)
def test_only_listed_columns_are_read(system: str) -> None:
    source = Lists(exported(system))
    run(system, source)
    assert set(source.seen) == set(TABLES[system])
    read = {table: seen & set(TABLES[system][table]) for table, seen in source.seen.items()}
    assert {table: seen for table, seen in source.seen.items() if seen != read[table]} == {}


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_files_have_the_listed_columns(system: str) -> None:
    found = {table: set(rows[0]) for table, rows in exported(system).items()}
    assert found == {table: set(columns) for table, columns in TABLES[system].items()}


class Endless(Lists):
    """Tables of which one never ends."""

    def rows(self, table: str) -> Iterator[dict[str, Any]]:
        if table not in {"users", "user", "accounts"} or len(self.tables[table][0]) < 9:
            yield from super().rows(table)
            return
        number = 0
        while True:
            number += 1
            yield Recorded({**self.tables[table][0], "id": number, "email": f"{number}@roster.test"}, set())


@pytest.mark.parametrize("system", SYSTEMS)
def test_users_are_not_collected_before_they_are_yielded(system: str) -> None:
    reports = []

    def dropped(table: str, key: str, reason: str, *, taken: bool = False) -> None:
        reports.append((table, key, reason, taken))

    found = SOURCES[system](Endless(exported(system)), dropped)
    users = islice((record for record in found if isinstance(record, UserRecord)), 500)
    assert len(list(users)) == 500


@pytest.mark.parametrize("system", SYSTEMS)
def test_times_are_in_utc(system: str) -> None:
    records: list[Record] = run(system, exported(system))[0]
    times = [getattr(record, "created_at", None) for record in records]
    times += [user.suspended_at for user in of(records, UserRecord)]
    found = [time for time in times if time is not None]
    assert found
    assert all(time.tzinfo is dt.UTC for time in found) or system == "openpanel"

"""Files of imports: lines that are no records, compressed files, tables, and the service's own form."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from service.moving import tables
from service.moving.csv_form import COLUMNS, read_csv
from service.moving.own_form import KINDS, FormError, line_of, read_own_form, record_of
from service.moving.records import RECORDS, UserRecord
from service.moving.tables import LineFile, MovingError, TableFiles

Dropped = list[tuple[str, str, str]]


def rows_of(path: Path, table: str = "users") -> tuple[list[dict[str, Any]], Dropped]:
    """Return the rows of a table, and what was dropped."""
    dropped: Dropped = []
    files = TableFiles([path], lambda *line, **_: dropped.append(line))
    return list(files.rows(table)), dropped


def test_a_line_that_is_not_an_object_is_dropped_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"id": 1}\r\n\n[2]\n{"id": 3\n"four"\n{"id": "\xff"}\n   \n{"id": 7}')
    rows, dropped = rows_of(path)
    assert rows == [{"id": 1}, {"id": 7}]
    assert dropped == [
        ("users", "line 3", "The line is not a JSON object."),
        ("users", "line 4", "The line is not JSON."),
        ("users", "line 5", "The line is not a JSON object."),
        ("users", "line 6", "The line is not JSON."),
    ]


def test_a_line_that_is_too_long_is_dropped_and_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl.gz"
    longest = tables.LONGEST_LINE
    with gzip.open(path, "wb") as file:
        file.write(b'{"id": 1}\n')
        for _ in range(60):
            file.write(b"x" * longest)
        file.write(b'\n{"id": 3}\n' + b'{"a": "' + b"y" * (longest - 10) + b'"}\n')
    tracemalloc.start()
    rows, dropped = rows_of(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row.get("id") for row in rows] == [1, 3, None]
    assert dropped == [("users", "line 2", f"The line is longer than {longest} bytes.")]
    assert peak < 20 * longest


def test_the_tables_of_a_folder_are_found_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "users.jsonl").write_text('{"id": 1}\n')
    (tmp_path / "servers.jsonl.gz").write_bytes(gzip.compress(b'{"id": 2}\n'))
    (tmp_path / "notes.txt").write_text("not a table")
    files = TableFiles([tmp_path], lambda *line, **_: None)
    assert sorted(files.files) == files.unread == ["servers", "users"]
    assert list(files.rows("servers")) == [{"id": 2}]
    assert (list(files.rows("subusers")), files.unread) == ([], ["users"])


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["users.json"], "is not named after a table"),
        (["users.jsonl", "users.jsonl.gz"], "are both of the table users"),
        (["missing.jsonl"], "cannot be read"),
        (["folder"], "has no files"),
    ],
)
def test_files_that_cannot_be_used_are_reported(tmp_path: Path, names: list[str], complaint: str) -> None:
    (tmp_path / "folder").mkdir()
    for name in names:
        if name not in {"missing.jsonl", "folder"}:
            (tmp_path / name).write_text("")
    with pytest.raises(MovingError, match=complaint):
        TableFiles([tmp_path / name for name in names], lambda *line, **_: None)


def test_a_gzip_file_that_was_cut_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "users.jsonl"
    path.write_bytes(gzip.compress(b'{"id": 1}\n' * 50_000)[:-20])
    with pytest.raises(MovingError, match="is not a complete gzip file"):
        rows_of(path)


def test_every_record_has_a_name_and_is_read_as_it_was_written() -> None:
    assert tuple(KINDS) == RECORDS
    user = UserRecord(
        key="7",
        username="ada",
        created_at=dt.datetime(2020, 1, 2, 3, 4, 5, 678000, dt.UTC),
        date_of_birth=dt.date(1990, 1, 2),
        settings={"a": [1, None, {"b": 1.5}]},
        limits={"servers": 3},
        recovery_codes=(b"\x00\xff",),
    )
    line = line_of(user)
    assert json.loads(line) == {
        "type": "user",
        "key": "7",
        "username": "ada",
        "created_at": "2020-01-02T03:04:05.678Z",
        "date_of_birth": "1990-01-02",
        "settings": {"a": [1, None, {"b": 1.5}]},
        "limits": {"servers": 3},
        "recovery_codes": ["AP8="],
    }
    assert record_of(json.loads(line)) == user
    assert line_of(record_of(json.loads(line))) == line


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ({}, "type must be one of plan, role, user"),
        ({"type": ["user"], "key": "1"}, "type must be one of"),
        ({"type": "session", "key": "1"}, "type must be one of"),
        ({"type": "user"}, "key is missing"),
        ({"type": "user", "key": 1}, "key has the wrong form"),
        ({"type": "user", "key": "1", "email_verified": "yes"}, "email_verified has the wrong form"),
        ({"type": "user", "key": "1", "created_at": "yesterday"}, "created_at has the wrong form"),
        ({"type": "user", "key": "1", "settings": []}, "settings has the wrong form"),
        ({"type": "user", "key": "1", "isAdmin": True}, "There is no field isAdmin"),
        (
            {"type": "api-key", "key": "1", "user": "1", "name": "a", "prefix": "r", "hash": "?"},
            "hash has the wrong form",
        ),
        ({"type": "subuser", "key": "1", "server": "1", "user": "1", "permissions": "*"}, "permissions has the wrong"),
        ({"type": "passkey", "key": "1", "sign_count": True}, "is missing|has the wrong form"),
    ],
)
def test_a_line_of_another_form_is_rejected(line: dict[str, Any], complaint: str) -> None:
    with pytest.raises(FormError, match=complaint):
        record_of(line)


def test_the_own_form_reports_lines_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    path.write_text('{"type": "user", "key": "1"}\n{"type": "usr"}\nnonsense\n{"type": "user", "key": "4"}\n')
    dropped: Dropped = []
    found = list(read_own_form([LineFile(path)], lambda *line, **_: dropped.append(line)))
    assert [record.key for record in found] == ["1", "4"]
    assert [(table, place) for table, place, _ in dropped] == [("all.jsonl", "line 2"), ("all.jsonl", "line 3")]


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("username,is_admin", "unknown columns is_admin"),
        ("username,Username", "a column is named twice"),
        ("first_name,role", "a column username or email is required"),
    ],
)
def test_a_csv_header_that_cannot_be_used_is_reported(tmp_path: Path, header: str, complaint: str) -> None:
    path = tmp_path / "users.csv"
    path.write_text(f"{header}\na,b\n")
    with pytest.raises(MovingError, match=complaint):
        list(read_csv([LineFile(path)], lambda *line, **_: None))


def test_csv_rows_that_cannot_be_read_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_bytes(
        b'username,email\nada,a@x.test\n"bea"x,b@x.test\n\ncea,"c@x.test"\n' + b"d" * 200_000 + b",e\neva,\n"
    )
    dropped: Dropped = []
    found = list(read_csv([LineFile(path)], lambda *line, **_: dropped.append(line)))
    assert [record.key for record in found] == ["ada", "cea", "eva"]
    assert [place for _, place, _ in dropped] == ["line 3", "line 6"]


def test_every_column_of_csv_is_a_field_of_a_user() -> None:
    assert {name for name in COLUMNS if not name.startswith("billing_")} <= set(UserRecord.__dataclass_fields__)

"""Users as CSV (RFC 4180), in UTF-8, with a header row that names the columns.

The columns are fields of UserRecord, in any order. `key` tells the rows apart in later imports; without it, that is the
external id, else the username or the email address. `plan` and `role` are names that exist in the service. The members
of the billing address are columns `billing_line1`, `billing_city`, and so on. An empty cell is an absent value.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from graphql import GraphQLError

from service.moving.records import Dropped, Record, UserRecord
from service.moving.tables import LineFile, MovingError
from service.moving.user import BUILTIN_ROLES
from service.parsing import parse_date, parse_datetime

BILLING: Final = "billing_"
ADDRESS: Final = ("line1", "line2", "company", "city", "state", "postal_code", "country")
TRUE: Final = frozenset({"true", "t", "yes", "y", "1"})
FALSE: Final = frozenset({"false", "f", "no", "n", "0"})


def _boolean(text: str) -> bool:
    if text.lower() in TRUE | FALSE:
        return text.lower() in TRUE
    raise ValueError


def _role(text: str) -> str:
    return text.upper() if text.upper() in BUILTIN_ROLES else text


def _time(text: str) -> dt.datetime:
    """Return a time; a day alone is its start in UTC."""
    return parse_datetime(f"{text}T00:00:00Z" if len(text) == len("2026-01-01") else text)


TEXTS: Final = (
    *("key", "id", "username", "email", "first_name", "last_name", "display_name", "language", "tier"),
    *("plan", "external_id", "suspended_reason", "password_hash", "two_factor_secret"),
)
READERS: Final[dict[str, Callable[[str], Any]]] = {
    **dict.fromkeys(TEXTS, str),
    "email_verified": _boolean,
    "role": _role,
    "date_of_birth": parse_date,
    "created_at": _time,
    "last_login_at": _time,
    "suspended_at": _time,
    "suspended_until": _time,
}
COLUMNS: Final = frozenset(READERS) | {BILLING + name for name in ADDRESS}


def read_csv(files: Sequence[LineFile], dropped: Dropped) -> Iterator[Record]:
    """Yield the users of files. Raise MovingError for a header that cannot be used."""
    for file in files:
        yield from _users(file, dropped)


class _Texts:
    """The lines of a file as texts, and the number of the newest one."""

    def __init__(self, file: LineFile, dropped: Dropped) -> None:
        self._file = file
        self._dropped = dropped
        self.place = "line 1"

    def __iter__(self) -> Iterator[str]:
        for number, line in self._file.lines():
            self.place = f"line {number}"
            if line is None:
                self._dropped(self._file.path.name, self.place, "The line is too long.")
            else:
                # What is not UTF-8 becomes a text that no column accepts
                yield line.decode("utf-8", "surrogateescape")


def _users(file: LineFile, dropped: Dropped) -> Iterator[UserRecord]:
    name, texts = file.path.name, _Texts(file, dropped)
    rows = csv.reader(texts, strict=True)
    header: list[str] | None = None
    while True:
        try:
            row = next(rows, None)
        except csv.Error as error:
            dropped(name, texts.place, f"The line is not CSV: {error}.")
            continue
        if row is None:
            return
        if header is None:
            header = _header(file, row)
        elif len(row) != len(header):
            dropped(name, texts.place, f"The row has {len(row)} cells, and the header has {len(header)}.")
        else:
            user = _user(name, texts.place, dict(zip(header, row, strict=True)), dropped)
            if user is not None:
                yield user


def _header(file: LineFile, row: list[str]) -> list[str]:
    names = [cell.strip().lower() for cell in row]
    wrong = [name for name in names if name not in COLUMNS]
    if wrong:
        raise MovingError(
            f"{file.path}: unknown columns {', '.join(wrong)[:200]}; known are {', '.join(sorted(COLUMNS))}"
        )
    if len(set(names)) < len(names):
        raise MovingError(f"{file.path}: a column is named twice")
    if not {"username", "email"}.intersection(names):
        raise MovingError(f"{file.path}: a column username or email is required")
    return names


def _user(table: str, place: str, cells: dict[str, str], dropped: Dropped) -> UserRecord | None:
    values: dict[str, Any] = {}
    address: dict[str, str] = {}
    for name, cell in cells.items():
        text = cell.strip()
        if not text:
            continue
        if name.startswith(BILLING):
            address[name.removeprefix(BILLING)] = text
            continue
        try:
            values[name] = READERS[name](text)
        except (ValueError, GraphQLError):
            dropped(table, place, f"{name} has the wrong form.")
            return None
    key = next((values[name] for name in ("key", "external_id", "username", "email") if name in values), None)
    if key is None:
        dropped(table, place, "The row has no username and no email.")
        return None
    return dataclasses.replace(UserRecord(key=key, billing_address=address), **(values | {"key": key}))

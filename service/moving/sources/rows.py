"""Rows of another system's tables, and the report of what is not taken of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from service import limits
from service.identifiers import fold
from service.moving.records import Dropped, Tables
from service.moving.sources import values

T = TypeVar("T")
R = TypeVar("R")

NO_SECOND_FACTOR: Final = "Until a new second factor is set up, the password alone is enough."
BUILT_IN_ROLES: Final = ("USER", "STAFF", "ADMIN", "ROOT")  # a role of another system never gets their rights by name
EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})
SUSPENDED_SERVER: Final = "A server cannot be suspended here."


class UnusableRowError(Exception):
    """A row that cannot be imported; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row. A part that has the wrong form is None, and it is reported."""

    table: str
    key: str
    columns: Mapping[str, Any]
    dropped: Dropped

    def report(self, column: str, reason: str) -> None:
        """Report that a column is not taken as it is."""
        self.dropped(self.table, self.key, f"{column}: {reason}", taken=True)

    def drop(self, reason: str) -> None:
        """Report that the row is not taken."""
        self.dropped(self.table, self.key, reason)

    def has(self, column: str) -> bool:
        """Return whether a column has a value that is not an empty text, list, or object."""
        return self.columns.get(column) not in EMPTY

    def value(self, column: str, convert: Callable[[Any], T | None]) -> T | None:
        """Return the converted value of a column, or None."""
        given = self.columns.get(column)
        if given in EMPTY:
            return None
        try:
            return convert(given)
        except ValueError as error:
            self.report(column, str(error))
            return None

    def required(self, column: str, convert: Callable[[Any], T]) -> T:
        """Return the converted value of a column. Without it, the row cannot be imported."""
        try:
            return convert(self.columns.get(column))
        except ValueError as error:
            raise UnusableRowError(f"{column}: {error}") from None

    def flag(self, column: str, *, unreadable: bool = False) -> bool:
        """Return a boolean; false if there is none. `unreadable` is the result for a value of another form."""
        if not self.has(column):
            return False
        found = self.value(column, values.flag)
        return unreadable if found is None else found

    def text(self, column: str) -> str | None:
        """Return a text."""
        return self.value(column, values.text)

    def name(self, column: str, unique: UniqueNames, *, default: str, most: int = limits.NAME, scope: str = "") -> str:
        """Return a name, made unique within its scope and at most as long as allowed."""
        given = self.text(column) or default
        found = unique.next(given, most, scope)
        if found != given:
            self.report(column, "The name is taken or too long, so it was changed.")
        return found

    def reference(self, column: str) -> str:
        """Return the key of the row that a column names."""
        found = key_of(self.columns.get(column))
        if found is None:
            raise UnusableRowError(f"{column}: The row names no other row.")
        return found

    def other(self, column: str) -> str | None:
        """Return the key of the row that a column names, if it names one."""
        found = key_of(self.columns.get(column))
        if found is None and self.has(column):
            self.report(column, "The value is not the id of a row.")
        return found

    def role(self, column: str) -> str | None:
        """Return the key of the role that a column names.

        SECURITY: in a record, the name of a built-in role has its place. It must not get there as an id.
        """
        found = self.other(column)
        if found in BUILT_IN_ROLES:
            self.report(column, "The value is not the id of a row.")
            return None
        return found

    def password_hash(self, column: str) -> str | None:
        """Return a password hash that can be verified here."""
        return self.value(column, values.password_hash)

    def two_factor_secret(self, column: str, *, enabled: bool) -> str | None:
        """Return the secret of a confirmed second factor."""
        if not enabled:
            return None
        found = self.value(column, values.totp_secret)
        if found is None:
            # SECURITY: the operator must learn who has lost the protection of a second factor
            self.report(column, NO_SECOND_FACTOR)
        return found


class UniqueNames:
    """Names that are unique ignoring case within a scope; a repeated one gets a number."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        """`taken` are names that no row gets."""
        self._taken = {("", fold(name)) for name in taken}
        self._last: dict[tuple[str, str], int] = {}

    def next(self, name: str, most: int, scope: str = "") -> str:
        """Return the name, shortened and with a number if needed, and reserve it."""
        base = found = name[:most].rstrip()
        start = (scope, fold(base))
        while (scope, fold(found)) in self._taken:
            self._last[start] = number = self._last.get(start, 1) + 1
            tail = f" {number}"
            found = base[: most - len(tail)].rstrip() + tail
        self._taken.add((scope, fold(found)))
        return found


def key_of(value: object) -> str | None:
    """Return the id of a row as a key, or None for what is not an id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = value.strip() if isinstance(value, str) else ""
    return text if 1 <= len(text) <= limits.NAME and text.isprintable() else None


def rows(tables: Tables, dropped: Dropped, table: str, *columns: str) -> Iterator[Row]:
    """Yield the rows of a table; `columns` are its primary key, by default `id`. A row without a key is dropped."""
    for number, found in enumerate(tables.rows(table), start=1):
        keys = [key_of(found.get(column)) for column in columns or ("id",)]
        if None in keys:
            dropped(table, f"row {number}", f"The row has no {' and '.join(columns or ('id',))}.")
        else:
            yield Row(table, " ".join(filter(None, keys)), found, dropped)


def records(found: Iterable[Row], convert: Callable[[Row], R]) -> Iterator[R]:
    """Yield the record of each row; a row that cannot be imported is dropped with its reason."""
    for row in found:
        try:
            record = convert(row)
        except UnusableRowError as error:
            row.drop(str(error))
        else:
            yield record


def not_taken(tables: Tables, dropped: Dropped, table: str, *, owner: str, reason: str, key: str = "id") -> None:
    """Report every row of a table that has no place here, with the user that it belongs to."""
    for row in rows(tables, dropped, table, key):
        of = key_of(row.columns.get(owner))
        row.drop(f"{reason} It belongs to the user {of}." if of else reason)

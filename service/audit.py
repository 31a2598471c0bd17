"""The changes that an audit event tells: the columns that a field of the type shows, with their old and new values.

A column that no field shows is never logged. Secrets are logged as REDACTED.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

from service.compiler.kinds import ENTITIES
from service.database.rows import Row
from service.inputs import camel_case

Changes: TypeAlias = dict[str, Mapping[str, Any]]
REDACTED: Final = "[redacted]"
# Columns whose changes say nothing to the reader of an event
_SILENT = frozenset({"created_at", "id", "last_login_at", "updated_at", "version"})
# jsonb columns that store an input by the Python names of its fields
_INPUTS = frozenset({"billing_address", "limit_overrides", "limits"})
_EMPTY: tuple[Any, ...] = (None, {}, [])


def created(row: Row) -> Changes:
    """Return the changes of a new object."""
    return {name: {"old": None, "new": value} for name, value in _shown(row) if value not in _EMPTY}


def deleted(row: Row) -> Changes:
    """Return the changes of a deleted object."""
    return {name: {"old": value, "new": None} for name, value in _shown(row) if value not in _EMPTY}


def updated(old: Row, new: Row) -> Changes:
    """Return what differs between two versions of an object."""
    names = _names(type(new).__name__)
    return {
        names[column]: _difference(_value(column, old[column]), _value(column, value))
        for column, value in new.items()
        if column in names and old[column] != value
    }


def _shown(row: Row) -> Iterator[tuple[str, Any]]:
    names = _names(type(row).__name__)
    return ((names[column], _value(column, value)) for column, value in row.items() if column in names)


@cache
def _names(type_name: str) -> Mapping[str, str]:
    """Return the columns whose changes are part of events, each with its name there."""
    return {column: camel_case(column) for column in ENTITIES[type_name].field_of_column if column not in _SILENT}


def _value(column: str, value: Any) -> Any:
    return _in_camel_case(value) if column in _INPUTS else value


def _in_camel_case(value: Mapping[str, Any]) -> dict[str, Any]:
    return {camel_case(name): item for name, item in value.items()}


def _difference(old: Any, new: Any) -> dict[str, Any]:
    """Return the old and the new value; of two objects only the members that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        return {
            "old": {name: old[name] for name in names if name in old},
            "new": {name: new[name] for name in names if name in new},
        }
    return {"old": old, "new": new}

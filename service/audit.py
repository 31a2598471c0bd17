"""The changes that an audit event tells: the columns that a field of the type shows, with their old and new values.

A column that no field shows is never logged. Secrets are logged as REDACTED.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from strawberry.utils.str_converters import to_camel_case

from service.compiler.kinds import ENTITIES
from service.database.rows import Row

Changes: TypeAlias = dict[str, Mapping[str, Any]]
REDACTED: Final = "[redacted]"
# Columns whose changes say nothing to the reader of an event
_SILENT = frozenset({"created_at", "id", "last_login_at", "updated_at", "version"})
# jsonb columns that store an input by the Python names of its fields
_INPUTS = frozenset({"billing_address", "limit_overrides", "limits"})
_EMPTY: tuple[Any, ...] = (None, {}, [])


def created(row: Row) -> Changes:
    """Return the changes of a new object."""
    return {name: {"old": None, "new": value} for name, value in _shown(row).items() if value not in _EMPTY}


def deleted(row: Row) -> Changes:
    """Return the changes of a deleted object."""
    return {name: {"old": value, "new": None} for name, value in _shown(row).items() if value not in _EMPTY}


def updated(old: Row, new: Row) -> Changes:
    """Return what differs between two versions of an object."""
    before, after = _shown(old), _shown(new)
    return {name: _difference(before[name], after[name]) for name in after if before.get(name) != after[name]}


def _shown(row: Row) -> dict[str, Any]:
    shown = ENTITIES[type(row).__name__].field_of_column
    return {
        to_camel_case(name): _in_camel_case(value) if name in _INPUTS else value
        for name, value in row.items()
        if name in shown and name not in _SILENT
    }


def _in_camel_case(value: Mapping[str, Any]) -> dict[str, Any]:
    return {to_camel_case(name): item for name, item in value.items()}


def _difference(old: Any, new: Any) -> dict[str, Any]:
    """Return the old and the new value; of two objects only the members that differ."""
    if isinstance(old, dict) and isinstance(new, dict):
        names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
        return {
            "old": {name: old[name] for name in names if name in old},
            "new": {name: new[name] for name in names if name in new},
        }
    return {"old": old, "new": new}

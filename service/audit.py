"""The changes that an audit event tells: the columns that a field of the type shows, with their old and new values.

A column that no field shows is never logged. Secrets are logged as REDACTED.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

from service.access.actor import Actor
from service.compiler.kinds import ENTITIES
from service.context import Request
from service.database.rows import Row
from service.inputs import camel_case

Changes: TypeAlias = dict[str, Mapping[str, Any]]
REDACTED: Final = "[redacted]"
# Columns whose changes say nothing to the reader of an event
_SILENT = frozenset({"created_at", "id", "last_login_at", "updated_at", "version"})
# jsonb columns that store an input by the Python names of its fields
_INPUTS = frozenset({"billing_address", "limit_overrides", "limits"})
_EMPTY: tuple[Any, ...] = (None, {}, [])


@dataclass(frozen=True, slots=True)
class Target:
    """The object of an event, and the user that it belongs to."""

    type: str | None
    id: str | None
    owner_id: str | None


NO_TARGET: Final = Target(None, None, None)


def target_of(row: Row) -> Target:
    """Return the target of an event on a row."""
    columns = ENTITIES[type(row).__name__].ownership.columns
    return Target(type(row).__name__, row["id"], row[columns[0]] if columns else None)


def event_columns(
    event: str, actor: Actor, request: Request | None, target: Target, changed: Changes
) -> dict[str, Any]:
    """Return the parameters of `create_audit_event`."""
    return {
        "event": event,
        "actor_id": actor.user_id,
        "impersonator_id": actor.impersonator_id,
        "credential": actor.credential,
        "target_type": target.type,
        "target_id": target.id,
        "owner_id": target.owner_id,
        "changes": changed,
        "ip": None if request is None else request.ip,
        "request_id": None if request is None else request.id,
    }


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
    """Return the old and the new value; of two objects only the members that differ, at every depth."""
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return {"old": old, "new": new}
    found: dict[str, Any] = {"old": {}, "new": {}}
    for name in {**old, **new}:
        if name not in new:
            found["old"][name] = old[name]
        elif name not in old:
            found["new"][name] = new[name]
        elif old[name] != new[name]:
            inner = _difference(old[name], new[name])
            found["old"][name], found["new"][name] = inner["old"], inner["new"]
    return found

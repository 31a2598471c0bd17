"""Look-up of related rows, of the rows of root fields, and of objects by id, whatever their type.

An id without an object and one of a hidden object are both null.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from service.access.rules import Rule
from service.access.viewer import Viewer
from service.compiler.kinds import ENTITIES, Related
from service.database.loaders import Loaders
from service.database.pages import Columns
from service.database.read_pool import Found


class NodeContext(Protocol):
    """What a look-up needs of an operation's context."""

    @property
    def viewer(self) -> Viewer:
        """The caller."""

    @property
    def loaders(self) -> Loaders:
        """The loaders of the request."""


@dataclass(slots=True)
class Wanted:
    """What the function of a root field returns in place of a row: the row of a key, if the caller reaches it.

    The rows that a field of several operations wants are read together.
    """

    statement: str
    key: Any
    rules: tuple[Rule, ...]


def wanted(statement: str, key: Any, *rules: Rule) -> Any:
    """Return the row of a key for the executor to find, or null if the caller may not reach it under the rules."""
    return Wanted(statement, key, rules)


async def find_wanted(
    context: NodeContext, wanted: Sequence[Wanted], columns: Callable[[str], Columns | None] = lambda _type_name: None
) -> list[Any]:
    """Return each row, or None; `columns` are those that are needed of a type, None for all."""
    loaders, keys = context.loaders, dict[str, list[Any]]()
    for each in wanted:
        keys.setdefault(each.statement, []).append(each.key)
    reads = [loaders.load(name, found, columns=columns(loaders.row_type(name))) for name, found in keys.items()]
    rows = dict(zip(keys, [await reads[0]] if len(reads) == 1 else await asyncio.gather(*reads), strict=True))
    return [await _reached(context.viewer, each.rules, rows[each.statement].get(each.key)) for each in wanted]


async def _reached(viewer: Viewer, rules: Iterable[Rule], found: Sequence[Any] | None) -> Any:
    """Return the row that was found, if the caller reaches it."""
    if not found:
        return None
    for rule in rules:
        reached = viewer.reaches(rule, found[0])
        if not (reached if isinstance(reached, bool) else await reached):
            return None
    return found[0]


def load_related(
    context: NodeContext, kind: Related, keys: Iterable[Any], columns: Columns | None = None
) -> Awaitable[Found]:
    """Return the rows of a relation with a statement, by key; there is none for a key that is None."""
    wanted = [key for key in keys if key is not None]
    if kind.statement is None:
        raise TypeError("the type of this relation's rows is in a column")
    if not kind.by_viewer:
        return context.loaders.load(kind.statement, wanted, columns=columns)
    viewer = context.viewer.actor.user_id
    return context.loaders.load(kind.statement, wanted if viewer else (), columns=columns, viewer=viewer)


async def find_nodes(
    context: NodeContext,
    ids: Iterable[str],
    type_name: str | None = None,
    *,
    columns: Callable[[str], tuple[str, ...] | None] = lambda _type_name: None,
) -> dict[str, Any]:
    """Return the objects with the ids that the caller may see, by id; of the given type or of any.

    It takes a statement that finds the types, and one for each type that was found. SECURITY: each type has its own
    statement and its own rule, so that an id never opens an object of another type (CVE-2025-22151).
    """
    by_type = await _by_type(context, ids) if type_name is None else {type_name: list(ids)}
    reads = [context.loaders.load(ENTITIES[name].by_id, keys, columns=columns(name)) for name, keys in by_type.items()]
    found: dict[str, Any] = {}
    for (name, keys), read in zip(by_type.items(), reads, strict=True):
        rows = await read
        present = [rows[key][0] for key in dict.fromkeys(keys) if key in rows]
        found.update((row["id"], row) for row in await context.viewer.visible(name, present))
    return found


async def _by_type(context: NodeContext, ids: Iterable[str]) -> dict[str, list[str]]:
    """Return the ids of existing objects by the name of their type."""
    wanted = dict.fromkeys(ids)
    types = await context.loaders.load("types_by_id", wanted)
    found: dict[str, list[str]] = {}
    for key in wanted:
        if key in types:
            found.setdefault(types[key][0]["type"], []).append(key)
    return found

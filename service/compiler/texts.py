"""Pages as JSON text: where the nodes of a page have nothing but columns, PostgreSQL writes them.

That costs less than to read rows, to make objects of them, and to write these.
"""

from __future__ import annotations

from typing import Any, cast

from graphql import GraphQLEnumType, get_nullable_type, is_list_type

from service.compiler.kinds import Column
from service.compiler.leaves import PLAIN, TIME, Leaf
from service.compiler.plan import PageText, Selection

LONGEST_NAME = 63  # bytes of an identifier in PostgreSQL
# The database's text of these is the one that clients receive
TYPES = PLAIN - {"JSON"}


def text_of(page: Selection) -> PageText | None:
    """Return how PostgreSQL writes a page; None if it has more than nodes, or nodes have more than columns."""
    if len(page.fields) != 1:
        return None
    [nodes] = page.fields
    if nodes.name != "nodes" or nodes.selections is None or len(nodes.selections) != 1:
        return None
    [selection] = nodes.selections.values()
    if selection.deferred:
        return None
    columns = [_column(field.leaf) for field in selection.fields if field.leaf is not None]
    if None in columns:
        return None
    return PageText(nodes.key, selection, tuple(column for column in columns if column is not None))


def _column(leaf: Leaf) -> str | None:
    """Return the SQL expression of a value, under its name in the response."""
    value = _value(leaf)
    fits = len(leaf.key) <= LONGEST_NAME
    return f'{value} AS "{leaf.key}"' if value is not None and fits else None


def _value(leaf: Leaf) -> str | None:
    if isinstance(leaf.source, str):
        return f"CAST('{leaf.source}' AS text)"
    if not isinstance(leaf.source, Column) or leaf.type is None:
        return None
    name, plain = f"list.{leaf.source.name}", cast("Any", get_nullable_type(leaf.type))
    if isinstance(plain, GraphQLEnumType):
        return _enum(name, plain)
    if is_list_type(plain):
        return None  # it may have null where its type does not allow that
    if plain.name == TIME:
        # Such as 2026-03-01 12:30:00.5+00, always in UTC
        return f"replace(replace(CAST({name} AS text), ' ', 'T'), '+00', 'Z')"
    return name if plain.name in TYPES else None


def _enum(name: str, graphql_type: GraphQLEnumType) -> str | None:
    """Return the SQL expression of an enum's names, if all of its values are texts."""
    values = {shown: getattr(value.value, "value", value.value) for shown, value in graphql_type.values.items()}
    if all(isinstance(value, str) and value == shown for shown, value in values.items()):
        return name
    return None

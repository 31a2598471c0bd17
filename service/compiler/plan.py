"""Plans: what an operation needs, compiled once for each document.

A `Selection` is the fields of one object type at one place of the document, with fragments merged. A `Layout` is the
columns that the rows of a type need. The plan knows neither rows nor callers: `execution.run` runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import orjson
from graphql import (
    FieldNode,
    GraphQLEnumType,
    GraphQLOutputType,
    GraphQLScalarType,
    OperationType,
    is_list_type,
    is_non_null_type,
)
from graphql.execution.values import VariableValues

from service.access.actor import Authority
from service.access.authorize import Verdict, decide
from service.access.rules import Rule
from service.compiler.kinds import Kind
from service.compiler.leaves import Build, Leaf, Read, Shape, reader
from service.operations.kept import Kept

KEPT_VERDICTS = 64  # authorities whose verdicts a selection keeps
Arguments: TypeAlias = Callable[[VariableValues], dict[str, Any]]


@dataclass(slots=True)
class Layout:
    """The columns that the rows of a type need: SQL expressions over the table `list`, in the order of positions."""

    columns: dict[str, int] = field(default_factory=dict)
    _frozen: tuple[str, ...] = ()

    def position(self, column: str, *, text: bool = False) -> int:
        """Return the position of a column, as it is or as PostgreSQL's text, and add it where it is missing."""
        if text:
            expression = f"CAST(list.{column} AS text) AS {column}_text"
        elif column == "id" or column.endswith("_id"):
            # asyncpg's UUID takes longer, and orjson rejects it
            expression = f"CAST(list.{column} AS text) AS {column}"
        else:
            expression = f"list.{column}"
        return self.columns.setdefault(expression, len(self.columns))

    def frozen(self) -> tuple[str, ...]:
        """Return the expressions; the plan is complete."""
        if not self._frozen:
            self._frozen = tuple(self.columns)
        return self._frozen


@dataclass(slots=True, eq=False)
class Field:
    """One field of a selection."""

    key: str  # in the response
    name: str  # of the schema
    nodes: Sequence[FieldNode]
    type: GraphQLOutputType
    rule: Rule
    kind: Kind | None = None
    leaf: Leaf | None = None
    root: Any = None
    arguments: Arguments | None = None
    selections: Selections | None = None
    layouts: dict[str, Layout] = field(default_factory=dict)
    text: PageText | None = None  # of a page that PostgreSQL can write
    _readers: dict[Shape, Read] = field(default_factory=dict)

    @property
    def deferred(self) -> bool:
        """Whether the value needs more than the row: an object, or related rows."""
        return self.leaf is None or self.selections is not None or self.leaf.needs_relations

    def values(self, rows: Sequence[Any], viewer: Any) -> list[Any]:
        """Return the column or the computed value of each row."""
        shape = Shape.of(rows[0])
        read = self._readers.get(shape)
        if read is None:
            if self.leaf is None:
                raise TypeError(f"{self.name} is not read from its object")
            read = self._readers[shape] = reader(self.leaf, shape)
        return read(rows, viewer)

    def columns(self, type_name: str) -> tuple[str, ...] | None:
        """Return the columns that the rows of a type need here; None for all."""
        layout = self.layouts.get(type_name)
        return None if layout is None else layout.frozen()


@dataclass(slots=True, eq=False)
class Selection:
    """The fields that are selected on objects of one type.

    `build` makes the objects of the response, with every leaf in its place and None where `deferred` fields follow.
    """

    type_name: str
    fields: Sequence[Field]
    deferred: Sequence[Field]
    build: Build
    protected: Sequence[Field]
    _verdicts: Kept[Verdicts] = field(default_factory=partial(Kept, KEPT_VERDICTS))

    def verdicts(self, authority: Authority) -> Verdicts:
        """Return the fields that the authority may not read, and those that it may read on its own rows."""
        return self._verdicts.get(authority, lambda: self._decided(authority))

    def _decided(self, authority: Authority) -> Verdicts:
        denied, own = [], dict[Rule, list[Field]]()
        for each in self.protected:
            verdict = decide(each.rule, authority)
            if verdict is Verdict.DENIED:
                denied.append(each)
            elif verdict is Verdict.OWN_ROWS:
                own.setdefault(each.rule, []).append(each)
        return denied, own


Verdicts: TypeAlias = tuple[list[Field], dict[Rule, list[Field]]]
Selections: TypeAlias = Mapping[str, Selection]  # by the name of the object type


@dataclass(frozen=True, slots=True)
class PageText:
    """How PostgreSQL writes the nodes of a page: `columns` are SQL expressions over the table `list`."""

    key: str
    nodes: Selection
    columns: tuple[str, ...]

    def is_open(self, authority: Authority) -> bool:
        """Return whether the authority may read every field of every row."""
        denied, own = self.nodes.verdicts(authority)
        return not denied and not own

    def page(self, text: str | None) -> orjson.Fragment:
        """Return the page in the response; `text` is the JSON list of the nodes, None without nodes."""
        return orjson.Fragment(f'{{"{self.key}":{text or "[]"}}}')


@dataclass(slots=True, eq=False)
class Plan:
    """An operation, ready to run."""

    type: OperationType
    root: Selection
    varies: bool  # whether fields below the root have arguments with variables


def leaf_of(graphql_type: GraphQLOutputType) -> GraphQLScalarType | GraphQLEnumType | None:
    """Return the scalar or enum of a type or of the items of a list; None for an object."""
    while is_non_null_type(graphql_type) or is_list_type(graphql_type):
        graphql_type = graphql_type.of_type
    return graphql_type if isinstance(graphql_type, GraphQLScalarType | GraphQLEnumType) else None

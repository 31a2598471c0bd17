"""Functions that read the leaves of rows, generated as Python source, so that a level is one tight loop.

The source contains only names of the schema and positions. Everything else is passed in as a constant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, TypeAlias

from graphql import GraphQLEnumType, GraphQLOutputType, get_nullable_type, is_list_type, is_non_null_type

from service.compiler.kinds import VIEWER, Column, Computed, related_needs
from service.database.rows import Row

# SECURITY: none of these changes the text of an identifier, so a value cannot leave its place in the JSON response
PLAIN = frozenset({"Boolean", "CIDR", "CountryCode", "ID", "IPAddress", "Int", "JSON", "Permission", "String", "URL"})
TIME = "DateTime"
Read: TypeAlias = Callable[[Sequence[Any], Any], list[Any]]  # of rows and the viewer


class Shape(Enum):
    """How the values of an object are read."""

    LAYOUT = "layout"  # a row of a plan's own columns
    ROW = "row"  # a row of all columns
    MEMBERS = "members"  # a dict
    ATTRIBUTES = "attributes"

    @classmethod
    def of(cls, value: Any) -> Shape:
        """Return the shape of an object."""
        kind = type(value)
        if kind is dict:
            return cls.MEMBERS
        if issubclass(kind, Row):
            return cls.LAYOUT if kind.narrow else cls.ROW
        return cls.ATTRIBUTES


@dataclass(slots=True, eq=False)
class Leaf:
    """One value of an object: a column or a computed value, and how it is serialized.

    `positions` are those of the columns in a layout; that of a time is the position of its text.
    """

    key: str
    source: Column | Computed | str  # a constant for __typename
    type: GraphQLOutputType | None
    positions: Mapping[str, int] = field(default_factory=dict)
    text: int | None = None

    @property
    def required(self) -> bool:
        """Whether null is an error."""
        return self.type is not None and is_non_null_type(self.type)

    @property
    def needs_relations(self) -> bool:
        """Whether the value needs columns of related rows."""
        return isinstance(self.source, Computed) and any(related_needs(self.source))

    def expression(self, shape: Shape, constants: dict[str, Any]) -> str:
        """Return the Python expression of the value for the row `r` and the viewer `v`."""
        if isinstance(self.source, str):
            return repr(self.source)
        if isinstance(self.source, Column):
            if shape is Shape.LAYOUT and self.text is not None:
                # PostgreSQL's text in UTC, such as 2026-03-01 12:30:00.5+00
                return f"(f'{{x[:10]}}T{{x[11:-3]}}Z' if (x := r[{self.text}]) is not None else None)"
            value = self._access(self.source.name, shape)
        else:
            function = _constant(constants, self.source.function)
            value = f"{function}({', '.join(self._access(need, shape) for need in self.source.needs)})"
        # The type of a column is known to the database; that of a member of a jsonb value is not
        names = enum_names(self.type)
        if names is not None:
            return f"({_constant(constants, names)}[x] if (x := {value}) is not None else None)"
        serialize = serializer(self.type, trusted=shape is not Shape.MEMBERS)
        if serialize is None:
            return value
        return f"({_constant(constants, serialize)}(x) if (x := {value}) is not None else None)"

    def _access(self, name: str, shape: Shape) -> str:
        if name == VIEWER:
            return "v"
        match shape:
            case Shape.LAYOUT:
                return f"r[{self.positions[name]}]"
            case Shape.ROW:
                return f"r[{name!r}]"
            case Shape.MEMBERS:
                return f"r.get({name!r})"
            case Shape.ATTRIBUTES:
                return f"r.{name}"


class Build:
    """Makes the objects of the response for the rows of one selection."""

    def __init__(self, leaves: Sequence[Leaf | str]) -> None:
        """`leaves` are in the order of the response; a text is the key of a field that is filled in later."""
        self._leaves = leaves
        self._built: dict[Shape, Callable[[Sequence[Any], Any], list[dict[str, Any]]]] = {}
        self._reads: dict[Shape, list[tuple[Leaf, Read]]] = {}

    def __call__(self, rows: Sequence[Any], viewer: Any) -> list[dict[str, Any]] | None:
        """Return an object for each row; None if a value is missing or cannot be read."""
        shape = Shape.of(rows[0])
        function = self._built.get(shape)
        if function is None:
            function = self._built[shape] = self._generate(shape)
        try:
            built = function(rows, viewer)
        except Exception:
            return None
        return built if len(built) == len(rows) else None

    def reads(self, row: Any) -> list[tuple[Leaf, Read]]:
        """Return the leaves, each with the function that reads it from such rows."""
        shape = Shape.of(row)
        found = self._reads.get(shape)
        if found is None:
            leaves = [leaf for leaf in self._leaves if isinstance(leaf, Leaf)]
            found = self._reads[shape] = [(leaf, reader(leaf, shape)) for leaf in leaves]
        return found

    def empty(self) -> dict[str, Any]:
        """Return an object without values, its keys in the order of the response."""
        return {leaf if isinstance(leaf, str) else leaf.key: None for leaf in self._leaves}

    def _generate(self, shape: Shape) -> Callable[[Sequence[Any], Any], list[dict[str, Any]]]:
        constants: dict[str, Any] = {}
        members, conditions = list[str](), list[str]()
        for leaf in self._leaves:
            if isinstance(leaf, str):
                members.append(f"{leaf!r}: None")
                continue
            value = leaf.expression(shape, constants)
            if leaf.required and not isinstance(leaf.source, str):
                name = f"y{len(conditions)}"
                conditions.append(f"({name} := {value}) is not None")
                value = name
            members.append(f"{leaf.key!r}: {value}")
        condition = f" if {' and '.join(conditions)}" if conditions else ""
        source = f"def build(rows, v):\n    return [{{{', '.join(members)}}} for r in rows{condition}]"
        return _define(source, constants)  # type: ignore[no-any-return]


def reader(leaf: Leaf, shape: Shape) -> Read:
    """Return the function that reads one value of many rows."""
    constants: dict[str, Any] = {}
    source = f"def build(rows, v):\n    return [{leaf.expression(shape, constants)} for r in rows]"
    return _define(source, constants)  # type: ignore[no-any-return]


def serializer(graphql_type: Any, *, trusted: bool = True) -> Callable[[Any], Any] | None:
    """Return the function that serializes a leaf that is not null; None if it is sent as it is, or is an object.

    A `trusted` value is known to have the Python type that belongs to its type.
    """
    if graphql_type is None:
        return None
    if is_non_null_type(graphql_type):
        return serializer(graphql_type.of_type, trusted=trusted)
    if is_list_type(graphql_type):
        return _list_serializer(graphql_type.of_type, trusted=trusted)
    names = enum_names(graphql_type)
    if names is not None:
        return names.__getitem__
    return None if trusted and graphql_type.name in PLAIN else graphql_type.coerce_output_value


def _list_serializer(item_type: Any, *, trusted: bool) -> Callable[[Any], Any]:
    required, serialize = is_non_null_type(item_type), serializer(item_type, trusted=trusted)

    def run(items: Any) -> Any:
        if required and None in items:
            raise TypeError("an item of a list is null")
        if serialize is None:
            return items
        return [None if item is None else serialize(item) for item in items]

    return run


class _Names(dict[Any, str]):
    """The names of an enum's values, each found out once."""

    def __init__(self, graphql_type: GraphQLEnumType) -> None:
        super().__init__()
        self._type = graphql_type

    def __missing__(self, value: Any) -> str:
        name: str = self._type.coerce_output_value(value)
        self[value] = name
        return name


def enum_names(graphql_type: Any) -> _Names | None:
    """Return the names of the values of an enum; None for another type."""
    plain = get_nullable_type(graphql_type) if graphql_type is not None else None
    return _Names(plain) if isinstance(plain, GraphQLEnumType) else None


def _constant(constants: dict[str, Any], value: Any) -> str:
    name = f"c{len(constants)}"
    constants[name] = value
    return name


def _define(source: str, constants: dict[str, Any]) -> Any:
    namespace = dict(constants)
    exec(source, namespace)  # noqa: S102  (the source is made of names of the schema)
    return namespace.pop("build")  # the function refers to the namespace, and must not be in it: a circle takes longer

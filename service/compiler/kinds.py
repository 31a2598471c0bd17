"""The kinds of field, as data: a column, a computed value, related rows, a page of related rows, and its count.

`service.fields` declares the fields of types with these kinds; executors read them. A type whose objects are rows with
an id is an Entity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, Final, TypeAlias

from strawberry.utils.str_converters import to_camel_case

from service.access.rules import Ownership
from service.database.rows import Row

KIND: Final = "kind"  # the metadata and the extension of a field that has one
ROOT: Final = "root"  # the same of a root field, see payloads.Root
VIEWER: Final = "viewer"  # as a need of a computed field: the operation's Viewer in place of a column


@dataclass(frozen=True, slots=True)
class Column:
    """The value of a column of the row, of an attribute of an object, or of a member of a jsonb value."""

    name: str


@dataclass(frozen=True, slots=True)
class Computed:
    """The result of a plain function of the values that it needs, in their order.

    A need is a column of the row, a column of a related row (`plan.limits`; None without the row), or VIEWER.
    """

    function: Callable[..., Any]
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Related:
    """One row: that of `statement` for the value of the column `key`; with `many` a list of all its rows.

    Without a statement, the column `type` names the type of the row, which is found as by the root field `node`.
    `by_viewer` passes the caller's user id to the statement as `viewer`.
    """

    key: str
    statement: str | None = None
    type: str | None = None
    required: bool = False
    by_viewer: bool = False
    many: bool = False


@dataclass(frozen=True, slots=True)
class PageOf:
    """A page of the list `statement` whose parent is the column `key`; the order is that of the ids."""

    statement: str
    key: str = "id"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Counted:
    """An attribute of the Count of a page's list, which is counted once, and only if such a field is selected."""

    name: str


Kind: TypeAlias = Column | Computed | Related | PageOf | Counted


def columns_of(kind: Kind) -> tuple[str, ...]:
    """Return the columns of the row itself that a field needs."""
    match kind:
        case Column(name):
            return (name,)
        case Computed(_, needs):
            return tuple(need for need in needs if need != VIEWER and "." not in need)
        case Related(key, _, type_column):
            return (key,) if type_column is None else (key, type_column)
        case PageOf(_, key):
            return (key,)
        case Counted():
            return ()


@dataclass(frozen=True)
class Entity:
    """A type whose objects are rows with an id.

    `by_id` is the statement that finds its rows. `relations` are related rows that only computed fields need.
    `audit_names` are further names in the changes of an audit event, each with the field whose access it has.
    """

    name: str
    by_id: str
    row: type[Row]
    ownership: Ownership
    kinds: Mapping[str, Kind]
    relations: Mapping[str, Related]
    audit_names: Mapping[str, str]

    def relation(self, name: str) -> Related:
        """Return the related row of that name, which need not be a field. Raise TypeError for another kind."""
        found = self.relations.get(name) or self.kinds[name]
        if not isinstance(found, Related):
            raise TypeError(f"{self.name}.{name} is not a related row")
        return found

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that the fields of the type need."""
        found = {"id", *self.ownership.needs}
        for kind in (*self.kinds.values(), *self.relations.values()):
            found.update(columns_of(kind))
            for name, _ in related_needs(kind):
                found.update(columns_of(self.relation(name)))
        return tuple(sorted(found))

    @cached_property
    def field_of_column(self) -> Mapping[str, str]:
        """The field that shows each column: as it is, as the key of a row, or as part of a computed value."""
        found: dict[str, str] = {}
        for wanted in (Computed, Related, Column):  # the later kinds are closer to the column
            for name, kind in self.kinds.items():
                if isinstance(kind, wanted):
                    found |= dict.fromkeys(columns_of(kind), name)
        return found

    @cached_property
    def audited(self) -> Mapping[str, str]:
        """The names in the changes of an audit event, each with the field whose access it has, both in camel case."""
        names = {**dict(zip(self.kinds, self.kinds, strict=True)), **self.field_of_column, **self.audit_names}
        return {to_camel_case(name): to_camel_case(field) for name, field in names.items()}


def value_of(row: Any, name: str) -> Any:
    """Return a column of a row, an attribute of an object, or a member of a jsonb value."""
    if type(row) is dict:
        return row.get(name)
    return getattr(row, name)


def values_of(rows: Sequence[Any], name: str) -> list[Any]:
    """Return a column of each row, as `value_of`; the rows are alike."""
    if isinstance(rows[0], Row):
        return list(map(itemgetter(name), rows))
    return [value_of(row, name) for row in rows]


def related_needs(kind: Kind) -> Iterator[tuple[str, str]]:
    """Yield the name of the relation and the column, for each need of a field that is on a related row."""
    if isinstance(kind, Computed):
        for need in kind.needs:
            relation, _, column = need.partition(".")
            if column:
                yield relation, column


ENTITIES: Final[dict[str, Entity]] = {}

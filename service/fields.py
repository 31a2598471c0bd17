"""Declarations of types and their fields, in the kinds of `compiler.kinds`.

A declaration has the description, the kind, and the access of a field. The access also ends the description, because
clients cannot read directives by introspection.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import strawberry
from strawberry.annotation import StrawberryAnnotation
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.field import StrawberryField

from service.access.rules import Access, Ownership, Public, Rule
from service.compiler.kinds import ENTITIES, KIND, Column, Computed, Entity, Kind, PageOf, Related
from service.pagination import PAGE_ARGUMENTS
from service.weights import LOOKUP, PAGE_BY_PARENT, WEIGHT, Weight

T = TypeVar("T")
OWNERSHIP = "ownership"
_OWN_NAME = Column("")  # the column of the field's own name


def described(description: str, access: Access | Public | None) -> str:
    """Return the description with the permission that the access requires."""
    sentence = "" if access is None else Rule.of(access).describe()
    return f"{description}. {sentence}" if sentence else description


def kind_of(field: StrawberryField) -> Kind | None:
    """Return the kind of a declared field; None for a root field, which is a function."""
    kind: Kind | None = field.metadata.get(KIND)
    if kind is None:
        return None if field.base_resolver is not None else Column(field.python_name)
    return Column(field.python_name) if kind is _OWN_NAME else kind


def entity(
    description: str,
    access: Access | Public | None = None,
    *,
    by_id: str,
    owner: tuple[str, ...] = (),
    server: str | None = None,
    role: str | None = None,
    relations: Mapping[str, Related] = MappingProxyType({}),
    audit_names: Mapping[str, str] = MappingProxyType({}),
) -> Callable[[type[T]], type[T]]:
    """Declare a type whose objects are rows. Node look-up, `Node`, and the audit log learn of it from here.

    `by_id` is the statement that finds its rows. `owner`, `server`, and `role` name the columns that say which user a
    row belongs to. `relations` are related rows that only computed fields need. `audit_names` are further names in the
    changes of audit events, each with the field whose access it has.
    """

    def declare(cls: type[T]) -> type[T]:
        directives = [] if access is None else [access]
        declared: Any = strawberry.type(cls, description=described(description, access), directives=directives)
        # asyncpg creates the rows itself, and accepts no class with an __init__ of its own
        del declared.__init__
        definition = declared.__strawberry_definition__
        kinds = {field.python_name: kind for field in definition.fields if (kind := kind_of(field)) is not None}
        found = Entity(definition.name, by_id, declared, Ownership(owner, server, role), kinds, relations, audit_names)
        declared.columns = found.columns
        declared.ownership = found.ownership
        # An attribute of a row is always its column, even if a field of the same name shows another value
        for name in kinds.keys() & vars(declared).keys():
            delattr(declared, name)
        ENTITIES[found.name] = found
        return declared  # type: ignore[no-any-return]

    return declare


def _field(kind: Kind, description: str, access: Access | Public | None, **metadata: Any) -> Any:
    directives = [] if access is None else [access]
    return strawberry.field(
        description=described(description, access), directives=directives, metadata={KIND: kind, **metadata}
    )


def column(description: str, access: Access | Public | None = None, *, owner: tuple[str, ...] | None = None) -> Any:
    """Declare a field that shows the column of its own name. `owner` names the owner of this one field."""
    metadata = {} if owner is None else {OWNERSHIP: Ownership(owner)}
    return _field(_OWN_NAME, description, access, **metadata)


def computed(
    function: Callable[..., Any], description: str, access: Access | Public | None = None, *, needs: tuple[str, ...]
) -> Any:
    """Declare a field that shows the result of a function of the values that it needs; see Computed."""
    return _field(Computed(function, needs), description, access)


def related(
    statement: str, key: str, description: str, access: Access | Public | None = None, *, required: bool = False
) -> Any:
    """Declare a field that shows the row that the statement finds for the column `key`."""
    return _field(Related(key, statement, required=required), description, access, **{WEIGHT: LOOKUP})


def related_list(
    statement: str, key: str, description: str, access: Access | Public | None = None, *, most: int
) -> Any:
    """Declare a field that shows all rows that the statement finds for the column `key`, in its order: at most `most`.

    A list that can grow is a page, see `page_of`.
    """
    weight = Weight(statements=LOOKUP.statements, items=most)
    return _field(Related(key, statement, many=True), description, access, **{WEIGHT: weight})


def related_node(key: str, type_column: str, description: str, access: Access | Public | None = None) -> Any:
    """Declare a field that shows the row of any type with the id in `key`, if the caller may see it."""
    return _field(Related(key, type=type_column), description, access, **{WEIGHT: LOOKUP})


def page_of(
    statement: str, description: str, access: Access | Public | None = None, *, forward_only: bool = False
) -> Any:
    """Declare a field that shows a page of the rows of a list that belongs to this row, newest first.

    A list that may be huge is `forward_only`, in the order of the ids.
    """
    field = _field(PageOf(statement, descending=not forward_only), description, access, **{WEIGHT: PAGE_BY_PARENT})
    field.arguments = [
        StrawberryArgument(
            name,
            None,
            StrawberryAnnotation(int | None if name in {"first", "last"} else str | None),
            description=text,
            default=None,
        )
        for name, text in PAGE_ARGUMENTS.items()
        if not forward_only or name in {"first", "after"}
    ]
    return field

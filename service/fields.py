"""How a field of a type is written: a column, a function of the row, one related row, or a page of related rows.

There are no other kinds of resolver under the root. Each field carries its description and its access; a type's access
is the default of its fields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import strawberry

from service.access import Access, Ownership, Public
from service.context import Info
from service.errors import Fault, FaultCode
from service.pagination import Page, Window

T = TypeVar("T")
First = Annotated[
    int | None, strawberry.argument(description="How many items from the start, 1 to 100; 20 without `last`")
]
After = Annotated[str | None, strawberry.argument(description="Only items behind this cursor")]
Last = Annotated[int | None, strawberry.argument(description="How many items from the end, 1 to 100")]
Before = Annotated[str | None, strawberry.argument(description="Only items in front of this cursor")]


def _directives(access: Access | Public | None) -> list[object]:
    return [] if access is None else [access]


def entity(
    description: str,
    access: Access | Public | None = None,
    *,
    owner: tuple[str, ...] = (),
    server: str | None = None,
    role: str | None = None,
) -> Callable[[type[T]], type[T]]:
    """A GraphQL type whose objects are rows.

    `owner`, `server` and `role` name the columns that say to whom a row belongs.
    """

    def declare(cls: type[T]) -> type[T]:
        declared = strawberry.type(cls, description=description, directives=_directives(access))
        # asyncpg makes rows itself and takes no class with an __init__ of its own
        del declared.__init__
        definition = declared.__strawberry_definition__  # type: ignore[attr-defined]
        columns = frozenset(f.python_name for f in definition.fields if f.base_resolver is None)
        # An attribute of a row is always its column, also where a field of the same name computes something from it
        for name in {f.python_name for f in definition.fields} - columns:
            if name in vars(declared):
                delattr(declared, name)
        declared.columns = columns  # type: ignore[attr-defined]
        declared.ownership = Ownership(owner, server, role)  # type: ignore[attr-defined]
        return declared

    return declare


def column(description: str, access: Access | Public | None = None, *, owner: tuple[str, ...] | None = None) -> Any:
    """A column of the row by the field's own name. `owner` narrows to whom this one field belongs."""
    metadata = {} if owner is None else {"ownership": Ownership(owner)}
    return strawberry.field(description=description, directives=_directives(access), metadata=metadata)


def computed(
    resolver: Callable[..., Any],
    description: str,
    access: Access | Public | None = None,
    *,
    owner: tuple[str, ...] | None = None,
) -> Any:
    """A plain function of the row (`root`), or of the row and the caller (`info`)."""
    metadata = {} if owner is None else {"ownership": Ownership(owner)}
    return strawberry.field(resolver, description=description, directives=_directives(access), metadata=metadata)


def one(
    statement: str, key: str, description: str, access: Access | Public | None = None, *, required: bool = False
) -> Any:
    """The row that the statement gives for this row's column `key`; `required` where the field is never null."""

    async def resolve(root: Any, info: Info) -> Any:
        value = getattr(root, key)
        row = None if value is None else await info.context.loaders.one(statement, value)
        if row is None and required:
            # Levels are read one after the other: somebody deleted it, and this row with it, between the two
            raise Fault(FaultCode.UNAVAILABLE, "The object was deleted meanwhile; ask again")
        return row

    return strawberry.field(resolve, description=description, directives=_directives(access))


def page(statement: str, description: str, access: Access | Public | None = None) -> Any:
    """A page of the rows that belong to this row, newest first, in one statement for the whole level."""

    async def resolve(  # noqa: PLR0917
        root: Any, info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Any:
        window = Window.of(statement, first, after, last, before)
        rows = await info.context.loaders.many(statement, root.id, **window.ids(descending=True))
        return Page(window, rows, lambda: _count(info, statement, root.id))

    return strawberry.field(resolve, description=description, directives=_directives(access))


def forward_page(statement: str, description: str, access: Access | Public | None = None) -> Any:
    """A page of what may be millions of rows, in the order of their ids, forward only."""

    async def resolve(root: Any, info: Info, first: First = None, after: After = None) -> Any:
        window = Window.of(statement, first, after, None, None)
        start = None if window.after is None else window.after.id
        rows = await info.context.loaders.many(statement, root.id, after=start, limit=window.size + 1)
        return Page(window, rows, lambda: _count(info, statement, root.id))

    return strawberry.field(resolve, description=description, directives=_directives(access))


async def _count(info: Info, statement: str, key: str) -> int:
    row = await info.context.loaders.one(f"count_{statement}", key)
    return 0 if row is None else int(row["count"])


def read(row: Any, name: str) -> Any:
    """Strawberry's default resolver: rows and plain objects by attribute, values of a jsonb column by key."""
    return row.get(name) if type(row) is dict else getattr(row, name)

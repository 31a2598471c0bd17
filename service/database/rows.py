"""The row of a statement as a Python object."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import asyncpg


class Row(asyncpg.Record):
    """A row whose columns can be read as attributes. Its subclasses are GraphQL types; statements name them.

    `columns` are the columns that the fields of the type need. A statement that returns the type has at least these.
    """

    types: ClassVar[dict[str, type[Row]]] = {}
    columns: ClassVar[tuple[str, ...]] = ()
    narrow: ClassVar[bool] = False  # whether the row has only the columns that a plan needs

    def __init_subclass__(cls) -> None:
        cls.types.setdefault(cls.__name__, cls)

    def __repr__(self) -> str:
        """Name the type only, because a column may be secret."""
        return f"<{type(self).__name__}>"

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def record_class(name: str | None, *, narrow: bool = False) -> type[Row]:
    """Return the class of a statement's rows; the plain Row if the statement names none."""
    found = Row if name is None else Row.types[name]
    return narrowed(found) if narrow else found


@cache
def narrowed(row: type[Row]) -> type[Row]:
    """Return the class for the same rows with only the columns that a plan needs."""
    return type(row.__name__, (row,), {"narrow": True, "__slots__": ()})

"""The row of a statement as a Python object."""

from __future__ import annotations

from typing import Any, ClassVar

import asyncpg


class Row(asyncpg.Record):
    """A row whose columns can be read as attributes. Its subclasses are GraphQL types; statements name them.

    `columns` are the columns that the fields of the type need. A statement that returns the type has at least these.
    """

    types: ClassVar[dict[str, type[Row]]] = {}
    columns: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        cls.types[cls.__name__] = cls

    def __repr__(self) -> str:
        """Name the type only, because a column may be secret."""
        return f"<{type(self).__name__}>"

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def record_class(name: str | None) -> type[Row]:
    """Return the class of a statement's rows; the plain Row if the statement names none."""
    return Row if name is None else Row.types[name]

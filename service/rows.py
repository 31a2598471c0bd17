"""What a row is in Python: a statement's columns are the attributes of the type that it is served as."""

from __future__ import annotations

from typing import Any, ClassVar

import asyncpg


class Row(asyncpg.Record):
    """A row whose columns read as attributes. Subclasses are GraphQL types; statements name them in their header."""

    types: ClassVar[dict[str, type[Row]]] = {}

    def __init_subclass__(cls) -> None:
        cls.types[cls.__name__] = cls

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

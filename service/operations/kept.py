"""A bounded number of results that are kept for later calls."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")


class Kept(Generic[T]):
    """Results by key. When there are `most`, all are dropped, so that hostile keys cannot fill the memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[Hashable, T] = {}

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of a key, and make it where it is not known."""
        if key not in self._found:
            made = make()
            if len(self._found) >= self._most:
                self._found.clear()
            self._found[key] = made
        return self._found[key]

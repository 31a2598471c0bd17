"""A bounded number of results that are kept for later calls."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_MISSING: Final = object()


class Kept(Generic[T]):
    """Results by key. When there are `most`, all are dropped, so that hostile keys cannot fill the memory."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._found: dict[Hashable, T] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self._found

    def __len__(self) -> int:
        return len(self._found)

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return the result of a key, and make it where it is not known."""
        found = self._found.get(key, _MISSING)
        if found is not _MISSING:
            return found  # type: ignore[return-value]
        made = make()
        if len(self._found) >= self._most:
            self._found.clear()
        self._found[key] = made
        return made

"""The statements that lock rows, while they are in progress.

A row that another session holds must not take every connection for writes. So only some of the transactions that wait
for the same rows wait as long as the server allows; the others wait for a short time, or fail at once if the first ones
have waited longer than that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

CROWDED_MS = 1_000  # much longer than transactions of the service hold a row


class RowLocks:
    """Knows what waits for the same rows; `most` transactions may wait for as long as the server allows."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._started: dict[tuple[str, ...], list[float]] = {}

    @contextmanager
    def waiting(self, rows: tuple[str, ...]) -> Iterator[bool]:
        """Return whether to wait for CROWDED_MS only; `rows` are a statement and its parameters.

        Raise LockNotAvailableError if enough others have waited for longer.
        """
        now = time.monotonic()
        started = self._started.setdefault(rows, [])
        crowded = len(started) >= self._most
        if crowded and now - started[self._most - 1] > CROWDED_MS / 1_000:
            raise asyncpg.LockNotAvailableError("too many transactions wait for the same rows")
        started.append(now)
        try:
            yield crowded
        finally:
            started.remove(now)
            if not started:
                del self._started[rows]

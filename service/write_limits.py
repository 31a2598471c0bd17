"""The number of changes that one account may make in an hour, by whatever credential.

It is kept in the memory of each worker, because a statement for each write would cost more than it protects: with
several workers an account may change as many times more.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import Final

from service.errors import ApiError, ApiErrorCode

SECONDS: Final = 3_600.0
ADMIN_FACTOR: Final = 10
KEPT_ACCOUNTS: Final = 100_000
BYTES_PER_WRITE: Final = 1_024  # of an event; each further KiB counts as one more write


class WriteLimits:
    """Counts the writes of accounts. The writes of an hour are regained steadily."""

    def __init__(self, per_hour: int) -> None:
        self._seconds = SECONDS / per_hour  # until one write is regained
        # When all writes of an account are regained; the account that wrote last is at the end
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def count(self, user_id: str, size: int = 0, *, admin: bool = False) -> None:
        """Count a write, or the `size` of its event in bytes. RATE_LIMITED before a write if none is left."""
        now, seconds = time.monotonic(), self._seconds / (ADMIN_FACTOR if admin else 1)
        full_at = max(self._full_at.pop(user_id, now), now)
        excess = full_at + seconds - now - SECONDS
        if excess > 0 and not size:
            self._keep(user_id, full_at)
            message = "This account has changed too much in an hour. Try again later."
            raise ApiError(ApiErrorCode.RATE_LIMITED, message, retryAfter=max(1, math.ceil(excess)))
        self._keep(user_id, full_at + seconds * (size // BYTES_PER_WRITE if size else 1))

    def _keep(self, user_id: str, full_at: float) -> None:
        self._full_at[user_id] = full_at
        if len(self._full_at) > KEPT_ACCOUNTS:
            self._full_at.popitem(last=False)

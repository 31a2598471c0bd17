"""The second factor of a user, as other mutations require it."""

from __future__ import annotations

from typing import Any

from service.errors import ErrorCode, reject
from service.write import Write


async def require_code(change: Write, user: Any, code: str | None) -> None:
    """Reject the request of a user with a second factor. SECURITY: it fails closed, because no code can be verified."""
    if user.two_factor_enabled:
        raise reject(ErrorCode.REQUIRED, "code is required, because this account has a second factor.", "code")

"""The second factor where it must be verified beside what is already proved."""

from __future__ import annotations

from typing import Any

from service.errors import ErrorCode, reject
from service.write import Write


async def require_code(change: Write, user: Any, code: str | None) -> None:
    """Reject a write unless the user has no second factor, or `code` is a valid one of the user.

    SECURITY: no code is valid yet, so that a write cannot avoid a second factor (ASVS 6.4.3).
    """
    if not user.two_factor_enabled:
        return
    if not code:
        raise reject(ErrorCode.REQUIRED, "Enter a code of your second factor.", "code")
    raise reject(ErrorCode.WRONG_CREDENTIALS, "code is wrong.", "code")

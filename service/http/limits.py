"""Limits on the headers of a request."""

from __future__ import annotations

from itertools import chain

from starlette.responses import JSONResponse
from starlette.types import Scope

MOST_HEADERS = 100
LARGEST_HEADERS = 65_536  # bytes
# RFC 6585, section 5
TOO_LARGE = JSONResponse(
    {"errors": [{"message": "The headers are too large.", "extensions": {"code": "BAD_USER_INPUT"}}]}, status_code=431
)


def exceeds_limits(scope: Scope) -> bool:
    """Return whether an HTTP request has more headers than clients send."""
    headers = scope["headers"]
    return len(headers) > MOST_HEADERS or sum(map(len, chain.from_iterable(headers))) > LARGEST_HEADERS

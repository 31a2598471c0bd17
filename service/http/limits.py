"""Limits on the headers of a request."""

from __future__ import annotations

from itertools import chain

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MOST_HEADERS = 100
LARGEST_HEADERS = 65_536  # bytes


def exceeds_limits(scope: Scope) -> bool:
    """Return whether a request has more headers than clients send."""
    headers = scope["headers"]
    return len(headers) > MOST_HEADERS or sum(map(len, chain.from_iterable(headers))) > LARGEST_HEADERS


class HeaderLimit:
    """Rejects requests with more headers than clients send, before anything reads them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or respond with 431 (RFC 6585, section 5)."""
        if exceeds_limits(scope):
            error = {"message": "The headers are too large.", "extensions": {"code": "BAD_USER_INPUT"}}
            await JSONResponse({"errors": [error]}, status_code=431)(scope, receive, send)
            return
        await self._app(scope, receive, send)

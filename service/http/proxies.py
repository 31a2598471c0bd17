"""Proxies that are trusted to report the client's address, scheme, and country."""

from __future__ import annotations

from typing import Any

from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from service.http.protocol import Addresses

THROUGH_PROXY = "roster.through_proxy"  # the key in the scope of a request


class TrustedProxies(ProxyHeadersMiddleware):
    """Takes X-Forwarded-For and -Proto from trusted proxies, and marks requests that came through one.

    SECURITY: from any other address these headers are forged. The address of the connection is compared, which is
    replaced by that of the client afterwards.
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass a request on."""
        client = scope.get("client")
        scope[THROUGH_PROXY] = (client[0] if client else None) in self.trusted_hosts
        await super().__call__(scope, receive, send)


def trusted_hosts(proxies: str) -> Addresses:
    """Return the addresses of the trusted proxies."""
    return ProxyHeadersMiddleware(_nothing, proxies).trusted_hosts if proxies else ()


async def _nothing(*_arguments: Any) -> None:
    """Respond to nothing."""

"""Addresses of this service, and links with a token in them."""

from __future__ import annotations

from service.settings import Settings


def address(settings: Settings) -> str:
    """Return the public address of this service, without a slash at its end."""
    return settings.public_url.rstrip("/") or f"http://localhost:{settings.port}"


def link(settings: Settings, path: str, token: str) -> str:
    """Return the address of a page with a token.

    SECURITY: the token is in the fragment, which browsers do not send, so that it is in no log of a server or proxy.
    """
    return f"{address(settings)}{path}#{token}"

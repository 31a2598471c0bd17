"""Links in mails."""

from __future__ import annotations

from service.settings import Settings


def link(settings: Settings, path: str, token: str) -> str:
    """Return the link to a page of this service that uses a token.

    SECURITY: the token is in the fragment, which browsers send to no server: not to this one, whose proxies may log
    addresses, and not to others by the header Referer (RFC 9110, section 10.1.3).
    """
    return f"{public_address(settings)}{path}#{token}"


def public_address(settings: Settings) -> str:
    """Return the address of this service, without a slash at its end."""
    return (settings.public_url or f"http://localhost:{settings.port}").rstrip("/")

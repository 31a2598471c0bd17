"""The address of this service, and the links of mails."""

from __future__ import annotations

from typing import Final

from service.settings import Settings

AUTOLOGIN: Final = "account/autologin"
CONFIRM_EMAIL: Final = "account/confirm-email"
INVITATION: Final = "account/invitation"
RESET_PASSWORD: Final = "account/reset-password"  # noqa: S105  (not a password)
UNDO_EMAIL: Final = "account/undo-email"
VERIFY_EMAIL: Final = "account/verify-email"


def link(settings: Settings, path: str, token: str | None = None) -> str:
    """Return the address of a page of this service; a token follows as the fragment.

    SECURITY: the address never comes from the Host header, which an attacker could choose. A fragment is sent to no
    server, so that the token is neither in logs nor in the Referer header (RFC 9110, section 7.1).
    """
    address = f"{public_address(settings)}/{path.lstrip('/')}"
    return address if token is None else f"{address}#{token}"


def public_address(settings: Settings) -> str:
    """Return the address of this service, without a slash at its end."""
    return (settings.public_url or f"http://localhost:{settings.port}").rstrip("/")

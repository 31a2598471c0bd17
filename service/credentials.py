"""Where does a request carry its credential, and when does a cookie count: never where a foreign page can forge it."""

from __future__ import annotations

import ipaddress
import re
import uuid

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from service.context import Request
from service.secrets import TokenKind, kind_of
from service.settings import Settings

NAME = "roster"
PREFLIGHT_HEADERS = ("graphql-require-preflight", "apollo-require-preflight", "x-requested-with")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


def request_of(http: HttpRequest, settings: Settings) -> Request:
    """What the service keeps of an HTTP request."""
    given = http.headers.get("x-request-id", "")
    secure = settings.cookie_secure == "always" or (settings.cookie_secure == "auto" and http.url.scheme == "https")
    return Request(
        id=given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex,
        ip=_address(http.client.host if http.client else None),
        user_agent=_printable(http.headers.get("user-agent")),
        secure=secure,
    )


def credential(http: HttpRequest, settings: Settings) -> tuple[str | None, bool]:
    """The token and whether it came by cookie. None: no credential; empty: an Authorization that holds none."""
    header = http.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        return (token.strip() if scheme.lower() == "bearer" else ""), False
    cookie = http.cookies.get(_name(request_of(http, settings)))
    # SECURITY: only sessions come by cookie; an API key that a page managed to plant there does not count
    counts = cookie and _not_forged(http) and kind_of(cookie) is not TokenKind.API_KEY
    return (cookie if counts else None), True


def set_cookie(response: Response, token: str, request: Request, settings: Settings) -> None:
    """The session cookie: `__Host-` and Secure over https, HttpOnly, SameSite=Lax (ASVS 3.3.1, 3.3.3)."""
    response.set_cookie(
        _name(request),
        token,
        max_age=settings.session_lifetime,
        path="/",
        secure=request.secure,
        httponly=True,
        samesite="lax",
    )


def clear_cookie(response: Response, request: Request) -> None:
    """The cookie of a session that does not count any more."""
    response.delete_cookie(_name(request), path="/", secure=request.secure, httponly=True, samesite="lax")


def _name(request: Request) -> str:
    return f"__Host-{NAME}" if request.secure else NAME


def _not_forged(http: HttpRequest) -> bool:
    # SECURITY: a POST got here as JSON, which a foreign page cannot send without a preflight that is never answered. A
    # GET must show that it comes from this origin, or that it passed a preflight.
    if http.method == "POST":
        return http.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}
    return http.headers.get("sec-fetch-site") in {"same-origin", "none"} or any(
        name in http.headers for name in PREFLIGHT_HEADERS
    )


def _address(host: str | None) -> str | None:
    try:
        # The zone of a link-local address (RFC 4007) names an interface of this machine, and PostgreSQL keeps none
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _printable(text: str | None) -> str | None:
    # A header may hold any byte; PostgreSQL keeps no NUL
    return "".join(character for character in text if character.isprintable()) or None if text else None

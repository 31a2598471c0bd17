"""The credential of an HTTP request, and the session cookie.

A credential is a token of this service as `Authorization: Bearer`, else the session cookie. Any other Authorization
header, such as that of a proxy or of another system, is not a credential of this service and is ignored.
"""

from __future__ import annotations

import ipaddress
import random
from dataclasses import dataclass

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from service.access.actor import ANONYMOUS, Actor, rejected
from service.access.authenticate import authenticate
from service.context import Request
from service.credentials.tokens import TokenKind, kind_of
from service.database.connection import Database
from service.errors import ApiErrorCode
from service.settings import Settings

NAME = "roster"
PREFLIGHT_HEADERS = ("graphql-require-preflight", "apollo-require-preflight", "x-requested-with")
SAME_ORIGIN = frozenset({"same-origin", "none"})
OUR_PREFIXES = tuple(kind.value for kind in TokenKind)
NOT_SAME_ORIGIN = "The session cookie was ignored, because the request comes from another site."
NO_PREFLIGHT = "The session cookie was ignored. Send the header graphql-require-preflight, with any value."


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request presents: a token or nothing, whether in the cookie, and why a cookie was ignored."""

    token: str | None = None
    by_cookie: bool = True
    ignored: str | None = None


def request_of(http: HttpRequest, settings: Settings) -> Request:
    """Return what the service records of an HTTP request. Its id is new, because clients could forge it."""
    secure = settings.cookie_secure == "always" or (settings.cookie_secure == "auto" and http.url.scheme == "https")
    return Request(
        id=f"{random.getrandbits(128):032x}",
        ip=_address(http.client.host if http.client else None),
        user_agent=_printable(http.headers.get("user-agent")),
        secure=secure,
    )


def credential_of(http: HttpRequest, request: Request) -> Credential:
    """Return the credential of a request."""
    scheme, _, token = http.headers.get("authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() == "bearer" and token.startswith(OUR_PREFIXES):
        return Credential(token, by_cookie=False)
    cookie = http.cookies.get(_name(request))
    # SECURITY: only sessions are accepted as a cookie; a page could have planted an API key there
    if not cookie or kind_of(cookie) is TokenKind.API_KEY:
        return Credential()
    ignored = _csrf_problem(http)
    return Credential(ignored=ignored) if ignored else Credential(cookie)


async def actor_of(credential: Credential, database: Database, request: Request, settings: Settings) -> Actor:
    """Return the actor of a credential."""
    if credential.ignored is not None:
        return rejected(ApiErrorCode.FORBIDDEN, credential.ignored)
    if credential.token is None:
        return ANONYMOUS
    return await authenticate(database, credential.token, ip=request.ip, session_idle=settings.session_idle)


def set_cookie(response: Response, token: str, request: Request, settings: Settings) -> None:
    """Set the session cookie: `__Host-` and Secure over https, HttpOnly, SameSite=Lax (ASVS 3.3.1, 3.3.3)."""
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
    """Remove the cookie of a session that is no longer valid."""
    response.delete_cookie(_name(request), path="/", secure=request.secure, httponly=True, samesite="lax")


def _name(request: Request) -> str:
    return f"__Host-{NAME}" if request.secure else NAME


def _csrf_problem(http: HttpRequest) -> str | None:
    """Return why the cookie must be ignored, or None.

    SECURITY: a POST has the content type of JSON, which a foreign page cannot send without a preflight that is never
    answered. A GET must show that it comes from this origin, or that it passed a preflight.
    """
    site = http.headers.get("sec-fetch-site")
    if http.method == "POST":
        return NOT_SAME_ORIGIN if site is not None and site not in SAME_ORIGIN else None
    if site in SAME_ORIGIN or any(name in http.headers for name in PREFLIGHT_HEADERS):
        return None
    return NO_PREFLIGHT if site is None else NOT_SAME_ORIGIN


def _address(host: str | None) -> str | None:
    try:
        # The zone of a link-local address (RFC 4007) names an interface of this machine; PostgreSQL stores no zone
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _printable(text: str | None) -> str | None:
    # A header may contain any byte; PostgreSQL stores no NUL
    return "".join(character for character in text if character.isprintable()) or None if text else None

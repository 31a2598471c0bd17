"""The credential of an HTTP request, and the session cookie.

A credential is a token of this service, or an access token that it issued, as `Authorization: Bearer`, else the session
cookie. Any other Authorization header, such as that of a proxy or of another system, is not a credential of this
service and is ignored.
"""

from __future__ import annotations

import ipaddress
import math
import random
from dataclasses import dataclass
from functools import lru_cache

from starlette.responses import Response

from service.access.actor import ANONYMOUS, Actor, rejected
from service.access.authenticate import authenticate, authenticate_access_token
from service.context import Request, Resources, SessionChange
from service.credentials import access_tokens
from service.credentials.tokens import TokenKind, kind_of
from service.errors import ApiErrorCode
from service.http.proxies import THROUGH_PROXY
from service.http.request import HttpRequest, HttpResponse
from service.links import public_address
from service.settings import Settings

NAME = "roster"
PREFLIGHT_HEADERS = (b"graphql-require-preflight", b"apollo-require-preflight", b"x-requested-with")
SAME_ORIGIN = frozenset({"same-origin", "none"})
LONGEST_KEPT_TEXT = 512  # characters of a header whose printable form is kept
OUR_PREFIXES = tuple(kind.value for kind in TokenKind)
NOT_SAME_ORIGIN = "The session cookie was ignored, because the request comes from another site."
NO_PREFLIGHT = "The session cookie was ignored. Send the header graphql-require-preflight, with any value."


@dataclass(slots=True)
class Credential:
    """What a request presents: a token or nothing, whether in the cookie, and why a cookie was ignored.

    `access_token` says that the token is an access token, which is never accepted in a cookie.
    """

    token: str | None = None
    by_cookie: bool = True
    access_token: bool = False
    ignored: str | None = None


def request_of(http: HttpRequest, settings: Settings) -> Request:
    """Return what the service records of an HTTP request. Its id is new, because clients could forge it."""
    by_https = settings.cookie_secure == "auto" and http.scope["scheme"] == "https"
    return Request(
        id=f"{random.getrandbits(128):032x}",
        ip=_address(http.host),
        user_agent=_printable(http.header(b"user-agent")),
        secure=by_https or settings.cookie_secure == "always",
        is_gone=http.is_disconnected,
        country=_country(http, settings) if settings.country_header else None,
    )


def credential_of(http: HttpRequest, request: Request, settings: Settings, *, trusted_origin: bool) -> Credential:
    """Return the credential of a request; `trusted_origin`: a page sent it whose origin the operator allows."""
    scheme, _, token = http.header(b"authorization").partition(" ")
    token = token.strip()
    if scheme.lower() == "bearer":
        if token.startswith(OUR_PREFIXES):
            return Credential(token, by_cookie=False)
        if access_tokens.is_of(token, public_address(settings)):
            return Credential(token, by_cookie=False, access_token=True)
    cookie = _cookie(http.header(b"cookie"), _name(request))
    # SECURITY: only sessions are accepted as a cookie; a page could have planted an API key there
    if not cookie or kind_of(cookie) is TokenKind.API_KEY:
        return Credential()
    ignored = None if trusted_origin else _csrf_problem(http)
    return Credential(ignored=ignored) if ignored else Credential(cookie)


async def actor_of(credential: Credential, resources: Resources, request: Request) -> Actor:
    """Return the actor of a credential."""
    settings, database = resources.settings, resources.database
    if credential.ignored is not None:
        return rejected(ApiErrorCode.FORBIDDEN, credential.ignored)
    if credential.token is None:
        return ANONYMOUS
    if credential.access_token:
        return await authenticate_access_token(
            database,
            resources.signing_keys,
            credential.token,
            public_address(settings),
            request.ip,
            settings.session_idle,
        )
    return await authenticate(database, credential.token, ip=request.ip, session_idle=settings.session_idle)


def set_cookie(response: HttpResponse, change: SessionChange, request: Request, settings: Settings) -> None:
    """Set the session cookie: `__Host-` and Secure over https, HttpOnly, SameSite=Lax (ASVS 3.3.1, 3.3.3).

    The browser keeps it as long as the session can live.
    """
    made = Response()
    made.set_cookie(
        _name(request),
        change.token or "",
        max_age=settings.session_lifetime if change.lifetime is None else math.ceil(change.lifetime),
        path="/",
        secure=request.secure,
        httponly=True,
        samesite="lax",
    )
    response.headers.append(made.raw_headers[-1])


def clear_cookie(response: HttpResponse, request: Request) -> None:
    """Remove the cookie of a session that is no longer valid."""
    made = Response()
    made.delete_cookie(_name(request), path="/", secure=request.secure, httponly=True, samesite="lax")
    response.headers.append(made.raw_headers[-1])


def _country(http: HttpRequest, settings: Settings) -> str | None:
    # SECURITY: a client without a trusted proxy could write any country
    return http.header(settings.country_header.lower().encode()) if http.scope.get(THROUGH_PROXY) else None


def _name(request: Request) -> str:
    return f"__Host-{NAME}" if request.secure else NAME


def _cookie(header: str, name: str) -> str | None:
    """Return the value of a cookie, the last of that name; it is a token and never quoted (RFC 6265, section 4.2.1)."""
    found = None
    for part in header.split(";") if header else ():
        key, _, value = part.partition("=")
        # SECURITY: only these are white space in a cookie; a page could plant one whose name begins with another
        if key.strip(" \t") == name:
            found = value.strip(" \t")
    return found


def _csrf_problem(http: HttpRequest) -> str | None:
    """Return why the cookie must be ignored, or None.

    SECURITY: a POST has the content type of JSON, which a foreign page cannot send without a preflight that is never
    answered. A GET must show that it comes from this origin, or that it passed a preflight.
    """
    site = http.header(b"sec-fetch-site") if http.has_header(b"sec-fetch-site") else None
    if http.method == "POST":
        return NOT_SAME_ORIGIN if site is not None and site not in SAME_ORIGIN else None
    if site in SAME_ORIGIN or any(http.has_header(name) for name in PREFLIGHT_HEADERS):
        return None
    return NO_PREFLIGHT if site is None else NOT_SAME_ORIGIN


@lru_cache(1024)
def _address(host: str | None) -> str | None:
    try:
        # The zone of a link-local address (RFC 4007) names an interface of this machine; PostgreSQL stores no zone
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _printable(text: str) -> str | None:
    return _kept_printable(text) if len(text) <= LONGEST_KEPT_TEXT else _only_printable(text)


def _only_printable(text: str) -> str | None:
    # A header may contain any byte; PostgreSQL stores no NUL
    return "".join(character for character in text if character.isprintable()) or None


_kept_printable = lru_cache(256)(_only_printable)

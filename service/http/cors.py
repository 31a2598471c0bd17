"""Other origins: the front ends that the operator allows to call the endpoint (CORS, in the Fetch standard)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from service.http.request import HttpRequest, HttpResponse

PREFLIGHT_SECONDS: Final = 7_200  # the longest that Chromium keeps
REQUEST_HEADERS: Final = b", ".join(
    (b"authorization", b"content-type", b"graphql-require-preflight", b"apollo-require-preflight", b"x-request-id")
)
VARY: Final = (b"vary", b"Origin")


class Cors:
    """The origins that may call the endpoint, with their cookies."""

    def __init__(self, origins: Iterable[str]) -> None:
        self._headers = {
            origin: [
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-credentials", b"true"),
                (b"access-control-expose-headers", b"x-request-id, retry-after"),
                VARY,
            ]
            for origin in origins
        }

    def allows(self, http: HttpRequest) -> bool:
        """Return whether a request comes from a page of an allowed origin."""
        return bool(self._headers) and http.header(b"origin") in self._headers

    def preflight(self, http: HttpRequest) -> HttpResponse | None:
        """Return the response to a preflight of an allowed origin, or None for any other request."""
        if http.method != "OPTIONS" or not self.allows(http) or not http.has_header(b"access-control-request-method"):
            return None
        response = HttpResponse(
            204,
            b"",
            [
                (b"access-control-allow-methods", b"GET, POST"),
                (b"access-control-allow-headers", REQUEST_HEADERS),
                (b"access-control-max-age", str(PREFLIGHT_SECONDS).encode()),
            ],
        )
        self.add_to(response, http)
        return response

    def add_to(self, response: HttpResponse, http: HttpRequest) -> None:
        """Let the page of an allowed origin read a response."""
        if self._headers:
            response.headers.extend(self._headers.get(http.header(b"origin"), [VARY]))

"""Requests and responses of the endpoint: what it needs of an ASGI scope, read in one pass over the headers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from service.errors import bad_input
from service.http.deadlines import Deadlines
from service.http.errors import HttpError

# Fields that may be repeated, with what joins their values (RFC 9110, section 5.3; RFC 6265, section 5.4)
JOINED = {b"accept": b", ", b"cookie": b"; "}


class HttpRequest:
    """A request to the endpoint."""

    __slots__ = ("_headers", "_receive", "method", "scope")

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self.scope = scope
        self.method: str = scope["method"]
        self._receive = receive
        given = scope["headers"]
        headers: dict[bytes, bytes] = dict(given)
        self._headers = headers if len(headers) == len(given) else _joined(given)

    def header(self, name: bytes) -> str:
        """Return the value of a header, empty without it; the name is in lower case. What is not UTF-8 is Latin-1."""
        value = self._headers.get(name, b"")
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value.decode("latin-1")

    def has_header(self, name: bytes) -> bool:
        """Return whether the header was sent."""
        return name in self._headers

    @property
    def host(self) -> str | None:
        """The address of the client, or of a proxy that is not trusted."""
        client = self.scope.get("client")
        return client[0] if client else None

    async def body(self, limit: int, deadlines: Deadlines) -> bytes:
        """Return the body. HttpError 413 as soon as it exceeds the limit, 408 if it does not arrive in time."""
        try:
            return await deadlines.run(self._read(limit))
        except TimeoutError:
            raise HttpError(408, bad_input("The body did not arrive in time."), Connection="close") from None

    async def _read(self, limit: int) -> bytes:
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise HttpError(400, bad_input("The body is incomplete."))
            content = message.get("body", b"")
            size += len(content)
            if size > limit:
                raise HttpError(413, bad_input(f"A body must have at most {limit} bytes."), Connection="close")
            chunks.append(content)
            more = message.get("more_body", False)
        return b"".join(chunks)

    async def is_disconnected(self) -> bool:
        """Return whether the client has closed the connection; after the body."""
        return await Request(self.scope, self._receive).is_disconnected()


def _joined(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Return the headers by name: of a repeated one the first, or all where they may be repeated."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name not in found:
            found[name] = value
        elif name in JOINED:
            found[name] += JOINED[name] + value
    return found


@dataclass(slots=True)
class HttpResponse:
    """A response with a body that is complete."""

    status: int
    body: bytes
    headers: list[tuple[bytes, bytes]]
    request_id: str | None = None

    @classmethod
    def of(cls, response: Response) -> HttpResponse:
        """Return a response of Starlette in this form."""
        return cls(response.status_code, bytes(response.body), response.raw_headers)

    async def send(self, send: Send) -> None:
        """Send the response."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})

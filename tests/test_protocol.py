"""Connections and heads of requests: limits, and what a proxy in front could understand in another way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
import uvicorn

from service.http import protocol
from service.http.protocol import MOST_HEADERS, Connections, Protocol

POST = b"POST /graphql HTTP/1.1\r\nHost: roster.example\r\n"
HELLO = b"hello"
UPGRADE = POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: roster.example\r\nConnection: close\r\n\r\n"
# What a proxy in front could take for one request, and a lenient server for two
AMBIGUOUS = {
    "both framings": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both framings, the other way round": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "two equal lengths": POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "a list of lengths": POST + b"Content-Length: 5, 5\r\n\r\nhello",
    "a length with a sign": POST + b"Content-Length: +5\r\n\r\nhello",
    "a hexadecimal length": POST + b"Content-Length: 0x5\r\n\r\nhello",
    "a negative length": POST + b"Content-Length: -5\r\n\r\nhello",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked is not last": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a folded header": POST + b"X-Fold: a\r\n Content-Length: 5\r\n\r\nhello",
    "a space before the colon": POST + b"Content-Length : 5\r\n\r\nhello",
    "a bare LF in the head": b"POST /graphql HTTP/1.1\nHost: roster.example\nContent-Length: 5\n\nhello",
    "a bare CR in the head": POST + b"X: a\rContent-Length: 5\r\n\r\nhello",
    "a NUL in a value": POST + b"X: a\x00b\r\nContent-Length: 5\r\n\r\nhello",
    "a bare LF in a chunk": POST + b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    "a chunk that is too long": POST + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
    "a chunk of a negative size": POST + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "no version": b"GET /graphql\r\n\r\n",
    "another protocol": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2 without an offer": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}
# One request, however it is understood
OFFERS = {
    "h2c, as curl and Java offer it": UPGRADE + b"Content-Length: 5\r\n\r\n",
    "a WebSocket": POST + b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\n",
    "an unknown protocol": POST + b"Connection: Upgrade\r\nUpgrade: anything\r\nContent-Length: 5\r\n\r\n",
}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Respond with what was understood of a request."""
    if scope["type"] == "lifespan":
        return
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body, more = body + message.get("body", b""), message.get("more_body", False)
    names = [name.decode("latin-1") for name, _ in scope["headers"]]
    content = json.dumps({"path": scope["path"], "body": body.decode("latin-1"), "names": names}).encode()
    headers = [(b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


class Connection:
    """A connection of a client that writes bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Connection:
        """Return a new connection."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self, *segments: bytes) -> None:
        """Send segments that arrive one after the other."""
        for segment in segments:
            self._writer.write(segment)
            await self._writer.drain()
            await asyncio.sleep(0.02)

    async def response(self) -> tuple[int, dict[str, Any]]:
        """Return the status and the content of the next response."""
        head = await asyncio.wait_for(self._reader.readuntil(b"\r\n\r\n"), 20)
        [length] = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        content = await self._reader.readexactly(int(length.partition(b":")[2]))
        return int(head.split()[1]), json.loads(content)

    async def is_closed(self) -> bool:
        """Return whether the server closes the connection, without another response."""
        try:
            return await asyncio.wait_for(self._reader.read(), 20) == b""
        except ConnectionError:
            return True

    def close(self) -> None:
        """End the connection."""
        self._writer.close()


@pytest.fixture
def limits() -> Connections:
    """Return the limits of the server."""
    return Connections(50, 40)


@pytest_asyncio.fixture
async def port(limits: Connections) -> AsyncIterator[int]:
    """Return the port of a server."""
    made: Any = partial(Protocol, open_connections=limits)
    server = uvicorn.Server(uvicorn.Config(echo, port=0, http=made, ws="none", lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110  (uvicorn has no event for it)
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task


@pytest_asyncio.fixture
async def connection(port: int) -> AsyncIterator[Connection]:
    """Return a connection to the server."""
    found = await Connection.to(port)
    yield found
    found.close()


async def test_requests_of_one_connection_are_answered_in_order(connection: Connection) -> None:
    await connection.send(POST + b"Content-Length: 5\r\n\r\nhello" + POST + b"Content-Length: 3\r\n\r\nabc" + SECOND)
    assert [(await connection.response())[1]["body"] for _ in range(3)] == ["hello", "abc", ""]
    assert await connection.is_closed()


@pytest.mark.parametrize("request_", AMBIGUOUS.values(), ids=AMBIGUOUS)
async def test_an_ambiguous_request_ends_the_connection(connection: Connection, request_: bytes) -> None:
    await connection.send(request_ + SECOND)
    status, content = await connection.response()
    assert status == 400
    assert content["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert await connection.is_closed(), "what follows is not a request"


@pytest.mark.parametrize("head", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("segments", [1, 2])
async def test_an_offer_to_upgrade_is_ignored_and_the_body_is_read(
    connection: Connection, head: bytes, segments: int
) -> None:
    # SECURITY: uvicorn takes a body in a later segment for a request of its own
    await connection.send(*([head + HELLO] if segments == 1 else [head, HELLO]))
    status, content = await connection.response()
    assert (status, content["path"], content["body"]) == (200, "/graphql", "hello")
    await connection.send(SECOND)
    assert (await connection.response())[1]["path"] == "/second"


async def test_a_request_in_the_body_of_an_offer_is_no_request(connection: Connection) -> None:
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    await connection.send(UPGRADE + b"Content-Length: %d\r\n\r\n" % len(hidden), hidden, SECOND)
    assert (await connection.response())[1]["body"] == hidden.decode()
    assert (await connection.response())[1]["path"] == "/second"
    assert await connection.is_closed()


async def test_offers_of_requests_that_follow_each_other_are_ignored(connection: Connection) -> None:
    chunked = UPGRADE + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    without = b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    await connection.send(chunked + without + chunked + SECOND)
    responses = [(await connection.response())[1] for _ in range(4)]
    assert [(each["path"], each["body"]) for each in responses] == [
        ("/graphql", "hello"),
        ("/none", ""),
        ("/graphql", "hello"),
        ("/second", ""),
    ]


async def test_fields_after_a_body_are_no_headers(connection: Connection) -> None:
    trailer = b"0\r\nAuthorization: Bearer x\r\n\r\n"
    await connection.send(POST + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", trailer)
    _, content = await connection.response()
    assert content == {"path": "/graphql", "body": "hello", "names": ["host", "transfer-encoding"]}


HEADS = {
    "many headers, in segments": [POST, *(b"X-%d: %s\r\n" % (n, b"a" * 989) for n in range(67))],
    "a header without an end": [POST + b"X: " + b"a" * 66_000],
    "a complete head in one segment": [POST + b"X: " + b"a" * 66_000 + b"\r\n\r\n"],
    "a long target": [b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\n\r\n"],
}


@pytest.mark.parametrize("segments", HEADS.values(), ids=HEADS)
async def test_a_head_has_a_largest_size(connection: Connection, segments: list[bytes]) -> None:
    await connection.send(*segments)
    assert (await connection.response())[0] == 431
    assert await connection.is_closed()


async def test_a_head_has_a_largest_number_of_headers(port: int) -> None:
    for count, status in ((MOST_HEADERS - 1, 200), (MOST_HEADERS, 431)):
        connection = await Connection.to(port)
        await connection.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * count + b"\r\n")
        assert (await connection.response())[0] == status
        connection.close()


@pytest.mark.parametrize(("segment", "status"), [(b"", None), (b"POST /graphql HT", 408)])
async def test_a_head_must_arrive_in_time(
    port: int, monkeypatch: pytest.MonkeyPatch, segment: bytes, status: int | None
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    connection = await Connection.to(port)
    await connection.send(segment)
    if status is not None:
        assert (await connection.response())[0] == status
    assert await connection.is_closed()
    connection.close()


async def test_a_head_that_follows_a_request_must_arrive_in_time(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connection.send(POST + b"Content-Length: 5\r\n\r\nhello")
    assert (await connection.response())[0] == 200
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.2)
    await connection.send(b"GET / HT")
    assert (await connection.response())[0] == 408


async def test_an_address_has_a_number_of_connections(port: int, limits: Connections) -> None:
    opened = [await Connection.to(port) for _ in range(40)]
    await opened[-1].send(SECOND)
    assert (await opened[-1].response())[0] == 200
    assert await opened[-1].is_closed()
    opened += [await Connection.to(port) for _ in range(2)]
    assert (await opened[-1].response())[0] == 503
    for connection in opened:
        connection.close()
    await asyncio.sleep(0.2)
    assert limits.add("127.0.0.1"), "closed connections do not count"


def test_all_addresses_together_have_a_number_of_connections() -> None:
    limits = Connections(3, 2, exempt={"10.0.0.1"})
    assert [limits.add("10.0.0.1"), limits.add("10.0.0.1"), limits.add(None)] == [True, True, True]
    assert not limits.add("10.0.0.2")
    limits.remove("10.0.0.2")
    limits.remove(None)
    assert limits.add("10.0.0.2")

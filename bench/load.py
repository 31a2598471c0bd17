"""The load generator, in a process of its own: keep-alive connections, each of which sends one request after another.

It reads an order as a line of JSON from standard input, and writes the result as a line of JSON.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop

END_OF_HEADERS = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
FAILED = b'"errors":[{'
SECONDS = 300  # of one order at most


class Run:
    """One order: the requests that are left, and the times of the others."""

    def __init__(self, requests: list[bytes], count: int, *, any_answer: bool) -> None:
        self.requests = requests
        self.any_answer = any_answer
        self.left = count
        self.times: list[float] = []
        self.expected = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def fail(self, reason: str) -> None:
        """End the order."""
        if not self.done.done():
            self.done.set_exception(RuntimeError(reason))


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = b""
        self._size = -1
        self._started = 0.0
        self._waiting = False  # for a response
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        """Send the first request."""
        self._transport = transport
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the order if a response is missing; a connection that has no more to send is closed when it is idle."""
        if not self._waiting:
            return
        self._run.fail(f"the server closed a connection: {exc}")

    def data_received(self, data: bytes) -> None:
        """Collect a response, and send the next request."""
        self._buffer = self._buffer + data if self._buffer else data
        if self._size < 0:
            end = self._buffer.find(END_OF_HEADERS)
            if end < 0:
                return
            head = self._buffer[: end + 2].lower()
            position = head.find(LENGTH)
            if position < 0 or not (self._run.any_answer or head.startswith(b"http/1.1 200")):
                self._run.fail(f"unexpected response: {self._buffer[:500]!r}")
                return
            start = position + len(LENGTH)
            self._size = end + len(END_OF_HEADERS) + int(head[start : head.index(b"\r", start)])
        if len(self._buffer) < self._size:
            return
        run = self._run
        run.times.append(time.perf_counter() - self._started)
        if not run.any_answer and FAILED in self._buffer:
            run.fail(f"the response has errors: {self._buffer[:1000]!r}")
            return
        if len(run.times) == run.expected and not run.done.done():
            run.done.set_result(None)
        self._buffer, self._size = b"", -1
        self._send()

    def _send(self) -> None:
        run = self._run
        self._waiting = run.left > 0
        if not self._waiting:
            return
        run.left -= 1
        self._started = time.perf_counter()
        self._transport.write(run.requests[run.left % len(run.requests)])


async def perform(
    socket: str, requests: list[bytes], *, count: int, connections: int, any_answer: bool
) -> dict[str, Any]:
    """Send the requests, and return the seconds that they took together and each."""
    run = Run(requests, count, any_answer=any_answer)
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    transports = []
    try:
        for _ in range(min(connections, count)):
            transport, _client = await loop.create_unix_connection(lambda: Client(run), socket)
            transports.append(transport)
        await asyncio.wait_for(run.done, SECONDS)
        return {"seconds": time.perf_counter() - started, "times": run.times}
    finally:
        for transport in transports:
            transport.abort()


def main() -> None:
    """Perform the orders of standard input."""
    for line in sys.stdin.buffer:
        order = orjson.loads(line)
        requests = [text.encode("latin-1") for text in order.pop("requests")]
        try:
            result = uvloop.run(perform(order.pop("socket"), requests, **order))
        except (OSError, RuntimeError, TimeoutError) as error:
            result = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
        sys.stdout.buffer.flush()


@dataclass
class LoadGenerator:
    """The load generator as the benchmark sees it."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls) -> LoadGenerator:
        """Start the process."""
        command = [sys.executable, "-m", "bench.load"]
        return cls(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))  # noqa: S603

    def run(
        self, socket: str, requests: list[bytes], count: int, connections: int, *, any_answer: bool = False
    ) -> tuple[float, list[float]]:
        """Return the seconds that the requests took together and each. Raise RuntimeError for an unexpected answer."""
        order = {"socket": socket, "count": count, "connections": connections, "any_answer": any_answer}
        texts = [request.decode("latin-1") for request in requests]
        if self.process.stdin is None or self.process.stdout is None:
            raise RuntimeError("the load generator has no pipes")
        self.process.stdin.write(orjson.dumps(order | {"requests": texts}) + b"\n")
        self.process.stdin.flush()
        result = orjson.loads(self.process.stdout.readline() or b'{"error": "the load generator ended"}')
        if "error" in result:
            raise RuntimeError(f"{socket}: {result['error']}")
        return result["seconds"], result["times"]

    def close(self) -> None:
        """End the process."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.wait(10)


if __name__ == "__main__":
    main()

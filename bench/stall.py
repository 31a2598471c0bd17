"""The longest delay that another client's `{ me { id } }` suffers while heavy documents within the limits run.

Usage: python -m bench.stall [--users N] [--name PART]   (it starts its own database and service)

Other processes of the machine delay requests, too: without any load the longest of 300 `me` takes 20 to 40 ms on a busy
machine of two cores. So a document that is over the target is measured up to four times more. What the document itself
does happens each time; the table has the least of the longest, and all of them where there are several.
"""

from __future__ import annotations

import argparse
import socket
import statistics
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

import orjson

from bench import database
from bench.contenders import CONTENDERS, ROSTER
from bench.database import Data
from bench.heavy import HEAVY, Heavy
from bench.load import LoadGenerator
from bench.processes import Server, end_on_signal, memory

ME = orjson.dumps({"query": "{ me { id } }"})
PAUSE = 0.002  # seconds between two requests of the other client
CALM_REQUESTS = 300
LEAST, MOST = 4, 200  # times that a heavy request is sent, on two connections
LOAD_SECONDS = 1.5  # of all of them, if they are fast
CONNECTIONS = 2
SECONDS = 60
TARGET_MS = 50.0
RUNS = 5  # at most, of a document that is over the target
ATTEMPTS = 5
OK = 200
TOO_LARGE = 413
TOO_COMPLEX = "QUERY_TOO_COMPLEX"
HEADER = """| document | size | request, bytes | answer, bytes | alone, ms | me p50, ms | me longest, ms | |
|---|---:|---:|---:|---:|---:|---:|---|"""
EVENT_COUNT = 20_000
# Events of the root account on all users, so that pages of events are full
EVENTS = """
WITH root AS (
  SELECT id FROM users WHERE role_id = '00000000-0000-7000-8000-000000000004' ORDER BY created_at DESC LIMIT 1
),
targets AS (SELECT array_agg(id ORDER BY created_at DESC) AS ids FROM users)
INSERT INTO audit_events (event, actor_id, credential, target_type, target_id, owner_id, changes)
SELECT 'user.update', root.id, 'command', 'User', target.id, target.id,
  jsonb_build_object('first_name', jsonb_build_object('old', 'Anna', 'new', 'Ada'))
FROM root, targets, generate_series(1, $1) AS number,
  LATERAL (SELECT ids[1 + number % least(200, cardinality(ids))] AS id) AS target
"""


class UnixConnection(HTTPConnection):
    """A connection to a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self._path)


@dataclass
class Client:
    """A client that keeps its connection."""

    connection: UnixConnection
    headers: dict[str, str]

    @classmethod
    def of(cls, server: Server, token: str | None) -> Client:
        """Return a client of the server."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        return cls(UnixConnection(server.socket), headers)

    def send(self, body: bytes) -> tuple[int, bytes, float]:
        """Return the status, the body, and the seconds of a response."""
        started = time.perf_counter()
        self.connection.request("POST", "/graphql", body, self.headers)
        response = self.connection.getresponse()
        content = response.read()
        return response.status, content, time.perf_counter() - started


def is_accepted(heavy: Heavy, status: int, content: bytes) -> bool:
    """Return whether the service executed a request; where errors are its purpose, whether it was within the limits."""
    if status == TOO_LARGE:
        return False
    answer = orjson.loads(content)
    errors = [error for item in (answer if isinstance(answer, list) else [answer]) for error in item.get("errors", ())]
    codes = {error.get("extensions", {}).get("code") for error in errors}
    return TOO_COMPLEX not in codes if heavy.fails else not errors


def largest(heavy: Heavy, client: Client, data: Data) -> tuple[int, int, int, float] | None:
    """Return the largest accepted size, the bytes of its request and answer, and its seconds; None if there is none."""
    size = heavy.most
    while size > 0:
        body = heavy.body(data, size)
        try:
            status, content, seconds = client.send(body)
        except (OSError, HTTPException):  # the service closes the connection of a body that is too large
            client.connection.close()
            status, content, seconds = TOO_LARGE, b"", 0.0
        if is_accepted(heavy, status, content):
            return size, len(body), len(content), seconds
        size = size * 3 // 4
    return None


def message_of(body: bytes, token: str | None) -> bytes:
    """Return the bytes of a request."""
    lines = ["POST /graphql HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *([f"Authorization: Bearer {token}"] if token else []), "", ""]
    return "\r\n".join(lines).encode() + body


def delays(
    me: Client, generator: LoadGenerator, server: Server, messages: list[bytes]
) -> tuple[list[float], Exception | None]:
    """Return the seconds of each `me` while the messages are sent, and why they were not all answered."""
    failures: list[Exception] = []

    def send() -> None:
        try:
            generator.run(server.socket, messages, len(messages), CONNECTIONS, any_answer=True)
        except RuntimeError as error:
            failures.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    times = []
    while thread.is_alive():
        times.append(probe(me))
        time.sleep(PAUSE)
    return times, failures[0] if failures else None


def probe(me: Client) -> float:
    """Return the seconds of one `me`. A connection that the service closes is opened again, which counts as well."""
    started = time.perf_counter()
    for _ in range(ATTEMPTS):
        try:
            status, content, _ = me.send(ME)
        except (OSError, HTTPException):
            me.connection.close()
            continue
        if status != OK or b'"id"' not in content:
            raise RuntimeError(f"me failed: {content[:500]!r}")
        return time.perf_counter() - started
    raise RuntimeError("me failed: the service closes each connection")


def main() -> None:
    """Print a line for each heavy document."""
    parser = argparse.ArgumentParser(prog="python -m bench.stall", description="Measure delays by heavy documents.")
    parser.add_argument("--users", type=int, default=2_000, help="users of the database")
    parser.add_argument("--name", default="", help="only documents whose name contains this")
    options = parser.parse_args()
    end_on_signal()
    with ExitStack() as stack:
        data, folder = stack.enter_context(database.started(options.users))
        data.fetch(EVENTS, EVENT_COUNT)
        server = next(each for each in CONTENDERS if each.name == ROSTER).start(data, folder)
        stack.callback(server.stop)
        generator = LoadGenerator.start()
        stack.callback(generator.close)
        run(server, data, generator, [heavy for heavy in HEAVY if options.name in heavy.name])


def run(server: Server, data: Data, generator: LoadGenerator, documents: list[Heavy]) -> None:
    """Measure, and print the table."""
    me = Client.of(server, data.token)
    calm = [probe(me) for _ in range(CALM_REQUESTS)]
    print(f"calm: p50 {statistics.median(calm) * 1000:.1f} ms, longest {max(calm) * 1000:.1f} ms")  # noqa: T201
    print(HEADER)  # noqa: T201
    over = 0
    for heavy in documents:
        token = heavy.token(data)
        found = largest(heavy, Client.of(server, token), data)
        if found is None:
            print(f"| {heavy.name} | rejected | | | | | | |")  # noqa: T201
            continue
        size, request_bytes, answer_bytes, seconds = found
        repeats = min(max(round(LOAD_SECONDS / seconds), LEAST), MOST)
        messages = [message_of(heavy.body(data, size), token) for _ in range(repeats)]
        times, failure, all_longest = list[float](), None, list[float]()
        while len(all_longest) < RUNS and min(all_longest, default=TARGET_MS + 1) > TARGET_MS:
            if all_longest:  # documents that are new each time must be new again
                messages = [message_of(heavy.body(data, size), token) for _ in range(repeats)]
            me = Client.of(server, data.token)  # a new connection, because the service closes one that is idle
            times, failure = delays(me, generator, server, messages)
            all_longest.append(max(times) * 1000)
        longest = min(all_longest)
        over += longest > TARGET_MS
        middle = statistics.median(times) * 1000
        cells = f"{size:,} | {request_bytes:,} | {answer_bytes:,} | {seconds * 1000:.0f} | {middle:.1f} | {longest:.1f}"
        # After a delay of more than 5 s, the server takes the other connections for idle ones
        note = "connections closed" if failure else "over" if longest > TARGET_MS else ""
        if len(all_longest) > 1:
            note += " of " + ", ".join(f"{each:.0f}" for each in all_longest)
        print(f"| {heavy.name} | {cells} | {note} |", flush=True)  # noqa: T201
    megabytes = memory(server.process.pid)
    summary = f"{over} of {len(documents)} documents delay another client by more than {TARGET_MS:.0f} ms"
    print(f"{summary}; the service has {megabytes:.0f} MB")  # noqa: T201


if __name__ == "__main__":
    main()

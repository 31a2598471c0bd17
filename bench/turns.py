"""The longest turn of the event loop while a heavy document runs, in milliseconds of CPU: what other requests wait for.

Usage: python -m bench.turns [--users N] [--name PART] [--profile]   (it starts its own database)

The service runs in this process. CPU time does not depend on what else the machine does, unlike `bench.stall`.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import pstats
import time
from typing import Any

from pydantic import SecretStr

from bench import database
from bench.database import Data
from bench.heavy import HEAVY, Heavy
from bench.processes import end_on_signal
from bench.stall import EVENT_COUNT, EVENTS, is_accepted
from service import logs
from service.app import application
from service.settings import Settings

REPEATS = 5
LINES = 25  # of a profile
TOGETHER = 2  # requests at the same time
HEADER = """| document | size | answer, bytes | CPU, ms | turns | longest turn, ms |
|---|---:|---:|---:|---:|---:|"""


class Loop(asyncio.SelectorEventLoop):
    """An event loop that measures its turns."""

    profiled = False

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0
        self.turns = 0
        self.profile: cProfile.Profile | None = None

    def reset(self) -> None:
        """Begin a measurement."""
        self.longest, self.turns, self.profile = 0.0, 0, None

    def _run_once(self) -> None:
        profile = cProfile.Profile() if self.profiled else None
        started = time.thread_time()
        if profile is None:
            super()._run_once()  # type: ignore[misc]
        else:
            profile.runcall(super()._run_once)  # type: ignore[misc]
        elapsed = time.thread_time() - started
        self.turns += 1
        if elapsed > self.longest:
            self.longest, self.profile = elapsed, profile


async def send(app: Any, body: bytes, token: str | None) -> tuple[int, bytes]:
    """Return the status and the body of a response."""
    headers = [(b"content-type", b"application/json"), (b"host", b"localhost")]
    if token is not None:
        headers.append((b"authorization", f"Bearer {token}".encode()))
    scope = {"type": "http", "method": "POST", "path": "/graphql", "headers": headers, "query_string": b""}
    scope |= {"scheme": "http", "client": ("127.0.0.1", 1), "server": ("localhost", 80), "http_version": "1.1"}
    status, parts, messages = 0, [], [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        return messages.pop() if messages else await asyncio.Event().wait()

    async def answer(message: Any) -> None:
        nonlocal status
        status = message.get("status", status)
        parts.append(message.get("body", b""))

    await app(scope, receive, answer)
    return status, b"".join(parts)


async def measure(app: Any, loop: Loop, data: Data, heavy: Heavy) -> None:
    """Print the line of a document, of the largest size that is accepted."""
    token, size = heavy.token(data), heavy.most
    while size:
        # What this module does itself must not count
        body = await asyncio.to_thread(heavy.body, data, size)
        loop.reset()
        status, content = await send(app, body, token)
        if await asyncio.to_thread(is_accepted, heavy, status, content):
            break
        size = size * 3 // 4
    if not size:
        print(f"| {heavy.name} | rejected |")  # noqa: T201
        return
    for _ in range(REPEATS):
        bodies = [await asyncio.to_thread(heavy.body, data, size) for _ in range(TOGETHER)]
        started = time.thread_time()
        await asyncio.gather(*(send(app, body, token) for body in bodies))
    elapsed = (time.thread_time() - started) / TOGETHER
    cells = f"{size} | {len(content):,} | {elapsed * 1000:.1f} | {loop.turns} | {loop.longest * 1000:.1f}"
    print(f"| {heavy.name} | {cells} |", flush=True)  # noqa: T201
    if loop.profile is not None:
        pstats.Stats(loop.profile).sort_stats("cumulative").print_stats(LINES)


async def run(loop: Loop, data: Data, documents: list[Heavy]) -> None:
    """Measure, and print the table."""
    settings = Settings(database_url=SecretStr(data.url), log_level="error")
    logs.configure(settings)
    app = application(settings, data.url)
    async with app.router.lifespan_context(app):
        print(HEADER)  # noqa: T201
        for heavy in documents:
            await measure(app, loop, data, heavy)


def main() -> None:
    """Print a line for each heavy document."""
    parser = argparse.ArgumentParser(prog="python -m bench.turns", description="Measure turns of the event loop.")
    parser.add_argument("--users", type=int, default=2_000, help="users of the database")
    parser.add_argument("--name", default="", help="only documents whose name contains this")
    parser.add_argument("--profile", action="store_true", help="print the profile of each longest turn")
    options = parser.parse_args()
    end_on_signal()
    with database.started(options.users) as (data, _):
        data.fetch(EVENTS, EVENT_COUNT)
        Loop.profiled = options.profile
        loop = Loop()
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(run(loop, data, [heavy for heavy in HEAVY if options.name in heavy.name]))


if __name__ == "__main__":
    main()

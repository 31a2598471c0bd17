"""The time of answers that must not tell whether an account exists, 200 tries each, one after the other.

Usage: python -m bench.uniform   (it starts an embedded database and a service)
"""

from __future__ import annotations

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx

from bench.logins import HASHER, LOGIN, PASSWORD
from service.embedded import server as embedded
from tests.processes import running_service

TRIES = 200
WARM_UP = 10
# An operation by the name of each kind of account: its document, and the variables of a try
Try = Callable[[int], dict[str, str]]
OPERATIONS: dict[str, tuple[str, dict[str, Try]]] = {
    "login": (
        LOGIN,
        {
            "known": lambda n: {"login": f"known{n}", "password": "wrong"},
            "known by email": lambda n: {"login": f"known{n}@roster.test", "password": "wrong"},
            "without password": lambda n: {"login": f"empty{n}", "password": "wrong"},
            "unknown": lambda n: {"login": f"unknown{n}", "password": "wrong"},
            "unknown by email": lambda n: {"login": f"unknown{n}@roster.test", "password": "wrong"},
        },
    )
}


async def add_users(url: str) -> None:
    """Create users with and without a password; each try has one of its own."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """WITH people AS (
                 INSERT INTO users (username, email)
                 SELECT 'known' || n, 'known' || n || '@roster.test' FROM generate_series(0, $1) AS n RETURNING id
               ), others AS (
                 INSERT INTO users (username) SELECT 'empty' || n FROM generate_series(0, $1) AS n
               )
               INSERT INTO credentials (user_id, password_hash) SELECT id, $2 FROM people""",
            TRIES + WARM_UP,
            HASHER.hash(PASSWORD),
        )
    finally:
        await connection.close()


async def measure(url: str, document: str, kinds: dict[str, Try]) -> dict[str, list[float]]:
    """Return the milliseconds of each kind. RuntimeError if the responses differ in a byte."""
    times: dict[str, list[float]] = {kind: [] for kind in kinds}
    contents = set()
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        for number in range(TRIES + WARM_UP):
            for kind in random.sample(sorted(kinds), len(kinds)):
                body = {"query": document, "variables": kinds[kind](number)}
                headers = {"x-forwarded-for": f"198.51.{number // 250}.{number % 250}"}
                started = time.perf_counter()
                response = await client.post("/graphql", json=body, headers=headers)
                if number >= WARM_UP:
                    times[kind].append((time.perf_counter() - started) * 1_000)
                contents.add(response.content)
    if len(contents) != 1:
        raise RuntimeError(f"the responses differ: {contents}")
    return times


def main() -> None:
    """Print the quartiles of each kind, and how the medians differ."""
    with tempfile.TemporaryDirectory(prefix="roster-bench-") as folder:
        server = embedded.start(Path(folder))
        try:
            with running_service(database_url=server.url, trusted_proxies="127.0.0.1") as service:
                asyncio.run(add_users(server.url))
                for operation, (document, kinds) in OPERATIONS.items():
                    times = asyncio.run(measure(service.url, document, kinds))
                    medians = {kind: statistics.median(found) for kind, found in times.items()}
                    for kind, found in times.items():
                        low, middle, high = statistics.quantiles(found, n=4)
                        print(f"{operation}, {kind:<17} {low:.1f} {middle:.1f} {high:.1f} ms")  # noqa: T201
                    span = max(medians.values()) - min(medians.values())
                    print(f"{operation}: the medians differ by at most {span:.2f} ms, equal bytes")  # noqa: T201
        finally:
            server.close()


if __name__ == "__main__":
    main()

"""The rate of logins, 200 at once, compared with argon2id alone; the time of another client's requests meanwhile.

Usage: python -m bench.logins   (it starts an embedded database, and a service with `--workers N`)

Then 120 connections send wrong passwords from one address, and another address signs in.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import argon2
import asyncpg
import httpx

from bench.sign_in import token_of
from service.credentials.passwords import MEMORY_KIB, PARALLELISM, TIME_COST, cores
from service.embedded import server as embedded
from tests.processes import running_service

LOGINS = 200
USERS = 50
FLOOD = 120
FLOOD_SECONDS = 8.0
PASSWORD = "a-password-of-benchmarks-17"  # noqa: S105  (of a database of this benchmark)
LOGIN = "mutation ($login: String!, $password: String!) { login(input: {login: $login, password: $password}) "
LOGIN += "{ token errors { code } } }"
HASHER = argon2.PasswordHasher(TIME_COST, MEMORY_KIB, PARALLELISM)


def alone(threads: int, count: int) -> float:
    """Return the number of verifications in a second that the threads reach without anything else."""
    stored = HASHER.hash(PASSWORD)
    with ThreadPoolExecutor(threads) as pool:
        started = time.perf_counter()
        list(pool.map(lambda _: HASHER.verify(stored, PASSWORD), range(count)))
        return count / (time.perf_counter() - started)


async def add_users(url: str) -> None:
    """Create the users who sign in."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(
            """WITH people AS (
                 INSERT INTO users (username) SELECT 'bench' || n FROM generate_series(1, $1) AS n RETURNING id
               )
               INSERT INTO credentials (user_id, password_hash) SELECT id, $2 FROM people""",
            USERS,
            HASHER.hash(PASSWORD),
        )
    finally:
        await connection.close()


async def sign_in(client: httpx.AsyncClient, login: str, password: str, address: str) -> str:
    """Return "done", or the code of the error."""
    body = {"query": LOGIN, "variables": {"login": login, "password": password}}
    headers = {"x-forwarded-for": address}
    answer: dict[str, Any] = (await client.post("/graphql", json=body, headers=headers)).json()
    if "errors" in answer:
        return str(answer["errors"][0]["extensions"]["code"])
    errors = answer["data"]["login"]["errors"]
    return str(errors[0]["code"]) if errors else "done"


async def ask(client: httpx.AsyncClient, token: str) -> float:
    """Return the seconds of `{ me { id } }`."""
    started = time.perf_counter()
    headers = {"authorization": f"Bearer {token}"}
    answer = await client.post("/graphql", json={"query": "{ me { id } }"}, headers=headers)
    if not answer.json()["data"]["me"]:
        raise RuntimeError(answer.text)
    return time.perf_counter() - started


def line(name: str, times: list[float]) -> str:
    """Return the percentiles of times."""
    cuts = statistics.quantiles(times, n=100)
    return f"{name}: n={len(times)} p50 {cuts[49] * 1_000:.1f} ms, p99 {cuts[98] * 1_000:.1f} ms"


async def rate(many: httpx.AsyncClient, other: httpx.AsyncClient, token: str, names: list[str]) -> tuple[float, str]:
    """Return the rate of logins at once, one for each name, and what another client saw."""
    started = time.perf_counter()
    calls = [asyncio.create_task(sign_in(many, name, PASSWORD, "198.51.100.1")) for name in names]
    times = []
    while not all(call.done() for call in calls):
        times.append(await ask(other, token))
        await asyncio.sleep(0.01)
    found = Counter(call.result() for call in calls)
    if set(found) != {"done"}:
        raise RuntimeError(str(found))
    return len(names) / (time.perf_counter() - started), line("  me meanwhile", times)


async def flood(many: httpx.AsyncClient, other: httpx.AsyncClient, token: str) -> str:
    """Return what another address needs to sign in while one address sends wrong passwords."""
    stop = time.perf_counter() + FLOOD_SECONDS
    numbers, found = itertools.count(), Counter[str]()

    async def guess() -> None:
        while time.perf_counter() < stop:
            found[await sign_in(many, f"nobody{next(numbers)}", "wrong", "198.51.100.2")] += 1

    guesses = [asyncio.create_task(guess()) for _ in range(FLOOD)]
    await asyncio.sleep(0.2)
    times, asked = [], []
    while time.perf_counter() < stop:
        started = time.perf_counter()
        if await sign_in(other, "bench1", PASSWORD, "203.0.113.1") != "done":
            raise RuntimeError("another address cannot sign in")
        times.append(time.perf_counter() - started)
        asked.append(await ask(other, token))
    await asyncio.gather(*guesses)
    slowest = f"slowest {max(times) * 1_000:.0f} ms, first {times[0] * 1_000:.0f} ms"
    return f"wrong passwords: {dict(found)}\n{line('  login from elsewhere', times)}, {slowest}\n{line('  me', asked)}"


async def measure(url: str, token: str, rounds: int, threads: int) -> None:
    """Print the figures."""

    def client() -> httpx.AsyncClient:
        # New for each measurement: the service closes connections that are idle in between
        return httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=LOGINS), timeout=60)

    async with client() as other:
        print(line("me, quiet", [await ask(other, token) for _ in range(300)]))  # noqa: T201
        forms = {"of one account": ["bench1"] * LOGINS, "of many": [f"bench{n % USERS + 1}" for n in range(LOGINS)]}
        for name, names in forms.items():
            for _ in range(rounds):
                before = await asyncio.to_thread(alone, threads, 100)
                async with client() as many, client() as another:
                    reached, seen = await rate(many, another, token, names)
                after = await asyncio.to_thread(alone, threads, 100)
                most = (before + after) / 2
                print(f"{LOGINS} logins {name}: {reached:.1f}/s of {most:.1f}/s, {reached / most:.0%}\n{seen}")  # noqa: T201
    async with client() as many, client() as other:
        print(await flood(many, other, token))  # noqa: T201


def main() -> None:
    """Start a service, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="roster-bench-") as folder:
        server = embedded.start(Path(folder))
        try:
            with running_service(
                "--workers", str(options.workers), database_url=server.url, trusted_proxies="127.0.0.1"
            ) as service:
                asyncio.run(add_users(server.url))
                asyncio.run(measure(service.url, token_of(server.url), options.rounds, cores()))
        finally:
            server.close()


if __name__ == "__main__":
    main()

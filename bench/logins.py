"""The rate of logins, 200 at once, compared with argon2id alone; the time of another client's requests meanwhile.

Usage: python -m bench.logins [--rounds N] [--apart]   (it starts its own database and services)

With `--apart` the service has the first core alone, and the database and the load generator have the others, as if they
ran on other machines; argon2id alone has the first core, too.

Then 120 connections send wrong passwords from one address, and another address signs in.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import argon2
import asyncpg
import httpx
import orjson

from bench import database
from bench.contenders import ROSTER, roster
from bench.database import Data
from bench.load import LoadGenerator
from bench.processes import Server, cpu_between, cpu_times
from service.credentials.passwords import MEMORY_KIB, PARALLELISM, TIME_COST, cores
from tests.processes import running_service

LOGINS = 200
USERS = 50
FLOOD = 120
FLOOD_SECONDS = 8.0
PASSWORD = "a-password-of-benchmarks-17"  # noqa: S105  (of a database of this benchmark)
LOGIN = "mutation ($login: String!, $password: String!) { login(input: {login: $login, password: $password}) "
LOGIN += "{ token errors { code } } }"
HASHER = argon2.PasswordHasher(TIME_COST, MEMORY_KIB, PARALLELISM)


def alone(threads: int, count: int, core: int | None) -> float:
    """Return the number of verifications in a second that the threads reach alone, on one core if given."""
    stored = HASHER.hash(PASSWORD)
    pin = None if core is None else partial(os.sched_setaffinity, 0, {core})  # of the thread
    with ThreadPoolExecutor(threads, initializer=pin) as pool:
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


def message(login: str) -> bytes:
    """Return the bytes of a login."""
    body = orjson.dumps({"query": LOGIN, "variables": {"login": login, "password": PASSWORD}})
    head = f"POST /graphql HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


async def rate(generator: LoadGenerator, socket: str, token: str, names: list[str]) -> tuple[float, str]:
    """Return the rate of logins at once, one for each name, and what another client saw."""
    logins = asyncio.create_task(
        asyncio.to_thread(generator.run, socket, [message(name) for name in names], len(names), LOGINS)
    )
    times = []
    transport = httpx.AsyncHTTPTransport(uds=socket)
    async with httpx.AsyncClient(base_url="http://bench", transport=transport, timeout=60) as other:
        while not logins.done():
            times.append(await ask(other, token))
            await asyncio.sleep(0.01)
    seconds, _ = await logins
    return len(names) / seconds, line("  me meanwhile", times)


async def rates(data: Data, server: Server, rounds: int, core: int | None) -> None:
    """Print the rates, and the CPU time of a login."""
    threads = 1 if core is not None else cores()
    generator = LoadGenerator.start()
    forms = {"of one account": ["bench1"] * LOGINS, "of many": [f"bench{n % USERS + 1}" for n in range(LOGINS)]}
    for name, names in forms.items():
        for _ in range(rounds):
            before = await asyncio.to_thread(alone, threads, 100, core)
            started, database_started = cpu_times(server.process.pid), cpu_times(data.postmaster or 0)
            reached, seen = await rate(generator, server.socket, data.token, names)
            cpu = cpu_between(started, cpu_times(server.process.pid)) / LOGINS * 1_000
            database_cpu = cpu_between(database_started, cpu_times(data.postmaster or 0)) / LOGINS * 1_000
            most = (before + await asyncio.to_thread(alone, threads, 100, core)) / 2
            print(f"{LOGINS} logins {name}: {reached:.1f}/s of {most:.1f}/s, {reached / most:.0%}")  # noqa: T201
            print(f"  CPU of a login: service {cpu:.1f} ms, database {database_cpu:.1f} ms\n{seen}")  # noqa: T201
    generator.close()


async def flood(many: httpx.AsyncClient, other: httpx.AsyncClient, token: str) -> str:
    """Return what another address needs to sign in while one address sends wrong passwords."""
    stop = time.perf_counter() + FLOOD_SECONDS
    numbers, found = itertools.count(), Counter[str]()

    async def guess() -> None:
        while time.perf_counter() < stop:
            found[await sign_in(many, f"unknown{next(numbers)}", "wrong", "198.51.100.2")] += 1

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


async def elsewhere(url: str, token: str) -> None:
    """Print what a client at another address sees during a flood of wrong passwords."""

    def client() -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=url, limits=httpx.Limits(max_connections=LOGINS), timeout=60)

    async with client() as many, client() as other:
        print(await flood(many, other, token))  # noqa: T201


def started(data: Data, folder: Path, core: int | None) -> Server:
    """Start the service, on one core if given."""
    own = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        return roster(ROSTER)(data, folder)
    finally:
        os.sched_setaffinity(0, own)


def main() -> None:
    """Start services, and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--apart", action="store_true", help="give the service a core of its own")
    options = parser.parse_args()
    core, own = None, os.sched_getaffinity(0)
    if options.apart:
        core, *others = sorted(own)
        os.sched_setaffinity(0, others)  # of all that is started from here
    with database.started(500) as (data, folder):
        asyncio.run(add_users(data.url))
        server = started(data, folder, core)
        try:
            asyncio.run(rates(data, server, options.rounds, core))
        finally:
            server.stop()
        os.sched_setaffinity(0, own)
        with running_service(database_url=data.url, trusted_proxies="127.0.0.1") as service:
            asyncio.run(elsewhere(service.url, data.token))


if __name__ == "__main__":
    main()

"""How long does `{ me { id } }` take one client while others sign in, 50 at once?

Usage: ROSTER_DATABASE_URL=... python -m bench.login_flood   (a database with a root account)
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time

import httpx

from bench.sign_in import token_of
from tests.served import served

LOGINS = 50
ROUNDS = 4
LOGIN = 'mutation { login(input: {login: "nobody-there", password: "not the password"}) { errors { code } } }'
ME = "{ me { id } }"


async def measure(url: str, token: str) -> tuple[list[float], list[float]]:
    """Times of `me` without and with the flood, in seconds."""
    limits = httpx.Limits(max_connections=200)
    async with (
        httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as flood,
        httpx.AsyncClient(base_url=url) as client,
    ):

        async def me() -> float:
            started = time.perf_counter()
            answer = await client.post("/graphql", json={"query": ME}, headers={"authorization": f"Bearer {token}"})
            assert answer.json()["data"]["me"]["id"]  # noqa: S101
            return time.perf_counter() - started

        calm = [await me() for _ in range(300)]
        busy = []
        for _ in range(ROUNDS):
            logins = [asyncio.create_task(flood.post("/graphql", json={"query": LOGIN})) for _ in range(LOGINS)]
            while not all(login.done() for login in logins):
                busy.append(await me())
                await asyncio.sleep(0.005)
            for login in logins:
                assert login.result().json()["data"]["login"]["errors"] == [{"code": "WRONG_CREDENTIALS"}]  # noqa: S101
        return calm, busy


def main() -> None:
    url = os.environ["ROSTER_DATABASE_URL"]
    token = token_of(url)
    with served(database_url=url) as service:
        for name, times in zip(("calm", "flood"), asyncio.run(measure(service.url, token)), strict=True):
            cuts = statistics.quantiles(times, n=100)
            print(f"{name:<6} n={len(times):<5} p50 {cuts[49] * 1000:.1f} ms  p99 {cuts[98] * 1000:.1f} ms")  # noqa: T201


if __name__ == "__main__":
    main()

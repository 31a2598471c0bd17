"""The time of `{ me { id } }` for one client while others sign in, 50 at the same time.

Usage: ROSTER_DATABASE_URL=... python -m bench.login_flood   (a database with a root account)
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time

import httpx

from bench.sign_in import token_of
from tests.processes import running_service

LOGINS = 50
ROUNDS = 4
LOGIN = 'mutation { login(input: {login: "unknown", password: "not the password"}) { errors { code } } }'
ME = "{ me { id } }"


async def measure(url: str, token: str) -> tuple[list[float], list[float]]:
    """Return the times of `me` in seconds, without and with the logins."""
    limits = httpx.Limits(max_connections=200)
    async with (
        httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as login_client,
        httpx.AsyncClient(base_url=url) as client,
    ):

        async def me() -> float:
            started = time.perf_counter()
            answer = await client.post("/graphql", json={"query": ME}, headers={"authorization": f"Bearer {token}"})
            assert answer.json()["data"]["me"]["id"]  # noqa: S101
            return time.perf_counter() - started

        idle = [await me() for _ in range(300)]
        loaded = []
        for _ in range(ROUNDS):
            logins = [asyncio.create_task(login_client.post("/graphql", json={"query": LOGIN})) for _ in range(LOGINS)]
            while not all(login.done() for login in logins):
                loaded.append(await me())
                await asyncio.sleep(0.005)
            for login in logins:
                assert login.result().json()["data"]["login"]["errors"] == [{"code": "WRONG_CREDENTIALS"}]  # noqa: S101
        return idle, loaded


def main() -> None:
    """Print the percentiles of the times without and with the logins."""
    url = os.environ["ROSTER_DATABASE_URL"]
    token = token_of(url)
    with running_service(database_url=url) as service:
        for name, times in zip(("idle", "loaded"), asyncio.run(measure(service.url, token)), strict=True):
            cuts = statistics.quantiles(times, n=100)
            print(f"{name:<6} n={len(times):<5} p50 {cuts[49] * 1000:.1f} ms  p99 {cuts[98] * 1000:.1f} ms")  # noqa: T201


if __name__ == "__main__":
    main()

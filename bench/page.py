"""What does a page of 50 users with their plan, sessions and keys cost the service, against its bare SQL?

Usage: ROSTER_DATABASE_URL=... python -m bench.page   (after `python -m service seed --users 1000`)
CPU time of this process, in-process through the ASGI application; the same statements alone are the floor.
"""

from __future__ import annotations

import asyncio
import os
import time

import httpx

from bench.sign_in import token_of
from service.app import application
from service.loaders import Loaders
from service.settings import Settings

PAGE = """{ users(first: 50) { nodes { id username email role { name } plan { name }
  sessions { nodes { id ip createdAt } } apiKeys { nodes { id name prefix } }
  sshKeys { nodes { id name fingerprint } } } } }"""
ROUNDS = 60


async def measure(url: str, token: str) -> tuple[float, float, int]:
    """Seconds of CPU for the document and for its statements alone, and how many statements it takes."""
    app = application(Settings(), url)
    async with app.router.lifespan_context(app):
        database = app.state.house.database
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:

            async def ask() -> bytes:
                response = await client.post(
                    "/graphql", json={"query": PAGE}, headers={"authorization": f"Bearer {token}"}
                )
                return response.content

            before = database.reads
            answer = httpx.Response(200, content=await ask()).json()
            statements = database.reads - before
            users = [node["id"] for node in answer["data"]["users"]["nodes"]]

            async def bare() -> None:
                loaders = Loaders(database)
                window = {"low": None, "high": None, "ascending": False, "limit": 21}
                names = ("sessions_by_user", "api_keys_by_user", "ssh_keys_by_user")
                await asyncio.gather(*(loaders.many(name, user, **window) for name in names for user in users))
                await asyncio.gather(*(loaders.one("users_by_id", user) for user in users))

            whole = floor = 0.0
            for _ in range(ROUNDS):
                started = time.process_time()
                await ask()
                middle = time.process_time()
                await bare()
                whole, floor = whole + middle - started, floor + time.process_time() - middle
            return whole / ROUNDS, floor / ROUNDS, statements


def main() -> None:
    url = os.environ["ROSTER_DATABASE_URL"]
    whole, floor, statements = asyncio.run(measure(url, token_of(url)))
    print(  # noqa: T201
        f"{statements} statements; document {whole * 1000:.1f} ms of CPU, its statements alone {floor * 1000:.1f} ms, "
        f"ratio {whole / floor:.1f}"
    )


if __name__ == "__main__":
    main()

"""The CPU time of a page of 50 users with their plans, sessions, and keys, compared with that of its SQL statements.

Usage: ROSTER_DATABASE_URL=... python -m bench.page   (after `python -m service seed --users 1000`)
The document runs through the ASGI application in this process. The time is that of this process.
"""

from __future__ import annotations

import asyncio
import os
import time

import httpx

from bench.sign_in import token_of
from service.app import application
from service.database.loaders import Loaders
from service.pagination import Window
from service.settings import Settings

PAGE = """{ users(first: 50) { nodes { id username email role { name } plan { name }
  sessions { nodes { id ip createdAt } } apiKeys { nodes { id name prefix } }
  sshKeys { nodes { id name fingerprint } } } } }"""
ROUNDS = 60


async def measure(url: str, token: str) -> tuple[float, float, int]:
    """Return the CPU seconds of the document and of its statements alone, and the number of statements."""
    app = application(Settings(), url)
    async with app.router.lifespan_context(app):
        database = app.state.resources.database
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://bench") as client:

            async def run_document() -> bytes:
                response = await client.post(
                    "/graphql", json={"query": PAGE}, headers={"authorization": f"Bearer {token}"}
                )
                return response.content

            before = database.reads
            answer = httpx.Response(200, content=await run_document()).json()
            statements = database.reads - before
            users = [node["id"] for node in answer["data"]["users"]["nodes"]]

            async def run_statements() -> None:
                loaders = Loaders(database)
                window = Window.of("CREATED_AT_DESC")
                names = ("sessions_by_user", "api_keys_by_user", "ssh_keys_by_user")
                await asyncio.gather(*(loaders.page(name, user, window) for name in names for user in users))
                await asyncio.gather(*(loaders.one("users_by_id", user) for user in users))

            document_time = statement_time = 0.0
            for _ in range(ROUNDS):
                started = time.process_time()
                await run_document()
                middle = time.process_time()
                await run_statements()
                document_time += middle - started
                statement_time += time.process_time() - middle
            return document_time / ROUNDS, statement_time / ROUNDS, statements


def main() -> None:
    """Print both times and their ratio."""
    url = os.environ["ROSTER_DATABASE_URL"]
    document_time, statement_time, statements = asyncio.run(measure(url, token_of(url)))
    print(  # noqa: T201
        f"{statements} statements; document {document_time * 1000:.1f} ms of CPU, its statements alone "
        f"{statement_time * 1000:.1f} ms, ratio {document_time / statement_time:.1f}"
    )


if __name__ == "__main__":
    main()

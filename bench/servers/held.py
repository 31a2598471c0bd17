"""Connections that are held for the life of a process, with their statements prepared under a name."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import asyncpg

CONNECTIONS = 4
SETTINGS = {"jit": "off", "timezone": "UTC"}


class Held:
    """One held connection."""

    def __init__(self, connection: asyncpg.Connection[Any]) -> None:
        self.connection = connection
        self._prepared: dict[str, Any] = {}

    async def fetch(self, sql: str, *arguments: Any) -> list[Any]:
        """Return the rows of a statement."""
        statement = self._prepared.get(sql) or await self._prepare(sql)
        rows: list[Any] = await statement.fetch(*arguments)
        return rows

    async def _prepare(self, sql: str) -> Any:
        name = f"bench_{len(self._prepared)}"
        statement = self._prepared[sql] = await self.connection.prepare(sql, name=name)
        return statement


class HeldPool:
    """A few held connections; the most recently used comes first."""

    def __init__(self) -> None:
        self.idle: asyncio.LifoQueue[Held] = asyncio.LifoQueue()

    async def open(self) -> None:
        """Open the connections."""
        for _ in range(CONNECTIONS):
            connection = await asyncpg.connect(
                os.environ["BENCH_DATABASE_URL"], server_settings=SETTINGS, statement_cache_size=0
            )
            self.idle.put_nowait(Held(connection))

    async def close(self) -> None:
        """Close the connections."""
        for _ in range(CONNECTIONS):
            await (await self.idle.get()).connection.close()

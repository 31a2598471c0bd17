"""Faults between the service and its PostgreSQL: a proxy that freezes, goes away, or loses an answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import urlsplit

import asyncpg

from service.database_url import Server, servers

SERVICE = "datname = current_database() AND application_name = 'roster' AND pid <> pg_backend_pid()"
KILL = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {SERVICE}"  # noqa: S608


class Proxy:
    """Forwards TCP connections to a PostgreSQL server."""

    def __init__(self, target: Server) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost: bytes | None = None
        self.port = 0

    async def listen(self) -> None:
        """Accept connections, always on the same port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def leave(self) -> None:
        """Close every connection, and accept no new ones."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        """Forward nothing, but keep the connections and accept new ones."""
        self._open.clear()

    def thaw(self) -> None:
        """Forward what was sent meanwhile, too."""
        self._open.set()

    def lose_answer_to(self, message: bytes) -> None:
        """Close the connection that sends the message next, when the server has answered."""
        self._lost = message

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._forward(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers, lost = [writer], asyncio.Event()
        try:
            await self._open.wait()
            if self._target.host is None or self._target.host.startswith("/"):
                remote = await asyncio.open_unix_connection(f"{self._target.host}/.s.PGSQL.{self._target.port}")
            else:
                remote = await asyncio.open_connection(self._target.host, self._target.port or 5432)
            writers.append(remote[1])
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, remote[1], lost, to_server=True))
                group.create_task(self._copy(remote[0], writer, lost, to_server=False))
        except* (OSError, EOFError):
            pass
        finally:
            for opened in writers:
                opened.close()
            for opened in writers:
                with suppress(OSError):
                    await opened.wait_closed()

    async def _copy(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, lost: asyncio.Event, *, to_server: bool
    ) -> None:
        while data := await source.read(65536):
            await self._open.wait()
            if to_server and self._lost is not None and self._lost in data:
                self._lost = None
                lost.set()
            elif not to_server and lost.is_set():
                break
            target.write(data)
            await target.drain()
        raise EOFError  # ends the other direction, too


@asynccontextmanager
async def proxies(database_url: str, count: int = 1) -> AsyncIterator[tuple[list[Proxy], str]]:
    """Return proxies in front of the server of a database, and the URL that names all of them."""
    (target,) = servers(database_url)
    found = [Proxy(target) for _ in range(count)]
    for proxy in found:
        await proxy.listen()
    parts = urlsplit(database_url)
    hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in found)
    credentials = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
    try:
        yield found, f"postgresql://{credentials}{hosts}{parts.path}"
    finally:
        for proxy in found:
            proxy.thaw()
            await proxy.leave()


@asynccontextmanager
async def session(database_url: str) -> AsyncIterator[Any]:
    """Return a connection that is not the service's."""
    connection = await asyncpg.connect(database_url, server_settings={"application_name": "outside"})
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def held(database_url: str, lock: str, *arguments: Any) -> AsyncIterator[Any]:
    """Hold the lock of a statement until the end of the block."""
    async with session(database_url) as connection, connection.transaction():
        await connection.execute(lock, *arguments)
        yield connection


async def eventually(check: Any, seconds: float = 20) -> None:
    """Wait until the coroutine function returns something true."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await check():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


async def seconds(work: Awaitable[Any]) -> tuple[Any, float]:
    """Return the result of the work, and how long it took."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    result = await work
    return result, loop.time() - started

"""The floor with a credential look-up for each request, reads coalesced across requests, and audited writes.

All keys that requests ask of one statement leave in one query as soon as a connection is free.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import orjson

from bench.servers import floor
from bench.servers import statements as sql
from bench.servers.asgi import application
from bench.servers.held import HeldPool

READERS = 2  # with more, fewer keys share a query
PERMISSION = "users.update"

pool = HeldPool()


class DeniedError(Exception):
    """The request has no valid credential."""


class Reads:
    """The reads of the process: for each statement, the keys that wait for a connection."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Any, asyncio.Future[list[Any]]]] = {}
        self._active = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._scheduled = False

    def rows(self, statement: str, key: Any) -> asyncio.Future[list[Any]]:
        """Return the future rows of a key."""
        keys = self._waiting.setdefault(statement, {})
        future = keys.get(key)
        if future is None:
            future = keys[key] = asyncio.get_running_loop().create_future()
            if not self._scheduled and self._active < READERS:
                self._scheduled = True
                asyncio.get_running_loop().call_soon(self._start)
        return future

    def _start(self) -> None:
        self._scheduled = False
        while self._waiting and self._active < READERS:
            self._active += 1
            task = asyncio.ensure_future(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        held = await pool.idle.get()
        try:
            while self._waiting:
                statement = next(iter(self._waiting))
                keys = self._waiting.pop(statement)
                try:
                    rows = await held.fetch(statement, list(keys))
                except Exception as error:
                    for future in keys.values():
                        future.set_exception(error)
                    continue
                found: dict[Any, list[Any]] = {}
                name = "id" if statement in {sql.USERS, sql.PLANS} else "key"
                for row in rows:
                    found.setdefault(row[name], []).append(row)
                for key, future in keys.items():
                    if not future.done():
                        future.set_result(found.get(key, []))
        finally:
            pool.idle.put_nowait(held)
            self._active -= 1


reads = Reads()


def credential(scope: dict[str, Any]) -> asyncio.Future[list[Any]]:
    """Return the future rows of the request's session."""
    token = next((value[7:] for name, value in scope["headers"] if name == b"authorization"), b"")
    return reads.rows(sql.CREDENTIALS, hashlib.sha256(token).digest())


def require(rows: list[Any]) -> Any:
    """Return the session, if it is valid."""
    if not rows or rows[0]["expired"] or rows[0]["suspended"]:
        raise DeniedError
    return rows[0]


async def user(scope: dict[str, Any]) -> bytes:
    """Return one user."""
    session = credential(scope)
    row = reads.rows(sql.USERS, sql.arguments(scope["query_string"])["id"])
    require(await session)
    found = await row
    return sql.answer_of_user(found[0] if found else None)


async def page(scope: dict[str, Any]) -> bytes:
    """Return a page of users."""
    require(await credential(scope))
    return await floor.page(scope)


async def tree(scope: dict[str, Any]) -> bytes:
    """Return a page of users and all that belongs to them."""
    require(await credential(scope))
    return await floor.tree(scope)


async def batch(scope: dict[str, Any]) -> bytes:
    """Return ten users, each with the sessions."""
    session = credential(scope)
    ids = sql.arguments(scope["query_string"])["ids"].split(",")
    users = [reads.rows(sql.USERS, key) for key in ids]
    sessions = [reads.rows(sql.SESSIONS, key) for key in ids]
    require(await session)
    user_rows = [row for future in users for row in await future]
    session_rows = [row for future in sessions for row in await future]
    return sql.answer_of_batch(ids, user_rows, session_rows)


async def update(scope: dict[str, Any]) -> bytes:
    """Change the first name of a user: lock, check, update, and write the audit row in one transaction."""
    given = sql.arguments(scope["query_string"])
    actor = require(await credential(scope))
    held = await pool.idle.get()
    try:
        async with held.connection.transaction():
            old = (await held.fetch(sql.LOCK, given["id"]))[0]
            if PERMISSION not in actor["permissions"] and "*" not in actor["permissions"]:
                raise DeniedError
            rows = await held.fetch(sql.UPDATE, given["id"], given["name"])
            changes = {"first_name": {"old": old["first_name"], "new": given["name"]}}
            changes["version"] = {"old": old["version"], "new": rows[0]["version"]}
            label = f"session:{actor['session_id']}"
            await held.fetch(sql.AUDIT, actor["user_id"], label, given["id"], orjson.dumps(changes).decode())
    finally:
        pool.idle.put_nowait(held)
    return sql.answer_of_update(rows[0])


async def typename(scope: dict[str, Any]) -> bytes:
    """Return the name of the root type."""
    require(await credential(scope))
    return sql.TYPENAME


async def start() -> None:
    """Open the connections, of the shared handlers, too."""
    await pool.open()
    await floor.pool.open()


async def stop() -> None:
    """Close the connections."""
    await pool.close()
    await floor.pool.close()


handlers = {"/w1": user, "/w2": page, "/w3": tree, "/w4": batch, "/w5": update, "/w6": typename}
app = application(handlers, start, stop)

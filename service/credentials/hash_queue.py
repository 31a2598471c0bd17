"""The queue of password hashes: a bounded number of threads, and the waiting calls of each client served in turn.

A client with many calls delays its own, and other clients by one call.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Final, TypeAlias, TypeVar

from service.errors import ApiError, ApiErrorCode

T = TypeVar("T")
Gone: TypeAlias = Callable[[], Awaitable[bool]]

NICENESS: Final = 10
LEAST_SHARE: Final = 64  # calls of one client that may always wait


def client_gone() -> ApiError:
    """Return the error of a request whose client has closed the connection; only the log may see it."""
    return ApiError(ApiErrorCode.UNAVAILABLE, "The client has closed the connection.")


def _yield_to_others() -> None:
    """Lower the priority of the thread (Linux), so that many logins do not delay other requests."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


class HashQueue:
    """Runs calls in `threads` threads. At most `limit` calls wait; further ones raise RATE_LIMITED with `retryAfter`.

    `seconds` is about how long a call takes.
    """

    def __init__(self, threads: int, limit: int, seconds: float = 0.02) -> None:
        self.seconds = seconds
        self._threads = threads
        # Each thread has its next call ready, because it would wait for the event loop otherwise
        self._places = threads + min(threads, limit)
        self._limit = limit - min(threads, limit)
        self._waiting: dict[str | None, deque[asyncio.Future[None]]] = {}  # the client whose turn is next comes first
        self._count = 0  # of those that wait
        self._running = 0
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="argon2", initializer=_yield_to_others)

    async def run(self, call: Callable[[], T], client: str | None = None, is_gone: Gone | None = None) -> T:
        """Return the result of a call. UNAVAILABLE if `is_gone` says so when it is the call's turn."""
        await self._turn(client)
        try:
            if is_gone is not None and await is_gone():
                raise client_gone()
            future = self._pool.submit(call)
        except BaseException:
            self._leave()
            raise
        # A running call cannot be stopped: it keeps its place until it is done, also if the caller no longer waits
        future.add_done_callback(partial(self._done, asyncio.get_running_loop(), threading.get_ident()))
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Stop the threads after their current calls, and cancel the calls that wait."""
        for turns in self._waiting.values():
            for turn in turns:
                turn.cancel()
        self._waiting.clear()
        self._pool.shutdown(cancel_futures=True)

    def _done(self, loop: asyncio.AbstractEventLoop, thread: int, _call: object) -> None:
        """Release the place of a call, in the thread of the event loop."""
        if threading.get_ident() == thread:
            self._leave()
        else:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._leave)

    async def _turn(self, client: str | None) -> None:
        """Wait until it is the turn of a call of this client."""
        if self._running < self._places:
            self._running += 1
            return
        self._make_room(client)
        turns = self._waiting.setdefault(client, deque())
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        turns.append(turn)
        self._count += 1
        try:
            await turn
        except BaseException:
            if turn in self._waiting.get(client, ()):
                self._remove(client, turn)
            elif turn.done() and not turn.cancelled() and turn.exception() is None:
                self._leave()  # it was its turn at the moment when the caller was cancelled
            raise

    def _make_room(self, client: str | None) -> None:
        """Raise RATE_LIMITED if a call may not wait; if all places are taken, remove a call of the longest queue."""
        own = len(self._waiting.get(client, ()))
        # SECURITY: otherwise one client could keep all others from signing in
        if client is not None and own >= max(LEAST_SHARE, self._limit // 4):
            raise self._limited("Too many passwords from this address are being checked.")
        if self._count < self._limit:
            return
        longest = max(self._waiting, key=lambda name: len(self._waiting[name]), default=None)
        if len(self._waiting.get(longest, ())) <= own + 1:
            raise self._limited("Too many passwords are being checked.")
        last = self._waiting[longest][-1]
        self._remove(longest, last)
        last.set_exception(self._limited("Too many passwords are being checked."))

    def _limited(self, reason: str) -> ApiError:
        seconds = math.ceil((self._count + self._running) / self._threads * self.seconds)
        return ApiError(ApiErrorCode.RATE_LIMITED, f"{reason} Try again later.", retryAfter=max(1, seconds))

    def _remove(self, client: str | None, turn: asyncio.Future[None]) -> None:
        turns = self._waiting[client]
        turns.remove(turn)
        self._count -= 1
        if not turns:
            del self._waiting[client]

    def _leave(self) -> None:
        """Give the place of a call to the next client's first one."""
        self._running -= 1
        while self._waiting and self._running < self._places:
            client = next(iter(self._waiting))
            turns = self._waiting.pop(client)
            turn = turns.popleft()
            self._count -= 1
            if turns:
                self._waiting[client] = turns  # behind the other clients
            if not turn.done():
                self._running += 1
                turn.set_result(None)

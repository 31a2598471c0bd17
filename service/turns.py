"""Turns of the event loop: long work never occupies the loop for long, so that other requests are served meanwhile.

Work that can be interrupted calls `pause` between its parts. Work of other libraries that cannot be interrupted runs
`aside`, in the one thread that a process has for it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

LONGEST_TURN = 0.003  # seconds
# A request has several turns between two of its statements, and none of them should wait for long work
TURNS_BETWEEN = 5
# Seconds after which the thread returns the interpreter to the event loop; Python's default is 5 ms
SWITCH_INTERVAL = 0.0005

P = ParamSpec("P")
T = TypeVar("T")


class _Turns:
    """The long work of one event loop: its parts run one at a time, with turns for everything else between them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_soon = loop.call_soon
        self._future = loop.create_future
        self._started: float | None = None  # of the present turn, as far as it has long work
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def pause(self) -> None:
        if self._is_long():
            future = self._future()
            self._waiting.append(future)
            if len(self._waiting) == 1:
                self._call_soon(self._resume, TURNS_BETWEEN)
            await future
            self._is_long()  # begins the turn

    def _is_long(self) -> bool:
        now = time.perf_counter()
        if self._started is None:
            self._started = now
            self._call_soon(self._end)  # at the beginning of the next turn
        return now - self._started > LONGEST_TURN

    def _end(self) -> None:
        self._started = None

    def _resume(self, turns: int) -> None:
        if turns:
            self._call_soon(self._resume, turns - 1)
            return
        future = self._waiting.popleft()
        if not future.done():  # a caller may have been cancelled
            future.set_result(None)
        if self._waiting:
            self._call_soon(self._resume, TURNS_BETWEEN)


_known: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()
_thread = ThreadPoolExecutor(1, "aside", lambda: sys.setswitchinterval(SWITCH_INTERVAL))


async def pause() -> None:
    """Let other requests have their turn, if the present turn of the event loop has been long."""
    loop = asyncio.get_running_loop()
    turns = _known.get(loop)
    if turns is None:
        turns = _known[loop] = _Turns(loop)
    await turns.pause()


async def aside(function: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Return the result of a long function that reads nothing that changes meanwhile, run in the thread."""
    await pause()  # the thread may take the interpreter at once
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_thread, lambda: function(*arguments, **named))

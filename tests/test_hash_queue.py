"""The queue of hashes: clients in turn, bounded numbers, and clients that close their connection."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.credentials.hash_queue import LEAST_SHARE, HashQueue
from service.errors import ApiError, ApiErrorCode


class Work:
    """Calls that run one after the other, in the order of their turns."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.go_on = threading.Event()

    def call(self, name: str) -> str:
        assert self.go_on.wait(10)
        self.done.append(name)
        return name


@pytest.fixture
def work() -> Work:
    return Work()


@pytest_asyncio.fixture
async def queue() -> AsyncIterator[HashQueue]:
    """Return a queue with one thread, which has its next call ready beside the one that runs."""
    found = HashQueue(1, 400, 0.02)
    yield found
    found.close()


async def start(queue: HashQueue, work: Work, client: str, count: int, **given: object) -> list[asyncio.Task[str]]:
    """Add calls of a client."""
    calls = [
        asyncio.create_task(queue.run(lambda n=number: work.call(f"{client}{n}"), client, **given))  # type: ignore[misc, arg-type]
        for number in range(count)
    ]
    await asyncio.sleep(0)
    return calls


def code_of(task: asyncio.Task[str]) -> ApiErrorCode:
    error = task.exception()
    assert isinstance(error, ApiError)
    return error.code


async def test_clients_are_served_in_turn(queue: HashQueue, work: Work) -> None:
    calls = [*await start(queue, work, "a", 6), *await start(queue, work, "b", 2), *await start(queue, work, "c", 1)]
    work.go_on.set()
    await asyncio.gather(*calls)
    # Two of the first client were at the thread before the others came
    assert work.done == ["a0", "a1", "a2", "b0", "c0", "a3", "b1", "a4", "a5"]


async def test_a_client_may_fill_a_part_of_the_queue(queue: HashQueue, work: Work) -> None:
    share = max(LEAST_SHARE, 399 // 4)
    calls = await start(queue, work, "a", 2 + share + 1)
    assert code_of(calls.pop()) is ApiErrorCode.RATE_LIMITED
    others = await start(queue, work, "b", 1)
    work.go_on.set()
    await asyncio.gather(*calls, *others)
    assert work.done.index("b0") == 3


async def test_in_a_full_queue_a_new_client_takes_a_place_of_the_longest_queue(work: Work) -> None:
    queue = HashQueue(1, 11, 2.0)
    many = await start(queue, work, "a", 12)
    assert not any(call.done() for call in many)
    new = await start(queue, work, "b", 1)
    await asyncio.sleep(0)
    assert code_of(many[-1]) is ApiErrorCode.RATE_LIMITED
    error = many[-1].exception()
    assert isinstance(error, ApiError)
    assert (error.extensions or {})["retryAfter"] == 22, "for the eleven others"
    work.go_on.set()
    await asyncio.gather(*many[:-1], *new)
    queue.close()


async def test_in_a_queue_that_is_shared_fairly_a_further_call_is_rejected(work: Work) -> None:
    queue = HashQueue(1, 3, 0.02)
    calls = [*await start(queue, work, "a", 3), *await start(queue, work, "b", 1)]
    [rejected] = await start(queue, work, "b", 1)
    assert code_of(rejected) is ApiErrorCode.RATE_LIMITED
    work.go_on.set()
    await asyncio.gather(*calls)
    queue.close()


async def test_a_client_that_has_closed_its_connection_leaves_its_place(queue: HashQueue, work: Work) -> None:
    gone = False

    async def is_gone() -> bool:
        return gone

    running = await start(queue, work, "a", 2)
    waiting = await start(queue, work, "b", 50, is_gone=is_gone)
    gone = True
    later = await start(queue, work, "c", 1)
    work.go_on.set()
    await asyncio.gather(*running, *later)
    await asyncio.wait(waiting)
    assert {code_of(call) for call in waiting} == {ApiErrorCode.UNAVAILABLE}
    assert work.done == ["a0", "a1", "c0"], "no hash is computed for it"


async def test_a_cancelled_call_gives_its_turn_to_the_next(queue: HashQueue, work: Work) -> None:
    running = await start(queue, work, "a", 2)
    waiting = await start(queue, work, "b", 3)
    waiting[0].cancel()
    await asyncio.sleep(0)
    work.go_on.set()
    await asyncio.gather(*running, *waiting[1:])
    assert work.done == ["a0", "a1", "b1", "b2"]


async def test_a_call_that_fails_gives_its_turn_to_the_next(queue: HashQueue, work: Work) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    work.go_on.set()
    for _ in range(5):
        with pytest.raises(ZeroDivisionError):
            await queue.run(fail, "a")
    assert await queue.run(lambda: work.call("b"), "b") == "b"


async def test_closing_ends_the_calls_that_wait(work: Work) -> None:
    queue = HashQueue(1, 10, 0.02)
    calls = await start(queue, work, "a", 5)
    work.go_on.set()
    queue.close()
    await asyncio.wait(calls)
    assert all(call.cancelled() for call in calls[2:])

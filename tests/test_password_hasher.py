"""Password hashing: its parameters, its queue, and that it does not block the event loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import argon2
import pytest

from service.credentials.passwords import PasswordHasher
from service.errors import ApiError, ApiErrorCode

GOOD = "kitten-table-7"


@pytest.fixture
async def hasher() -> AsyncIterator[PasswordHasher]:
    hasher = PasswordHasher(threads=2, queue_limit=16)
    yield hasher
    hasher.close()


async def test_a_hash_is_argon2id_with_the_owasp_parameters(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(GOOD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert argon2.extract_parameters(stored).salt_len == 16
    assert argon2.extract_parameters(stored).hash_len == 32
    assert not hasher.needs_rehash(stored)


async def test_only_the_right_password_matches_a_hash(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(GOOD)
    assert await hasher.verify(stored, GOOD)
    assert not await hasher.verify(stored, GOOD + " ")
    assert not await hasher.verify(stored, GOOD.upper())
    assert not await hasher.verify(stored, "")


async def test_two_hashes_of_a_password_differ(hasher: PasswordHasher) -> None:
    assert await hasher.hash(GOOD) != await hasher.hash(GOOD)


@pytest.mark.parametrize("length", [72, 128, 512])
async def test_a_long_password_is_not_cut(hasher: PasswordHasher, length: int) -> None:
    head = "a" * length
    assert not await hasher.verify(await hasher.hash(head + "tail"), head)
    assert not await hasher.verify(await hasher.hash(head), head + "tail")


@pytest.mark.parametrize("password", ["Zoë pässwörd", "🔑🔑🔑🔑", "before\x00after", "\ud800"])
async def test_any_text_can_be_verified(hasher: PasswordHasher, password: str) -> None:
    stored = await hasher.hash(password)
    assert await hasher.verify(stored, password)
    assert not await hasher.verify(stored, password[:-1])


async def test_no_password_matches_a_missing_hash(hasher: PasswordHasher) -> None:
    assert not await hasher.verify(None, GOOD)
    assert not await hasher.verify(None, "")


async def test_a_missing_hash_costs_as_much_as_an_existing_one(hasher: PasswordHasher) -> None:
    stored = await hasher.hash(GOOD)

    async def seconds_of_cpu(of: str | None) -> float:
        started = time.process_time()
        for _ in range(8):
            await hasher.verify(of, "wrong")
        return time.process_time() - started

    assert 0.5 < await seconds_of_cpu(None) / await seconds_of_cpu(stored) < 2


MALFORMED = [
    "",
    "hunter2",
    "$2y$10$" + "a" * 53,
    "$argon2id$",
    "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$",
    "$argon2id$v=19$m=x,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaA",
    "$argon2id$v=19$m=4294967295,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaA",
    "$argon2id$\u00e9",
    "\ud800",
]


@pytest.mark.parametrize("stored", MALFORMED)
async def test_a_malformed_hash_matches_no_password_and_needs_a_rehash(hasher: PasswordHasher, stored: str) -> None:
    assert not await hasher.verify(stored, GOOD)
    assert hasher.needs_rehash(stored)


@pytest.mark.parametrize(
    "other", [argon2.PasswordHasher(2, 8192, 1), argon2.PasswordHasher(1, 19456, 1), argon2.PasswordHasher(2, 19456, 2)]
)
async def test_a_hash_with_other_parameters_matches_and_needs_a_rehash(
    hasher: PasswordHasher, other: argon2.PasswordHasher
) -> None:
    stored = other.hash(GOOD)
    assert await hasher.verify(stored, GOOD)
    assert hasher.needs_rehash(stored)


async def test_a_fingerprint_depends_on_the_data_and_the_salt(hasher: PasswordHasher) -> None:
    fingerprint = await hasher.fingerprint(b'{"password": "x"}', b"0123456789abcdef")
    assert len(fingerprint) == 32
    assert fingerprint == await hasher.fingerprint(b'{"password": "x"}', b"0123456789abcdef")
    assert fingerprint != await hasher.fingerprint(b'{"password": "y"}', b"0123456789abcdef")
    assert fingerprint != await hasher.fingerprint(b'{"password": "x"}', b"0123456789abcdeF")


async def test_a_fingerprint_requires_a_salt_of_16_bytes(hasher: PasswordHasher) -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        await hasher.fingerprint(b"data", b"0123456789abcde")


@pytest.mark.parametrize(
    "work",
    [
        lambda hasher: hasher.hash(GOOD),
        lambda hasher: hasher.verify(None, GOOD),
        lambda hasher: hasher.fingerprint(b"data", b"0123456789abcdef"),
    ],
    ids=["hash", "verify", "fingerprint"],
)
async def test_the_event_loop_is_not_blocked_by_a_hash(
    hasher: PasswordHasher, work: Callable[[PasswordHasher], Awaitable[object]]
) -> None:
    task = asyncio.ensure_future(work(hasher))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)
    await task
    assert turns > 20


async def test_a_call_beyond_the_queue_gets_a_time_to_retry() -> None:
    hasher = PasswordHasher(threads=1, queue_limit=2)
    calls = [asyncio.create_task(hasher.hash(GOOD)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(ApiError) as rejected:
        await hasher.hash(GOOD)
    assert rejected.value.extensions == {"code": ApiErrorCode.RATE_LIMITED.value, "retryAfter": 1}
    assert len(set(await asyncio.gather(*calls))) == 3
    assert await hasher.hash(GOOD)
    hasher.close()


async def test_a_cancelled_call_in_the_queue_releases_its_place() -> None:
    hasher = PasswordHasher(threads=1, queue_limit=1)
    running, waiting = (asyncio.create_task(hasher.hash(GOOD)) for _ in range(2))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    assert await asyncio.create_task(hasher.hash(GOOD))
    assert await running
    assert waiting.cancelled()
    hasher.close()


async def test_a_call_that_is_cancelled_during_its_hash_releases_its_place() -> None:
    hasher = PasswordHasher(threads=1, queue_limit=0)
    for _ in range(3):
        call = asyncio.create_task(hasher.hash(GOOD))
        await asyncio.sleep(0.005)
        call.cancel()
        async with asyncio.timeout(5):
            while True:
                try:
                    assert await hasher.hash(GOOD)
                    break
                except ApiError:
                    await asyncio.sleep(0.005)
    hasher.close()


async def test_a_closed_hasher_accepts_no_calls() -> None:
    hasher = PasswordHasher(threads=1, queue_limit=0)
    hasher.close()
    for _ in range(2):  # the second call shows that the first released its place
        with pytest.raises(RuntimeError, match="shutdown"):
            await hasher.hash(GOOD)

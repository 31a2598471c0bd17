"""Compiled documents have the same answers as documents that graphql-core executes.

Random documents run as random callers through two applications on the same database. A failure shows the seed of the
document; `python -m tests.test_sameness SEED` runs it alone. ROSTER_TEST_DOCUMENTS sets the number of documents.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from random import Random
from typing import Any

import httpx
import pytest
import pytest_asyncio

from service.schema import schema
from tests.conftest import Person
from tests.documents import document
from tests.sameness_data import STATE, Pair, opened_pair

DOCUMENTS = int(os.environ.get("ROSTER_TEST_DOCUMENTS", "500"))
DAMAGED = DOCUMENTS // 5
SEED = os.environ.get("ROSTER_TEST_SEED")
CHUNK = max(50, DOCUMENTS // 40)
PRIVILEGED = {"root", "admin", "staff", "dora"}
REJECTED = {"anonymous", "ended", "sam", "wrong"}  # callers without a valid credential
CORE = schema._schema  # noqa: SLF001  (Strawberry has no public access to its types)


@pytest_asyncio.fixture(scope="module")
async def sound(server_url: str, people: dict[str, Person]) -> AsyncIterator[Pair]:
    """Return a pair on data as the service stores it."""
    async with opened_pair(server_url, people) as pair:
        yield pair


@pytest_asyncio.fixture(scope="module")
async def damaged(server_url: str, people: dict[str, Person]) -> AsyncIterator[Pair]:
    """Return a pair on data that the service could not store, so that fields fail."""
    async with opened_pair(server_url, people, damaged=True) as pair:
        yield pair


def seeds(most: int) -> list[range]:
    """Return the seeds in chunks, which may run in different processes."""
    if SEED is not None:
        return [range(int(SEED), int(SEED) + 1)]
    return [range(start, min(start + CHUNK, most)) for start in range(0, most, CHUNK)]


def shown(chunk: range) -> str:
    """Return the first and the last seed."""
    return f"{chunk[0]}-{chunk[-1]}"


def caller_of(seed: int, pair: Pair) -> str:
    """Return the caller of a document; most have a credential that is valid."""
    random = Random(seed)  # noqa: S311  (reproducible, not secret)
    others = sorted(pair.callers.keys() - PRIVILEGED - REJECTED)
    [names] = random.choices([sorted(PRIVILEGED), others, sorted(REJECTED)], [0.5, 0.45, 0.05])
    return random.choice(names)


async def run(pair: Pair, chunk: range) -> None:
    """Compare the answers to the documents of the seeds, which must not change the data."""
    before = await pair.executed.rows(STATE)
    for seed in chunk:
        found = document(CORE, pair.known, seed)
        caller = caller_of(seed, pair)
        await pair.compare(found, caller, f"ROSTER_TEST_SEED={seed}")
    assert await pair.executed.rows(STATE) == before


@pytest.mark.parametrize("chunk", seeds(DOCUMENTS), ids=shown)
async def test_a_document_has_the_same_answer(sound: Pair, chunk: range) -> None:
    await run(sound, chunk)


@pytest.mark.parametrize("chunk", seeds(DAMAGED), ids=shown)
async def test_a_document_has_the_same_answer_on_damaged_data(damaged: Pair, chunk: range) -> None:
    await run(damaged, chunk)


async def test_a_different_answer_fails(sound: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    post = sound.compiled.http.post

    async def reversed_keys(*arguments: Any, **options: Any) -> httpx.Response:
        response = await post(*arguments, **options)
        body = response.json()
        if body.get("data"):
            body["data"] = dict(reversed(body["data"].items()))
        return httpx.Response(response.status_code, json=body)

    monkeypatch.setattr(sound.compiled.http, "post", reversed_keys)
    with pytest.raises(AssertionError, match="ROSTER_TEST_SEED=") as failure:
        await run(sound, range(40))
    assert "operation:" in str(failure.value)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.test_sameness SEED")
    command = [sys.executable, "-m", "pytest", "-q", __file__, "-k", "has_the_same_answer"]
    sys.exit(subprocess.call(command, env={**os.environ, "ROSTER_TEST_SEED": sys.argv[1]}))

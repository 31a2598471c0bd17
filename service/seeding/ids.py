"""Ids and random numbers of the sample rows, which depend only on what they are made of."""

from __future__ import annotations

import random


def generator_of(*parts: object) -> random.Random:
    """Return a generator that depends only on the parts. They are a text, because a number would lose its sign."""
    return random.Random(" ".join(map(str, parts)))  # noqa: S311  (rows must be reproducible, and hold no secret)


def uuid7(at: int, generator: random.Random) -> str:
    """Return an id for the time `at`, in the layout of uuid_v7() in the database."""
    milliseconds, rest = divmod(at, 1000)
    number = milliseconds << 80 | 7 << 76 | rest * 4096 // 1000 << 64 | 2 << 62 | generator.getrandbits(62)
    return f"{number:032x}"

"""What fields cost in statements and items, declared beside them and read by the cost limits.

A look-up by ids, of all rows of a level, weighs 1. What PostgreSQL has to do for a list is a multiple of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

WEIGHT: Final = "weight"  # the metadata and the extension of a field that has one


@dataclass(frozen=True, slots=True)
class Weight:
    """The weight of a field wherever a document selects it, and the items of a list without pages.

    `arguments` are the weights that arguments add if they are given.
    """

    statements: int = 0
    items: int | None = None
    arguments: Mapping[str, int] = field(default_factory=dict)


LOOKUP: Final = Weight(1)
PAGE_BY_PARENT: Final = Weight(3)
LIST: Final = Weight(8)
COUNT: Final = Weight(8)
# Matches are found by trigrams and sorted; skipped rows are read one by one
SEARCH: Final = 16
OFFSET: Final = 16
# A mutation on many users is as many transactions, each of about six round trips, so that a request may have two
MANY_USERS: Final = Weight(200)

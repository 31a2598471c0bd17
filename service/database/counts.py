"""Counts of lists: exact up to limits.EXACT_COUNT, the planner's estimate above it.

So a count costs no more in a larger database: it reads a bounded number of rows, and an estimate reads none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from service import limits
from service.database import pages
from service.database.read_pool import Found, ReadPool
from service.database.statements import Query, Statement


class Count(NamedTuple):
    """The number of rows in a list, and whether it is an estimate."""

    number: int
    is_estimate: bool


async def of_list(reads: ReadPool, statement: Statement, given: frozenset[str], filters: Mapping[str, Any]) -> Found:
    """Return the Count of a whole list, under the key None; `given` are the names of the filters that apply."""
    number = await reads.run(pages.count(statement, given), filters)
    if number <= limits.EXACT_COUNT:
        return {None: [Count(number, is_estimate=False)]}
    [estimate] = await _estimates(reads, pages.estimate(statement, given), filters)
    return {None: [Count(max(number, estimate), is_estimate=True)]}


async def by_parent(reads: ReadPool, statement: Statement, keys: Sequence[Any]) -> Found:
    """Return the Count of the list of each parent, by parent."""
    found = await reads.load(pages.counts_by_parent(statement), (), keys, lists=True)
    counts = {key: Count(found[key][0]["count"], is_estimate=False) for key in keys}
    long = [key for key, count in counts.items() if count.number > limits.EXACT_COUNT]
    if long:
        query = pages.estimates_by_parent(statement, len(long))
        for key, estimate in zip(long, await _estimates(reads, query, {"keys": long}), strict=True):
            counts[key] = Count(max(counts[key].number, estimate), is_estimate=True)
    return {key: [count] for key, count in counts.items()}


async def _estimates(reads: ReadPool, query: Query, parameters: Mapping[str, Any]) -> list[int]:
    """Return the estimated rows of each list of an EXPLAIN; a list is a sub-plan of its own."""
    [explained] = orjson.loads(await reads.run(query, parameters))
    return [plan["Plan Rows"] for plan in explained["Plan"]["Plans"]]

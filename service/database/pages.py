"""Pages and counts of the statements that are lists.

A list (`:list` in `sql/queries`) says which rows belong to it and nothing else. Here it becomes a page between two
cursors, in either direction, or a count: of the whole list, or of the lists of many parents at once. Every variant is a
query of its own, so that PostgreSQL can walk the index of its order, or read that of a filter and sort.

What a filter matches can be at the far end of an order: a first name in the order of usernames, a last login long ago
in the order of creation. The planner assumes that it is spread evenly, and would walk through all users. Where that is
likely, the statement compares twice, once in a form without an index, and only in pages of such an order (an order's
column is a parameter that is given: `:by_username IS NULL OR ...`). The planner multiplies both, expects fewer rows,
and prefers the index of the filter unless the filter matches a large part. It cannot estimate a range that begins at
-infinity, so that ranges begin at a finite time. A filter by one value is a condition of its own, because an index by
several values is in no order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from service import limits
from service.database.rows import record_class
from service.database.statements import Query, Statement, positional

PARENT: Final = {"key": "parents.key"}
KEY: Final = re.compile(r":key\b")
PARENTS: Final = "unnest(CAST(:keys AS uuid[])) AS parents (key)"
UNION: Final = "\nUNION ALL\n"
VARIANTS: Final = 1024
Columns: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a list: by a column of the statement and then by id, or with None by id alone.

    `type` is the SQL type of the column. The column must not be null.
    """

    column: str | None = None
    type: str = "text"


BY_ID = Order()


@dataclass(frozen=True, slots=True)
class Bounds:
    """The form of a page: its order, the direction of its scan, and which of its limits are given."""

    order: Order = BY_ID
    descending: bool = True
    low: bool = False
    high: bool = False
    offset: bool = False


@lru_cache(VARIANTS)
def rows(statement: Statement, columns: Columns) -> Query:
    """Return the query of the rows of many keys, with only these columns beside the key."""
    text = f"SELECT {', '.join(columns)}, CAST(list.key AS text) AS key\nFROM (\n{statement.text}\n) AS list"
    sql, parameters = positional(text)
    return Query(f"rows_of_{statement.name}", sql, parameters, "many", statement.row, narrow=True)


@lru_cache(VARIANTS)
def page(statement: Statement, bounds: Bounds, given: frozenset[str], columns: Columns | None = None) -> Query:
    """Return the query of a page of a whole list; `columns` are SQL expressions over the table `list`.

    `given` are the optional filters that apply. The cursors are the parameters `low_id` and `high_id`, with the
    positions `low` and `high` if the order has a column. The rows then have a column `position`.
    """
    sql, parameters = positional(_page_text(statement, bounds, columns), given=_all(given, bounds))
    return Query(f"page_of_{statement.name}", sql, parameters, "many", statement.row, narrow=columns is not None)


@lru_cache(VARIANTS)
def text(statement: Statement, bounds: Bounds, given: frozenset[str], columns: Columns) -> Query:
    """Return the query of a page of a whole list as JSON text; the parameters are those of `page`."""
    # Without the column `position`, which a member may have as its name, and which serves cursors only
    sql, parameters = positional(
        _as_json(_page_text(statement, bounds, columns, position=False)), given=_all(given, bounds)
    )
    return Query(f"text_of_{statement.name}", sql, parameters, "value", None)


@lru_cache(VARIANTS)
def count(statement: Statement, given: frozenset[str]) -> Query:
    """Return the query of the number of rows in a whole list; it stops one above the bound of exact counts."""
    sql, parameters = positional(_count_text(statement), given=given)
    return Query(f"count_of_{statement.name}", sql, parameters, "value", None)


@lru_cache(VARIANTS)
def estimate(statement: Statement, given: frozenset[str]) -> Query:
    """Return the query of the planner's estimate of the rows in a whole list; `counts` reads its result."""
    sql, parameters = positional(_estimate_text([statement.text]), given=given)
    return Query(f"estimate_of_{statement.name}", sql, parameters, "value", None)


@lru_cache(VARIANTS)
def pages_by_parent(statement: Statement, bounds: Bounds, columns: Columns | None = None) -> Query:
    """Return the query of a page of the list of each parent in `keys`; the rows have a column `key`."""
    text = (
        f"SELECT page.*, CAST(parents.key AS text) AS key\nFROM {PARENTS}\n"
        f"CROSS JOIN LATERAL (\n{_page_text(statement, bounds, columns)}\n) AS page"
    )
    sql, parameters = positional(text, constants=PARENT)
    return Query(f"pages_of_{statement.name}", sql, parameters, "many", statement.row, narrow=columns is not None)


@lru_cache(VARIANTS)
def texts_by_parent(statement: Statement, bounds: Bounds, columns: Columns) -> Query:
    """Return the query of a page of the list of each parent in `keys` as JSON text, as columns `key` and `text`.

    Each of the columns is an SQL expression over the table `list` with the name of its member.
    """
    page = _page_text(statement, bounds, columns)
    text = f"SELECT CAST(parents.key AS text) AS key, ({_as_json(page)}) AS text\nFROM {PARENTS}"
    sql, parameters = positional(text, constants=PARENT)
    return Query(f"texts_of_{statement.name}", sql, parameters, "many", None)


@lru_cache(VARIANTS)
def counts_by_parent(statement: Statement) -> Query:
    """Return the query of the number of rows in the list of each parent in `keys`, as columns `key` and `count`.

    Each stops one above the bound of exact counts.
    """
    text = f"SELECT parents.key, ({_count_text(statement)}) AS count\nFROM {PARENTS}"
    sql, parameters = positional(text, constants=PARENT)
    return Query(f"counts_of_{statement.name}", sql, parameters, "many", None)


@lru_cache(VARIANTS)
def estimates_by_parent(statement: Statement, number: int) -> Query:
    """Return the query of the planner's estimates for the lists of this number of parents, in the order of `keys`."""
    # Each list has a key of its own, because the planner estimates all parents of a join alike
    texts = [KEY.sub(f"(CAST(:keys AS uuid[]))[{position}]", statement.text) for position in range(1, number + 1)]
    sql, parameters = positional(_estimate_text(texts))
    return Query(f"estimates_of_{statement.name}", sql, parameters, "value", None)


def variants(statement: Statement, orders: tuple[Order, ...] = (BY_ID,)) -> Iterator[Query]:
    """Yield queries of a list that together contain all of its parts, so that they can be checked."""
    if "key" in statement.parameters:
        yield counts_by_parent(statement)
        for descending in (True, False):
            yield pages_by_parent(statement, Bounds(descending=descending, low=True, high=True))
        return
    for given in (frozenset[str](), frozenset(statement.parameters)):
        yield count(statement, given)
        for order in orders:
            for descending in (True, False):
                yield page(statement, Bounds(order, descending, low=True, high=True, offset=True), given)


def _count_text(statement: Statement) -> str:
    bounded = f"SELECT 1 FROM (\n{statement.text}\n) AS list LIMIT {limits.EXACT_COUNT + 1}"
    return f"SELECT count(*) FROM ({bounded}) AS counted"


def _estimate_text(lists: Iterable[str]) -> str:
    return "EXPLAIN (FORMAT JSON) SELECT " + ", ".join(f"ARRAY(SELECT 1 FROM (\n{text}\n) AS list)" for text in lists)


def _all(given: frozenset[str], bounds: Bounds) -> frozenset[str]:
    """Return the optional filters that apply, and the parameters of a page."""
    return given | {str(bounds.order.column), "low", "low_id", "high", "high_id", "offset", "limit"}


def _page_text(statement: Statement, bounds: Bounds, wanted: Columns | None = None, *, position: bool = True) -> str:
    columns = ", ".join(f"list.{column}" for column in record_class(statement.row).columns)
    shown = columns if wanted is None else ", ".join(wanted)
    order = bounds.order
    if position and order.column is not None:
        shown += f", CAST(list.{order.column} AS text) AS position"
    direction = " DESC" if bounds.descending else ""
    order_by = ", ".join(f"list.{name}{direction}" for name in (order.column, "id") if name is not None)
    where = _where(bounds)
    text, parts = statement.text, statement.text.split(UNION)
    if len(parts) > 1 and not bounds.offset:
        # PostgreSQL sorts a union as a whole, unless each part is already a page
        text = UNION.join(
            f"(SELECT {columns}\nFROM (\n{part}\n) AS list\n{where}ORDER BY {order_by}\nLIMIT :limit)" for part in parts
        )
        where = ""
    offset = "OFFSET :offset " if bounds.offset else ""
    return f"SELECT {shown}\nFROM (\n{text}\n) AS list\n{where}ORDER BY {order_by}\n{offset}LIMIT :limit"


def _as_json(page: str) -> str:
    """Return the SQL of a page as one JSON list; it is null for an empty page."""
    # The row's name has a space, because PostgreSQL would take the member of that name in its place
    return f'SELECT CAST(json_agg("the row") AS text) FROM (\n{page}\n) AS "the row"'


def _where(bounds: Bounds) -> str:
    order, found = bounds.order, list[str]()
    keys = "list.id" if order.column is None else f"(list.{order.column}, list.id)"
    for given, comparison, name in ((bounds.low, ">", "low"), (bounds.high, "<", "high")):
        if given:
            cursor = f"CAST(:{name}_id AS uuid)"
            if order.column is not None:
                cursor = f"(CAST(CAST(:{name} AS text) AS {order.type}), {cursor})"
            found.append(f"{keys} {comparison} {cursor}")
    return f"WHERE {' AND '.join(found)}\n" if found else ""

"""Pages of lists: their arguments, cursors, and connections (Relay Cursor Connections specification).

A cursor is a keyset: the position of a row in the order of the list, and its id. Every page costs the same.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Generic, NamedTuple, TypeAlias, TypeVar

import orjson
import strawberry
from graphql import GraphQLError

from service import limits
from service.access.rules import Open
from service.compiler.kinds import KIND, Counted
from service.database.pages import BY_ID, Bounds, Order
from service.database.read_pool import Found
from service.errors import bad_input
from service.parsing import parse_id
from service.weights import COUNT, WEIGHT

T = TypeVar("T")
Counts: TypeAlias = Callable[[Sequence[Any]], Awaitable[Found]]
# The arguments of a page, with their descriptions
PAGE_ARGUMENTS: Final[Mapping[str, str]] = {
    "first": "Number of items from the start, 1 to 100; 20 if neither first nor last is given",
    "after": "Return only items after this cursor",
    "last": "Number of items from the end, 1 to 100",
    "before": "Return only items before this cursor",
}


class Cursor(NamedTuple):
    """A place in a list: the row's position in the order (None where the order is that of the ids), and its id."""

    order: str
    position: str | None
    id: str

    def encode(self) -> str:
        """Return the opaque text for clients."""
        return base64.urlsafe_b64encode(orjson.dumps(list(self))).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, order: str, argument: str, *, positions: bool) -> Cursor:
        """Return the place of a client's cursor. Raise BAD_USER_INPUT for a text that is not a cursor of this list.

        `positions` says whether the list's order has positions.
        """
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            given, position, row_id = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            fits = isinstance(position, str) and "\0" not in position if positions else position is None
            if given != order or not fits:
                raise ValueError
            return cls(order, position, parse_id(row_id))
        except (ValueError, TypeError, GraphQLError) as error:  # binascii, JSON, and Unicode errors are ValueErrors
            raise bad_input(f"{argument} is not a cursor of this list.", argument=argument) from error


@dataclass(frozen=True)
class Window:
    """The rows that the arguments of a page request: between two cursors, in one direction, up to a number."""

    name: str  # of the order; cursors of another order are rejected
    size: int = limits.DEFAULT_PAGE_SIZE
    backward: bool = False
    after: Cursor | None = None
    before: Cursor | None = None
    offset: int = 0
    order: Order = BY_ID
    descending: bool = True

    @classmethod
    def of(
        cls,
        name: str,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        *,
        offset: int | None = None,
        order: Order = BY_ID,
        descending: bool = True,
    ) -> Window:
        """Return the window of a field's arguments. Raise BAD_USER_INPUT if they are out of range or contradictory."""
        if first is not None and last is not None:
            raise bad_input("first and last cannot be combined.", argument="last")
        for argument, value in (("first", first), ("last", last)):
            if value is not None and not 1 <= value <= limits.PAGE_SIZE:
                raise bad_input(f"{argument} must be between 1 and {limits.PAGE_SIZE}.", argument=argument)
        if offset is not None and not 0 <= offset <= limits.OFFSET:
            raise bad_input(f"offset must be between 0 and {limits.OFFSET}.", argument="offset")
        positions = order.column is not None
        return cls(
            name,
            first or last or limits.DEFAULT_PAGE_SIZE,
            last is not None,
            None if after is None else Cursor.decode(after, name, "after", positions=positions),
            None if before is None else Cursor.decode(before, name, "before", positions=positions),
            offset or 0,
            order,
            descending,
        )

    @cached_property
    def _ends(self) -> tuple[Cursor | None, Cursor | None]:
        return (self.before, self.after) if self.descending else (self.after, self.before)

    @property
    def bounds(self) -> Bounds:
        """The form of the page, for its query."""
        low, high = self._ends
        scan_descending = self.descending is not self.backward
        return Bounds(self.order, scan_descending, low is not None, high is not None, self.offset > 0)

    @property
    def parameters(self) -> tuple[tuple[str, Any], ...]:
        """The parameters of the page's query; it returns one row more, to tell whether there are more."""
        return self._limited(self.size + 1)

    @property
    def text_parameters(self) -> tuple[tuple[str, Any], ...]:
        """The parameters of the query of the page as text, which tells nothing of further rows."""
        return self._limited(self.size)

    def _limited(self, limit: int) -> tuple[tuple[str, Any], ...]:
        found: list[tuple[str, Any]] = [("limit", limit)]
        for name, cursor in zip(("low", "high"), self._ends, strict=True):
            if cursor is not None:
                found += [(name, cursor.position), (f"{name}_id", cursor.id)]
        if self.offset:
            found.append(("offset", self.offset))
        return tuple(found)


@strawberry.type(description="Position of a page in its list")
class PageInfo(Open):
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Indicates whether more items follow this page")
    has_previous_page: bool = strawberry.field(description="Indicates whether items precede this page")
    start_cursor: str | None = strawberry.field(description="Cursor of the first item of the page")
    end_cursor: str | None = strawberry.field(description="Cursor of the last item of the page")


@strawberry.type(description="Item of a page, with its cursor")
class Edge(Open, Generic[T]):
    """Relay's XEdge."""

    cursor: str = strawberry.field(description="Position of the item in the list, for the arguments after and before")
    node: T = strawberry.field(description="Item")


class Page:
    """A page of rows.

    `counts` returns the Count of the lists of many parents, by parent, if a count is selected; `key` is the parent of
    this list, None for a list without one.
    """

    def __init__(self, window: Window, rows: Sequence[Any], counts: Counts, key: Any = None) -> None:
        more = len(rows) > window.size
        kept = list(rows[: window.size]) if more else list(rows)
        if window.backward:
            kept.reverse()
        self.nodes = kept
        self.counts = counts
        self.key = key
        self._window = window
        self._more = more

    def cursor(self, row: Any) -> str:
        """Return the cursor of one of the page's rows."""
        return Cursor(self._window.name, row.get("position"), row["id"]).encode()

    @property
    def edges(self) -> list[Edge[Any]]:
        """The rows with their cursors."""
        return [Edge(cursor=self.cursor(row), node=row) for row in self.nodes]

    @property
    def page_info(self) -> PageInfo:
        """The position of the page in the list."""
        window, rows = self._window, self.nodes
        begun = (window.before if window.backward else window.after) is not None or window.offset > 0
        return PageInfo(
            has_next_page=begun if window.backward else self._more,
            has_previous_page=self._more if window.backward else begun,
            start_cursor=self.cursor(rows[0]) if rows else None,
            end_cursor=self.cursor(rows[-1]) if rows else None,
        )


@strawberry.type(description="Page of a list (Relay Cursor Connections)")
class Connection(Open, Generic[T]):
    """Relay's XConnection, with the nodes by themselves and a count on demand. Its objects are Pages."""

    edges: list[Edge[T]] = strawberry.field(description="Items of the page with their cursors")
    nodes: list[T] = strawberry.field(description="Items of the page")
    page_info: PageInfo = strawberry.field(description="Position of the page in the list")
    total_count: int = strawberry.field(
        description="Number of items in the whole list; computed only if it is selected. It is exact up to "
        f"{limits.EXACT_COUNT:,}, and an estimate above, see totalCountIsEstimate",
        metadata={KIND: Counted("number"), WEIGHT: COUNT},
    )
    total_count_is_estimate: bool = strawberry.field(
        description=f"Indicates whether the list has more than {limits.EXACT_COUNT:,} items, so that totalCount is "
        "an estimate; a list of that many items or fewer is counted exactly",
        metadata={KIND: Counted("is_estimate"), WEIGHT: COUNT},
    )

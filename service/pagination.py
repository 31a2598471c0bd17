"""What a page of a list is: its arguments, its cursors, and the connection that it is served as (Relay Cursor
Connections).

Cursors are keysets: the position of a row in the list's order, and its id. A page costs the same wherever it lies.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import orjson
import strawberry
from graphql import GraphQLError

from service.access import Open
from service.errors import bad_input
from service.formats import parse_id

DEFAULT_SIZE = 20
LARGEST_SIZE = 100
LARGEST_OFFSET = 1_000_000
T = TypeVar("T")


class Cursor(NamedTuple):
    """A place in a list: the row's position in the order (None where the order is that of the ids) and its id."""

    order: str
    position: str | None
    id: str

    def encode(self) -> str:
        """The opaque text that clients hand back."""
        return base64.urlsafe_b64encode(orjson.dumps(list(self))).rstrip(b"=").decode()

    @classmethod
    def decode(cls, text: str, order: str, argument: str, *, positions: bool) -> Cursor:
        """The place that a client's cursor names; BAD_USER_INPUT for anything that this list did not give.

        `positions` says whether the list's order has them.
        """
        try:
            padded = text.encode("ascii") + b"=" * (-len(text) % 4)
            given, position, row_id = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            fits = isinstance(position, str) and "\0" not in position if positions else position is None
            if given != order or not fits:
                raise ValueError
            return cls(order, position, parse_id(row_id))
        except (ValueError, TypeError, GraphQLError) as error:  # binascii, JSON and Unicode errors are ValueErrors
            raise bad_input(f"`{argument}` is no cursor of this list", argument=argument) from error


@dataclass(frozen=True, slots=True)
class Window:
    """The rows that a page's arguments ask for: between two cursors, scanned in one direction, up to a limit."""

    order: str
    size: int
    backward: bool
    after: Cursor | None
    before: Cursor | None
    offset: int = 0

    @classmethod
    def of(
        cls,
        order: str,
        first: int | None,
        after: str | None,
        last: int | None,
        before: str | None,
        *,
        offset: int | None = None,
        positions: bool = False,
    ) -> Window:
        """The window of a field's arguments; BAD_USER_INPUT where they are out of range or contradict each other."""
        if first is not None and last is not None:
            raise bad_input("`first` and `last` exclude each other", argument="last")
        for name, value in (("first", first), ("last", last)):
            if value is not None and not 1 <= value <= LARGEST_SIZE:
                raise bad_input(f"`{name}` must be between 1 and {LARGEST_SIZE}", argument=name)
        if offset is not None and not 0 <= offset <= LARGEST_OFFSET:
            raise bad_input(f"`offset` must be between 0 and {LARGEST_OFFSET}", argument="offset")
        return cls(
            order,
            (last or DEFAULT_SIZE) if last is not None else (first or DEFAULT_SIZE),
            last is not None,
            None if after is None else Cursor.decode(after, order, "after", positions=positions),
            None if before is None else Cursor.decode(before, order, "before", positions=positions),
            offset or 0,
        )

    def ids(self, *, descending: bool) -> dict[str, Any]:
        """Parameters of a statement over a list in the order of its ids."""
        low, high = (self.before, self.after) if descending else (self.after, self.before)
        return {
            "low": None if low is None else low.id,
            "high": None if high is None else high.id,
            "ascending": self.backward is descending,
            "limit": self.size + 1,
        }


@strawberry.type(description="Where a page lies in its list")
class PageInfo(Open):
    """Relay's PageInfo."""

    has_next_page: bool = strawberry.field(description="Indicates whether more items follow this page")
    has_previous_page: bool = strawberry.field(description="Indicates whether items precede this page")
    start_cursor: str | None = strawberry.field(description="Cursor of the page's first item")
    end_cursor: str | None = strawberry.field(description="Cursor of the page's last item")


@strawberry.type(description="One item of a page, with its cursor")
class Edge(Open, Generic[T]):
    """Relay's XEdge."""

    cursor: str = strawberry.field(description="Place of the item in the list, for `after` and `before`")
    node: T = strawberry.field(description="Item itself")


class Page:
    """A page of rows, and how to count the whole list when `totalCount` is selected."""

    def __init__(self, window: Window, rows: Sequence[Any], count: Callable[[], Awaitable[int]]) -> None:
        more = len(rows) > window.size
        kept = list(rows[: window.size])
        if window.backward:
            kept.reverse()
        self.nodes = kept
        self.count = count
        self._window = window
        self._more = more

    def cursor(self, row: Any) -> str:
        """The cursor of one of the page's rows."""
        return Cursor(self._window.order, row.get("position"), row["id"]).encode()

    @property
    def edges(self) -> list[Edge[Any]]:
        """The rows with their cursors."""
        return [Edge(cursor=self.cursor(row), node=row) for row in self.nodes]

    @property
    def page_info(self) -> PageInfo:
        """Where the page lies."""
        window, rows = self._window, self.nodes
        begun = (window.before if window.backward else window.after) is not None or window.offset > 0
        return PageInfo(
            has_next_page=begun if window.backward else self._more,
            has_previous_page=self._more if window.backward else begun,
            start_cursor=self.cursor(rows[0]) if rows else None,
            end_cursor=self.cursor(rows[-1]) if rows else None,
        )


async def _total_count(root: Page) -> int:
    return await root.count()


@strawberry.type(description="A page of a list that can grow (Relay Cursor Connections)")
class Connection(Open, Generic[T]):
    """Relay's XConnection, with the nodes by themselves and a count on demand. Served from a Page."""

    edges: list[Edge[T]] = strawberry.field(description="Items of the page with their cursors")
    nodes: list[T] = strawberry.field(description="Items of the page by themselves")
    page_info: PageInfo = strawberry.field(description="Where the page lies")
    total_count: int = strawberry.field(
        resolver=_total_count, description="Number of items in the whole list; computed only when selected"
    )

"""Servers."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.inputs import ExactText, Items, optional
from service.nodes import wanted
from service.pagination import Connection, Window
from service.payloads import query
from service.queries.arguments import After, Before, First, Last, checked, list_page, search_text
from service.types.server import Server
from service.weights import LIST, SEARCH

VALUES = Items(limits.FILTER_VALUES)


@strawberry.input(description="Which servers to list; every given field must match. A list matches any of its values")
class ServerFilter:
    """Filter of `servers`."""

    ids: list[strawberry.ID] | None = optional("Servers with these ids", VALUES)
    owner_id: list[strawberry.ID] | None = optional("Servers of these users", VALUES)
    external_id: list[str] | None = optional(
        "Servers with these ids of another system", Items(limits.FILTER_VALUES, text=ExactText(limits.NAME))
    )


@query(Access(any="servers.read", own="servers.read"))
def server(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the server")]
) -> Server | None:
    """Server with an id; null if there is none, or if the caller may not read it."""
    rule = info.context.viewer.rule("Query", "server")
    return wanted("servers_by_id", id, rule)  # type: ignore[no-any-return]


@query(Access(any="servers.read"), weight=replace(LIST, arguments={"search": SEARCH}))
async def servers(  # noqa: PLR0917
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    search: Annotated[str | None, strawberry.argument(description="Part of a server's name, ignoring case")] = None,
    filter: Annotated[ServerFilter | None, strawberry.argument(description="Which servers to list")] = None,
) -> Connection[Server] | None:
    """List of servers, newest first, with search and filter."""
    window = Window.of("servers", first, after, last, before)
    filters = checked(filter or ServerFilter(), "filter") | {"search": search_text(search)}
    return await list_page(info, "list_servers", window, filters)  # type: ignore[no-any-return]

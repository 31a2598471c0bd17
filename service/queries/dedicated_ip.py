"""Dedicated IP addresses."""

from __future__ import annotations

from typing import Annotated

import strawberry

from service.access.rules import Access
from service.context import Info
from service.pagination import Connection, Window
from service.payloads import query
from service.queries.arguments import After, Before, First, Last, list_page
from service.types.dedicated_ip import DedicatedIp
from service.user_filter import either
from service.weights import LIST


@query(Access(any="ips.read"), weight=LIST)
async def dedicated_ips(  # noqa: PLR0917
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    assigned: Annotated[
        bool | None, strawberry.argument(description="Whether the addresses belong to a user; null lists all")
    ] = None,
) -> Connection[DedicatedIp] | None:
    """List of dedicated IP addresses, newest first: those that were assigned at least once."""
    window = Window.of("dedicatedIps", first, after, last, before)
    return await list_page(info, "list_dedicated_ips", window, either("assigned", assigned))  # type: ignore[no-any-return]

"""Objects of any type by their ids."""

from __future__ import annotations

from typing import Annotated

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.errors import bad_input
from service.nodes import find_nodes
from service.payloads import query
from service.types.node import Node

READ = Access(any="users.read", own="account.read")


@query(READ)
async def node(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="Id of the object")]
) -> Node | None:
    """Object with an id; null if there is none, or if the caller may not see it."""
    return (await find_nodes(info.context, [id], columns=info.columns)).get(id)


@query(READ)
async def nodes(
    info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="Ids of the objects, at most 100")]
) -> list[Node | None]:
    """Objects in the order of their ids; null for each that does not exist or that the caller may not see."""
    if len(ids) > limits.NODES_PER_QUERY:
        raise bad_input(f"ids must have at most {limits.NODES_PER_QUERY} items.", argument="ids")
    found = await find_nodes(info.context, ids, columns=info.columns)
    return [found.get(key) for key in ids]

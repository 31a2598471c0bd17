"""What is served of a server: the least that it needs to have subusers."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import Access
from service.context import Info
from service.fields import column, computed, entity, one, page
from service.pagination import Connection
from service.rows import Row
from service.scalars import Permission
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.subuser import Subuser
    from service.types.user import User


async def my_permissions(root: Server, info: Info) -> list[Permission]:
    """What the caller holds on the server: everything as its owner, else what a membership grants."""
    return [Permission(name) for name in sorted(await info.context.on_server(root.id))]


@entity("A server of a hosting panel", Access(any="servers.read", own="servers.read"), owner=("owner_id",), server="id")
class Server(Row, Node):
    """A row of `servers`."""

    id: strawberry.ID = column("Id of the server")
    name: str = column("Name of the server")
    external_id: str | None = column("Id that another system gave the server")
    owner: Annotated[User, strawberry.lazy("service.types.user")] = one(
        "users_by_id", "owner_id", "User who owns the server", required=True
    )
    created_at: dt.datetime = column("Timestamp of the server's creation")
    subusers: Connection[Annotated[Subuser, strawberry.lazy("service.types.subuser")]] | None = page(
        "subusers_by_server",
        "People who share the server, newest first",
        Access(any="servers.read", own="subusers.read"),
    )
    my_permissions: list[Permission] = computed(
        my_permissions, "Server permissions that the caller holds on this server"
    )

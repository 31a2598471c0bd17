"""What is served of a subuser: a person's membership on somebody else's server."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import Access
from service.fields import column, entity, one
from service.rows import Row
from service.scalars import Permission
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.server import Server
    from service.types.user import User


@entity(
    "A person's share in a server; people always see their own",
    Access(any="servers.read", own="subusers.read"),
    owner=("user_id",),
    server="server_id",
)
class Subuser(Row, Node):
    """A row of `subusers`."""

    id: strawberry.ID = column("Id of the membership")
    server: Annotated[Server, strawberry.lazy("service.types.server")] = one(
        "servers_by_id", "server_id", "Server that is shared", required=True
    )
    user: Annotated[User, strawberry.lazy("service.types.user")] = one(
        "users_by_id", "user_id", "Person who shares it", required=True
    )
    permissions: list[Permission] = column("Server permissions that the person holds on the server")
    created_at: dt.datetime = column("Timestamp of the membership's beginning")
    until: dt.datetime | None = column("Timestamp at which the membership ends by itself")

"""Subusers: the membership of a user on another user's server."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, entity, related
from service.scalars import Permission
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.server import Server
    from service.types.user import User


@entity(
    "The membership of a user on another user's server; users can always read their own memberships",
    Access(any="servers.read", own="user.read"),
    by_id="subusers_by_id",
    owner=("user_id",),
    server="server_id",
    audit_names={"preset": "permissions", "replaced": "permissions"},
)
class Subuser(Row, Node):
    """A row of `subusers`."""

    id: strawberry.ID = column("Id of the membership")
    server: Annotated[Server, strawberry.lazy("service.types.server")] = related(
        "servers_by_id", "server_id", "Server", required=True
    )
    user: Annotated[User, strawberry.lazy("service.types.user")] = related(
        "users_by_id", "user_id", "User who has access to the server", required=True
    )
    permissions: list[Permission] = column("Server permissions that the user has on the server")
    created_at: dt.datetime = column("Time when the membership was created")
    until: dt.datetime | None = column("Time when the membership expires")

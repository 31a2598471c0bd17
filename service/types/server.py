"""Servers: as much of a hosting panel's server as subusers require."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.access.viewer import Viewer
from service.compiler.kinds import VIEWER, Related
from service.database.rows import Row
from service.fields import column, computed, entity, page_of, related
from service.pagination import Connection
from service.scalars import Permission
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.subuser import Subuser
    from service.types.user import User


def my_permissions(share: list[str] | None, viewer: Viewer) -> list[Permission]:
    """Return what the caller may do on the server: everything as its owner, else what the membership grants."""
    held = frozenset[str]() if share is None else viewer.actor.authority.on_server(share)
    return [Permission(name) for name in sorted(held)]


@entity(
    "A server of a hosting panel",
    Access(any="servers.read", own="servers.read"),
    by_id="servers_by_id",
    owner=("owner_id",),
    server="id",
    relations={"share": Related("id", "shares_by_server", by_viewer=True)},
)
class Server(Row, Node):
    """A row of `servers`."""

    id: strawberry.ID = column("Id of the server")
    name: str = column("Name of the server")
    external_id: str | None = column("Id that another system gave the server")
    owner: Annotated[User, strawberry.lazy("service.types.user")] = related(
        "users_by_id", "owner_id", "User who owns the server", required=True
    )
    created_at: dt.datetime = column("Time when the server was created")
    subusers: Connection[Annotated[Subuser, strawberry.lazy("service.types.subuser")]] | None = page_of(
        "subusers_by_server",
        "Memberships of the server, newest first",
        Access(any="servers.read", own="user.read"),
    )
    my_permissions: list[Permission] = computed(
        my_permissions,
        "Server permissions that the caller has on this server",
        needs=("share.permissions", VIEWER),
    )

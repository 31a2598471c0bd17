"""Dedicated IP addresses."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, entity, related
from service.scalars import IPAddress
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User


@entity(
    "An IP address that belongs to one user, or that did and can be assigned again",
    Access(any="ips.read", own="account.read"),
    by_id="dedicated_ips_by_id",
    owner=("user_id",),
)
class DedicatedIp(Row, Node):
    """A row of `dedicated_ips`."""

    id: strawberry.ID = column("Id of the address")
    address: IPAddress = column("Address, unique; an IPv4-mapped IPv6 address is its IPv4 address")
    user: Annotated[User, strawberry.lazy("service.types.user")] | None = related(
        "users_by_id", "user_id", "User that the address belongs to; null for an address that is not assigned"
    )
    assigned_at: dt.datetime | None = column("Time when the user got the address")

"""What is served of an API key; its secret is in one answer only, and its hash in a table that no type maps."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import Access
from service.fields import column, entity, one
from service.rows import Row
from service.scalars import CIDR, Permission
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User


@entity(
    "A secret that lets a program act for a user, within the permissions that it lists",
    Access(any="users.credentials", own="api-keys.read"),
    owner=("user_id",),
)
class ApiKey(Row, Node):
    """A row of `api_keys`."""

    id: strawberry.ID = column("Id of the key")
    name: str = column("Name of the key, unique among the user's")
    prefix: str = column("First characters of the secret, to recognise it by")
    permissions: list[Permission] = column("Permissions that the key lists; it holds those that its user holds too")
    allowed_ips: list[CIDR] = column("Networks that the key may be used from; empty: any")
    created_at: dt.datetime = column("Timestamp of the key's creation")
    last_used_at: dt.datetime | None = column("Timestamp of the latest use, to the minute")
    expires_at: dt.datetime | None = column("Timestamp from which the key does not count any more")
    user: Annotated[User, strawberry.lazy("service.types.user")] = one(
        "users_by_id", "user_id", "User whom the key acts for", required=True
    )

"""API keys. The secret is in one payload only, and its hash is in a table that no type maps."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, entity, related
from service.scalars import CIDR, Permission
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User


@entity(
    "A secret that lets a program act for a user, within the permissions that the key lists",
    Access(any="users.credentials", own="api-keys.read"),
    by_id="api_keys_by_id",
    owner=("user_id",),
    audit_names={"replaced": "name", "secret": "prefix"},
)
class ApiKey(Row, Node):
    """A row of `api_keys`."""

    id: strawberry.ID = column("Id of the key")
    name: str = column("Name of the key, unique among the user's keys")
    prefix: str = column("First characters of the secret, to recognize it")
    permissions: list[Permission] = column("Permissions that the key lists; each is valid only while its user has it")
    allowed_ips: list[CIDR] = column("Networks that the key may be used from; if empty, any network")
    created_at: dt.datetime = column("Time when the key was created")
    last_used_at: dt.datetime | None = column("Time of the last use, to the minute")
    expires_at: dt.datetime | None = column("Time when the key expires")
    user: Annotated[User, strawberry.lazy("service.types.user")] = related(
        "users_by_id", "user_id", "User that the key acts for", required=True
    )

"""Passkeys. The columns of their credentials are in no field."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, entity, related
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User


@entity(
    "A credential of a device or password manager, which signs in without a password and counts as a second factor",
    Access(any="users.credentials", own="account.two-factor"),
    by_id="passkeys_by_id",
    owner=("user_id",),
    audit_names={"recovery_codes": "name"},
)
class Passkey(Row, Node):
    """A row of `passkeys`."""

    id: strawberry.ID = column("Id of the passkey")
    name: str = column("Name of the passkey, unique among the user's passkeys")
    created_at: dt.datetime = column("Time when the passkey was registered")
    last_used_at: dt.datetime | None = column("Time of the last login with the passkey")
    user: Annotated[User, strawberry.lazy("service.types.user")] = related(
        "users_by_id", "user_id", "User that the passkey belongs to", required=True
    )

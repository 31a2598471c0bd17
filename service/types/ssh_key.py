"""SSH public keys."""

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
    "A public key that a user signs in to servers with",
    Access(any="users.credentials", own="ssh-keys.read"),
    by_id="ssh_keys_by_id",
    owner=("user_id",),
)
class SshKey(Row, Node):
    """A row of `ssh_keys`."""

    id: strawberry.ID = column("Id of the key")
    name: str = column("Name of the key, unique among the user's keys")
    type: str = column('Algorithm of the key, such as "ssh-ed25519"')
    fingerprint: str = column('SHA-256 fingerprint, "SHA256:" and unpadded base64; unique among the user\'s keys')
    public_key: str = column("Key in the format of authorized_keys")
    created_at: dt.datetime = column("Time when the key was added")
    last_used_at: dt.datetime | None = column("Time of the last use")
    user: Annotated[User, strawberry.lazy("service.types.user")] = related(
        "users_by_id", "user_id", "User that the key belongs to", required=True
    )

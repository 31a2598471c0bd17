"""What is served of an SSH key: public keys only."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import Access
from service.fields import column, entity, one
from service.rows import Row
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User


@entity(
    "A public key that a user signs in to servers with",
    Access(any="users.credentials", own="ssh-keys.read"),
    owner=("user_id",),
)
class SshKey(Row, Node):
    """A row of `ssh_keys`."""

    id: strawberry.ID = column("Id of the key")
    name: str = column("Name of the key, unique among the user's")
    type: str = column('Algorithm of the key, such as "ssh-ed25519"')
    fingerprint: str = column('SHA-256 of the key, "SHA256:" and unpadded base64; unique over all users')
    public_key: str = column("Key in the format of authorized_keys")
    created_at: dt.datetime = column("Timestamp of the key's addition")
    last_used_at: dt.datetime | None = column("Timestamp of the latest use")
    user: Annotated[User, strawberry.lazy("service.types.user")] = one(
        "users_by_id", "user_id", "User whom the key belongs to", required=True
    )

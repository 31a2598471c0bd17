"""What several mutations return."""

from __future__ import annotations

import strawberry

from service.payloads import Payload
from service.types.user import User


@strawberry.type(description="Answer of a mutation on a user")
class UserPayload(Payload):
    """A user, or errors."""

    user: User | None = strawberry.field(description="User as it is now", default=None)


@strawberry.type(description="Answer of a mutation that deletes")
class DeletePayload(Payload):
    """An id, or errors."""

    deleted_id: strawberry.ID | None = strawberry.field(description="Id of what was deleted", default=None)

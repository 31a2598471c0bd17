"""Payloads that several mutations share."""

from __future__ import annotations

import strawberry

from service.payloads import Payload, result
from service.types.user import User


@strawberry.type(description="Payload of a mutation on a user")
class UserPayload(Payload):
    """A user, or errors."""

    user: User | None = result("User as it is now")


@strawberry.type(description="Payload of a mutation that deletes an object")
class DeletePayload(Payload):
    """An id, or errors."""

    deleted_id: strawberry.ID | None = result("Id of the deleted object")

"""Suspension of users: their sessions end, and their API keys are not valid until it ends."""

from __future__ import annotations

import datetime as dt
from typing import Any

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import Future, Text, given, optional
from service.mutations.guards import lock_other_user, require_version
from service.payloads import mutation
from service.types.payload import UserPayload
from service.types.user import is_suspended
from service.write import write

REASON = Text(limits.SUSPENSION_REASON, multiline=True, joiners=True)


@strawberry.input(description="User to suspend")
class SuspendUserInput:
    """Input of suspendUser."""

    id: strawberry.ID = given("Id of the user")
    reason: str | None = optional("Reason, which administrators can read", REASON)
    until: dt.datetime | None = optional(
        "Time when the suspension ends by itself; without it, it must be lifted", Future()
    )


@strawberry.input(description="A user")
class UserIdInput:
    """Input of mutations that need nothing else."""

    id: strawberry.ID = given("Id of the user")


@mutation(Access(any="users.suspend"))
async def suspend_user(info: Info, input: SuspendUserInput) -> UserPayload:
    """Suspend a user: the sessions end at once, and API keys are not valid until the suspension ends."""
    return UserPayload(user=await suspend(info, input.id, input.reason or None, input.until or None))


@mutation(Access(any="users.suspend"))
async def unsuspend_user(info: Info, input: UserIdInput) -> UserPayload:
    """Lift a suspension: API keys are valid again; sessions that it ended stay ended."""
    return UserPayload(user=await unsuspend(info, input.id))


async def suspend(
    info: Info, user_id: str, reason: str | None, until: dt.datetime | None, version: int | None = None
) -> Any:
    """Suspend a user, who must have the given version, and return the user as it is then."""
    async with write(info, "user.suspend") as change:
        user = await lock_other_user(change, user_id, "You cannot suspend yourself.")
        require_version(user, version)
        suspended = await change.run("suspend_user", id=user.id, reason=reason, until=until, by=change.actor.user_id)
        ended = await change.run("end_sessions_by_user", user_id=user.id, keep=None)
        extra: dict[str, tuple[Any, Any]] = {}
        if ended:
            extra["sessions"] = ([session["id"] for session in ended], [])
        change.updated(user, suspended, **extra)
    return suspended


async def unsuspend(info: Info, user_id: str, version: int | None = None) -> Any:
    """Lift the suspension of a user, who must have the given version, and return the user as it is then."""
    async with write(info, "user.unsuspend") as change:
        user = await change.lock("lock_user", user_id)
        change.require_not_above(user)
        require_version(user, version)
        if not is_suspended(user.suspended_at, user.suspended_until):
            raise reject(ErrorCode.ALREADY_DONE, "This user is not suspended.", "id")
        changed = await change.run("unsuspend_user", id=user.id)
        change.updated(user, changed)
    return changed

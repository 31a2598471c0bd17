"""Suspension: ends the sessions, silences the keys, and lifts itself at its end."""

from __future__ import annotations

import datetime as dt

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, refuse
from service.inputs import Text, given, optional
from service.mutations.user import keep_a_root
from service.payloads import mutation
from service.types.payload import UserPayload
from service.types.user import suspended


@strawberry.input(description="Account to suspend")
class SuspendUserInput:
    """Input of suspendUser."""

    id: strawberry.ID = given("Id of the user")
    reason: str | None = optional("Reason, which the user and administrators see", Text(1, 1024, lines=True))
    until: dt.datetime | None = optional(
        "Time at which the suspension lifts itself; without one it holds until it is lifted"
    )


@strawberry.input(description="One user")
class UserIdInput:
    """Input of mutations that need nothing else."""

    id: strawberry.ID = given("Id of the user")


@mutation(Access(any="users.suspend"))
async def suspend_user(info: Info, input: SuspendUserInput) -> UserPayload:
    """Suspend an account: its sessions end at once and its API keys do not count until the suspension is over."""
    until = input.until or None
    if until is not None and until <= dt.datetime.now(dt.UTC):
        raise refuse(ErrorCode.INVALID, "The end of a suspension must lie ahead", "until")
    async with info.context.write(info, "user.suspend") as write:
        user = await write.lock("lock_user", input.id)
        if user.id == write.actor.user_id:
            raise refuse(ErrorCode.NOT_ALLOWED, "Nobody suspends themselves", "id")
        await write.not_above(user)
        await keep_a_root(write, user, "id")
        changed = await write.run(
            "suspend_user", id=user.id, reason=input.reason or None, until=until, by=write.actor.user_id
        )
        await write.run("end_sessions_by_user", user_id=user.id, keep=None)
        write.changed(user, changed)
    return UserPayload(user=changed)


@mutation(Access(any="users.suspend"))
async def unsuspend_user(info: Info, input: UserIdInput) -> UserPayload:
    """Lift a suspension: the API keys count again; the sessions that it ended stay ended."""
    async with info.context.write(info, "user.unsuspend") as write:
        user = await write.lock("lock_user", input.id)
        await write.not_above(user)
        if not suspended(user):
            raise refuse(ErrorCode.ALREADY_DONE, "The user is not suspended", "id")
        changed = await write.run("unsuspend_user", id=user.id)
        write.changed(user, changed)
    return UserPayload(user=changed)

"""Subusers: users with access to another user's server, within what the caller has on the server right now."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry

from service import limits
from service.access.authorize import Verdict
from service.access.rules import Access
from service.context import Info
from service.errors import ApiError, ApiErrorCode, ErrorCode, reject
from service.identifiers import email_problems
from service.inputs import IDEMPOTENCY_KEY, UNSET, Future, given, optional
from service.mail.outbox import Template, send_mail
from service.mutations.server_access import (
    ALWAYS,
    PERMISSIONS,
    check_bounds,
    check_number_of_subusers,
    has_passed,
    lock_server,
    requested_permissions,
)
from service.payloads import Payload, mutation, result
from service.scalars import Permission
from service.types.payload import DeletePayload
from service.types.subuser import Subuser
from service.user_creation import create_account, free_username, invite
from service.user_input import EMAIL
from service.write import Write, write

PRESET = "Id of a preset, in place of permissions: the membership gets a copy of the preset's permissions"


@strawberry.enum(description="What to do if no user has the email address")
class OnUnknownEmail(Enum):
    """Argument of createSubuser."""

    CREATE = strawberry.enum_value(
        "CREATE",
        description="Create a user without a password, who is deleted if the invitation is not used within 7 days",
    )
    FAIL = strawberry.enum_value("FAIL", description="Return NOT_FOUND")


@strawberry.input(description="User who gets access to a server")
class CreateSubuserInput:
    """Input of createSubuser."""

    server_id: strawberry.ID = given("Id of the server")
    email: str = given("Email address of the user", EMAIL)
    permissions: list[Permission] | None = optional(
        "Server permissions, within the caller's own on the server, unless presetId is given; "
        f"{ALWAYS} is always included",
        PERMISSIONS,
    )
    preset_id: strawberry.ID | None = optional(PRESET)
    until: dt.datetime | None = optional("Time when the membership expires", Future())
    on_unknown_email: OnUnknownEmail | None = given(
        "What to do if no user has the email address", default=OnUnknownEmail.CREATE
    )
    idempotency_key: str | None = optional(
        "A repeated request with this key within 24 hours returns the membership of the first request", IDEMPOTENCY_KEY
    )


@strawberry.input(description="New permissions of a subuser")
class UpdateSubuserInput:
    """Input of updateSubuser."""

    id: strawberry.ID = given("Id of the membership")
    permissions: list[Permission] | None = optional(
        f"Server permissions, which replace the current ones, unless presetId is given; {ALWAYS} is always included",
        PERMISSIONS,
    )
    preset_id: strawberry.ID | None = optional(PRESET)
    until: dt.datetime | None = optional("Time when the membership expires; null means never", Future())


@strawberry.input(description="Membership to delete")
class DeleteSubuserInput:
    """Input of deleteSubuser."""

    id: strawberry.ID = given("Id of the membership")


@strawberry.type(description="Payload of a mutation on a subuser")
class SubuserPayload(Payload):
    """A membership, or errors."""

    subuser: Subuser | None = result("Membership as it is now")


@mutation(Access(any="servers.update", own="user.create"), collects_problems=True, idempotent="subuser")
async def create_subuser(info: Info, input: CreateSubuserInput) -> SubuserPayload:
    """Give a user access to a server, and send the user an email.

    For an unknown email address, create a user without a password, who gets an invitation.
    """
    email = None
    if not info.problems.has("email"):
        email, found = email_problems(input.email, "email")
        info.problems.extend(found)
    async with write(info, "subuser.create") as change:
        server, held = await lock_server(change, input.server_id, "serverId")
        granted = await requested_permissions(change, input, held)
        await check_bounds(change, server.id, input.until or None)
        await check_number_of_subusers(change, server.id, "serverId")
        # SECURITY: an input that is rejected in any case must not tell whether a user has the address
        change.problems.raise_if_any()
        user = await _find_user(change, server, str(email))
        if user is None and input.on_unknown_email is OnUnknownEmail.FAIL:
            raise reject(ErrorCode.NOT_FOUND, "No user has this email address.", "email")
        extra: dict[str, Any] = {"preset": input.preset_id} if input.preset_id else {}
        claimed = user is not None and not await _renews_invitation(change, user)
        if user is None:
            user = await _create_user(info, change, str(email))
            await change.run("create_invitation", user_id=user.id, lifetime=float(limits.INVITATION))
            extra |= {"user.username": user.username, "user.email": user.email}
        replaced = await change.run("delete_expired_subuser", server_id=server.id, user_id=user.id)
        if replaced is not None:
            extra["replaced"] = {"id": replaced.id, "permissions": replaced.permissions}
        subuser = await change.run(
            "create_subuser", server_id=server.id, user_id=user.id, permissions=granted, until=input.until or None
        )
        if claimed:
            await send_mail(
                change, Template.SERVER_SHARED, user, server_name=server.name, by=await _sharer(info, server)
            )
        else:
            await invite(change, user)
        change.created(subuser, **extra)
    return SubuserPayload(subuser=subuser)


@mutation(Access(any="servers.update", own="user.update"), collects_problems=True)
async def update_subuser(info: Info, input: UpdateSubuserInput) -> SubuserPayload:
    """Replace the permissions of a subuser who has no permission that the caller does not have."""
    async with write(info, "subuser.update") as change:
        target = await _lock_other_subuser(info, change, input.id)
        subuser, granted = target.subuser, await requested_permissions(change, input, target.held)
        until = subuser.until if input.until is UNSET else input.until
        if input.until is not UNSET or not frozenset(granted) <= frozenset(subuser.permissions):
            await check_bounds(change, subuser.server_id, until)
        changed = await change.run("update_subuser", id=subuser.id, permissions=granted, until=until)
        differs = (changed.permissions, changed.until) != (subuser.permissions, subuser.until)
        change.updated(subuser, changed, **({"preset": (None, input.preset_id)} if input.preset_id and differs else {}))
    return SubuserPayload(subuser=changed)


@mutation(Access(any="servers.update", own="user.delete"))
async def delete_subuser(info: Info, input: DeleteSubuserInput) -> DeletePayload:
    """Delete the membership of a subuser who has no permission that the caller does not have, and send an email.

    The user stays.
    """
    async with write(info, "subuser.delete") as change:
        target = await _lock_other_subuser(info, change, input.id, notifies=True)
        # SECURITY: an address that has only an invitation gets no name of a server, because users choose these names
        only_invited = await change.run("is_only_invited", user_id=target.user.id)
        await change.run("delete_subuser", id=target.subuser.id)
        if not only_invited:
            await send_mail(change, Template.SERVER_REMOVED, target.user, server_name=target.server.name)
        change.deleted(target.subuser)
    return DeletePayload(deleted_id=input.id)


@dataclass(frozen=True, slots=True)
class _Target:
    """A membership that is locked, its server and user, and what the caller may do on the server."""

    subuser: Any
    server: Any
    user: Any
    held: frozenset[str]


async def _lock_other_subuser(info: Info, change: Write, subuser_id: str, *, notifies: bool = False) -> _Target:
    """Return the membership of another user, on a server where the caller may change it.

    With `notifies` the user is returned, too. SECURITY: a caller does not change their own membership, and not that of
    a stronger subuser (a hole of Pterodactyl).
    """
    found = await info.context.loaders.one("subusers_by_id", subuser_id)
    if found is None:
        raise reject(ErrorCode.NOT_FOUND, "This object does not exist.", "id")
    server, held = await lock_server(change, found.server_id, "id")
    # Before the membership, because the deletion of a user deletes the memberships last
    user = await change.run("keep_user", id=found.user_id) if notifies else None
    subuser = await change.run("lock_subuser", id=subuser_id)
    if subuser is None or has_passed(subuser.until):
        raise reject(ErrorCode.NOT_FOUND, "This object does not exist.", "id")
    if subuser.user_id == change.actor.user_id:
        raise reject(ErrorCode.NOT_ALLOWED, "You cannot change your own membership.", "id")
    beyond = frozenset(subuser.permissions) - held - {ALWAYS}
    if beyond:
        # SECURITY: the permissions are named only to callers who may read them
        viewer = info.context.viewer
        readable = await viewer.can_reach(viewer.rule("Subuser", "permissions"), subuser)
        names = f": {', '.join(sorted(beyond))}" if readable else ""
        raise reject(ErrorCode.NOT_ALLOWED, f"The subuser has permissions that you do not have{names}.", "id")
    return _Target(subuser, server, user, held)


async def _find_user(change: Write, server: Any, email: str) -> Any:
    """Return the user with the email address, locked until commit, or None.

    SECURITY: an address of the owner is answered like that of a subuser, so that the answer does not tell which it is.
    """
    await change.run("lock_email", email=email)
    for user in await change.run("users_by_email", keys=[email]):
        # The owner is not locked, because the deletion of a user locks the user before the servers
        if user.id == server.owner_id or await change.run("is_subuser", server_id=server.id, user_id=user.id):
            raise reject(ErrorCode.CONFLICT, "This person already has access to the server.", "email")
    return await change.run("lock_user_by_email", email=email)


async def _renews_invitation(change: Write, user: Any) -> bool:
    """Return whether the user has not used an earlier invitation to a server; it is then valid for longer."""
    if user.last_login_at is not None:
        return False
    renewed = await change.run("update_invitation", user_id=user.id, lifetime=float(limits.INVITATION))
    return renewed is not None


async def _sharer(info: Info, server: Any) -> str | None:
    """Return the name of the caller, or None for an administrator."""
    actor, viewer = info.context.actor, info.context.viewer
    if server.owner_id != actor.user_id and await viewer.share(server.id) is None:
        return None
    user = await info.context.loaders.one("users_by_id", actor.user_id)
    return None if user is None else user.display_name or user.username


async def _create_user(info: Info, change: Write, email: str) -> Any:
    viewer = info.context.viewer
    if viewer.verdict(viewer.rule("Mutation", "createUser")) is not Verdict.ALLOWED:
        # SECURITY: otherwise the owner of one server could fill the database with accounts
        await change.run("lock_created_accounts", actor_id=change.actor.user_id)
        seconds = await change.run(
            "seconds_until_account", actor_id=change.actor.user_id, before=limits.ACCOUNTS_PER_DAY - 1
        )
        if seconds is not None:
            message = f"You can create {limits.ACCOUNTS_PER_DAY} accounts in a day. Try again later."
            raise ApiError(ApiErrorCode.RATE_LIMITED, message, retryAfter=max(1, math.ceil(seconds)))
    username = await free_username(change, email, info.context.resources.usernames)
    names = {"first_name": "Server", "last_name": "Subuser"}
    return await create_account(change, {"username": username, "email": email, **names})

"""Subusers: people on somebody else's server, within what the one who lets them in holds there right now."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Any

import strawberry

from service import names
from service.access import EVERYTHING, Access, Verdict
from service.context import Info
from service.errors import ErrorCode, Problem, Refused, refuse
from service.inputs import UNSET, Items, given, optional
from service.payloads import Payload, mutation
from service.people import EMAIL_LENGTH
from service.permissions import SERVER
from service.scalars import Permission
from service.types.payload import DeletePayload
from service.types.plan import Tier
from service.types.role import USER_ROLE
from service.types.subuser import Subuser
from service.visibility import sees
from service.write import Write

ALWAYS = "websocket.connect"
MOST_SUBUSERS = 100
PERMISSIONS = Items(100, least=1)
USERNAME_TRIES = 5


@strawberry.enum(description="What to do when nobody has the address")
class OnUnknownEmail(Enum):
    """Argument of createSubuser."""

    CREATE = strawberry.enum_value(
        "CREATE", description="Make an account without a password; the person sets one by reset"
    )
    FAIL = strawberry.enum_value("FAIL", description="Refuse with NOT_FOUND")


@strawberry.input(description="Person to let onto a server")
class CreateSubuserInput:
    """Input of createSubuser."""

    server_id: strawberry.ID = given("Id of the server")
    email: str = given("Email address of the person", EMAIL_LENGTH)
    permissions: list[Permission] = given(
        "Server permissions, each of which the caller holds on the server", PERMISSIONS
    )
    until: dt.datetime | None = optional("Time at which the membership ends by itself")
    on_unknown_email: OnUnknownEmail | None = given(
        "What to do when nobody has the address", default=OnUnknownEmail.CREATE
    )


@strawberry.input(description="Another set of permissions for a subuser")
class UpdateSubuserInput:
    """Input of updateSubuser."""

    id: strawberry.ID = given("Id of the membership")
    permissions: list[Permission] = given("Server permissions in place of those so far", PERMISSIONS)
    until: dt.datetime | None = optional("Time at which the membership ends by itself; null: it stays")


@strawberry.input(description="Membership to end")
class DeleteSubuserInput:
    """Input of deleteSubuser."""

    id: strawberry.ID = given("Id of the membership")


@strawberry.type(description="Answer of a mutation on a subuser")
class SubuserPayload(Payload):
    """A membership, or errors."""

    subuser: Subuser | None = strawberry.field(description="Membership as it is now", default=None)


@mutation(Access(any="servers.update", own="subusers.create"))
async def create_subuser(info: Info, input: CreateSubuserInput) -> SubuserPayload:
    """Let a person onto a server; one whom nobody knows gets an account without a password."""
    email, problems = names.email_problems(input.email, "email")
    if problems or email is None:
        raise Refused(*problems)
    _ahead(input.until or None)
    async with info.context.write(info, "subuser.create") as write:
        server, held = await _server(info, write, input.server_id, "serverId")
        granted = _granted(input.permissions, held)
        await _within_own_time(info, write, server.id, input.until or None)
        await write.run("lock_email", email=email)
        person = await write.run("lock_user_by_email", email=email)
        if person is not None and person.id == server.owner_id:
            raise refuse(ErrorCode.NOT_ALLOWED, "The owner holds every permission already", "email")
        if await write.run("count_subusers_of_server", server_id=server.id) >= MOST_SUBUSERS:
            raise refuse(ErrorCode.LIMIT_REACHED, f"A server may have {MOST_SUBUSERS} subusers", "serverId")
        further = {}
        if person is None:
            if input.on_unknown_email is OnUnknownEmail.FAIL:
                raise refuse(ErrorCode.NOT_FOUND, "Nobody has this address", "email")
            person = await _new_account(info, write, email)
            further["user"] = {"old": None, "new": {"username": person.username, "email": email}}
        await write.run("delete_expired_subuser", server_id=server.id, user_id=person.id)
        subuser = await write.run(
            "create_subuser", server_id=server.id, user_id=person.id, permissions=granted, until=input.until or None
        )
        write.created(subuser, **further)
    return SubuserPayload(subuser=subuser)


@mutation(Access(any="servers.update", own="subusers.update"))
async def update_subuser(info: Info, input: UpdateSubuserInput) -> SubuserPayload:
    """Replace the permissions of a subuser who holds no more than the caller."""
    _ahead(input.until if input.until is not UNSET else None)
    async with info.context.write(info, "subuser.update") as write:
        subuser, held = await _other_subuser(info, write, input.id)
        granted = _granted(input.permissions, held)
        until = subuser.until if input.until is UNSET else input.until
        if input.until is not UNSET:
            await _within_own_time(info, write, subuser.server_id, until)
        changed = await write.run("update_subuser", id=subuser.id, permissions=granted, until=until)
        write.changed(subuser, changed)
    return SubuserPayload(subuser=changed)


@mutation(Access(any="servers.update", own="subusers.delete"))
async def delete_subuser(info: Info, input: DeleteSubuserInput) -> DeletePayload:
    """End the membership of a subuser who holds no more than the caller; the account stays."""
    async with info.context.write(info, "subuser.delete") as write:
        subuser, _held = await _other_subuser(info, write, input.id)
        await write.run("delete_subuser", id=subuser.id)
        write.deleted(subuser)
    return DeletePayload(deleted_id=input.id)


async def _server(info: Info, write: Write, server_id: str, field: str) -> tuple[Any, frozenset[str]]:
    """The server, held until commit, and what the caller holds there; the field's own access says whether that is
    enough.
    """
    context = info.context
    server = await write.run("lock_server", id=server_id)
    if server is None or not await context.reaches(write.rule, server):
        if server is not None and await sees(context, server):
            raise refuse(ErrorCode.NOT_ALLOWED, f"This takes the permission {write.rule.own} on the server", field)
        raise refuse(ErrorCode.NOT_FOUND, "There is no such object", field)
    if context.decide(write.rule) is Verdict.ALLOWED:
        await write.not_above_server(server, field)
        # SECURITY: an administrator holds everything, but an API key of theirs grants no more than it lists
        return server, write.actor.held.on_server({EVERYTHING})
    return server, await context.on_server(server.id)


async def _other_subuser(info: Info, write: Write, subuser_id: str) -> tuple[Any, frozenset[str]]:
    """Another's membership on a server where the caller may change it.

    SECURITY: nobody changes their own, and a weak subuser does not touch a stronger one (a hole of Pterodactyl).
    """
    found = await info.context.loaders.one("subusers_by_id", subuser_id)
    if found is None:
        raise refuse(ErrorCode.NOT_FOUND, "There is no such object", "id")
    _server_row, held = await _server(info, write, found.server_id, "id")
    subuser = await write.run("lock_subuser", id=subuser_id)
    if subuser is None:
        raise refuse(ErrorCode.NOT_FOUND, "There is no such object", "id")
    if subuser.user_id == write.actor.user_id:
        raise refuse(ErrorCode.NOT_ALLOWED, "Nobody changes their own membership", "id")
    beyond = frozenset(subuser.permissions) - held - {ALWAYS}
    if beyond:
        raise refuse(ErrorCode.NOT_ALLOWED, f"The subuser holds what you do not: {', '.join(sorted(beyond))}", "id")
    return subuser, held


async def _within_own_time(info: Info, write: Write, server_id: str, until: dt.datetime | None) -> None:
    """Refuses to let somebody stay longer than oneself."""
    share = await info.context.share(server_id)
    own = None if share is None or info.context.decide(write.rule) is Verdict.ALLOWED else share["until"]
    if own is not None and (until is None or until > own):
        raise refuse(ErrorCode.NOT_ALLOWED, "Nobody stays longer than you do yourself", "until")


def _granted(asked: list[Permission], held: frozenset[str]) -> list[str]:
    """The permissions to grant, in order and each once; Refused where the caller does not hold one, or no server knows
    it.
    """
    problems = []
    for position, name in enumerate(asked):
        field = ("permissions", str(position))
        if name not in SERVER:
            problems.append(Problem(ErrorCode.INVALID, f"{name} is no server permission", field))
        elif name not in held and name != ALWAYS:
            problems.append(Problem(ErrorCode.NOT_ALLOWED, f"You do not hold {name} on this server", field))
    if problems:
        raise Refused(*problems)
    return sorted({*asked, ALWAYS})


async def _new_account(info: Info, write: Write, email: str) -> Any:
    username = names.generated_username(email, info.context.house.usernames)
    for _ in range(USERNAME_TRIES):
        if not await write.run("users_by_username", keys=[username]):
            break
        username = names.generated_username(email, info.context.house.usernames)
    plan = await write.run("default_plan")
    record: dict[str, Any] = {
        "username": username,
        "email": email,
        "first_name": "Server",
        "last_name": "Subuser",
        "language": "en",
        "tier": plan.tier if plan else Tier.FREE.value,
        "plan_id": plan.id if plan else None,
        "role_id": USER_ROLE,
        "billing_address": {},
    }
    return await write.run("create_user", record=record)


def _ahead(until: dt.datetime | None) -> None:
    if until is not None and until <= dt.datetime.now(dt.UTC):
        raise refuse(ErrorCode.INVALID, "The end of a membership must lie ahead", "until")

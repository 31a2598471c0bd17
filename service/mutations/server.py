"""Servers: create, change, transfer to another owner, and delete."""

from __future__ import annotations

from typing import Any

import strawberry

from service.access.authorize import Verdict
from service.access.permissions import SERVER
from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import EXTERNAL_ID, IDEMPOTENCY_KEY, PERSON_NAME, UNSET, changes, given, optional
from service.mail.outbox import Template, send_mail
from service.mutations.guards import report_taken, require_values
from service.mutations.references import NEW_ID, requested_id
from service.mutations.server_access import (
    ALWAYS,
    PERMISSIONS,
    check_number_of_subusers,
    everything_held,
    granted,
    lock_server,
)
from service.payloads import Payload, mutation, result
from service.quotas import require_room
from service.scalars import Permission
from service.types.payload import DeletePayload
from service.types.server import Server
from service.write import Write, write


@strawberry.input(description="New server")
class CreateServerInput:
    """Input of createServer."""

    id: strawberry.ID | None = optional(NEW_ID)
    name: str = given("Name", PERSON_NAME)
    owner_id: strawberry.ID = given("Id of the user who owns the server")
    external_id: str | None = optional("Id that another system gave the server, unique", EXTERNAL_ID)
    idempotency_key: str | None = optional(
        "A repeated request with this key within 24 hours returns the server of the first request", IDEMPOTENCY_KEY
    )


@strawberry.input(description="Change of a server; absent fields keep their value, null clears them")
class UpdateServerInput:
    """Input of updateServer."""

    id: strawberry.ID = given("Id of the server")
    name: str | None = optional("Name", PERSON_NAME)
    external_id: str | None = optional(
        "Id that another system gave the server, unique. Requires servers.update", EXTERNAL_ID
    )


@strawberry.input(description="Server that gets another owner")
class TransferServerInput:
    """Input of transferServer."""

    id: strawberry.ID = given("Id of the server")
    owner_id: strawberry.ID = given("Id of the user who becomes the owner")
    former_owner_permissions: list[Permission] | None = optional(
        "Server permissions of the former owner, who becomes a subuser; without them the former owner loses access. "
        f"{ALWAYS} is always included",
        PERMISSIONS,
    )


@strawberry.input(description="Server to delete")
class DeleteServerInput:
    """Input of deleteServer."""

    id: strawberry.ID = given("Id of the server")
    cascade: bool | None = given("Indicates whether it is deleted even if it has subusers", default=False)


@strawberry.type(description="Payload of a mutation on a server")
class ServerPayload(Payload):
    """A server, or errors."""

    server: Server | None = result("Server as it is now")


@mutation(Access(any="servers.create"), collects_problems=True, idempotent="server")
async def create_server(info: Info, input: CreateServerInput) -> ServerPayload:
    """Create a server for a user. LIMIT_REACHED when the user's limits allow no more servers."""
    async with write(info, "server.create") as change:
        owner = await change.run("lock_user", id=input.owner_id)
        if owner is None:
            raise reject(ErrorCode.NOT_FOUND, "This user does not exist.", "ownerId")
        change.require_not_above(owner, "ownerId")
        await require_room(change, owner, "ownerId")
        await report_taken(change, "servers_external_id_key", "server_external_id_is_taken", input.external_id or None)
        new = await requested_id(change, input.id or None)
        server = await change.run(
            "create_server", id=new.get("id"), name=input.name, owner_id=owner.id, external_id=input.external_id or None
        )
        change.created(server)
    return ServerPayload(server=server)


@mutation(Access(any="servers.update", own="settings.rename"), collects_problems=True)
async def update_server(info: Info, input: UpdateServerInput) -> ServerPayload:
    """Rename a server, or change its id in another system."""
    columns = changes(input, "name", "external_id")
    require_values(columns, info.problems, name="name")
    async with write(info, "server.update") as change:
        server, _held = await lock_server(change, input.id, "id")
        if "external_id" in columns and info.context.viewer.verdict(change.rule) is not Verdict.ALLOWED:
            # SECURITY: a billing system finds the servers of its customers by this id, so that they must not choose it
            change.problems.add(ErrorCode.NOT_ALLOWED, f"This requires the permission {change.rule.any}.", "externalId")
        await report_taken(
            change, "servers_external_id_key", "server_external_id_is_taken", columns.get("external_id"), server.id
        )
        changed = await change.run("update_server", id=server.id, changes=columns)
        change.updated(server, changed)
    return ServerPayload(server=changed)


@mutation(Access(any="servers.update"), collects_problems=True)
async def transfer_server(info: Info, input: TransferServerInput) -> ServerPayload:
    """Transfer a server to another owner, and send both an email. Other subusers stay.

    LIMIT_REACHED when the new owner's limits allow no more servers. A membership that the new owner had on the server
    is deleted.
    """
    async with write(info, "server.transfer") as change:
        server, former = await _lock_server_of_owner(info, change, input.id)
        # The lock of the former owner allows this one to others, so that opposite transfers do not wait for each other
        owner = await change.run("lock_user", id=input.owner_id)
        if owner is None:
            raise reject(ErrorCode.NOT_FOUND, "This user does not exist.", "ownerId")
        change.require_not_above(owner, "ownerId")
        if owner.id == former.id:
            change.problems.raise_if_any()
            change.unchanged()
            return ServerPayload(server=server)
        _require_everything(change)
        await require_room(change, owner, "ownerId")
        kept = None
        if input.former_owner_permissions not in (UNSET, None):
            kept = granted(
                change, input.former_owner_permissions or (), everything_held(change), "formerOwnerPermissions"
            )
            leaving = await change.run("is_subuser", server_id=server.id, user_id=owner.id)
            await check_number_of_subusers(change, server.id, "formerOwnerPermissions", leaving=int(leaving))
        changed = await change.run("transfer_server", id=server.id, owner_id=owner.id)
        subusers = await _replace_memberships(change, server, former, owner, kept)
        await send_mail(change, Template.SERVER_RECEIVED, owner, server_name=server.name)
        await send_mail(
            change, Template.SERVER_TRANSFERRED, former, server_name=server.name, keeps_access=kept is not None
        )
        change.updated(server, changed, **({"subusers": subusers} if any(subusers) else {}))
    return ServerPayload(server=changed)


@mutation(Access(any="servers.delete"))
async def delete_server(info: Info, input: DeleteServerInput) -> DeletePayload:
    """Delete a server. IN_USE while it has subusers, unless `cascade` is true."""
    async with write(info, "server.delete") as change:
        server = await change.lock("lock_server", input.id)
        await change.require_server_not_above(server)
        subusers = await change.run("lock_subusers_of_server", server_id=server.id)
        if any(subuser["in_force"] for subuser in subusers) and not input.cascade:
            raise reject(
                ErrorCode.IN_USE, "The server has subusers. Set cascade to delete their memberships, too.", "id"
            )
        await change.run("delete_server", id=server.id)
        gone = [subuser["id"] for subuser in subusers]
        change.deleted(server, **({"subusers": gone} if gone else {}))
    return DeletePayload(deleted_id=input.id)


async def _lock_server_of_owner(info: Info, change: Write, server_id: str) -> tuple[Any, Any]:
    """Return a server, locked until commit, and its owner, who can't be deleted until then.

    The owner is first, because the deletion of a user locks the user before the servers. CONFLICT if the server got
    another owner in between.
    """
    found = await info.context.loaders.one("servers_by_id", server_id)
    former = None if found is None else await change.run("keep_user", id=found.owner_id)
    server = await change.lock("lock_server", server_id)
    if former is None or former.id != server.owner_id:
        raise reject(ErrorCode.CONFLICT, "The server was transferred at the same time.", "id")
    if former.id != change.actor.user_id:
        change.require_not_above(former)
    return server, former


def _require_everything(change: Write) -> None:
    """Add a problem if the caller uses an API key that could not give the new owner access as a subuser, either.

    SECURITY: the new owner gets every server permission, for as long as the server exists. A key that lists less would
    otherwise open each server by transferring it.
    """
    change.require_lasting_key("transfer servers", "ownerId")
    if everything_held(change) != SERVER:
        message = "An API key must list every server permission to transfer servers, because the new owner gets them."
        change.problems.add(ErrorCode.NOT_ALLOWED, message, "ownerId")


async def _replace_memberships(
    change: Write, server: Any, former: Any, owner: Any, kept: list[str] | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Delete the new owner's membership, and create one of the former owner; return both as the event tells them."""
    gone = await change.run("delete_subusers_by_user", server_id=server.id, user_ids=[former.id, owner.id])
    new = []
    if kept is not None:
        new = [await change.run("create_subuser", server_id=server.id, user_id=former.id, permissions=kept, until=None)]
    found = [
        [{"id": each.id, "userId": each.user_id, "permissions": each.permissions} for each in rows]
        for rows in (gone, new)
    ]
    return found[0], found[1]

"""Servers: create and delete."""

from __future__ import annotations

import strawberry

from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import EXTERNAL_ID, IDEMPOTENCY_KEY, PERSON_NAME, given, optional
from service.mutations.guards import report_taken
from service.payloads import Payload, mutation, result
from service.quotas import require_room
from service.types.payload import DeletePayload
from service.types.server import Server
from service.write import write


@strawberry.input(description="New server")
class CreateServerInput:
    """Input of createServer."""

    name: str = given("Name", PERSON_NAME)
    owner_id: strawberry.ID = given("Id of the user who owns the server")
    external_id: str | None = optional("Id that another system gave the server, unique", EXTERNAL_ID)
    idempotency_key: str | None = optional(
        "A repeated request with this key within 24 hours returns the server of the first request", IDEMPOTENCY_KEY
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
        server = await change.run(
            "create_server", name=input.name, owner_id=owner.id, external_id=input.external_id or None
        )
        change.created(server)
    return ServerPayload(server=server)


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

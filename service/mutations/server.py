"""Servers: made for an owner, and taken away."""

from __future__ import annotations

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, refuse
from service.inputs import NAME, given, optional
from service.payloads import Payload, mutation
from service.types.payload import DeletePayload
from service.types.server import Server


@strawberry.input(description="New server")
class CreateServerInput:
    """Input of createServer."""

    name: str = given("Name", NAME)
    owner_id: strawberry.ID = given("Id of the user who owns it")
    external_id: str | None = optional("Id that another system gave the server, unique", NAME)


@strawberry.input(description="Server to delete")
class DeleteServerInput:
    """Input of deleteServer."""

    id: strawberry.ID = given("Id of the server")
    cascade: bool | None = given("Indicates whether it goes although people share it", default=False)


@strawberry.type(description="Answer of a mutation on a server")
class ServerPayload(Payload):
    """A server, or errors."""

    server: Server | None = strawberry.field(description="Server as it is now", default=None)


@mutation(Access(any="servers.create"))
async def create_server(info: Info, input: CreateServerInput) -> ServerPayload:
    """Create a server for an owner."""
    async with info.context.write(info, "server.create") as write:
        owner = await write.run("lock_user", id=input.owner_id)
        if owner is None:
            raise refuse(ErrorCode.NOT_FOUND, "There is no such user", "ownerId")
        server = await write.run(
            "create_server", name=input.name, owner_id=owner.id, external_id=input.external_id or None
        )
        write.created(server)
    return ServerPayload(server=server)


@mutation(Access(any="servers.delete"))
async def delete_server(info: Info, input: DeleteServerInput) -> DeletePayload:
    """Delete a server; refused while people share it, unless their memberships go too."""
    async with info.context.write(info, "server.delete") as write:
        server = await write.lock("lock_server", input.id)
        await write.not_above_server(server)
        shared = await write.run("count_subusers_of_server", server_id=server.id)
        if shared and not input.cascade:
            raise refuse(ErrorCode.IN_USE, "People share this server", "id")
        await write.run("delete_server", id=server.id)
        write.deleted(server)
    return DeletePayload(deleted_id=input.id)

"""Roles: nobody puts into a role, or takes over with one, what they do not hold themselves."""

from __future__ import annotations

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, Problem, Refused, refuse
from service.inputs import NAME, Items, Text, changes, given, optional
from service.payloads import Payload, mutation
from service.permissions import ADMIN
from service.scalars import Permission
from service.types.payload import DeletePayload
from service.types.role import Role
from service.write import Write

DESCRIPTION = Text(0, 1024, lines=True)
PERMISSIONS = Items(200)


@strawberry.input(description="New role")
class CreateRoleInput:
    """Input of createRole."""

    name: str = given("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    permissions: list[Permission] = given("Admin permissions, each of which the caller holds", PERMISSIONS)
    require_two_factor: bool | None = given(
        "Indicates whether those who have the role must have a second factor", default=False
    )


@strawberry.input(description="Change of a role; absent fields keep their value, null clears them")
class UpdateRoleInput:
    """Input of updateRole."""

    id: strawberry.ID = given("Id of the role")
    name: str | None = optional("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    permissions: list[Permission] | None = optional("Admin permissions, each of which the caller holds", PERMISSIONS)
    require_two_factor: bool | None = optional("Indicates whether those who have the role must have a second factor")


@strawberry.input(description="Role to delete")
class DeleteRoleInput:
    """Input of deleteRole."""

    id: strawberry.ID = given("Id of the role")


@strawberry.type(description="Answer of a mutation on a role")
class RolePayload(Payload):
    """A role, or errors."""

    role: Role | None = strawberry.field(description="Role as it is now", default=None)


@mutation(Access(any="roles.create"))
async def create_role(info: Info, input: CreateRoleInput) -> RolePayload:
    """Create a role of permissions that one holds oneself."""
    names = _admin_permissions(input.permissions)
    async with info.context.write(info, "role.create") as write:
        write.grants(names, "permissions")
        role = await write.run(
            "create_role",
            name=input.name,
            description=input.description or None,
            permissions=names,
            require_two_factor=bool(input.require_two_factor),
        )
        write.created(role)
    return RolePayload(role=role)


@mutation(Access(any="roles.update"))
async def update_role(info: Info, input: UpdateRoleInput) -> RolePayload:
    """Change a role; those who have it hold the new permissions from their next request on."""
    columns = changes(input, "name", "description", "permissions", "require_two_factor")
    if "description" in columns:
        columns["description"] = columns["description"] or None
    if "permissions" in columns:
        columns["permissions"] = _admin_permissions(columns["permissions"] or [])
    for name, field in (("name", "name"), ("require_two_factor", "requireTwoFactor")):
        if name in columns and columns[name] is None:
            raise refuse(ErrorCode.REQUIRED, "This cannot be cleared", field)
    async with info.context.write(info, "role.update") as write:
        role = await _own_role(write, input.id)
        write.grants(columns.get("permissions", []), "permissions")
        changed = await write.run("update_role", id=role.id, changes=columns)
        write.changed(role, changed)
    return RolePayload(role=changed)


@mutation(Access(any="roles.delete"))
async def delete_role(info: Info, input: DeleteRoleInput) -> DeletePayload:
    """Delete a role that no user has."""
    async with info.context.write(info, "role.delete") as write:
        role = await _own_role(write, input.id)
        await write.run("delete_role", id=role.id)  # the users' foreign key refuses with IN_USE
        write.deleted(role)
    return DeletePayload(deleted_id=input.id)


async def _own_role(write: Write, role_id: str) -> Role:
    """A role that may be changed: not built in, and not above the caller."""
    role: Role = await write.lock("lock_role", role_id)
    if role.builtin:
        raise refuse(ErrorCode.NOT_ALLOWED, "Built-in roles cannot be changed", "id")
    write.grants(role.permissions)
    return role


def _admin_permissions(names: list[Permission]) -> list[str]:
    """The names in order, each once; Refused where one is of another kind."""
    problems = [
        Problem(ErrorCode.INVALID, f"{name} is no admin permission", ("permissions", str(position)))
        for position, name in enumerate(names)
        if name not in ADMIN
    ]
    if problems:
        raise Refused(*problems)
    return sorted(set(names))

"""Roles: a caller can only create, change, and delete roles within their own permissions."""

from __future__ import annotations

from typing import Any

import strawberry

from service import limits
from service.access.permissions import ADMIN
from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, Problems, reject
from service.inputs import DESCRIPTION, IDEMPOTENCY_KEY, NAME, Items, changes, given, optional
from service.mutations.guards import report_taken, require_values
from service.payloads import Payload, mutation, result
from service.scalars import Permission
from service.types.payload import DeletePayload
from service.types.role import Role
from service.write import Write, write

PERMISSIONS = Items(limits.PERMISSIONS_PER_ROLE)


@strawberry.input(description="New role")
class CreateRoleInput:
    """Input of createRole."""

    name: str = given("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    permissions: list[Permission] = given("Admin permissions, within the caller's own", PERMISSIONS)
    require_two_factor: bool | None = given(
        "Indicates whether users with the role must have a second factor. Without one, a session can only set one up "
        "and sign out, and an API key nothing; all else is denied as TWO_FACTOR_REQUIRED",
        default=False,
    )
    idempotency_key: str | None = optional(
        "A repeated request with this key within 24 hours returns the role of the first request", IDEMPOTENCY_KEY
    )


@strawberry.input(description="Change of a role; absent fields keep their value, null clears them")
class UpdateRoleInput:
    """Input of updateRole."""

    id: strawberry.ID = given("Id of the role")
    name: str | None = optional("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    permissions: list[Permission] | None = optional("Admin permissions, within the caller's own", PERMISSIONS)
    require_two_factor: bool | None = optional(
        "Indicates whether users with the role must have a second factor; it applies from their next request on"
    )


@strawberry.input(description="Role to delete")
class DeleteRoleInput:
    """Input of deleteRole."""

    id: strawberry.ID = given("Id of the role")


@strawberry.type(description="Payload of a mutation on a role")
class RolePayload(Payload):
    """A role, or errors."""

    role: Role | None = result("Role as it is now")


@mutation(Access(any="roles.create"), collects_problems=True, idempotent="role")
async def create_role(info: Info, input: CreateRoleInput) -> RolePayload:
    """Create a role within your own permissions."""
    names = _admin_permissions(input.permissions, info.problems)
    async with write(info, "role.create") as change:
        change.require_grantable(names, "permissions")
        await report_taken(change, "roles_name_key", "role_name_is_taken", input.name)
        role = await change.run(
            "create_role",
            name=input.name,
            description=input.description or None,
            permissions=names,
            require_two_factor=bool(input.require_two_factor),
        )
        change.created(role)
    return RolePayload(role=role)


@mutation(Access(any="roles.update"), collects_problems=True)
async def update_role(info: Info, input: UpdateRoleInput) -> RolePayload:
    """Change a role; its users have the new permissions from their next request on."""
    columns = changes(input, "name", "description", "permissions", "require_two_factor")
    require_values(columns, info.problems, name="name", require_two_factor="requireTwoFactor")
    if "description" in columns:
        columns["description"] = columns["description"] or None
    if "permissions" in columns:
        columns["permissions"] = _admin_permissions(columns["permissions"] or [], info.problems)
    async with write(info, "role.update") as change:
        role = await _changeable_role(change, input.id)
        added = set(columns.get("permissions", ())) - set(role.permissions)
        change.require_grantable(added, "permissions")
        await report_taken(change, "roles_name_key", "role_name_is_taken", columns.get("name"), role.id)
        changed = await change.run("update_role", id=role.id, changes=columns)
        change.updated(role, changed)
    return RolePayload(role=changed)


@mutation(Access(any="roles.delete"))
async def delete_role(info: Info, input: DeleteRoleInput) -> DeletePayload:
    """Delete a role that no user has."""
    async with write(info, "role.delete") as change:
        role = await _changeable_role(change, input.id)
        await change.run("delete_role", id=role.id)  # IN_USE by the foreign key of its users
        change.deleted(role)
    return DeletePayload(deleted_id=input.id)


async def _changeable_role(change: Write, role_id: str) -> Any:
    """Return a role that is not built in and not above the caller, locked until commit."""
    role = await change.lock("lock_role", role_id)
    if role.builtin:
        raise reject(ErrorCode.NOT_ALLOWED, "Built-in roles cannot be changed.", "id")
    change.require_held(role.permissions, "This role has permissions that you do not hold")
    return role


def _admin_permissions(names: list[Permission], problems: Problems) -> list[str]:
    """Return the names in order, each once; add a problem for each that is not an admin permission."""
    if problems.has("permissions"):
        return []
    for position, name in enumerate(names):
        if name not in ADMIN:
            problems.add(ErrorCode.INVALID, f"{name} is not an admin permission.", "permissions", str(position))
    return sorted({str(name) for name in names if name in ADMIN})

"""Presets of server permissions: administrators maintain them, and memberships are created from them."""

from __future__ import annotations

import strawberry

from service.access.rules import Access
from service.context import Info
from service.inputs import DESCRIPTION, IDEMPOTENCY_KEY, NAME, changes, given, optional
from service.mutations.guards import report_taken, require_values
from service.mutations.server_access import ALWAYS, PERMISSIONS, everything_held, granted
from service.payloads import Payload, mutation, result
from service.scalars import Permission
from service.types.payload import DeletePayload
from service.types.permission_preset import PermissionPreset
from service.write import Write, write


@strawberry.input(description="New preset")
class CreatePermissionPresetInput:
    """Input of createPermissionPreset."""

    name: str = given("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    permissions: list[Permission] = given(f"Server permissions; {ALWAYS} is always included", PERMISSIONS)
    idempotency_key: str | None = optional(
        "A repeated request with this key within 24 hours returns the preset of the first request", IDEMPOTENCY_KEY
    )


@strawberry.input(description="Change of a preset; absent fields keep their value, null clears them")
class UpdatePermissionPresetInput:
    """Input of updatePermissionPreset."""

    id: strawberry.ID = given("Id of the preset")
    name: str | None = optional("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    permissions: list[Permission] | None = optional(
        f"Server permissions, which replace the current ones; {ALWAYS} is always included", PERMISSIONS
    )


@strawberry.input(description="Preset to delete")
class DeletePermissionPresetInput:
    """Input of deletePermissionPreset."""

    id: strawberry.ID = given("Id of the preset")


@strawberry.type(description="Payload of a mutation on a preset")
class PermissionPresetPayload(Payload):
    """A preset, or errors."""

    permission_preset: PermissionPreset | None = result("Preset as it is now")


@mutation(Access(any="servers.update"), collects_problems=True, idempotent="permission_preset")
async def create_permission_preset(info: Info, input: CreatePermissionPresetInput) -> PermissionPresetPayload:
    """Create a named list of server permissions, which memberships can be created from."""
    async with write(info, "permission-preset.create") as change:
        names = _listed(change, input.permissions, frozenset())
        await report_taken(change, "permission_presets_name_key", "permission_preset_name_is_taken", input.name)
        preset = await change.run(
            "create_permission_preset",
            name=input.name,
            description=input.description or None,
            permissions=names,
        )
        change.created(preset)
    return PermissionPresetPayload(permission_preset=preset)


@mutation(Access(any="servers.update"), collects_problems=True)
async def update_permission_preset(info: Info, input: UpdatePermissionPresetInput) -> PermissionPresetPayload:
    """Change a preset. Memberships that were created from it keep the permissions that they have."""
    columns = changes(input, "name", "description", "permissions")
    require_values(columns, info.problems, name="name", permissions="permissions")
    if "description" in columns:
        columns["description"] = columns["description"] or None
    async with write(info, "permission-preset.update") as change:
        preset = await change.lock("lock_permission_preset", input.id)
        if columns.get("permissions") is not None:
            columns["permissions"] = _listed(change, columns["permissions"], frozenset(preset.permissions))
        await report_taken(
            change, "permission_presets_name_key", "permission_preset_name_is_taken", columns.get("name"), preset.id
        )
        changed = await change.run("update_permission_preset", id=preset.id, changes=columns)
        change.updated(preset, changed)
    return PermissionPresetPayload(permission_preset=changed)


@mutation(Access(any="servers.update"))
async def delete_permission_preset(info: Info, input: DeletePermissionPresetInput) -> DeletePayload:
    """Delete a preset. Memberships that were created from it keep the permissions that they have."""
    async with write(info, "permission-preset.delete") as change:
        preset = await change.lock("lock_permission_preset", input.id)
        await change.run("delete_permission_preset", id=preset.id)
        change.deleted(preset)
    return DeletePayload(deleted_id=input.id)


def _listed(change: Write, requested: list[Permission], present: frozenset[str]) -> list[str]:
    """Return the permissions of a preset that has had `present`; what the caller cannot add is a problem.

    SECURITY: owners of servers trust a preset. So an API key adds only what it lists, and nothing if it is limited.
    """
    names = granted(change, requested, everything_held(change) | present)
    if not present.issuperset(names):
        change.require_lasting_key("add permissions to a preset", "permissions")
    return names

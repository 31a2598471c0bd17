"""Presets of server permissions."""

from __future__ import annotations

from service.access.rules import Access
from service.context import Info
from service.payloads import query
from service.types.permission_preset import PermissionPreset
from service.weights import LIST


@query(Access(any="servers.read", own="servers.read"), weight=LIST)
async def permission_presets(info: Info) -> list[PermissionPreset]:
    """All presets of server permissions, oldest first."""
    return await info.context.resources.database.read("list_permission_presets")  # type: ignore[no-any-return]

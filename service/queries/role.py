"""Roles."""

from __future__ import annotations

from service.access.rules import Access
from service.context import Info
from service.payloads import query
from service.types.role import Role
from service.weights import LIST


@query(Access(any="roles.read"), weight=LIST)
async def roles(info: Info) -> list[Role]:
    """All roles, built-in roles first."""
    return await info.context.resources.database.read("list_roles")  # type: ignore[no-any-return]

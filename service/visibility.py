"""Which object has an id, and may the caller see it? The answer to both questions is the same null."""

from __future__ import annotations

import asyncio
from typing import Any

from service.context import Context
from service.rows import Row


async def visible_node(context: Context, row_id: str, type_name: str | None = None) -> Any:
    """The object of the id, of whatever type, or None where there is none or the caller may not see it.

    SECURITY: each type is found by its own statement and judged by its own rule, so that an id never opens another
    type's object (CVE-2025-22151).
    """
    names = [type_name] if type_name is not None else list(LOADERS)
    rows = await asyncio.gather(*(context.loaders.one(LOADERS[name], row_id) for name in names if name in LOADERS))
    row = next((row for row in rows if row is not None), None)
    return row if row is not None and await sees(context, row) else None


async def sees(context: Context, row: Row) -> bool:
    """Whether the caller may see the object at all: by its type's access, else as `node` itself asks."""
    name = type(row).__name__
    return await context.reaches(context.rules.get((name, ""), context.rules["Query", "node"]), row)


# A statement by id for each type that has one: what `node`, `nodes` and AuditEvent.target look through
LOADERS = {
    "ApiKey": "api_keys_by_id",
    "AuditEvent": "audit_events_by_id",
    "Plan": "plans_by_id",
    "Role": "roles_by_id",
    "Server": "servers_by_id",
    "Session": "sessions_by_id",
    "SshKey": "ssh_keys_by_id",
    "Subuser": "subusers_by_id",
    "User": "users_by_id",
}

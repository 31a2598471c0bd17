"""Plans."""

from __future__ import annotations

from service.access.rules import Public
from service.context import Info
from service.payloads import query
from service.types.plan import Plan
from service.weights import LIST


@query(Public(), weight=LIST)
async def plans(info: Info) -> list[Plan]:
    """All plans, oldest first."""
    return await info.context.resources.database.read("list_plans")  # type: ignore[no-any-return]

"""Quotas: the limits of a user on what this service counts itself, which are servers.

Every way to give a user a server calls `require_room`, after it has locked the user. The plan is locked with it, so no
limit that is lowered and no server that is created at the same moment can pass the limit.
"""

from __future__ import annotations

from typing import Any

from service.errors import ErrorCode
from service.types.plan import effective_limits
from service.write import Write


async def require_room(change: Write, owner: Any, *field: str) -> None:
    """Add a problem if a user has as many servers as the limits allow. The user is locked, as by `lock_user`."""
    # Locked against changes until the transaction ends
    plan = None if owner.plan_id is None else await change.run("plan_by_key", id=owner.plan_id, name=None)
    most = effective_limits(owner.limit_overrides, None if plan is None else plan.limits).get("servers")
    if most is not None and await change.run("count_servers_of_owner", owner_id=owner.id) >= most:
        message = "The user has as many servers as the limits of the user allow."
        change.problems.add(ErrorCode.LIMIT_REACHED, message, *field)

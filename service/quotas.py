"""Quotas: the limits of a user on what this service counts itself, which are servers.

Every way to give a user a server calls `require_room`, and every way to change the plan of a user `require_within`,
both after the user was locked. The plan is locked, too, so that neither a limit that is lowered nor a server that is
created at the same moment passes the limit.
"""

from __future__ import annotations

from collections.abc import Mapping
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


async def require_within(change: Write, user: Any, plan: Any, overrides: Mapping[str, int], *field: str) -> None:
    """Add a problem if a user has more servers than another plan allows, with the user's own limits in its place.

    The user and the plan are locked. The message has no number, because the caller may not be allowed to read servers.
    """
    most = effective_limits(dict(overrides), plan.limits).get("servers")
    if most is None or plan.id == user.plan_id:
        return
    if await change.run("count_servers_of_owner", owner_id=user.id) > most:
        message = "The user has more servers than this plan allows; changePlan gives it with allowOverLimit."
        change.problems.add(ErrorCode.LIMIT_REACHED, message, *field)

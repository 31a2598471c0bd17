"""What an input refers to: a role and a plan, by an id, a name, or a flag, and the id of a new object."""

from __future__ import annotations

from typing import Any

from strawberry.utils.str_converters import to_camel_case

from service.errors import ErrorCode, Problems
from service.inputs import UNSET
from service.types.role import ADMIN_ROLE, ROOT_ROLE, USER_ROLE
from service.write import Write

NEW_ID = (
    "Id of the new object, a UUID that was never used, so that later operations of the request can name it; without "
    "it, one is made"
)
ID_TAKEN = "This id is already taken."
PLAN_MISSING = "This plan does not exist."


async def requested_id(change: Write, value: str | None) -> dict[str, str]:
    """Return the column of the id that an input gives a new object, empty without one. Add a problem for one in use.

    SECURITY: nor may it be the id of a deleted object, whose events and closed wallets would belong to the new one.
    """
    if value is None:
        return {}
    if await change.run("id_was_used", id=value):
        change.problems.add(ErrorCode.TAKEN, ID_TAKEN, "id")
    return {"id": value}


async def requested_role(change: Write, value: Any, user: Any = None) -> str | None:
    """Return the id of the role that an input requests, if the caller may grant it; None if it requests none.

    A role that does not exist is added to the problems.
    """
    # For a new user null means absent: there is no role that it could remove
    absent = (UNSET, None) if user is None else (UNSET,)
    names = [name for name in ("role_id", "role_name") if getattr(value, name) not in absent]
    if value.is_admin not in (UNSET, None):
        names.append("is_admin")
    if not names:
        return None
    if len(names) > 1:
        change.problems.add(
            ErrorCode.INVALID, "Give only one of roleId, roleName, and isAdmin.", to_camel_case(names[1])
        )
        return None
    requested = getattr(value, names[0])
    if change.problems.has(to_camel_case(names[0])):
        return None
    if names[0] == "is_admin":
        if bool(requested) is (user is not None and user.role_id in {ADMIN_ROLE, ROOT_ROLE}):
            return None
        role, field = await _role(change, id=ADMIN_ROLE if requested else USER_ROLE), "isAdmin"
    elif names[0] == "role_name" and requested is not None:
        role, field = await _role(change, name=requested), "roleName"
    else:
        role, field = await _role(change, id=requested or USER_ROLE), "roleId"
    if role is None:
        change.problems.add(ErrorCode.NOT_FOUND, "This role does not exist.", field)
        return None
    if user is None or role.id != user.role_id:
        change.require_grantable(role.permissions, field)
    return str(role.id)


async def _role(change: Write, *, id: str | None = None, name: str | None = None) -> Any:
    return await change.run("role_by_key", id=id, name=name)


async def requested_plan(change: Write, plan_id: str | None, plan_name: str | None) -> Any:
    """Return the plan of an id or a name, of which at most one may be given; None if it does not exist.

    What is wrong is added to the problems.
    """
    return await find_plan(change.run, change.problems, plan_id, plan_name)


async def find_plan(run: Any, problems: Problems, plan_id: str | None, plan_name: str | None) -> Any:
    """Return the plan as `requested_plan` does; `run` runs a statement, also outside a write."""
    if plan_id and plan_name:
        problems.add(ErrorCode.INVALID, "Give only one of planId and planName.", "planName")
        return None
    field = "planId" if plan_id else "planName"
    if problems.has(field):
        return None
    plan = await run("plan_by_key", id=plan_id or None, name=plan_name or None)
    if plan is None:
        problems.add(ErrorCode.NOT_FOUND, PLAN_MISSING, field)
    return plan

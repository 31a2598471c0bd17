"""Guards and look-ups that several mutations share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from strawberry.utils.str_converters import to_camel_case

from service.access.actor import Actor
from service.access.authenticate import SUSPENDED
from service.access.authorize import require_recent, require_self
from service.context import Info
from service.database.constraints import CONSTRAINTS
from service.errors import ApiError, ApiErrorCode, ErrorCode, MutationRejected, Problems, reject
from service.inputs import UNSET
from service.one_time import Purpose, consume_token
from service.types.role import ADMIN_ROLE, ROOT_ROLE, USER_ROLE
from service.types.user import is_suspended
from service.write import Write

NEW_ID = (
    "Id of the new object, a UUID that was never used, so that later operations of the request can name it; without "
    "it, one is made"
)
ID_TAKEN = "This id is already taken."
PLAN_MISSING = "This plan does not exist."


async def require_other_root(change: Write, user: Any, *field: str) -> None:
    """Reject the removal of the last ROOT user who can sign in."""
    if user.role_id != ROOT_ROLE:
        return
    await change.run("lock_roots")
    if not await change.run("count_other_roots", id=user.id):
        raise reject(ErrorCode.NOT_ALLOWED, "There would be no other root account.", *field)


async def lock_other_user(change: Write, user_id: str, own: str) -> Any:
    """Return a user who is to lose access, locked until commit: not the caller, not above them, not the last ROOT.

    `own` is the message for the caller's own account.
    """
    user = await change.lock("lock_user", user_id)
    if user.id == change.actor.user_id:
        raise reject(ErrorCode.NOT_ALLOWED, own, "id")
    change.require_not_above(user)
    await require_other_root(change, user, "id")
    return user


def expired() -> MutationRejected:
    """Return the rejection of a token that is unknown, used, or no longer valid; the answer does not tell which."""
    return reject(ErrorCode.EXPIRED, "This link is no longer valid. Request another one.", "token")


async def lock_user_of_token(change: Write, user_id: str | None) -> Any:
    """Return the user of a token, locked until commit. The links of a suspended user do not work (USER_SUSPENDED)."""
    user = await change.run("lock_user", id=user_id)
    if user is None:
        raise expired()
    require_active(user)
    return user


async def consume_own_token(change: Write, purpose: Purpose, token: str, user: Any) -> None:
    """Use a token of a user, who is locked. EXPIRED if it was used, or sent to an address that the user had before.

    SECURITY: the owner of an earlier address must not keep a way into the account (CVE-2026-35407).
    """
    used = await consume_token(change.run, purpose, token)
    if used is None or used["data"].get("email") != user.email:
        raise expired()


def require_active(user: Any) -> None:
    """Raise USER_SUSPENDED for a suspended user, but only to a caller who has proved to be this user."""
    if is_suspended(user.suspended_at, user.suspended_until):
        raise ApiError(ApiErrorCode.USER_SUSPENDED, SUSPENDED)


def require_no_access_token(actor: Actor) -> None:
    """Reject an access token.

    SECURITY: it is given to other services, which must not get the session, further tokens, or keys by it.
    """
    if actor.by_access_token:
        raise reject(ErrorCode.NOT_ALLOWED, "Use the token of the session. An access token is not enough.")


def require_version(user: Any, version: int | None) -> None:
    """Raise VERSION_MISMATCH, with the user as it is now, unless the given version is the user's."""
    if isinstance(version, int) and version != user.version:
        message = "The user was changed in the meantime."
        raise reject(ErrorCode.VERSION_MISMATCH, message, "version", user=user)


def require_values(columns: Mapping[str, Any], change_problems: Any, **fields: str) -> None:
    """Add a problem for each of the columns that is set to null; `fields` are their names in the input."""
    for column, field in fields.items():
        if column in columns and columns[column] is None:
            change_problems.add(ErrorCode.REQUIRED, f"{field} cannot be removed.", field)


def require_session_for(info: Info, value: Any) -> None:
    """Raise where other fields of the input require a session with more than the mutation itself does."""
    if value.password is not UNSET:
        require_recent(info.context.actor)
    if value.email is not UNSET:
        require_self(info.context.actor)


def check_email(change: Write, user: Any, columns: dict[str, Any]) -> None:
    """Add a problem for a new email address that the caller may not set.

    SECURITY: the owner of the address can reset the password. So an API key, which is limited, must not set one that
    outlives or widens the key, and an old session requires what it requires to set the password. The own address takes
    the password, a confirmation, and a link that undoes it: otherwise a stolen session were enough to keep the account.
    """
    if "email" not in columns or columns["email"] == user.email or change.problems.has("email"):
        return
    require_recent(change.actor)
    change.require_lasting_key("change email addresses", "email")
    if user.id == change.actor.user_id:
        change.problems.add(ErrorCode.NOT_ALLOWED, "Use changeEmail to change your own email address.", "email")


async def report_taken(
    change: Write, constraint: str, statement: str, value: str | None, row_id: str | None = None
) -> None:
    """Add the problem of a unique constraint if another object than `row_id` has the value.

    Without other problems it does nothing, because the constraint itself will report the value.
    """
    problem = CONSTRAINTS[constraint]
    if value is None or not change.problems or change.problems.has(problem.field[0]):
        return
    if await change.run(statement, id=row_id, value=value):
        change.problems.extend([problem])


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

"""Changes of many users at once; each does with every user what the mutation on one user does."""

from __future__ import annotations

import datetime as dt
from typing import Any

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import UNSET, Future, Text, given, optional
from service.mutations.plan import give_plan
from service.mutations.references import find_plan
from service.mutations.selection import (
    ResultsPayload,
    Selected,
    UserSelectionInput,
    UsersPayload,
    change_each,
    selected_users,
)
from service.mutations.suspension import REASON, suspend, unsuspend
from service.mutations.user import UpdateUserInput, delete, update
from service.payloads import mutation, result
from service.weights import MANY_USERS


@strawberry.input(description="Users to suspend")
class SuspendUsersInput(UserSelectionInput):
    """Input of suspendUsers."""

    reason: str | None = optional("Reason, which administrators can read", REASON)
    until: dt.datetime | None = optional(
        "Time when the suspensions end by themselves; without it, they must be lifted", Future()
    )


@strawberry.input(description="Users whose suspension is lifted")
class UnsuspendUsersInput(UserSelectionInput):
    """Input of unsuspendUsers."""


@strawberry.input(description="Users to delete")
class DeleteUsersInput(UserSelectionInput):
    """Input of deleteUsers."""

    cascade: bool | None = given("Indicates whether the servers that the users own are deleted, too", default=False)


@strawberry.input(description="Plan for users, by its id or its name")
class ChangePlansInput(UserSelectionInput):
    """Input of changePlans."""

    plan_id: strawberry.ID | None = optional("Id of the plan")
    plan_name: str | None = optional("Name of the plan, ignoring case", Text(limits.NAME))
    allow_over_limit: bool | None = given(
        "Indicates whether users get the plan even with more servers than it allows", default=False
    )


@strawberry.input(description="Role for users; give only one of roleId, roleName, and isAdmin")
class SetRolesInput(UserSelectionInput):
    """Input of setRoles."""

    role_id: strawberry.ID | None = optional("Id of the role")
    role_name: str | None = optional("Role by its name, ignoring case", Text(limits.NAME))
    is_admin: bool | None = optional(
        "true gives the built-in role ADMIN; false gives USER to those who are administrators"
    )


@strawberry.type(description="Payload of deleteUsers. Without `errors`, `results` has those of each user")
class DeleteUsersPayload(ResultsPayload):
    """The ids of the deleted users and the result of each user, or errors."""

    deleted_ids: list[strawberry.ID] | None = result("Ids of the deleted users", items=limits.USERS_AT_ONCE)


@mutation(Access(any="users.suspend"), collects_problems=True, weight=MANY_USERS)
async def suspend_users(info: Info, input: SuspendUsersInput) -> UsersPayload:
    """Suspend up to 100 users, each as suspendUser does."""

    def change(own: Info, user: Selected) -> Any:
        return suspend(own, user.id, input.reason or None, input.until or None, user.version)

    users, results = await change_each(info, await selected_users(info, input), change)
    return UsersPayload(users=users, results=results)


@mutation(Access(any="users.suspend"), collects_problems=True, weight=MANY_USERS)
async def unsuspend_users(info: Info, input: UnsuspendUsersInput) -> UsersPayload:
    """Lift the suspension of up to 100 users, each as unsuspendUser does."""

    def change(own: Info, user: Selected) -> Any:
        return unsuspend(own, user.id, user.version)

    users, results = await change_each(info, await selected_users(info, input), change)
    return UsersPayload(users=users, results=results)


@mutation(Access(any="users.delete"), collects_problems=True, sensitive=True, weight=MANY_USERS)
async def delete_users(info: Info, input: DeleteUsersInput) -> DeleteUsersPayload:
    """Delete up to 100 users, each as deleteUser does."""

    async def change(own: Info, user: Selected) -> str:
        await delete(own, user.id, cascade=bool(input.cascade), version=user.version)
        return user.id

    ids, results = await change_each(info, await selected_users(info, input), change)
    return DeleteUsersPayload(deleted_ids=ids, results=results)


@mutation(Access(any="users.plan"), collects_problems=True, weight=MANY_USERS)
async def change_plans(info: Info, input: ChangePlansInput) -> UsersPayload:
    """Change the plan of up to 100 users, each as changePlan does."""
    plan = None
    if input.plan_id or input.plan_name:
        read = info.context.resources.database.read
        plan = await find_plan(read, info.problems, input.plan_id or None, input.plan_name or None)
    elif not info.problems.has("planName"):
        info.problems.add(ErrorCode.REQUIRED, "Give planId or planName.", "planId")

    def change(own: Info, user: Selected) -> Any:
        return give_plan(own, user.id, input, plan, user.version)

    users, results = await change_each(info, await selected_users(info, input), change)
    return UsersPayload(users=users, results=results)


@mutation(Access(any="users.update"), collects_problems=True, weight=MANY_USERS)
async def set_roles(info: Info, input: SetRolesInput) -> UsersPayload:
    """Set the role of up to 100 users, each as updateUser does; never to yourself."""
    names = {"role_id": input.role_id, "role_name": input.role_name, "is_admin": input.is_admin}
    role: dict[str, Any] = {name: value for name, value in names.items() if value not in {UNSET, None}}
    if not role and not info.problems.has("roleName"):
        info.problems.add(ErrorCode.REQUIRED, "Give roleId, roleName, or isAdmin.", "roleId")

    async def change(own: Info, user: Selected) -> Any:
        if user.id == info.context.actor.user_id:
            # Otherwise a filter could include the caller, who may then not be allowed to change the others
            raise reject(ErrorCode.NOT_ALLOWED, "You cannot change your own role with those of others.", "id")
        version = UNSET if user.version is None else user.version
        # The role is read for each user: what it permits is judged when it is granted
        return await update(own, UpdateUserInput(id=strawberry.ID(user.id), version=version, **role))

    users, results = await change_each(info, await selected_users(info, input), change)
    return UsersPayload(users=users, results=results)

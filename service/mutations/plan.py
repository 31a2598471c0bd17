"""Plans, and who has which."""

from __future__ import annotations

from typing import Any

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, refuse
from service.inputs import NAME, UNSET, Text, changes, given, optional
from service.mutations.user import named_plan
from service.payloads import Payload, mutation
from service.people import ResourceLimitsInput, merged
from service.types.payload import DeletePayload, UserPayload
from service.types.plan import Plan, Tier
from service.write import Write

DESCRIPTION = Text(0, 1024, lines=True)


@strawberry.input(description="New plan")
class CreatePlanInput:
    """Input of createPlan."""

    name: str = given("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    tier: Tier = given("Tier that its users get")
    is_default: bool | None = given("Indicates whether new users get this plan; takes that from another", default=False)
    limits: ResourceLimitsInput | None = optional("Limits; absent ones mean no limit")


@strawberry.input(description="Change of a plan; absent fields keep their value, null clears them")
class UpdatePlanInput:
    """Input of updatePlan."""

    id: strawberry.ID = given("Id of the plan")
    name: str | None = optional("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    tier: Tier | None = optional("Tier that its users get from now on")
    is_default: bool | None = optional("Indicates whether new users get this plan; takes that from another")
    limits: ResourceLimitsInput | None = optional("Limits; null means no limit")


@strawberry.input(description="Plan to delete")
class DeletePlanInput:
    """Input of deletePlan."""

    id: strawberry.ID = given("Id of the plan")


@strawberry.input(description="Plan for a user, by its id or by its name")
class ChangePlanInput:
    """Input of changePlan."""

    user_id: strawberry.ID = given("Id of the user")
    plan_id: strawberry.ID | None = optional("Id of the plan")
    plan_name: str | None = optional("Name of the plan, ignoring case", NAME)


@strawberry.type(description="Answer of a mutation on a plan")
class PlanPayload(Payload):
    """A plan, or errors."""

    plan: Plan | None = strawberry.field(description="Plan as it is now", default=None)


@mutation(Access(any="users.plan"))
async def change_plan(info: Info, input: ChangePlanInput) -> UserPayload:
    """Give a user another plan, and with it the plan's tier."""
    async with info.context.write(info, "user.plan") as write:
        user = await write.lock("lock_user", input.user_id, "userId")
        await write.not_above(user, "userId")
        plan = await named_plan(write, input.plan_id or None, input.plan_name or None)
        changed = await write.run("update_user", id=user.id, changes={"plan_id": plan.id, "tier": plan.tier})
        write.changed(user, changed)
    return UserPayload(user=changed)


@mutation(Access(any="plans.create"))
async def create_plan(info: Info, input: CreatePlanInput) -> PlanPayload:
    """Create a plan."""
    async with info.context.write(info, "plan.create") as write:
        further = await _take_default(write) if input.is_default else {}
        plan = await write.run(
            "create_plan",
            name=input.name,
            description=input.description or None,
            tier=input.tier.value,
            is_default=bool(input.is_default),
            limits=merged({}, input.limits or None),
        )
        write.created(plan, **further)
    return PlanPayload(plan=plan)


@mutation(Access(any="plans.update"))
async def update_plan(info: Info, input: UpdatePlanInput) -> PlanPayload:
    """Change a plan; its users' limits follow at once."""
    columns = changes(input, "name", "description", "tier", "is_default")
    if "description" in columns:
        columns["description"] = columns["description"] or None
    for name in ("name", "tier", "is_default"):
        if name in columns and columns[name] is None:
            raise refuse(ErrorCode.REQUIRED, "This cannot be cleared", "isDefault" if name == "is_default" else name)
    async with info.context.write(info, "plan.update") as write:
        plan = await write.lock("lock_plan", input.id)
        if "tier" in columns:
            columns["tier"] = columns["tier"].value
        if input.limits is not UNSET:
            columns["limits"] = merged(plan.limits, input.limits)
        further = await _take_default(write) if columns.get("is_default") and not plan.is_default else {}
        changed = await write.run("update_plan", id=plan.id, changes=columns)
        write.changed(plan, changed, **further)
    return PlanPayload(plan=changed)


@mutation(Access(any="plans.delete"))
async def delete_plan(info: Info, input: DeletePlanInput) -> DeletePayload:
    """Delete a plan that no user has."""
    async with info.context.write(info, "plan.delete") as write:
        plan = await write.lock("lock_plan", input.id)
        await write.run("delete_plan", id=plan.id)  # the users' foreign key refuses with IN_USE
        write.deleted(plan)
    return DeletePayload(deleted_id=input.id)


async def _take_default(write: Write) -> dict[str, Any]:
    """No other plan is the default one any more; the event names the one that was."""
    former = await write.run("clear_default_plan")
    return {"defaultPlan": {"old": former[0].id, "new": None}} if former else {}

"""Plans, and the plan of a user."""

from __future__ import annotations

from typing import Any

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import DESCRIPTION, IDEMPOTENCY_KEY, NAME, UNSET, Text, changes, given, optional
from service.mutations.guards import report_taken, require_values, require_version
from service.mutations.references import requested_plan
from service.payloads import Payload, mutation, result
from service.quotas import require_within
from service.types.payload import DeletePayload, UserPayload
from service.types.plan import Plan, Tier
from service.user_input import ResourceLimitsInput, merged
from service.write import Write, write


@strawberry.input(description="New plan")
class CreatePlanInput:
    """Input of createPlan."""

    name: str = given("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    tier: Tier = given("Tier of its users")
    is_default: bool | None = given(
        "Indicates whether new users get this plan; it replaces the current default plan", default=False
    )
    limits: ResourceLimitsInput | None = optional("Resource limits; absent ones mean no limit")
    idempotency_key: str | None = optional(
        "A repeated request with this key within 24 hours returns the plan of the first request", IDEMPOTENCY_KEY
    )


@strawberry.input(description="Change of a plan; absent fields keep their value, null clears them")
class UpdatePlanInput:
    """Input of updatePlan."""

    id: strawberry.ID = given("Id of the plan")
    name: str | None = optional("Name, unique ignoring case", NAME)
    description: str | None = optional("Description", DESCRIPTION)
    tier: Tier | None = optional("Tier of users who get the plan from now on")
    is_default: bool | None = optional(
        "Indicates whether new users get this plan; it replaces the current default plan"
    )
    limits: ResourceLimitsInput | None = optional("Resource limits; null means no limit")


@strawberry.input(description="Plan to delete")
class DeletePlanInput:
    """Input of deletePlan."""

    id: strawberry.ID = given("Id of the plan")


@strawberry.input(description="Plan for a user, by its id or its name")
class ChangePlanInput:
    """Input of changePlan."""

    user_id: strawberry.ID = given("Id of the user")
    plan_id: strawberry.ID | None = optional("Id of the plan")
    plan_name: str | None = optional("Name of the plan, ignoring case", Text(limits.NAME))
    allow_over_limit: bool | None = given(
        "Indicates whether the user gets the plan even with more servers than it allows; the servers stay, and the "
        "user can get no more",
        default=False,
    )


@strawberry.type(description="Payload of a mutation on a plan")
class PlanPayload(Payload):
    """A plan, or errors."""

    plan: Plan | None = result("Plan as it is now")


@mutation(Access(any="users.plan"), collects_problems=True)
async def change_plan(info: Info, input: ChangePlanInput) -> UserPayload:
    """Change the plan of a user, and with it the tier. LIMIT_REACHED if the user has more than the plan allows."""
    if not input.plan_id and not input.plan_name and not info.problems:
        raise reject(ErrorCode.REQUIRED, "Give planId or planName.", "planId")
    return UserPayload(user=await give_plan(info, input.user_id, input))


@mutation(Access(any="plans.create"), collects_problems=True, idempotent="plan")
async def create_plan(info: Info, input: CreatePlanInput) -> PlanPayload:
    """Create a plan."""
    async with write(info, "plan.create") as change:
        await report_taken(change, "plans_name_key", "plan_name_is_taken", input.name)
        extra = await _clear_default(change) if input.is_default else {}
        plan = await change.run(
            "create_plan",
            name=input.name,
            description=input.description or None,
            tier=input.tier.value,
            is_default=bool(input.is_default),
            limits=merged({}, input.limits or None),
        )
        change.created(plan, extra)
    return PlanPayload(plan=plan)


@mutation(Access(any="plans.update"), collects_problems=True)
async def update_plan(info: Info, input: UpdatePlanInput) -> PlanPayload:
    """Change a plan; the limits of its users change at once."""
    columns = changes(input, "name", "description", "tier", "is_default")
    require_values(columns, info.problems, name="name", tier="tier", is_default="isDefault")
    if "description" in columns:
        columns["description"] = columns["description"] or None
    if columns.get("tier") is not None:
        columns["tier"] = columns["tier"].value
    async with write(info, "plan.update") as change:
        plan = await change.lock("lock_plan", input.id)
        if input.limits is not UNSET:
            columns["limits"] = merged(plan.limits, input.limits)
        await report_taken(change, "plans_name_key", "plan_name_is_taken", columns.get("name"), plan.id)
        extra = await _clear_default(change) if columns.get("is_default") and not plan.is_default else {}
        changed = await change.run("update_plan", id=plan.id, changes=columns)
        change.updated(plan, changed, **extra)
    return PlanPayload(plan=changed)


@mutation(Access(any="plans.delete"))
async def delete_plan(info: Info, input: DeletePlanInput) -> DeletePayload:
    """Delete a plan that no user has."""
    async with write(info, "plan.delete") as change:
        plan = await change.lock("lock_plan", input.id)
        await change.run("delete_plan", id=plan.id)  # IN_USE by the foreign key of its users
        change.deleted(plan)
    return DeletePayload(deleted_id=input.id)


async def give_plan(info: Info, user_id: str, value: Any, plan: Any = None, version: int | None = None) -> Any:
    """Give a user, who must have the given version, the plan that an input names, and return the user as it is then.

    `plan` is that plan if it is known already; it is locked here, so that its tier and its limits are those of now.
    """
    field = "planId" if value.plan_id else "planName"
    async with write(info, "user.plan") as change:
        user = await change.lock("lock_user", user_id, "userId")
        change.require_not_above(user, "userId")
        require_version(user, version)
        key = (value.plan_id or None, value.plan_name or None) if plan is None else (plan.id, None)
        found = await requested_plan(change, *key)
        if found is not None and not value.allow_over_limit:
            await require_within(change, user, found, user.limit_overrides, field)
        await change.run("attribute_plan", actor_id=change.actor.user_id)
        changed = await change.run("change_plan", id=user.id, plan_id=found.id if found else None)
        change.updated(user, changed)
    return changed


async def _clear_default(change: Write) -> dict[str, tuple[Any, Any]]:
    """Make no plan the default; return the plan that was, for the event."""
    former = await change.run("clear_default_plan")
    return {"defaultPlan": (former[0].id, None)} if former else {}

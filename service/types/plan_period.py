"""The history of the plan of a user."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.database.rows import Row
from service.fields import column, entity, related
from service.types.node import Node
from service.types.plan import Plan

if TYPE_CHECKING:
    from service.types.user import User


@entity(
    "Time during which a user had a plan, or had none after one",
    Access(any="users.read", own="account.read"),
    by_id="plan_periods_by_id",
    owner=("user_id",),
)
class PlanPeriod(Row, Node):
    """A row of `plan_periods`, which a trigger of `users` writes."""

    id: strawberry.ID = column("Id of the period")
    user: Annotated[User, strawberry.lazy("service.types.user")] = related(
        "users_by_id", "user_id", "User who had the plan", required=True
    )
    plan: Plan | None = related("plans_by_id", "plan_id", "Plan; null if the user had none, or if it was deleted")
    plan_id: strawberry.ID | None = column("Id of the plan, also after the plan was deleted; null if the user had none")
    plan_name: str | None = column("Name that the plan had when the period began; null if the user had none")
    started_at: dt.datetime | None = column("Time when the user got the plan; null if that was not recorded")
    ended_at: dt.datetime | None = column("Time when the next period began; null for the current one")
    changed_by: Annotated[User, strawberry.lazy("service.types.user")] | None = related(
        "users_by_id",
        "changed_by",
        "User who gave the plan; null for the service itself, for registrations, or if that user was deleted",
    )

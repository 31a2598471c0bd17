"""The filter of users, which their list and the mutations on many users share."""

from __future__ import annotations

import datetime as dt
from typing import Any, Final

import strawberry

from service import limits
from service.database.pages import Order
from service.inputs import Items, changes, optional
from service.types.plan import Tier

VALUES = Items(limits.FILTER_VALUES)
LISTS = ("tier", "role_id", "plan_id")
BOOLEANS = ("has_plan", "suspended", "two_factor_enabled", "email_verified", "has_password")
BY_CREATED_AT: Final = Order("by_created_at", "timestamptz")


@strawberry.input(description="Which users to list; every given field must match. A list matches any of its values")
class UserFilter:
    """Filter of `users`."""

    ids: list[strawberry.ID] | None = optional("Users with these ids", VALUES)
    tier: list[Tier] | None = optional("Users of these tiers", VALUES)
    role_id: list[strawberry.ID] | None = optional("Users with these roles", VALUES)
    plan_id: list[strawberry.ID] | None = optional("Users with these plans", VALUES)
    has_plan: bool | None = optional("Users with a plan, or without")
    suspended: bool | None = optional("Users whose suspension is in force, or who are not suspended")
    two_factor_enabled: bool | None = optional("Users with a second factor, or without")
    email_verified: bool | None = optional("Users with a confirmed email address, or without")
    has_password: bool | None = optional("Users with a password, or without")
    created_after: dt.datetime | None = optional("Users created after this time")
    created_before: dt.datetime | None = optional("Users created before this time")
    last_login_after: dt.datetime | None = optional("Users who signed in last after this time")
    last_login_before: dt.datetime | None = optional("Users who signed in last before this time")


def list_filters(given: UserFilter, search: str | None) -> dict[str, Any]:
    """Return the parameters of `list_users` for a filter whose limits have been checked, and a normalized search."""
    found = {name: item for name, item in changes(given).items() if item is not None}
    if "tier" in found:
        found["tier"] = [tier.value for tier in found["tier"]]
    for name in LISTS:
        if len(found.get(name, ())) == 1:
            [found[f"one_{name}"]] = found.pop(name)
    for name in BOOLEANS:
        found |= either(name, found.get(name))
    return found | {"search": search}


def either(name: str, value: bool | None) -> dict[str, bool | None]:
    """Return the two optional filters of a list that stand for a boolean: `name` and `not_name`."""
    return {name: value or None, f"not_{name}": None if value is None else not value or None}

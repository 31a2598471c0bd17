"""What a person must know before a registration."""

from __future__ import annotations

from typing import Annotated

import strawberry

from service.access.rules import Public
from service.context import Info
from service.errors import ApiErrorCode
from service.features import Flag, enabled_flags
from service.payloads import query
from service.registration_rules import country_of, registration_rule
from service.scalars import CountryCode
from service.types.registration import RegistrationPolicy
from service.weights import Weight


@query(Public(), weight=Weight(2))
async def registration_policy(
    info: Info,
    country: Annotated[
        CountryCode | None,
        strawberry.argument(description="Country of the person; by default the country of the client's address"),
    ] = None,
) -> RegistrationPolicy:
    """Policy for registrations: what is required, and whether they are possible."""
    resources = info.context.resources
    rule = await registration_rule(resources.database, country_of(info.context, country))
    reason = None
    if Flag.REGISTRATION not in await enabled_flags(resources.database):
        reason = ApiErrorCode.FEATURE_DISABLED
    elif rule.blocked:
        reason = ApiErrorCode.GEO_BLOCKED
    return RegistrationPolicy(
        open=reason is None,
        blocked_reason=None if reason is None else reason.value,
        date_of_birth_required=rule.date_of_birth_required,
        minimum_age=rule.minimum_age,
        password_min_length=resources.passwords.min_length,
        password_min_score=resources.passwords.min_score,
        username_pattern=resources.usernames.pattern,
        username_min_length=resources.usernames.min_length,
        username_max_length=resources.usernames.max_length,
    )

"""Rules for registrations from a country."""

from __future__ import annotations

import dataclasses
from typing import Any

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.inputs import Number, camel_case, changes, given, optional
from service.payloads import Payload, mutation, result
from service.scalars import CountryCode
from service.types.geo_rule import GeoRule, geo_rule_of
from service.write import write


@strawberry.input(description="Rule of a country; absent fields keep their value, null clears them")
class SetGeoRuleInput:
    """Input of setGeoRule."""

    country: CountryCode = given("Country, ISO 3166-1 alpha-2")
    registration_blocked: bool | None = optional("Indicates whether people from the country cannot register")
    minimum_age: int | None = optional(
        "Age in full years that a person must have to register; the date of birth must then be given",
        Number(0, limits.AGE),
    )
    date_of_birth_required: bool | None = optional("Indicates whether the date of birth must be given")


@strawberry.type(description="Payload of setGeoRule")
class GeoRulePayload(Payload):
    """A rule, or errors."""

    geo_rule: GeoRule | None = result("Rule as it is now")


@mutation(Access(any="settings.update"))
async def set_geo_rule(info: Info, input: SetGeoRuleInput) -> GeoRulePayload:
    """Set the rule for registrations from a country. A rule without any effect is removed."""
    given_columns: dict[str, Any] = {name: value for name, value in changes(input).items() if name != "country"}
    for name in ("registration_blocked", "date_of_birth_required"):
        if name in given_columns:
            given_columns[name] = bool(given_columns[name])
    async with write(info, "geo-rule.set") as change:
        await change.run("lock_features")
        old = geo_rule_of(input.country, await change.run("geo_rule_by_country", country=input.country))
        new = dataclasses.replace(old, **given_columns)
        if new == geo_rule_of(input.country, None):
            await change.run("remove_geo_rule", country=input.country)
        else:
            await change.run("set_geo_rule", **dataclasses.asdict(new))
        change.replaced(**{input.country: (_shown(old), _shown(new))})
    return GeoRulePayload(geo_rule=new)


def _shown(rule: GeoRule) -> dict[str, Any]:
    return {camel_case(name): value for name, value in dataclasses.asdict(rule).items() if name != "country"}

"""Rules for registrations from a country."""

from __future__ import annotations

from typing import Any

import strawberry

from service.access.rules import Access
from service.fields import column, described
from service.scalars import CountryCode

SETTINGS = Access(any="settings.read")


@strawberry.type(description=described("Rule for registrations from a country", SETTINGS), directives=[SETTINGS])
class GeoRule:
    """A row of `geo_rules`."""

    country: CountryCode = column("Country, ISO 3166-1 alpha-2")
    registration_blocked: bool = column("Indicates whether people from the country cannot register")
    minimum_age: int | None = column("Age in full years that a person must have to register; null means any age")
    date_of_birth_required: bool = column(
        "Indicates whether the date of birth must be given; a minimum age requires it, too"
    )


def geo_rule_of(country: str, row: Any) -> GeoRule:
    """Return the rule in a row; without one, a rule that has no effect."""
    return GeoRule(
        country=CountryCode(country),
        registration_blocked=row is not None and row["registration_blocked"],
        minimum_age=None if row is None else row["minimum_age"],
        date_of_birth_required=row is not None and row["date_of_birth_required"],
    )

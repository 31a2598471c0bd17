"""The rules for registrations from a country.

They are read for each request that needs them, so that a change has effect on every worker at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.context import Context
from service.countries import country_code
from service.database.connection import Database


@dataclass(frozen=True, slots=True)
class RegistrationRule:
    """What holds for registrations from a country."""

    blocked: bool = False
    minimum_age: int = 0
    date_of_birth_required: bool = False


def country_of(context: Context, given: str | None) -> str | None:
    """Return the country of a registration: as given, else by the client's address, else as a trusted proxy says."""
    request = context.request
    return given or context.resources.countries.of_address(request.ip) or country_code(request.country)


async def registration_rule(database: Database, country: str | None) -> RegistrationRule:
    """Return what holds for registrations from a country. An unknown country has no rule."""
    row: Any = None if country is None else await database.read("geo_rule_by_country", country=country)
    if row is None:
        return RegistrationRule()
    # Without a date of birth, a minimum age could not be checked
    required = row["date_of_birth_required"] or bool(row["minimum_age"])
    return RegistrationRule(row["registration_blocked"], row["minimum_age"] or 0, required)

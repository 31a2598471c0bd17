"""Rules for registrations from a country."""

from __future__ import annotations

from service.access.rules import Access
from service.context import Info
from service.payloads import query
from service.types.geo_rule import GeoRule, geo_rule_of
from service.weights import LIST


@query(Access(any="settings.read"), weight=LIST)
async def geo_rules(info: Info) -> list[GeoRule]:
    """All rules for registrations, in the order of the countries. A country that is not listed has no rule."""
    rows = await info.context.resources.database.read("list_geo_rules")
    return [geo_rule_of(row["country"], row) for row in rows]

"""Features that operators switch."""

from __future__ import annotations

from service.access.rules import Access
from service.context import Info
from service.features import Flag, enabled_flags
from service.payloads import query
from service.types.feature import Feature, feature_of


@query(Access(any="settings.read"))
async def features(info: Info) -> list[Feature]:
    """All features that can be switched, and whether they are on."""
    enabled = await enabled_flags(info.context.resources.database)
    return [feature_of(flag, enabled=flag in enabled) for flag in Flag]

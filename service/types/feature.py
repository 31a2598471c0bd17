"""Features that operators switch."""

from __future__ import annotations

import strawberry

from service.access.rules import Access
from service.features import DESCRIPTIONS, Flag
from service.fields import column, described

SETTINGS = Access(any="settings.read")


@strawberry.type(
    description=described("Feature of the service that can be switched off", SETTINGS), directives=[SETTINGS]
)
class Feature:
    """One Flag, and whether it is on."""

    name: str = column("Name of the feature")
    enabled: bool = column("Indicates whether the feature is on")
    description: str = column("What the feature does")


def feature_of(flag: Flag, *, enabled: bool) -> Feature:
    """Return a feature as it is shown."""
    return Feature(name=flag.value, enabled=enabled, description=DESCRIPTIONS[flag])

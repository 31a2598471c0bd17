"""Features that operators switch while the service runs.

They are read for each request that needs them, so that a change has effect on every worker at once.
"""

from __future__ import annotations

from enum import Enum

from service.database.connection import Database
from service.errors import ApiError, ApiErrorCode


class Flag(Enum):
    """The features that can be switched; the value is the name. All are on until they are switched off."""

    PASSWORD_RESET = "password-reset"  # noqa: S105  (not a password)
    REGISTRATION = "registration"


DESCRIPTIONS = {
    Flag.PASSWORD_RESET: "Users without their password get a mail with which they set a new one",
    Flag.REGISTRATION: "People create accounts for themselves",
}


async def enabled_flags(database: Database) -> frozenset[Flag]:
    """Return the features that are on."""
    switched = {row["name"]: row["enabled"] for row in await database.read("feature_states")}
    return frozenset(flag for flag in Flag if switched.get(flag.value, True))


async def require_feature(database: Database, flag: Flag) -> None:
    """Raise FEATURE_DISABLED if the feature is off."""
    if flag not in await enabled_flags(database):
        raise ApiError(ApiErrorCode.FEATURE_DISABLED, f"The feature {flag.value} is disabled.")

"""Features that operators switch."""

from __future__ import annotations

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.features import Flag
from service.inputs import Text, given
from service.payloads import Payload, mutation, result
from service.types.feature import Feature, feature_of
from service.write import write


@strawberry.input(description="Feature to switch")
class SetFeatureInput:
    """Input of setFeature."""

    name: str = given("Name of the feature, as `features` lists it", Text(limits.NAME))
    enabled: bool = given("Indicates whether the feature is on from now on")


@strawberry.type(description="Payload of setFeature")
class FeaturePayload(Payload):
    """A feature, or errors."""

    feature: Feature | None = result("Feature as it is now")


@mutation(Access(any="settings.update"))
async def set_feature(info: Info, input: SetFeatureInput) -> FeaturePayload:
    """Switch a feature on or off, at once for all requests."""
    try:
        flag = Flag(input.name)
    except ValueError:
        names = ", ".join(sorted(flag.value for flag in Flag))
        raise reject(ErrorCode.NOT_FOUND, f"This feature does not exist. The features are {names}.", "name") from None
    async with write(info, "feature.set") as change:
        await change.run("lock_features")
        states = {row["name"]: row["enabled"] for row in await change.run("feature_states")}
        await change.run("set_feature", name=flag.value, enabled=input.enabled)
        change.replaced(**{flag.value: (states.get(flag.value, True), input.enabled)})
    return FeaturePayload(feature=feature_of(flag, enabled=input.enabled))

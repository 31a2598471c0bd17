"""Features, rules for countries, and the policy of registrations."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.features import DESCRIPTIONS, Flag
from tests.conftest import Client, Person

FEATURE = "feature { name enabled description }"
RULE = "geoRule { country registrationBlocked minimumAge dateOfBirthRequired }"
RULES = "{ geoRules { country registrationBlocked minimumAge dateOfBirthRequired } }"
POLICY = """query ($country: CountryCode) { registrationPolicy(country: $country) { open blockedReason
  dateOfBirthRequired minimumAge passwordMinLength passwordMinScore usernamePattern usernameMinLength
  usernameMaxLength } }"""
OPEN = {
    "open": True,
    "blockedReason": None,
    "dateOfBirthRequired": False,
    "minimumAge": 0,
    "passwordMinLength": 8,
    "passwordMinScore": 2,
    "usernamePattern": "[A-Za-z0-9_]+",
    "usernameMinLength": 3,
    "usernameMaxLength": 15,
}
NEUTRAL = {"registrationBlocked": False, "minimumAge": None, "dateOfBirthRequired": False}


async def policy(client: Client, country: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = (await client.data(POLICY, {"country": country}))["registrationPolicy"]
    return found


async def set_rule(client: Client, by: Person, **value: Any) -> Any:
    return await client.mutate("setGeoRule", value, RULE, by=by)


async def events(client: Client, name: str) -> list[Any]:
    rows = await client.rows("SELECT changes FROM audit_events WHERE event = $1 ORDER BY id", name)
    return [json.loads(row["changes"]) if isinstance(row["changes"], str) else row["changes"] for row in rows]


def test_every_feature_is_described() -> None:
    assert DESCRIPTIONS.keys() == set(Flag)


async def test_an_administrator_switches_a_feature_off_and_on(client: Client, admin: Person) -> None:
    features = (await client.data("{ features { name enabled } }", by=admin))["features"]
    assert features == [{"name": "password-reset", "enabled": True}, {"name": "registration", "enabled": True}]
    for enabled in (False, False, True):
        payload = await client.mutate("setFeature", {"name": "registration", "enabled": enabled}, FEATURE, by=admin)
        feature = {"name": "registration", "enabled": enabled, "description": DESCRIPTIONS[Flag.REGISTRATION]}
        assert payload == {"feature": feature, "errors": []}
        found = (await client.data("{ features { name enabled description } }", by=admin))["features"]
        assert feature in found
        assert (await policy(client))["blockedReason"] == (None if enabled else "FEATURE_DISABLED")
    # What changes nothing has no event
    assert await events(client, "feature.set") == [
        {"registration": {"old": True, "new": False}},
        {"registration": {"old": False, "new": True}},
    ]


async def test_an_unknown_feature_cannot_be_switched(client: Client, admin: Person) -> None:
    payload = await client.mutate("setFeature", {"name": "billing", "enabled": True}, FEATURE, by=admin)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_FOUND", ["name"])]
    assert await client.rows("SELECT FROM features") == []


async def test_an_administrator_sets_and_removes_a_rule(client: Client, admin: Person) -> None:
    payload = await set_rule(client, admin, country="AT", minimumAge=14)
    assert payload == {"geoRule": {"country": "AT"} | NEUTRAL | {"minimumAge": 14}, "errors": []}
    assert (await set_rule(client, admin, country="AT", registrationBlocked=True))["geoRule"]["minimumAge"] == 14
    await set_rule(client, admin, country="AE", dateOfBirthRequired=True)
    assert (await client.data(RULES, by=admin))["geoRules"] == [
        {"country": "AE"} | NEUTRAL | {"dateOfBirthRequired": True},
        {"country": "AT"} | NEUTRAL | {"registrationBlocked": True, "minimumAge": 14},
    ]
    payload = await set_rule(client, admin, country="AT", registrationBlocked=None, minimumAge=None)
    assert payload == {"geoRule": {"country": "AT"} | NEUTRAL, "errors": []}
    assert [rule["country"] for rule in (await client.data(RULES, by=admin))["geoRules"]] == ["AE"]
    first, *_rest = await events(client, "geo-rule.set")
    assert first == {"AT": {"old": NEUTRAL, "new": NEUTRAL | {"minimumAge": 14}}}
    assert len(await events(client, "geo-rule.set")) == 4


@pytest.mark.parametrize(("age", "codes"), [(-1, ["INVALID"]), (123, ["INVALID"]), (0, []), (122, [])])
async def test_a_minimum_age_is_an_age(client: Client, admin: Person, age: int, codes: list[str]) -> None:
    payload = await set_rule(client, admin, country="AT", minimumAge=age)
    assert [error["code"] for error in payload["errors"]] == codes


@pytest.mark.parametrize("country", ["Austria", "at", "XX", "EU", "UK", ""])
async def test_a_rule_is_for_an_exact_country_code(client: Client, admin: Person, country: str) -> None:
    # The trap of EcliPanel: the first two letters of "Austria" are Australia
    document = "mutation ($input: SetGeoRuleInput!) { setGeoRule(input: $input) { errors { code } } }"
    answer = await client.execute(document, {"input": {"country": country, "registrationBlocked": True}}, by=admin)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    answer = await client.execute(POLICY, {"country": country})
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await client.rows("SELECT FROM geo_rules") == []


async def test_other_users_cannot_read_or_change_settings(client: Client, alice: Person, staff: Person) -> None:
    for by in (alice, staff, None):
        code = "UNAUTHENTICATED" if by is None else "FORBIDDEN"
        for document in (
            "{ features { name } }",
            RULES,
            'mutation { setFeature(input: {name: "registration", enabled: false}) { errors { code } } }',
            'mutation { setGeoRule(input: {country: "AT", registrationBlocked: true}) { errors { code } } }',
        ):
            error = (await client.execute(document, by=by))["errors"][0]["extensions"]
            assert error["code"] == code
            assert by is None or error["permission"] in {"settings.read", "settings.update"}
    assert await client.rows("SELECT FROM features UNION ALL SELECT FROM geo_rules") == []


async def test_the_policy_tells_beforehand_what_a_registration_requires(client: Client, root: Person) -> None:
    assert await policy(client) == await policy(client, "AT") == OPEN
    await set_rule(client, root, country="AT", minimumAge=14)
    await set_rule(client, root, country="AE", dateOfBirthRequired=True)
    await set_rule(client, root, country="AU", registrationBlocked=True)
    assert await policy(client, "AT") == OPEN | {"minimumAge": 14, "dateOfBirthRequired": True}
    assert await policy(client, "AE") == OPEN | {"dateOfBirthRequired": True}
    assert await policy(client, "AU") == OPEN | {"open": False, "blockedReason": "GEO_BLOCKED"}
    assert await policy(client) == OPEN

"""Registrations and what operators set: the feature, and the rules for countries."""

from __future__ import annotations

import datetime as dt
from typing import Any

import httpx
import pytest

from service.http.proxies import TrustedProxies
from service.settings import Settings
from tests.conftest import Client, Person, opened_client
from tests.links import forget_attempts, last_mail, register, registered, verify


async def rule(client: Client, root: Person, country: str, **value: Any) -> None:
    selection = "geoRule { country }"
    assert (await client.mutate("setGeoRule", {"country": country} | value, selection, by=root))["errors"] == []


async def test_a_registration_while_the_feature_is_off_is_rejected(client: Client, root: Person) -> None:
    assert await registered(client) == []
    token = (await last_mail(client, "nina@roster.test")).token
    value = {"name": "registration", "enabled": False}
    assert (await client.mutate("setFeature", value, "feature { enabled }", by=root))["errors"] == []
    answer = await register(client, email="x")
    assert answer["data"] == {"register": None}
    assert answer["errors"][0]["extensions"] == {"code": "FEATURE_DISABLED"}
    document = "mutation ($token: String!) { verifyEmail(input: {token: $token}) { errors { code } } }"
    answer = await client.execute(document, {"token": token})
    assert answer["errors"][0]["extensions"] == {"code": "FEATURE_DISABLED"}
    assert (await client.mutate("setFeature", value | {"enabled": True}, "feature { enabled }", by=root))[
        "errors"
    ] == []
    assert (await verify(client, token))["errors"] == []


async def test_a_registration_from_a_blocked_country_is_rejected(client: Client, root: Person) -> None:
    await rule(client, root, "AT", registrationBlocked=True)
    answer = await register(client, country="AT")
    assert answer["data"] == {"register": None}
    assert answer["errors"][0]["extensions"] == {"code": "GEO_BLOCKED"}
    assert await registered(client, country="AU") == []


@pytest.mark.parametrize("country", ["Austria", "at", "XX", "A", ""])
async def test_only_a_country_code_is_a_country(client: Client, root: Person, country: str) -> None:
    # The trap of EcliPanel: "Austria" was cut to AU
    await rule(client, root, "AU", registrationBlocked=True)
    answer = await register(client, country=country)
    assert "data" not in answer
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def born(years: int, days: int = 0) -> str:
    today = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
    day = 28 if (today.month, today.day) == (2, 29) else today.day
    return today.replace(year=today.year - years, day=day).isoformat()


async def test_a_person_below_the_minimum_age_of_the_country_is_rejected(client: Client, root: Person) -> None:
    await rule(client, root, "AT", minimumAge=14)
    assert await registered(client, country="AT", dateOfBirth=born(14, days=1)) == [("AGE_RESTRICTED", ["dateOfBirth"])]
    # A minimum age without a date of birth could not be checked
    assert await registered(client, country="AT") == [("REQUIRED", ["dateOfBirth"])]
    assert await registered(client, country="AT", dateOfBirth=born(14)) == []
    await forget_attempts(client)
    assert await registered(client, country="DE", dateOfBirth=born(10)) == []


async def test_a_date_of_birth_is_required_where_the_rule_says_so(client: Client, root: Person) -> None:
    await rule(client, root, "AT", dateOfBirthRequired=True)
    assert await registered(client, country="AT") == [("REQUIRED", ["dateOfBirth"])]
    assert await registered(client, country="AT", dateOfBirth=born(3)) == []


# The country of the client


async def through(client: Client, *, trusted: str, **headers: str) -> str | None:
    """Return why a registration is blocked for a client with these headers, whose address is 192.0.2.1."""
    app: Any = client.app
    transport = httpx.ASGITransport(TrustedProxies(app, trusted), client=("192.0.2.1", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://roster.test") as http:
        answer = await http.post(
            "/graphql", json={"query": "{ registrationPolicy { blockedReason } }"}, headers=headers
        )
    reason: str | None = answer.json()["data"]["registrationPolicy"]["blockedReason"]
    return reason


async def test_the_country_header_counts_only_from_a_trusted_proxy(database_url: str, root: Person) -> None:
    async with opened_client(Settings(country_header="CF-IPCountry"), database_url) as client:
        await rule(client, root, "AT", registrationBlocked=True)
        forwarded = {"x-forwarded-for": "203.0.113.7"}
        assert await through(client, trusted="192.0.2.1", **{"cf-ipcountry": "AT"}, **forwarded) == "GEO_BLOCKED"
        assert await through(client, trusted="192.0.2.0/24", **{"cf-ipcountry": "AT"}) == "GEO_BLOCKED"
        for country in ("XX", "T1", "at", "Austria", ""):
            assert await through(client, trusted="192.0.2.1", **{"cf-ipcountry": country}) is None
        # Forged by a client: its own address is not a proxy's, whatever X-Forwarded-For says
        for claimed in ("192.0.2.9", "192.0.2.1", "127.0.0.1"):
            forged = {"cf-ipcountry": "AT", "x-forwarded-for": claimed}
            assert await through(client, trusted="192.0.2.9,127.0.0.1", **forged) is None
    async with opened_client(Settings(), database_url) as client:
        assert await through(client, trusted="192.0.2.1", **{"cf-ipcountry": "AT"}) is None

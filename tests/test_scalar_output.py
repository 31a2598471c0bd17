"""How does each scalar give a value out, and how does the schema show it?"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import uuid
from decimal import Decimal
from typing import cast

import pytest
import strawberry
from graphql import IntrospectionQuery, build_client_schema, get_introspection_query, print_schema
from strawberry.schema.config import StrawberryConfig

from service.formats import COUNTRY_CODES
from service.scalars import (
    CIDR,
    JSON,
    SCALARS,
    URL,
    BigInt,
    CountryCode,
    IPAddress,
    Permission,
)


@strawberry.type
class Query:
    address: IPAddress
    big: BigInt
    country: CountryCode
    day: dt.date
    document: JSON
    id: strawberry.ID
    moment: dt.datetime
    network: CIDR
    permission: Permission
    url: URL

    @strawberry.field
    def echo(self, id: strawberry.ID) -> strawberry.ID:
        return id


schema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))

BERLIN = dt.timezone(dt.timedelta(hours=2))


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (BigInt, 9007199254740991, 9007199254740991),
        (BigInt, Decimal(21), 21),
        (CIDR, ipaddress.ip_network("2001:db8::/32"), "2001:db8::/32"),
        (CIDR, "192.0.2.0/24", "192.0.2.0/24"),
        (CountryCode, "AT", "AT"),
        (dt.date, dt.date(2026, 3, 1), "2026-03-01"),
        (dt.datetime, dt.datetime(2026, 3, 1, 12, 30, tzinfo=dt.UTC), "2026-03-01T12:30:00Z"),
        (dt.datetime, dt.datetime(2026, 3, 1, 12, 30, 0, 5, tzinfo=BERLIN), "2026-03-01T10:30:00.000005Z"),
        (strawberry.ID, uuid.UUID("0197A3F07C1E7DE2B1C42F5D1A0B9C8E"), "0197a3f0-7c1e-7de2-b1c4-2f5d1a0b9c8e"),
        (strawberry.ID, "0197a3f0-7c1e-7de2-b1c4-2f5d1a0b9c8e", "0197a3f0-7c1e-7de2-b1c4-2f5d1a0b9c8e"),
        (IPAddress, ipaddress.ip_address("192.0.2.7"), "192.0.2.7"),
        (IPAddress, ipaddress.ip_interface("2001:db8::7/64"), "2001:db8::7"),
        (JSON, {"theme": None}, {"theme": None}),
        (Permission, "users.read", "users.read"),
        (URL, "otpauth://totp/Roster:ada?secret=ABC", "otpauth://totp/Roster:ada?secret=ABC"),
    ],
)
def test_a_value_is_given_in_its_canonical_form(annotation: object, value: object, expected: object) -> None:
    give = SCALARS[annotation].serialize
    assert give is not None
    assert give(value) == expected


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (BigInt, 2**53),
        (BigInt, Decimal("1.5")),
        (BigInt, True),
        (BigInt, "1"),
        (dt.date, dt.datetime(2026, 3, 1, tzinfo=dt.UTC)),
        (dt.date, "2026-03-01"),
        (dt.datetime, dt.datetime(2026, 3, 1)),
        (dt.datetime, dt.date(2026, 3, 1)),
        (dt.datetime, "2026-03-01T12:30:00Z"),
    ],
)
def test_a_value_that_the_scalar_cannot_carry_is_a_fault_of_the_service(annotation: object, value: object) -> None:
    give = SCALARS[annotation].serialize
    assert give is not None
    with pytest.raises((TypeError, ValueError)):
        give(value)


def test_the_sdl_declares_every_scalar_but_the_built_in_id() -> None:
    declared = set(re.findall(r"^scalar (\w+)", schema.as_str(), re.MULTILINE))
    assert declared == {definition.name for definition in SCALARS.values()} - {"ID"}


def test_introspection_describes_every_scalar_and_says_where_it_is_specified() -> None:
    result = schema.execute_sync("{ __schema { types { kind name description specifiedByURL } } }")
    assert result.errors is None
    assert result.data is not None
    shown = {
        entry["name"]: (entry["description"], entry["specifiedByURL"])
        for entry in result.data["__schema"]["types"]
        if entry["kind"] == "SCALAR" and entry["name"] not in {"Boolean", "String"}
    }
    assert shown == {item.name: (item.description, item.specified_by_url) for item in SCALARS.values()}
    assert all(item.description and not item.description.endswith(".") for item in SCALARS.values())


def test_a_client_can_build_its_schema_from_introspection() -> None:
    result = schema.execute_sync(get_introspection_query(specified_by_url=True))
    assert result.errors is None
    client_sdl = print_schema(build_client_schema(cast("IntrospectionQuery", result.data)))
    assert "echo(id: ID!): ID!" in client_sdl
    assert "scalar ID" not in client_sdl
    assert 'scalar CIDR @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc4632")' in client_sdl


def test_the_countries_are_the_assigned_codes() -> None:
    assert len(COUNTRY_CODES) == 249

"""Values that each scalar returns, and the description of the scalars in the schema."""

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
from iso3166 import countries_by_alpha2
from strawberry.schema.config import StrawberryConfig

from service.parsing import parse_country_code
from service.scalars import CIDR, JSON, SCALARS, URL, BigInt, CountryCode, IPAddress, Permission
from service.schema import printed


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
        (dt.datetime, dt.datetime(2026, 3, 10, 20, 30, 40, tzinfo=dt.UTC), "2026-03-10T20:30:40Z"),
        (dt.datetime, dt.datetime(2026, 3, 1, 12, 30, 0, 500_000, tzinfo=dt.UTC), "2026-03-01T12:30:00.5Z"),
        (dt.datetime, dt.datetime(2026, 3, 1, 12, 30, 10, 120_300, tzinfo=dt.UTC), "2026-03-01T12:30:10.1203Z"),
        (dt.datetime, dt.datetime(2026, 3, 1, 12, 30, 0, 123_456, tzinfo=dt.UTC), "2026-03-01T12:30:00.123456Z"),
        (dt.datetime, dt.datetime(987, 3, 1, 0, 30, 0, 10, tzinfo=BERLIN), "0987-02-28T22:30:00.00001Z"),
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
def test_a_value_is_returned_in_its_canonical_form(annotation: object, value: object, expected: object) -> None:
    serialize = SCALARS[annotation].serialize
    assert serialize is not None
    assert serialize(value) == expected


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
def test_a_value_of_another_type_is_an_error_of_the_service(annotation: object, value: object) -> None:
    serialize = SCALARS[annotation].serialize
    assert serialize is not None
    with pytest.raises((TypeError, ValueError)):
        serialize(value)


def test_the_sdl_declares_every_scalar_except_the_built_in_id() -> None:
    declared = set(re.findall(r"^scalar (\w+)", schema.as_str(), re.MULTILINE))
    assert declared == {definition.name for definition in SCALARS.values()} - {"ID"}


def test_introspection_has_the_description_and_specification_of_every_scalar() -> None:
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


def test_every_custom_scalar_except_permission_has_a_specification() -> None:
    specified = {item.name: item.specified_by_url for item in SCALARS.values() if item.name != "ID"}
    assert {name for name, url in specified.items() if url is None} == {"Permission"}
    assert all(url.startswith("https://") for url in specified.values() if url is not None)
    declared = re.findall(r'^scalar (\w+) @specifiedBy\(url: "(\S+)"\)$', printed(), re.MULTILINE)
    assert dict(declared) == {name: url for name, url in specified.items() if url is not None}


def test_a_client_can_build_its_schema_from_introspection() -> None:
    result = schema.execute_sync(get_introspection_query(specified_by_url=True))
    assert result.errors is None
    client_sdl = print_schema(build_client_schema(cast("IntrospectionQuery", result.data)))
    assert "echo(id: ID!): ID!" in client_sdl
    assert "scalar ID" not in client_sdl
    assert 'scalar CIDR @specifiedBy(url: "https://www.rfc-editor.org/rfc/rfc4632")' in client_sdl


def test_the_countries_are_the_249_assigned_codes_and_kosovo() -> None:
    assert len(countries_by_alpha2.keys() - {"XK"}) == 249
    assert all(parse_country_code(code) == code for code in countries_by_alpha2)

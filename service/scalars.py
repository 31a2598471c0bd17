"""The scalars of the schema: the Python type of each, and how values are parsed and serialized.

`SCALARS` goes into `StrawberryConfig.scalar_map`: it maps the annotation of a field or argument to its scalar. Values
are parsed by `service.parsing`, from variables and from literals alike; a bad one is BAD_USER_INPUT.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final, NewType

import strawberry
from graphql import (
    BooleanValueNode,
    FloatValueNode,
    GraphQLError,
    GraphQLNamedType,
    GraphQLScalarType,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    ObjectValueNode,
    StringValueNode,
    ValueNode,
)
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

from service import limits, parsing
from service.access import permissions
from service.errors import ApiError, bad_input

__all__ = ["CIDR", "JSON", "SCALARS", "URL", "BigInt", "CountryCode", "IPAddress", "Permission"]

BigInt = NewType("BigInt", int)
CIDR = NewType("CIDR", str)
CountryCode = NewType("CountryCode", str)
IPAddress = NewType("IPAddress", str)
Permission = NewType("Permission", str)
URL = NewType("URL", str)


def parse_permission(value: object) -> str:
    """Return the canonical name of a permission of the catalogue; aliases are accepted."""
    name = permissions.canonical(value) if isinstance(value, str) else None
    if name is None:
        raise bad_input("Unknown permission; permissionCatalog lists all of them.")
    return name


# Output comes from the database: a value of another type is an error of the service, so these raise no bad_input


def _serialize_big_int(value: Any) -> int:
    # sum() of bigint columns is numeric in PostgreSQL, which asyncpg decodes as Decimal
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or value != int(value):
        raise TypeError("a BigInt field needs a whole number")
    number = int(value)
    if abs(number) > limits.SAFE_INTEGER:
        raise ValueError("a BigInt field cannot have a number beyond +-(2^53-1)")
    return number


def _serialize_date(value: Any) -> str:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise TypeError("a Date field needs a date")
    return value.isoformat()


def _serialize_datetime(value: Any) -> str:
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise TypeError("a DateTime field needs a datetime with a time zone")
    return parsing.format_datetime(value)


def _serialize_ip_address(value: Any) -> str:
    # PostgreSQL's inet may have a prefix length, which is not a part of the address
    return str(value.ip if isinstance(value, ipaddress.IPv4Interface | ipaddress.IPv6Interface) else value)


def _serialize_json(value: Any) -> object:
    return value


def _constant(node: ValueNode, depth: int = 0) -> object:
    """Return the JSON value of a literal; an enum value is not JSON."""
    match node:
        case NullValueNode():
            return None
        case StringValueNode() | BooleanValueNode():
            return node.value
        case IntValueNode():
            # int() raises an error for thousands of digits; a number of more than 20 is too large in any case
            return int(node.value[:21])
        case FloatValueNode():
            return float(node.value)
        case ListValueNode() if depth < limits.JSON_DEPTH:
            return [_constant(item, depth + 1) for item in node.values]
        case ObjectValueNode() if depth < limits.JSON_DEPTH:
            return {field.name.value: _constant(field.value, depth + 1) for field in node.fields}
        case ListValueNode() | ObjectValueNode():
            raise bad_input(f"JSON must not be nested deeper than {limits.JSON_DEPTH} levels.")
        case _:
            raise bad_input("Expected a constant value, found a name.")


def _parse_literal(parse: Callable[[object], object], node: ValueNode) -> object:
    try:
        return parse(_constant(node))
    except ApiError as error:
        raise GraphQLError(error.message, node, extensions=error.extensions) from None


class _ScalarType(GraphQLScalarType):
    # graphql-core reserves the names of the built-in scalars. This ID accepts UUIDs only, under the same name.
    reserved_types: Mapping[str, GraphQLNamedType] = {}


def _scalar(
    name: str,
    parse: Callable[[object], object],
    serialize: Callable[[Any], object],
    description: str,
    specified_by_url: str | None = None,
) -> ScalarDefinition:
    # graphql-core's own type, because strawberry.scalar() supports only the predecessor of `coerce_input_literal`. That
    # reads an enum value as a string (`country: AT`), and variables inside a JSON literal as Python objects.
    implementation = _ScalarType(
        name=name,
        description=description,
        specified_by_url=specified_by_url,
        coerce_output_value=serialize,
        coerce_input_value=parse,
        coerce_input_literal=partial(_parse_literal, parse),
    )
    return ScalarDefinition(
        name=name,
        description=description,
        specified_by_url=specified_by_url,
        serialize=serialize,
        parse_value=parse,
        parse_literal=None,
        implementation=implementation,
    )


_RFC: Final = "https://www.rfc-editor.org/rfc/rfc"

SCALARS: Final[Mapping[object, ScalarDefinition]] = {
    BigInt: _scalar(
        "BigInt",
        parsing.parse_big_int,
        _serialize_big_int,
        "Whole number within +-(2^53-1), as a JSON number",
        f"{_RFC}8259#section-6",
    ),
    CIDR: _scalar(
        "CIDR",
        parsing.parse_cidr,
        str,
        'IPv4 or IPv6 network, like "192.0.2.0/24"; an address is a network of its own; host bits must not be set',
        f"{_RFC}4632",
    ),
    CountryCode: _scalar(
        "CountryCode",
        parsing.parse_country_code,
        str,
        'ISO 3166-1 alpha-2 country code in upper case, like "AT"',
        "https://www.iso.org/iso-3166-country-codes.html",
    ),
    dt.date: _scalar(
        "Date",
        parsing.parse_date,
        _serialize_date,
        'Calendar day, like "2026-03-01"',
        f"{_RFC}3339",
    ),
    dt.datetime: _scalar(
        "DateTime",
        parsing.parse_datetime,
        _serialize_datetime,
        'Time in UTC, like "2026-03-01T12:30:00Z"; as input with any offset, which is required',
        f"{_RFC}3339",
    ),
    IPAddress: _scalar(
        "IPAddress",
        parsing.parse_ip_address,
        _serialize_ip_address,
        "IPv4 or IPv6 address in its canonical form",
        f"{_RFC}5952",
    ),
    JSON: _scalar(
        "JSON",
        parsing.parse_json,
        _serialize_json,
        f"Any JSON value, at most {limits.JSON_DEPTH} levels deep, its integers within +-(2^53-1)",
        f"{_RFC}8259",
    ),
    Permission: _scalar(
        "Permission",
        parse_permission,
        str,
        'Name of a permission from `permissionCatalog`, like "users.read"; unknown names are rejected',
    ),
    URL: _scalar(
        "URL",
        parsing.parse_url,
        str,
        f"URL; as input absolute, http or https, at most {limits.URL} characters",
        "https://url.spec.whatwg.org/",
    ),
    strawberry.ID: _scalar(
        "ID",
        parsing.parse_id,
        str,
        "UUID, unique over all types; returned in lower case with dashes, accepted with or without dashes",
    ),
}

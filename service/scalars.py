"""What stands for each scalar of the schema in Python, and how does it come in and go out?

`SCALARS` goes into `StrawberryConfig.scalar_map`: it maps the annotation of a field or argument to its scalar. A value
is read by `service.formats`, be it a variable or written into the document; a bad one is BAD_USER_INPUT.
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

from service import formats, permissions
from service.errors import Fault, bad_input

__all__ = ["CIDR", "JSON", "SCALARS", "URL", "BigInt", "CountryCode", "IPAddress", "Permission"]

BigInt = NewType("BigInt", int)
CIDR = NewType("CIDR", str)
CountryCode = NewType("CountryCode", str)
IPAddress = NewType("IPAddress", str)
Permission = NewType("Permission", str)
URL = NewType("URL", str)


def parse_permission(value: object) -> str:
    """The canonical name of a permission of the catalogue; aliases are accepted."""
    name = permissions.canonical(value) if isinstance(value, str) else None
    if name is None:
        raise bad_input("Unknown permission: see permissionCatalog")
    return name


# What is given out comes from the database: a value of another type is a fault of ours, hence no bad_input below.


def _give_big_int(value: Any) -> int:
    # sum() of bigint columns is numeric in PostgreSQL, which arrives as Decimal.
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or value != int(value):
        raise TypeError("a BigInt field needs a whole number")
    number = int(value)
    if abs(number) > formats.MAX_SAFE_INTEGER:
        raise ValueError("a BigInt field cannot carry a number beyond +-(2^53-1)")
    return number


def _give_date(value: Any) -> str:
    if not isinstance(value, dt.date) or isinstance(value, dt.datetime):
        raise TypeError("a Date field needs a date")
    return value.isoformat()


def _give_datetime(value: Any) -> str:
    if not isinstance(value, dt.datetime) or value.tzinfo is None:
        raise TypeError("a DateTime field needs a datetime with a time zone")
    return value.astimezone(dt.UTC).replace(tzinfo=None).isoformat() + "Z"


def _give_ip_address(value: Any) -> str:
    # PostgreSQL's inet may carry a prefix length: the address is what is asked for.
    return str(value.ip if isinstance(value, ipaddress.IPv4Interface | ipaddress.IPv6Interface) else value)


def _give_json(value: Any) -> object:
    return value


def _constant(node: ValueNode, depth: int = 0) -> object:
    """The JSON value of a literal; an enum name is no JSON."""
    match node:
        case NullValueNode():
            return None
        case StringValueNode() | BooleanValueNode():
            return node.value
        case IntValueNode():
            # int() refuses thousands of digits with an error of its own; beyond 20 the number is too big anyway.
            return int(node.value[:21])
        case FloatValueNode():
            return float(node.value)
        case ListValueNode() if depth < formats.MAX_JSON_DEPTH:
            return [_constant(item, depth + 1) for item in node.values]
        case ObjectValueNode() if depth < formats.MAX_JSON_DEPTH:
            return {field.name.value: _constant(field.value, depth + 1) for field in node.fields}
        case ListValueNode() | ObjectValueNode():
            raise bad_input(f"JSON must not be nested deeper than {formats.MAX_JSON_DEPTH} levels")
        case _:
            raise bad_input("Expected a constant value, found a name")


def _parse_literal(parse: Callable[[object], object], node: ValueNode) -> object:
    try:
        return parse(_constant(node))
    except Fault as fault:
        raise GraphQLError(fault.message, node, extensions=fault.extensions) from None


class _ScalarType(GraphQLScalarType):
    # graphql-core reserves the names of the built-in scalars. Ours narrows ID without renaming it: the SDL does not
    # show it, and no resolver meets an id that is not a UUID.
    reserved_types: Mapping[str, GraphQLNamedType] = {}


def _scalar(
    name: str,
    parse: Callable[[object], object],
    give: Callable[[Any], object],
    description: str,
    specified_by_url: str | None = None,
) -> ScalarDefinition:
    # graphql-core's own type, because strawberry.scalar() knows only the predecessor of `coerce_input_literal`, which
    # takes an enum name for a string (`country: AT`) and sees the variables inside a JSON literal as Python objects.
    implementation = _ScalarType(
        name=name,
        description=description,
        specified_by_url=specified_by_url,
        coerce_output_value=give,
        coerce_input_value=parse,
        coerce_input_literal=partial(_parse_literal, parse),
    )
    return ScalarDefinition(
        name=name,
        description=description,
        specified_by_url=specified_by_url,
        serialize=give,
        parse_value=parse,
        parse_literal=None,
        implementation=implementation,
    )


_RFC: Final = "https://www.rfc-editor.org/rfc/rfc"

SCALARS: Final[Mapping[object, ScalarDefinition]] = {
    BigInt: _scalar(
        "BigInt",
        formats.parse_big_int,
        _give_big_int,
        "Whole number within +-(2^53-1), as a JSON number",
    ),
    CIDR: _scalar(
        "CIDR",
        formats.parse_cidr,
        str,
        'IPv4 or IPv6 network, like "192.0.2.0/24"; a bare address is a network of one, host bits are refused',
        f"{_RFC}4632",
    ),
    CountryCode: _scalar(
        "CountryCode",
        formats.parse_country_code,
        str,
        'ISO 3166-1 alpha-2 country code in upper case, like "AT"',
        "https://www.iso.org/iso-3166-country-codes.html",
    ),
    dt.date: _scalar(
        "Date",
        formats.parse_date,
        _give_date,
        'Calendar day, like "2026-03-01"',
        f"{_RFC}3339",
    ),
    dt.datetime: _scalar(
        "DateTime",
        formats.parse_datetime,
        _give_datetime,
        'Moment in UTC, like "2026-03-01T12:30:00Z"; any offset is accepted, a value without one is refused',
        f"{_RFC}3339",
    ),
    IPAddress: _scalar(
        "IPAddress",
        formats.parse_ip_address,
        _give_ip_address,
        "IPv4 or IPv6 address in its canonical text",
        f"{_RFC}5952",
    ),
    JSON: _scalar(
        "JSON",
        formats.parse_json,
        _give_json,
        f"Any JSON value, at most {formats.MAX_JSON_DEPTH} levels deep, its integers within +-(2^53-1)",
        f"{_RFC}8259",
    ),
    Permission: _scalar(
        "Permission",
        parse_permission,
        str,
        'Name of a permission from `permissionCatalog`, like "users.read"; unknown names are refused',
    ),
    URL: _scalar(
        "URL",
        formats.parse_url,
        str,
        f"URL; as input absolute, http or https, at most {formats.MAX_URL_LENGTH} characters",
        "https://url.spec.whatwg.org/",
    ),
    strawberry.ID: _scalar(
        "ID",
        formats.parse_id,
        str,
        "UUID, unique over all types; accepted with or without dashes, given in lower case with dashes",
    ),
}

"""Values that each scalar accepts and rejects, as literals and as variables."""

from __future__ import annotations

import datetime as dt
import json
import re

import pytest
import strawberry
from graphql import SourceLocation
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionResult

from service.errors import ApiError
from service.scalars import CIDR, JSON, SCALARS, URL, BigInt, CountryCode, IPAddress, Permission


def typed(value: object) -> str:
    """Return what a resolver received: the Python type and the value."""
    return f"{type(value).__name__} {value}"


@strawberry.type
class Query:
    @strawberry.field
    def big_int(self, value: BigInt) -> str:
        return typed(value)

    @strawberry.field
    def cidr(self, value: CIDR) -> str:
        return typed(value)

    @strawberry.field
    def country_code(self, value: CountryCode) -> str:
        return typed(value)

    @strawberry.field
    def date(self, value: dt.date) -> str:
        return typed(value)

    @strawberry.field
    def date_time(self, value: dt.datetime) -> str:
        return typed(value)

    @strawberry.field
    def id(self, value: strawberry.ID) -> str:
        return typed(value)

    @strawberry.field
    def ip_address(self, value: IPAddress) -> str:
        return typed(value)

    @strawberry.field
    def json(self, value: JSON) -> str:
        return json.dumps(value)

    @strawberry.field
    def permission(self, value: Permission) -> str:
        return typed(value)

    @strawberry.field
    def url(self, value: URL) -> str:
        return typed(value)


schema = strawberry.Schema(Query, config=StrawberryConfig(scalar_map=SCALARS))

# The name of the field of Query, and of its scalar
BIG_INT = ("bigInt", "BigInt")
CIDR_ = ("cidr", "CIDR")
COUNTRY = ("countryCode", "CountryCode")
DATE = ("date", "Date")
DATE_TIME = ("dateTime", "DateTime")
ID = ("id", "ID")
IP = ("ipAddress", "IPAddress")
JSON_ = ("json", "JSON")
PERMISSION = ("permission", "Permission")
URL_ = ("url", "URL")

ACCEPTED = [
    (BIG_INT, 0, "int 0"),
    (BIG_INT, 9007199254740991, "int 9007199254740991"),
    (BIG_INT, -9007199254740991, "int -9007199254740991"),
    (BIG_INT, 21.0, "int 21"),
    (CIDR_, "192.0.2.0/24", "str 192.0.2.0/24"),
    (CIDR_, "192.0.2.7", "str 192.0.2.7/32"),
    (CIDR_, "2001:DB8:0::/32", "str 2001:db8::/32"),
    (CIDR_, "2001:db8::1", "str 2001:db8::1/128"),
    (CIDR_, "0.0.0.0/0", "str 0.0.0.0/0"),
    (COUNTRY, "AT", "str AT"),
    (DATE, "2024-02-29", "date 2024-02-29"),
    (DATE_TIME, "2026-03-01T12:30:00Z", "datetime 2026-03-01 12:30:00+00:00"),
    (DATE_TIME, "2026-03-01t12:30:00z", "datetime 2026-03-01 12:30:00+00:00"),
    (DATE_TIME, "2026-03-01 14:30:00.5+02:00", "datetime 2026-03-01 12:30:00.500000+00:00"),
    (DATE_TIME, "2026-03-01T12:30:00.123456789-00:00", "datetime 2026-03-01 12:30:00.123456+00:00"),
    (DATE_TIME, "2016-12-31T23:59:60Z", "datetime 2017-01-01 00:00:00+00:00"),
    (DATE_TIME, "2017-01-01T00:59:60.25+01:00", "datetime 2017-01-01 00:00:00+00:00"),
    (ID, "0197A3F0-7C1E-7DE2-B1C4-2F5D1A0B9C8E", "str 0197a3f0-7c1e-7de2-b1c4-2f5d1a0b9c8e"),
    (ID, "0197a3f07c1e7de2b1c42f5d1a0b9c8e", "str 0197a3f0-7c1e-7de2-b1c4-2f5d1a0b9c8e"),
    (IP, "192.0.2.7", "str 192.0.2.7"),
    (IP, "2001:DB8:0:0::1", "str 2001:db8::1"),
    (JSON_, [], "[]"),
    (JSON_, True, "true"),
    (JSON_, 1.5, "1.5"),
    (JSON_, "Zoë 🙂", json.dumps("Zoë 🙂")),
    (JSON_, {"a": [1, None, {"b": "c"}], "d": {}}, '{"a": [1, null, {"b": "c"}], "d": {}}'),
    (PERMISSION, "users.read", "str users.read"),
    (PERMISSION, "subusers.read", "str user.read"),
    (URL_, "https://example.com/a?b=c#d", "str https://example.com/a?b=c#d"),
    (URL_, "HTTP://[2001:db8::1]:8080", "str HTTP://[2001:db8::1]:8080"),
    (URL_, "https://müller.example/ä", "str https://müller.example/ä"),
]

NUL = "\x00"


def each(scalar: tuple[str, str], *values: object) -> list[tuple[tuple[str, str], object]]:
    """Return the scalar with each of the values."""
    return [(scalar, value) for value in values]


REJECTED = [
    *each(BIG_INT, 9007199254740992, -9007199254740992, 1.5, True, "1", [], 1e300),
    *each(CIDR_, "192.0.2.7/24", "192.0.2.0/33", "2001:db8::1/32", "192.0.2.0/255.255.255.0", "192.0.2.0/", "/24", ""),
    *each(CIDR_, "192.0.2.0/-1", "192.0.2.0/\u0668", "fe80::1%eth0/64", "192.0.02.0/24", " 192.0.2.0/24", 3221225984),
    *each(CIDR_, f"192.0.2.0/24{NUL}", "192.0.2.0/24\n"),
    *each(COUNTRY, "Austria", "at", "At", "XX", "AUT", "A", "", "AT ", f"AT{NUL}", 40),
    *each(DATE, "2025-02-29", "20240229", "2024-W09-4", "0000-01-01", "2024-2-9", "", 20240229),
    *each(DATE, "2024-02-29T00:00:00Z", f"2024-02-29{NUL}", "2024-02-29\n", "\u0662\u0660\u0662\u0664-02-28"),
    *each(DATE_TIME, "2026-03-01T12:30:00", "2026-03-01", "2026-03-01T12:30Z", "2026-02-29T12:30:00Z", 1772368200),
    *each(DATE_TIME, "2026-03-01T12:60:00Z", "2026-03-01T12:30:61Z", "2026-03-01T12:30:60Z", "2026-03-01T24:00:00Z"),
    *each(DATE_TIME, "2026-03-01T12:30:00,5Z", "2026-03-01T12:30:00+0200", "2026-03-01T12:30:00+24:00", ""),
    *each(DATE_TIME, "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "9999-12-31T23:59:60Z"),
    *each(DATE_TIME, f"2026-03-01T12:30:00Z{NUL}", "2026-03-01T12:30:00Z\n"),
    *each(ID, "42", "", "VXNlcjox", "0197a3f0-7c1e-7de2-b1c4-2f5d1a0b9c8", "0197a3f07c1e-7de2-b1c4-2f5d1a0b9c8e"),
    *each(ID, "{0197a3f0-7c1e-7de2-b1c4-2f5d1a0b9c8e}", "urn:uuid:0197a3f0-7c1e-7de2-b1c4-2f5d1a0b9c8e", 7, True),
    *each(ID, "g" * 32, "\u0660" * 32, f"{'a' * 31}{NUL}", f"{'a' * 32}\n", "a" * 33),
    *each(IP, "192.0.2.0/24", "192.0.2", "256.0.0.1", "fe80::1%eth0", "::g", "", f"::1{NUL}", 1),
    *each(JSON_, f"a{NUL}", [{"a": [NUL]}], 2**53, -(2**53)),
    *each(PERMISSION, "users.fly", "Users.read", "users.read ", "", f"users.read{NUL}", 1),
    *each(
        URL_, "example.com", "//example.com", "ftp://example.com", "javascript:alert(1)", "https://", "https:///path"
    ),
    *each(
        URL_, "https://exa mple.com", "https://example.com:port", "https://example.com:70000", "https://[::g]", "", 1
    ),
    *each(URL_, "https://example.com\\@evil.example", "https://example.com/\n", f"https://example.com/{NUL}"),
    *each(URL_, "https://example.com/" + "a" * 2029),
]

PARAMETERS = ("scalar", "value", "expected")


def literal(value: object) -> str:
    """Return the GraphQL literal of a JSON value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    return json.dumps(value)


def with_literal(scalar: tuple[str, str], text: str) -> ExecutionResult:
    """Return the result of a query with the literal in the document."""
    result = schema.execute_sync(f"{{ {scalar[0]}(value: {text}) }}")
    assert isinstance(result, ExecutionResult)
    return result


def with_variable(scalar: tuple[str, str], value: object) -> ExecutionResult:
    """Return the result of a query with the value as a variable."""
    field, name = scalar
    result = schema.execute_sync(f"query ($value: {name}!) {{ {field}(value: $value) }}", {"value": value})
    assert isinstance(result, ExecutionResult)
    return result


@pytest.mark.parametrize(PARAMETERS, ACCEPTED)
def test_a_valid_literal_reaches_the_resolver(scalar: tuple[str, str], value: object, expected: str) -> None:
    result = with_literal(scalar, literal(value))
    assert (result.data, result.errors) == ({scalar[0]: expected}, None)


@pytest.mark.parametrize(PARAMETERS, ACCEPTED)
def test_a_valid_variable_reaches_the_resolver(scalar: tuple[str, str], value: object, expected: str) -> None:
    result = with_variable(scalar, value)
    assert (result.data, result.errors) == ({scalar[0]: expected}, None)


@pytest.mark.parametrize(PARAMETERS[:2], REJECTED)
def test_an_invalid_literal_is_bad_user_input(scalar: tuple[str, str], value: object) -> None:
    result = with_literal(scalar, literal(value))
    assert result.data is None
    assert [error.extensions for error in result.errors or []] == [{"code": "BAD_USER_INPUT"}]


@pytest.mark.parametrize(PARAMETERS[:2], REJECTED)
def test_an_invalid_variable_is_bad_user_input(scalar: tuple[str, str], value: object) -> None:
    result = with_variable(scalar, value)
    assert result.data is None
    assert [error.extensions for error in result.errors or []] == [{"code": "BAD_USER_INPUT"}]


@pytest.mark.parametrize("scalar", [CIDR_, COUNTRY, DATE, DATE_TIME, ID, IP, JSON_, PERMISSION, URL_])
def test_an_unpaired_surrogate_is_bad_user_input(scalar: tuple[str, str]) -> None:
    result = with_variable(scalar, "\ud800")
    assert [error.extensions for error in result.errors or []] == [{"code": "BAD_USER_INPUT"}]


def test_an_error_has_the_expected_form_and_the_place_but_not_the_value() -> None:
    (error,) = with_variable(DATE, "hunter2").errors or []
    assert error.message == "Variable '$value' has invalid value: Expected a date, like \"2026-03-01\"."
    (error,) = with_literal(DATE, '"hunter2"').errors or []
    assert error.message == 'Expected a date, like "2026-03-01".'
    assert error.locations == [SourceLocation(1, 15)]


@pytest.mark.parametrize(PARAMETERS[:2], REJECTED)
def test_the_message_of_every_rejection_is_a_sentence(scalar: tuple[str, str], value: object) -> None:
    parse = next(item.parse_value for item in SCALARS.values() if item.name == scalar[1])
    assert parse is not None
    with pytest.raises(ApiError) as raised:
        parse(value)
    assert re.fullmatch(r"[A-Z].*[.?]", raised.value.message)


def test_host_bits_are_rejected_with_the_right_network() -> None:
    (error,) = with_literal(CIDR_, '"192.0.2.77/28"').errors or []
    assert error.message == "The network has host bits set; did you mean 192.0.2.64/28?"


@pytest.mark.parametrize("scalar", [COUNTRY, PERMISSION, JSON_])
def test_an_enum_value_is_not_a_string(scalar: tuple[str, str]) -> None:
    (error,) = with_literal(scalar, "AT").errors or []
    assert error.extensions == {"code": "BAD_USER_INPUT"}


def test_json_of_sixteen_levels_is_accepted_and_of_seventeen_is_not() -> None:
    sixteen = "[" * 16 + "]" * 16
    assert with_literal(JSON_, sixteen).data == {"json": sixteen}
    assert with_variable(JSON_, json.loads(sixteen)).data == {"json": sixteen}
    for result in (with_literal(JSON_, f"[{sixteen}]"), with_variable(JSON_, [json.loads(sixteen)])):
        assert [error.extensions for error in result.errors or []] == [{"code": "BAD_USER_INPUT"}]


def test_a_json_literal_may_contain_null_and_variables() -> None:
    document = """query ($day: Date, $rest: JSON, $absent: JSON) {
        json(value: {day: $day, list: [null, $rest], absent: $absent})
    }"""
    result = schema.execute_sync(document, {"day": "2026-03-01", "rest": {"deep": [True]}})
    assert result.errors is None
    assert result.data == {"json": '{"day": "2026-03-01", "list": [null, {"deep": [true]}]}'}


def test_an_invalid_variable_inside_a_json_literal_is_rejected() -> None:
    result = schema.execute_sync("query ($rest: JSON) { json(value: {a: $rest}) }", {"rest": NUL})
    assert [error.extensions for error in result.errors or []] == [{"code": "BAD_USER_INPUT"}]


@pytest.mark.parametrize("value", [float("inf"), float("nan"), {NUL: 1}, object(), (1,), b"bytes"])
def test_a_value_that_cannot_be_stored_as_json_is_rejected(value: object) -> None:
    (error,) = with_variable(JSON_, value).errors or []
    assert error.extensions == {"code": "BAD_USER_INPUT"}


@pytest.mark.parametrize("digits", [22, 5000])
def test_a_long_integer_is_rejected_as_input(digits: int) -> None:
    for scalar in (BIG_INT, JSON_):
        (error,) = with_literal(scalar, "9" * digits).errors or []
        assert error.extensions == {"code": "BAD_USER_INPUT"}

"""Parsers of dates, networks, URLs, country codes, ids, and JSON values.

Every `parse_*` takes any JSON value, returns the Python value in its canonical form, and raises `errors.bad_input`. The
message does not repeat a value of another form, which may be a secret in the wrong place.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
import uuid
from contextlib import suppress
from math import isfinite
from typing import Final
from urllib.parse import urlsplit

from iso3166 import countries_by_alpha2

from service import limits
from service.errors import bad_input

# PostgreSQL cannot store NUL in text or jsonb, and an unpaired surrogate has no UTF-8 form
UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")

_TIME_OF_DAY = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME = re.compile(
    rf"({_DATE.pattern})[Tt ]({_TIME_OF_DAY}):([0-5][0-9]|60)(\.[0-9]{{1,9}})?([Zz]|[+-]{_TIME_OF_DAY})"
)
DASHED = 36  # characters of a UUID with dashes
_UUID = re.compile(r"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ADDRESS = re.compile(r"[0-9a-fA-F.:]{2,45}")
_NETWORK = re.compile(rf"({_ADDRESS.pattern})(?:/([0-9]{{1,3}}))?")
# SECURITY: urlsplit removes tabs and newlines, and browsers read a backslash as a slash: such a URL is ambiguous
_URL_TEXT = re.compile(rf"[^\x00-\x20\x7f-\xa0\\\u2028\u2029\ud800-\udfff]{{1,{limits.URL}}}")


def _matched(pattern: re.Pattern[str], value: object, expected: str) -> re.Match[str]:
    match = pattern.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise bad_input(f"Expected {expected}.")
    return match


def parse_big_int(value: object) -> int:
    """Return a whole number within +-(2^53-1), which JSON numbers carry exactly (RFC 8259, section 6)."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_input("Expected a whole number.")
    if abs(value) > limits.SAFE_INTEGER:
        raise bad_input("Expected a whole number within +-(2^53-1).")
    return value


def parse_cidr(value: object) -> str:
    """Return the canonical text of an IPv4 or IPv6 network (RFC 4632); a bare address is a network of one address.

    An address with host bits set is rejected, because it is unclear whether the host or its network is meant.
    """
    expected = 'an IPv4 or IPv6 network, like "192.0.2.0/24" or "2001:db8::/32"'
    match = _matched(_NETWORK, value, expected)
    with suppress(ValueError):
        network = ipaddress.ip_network(match.group(), strict=False)
        if ipaddress.ip_address(match.group(1)) == network.network_address:
            return str(network)
        raise bad_input(f"The network has host bits set; did you mean {network}?")
    raise bad_input(f"Expected {expected}.")


def parse_country_code(value: object) -> str:
    """Return an ISO 3166-1 alpha-2 code in upper case."""
    if not isinstance(value, str) or value not in countries_by_alpha2:
        raise bad_input('Expected an ISO 3166-1 alpha-2 country code in upper case, like "AT".')
    return value


def parse_date(value: object) -> dt.date:
    """Return the day of a YYYY-MM-DD text (RFC 3339, full-date)."""
    match = _matched(_DATE, value, 'a date, like "2026-03-01"')
    with suppress(ValueError):
        date = dt.date.fromisoformat(match.group())
        if date not in {dt.date.min, dt.date.max}:
            return date
    raise bad_input("This date does not exist.")


def parse_datetime(value: object) -> dt.datetime:
    """Return the time of an RFC 3339 date-time, in UTC, cut to microseconds. An offset is required."""
    match = _matched(_DATE_TIME, value, 'an RFC 3339 date and time with an offset, like "2026-03-01T12:30:00Z"')
    date, minute, second, fraction, offset = match.groups()
    # RFC 3339 has leap seconds, Python does not: 23:59:60 is the start of the next day, as in PostgreSQL
    leap = second == "60"
    text = f"{date}T{minute}:{'59' if leap else second}{fraction or ''}{offset.upper()}"
    with suppress(ValueError, OverflowError):
        moment = dt.datetime.fromisoformat(text).astimezone(dt.UTC)
        # asyncpg stores Python's first and last moment as PostgreSQL's infinities, which DateTime cannot represent
        if not leap and moment.replace(tzinfo=None) not in {dt.datetime.min, dt.datetime.max}:
            return moment
        if (moment.hour, moment.minute) == (23, 59):
            return moment.replace(microsecond=0) + dt.timedelta(seconds=1)
    raise bad_input("This date and time does not exist.")


def format_datetime(moment: dt.datetime) -> str:
    """Return a time with a time zone as RFC 3339 text in UTC; a fraction has no trailing zeros, as in PostgreSQL."""
    text = moment.astimezone(dt.UTC).replace(tzinfo=None).isoformat()
    return (text.rstrip("0") if "." in text else text) + "Z"


def parse_id(value: object) -> str:
    """Return the lower-case dashed text of a UUID (RFC 9562), given with or without dashes."""
    text = _matched(_UUID, value, "an id: a UUID").group().lower()
    return text if len(text) == DASHED else str(uuid.UUID(text))


def parse_ip_address(value: object) -> str:
    """Return the canonical text of an IPv4 or IPv6 address (RFC 5952), without zone or prefix length."""
    expected = "an IPv4 or IPv6 address"
    with suppress(ValueError):
        return str(ipaddress.ip_address(_matched(_ADDRESS, value, expected).group()))
    raise bad_input(f"Expected {expected}.")


def parse_json(value: object, depth: int = 0) -> object:
    """Return a JSON value that the database and every client can store unchanged, of limited depth."""
    match value:
        case str() if UNSTORABLE.search(value):
            raise bad_input("JSON text must not contain NUL or unpaired surrogates.")
        case int() if abs(value) > limits.SAFE_INTEGER:
            raise bad_input("JSON integers must be within +-(2^53-1), so that every client reads them exactly.")
        case float() if not isfinite(value):
            raise bad_input("JSON numbers must be finite.")
        case list() | dict() if depth == limits.JSON_DEPTH:
            raise bad_input(f"JSON must not be nested deeper than {limits.JSON_DEPTH} levels.")
        case list():
            for item in value:
                parse_json(item, depth + 1)
        case dict():
            for name, item in value.items():
                parse_json(name, depth + 1)
                parse_json(item, depth + 1)
        case None | bool() | str() | int() | float():
            pass
        case _:
            raise bad_input("Expected a JSON value.")
    return value


def parse_url(value: object) -> str:
    """Return an absolute http or https URL of limited length, as it was given."""
    text = _matched(_URL_TEXT, value, f"a URL of at most {limits.URL} characters").group()
    with suppress(ValueError):
        parts = urlsplit(text)
        if parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
            return text
    raise bad_input("Expected an absolute http or https URL.")

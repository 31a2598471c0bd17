"""Values as databases export them to JSON: times, flags, numbers, sizes, and JSON in texts.

A function takes any JSON value, returns the Python value, and raises ValueError with a sentence for any other form. The
sentence does not repeat the value, which may be a secret in the wrong place.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from decimal import Decimal
from math import ceil
from typing import Final, TypeVar

import orjson

from service import limits
from service.credentials.foreign_hashes import is_supported
from service.errors import ApiError
from service.parsing import parse_country_code, parse_date, parse_id

T = TypeVar("T")

# A time that has no other record; the first moment that a Unix time can name
UNKNOWN_TIME: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECONDS: Final = 100_000_000_000  # Unix times from here on are in milliseconds: in seconds it is the year 5138
LAST_YEAR: Final = 9998  # PostgreSQL's infinity is Python's last moment

_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r" ?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_UNIX = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,9})?")
_WHOLE = re.compile(r"-?[0-9]{1,19}(?:\.0{1,9})?")
_NUMBER = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_SIZE = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?([kmgtp]?)(i?b)?")
_UNITS: Final = {
    "k": Decimal(1) / 1024,
    "m": Decimal(1),
    "g": Decimal(1024),
    "t": Decimal(1024**2),
    "p": Decimal(1024**3),
}
_BASE32 = re.compile(r"[A-Z2-7]{16,128}")
_BASE32_REST: Final = frozenset({1, 3, 6})  # characters after groups of 8 that are no whole bytes (RFC 4648, section 6)
_FLAGS: Final = {"0": False, "1": True, "f": False, "t": True, "false": False, "true": True}
_JSON_TEXT: Final = 1_048_576  # characters


def moment(value: object) -> dt.datetime | None:
    """Return a time in UTC: of an ISO 8601 text, without an offset in UTC, or of Unix seconds or milliseconds.

    MySQL's zero date means no time.
    """
    if isinstance(value, str):
        value = value.strip()
        if value.startswith("0000-00-00"):
            return None
        if not _UNIX.fullmatch(value):
            return _moment_of_text(value)
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("The value is not a time.")
    try:
        found = dt.datetime.fromtimestamp(value / 1000 if value >= MILLISECONDS else value, dt.UTC)
    except (OverflowError, ValueError, OSError):
        raise ValueError("This time does not exist.") from None
    return _in_range(found)


def _moment_of_text(text: str) -> dt.datetime:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("The value is not a time.")
    date, clock, fraction, offset = match.groups()
    try:
        found = dt.datetime.fromisoformat(f"{date}T{clock}.{(fraction or '0')[:6]:0<6}{offset or 'Z'}")
        return _in_range(found.astimezone(dt.UTC))
    except (OverflowError, ValueError):
        raise ValueError("This time does not exist.") from None


def _in_range(found: dt.datetime) -> dt.datetime:
    if not 1 < found.year <= LAST_YEAR:
        raise ValueError("This time does not exist.")
    return found


def flag(value: object) -> bool:
    """Return a boolean, which MySQL and SQLite write as 0 and 1."""
    if isinstance(value, bool):
        return value
    found = _FLAGS.get(str(value).strip().casefold()) if isinstance(value, int | str) else None
    if found is None:
        raise ValueError("The value is neither true nor false.")
    return found


def whole(value: object) -> int:
    """Return a whole number, which may be in a text."""
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError("The value is not a whole number.")
    return value


def limit(value: object) -> int:
    """Return a limit of a resource as a whole number."""
    return _as_limit(Decimal(whole(value)))


def cpu_percent(value: object) -> int:
    """Return a number of processor cores in percent of one core."""
    text = str(value).strip() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if not _NUMBER.fullmatch(text):
        raise ValueError("The value is not a number of cores.")
    return _as_limit(Decimal(text) * 100)


def mebibytes(value: object, unit: str = "m") -> int:
    """Return a size such as "5 GB", "2g", and "512M" in MiB, in steps of 1024. `unit` is that of a bare number."""
    text = str(value).strip().casefold() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError("The value is not a size.")
    number, prefix, byte = match.groups()
    factor = _UNITS["k"] / 1024 if byte and not prefix else _UNITS[prefix or unit]
    return _as_limit(Decimal(number) * factor)


def _as_limit(number: Decimal) -> int:
    found = ceil(number)  # not down to 0, which would allow nothing
    if not 0 <= found <= limits.INT32:
        raise ValueError(f"The value is not between 0 and {limits.INT32}.")
    return found


def json_of(value: object, form: type[T]) -> T:
    """Return a JSON array or object, which MariaDB and SQLite export as a text."""
    if isinstance(value, str) and len(value) <= _JSON_TEXT:
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise ValueError("The text is not JSON.") from None
    if not isinstance(value, form):
        raise ValueError("The value is not a JSON array." if form is list else "The value is not a JSON object.")
    return value


def names(value: object) -> list[str]:
    """Return a list of texts, such as names of permissions. The value is a JSON array."""
    return [item for item in json_of(value, list) if isinstance(item, str)]


def uuid(value: object) -> str:
    """Return a UUID with dashes, given with or without them."""
    return _parsed(parse_id, value, "The value is not a UUID.")


def country(value: object) -> str:
    """Return an ISO 3166-1 alpha-2 code. A name of a country is not a code, and neither are its first two letters."""
    code = value.strip().upper() if isinstance(value, str) else value
    return _parsed(parse_country_code, code, "The value is not an ISO 3166-1 alpha-2 code of a country.")


def date_of_birth(value: object) -> dt.date:
    """Return a day that a living person can be born on; a time of the day is ignored."""
    text = value.strip() if isinstance(value, str) else ""
    born = _parsed(parse_date, text[:10] if text[10:11] in {"", "T", " "} else "", "The value is not a date.")
    today = dt.datetime.now(dt.UTC).date()
    if born > today or today.year - born.year > limits.AGE:
        raise ValueError(f"The date is in the future, or more than {limits.AGE} years ago.")
    return born


def _parsed(parse: Callable[[object], T], value: object, message: str) -> T:
    try:
        return parse(value)
    except ApiError:
        raise ValueError(message) from None


def text(value: object) -> str | None:
    """Return a text without spaces around it; None for an empty one. The import applies the limits."""
    if not isinstance(value, str):
        raise ValueError("The value is not a text.")
    return value.strip() or None


def language(value: object) -> str | None:
    """Return a language tag; the underscore of a POSIX locale becomes a dash."""
    found = text(value)
    return None if found is None else found.replace("_", "-")


def password_hash(value: object) -> str:
    """Return a password hash whose form can be verified here."""
    if not isinstance(value, str) or not is_supported(value.strip()):
        raise ValueError("The form of the hash is not supported. The user must reset the password.")
    return value.strip()


def totp_secret(value: object) -> str:
    """Return the base32 secret of an authenticator app."""
    text = "".join(value.split()).rstrip("=").upper() if isinstance(value, str) and len(value) <= limits.NAME else ""
    if not _BASE32.fullmatch(text) or len(text) % 8 in _BASE32_REST:
        raise ValueError("The secret is not in base32.")
    return text

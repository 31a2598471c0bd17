"""Values as other databases export them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from service.moving.sources import values
from service.moving.sources.rows import UniqueNames

EXPECTED = dt.datetime(2026, 1, 31, 12, 30, 5, tzinfo=dt.UTC)
FRACTION = EXPECTED.replace(microsecond=123456)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-31 12:30:05", EXPECTED),  # MariaDB and SQLite, in UTC
        ("2026-01-31 12:30:05.000000", EXPECTED),  # MySQL
        ("2026-01-31T12:30:05.123456", FRACTION),  # PostgreSQL without a time zone
        ("2026-01-31T13:30:05.123456789+01:00", FRACTION),
        ("2026-01-31 07:00:05-05:30", EXPECTED),
        ("2026-01-31 13:30:05+01", EXPECTED),
        ("2026-01-31T12:30:05Z", EXPECTED),
        (1769862605, EXPECTED),
        ("1769862605", EXPECTED),
        (1769862605.5, EXPECTED.replace(microsecond=500000)),
        (1769862605000, EXPECTED),  # milliseconds
        ("1769862605000", EXPECTED),
        (0, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
        ("0000-00-00 00:00:00", None),
        ("0000-00-00 00:00:00.000000", None),
    ],
)
def test_a_time_is_read_in_every_form(value: Any, expected: dt.datetime | None) -> None:
    assert values.moment(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "yesterday",
            "2026-01-31",
            "2026-02-30 00:00:00",
            "2026-01-31 24:00:01",
            "31.01.2026 12:30:05",
            "infinity",
        ),
        *(True, [], {}, 1e308, -1e300, "9" * 15, "9999-12-31 23:59:59", "0001-01-01T00:00:00+14:00"),
        "2026-01-31 12:30:05; DROP TABLE users",
    ],
)
def test_what_is_not_a_time_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="time"):
        values.moment(value)


@pytest.mark.parametrize("value", [True, 1, "1", "true", "t", " TRUE "])
def test_true_is_read_in_every_form(value: Any) -> None:
    assert values.flag(value) is True


@pytest.mark.parametrize("value", [False, 0, "0", "false", "f"])
def test_false_is_read_in_every_form(value: Any) -> None:
    assert values.flag(value) is False


@pytest.mark.parametrize("value", [2, -1, "", "yes please", 1.0, None, [], {}])
def test_what_is_not_a_boolean_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="neither true nor false"):
        values.flag(value)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        ("5 GB", "g", 5120),
        ("10 GB", "g", 10240),
        ("2g", "g", 2048),
        ("512m", "g", 512),
        ("1.5G", "g", 1536),
        ("1TB", "g", 1_048_576),
        ("100 MiB", "g", 100),
        ("2048 k", "g", 2),
        ("1048577 B", "g", 2),  # upwards: a limit of 0 would allow nothing
        ("8", "g", 8192),
        (8, "g", 8192),
        ("8", "m", 8),
        ("0", "g", 0),
        ("0 GB", "g", 0),
    ],
)
def test_a_size_becomes_mebibytes(value: Any, unit: str, expected: int) -> None:
    assert values.mebibytes(value, unit) == expected


@pytest.mark.parametrize(
    "value", ["", "a lot", "-1 GB", "5 XB", "9999999999 TB", True, None, [], "5 GB 3", "1e9", "NaN"]
)
def test_what_is_not_a_size_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match=r"size|between"):
        values.mebibytes(value, "g")


@pytest.mark.parametrize(
    ("value", "expected"), [("2", 200), ("0.5", 50), (4, 400), (1.25, 125), ("0", 0), ("0.001", 1)]
)
def test_cores_become_percent(value: Any, expected: int) -> None:
    assert values.cpu_percent(value) == expected


@pytest.mark.parametrize("value", ["two", "", -1, "1e3", True, None, "99999999"])
def test_what_is_not_a_number_of_cores_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match=r"cores|between"):
        values.cpu_percent(value)


@pytest.mark.parametrize(("value", "expected"), [(3, 3), ("3", 3), (3.0, 3), ("3.000", 3), ("-4", -4), (2**60, 2**60)])
def test_a_whole_number_is_read(value: Any, expected: int) -> None:
    assert values.whole(value) == expected


@pytest.mark.parametrize("value", ["3.5", 3.5, "", "x", True, None, [], "1_000", "٣"])
def test_what_is_not_a_whole_number_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="whole number"):
        values.whole(value)


@pytest.mark.parametrize("value", [-1, 2**31, "-1"])
def test_a_limit_is_within_the_limits_of_the_service(value: Any) -> None:
    with pytest.raises(ValueError, match="between 0 and 2147483647"):
        values.limit(value)


@pytest.mark.parametrize("value", [["a"], '["a"]'])
def test_json_is_read_from_a_value_and_from_a_text(value: Any) -> None:
    assert values.json_of(value, list) == ["a"]


@pytest.mark.parametrize("value", ["", "[", "{}", 1, None, "[" * 100_000, "[]" + " " * 2_000_000])
def test_what_is_not_a_json_array_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        values.json_of(value, list)


def test_names_are_the_texts_of_a_list() -> None:
    assert values.names(["a", None, 3, ["b"], "c"]) == ["a", "c"]


def test_a_uuid_is_read_with_and_without_dashes() -> None:
    assert values.uuid("0B8F1C526A3E4C0D9A511F2D3C4B5A61") == "0b8f1c52-6a3e-4c0d-9a51-1f2d3c4b5a61"
    with pytest.raises(ValueError, match="UUID"):
        values.uuid("7")


@pytest.mark.parametrize("value", ["AT", "at", " At "])
def test_a_country_code_is_read_in_any_case(value: str) -> None:
    assert values.country(value) == "AT"


@pytest.mark.parametrize("value", ["Austria", "Australia", "AUT", "040", "XX", "", 40, None])
def test_a_name_of_a_country_is_not_a_code(value: Any) -> None:
    """EcliPanel took the first two letters, so that Austria became Australia."""
    with pytest.raises(ValueError, match="alpha-2"):
        values.country(value)


@pytest.mark.parametrize("value", ["1990-02-03", "1990-02-03T00:00:00.000Z", "1990-02-03 00:00:00"])
def test_a_date_of_birth_is_read(value: str) -> None:
    assert values.date_of_birth(value) == dt.date(1990, 2, 3)


@pytest.mark.parametrize(
    "value", ["1890-01-01", "2990-01-01", "1990-02-30", "3.2.1990", "", 631_152_000, None, "1990-02-03x"]
)
def test_a_date_that_cannot_be_one_of_birth_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="date"):
        values.date_of_birth(value)


def test_a_two_factor_secret_is_base32_in_any_spelling() -> None:
    assert values.totp_secret("jbsw y3dp ehpk 3pxp") == "JBSWY3DPEHPK3PXP"


@pytest.mark.parametrize(
    "value", ["", "JBSWY3DP", "JBSWY3DPEHPK3PX1", "JBSWY3DPEHPK3PXPJ", "A" * 1_000, None, [], "eyJpdiI6InNlY3JldCJ9"]
)
def test_what_is_not_a_two_factor_secret_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="base32"):
        values.totp_secret(value)


SECRET = "hunter2-hunter2"


@pytest.mark.parametrize(
    "convert",
    [
        *(values.moment, values.flag, values.whole, values.limit, values.cpu_percent, values.mebibytes, values.uuid),
        *(values.country, values.date_of_birth, values.password_hash, values.totp_secret),
        lambda value: values.json_of(value, dict),
    ],
)
def test_a_message_does_not_repeat_the_value(convert: Callable[[Any], Any]) -> None:
    for value in (SECRET, json.dumps([SECRET]), [SECRET]):
        with pytest.raises(ValueError, match=r"\.$") as caught:
            convert(value)
        assert SECRET not in str(caught.value)


def test_a_repeated_name_gets_a_number() -> None:
    names = UniqueNames(["ADMIN"])
    assert [names.next(name, 10) for name in ("Pro", "pro", "PRO", "Admin", "pro 2", "x" * 12, "x" * 12)] == [
        *("Pro", "pro 2", "PRO 3", "Admin 2", "pro 2 2", "x" * 10, "x" * 8 + " 2"),
    ]
    assert names.next("Pro", 10, scope="another") == "Pro"


def test_many_equal_names_take_linear_time() -> None:
    names = UniqueNames()
    found = {names.next("key", 31) for _ in range(50_000)}
    assert len(found) == 50_000

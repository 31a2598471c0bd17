"""What of a record is taken, what is left out, and what is never taken."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import orjson
import pytest

from service.credentials.encryption import Encryption
from service.credentials.tokens import TokenKind, new_token, visible_prefix
from service.identifiers import UsernamePolicy
from service.moving.batches import batches
from service.moving.checks import Item, Rules
from service.moving.records import ApiKeyRecord, PlanRecord, Record, SubuserRecord, UserRecord
from service.moving.report import Report
from tests.imports import HASH

NOW = dt.datetime(2026, 6, 1, tzinfo=dt.UTC)
ENCRYPTION = Encryption("dGVzdHMtdXNlLXRoaXMta2V5LWFuZC1ub3RoaW5nLWU=")
SECRET = new_token(TokenKind.API_KEY)


class Lines:
    """A report file in memory."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def write(self, line: bytes) -> None:
        self.reasons.append(orjson.loads(line)["reason"])


def checked(record: Record, *, allow_root: bool = False) -> tuple[Item | None, list[str]]:
    """Return the item of a record, None if it is not taken, and the reasons in the report."""
    lines: Any = Lines()
    rules = Rules(UsernamePolicy(), ENCRYPTION, allow_root, NOW)
    (batch,) = batches([record], Report(lines), rules)
    items = [item for _kind, found in batch for item in found]
    return (items[0] if items else None), lines.reasons


def user(**fields: Any) -> UserRecord:
    return UserRecord(key="7", email="ada@example.org", **fields)


def columns(record: Record) -> tuple[dict[str, Any], list[str]]:
    item, reasons = checked(record)
    assert item is not None
    return item.columns, reasons


@pytest.mark.parametrize("username", ["a.b-c", "müller", "a_very_long_name_of_another_system", "x"])
def test_a_username_outside_of_the_policy_is_kept_and_reported(username: str) -> None:
    found, reasons = columns(user(username=username))
    assert found["username"] == username
    assert [reason.endswith("It is kept.") for reason in reasons] == [True]


@pytest.mark.parametrize("username", ["ada@other.org", "ada\u200blice", "a\x00b", "x" * 192, "Admin", "SUPPORT"])
def test_a_username_that_could_mislead_is_left_out(username: str) -> None:
    found, reasons = columns(user(username=username))
    assert found["username"] is None
    assert len(reasons) == 1
    item, reasons = checked(UserRecord(key="7", username=username))
    assert (item, reasons[-1]) == (None, "The user has no username and no email address that can be used.")


def test_an_administrator_keeps_a_reserved_username() -> None:
    found, reasons = columns(user(username="admin", role="ADMIN"))
    assert (found["username"], reasons) == ("admin", [])
    assert columns(user(username="root", role="ROOT"))[0]["username"] is None, (
        "without --allow-root, this user gets USER"
    )


@pytest.mark.parametrize("email", ["ada@", "ada", "a" * 250 + "@example.org", "ada@example\x00.org"])
def test_an_email_address_that_is_not_valid_is_left_out(email: str) -> None:
    found, reasons = columns(UserRecord(key="7", username="ada", email=email, email_verified=True))
    assert (found["email"], found["email_verified"], len(reasons)) == (None, False, 1)


@pytest.mark.parametrize(
    ("password_hash", "supported"),
    [
        (HASH, True),
        ("$2y$31$" + "a" * 53, False),
        ("$1$salt$abcdefghijklmnopqrstuv", False),
        ("5f4dcc3b5aa765d61d8327deb882cf99", False),
        ("scrypt:1048576:8:1$salt$" + "ab" * 32, False),
    ],
)
def test_a_hash_is_taken_if_it_can_be_verified_at_an_acceptable_cost(password_hash: str, supported: bool) -> None:
    item, reasons = checked(user(password_hash=password_hash))
    assert item is not None
    assert item.beside["password"] == (password_hash if supported else None)
    assert len(reasons) == (not supported)
    assert all(password_hash not in reason for reason in reasons), "no hash is in a report"


@pytest.mark.parametrize(
    ("secret", "stored"),
    [
        ("jbsw y3dp ehpk 3pxp", "JBSWY3DPEHPK3PXP"),
        ("JBSWY3DPEHPK3PXP====", "JBSWY3DPEHPK3PXP"),
        ("JBSWY3DP", None),
        ("not base32!", None),
        ("A" * 300, None),
        ("Ä" * 16, None),
    ],
)
def test_a_two_factor_secret_is_encrypted(secret: str, stored: str | None) -> None:
    item, reasons = checked(user(two_factor_secret=secret))
    assert item is not None
    assert item.columns["two_factor_enabled"] is (stored is not None)
    found = item.beside["authenticator"]
    assert (None if found is None else ENCRYPTION.decrypt(found).decode()) == stored
    assert len(reasons) == (stored is None)
    assert all(secret not in reason for reason in reasons)


@pytest.mark.parametrize(
    ("field", "value", "column", "expected"),
    [
        ("first_name", "x" * 256, "first_name", None),
        ("first_name", " Ada\u00a0 ", "first_name", "Ada"),
        ("language", "german", "language", "en"),
        ("language", "de-at", "language", "de-AT"),
        ("tier", "GOLD", "tier", None),
        ("date_of_birth", dt.date(1815, 12, 10), "date_of_birth", None),
        ("billing_address", {"country": "Austria", "city": "Graz", "planet": "x"}, "billing_address", {"city": "Graz"}),
        ("settings", {"a": 2**60}, "settings", {}),
        ("settings", {"a": "x" * 20_000}, "settings", {}),
        ("settings", {"a": "\x00"}, "settings", {}),
        ("limits", {"servers": -1, "disk_mb": 2**31, "ports": 3, "x": 1}, "limit_overrides", {"ports": 3}),
        ("limits", {"servers": True}, "limit_overrides", {}),
        ("external_id", "x" * 256, "external_id", None),
        ("suspended_by", "someone", "suspended_by", None),
        ("created_at", dt.datetime(2030, 1, 1, tzinfo=dt.UTC), "created_at", NOW),
        ("created_at", dt.datetime(2020, 1, 1), "created_at", dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
    ],
)
def test_a_value_beyond_its_limit_is_left_out_and_reported(field: str, value: Any, column: str, expected: Any) -> None:
    given = {field: value} | ({"suspended_at": NOW} if field == "suspended_by" else {})
    found, reasons = columns(user(**given))
    assert found[column] == expected
    unchanged = field in {"first_name", "language", "created_at"} and expected not in {None, "en", NOW}
    assert bool(reasons) is not unchanged


def test_a_suspension_is_never_lost() -> None:
    future = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    found, _ = columns(user(suspended_at=future, suspended_reason="x" * 2000))
    assert (found["suspended_at"], found["suspended_reason"]) == (NOW, None)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (
            {"prefix": "ptlc_abcdefgh"},
            "The key has a form that this service does not accept. The user needs a new one.",
        ),
        ({"hash": b"short"}, "The key has a form that this service does not accept. The user needs a new one."),
        ({"allowed_ips": ("192.0.2.0/24", "everywhere")}, "allowed_ips are not networks."),
        ({"allowed_ips": tuple(f"10.0.{n}.0/24" for n in range(51))}, "A key may have at most 50 networks."),
        ({"expires_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)}, "The key has expired."),
        ({"expires_at": dt.datetime(1960, 1, 1, tzinfo=dt.UTC)}, "The key has expired."),
    ],
)
def test_an_api_key_never_gets_more_than_it_had(fields: dict[str, Any], reason: str) -> None:
    given: dict[str, Any] = {"prefix": visible_prefix(SECRET), "hash": hashlib.sha256(SECRET.encode()).digest()}
    item, _ = checked(ApiKeyRecord(key="1", user="7", name="k", **given))
    assert item is not None
    item, reasons = checked(ApiKeyRecord(key="1", user="7", name="k", **(given | fields)))
    assert item is None
    assert reasons[-1] == reason


def test_permissions_have_the_names_of_the_catalogue() -> None:
    names = ("control.start", "files.read", "control.start", "users.read", "*", "admin.*")
    found, reasons = columns(SubuserRecord(key="1", server="s", user="u", permissions=names))
    assert found["permissions"] == ["control.start", "file.read", "websocket.connect"]
    assert reasons == ["These permissions are not known, and left out: users.read, *, admin.*."]


def test_an_id_is_kept_if_it_is_a_uuid_and_a_new_one_begins_with_the_time_of_creation() -> None:
    kept, _ = columns(PlanRecord(key="1", name="Gold", id="0197D00000004000800000000000000A"))
    assert kept["id"] == "0197d000-0000-4000-8000-00000000000a"
    created = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    made, reasons = columns(PlanRecord(key="1", name="Gold", id="17", created_at=created))
    assert int(made["id"].replace("-", "")[:12], 16) == created.timestamp() * 1000
    assert reasons == ["id is not a UUID. The object gets a new one."]

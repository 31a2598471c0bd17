"""OpenPanel: its tables, exported by the commands of docs/moving.md from MariaDB and SQLite with OpenPanel's schema."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from service.credentials.foreign_hashes import parse
from service.moving.records import PlanRecord, UserRecord
from service.moving.sources.openpanel import suspension_of
from service.moving.sources.values import UNKNOWN_TIME
from tests.source_tables import exported, of, run

TABLES = exported("openpanel")
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_plans_have_numbers_and_0_means_no_limit() -> None:
    records, _reports = run("openpanel", TABLES)
    assert of(records, PlanRecord) == [
        PlanRecord(
            key="1",
            name="Standard plan",
            description="Small plan for testing",
            limits={"memory_mb": 2048, "disk_mb": 5120, "cpu_percent": 200, "websites": 10},
        ),
        PlanRecord(
            key="2",
            name="Developer Plus",
            description="4 cores, 6G ram",
            limits={"memory_mb": 6144, "disk_mb": 10240, "cpu_percent": 400, "websites": 10},
        ),
        PlanRecord(
            key="3",
            name="developer plus 2",
            description="the same name",
            limits={"memory_mb": 512, "cpu_percent": 50, "databases": 3, "domains": 5},
        ),
        PlanRecord(key="4", name="odd"),
    ]


def test_administrators_and_users() -> None:
    records, _reports = run("openpanel", TABLES)
    admin, user = TABLES["user"], TABLES["users"]
    assert of(records, UserRecord) == [
        UserRecord(
            key="user:1",
            username="stefan",
            role="ROOT",
            password_hash=admin[0]["password_hash"],
            two_factor_secret=SECRET,
        ),
        UserRecord(
            key="user:2",
            username="helper",
            role="ADMIN",
            suspended_at=UNKNOWN_TIME,
            password_hash=admin[1]["password_hash"],
            suspended_reason="Suspended in OpenPanel",
        ),
        # SECURITY: a reseller gets no rights over others
        UserRecord(key="user:3", username="reseller1", role="USER", password_hash=admin[2]["password_hash"]),
        UserRecord(
            key="1",
            username="bob",
            email="bob@hosting.example",
            plan="1",
            external_id="1",
            created_at=time("2024-01-02 03:04:05"),
            password_hash=user[0]["password"],
        ),
        UserRecord(
            key="2",
            username="xbob",
            email="xbob@hosting.example",
            plan="2",
            external_id="2",
            created_at=time("2024-01-02 03:04:06"),
            suspended_at=time("2026-01-31 12:00:00"),
            password_hash=user[1]["password"],
            two_factor_secret=SECRET,
            suspended_reason="Suspended in OpenPanel",
        ),
        UserRecord(
            key="3",
            username="carol",
            external_id="3",
            created_at=time("2024-01-02 03:04:07"),
            password_hash=user[2]["password"],
        ),
        UserRecord(
            key="4",
            username="bob2",
            email="bob2@hosting.example",
            plan="99",
            external_id="4",
            suspended_at=UNKNOWN_TIME,
            password_hash=user[3]["password"],
            suspended_reason="Suspended in OpenPanel",
        ),
    ]


def test_suspension_by_renaming_concerns_exactly_one_user() -> None:
    """OpenPanel matches the end of the name, so that a suspended xbob looks like a suspended bob."""
    records, _reports = run("openpanel", TABLES)
    found = {user.username: user.suspended_at is not None for user in of(records, UserRecord)}
    assert found == {
        "stefan": False,
        "helper": True,
        "reseller1": False,
        "bob": False,
        "xbob": True,
        "carol": False,
        "bob2": True,
    }


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SUSPENDED_20260131120000_bob", ("bob", time("2026-01-31 12:00:00"))),
        ("SUSPENDED_20260131120000_my_bob", ("my_bob", time("2026-01-31 12:00:00"))),
        ("SUSPENDED_20260131120000_SUSPENDED_20250131120000_bob", None),
        ("SUSPENDED_20261399999999_bob", ("bob", UNKNOWN_TIME)),
        ("SUSPENDED_00000000000000_bob", ("bob", UNKNOWN_TIME)),
        ("SUSPENDED_bob", ("SUSPENDED_bob", None)),
        ("SUSPENDED_2026_bob", ("SUSPENDED_2026_bob", None)),
        ("suspended_20260131120000_bob", ("suspended_20260131120000_bob", None)),
        ("xSUSPENDED_20260131120000_bob", ("xSUSPENDED_20260131120000_bob", None)),
        ("SUSPENDED_20260131120000_", ("SUSPENDED_20260131120000_", None)),
        (None, (None, None)),
        (["bob"], (["bob"], None)),
    ],
)
def test_the_username_is_restored_exactly(name: Any, expected: Any) -> None:
    if expected is None:  # of two marks, one is taken off
        expected = ("SUSPENDED_20250131120000_bob", time("2026-01-31 12:00:00"))
    assert suspension_of(name) == expected


def test_the_first_user_keeps_an_address_and_users_without_a_plan_are_kept() -> None:
    records, reports = run("openpanel", TABLES)
    by_name = {user.username: user for user in of(records, UserRecord)}
    assert TABLES["users"][2]["email"] == "BOB@hosting.example"
    assert (by_name["bob"].email, by_name["carol"].email) == ("bob@hosting.example", None)
    assert by_name["carol"].plan is None
    reason = "email: An earlier user has the same address. This user is imported without one."
    assert ("users", "3", reason, True) in reports


def test_what_is_not_taken_is_reported() -> None:
    _records, reports = run("openpanel", TABLES)
    assert [report for report in reports if not report[2].startswith("email")] == [
        ("plans", "3", "name: The name is taken or too long, so it was changed.", True),
        ("plans", "4", "disk_limit: The value is not a size.", True),
        ("user", "3", "role: There is no role of this kind here. The account is that of a user.", True),
        ("users", "2", "owner: Users do not belong to resellers here.", True),
        ("users", "3", "otp_secret: Until a new second factor is set up, the password alone is enough.", True),
    ]


def test_the_hashes_of_werkzeug_verify() -> None:
    for hashed in (TABLES["users"][0]["password"], TABLES["users"][1]["password"]):
        verify = parse(hashed)
        assert verify is not None
        assert verify(b"correct-horse-battery-42")
        assert not verify(b"correct-horse-battery-43")


@pytest.mark.parametrize("value", ["administrator", "ADMIN", None, 1, ["admin"], {}])
def test_an_unknown_role_gives_no_rights(value: Any) -> None:
    records, _reports = run("openpanel", {"user": [TABLES["user"][0] | {"role": value}]})
    assert of(records, UserRecord)[0].role == "USER"


@pytest.mark.parametrize("value", [0, "0", False, "broken", 7])
def test_an_administrator_is_active_only_if_the_table_says_so(value: Any) -> None:
    records, _reports = run("openpanel", {"user": [TABLES["user"][0] | {"is_active": value}]})
    assert of(records, UserRecord)[0].suspended_at == UNKNOWN_TIME

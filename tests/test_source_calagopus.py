"""Calagopus Panel: its tables, exported by the commands of docs/moving.md from PostgreSQL."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from service.credentials.ssh_keys import parse_public_key
from service.moving.records import RoleRecord, ServerRecord, SshKeyRecord, SubuserRecord, UserRecord
from service.moving.sources.ssh_keys import line_of_blob
from tests.source_tables import exported, of, run

TABLES = exported("calagopus")
ADMIN, NOTHING = (row["uuid"] for row in TABLES["roles"])
OWNER, HELPER, GONE = (row["uuid"] for row in TABLES["users"])
LOBBY, TWO = (row["uuid"] for row in TABLES["servers"])


def time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def user(**columns: Any) -> tuple[UserRecord, list[str]]:
    """Return the record of the third user with other columns, and the reasons that were reported."""
    records, reports = run("calagopus", {"users": [TABLES["users"][2] | {"totp_enabled": False} | columns]})
    return of(records, UserRecord)[0], [reason for _table, _key, reason, _taken in reports]


def test_a_role_has_the_permissions_with_a_counterpart_and_never_the_name_of_a_built_in_role() -> None:
    records, _reports = run("calagopus", TABLES)
    assert of(records, RoleRecord) == [
        RoleRecord(
            key=ADMIN,
            name="Admin 2",
            description="Support team",
            permissions=("users.read", "users.two-factor", "users.update"),
            require_two_factor=True,
        ),
        RoleRecord(key=NOTHING, name="Nothing"),
    ]


def test_users_with_their_roles_suspensions_and_second_factors() -> None:
    records, _reports = run("calagopus", TABLES)
    assert of(records, UserRecord) == [
        UserRecord(
            key=OWNER,
            id=OWNER,
            username="Owner_1",
            email="owner@cal.example",
            first_name="Ö",
            last_name="Wner",
            language="de",
            role="ADMIN",
            external_id="crm-1",
            created_at=time("2026-02-01T10:11:12.5"),
            password_hash=TABLES["users"][0]["password"],
            two_factor_secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        ),
        UserRecord(
            key=HELPER,
            id=HELPER,
            username="helper",
            email="helper@cal.example",
            first_name="Hel",
            last_name="Per",
            role=ADMIN,
            created_at=time("2026-02-02T10:11:12"),
        ),
        UserRecord(
            key=GONE,
            id=GONE,
            username="gone",
            email="gone@cal.example",
            first_name="Go",
            last_name="Ne",
            created_at=time("2026-02-03T10:11:12"),
            suspended_at=time("2026-02-03T10:11:12"),
            suspended_reason="Suspended in Calagopus",
            password_hash=TABLES["users"][2]["password"],
        ),
    ]


def test_keys_servers_and_subusers() -> None:
    records, _reports = run("calagopus", TABLES)
    [key] = of(records, SshKeyRecord)
    assert (key.user, key.name, key.created_at) == (OWNER, "laptop", time("2026-02-05T00:00:00"))
    assert parse_public_key(key.public_key).type == "ssh-ed25519"
    assert of(records, ServerRecord) == [
        ServerRecord(LOBBY, OWNER, 'Lobby \\ "1"', LOBBY, "srv-1", time("2026-03-01T00:00:00")),
        ServerRecord(TWO, HELPER, "Two", TWO, None, time("2026-03-01T00:00:01")),
    ]
    assert of(records, SubuserRecord) == [
        SubuserRecord(
            f"{LOBBY} {HELPER}", LOBBY, HELPER, ("user.read", "websocket.connect"), time("2026-03-02T00:00:00")
        ),
        SubuserRecord(
            f"{TWO} {OWNER}",
            TWO,
            OWNER,
            ("database.view_password", "settings.reinstall"),
            time("2026-03-02T00:00:01"),
        ),
    ]


def test_what_is_not_taken_is_reported() -> None:
    _records, reports = run("calagopus", TABLES)
    no_factor = "Until a new second factor is set up, the password alone is enough."
    assert [(table, reason, taken) for table, _key, reason, taken in reports] == [
        ("roles", "server_permissions: A role holds admin permissions only.", True),
        ("roles", "name: The name is taken or too long, so it was changed.", True),
        (
            "roles",
            "admin_permissions: These permissions have no counterpart: activity.read, nodes.read, users.email.",
            True,
        ),
        ("users", "role_uuid: A user has one role, which is ADMIN for a full administrator.", True),
        ("users", "frozen: An account cannot be frozen here. Its user can change it.", True),
        ("users", f"totp_secret: {no_factor}", True),
        ("user_ssh_keys", "public_key: The key is damaged: it does not begin with its type.", False),
        (
            "user_api_keys",
            "An API key of Calagopus has another form and a slow hash, and cannot be used here. "
            f"It belongs to the user {HELPER}.",
            False,
        ),
        (
            "user_security_keys",
            f"A passkey is bound to the address of the panel. {no_factor} It belongs to the user {OWNER}.",
            False,
        ),
        ("servers", "suspended: A server cannot be suspended here.", True),
        ("server_subusers", "permissions: These permissions have no counterpart: backups.update.", True),
        (
            "server_subusers",
            "ignored_files: Files cannot be hidden here, so the permissions on files are not taken.",
            True,
        ),
        ("server_subusers", "permissions: These permissions have no counterpart: startup.command.", True),
        ("server_subusers", "permissions: These permissions have no counterpart: mounts.attach.", True),
        ("server_subusers", "permissions: The subuser has no permission that exists here.", False),
    ]


def test_hidden_files_are_not_opened_by_an_import() -> None:
    row = TABLES["server_subusers"][0]
    assert {"files.read", "files.sftp"} <= set(row["permissions"])
    for hidden, expected in ((["*.env"], set()), ([], {"file.read", "file.sftp"})):
        records, _reports = run("calagopus", {"server_subusers": [row | {"ignored_files": hidden}]})
        [subuser] = of(records, SubuserRecord)
        assert {name for name in subuser.permissions if name.startswith("file.")} == expected


@pytest.mark.parametrize("value", [True, 1, "t", "broken", [], 7, {"a": 1}])
def test_a_suspension_is_not_lost_because_of_its_form(value: Any) -> None:
    found, _reasons = user(suspended=value, created=None)
    # An empty list counts as absent
    assert found.suspended_at == (None if value == [] else dt.datetime(1970, 1, 1, tzinfo=dt.UTC))


@pytest.mark.parametrize("value", [None, False, "broken", 7, [1], "yes"])
def test_a_broken_value_makes_no_administrator(value: Any) -> None:
    found, _reasons = user(admin=value)
    assert found.role == "USER"


def test_a_secret_that_was_never_confirmed_is_not_a_second_factor() -> None:
    found, reasons = user(totp_secret="KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU")
    assert (found.two_factor_secret, reasons) == (None, [])


@pytest.mark.parametrize("value", [None, "", "0", "xyz", "00", "ffffffff41", "0" * 40_000, 7])
def test_a_damaged_blob_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="The key is"):
        line_of_blob(value)


def test_a_blob_may_have_the_mark_of_postgresql() -> None:
    digits = TABLES["user_ssh_keys"][0]["public_key"]
    assert line_of_blob(f"\\x{digits}") == line_of_blob(digits)


@pytest.mark.parametrize("value", ["ADMIN", "ROOT", "STAFF"])
def test_an_id_of_a_role_is_not_the_name_of_a_built_in_role(value: str) -> None:
    found, reasons = user(role_uuid=value)
    assert (found.role, reasons) == ("USER", ["role_uuid: The value is not the id of a row."])

"""EcliPanel: its tables, exported by the commands of docs/moving.md from MariaDB."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest

from service.access.permissions import ADMIN as ADMIN_PERMISSIONS
from service.access.permissions import SERVER as SERVER_PERMISSIONS
from service.moving.records import PlanRecord, RoleRecord, ServerRecord, SshKeyRecord, SubuserRecord, UserRecord
from service.moving.sources import permission_names
from service.moving.sources.eclipanel_parts import is_encrypted
from tests.source_tables import exported, of, run

TABLES = exported("eclipanel")
SERVER, OTHER = (row["uuid"] for row in TABLES["server_config"])


def time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def user(**columns: Any) -> tuple[UserRecord, list[str]]:
    """Return the record of the third user with other columns, and the reasons that were reported."""
    records, reports = run("eclipanel", {"user": [TABLES["user"][2] | {"portalType": "free"} | columns]})
    return of(records, UserRecord)[0], [reason for _table, _key, reason, _taken in reports]


def test_plans_have_limits_and_one_is_the_default() -> None:
    records, _reports = run("eclipanel", TABLES)
    assert of(records, PlanRecord) == [
        PlanRecord(
            key="1",
            name="Free",
            description="Start here",
            is_default=True,
            limits={
                "memory_mb": 2048,
                "disk_mb": 10240,
                "cpu_percent": 100,
                "servers": 1,
                "databases": 1,
                "backups": 1,
                "ports": 2,
            },
        ),
        # Without a number, servers are not limited, and databases are not allowed
        PlanRecord(
            key="2",
            name="free 2",
            tier="EDUCATIONAL",
            limits={"memory_mb": 4096, "cpu_percent": 200, "databases": 0, "backups": 0, "ports": 1},
        ),
        PlanRecord(
            key="3",
            name="Mystery",
            limits={
                "memory_mb": 0,
                "disk_mb": 0,
                "cpu_percent": 0,
                "servers": 5,
                "databases": 2,
                "backups": 2,
                "ports": 1,
            },
        ),
    ]


def test_a_role_has_the_permissions_with_a_counterpart() -> None:
    records, _reports = run("eclipanel", TABLES)
    assert of(records, RoleRecord) == [
        RoleRecord(key="1", name="default"),
        RoleRecord(
            key="2",
            name="Admin 2",
            description="Looks after users",
            permissions=("roles.create", "roles.delete", "roles.read", "roles.update", "users.read", "users.suspend"),
        ),
    ]


def test_users() -> None:
    records, _reports = run("eclipanel", TABLES)
    hashes = [row["passwordHash"] for row in TABLES["user"]]
    assert of(records, UserRecord) == [
        UserRecord(
            key="1",
            email="root@ecli.example",
            email_verified=True,
            display_name="Root",
            language="de",
            tier="PAID",
            role="ROOT",
            date_of_birth=dt.date(1990, 2, 3),
            billing_address={"line1": "Main Street 1", "city": "Wien", "postal_code": "1010", "country": "AT"},
            settings={"theme": "dark", "locale": "de"},
            external_id="1",
            created_at=time("2024-01-02 03:04:05.123456"),
            last_login_at=time("2026-01-01 00:00:00"),
            password_hash=hashes[0],
            two_factor_secret="JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP",
        ),
        UserRecord(
            key="2",
            email="mila@ecli.example",
            first_name="Mila",
            last_name="Novak",
            tier="EDUCATIONAL",
            role="2",
            plan="2",
            limits={"memory_mb": 8192, "ports": 3},
            external_id="2",
            created_at=time("2024-02-02 03:04:05"),
            suspended_at=time("2024-02-02 03:04:05"),
            suspended_reason="Suspended in EcliPanel",
            password_hash=hashes[1],
        ),
        UserRecord(
            key="3",
            email="st@ecli.example",
            email_verified=True,
            first_name="Sta",
            last_name="Ff",
            role="STAFF",
            plan="1",
            date_of_birth=dt.date(1985, 5, 5),
            billing_address={"country": "AT"},
            external_id="3",
            created_at=time("2024-03-02 03:04:05"),
            password_hash=hashes[2],
        ),
    ]


def test_servers_subusers_and_ssh_keys() -> None:
    records, _reports = run("eclipanel", TABLES)
    name = 'Böse \\ "Quotes"\n2 lines'
    assert of(records, ServerRecord) == [
        ServerRecord(SERVER, "2", "Server 5ad36107", SERVER, None, time("2024-05-02 03:04:05")),
        ServerRecord(OTHER, "1", name, OTHER, None, time("2024-05-02 03:04:06")),
    ]
    first, everything = of(records, SubuserRecord)
    assert first == SubuserRecord(
        "1",
        SERVER,
        "1",
        ("control.console", "user.create", "user.delete", "user.read", "user.update", "websocket.connect"),
        time("2024-06-02 03:04:05"),
    )
    assert (everything.key, everything.permissions) == ("3", permission_names.ECLIPANEL_SERVER_ALL)
    assert [(key.user, key.name, key.public_key) for key in of(records, SshKeyRecord)] == [
        ("2", "home", TABLES["ssh_key"][0]["publicKey"]),
        ("2", "home 2", "ssh-dss AAAA"),  # the import checks lines
    ]


def test_what_is_not_taken_is_reported() -> None:
    _records, reports = run("eclipanel", TABLES)
    no_factor = "Until a new second factor is set up, the password alone is enough."
    assert [(f"{table} {key}", reason, taken) for table, key, reason, taken in reports] == [
        ("plan 2", "isDefault: One plan is the default: the first one for free accounts.", True),
        ("plan 2", "name: The name is taken or too long, so it was changed.", True),
        ("plan 3", "type: There is no tier of this name.", True),
        ("role 1", "permissions: These permissions have no counterpart: servers:read.", True),
        ("role 2", "name: The name is taken or too long, so it was changed.", True),
        ("role 2", "permissions: These permissions have no counterpart: *, tickets:read.", True),
        ("user_role 2", "A user has one role. The user 2 has another one already.", False),
        ("user 1", "firstName, lastName: EcliPanel encrypted these values with its own key.", True),
        (
            "user 1",
            "settings: Settings that are not of the front end, and keys for AI services, are not taken.",
            True,
        ),
        ("user 1", "role: A user has one role, which is ROOT for this one.", True),
        ("user 2", "pendingDeletionUntil: The user has asked for the deletion of the account.", True),
        ("user 2", "dateOfBirth: The date is in the future, or more than 122 years ago.", True),
        ("user 2", "billingCountry: The value is not an ISO 3166-1 alpha-2 code of a country.", True),
        ("user 2", "twoFactorSecret: The secret is not in base32.", True),
        ("user 2", f"twoFactorSecret: {no_factor}", True),
        ("user 3", "portalType: There is no tier of this name.", True),
        ("user 4", "deletedAt: The account was erased.", False),
        ("ssh_key 2", "name: The name is taken or too long, so it was changed.", True),
        (
            "api_key 1",
            "An API key of EcliPanel has another form, and was stored in clear text. Create a new one. "
            "It belongs to the user 2.",
            False,
        ),
        (
            "passkey 1",
            f"A passkey is bound to the address of the panel. {no_factor} It belongs to the user 3.",
            False,
        ),
        (f"server_config {SERVER}", "suspended: A server cannot be suspended here.", True),
        (
            f"server_config {SERVER}",
            "orgId: Organisations are not imported. The server belongs to its user alone.",
            True,
        ),
        ("server_subuser 1", "locked: Other subusers who manage subusers can remove this one.", True),
        ("server_subuser 1", "permissions: These permissions have no counterpart: mounts, stats.", True),
        ("server_subuser 2", "accepted: The user has not accepted the invitation.", False),
        ("server_subuser 4", "permissions: These permissions have no counterpart: stats.", True),
        ("server_subuser 4", "permissions: The subuser has no permission that exists here.", False),
    ]


def test_the_country_is_not_guessed_from_the_first_two_letters() -> None:
    assert TABLES["user"][1]["billingCountry"] == "Austria"
    found, reasons = user(billingCountry="Austria")
    assert "country" not in found.billing_address
    assert reasons == ["billingCountry: The value is not an ISO 3166-1 alpha-2 code of a country."]


def test_the_plan_is_that_of_the_latest_active_order() -> None:
    statuses = [(row["userId"], row["planId"], row["status"]) for row in TABLES["order"]]
    assert statuses == [*((2, 1, "active"), (2, 3, "expired"), (2, 2, "active"), (3, 1, "active"), (1, None, "active"))]
    for orders in (TABLES["order"], TABLES["order"][::-1]):
        records, _reports = run("eclipanel", TABLES | {"order": orders})
        assert {found.key: found.plan for found in of(records, UserRecord)} == {"1": None, "2": "2", "3": "1"}


def test_keys_for_other_services_are_not_copied() -> None:
    assert TABLES["user"][0]["settings"]["byoai"] == {"key": "sk-secret"}
    records, reports = run("eclipanel", TABLES)
    assert "sk-secret" not in f"{records} {reports}"


def test_a_key_in_clear_text_is_in_no_export_and_no_report() -> None:
    assert TABLES["api_key"] == [{"id": 1, "userId": 2}]


def nonce(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"{nonce(12)}:{nonce(16)}:{nonce(5)}", True),
        ("PQ1:abc:def:ghi:jkl", True),
        (f"{nonce(12)}:{nonce(16)}:{nonce(5)}:x", False),
        (f"{nonce(11)}:{nonce(16)}:{nonce(5)}", False),
        (f"{nonce(12)}:{nonce(16)}:Straße", False),
        ("Street: 5: left", False),
        ("", False),
        (None, False),
        (7, False),
    ],
)
def test_an_encrypted_value_is_recognized(value: Any, *, expected: bool) -> None:
    assert is_encrypted(value) is expected


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        *(("*", "ROOT"), ("rootAdmin", "ROOT"), ("admin", "ADMIN"), ("staff", "STAFF"), ("user", "USER")),
        *((None, "USER"), ("", "USER"), ("Admin", "USER"), ("ROOT", "USER"), (["admin"], "USER"), (1, "USER")),
    ],
)
def test_only_an_exact_name_gives_a_role(role: Any, expected: str) -> None:
    assert user(role=role)[0].role == expected


@pytest.mark.parametrize("value", [1, True, "1", "broken", 7])
def test_a_suspension_is_not_lost_because_of_its_form(value: Any) -> None:
    assert user(suspended=value)[0].suspended_at == time("2024-03-02 03:04:05")


def test_translated_permissions_are_in_the_catalogue() -> None:
    for found, known in (
        (permission_names.ECLIPANEL_SERVER, SERVER_PERMISSIONS),
        (permission_names.ECLIPANEL_ADMIN, ADMIN_PERMISSIONS),
        (permission_names.CALAGOPUS_ADMIN, ADMIN_PERMISSIONS),
    ):
        assert {name for names in found.values() for name in names} <= known
        assert all(found.values())
    assert set(permission_names.ECLIPANEL_SERVER_ALL) < SERVER_PERMISSIONS


def test_an_id_of_a_role_is_not_the_name_of_a_built_in_role() -> None:
    given = [{"id": 1, "userId": 3, "roleId": "ROOT"}]
    records, _reports = run("eclipanel", {"user": [TABLES["user"][2] | {"role": "user"}], "user_role": given})
    assert of(records, UserRecord)[0].role == "USER"

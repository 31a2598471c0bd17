"""The audit log: exactly one event for each change, in the change's own transaction, without secrets, for good."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.conftest import PASSWORD, Door, Person

NEW_PASSWORD = "a-quite-unusual-walrus-77"


async def latest(door: Door, *, after: str | None = None) -> list[dict[str, Any]]:
    """The events since an id, oldest first, as the table has them."""
    rows = await door.rows(
        "SELECT id, event, actor_id, credential, target_type, target_id, owner_id, changes, ip, request_id FROM "
        "audit_events WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id",
        after,
    )
    return [dict(row) for row in rows]


async def mark(door: Door) -> str:
    """The id of the latest event."""
    return str((await latest(door))[-1]["id"])


async def test_a_change_is_told_with_its_actor_target_and_old_and_new_values(
    door: Door, root: Person, alice: Person
) -> None:
    before = await mark(door)
    value = {"id": alice.id, "firstName": "Alice", "billingAddress": {"postalCode": "1010", "country": "AT"}}
    assert (await door.change("updateUser", value, "user { id }", by=root))["errors"] == []
    document = """{ auditEvents(first: 1) { nodes {
      event actor { username } impersonator { username } target { __typename id } targetId changes ip createdAt
    } } }"""
    found = await door.data(document, by=root)
    event = found["auditEvents"]["nodes"][0]
    assert event == {
        "event": "user.update",
        "actor": {"username": "root"},
        "impersonator": None,
        "target": {"__typename": "User", "id": alice.id},
        "targetId": alice.id,
        "changes": {
            "firstName": {"old": None, "new": "Alice"},
            "billingAddress": {"old": {}, "new": {"postalCode": "1010", "country": "AT"}},
        },
        "ip": "192.0.2.1",
        "createdAt": event["createdAt"],
    }
    (row,) = await latest(door, after=before)
    assert row["credential"].startswith("session:")
    assert row["request_id"]


async def test_an_event_names_the_api_key_of_its_change(door: Door, root: Person, alice: Person) -> None:
    key = await door.change(
        "createApiKey", {"name": "billing", "permissions": ["users.update"]}, "secret apiKey { id }", by=root
    )
    await door.change("updateUser", {"id": alice.id, "lastName": "Liddell"}, "user { id }", by=key["secret"])
    found = await door.data("{ auditEvents(first: 1) { nodes { event credential actor { username } } } }", by=root)
    assert found["auditEvents"]["nodes"] == [
        {"event": "user.update", "credential": f"api-key:{key['apiKey']['id']}", "actor": {"username": "root"}}
    ]


async def test_every_mutation_adds_exactly_one_event(door: Door, root: Person, alice: Person, bob: Person) -> None:
    async def change(field: str, value: dict[str, Any], selection: str, by: Person) -> Any:
        before = await mark(door)
        payload = await door.change(field, value, selection, by=by)
        assert payload["errors"] == []
        rows = await latest(door, after=before)
        told.append([(row["event"], row["target_type"], row["actor_id"] == by.id, set(row["changes"])) for row in rows])
        return payload

    told: list[list[tuple[str, str, bool, set[str]]]] = []
    role = (await change("createRole", {"name": "helpers", "permissions": []}, "role { id }", root))["role"]["id"]
    await change("updateRole", {"id": role, "permissions": ["users.read"]}, "role { id }", root)
    await change("deleteRole", {"id": role}, "deletedId", root)
    plan = (await change("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", root))["plan"]["id"]
    await change("updatePlan", {"id": plan, "limits": {"ports": 3}}, "plan { id }", root)
    await change("changePlan", {"userId": alice.id, "planId": plan}, "user { id }", root)
    bronze = (await change("createPlan", {"name": "bronze", "tier": "FREE"}, "plan { id }", root))["plan"]["id"]
    await change("deletePlan", {"id": bronze}, "deletedId", root)
    await change("setPassword", {"userId": alice.id, "password": NEW_PASSWORD}, "user { id }", root)
    await change("suspendUser", {"id": alice.id, "reason": "spam"}, "user { id }", root)
    await change("unsuspendUser", {"id": alice.id}, "user { id }", root)
    await change("deleteUser", {"id": alice.id}, "deletedId", root)
    await change("updateProfile", {"displayName": "Bobby"}, "user { id }", bob)
    await change("updateSettings", {"patch": {"theme": "dark"}}, "user { id }", bob)
    await change("changePassword", {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}, "user { id }", bob)
    role_made = {"id", "name", "builtin", "permissions", "requireTwoFactor", "createdAt"}
    plan_made = {"id", "name", "tier", "isDefault", "limits", "createdAt"}
    person = {"id", "username", "email", "emailVerified", "language", "tier", "roleId", "planId", "billingAddress"}
    person |= {"settings", "limitOverrides", "twoFactorEnabled", "createdAt"}
    assert told == [
        [("role.create", "Role", True, role_made)],
        [("role.update", "Role", True, {"permissions"})],
        [("role.delete", "Role", True, role_made)],
        [("plan.create", "Plan", True, plan_made)],
        [("plan.update", "Plan", True, {"limits"})],
        [("user.plan", "User", True, {"planId", "tier"})],
        [("plan.create", "Plan", True, plan_made)],
        [("plan.delete", "Plan", True, plan_made)],
        [("user.password", "User", True, {"password"})],
        [("user.suspend", "User", True, {"suspendedAt", "suspendedReason", "suspendedBy"})],
        [("user.unsuspend", "User", True, {"suspendedAt", "suspendedReason", "suspendedBy"})],
        [("user.delete", "User", True, person)],
        [("user.profile", "User", True, {"displayName"})],
        [("user.settings", "User", True, {"settings"})],
        [("user.password", "User", True, {"password"})],
    ]


async def test_a_refused_or_empty_change_adds_no_event(door: Door, root: Person, bob: Person) -> None:
    plan = await door.change("createPlan", {"name": "gold", "tier": "FREE"}, "plan { id }", by=root)
    role = await door.change("createRole", {"name": "helpers", "permissions": []}, "role { id }", by=root)
    await door.change("changePlan", {"userId": bob.id, "planName": "gold"}, "user { id }", by=root)
    await door.change("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=root)
    await door.change("updateProfile", {"displayName": "Boss"}, "user { id }", by=root)
    plan_id, role_id = plan["plan"]["id"], role["role"]["id"]
    before = await mark(door)
    for field, value, refused in (
        ("createUser", {"username": "bob"}, True),
        ("createUser", {"username": "x"}, True),
        ("updateUser", {"id": bob.id, "username": "alice"}, True),
        ("updateUser", {"id": bob.id, "version": 99, "firstName": "B"}, True),
        ("updateUser", {"id": bob.id}, False),
        ("updateUser", {"id": bob.id, "username": "bob", "firstName": None, "tier": "FREE"}, False),
        ("suspendUser", {"id": root.id}, True),
        ("suspendUser", {"id": bob.id, "reason": "spam"}, False),
        ("changePlan", {"userId": bob.id, "planName": "gold"}, False),
        ("changePlan", {"userId": bob.id, "planName": "none"}, True),
        ("setPassword", {"userId": bob.id, "password": "12345678"}, True),
        ("deleteUser", {"id": root.id}, True),
        ("createPlan", {"name": "GOLD", "tier": "PAID"}, True),
        ("updatePlan", {"id": plan_id, "tier": "FREE", "limits": {}}, False),
        ("deletePlan", {"id": plan_id}, True),
        ("createRole", {"name": "root", "permissions": []}, True),
        ("updateRole", {"id": role_id, "name": "helpers", "permissions": []}, False),
        ("updateProfile", {"displayName": "Boss"}, False),
        ("updateSettings", {"patch": {"theme": None}}, False),
        ("updateSettings", {"patch": 3}, True),
        ("changePassword", {"currentPassword": "wrong-wrong-wrong", "newPassword": NEW_PASSWORD}, True),
    ):
        payload = await door.change(field, value, "__typename", by=root)
        assert (field, value, payload["errors"] != []) == (field, value, refused)
    assert await latest(door, after=before) == []


async def test_a_change_whose_event_cannot_be_written_does_not_happen(door: Door, root: Person, bob: Person) -> None:
    await door.rows("ALTER TABLE audit_events ADD CONSTRAINT probe CHECK (event <> 'user.update') NOT VALID")
    document = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) { errors { code } } }"
    answer = await door.ask(document, {"input": {"id": bob.id, "firstName": "Robert"}}, by=root)
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"
    found = await door.data("query ($id: ID!) { user(by: {id: $id}) { firstName version } }", {"id": bob.id}, by=root)
    assert found == {"user": {"firstName": None, "version": 1}}


async def test_an_event_has_the_transaction_of_its_change(door: Door, root: Person, bob: Person) -> None:
    await door.change("updateUser", {"id": bob.id, "firstName": "Robert"}, "user { id }", by=root)
    (row,) = await door.rows(
        "SELECT users.xmin = audit_events.xmin AS same FROM users JOIN audit_events ON target_id = users.id "
        "WHERE users.id = $1 AND event = 'user.update'",
        bob.id,
    )
    assert row["same"] is True


async def test_no_password_hash_or_token_is_in_the_log(door: Door, root: Person, bob: Person) -> None:
    made = await door.change(
        "createUser", {"username": "carol", "password": NEW_PASSWORD, "idempotencyKey": "k-1"}, "user { id }", by=root
    )
    carol = made["user"]["id"]
    login = await door.change("login", {"login": "carol", "password": NEW_PASSWORD}, "token")
    key = await door.change("createApiKey", {"name": "k"}, "secret", by=login["token"])
    await door.change("updateUser", {"id": carol, "password": PASSWORD}, "user { id }", by=root)
    await door.change("setPassword", {"userId": carol, "password": NEW_PASSWORD}, "user { id }", by=root)
    await door.change("updateUser", {"id": carol, "password": None}, "user { id }", by=root)
    await door.change(
        "changePassword", {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}, "user { id }", by=bob
    )
    rows = await door.rows("SELECT event, changes, audit_events::text AS whole FROM audit_events ORDER BY id")
    log = "\n".join(row["whole"] for row in rows)
    hashes = [row["password_hash"] for row in await door.rows("SELECT password_hash FROM credentials")]
    for secret in (PASSWORD, NEW_PASSWORD, login["token"], key["secret"], "$argon2", *hashes):
        assert secret not in log
    for table in ("session_tokens", "api_key_secrets"):
        for row in await door.rows(f"SELECT encode(hash, 'hex') AS hash FROM {table}"):  # noqa: S608
            assert row["hash"] not in log
    redacted = {"old": "[redacted]", "new": "[redacted]"}
    told = [(row["event"], row["changes"].get("password")) for row in rows[-7:]]
    assert told == [
        ("user.create", {"old": None, "new": "[redacted]"}),
        ("session.create", None),
        ("api-key.create", None),
        ("user.update", redacted),
        ("user.password", redacted),
        ("user.update", redacted),
        ("user.password", redacted),
    ]


async def test_each_mutation_of_a_document_has_its_own_event(door: Door, root: Person, bob: Person) -> None:
    before = await mark(door)
    document = """mutation ($id: ID!) {
      a: updateUser(input: {id: $id, firstName: "A"}) { errors { code } }
      b: updateUser(input: {id: $id, username: "alice"}) { errors { code } }
      c: updateUser(input: {id: $id, firstName: "C"}) { errors { code } }
    }"""
    answer = await door.data(document, {"id": bob.id}, by=root)
    assert answer == {"a": {"errors": []}, "b": {"errors": [{"code": "TAKEN"}]}, "c": {"errors": []}}
    rows = await latest(door, after=before)
    assert [row["changes"]["firstName"] for row in rows] == [{"old": None, "new": "A"}, {"old": "A", "new": "C"}]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET event = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_database_refuses_to_rewrite_the_log(door: Door, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await door.rows(statement)

"""The audit log: exactly one event per change, in the same transaction, without secrets, and never changed."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from service.clean_up import clean_up
from tests.conftest import PASSWORD, Client, Person

NEW_PASSWORD = "a-quite-unusual-walrus-77"
REDACTED = {"old": "[redacted]", "new": "[redacted]"}


async def events(client: Client, *, after: str | None = None) -> list[dict[str, Any]]:
    """Return the events after an id, oldest first, as the table has them."""
    rows = await client.rows(
        "SELECT id, event, actor_id, credential, target_type, target_id, owner_id, changes, ip, request_id FROM "
        "audit_events WHERE $1::uuid IS NULL OR id > $1::uuid ORDER BY id",
        after,
    )
    return [dict(row) for row in rows]


async def latest_id(client: Client) -> str:
    """Return the id of the latest event."""
    return str((await events(client))[-1]["id"])


async def test_an_event_has_the_actor_the_target_and_the_old_and_new_values(
    client: Client, root: Person, alice: Person
) -> None:
    before = await latest_id(client)
    value = {"id": alice.id, "firstName": "Alice", "billingAddress": {"postalCode": "1010", "country": "AT"}}
    assert (await client.mutate("updateUser", value, "user { id }", by=root))["errors"] == []
    document = """{ auditEvents(first: 1) { nodes {
      event actor { username } actorId impersonator { username } target { __typename id } targetId targetType
      changes ip createdAt
    } } }"""
    found = await client.data(document, by=root)
    event = found["auditEvents"]["nodes"][0]
    assert event == {
        "event": "user.update",
        "actor": {"username": "root"},
        "actorId": root.id,
        "impersonator": None,
        "target": {"__typename": "User", "id": alice.id},
        "targetId": alice.id,
        "targetType": "User",
        "changes": {
            "firstName": {"old": None, "new": "Alice"},
            "billingAddress": {"old": {}, "new": {"postalCode": "1010", "country": "AT"}},
        },
        "ip": "192.0.2.1",
        "createdAt": event["createdAt"],
    }
    (row,) = await events(client, after=before)
    assert row["credential"].startswith("session:")
    assert row["request_id"]


async def test_an_event_names_the_api_key_that_was_used(client: Client, root: Person, alice: Person) -> None:
    key = await client.mutate(
        "createApiKey", {"name": "billing", "permissions": ["users.update"]}, "secret apiKey { id }", by=root
    )
    await client.mutate("updateUser", {"id": alice.id, "lastName": "Liddell"}, "user { id }", by=key["secret"])
    found = await client.data("{ auditEvents(first: 1) { nodes { event credential actor { username } } } }", by=root)
    assert found["auditEvents"]["nodes"] == [
        {"event": "user.update", "credential": f"api-key:{key['apiKey']['id']}", "actor": {"username": "root"}}
    ]


async def test_every_mutation_adds_exactly_one_event(client: Client, root: Person, alice: Person, bob: Person) -> None:
    async def change(field: str, value: dict[str, Any], selection: str, by: Person) -> Any:
        before = await latest_id(client)
        payload = await client.mutate(field, value, selection, by=by)
        assert payload["errors"] == []
        found.extend(
            (row["event"], row["target_type"], row["actor_id"] == by.id, set(row["changes"]))
            for row in await events(client, after=before)
        )
        return payload

    found: list[tuple[str, str, bool, set[str]]] = []
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
    role_columns = {"name", "builtin", "permissions", "requireTwoFactor"}
    plan_columns = {"name", "tier", "isDefault"}
    user_columns = {"username", "email", "emailVerified", "language", "tier", "roleId", "planId", "twoFactorEnabled"}
    assert found == [
        ("role.create", "Role", True, role_columns - {"permissions"}),
        ("role.update", "Role", True, {"permissions"}),
        ("role.delete", "Role", True, role_columns),
        ("plan.create", "Plan", True, plan_columns),
        ("plan.update", "Plan", True, {"limits"}),
        ("user.plan", "User", True, {"planId", "tier"}),
        ("plan.create", "Plan", True, plan_columns),
        ("plan.delete", "Plan", True, plan_columns),
        ("user.password", "User", True, {"password"}),
        ("user.suspend", "User", True, {"suspendedAt", "suspendedReason", "suspendedBy"}),
        ("user.unsuspend", "User", True, {"suspendedAt", "suspendedReason", "suspendedBy"}),
        ("user.delete", "User", True, user_columns | {"sessions", "wallets"}),
        ("user.profile", "User", True, {"displayName"}),
        ("user.settings", "User", True, {"settings"}),
        ("user.password", "User", True, {"password"}),
    ]


async def test_a_rejected_or_empty_change_adds_no_event(client: Client, root: Person, bob: Person) -> None:
    plan = await client.mutate("createPlan", {"name": "gold", "tier": "FREE"}, "plan { id }", by=root)
    role = await client.mutate("createRole", {"name": "helpers", "permissions": []}, "role { id }", by=root)
    await client.mutate("changePlan", {"userId": bob.id, "planName": "gold"}, "user { id }", by=root)
    await client.mutate("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=root)
    await client.mutate("updateProfile", {"displayName": "Boss"}, "user { id }", by=root)
    plan_id, role_id = plan["plan"]["id"], role["role"]["id"]
    before = await latest_id(client)
    for field, value, rejected in (
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
        payload = await client.mutate(field, value, "__typename", by=root)
        assert (field, value, payload["errors"] != []) == (field, value, rejected)
    assert await events(client, after=before) == []


async def test_a_change_does_not_happen_if_its_event_cannot_be_written(
    client: Client, root: Person, bob: Person
) -> None:
    await client.rows("ALTER TABLE audit_events ADD CONSTRAINT probe CHECK (event <> 'user.update') NOT VALID")
    document = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) { errors { code } } }"
    answer = await client.execute(document, {"input": {"id": bob.id, "firstName": "Robert"}}, by=root)
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"
    found = await client.data("query ($id: ID!) { user(by: {id: $id}) { firstName version } }", {"id": bob.id}, by=root)
    assert found == {"user": {"firstName": None, "version": 1}}


async def test_an_event_has_the_transaction_of_its_change(client: Client, root: Person, bob: Person) -> None:
    await client.mutate("updateUser", {"id": bob.id, "firstName": "Robert"}, "user { id }", by=root)
    (row,) = await client.rows(
        "SELECT users.xmin = audit_events.xmin AS same FROM users JOIN audit_events ON target_id = users.id "
        "WHERE users.id = $1 AND event = 'user.update'",
        bob.id,
    )
    assert row["same"] is True


async def test_no_password_hash_or_token_is_in_the_log(client: Client, root: Person, bob: Person) -> None:
    created = await client.mutate(
        "createUser", {"username": "carol", "password": NEW_PASSWORD, "idempotencyKey": "k-1"}, "user { id }", by=root
    )
    carol = created["user"]["id"]
    login = await client.mutate("login", {"login": "carol", "password": NEW_PASSWORD}, "token")
    key = await client.mutate("createApiKey", {"name": "k"}, "secret", by=login["token"])
    await client.mutate("updateUser", {"id": carol, "password": PASSWORD}, "user { id }", by=root)
    await client.mutate("setPassword", {"userId": carol, "password": NEW_PASSWORD}, "user { id }", by=root)
    await client.mutate("updateUser", {"id": carol, "password": None}, "user { id }", by=root)
    await client.mutate(
        "changePassword", {"currentPassword": PASSWORD, "newPassword": NEW_PASSWORD}, "user { id }", by=bob
    )
    rows = await client.rows("SELECT event, changes, audit_events::text AS whole FROM audit_events ORDER BY id")
    log = "\n".join(row["whole"] for row in rows)
    hashes = [row["password_hash"] for row in await client.rows("SELECT password_hash FROM credentials")]
    for secret in (PASSWORD, NEW_PASSWORD, login["token"], key["secret"], "$argon2", *hashes):
        assert secret not in log
    for table in ("session_tokens", "api_key_secrets"):
        for row in await client.rows(f"SELECT encode(hash, 'hex') AS hash FROM {table}"):  # noqa: S608
            assert row["hash"] not in log
    assert [(row["event"], row["changes"].get("password")) for row in rows[-7:]] == [
        ("user.create", {"old": None, "new": "[redacted]"}),
        ("session.create", None),
        ("api-key.create", None),
        ("user.update", REDACTED),
        ("user.password", REDACTED),
        ("user.update", REDACTED),
        ("user.password", REDACTED),
    ]


async def test_each_mutation_of_a_document_has_its_own_event(client: Client, root: Person, bob: Person) -> None:
    before = await latest_id(client)
    document = """mutation ($id: ID!) {
      a: updateUser(input: {id: $id, firstName: "A"}) { errors { code } }
      b: updateUser(input: {id: $id, username: "alice"}) { errors { code } }
      c: updateUser(input: {id: $id, firstName: "C"}) { errors { code } }
    }"""
    answer = await client.data(document, {"id": bob.id}, by=root)
    assert answer == {"a": {"errors": []}, "b": {"errors": [{"code": "TAKEN"}]}, "c": {"errors": []}}
    rows = await events(client, after=before)
    assert [row["changes"]["firstName"] for row in rows] == [{"old": None, "new": "A"}, {"old": "A", "new": "C"}]


async def test_only_the_members_of_the_settings_that_differ_are_logged(client: Client, bob: Person) -> None:
    many = {f"key{number}": "x" * 100 for number in range(100)}
    await client.mutate("updateSettings", {"patch": many}, "user { id }", by=bob)
    before = await latest_id(client)
    await client.mutate("updateSettings", {"patch": {"key1": None, "key2": "y", "new": 1}}, "user { id }", by=bob)
    (row,) = await events(client, after=before)
    old, new = {"key1": "x" * 100, "key2": "x" * 100}, {"key2": "y", "new": 1}
    assert row["changes"] == {"settings": {"old": old, "new": new}}


async def test_the_deletion_of_a_user_tells_what_is_deleted_with_it(client: Client, root: Person, bob: Person) -> None:
    key = await client.mutate("createApiKey", {"name": "k"}, "apiKey { id }", by=bob)
    server = await client.mutate("createServer", {"name": "s", "ownerId": bob.id}, "server { id }", by=root)
    before = await latest_id(client)
    gone = await client.mutate("deleteUser", {"id": bob.id, "cascade": True}, "deletedId", by=root)
    assert gone["errors"] == []
    (row,) = await events(client, after=before)
    assert row["changes"]["apiKeys"] == {"old": [key["apiKey"]["id"]], "new": None}
    assert row["changes"]["servers"] == {"old": [server["server"]["id"]], "new": None}
    assert len(row["changes"]["sessions"]["old"]) == 1


async def test_the_deletion_of_an_administrator_changes_no_suspended_user(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    await client.mutate("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=admin)
    read = """query ($id: ID!) {
      user(by: {id: $id}) { version suspension { reason by { username } } }
      auditEvents(first: 1, filter: {event: ["user.suspend"]}) { nodes { actor { username } actorId } }
    }"""
    before = await client.data(read, {"id": bob.id}, by=root)
    assert before["user"]["suspension"]["by"] == {"username": "adam"}
    await client.mutate("deleteUser", {"id": admin.id}, "deletedId", by=root)
    after = await client.data(read, {"id": bob.id}, by=root)
    assert after["user"] == {"version": before["user"]["version"], "suspension": {"reason": "spam", "by": None}}
    assert after["auditEvents"]["nodes"] == [{"actor": None, "actorId": admin.id}]


async def test_a_clean_up_has_an_event_that_counts_what_it_deleted(client: Client, root: Person, bob: Person) -> None:
    await client.rows("UPDATE sessions SET ended_at = now() - interval '31 days' WHERE user_id = $1", bob.id)
    before = await latest_id(client)
    await clean_up(client.resources.database)
    (row,) = await events(client, after=before)
    assert (row["event"], row["credential"], row["actor_id"]) == ("service.clean-up", "job:clean-up", None)
    assert row["changes"] == {"sessions": {"old": 1, "new": 0}}
    found = await client.data("{ auditEvents(first: 1) { nodes { changes target { id } targetType } } }", by=root)
    assert found["auditEvents"]["nodes"] == [{"changes": row["changes"], "target": None, "targetType": None}]


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET event = 'x'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_database_rejects_changes_of_the_log(client: Client, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await client.rows(statement)

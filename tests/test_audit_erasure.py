"""The audit log after an erasure: what happened stays, under a pseudonym, and nothing else can change an event."""

from __future__ import annotations

import asyncpg
import pytest

from service import clean_up as module
from tests.conftest import Client, Person
from tests.leaving import erased, run_job, tables_with

EVENTS = "SELECT * FROM audit_events WHERE $1 IN (actor_id, owner_id, target_id, impersonator_id) ORDER BY id"


async def test_many_events_are_erased_in_small_steps_and_each_once(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    await client.rows(
        "INSERT INTO audit_events (event, actor_id, owner_id, target_id, ip, request_id, changes) "
        "SELECT 'user.profile', $1, $1, $1, '203.0.113.77', 'request-' || n, "
        "jsonb_build_object('firstName', jsonb_build_object('old', NULL, 'new', 'marker-' || n)) "
        "FROM generate_series(1, 95) AS n",
        alice.id,
    )
    await erased(client, alice)
    assert await tables_with(client, "marker-", "203.0.113.77", "request-") == {}
    counts = await client.rows("SELECT changes FROM audit_events WHERE changes ? 'erasedEvents' ORDER BY id")
    found = [row["changes"]["erasedEvents"]["old"] for row in counts]
    linked = len(await client.rows(EVENTS, alice.id))
    assert (max(found), sum(found)) == (10, linked)


async def test_the_audit_log_keeps_what_happened_under_a_pseudonym(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await client.mutate("updateProfile", {"firstName": "Marker-one"}, "", by=alice)
    await client.mutate("updateUser", {"id": alice.id, "roleName": "STAFF", "tier": "PAID"}, "", by=root)
    await client.mutate("updateProfile", {"firstName": "Robert"}, "", by=bob)
    before = {row["id"]: dict(row) for row in await client.rows("SELECT * FROM audit_events")}
    await erased(client, alice)
    after = {row["id"]: dict(row) for row in await client.rows("SELECT * FROM audit_events")}
    assert before.keys() <= after.keys()
    same = ("event", "actor_id", "impersonator_id", "credential", "target_type", "target_id", "owner_id", "created_at")
    for event_id, row in before.items():
        assert [row[name] for name in same] == [after[event_id][name] for name in same]
        if alice.id not in {row["actor_id"], row["owner_id"], row["target_id"]}:
            assert after[event_id] == row, "the events of others stay as they were"
    by_event = {row["event"]: row for row in after.values() if row["target_id"] == alice.id}
    assert by_event["user.profile"]["changes"] == {"firstName": {"old": None, "new": "[erased]"}}
    assert by_event["user.profile"]["ip"] is None
    update = by_event["user.update"]
    assert update["changes"]["tier"] == {"old": "FREE", "new": "PAID"}
    assert update["changes"]["roleId"]["new"].startswith("00000000-0000-7000-8000-")
    assert update["ip"] == "192.0.2.1", "that of the administrator"
    erase = by_event["user.erase"]
    assert (erase["credential"], erase["actor_id"], erase["owner_id"]) == ("job:clean-up", None, alice.id)
    assert erase["changes"]["sessions"]["new"] is None


async def test_an_administrators_deletion_is_erased_from_the_log_after_the_same_days(
    client: Client, root: Person, alice: Person
) -> None:
    await client.mutate("updateProfile", {"firstName": "Marker-one"}, "", by=alice)
    await client.mutate("deleteUser", {"id": alice.id}, "", by=root)
    await run_job(client)
    [event] = await client.rows("SELECT changes FROM audit_events WHERE event = 'user.delete'")
    assert event["changes"]["firstName"] == {"old": "Marker-one", "new": None}, "to undo a mistake"
    await client.rows("UPDATE erasures SET deleted_at = now() - interval '14 days' + interval '1 minute'")
    await run_job(client)
    assert await tables_with(client, "Marker-one") == {"Marker-one": ["audit_events"]}
    await client.rows("UPDATE erasures SET deleted_at = now() - interval '14 days'")
    await run_job(client)
    assert await tables_with(client, "Marker-one", "alice") == {}


async def test_a_user_who_was_restored_with_the_same_id_keeps_the_log(
    client: Client, root: Person, alice: Person
) -> None:
    await client.mutate("deleteUser", {"id": alice.id}, "", by=root)
    await client.rows("INSERT INTO users (id, username) VALUES ($1, 'alice')", alice.id)
    await run_job(client, grace_days=0)
    [event] = await client.rows("SELECT changes FROM audit_events WHERE event = 'user.delete'")
    assert event["changes"]["username"] == {"old": "alice", "new": None}
    assert await client.rows("SELECT FROM erasures") == []


async def test_the_address_of_a_person_who_acted_as_another_goes_with_this_person(
    client: Client, admin: Person, alice: Person
) -> None:
    insert = (
        "INSERT INTO audit_events (event, actor_id, impersonator_id, owner_id, target_id, ip) "
        "VALUES ('x', $1, $2, $1, $1, $3)"
    )
    await client.rows(insert, alice.id, admin.id, "203.0.113.5")
    await erased(client, alice)
    assert await tables_with(client, "203.0.113.5") == {"203.0.113.5": ["audit_events"]}
    await erased(client, admin)
    assert await tables_with(client, "203.0.113.5") == {}


async def test_failed_logins_of_the_account_lose_their_address(client: Client, alice: Person) -> None:
    await client.mutate("login", {"login": "alice", "password": "wrong-horse-battery"}, "token")
    await erased(client, alice)
    [event] = await client.rows("SELECT * FROM audit_events WHERE event = 'session.reject'")
    assert (event["ip"], event["request_id"], event["owner_id"]) == (None, None, alice.id)


# SECURITY: the only way to change an event


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT erase_audit_events($1, 1000)",
        "UPDATE audit_events SET changes = erased_changes(changes) WHERE owner_id = $1",
        "UPDATE audit_events SET ip = NULL WHERE actor_id = $1",
        "UPDATE audit_events SET changes = '{}', event = 'PL/pgSQL function erase_audit_events(uuid,integer) line 1' "
        "WHERE actor_id = $1",
    ],
)
async def test_the_events_of_a_user_who_exists_cannot_be_erased(client: Client, alice: Person, statement: str) -> None:
    await client.mutate("updateProfile", {"firstName": "Ann"}, "", by=alice)
    before = await client.rows("SELECT * FROM audit_events ORDER BY id")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await client.rows(statement, alice.id)
    assert await client.rows("SELECT * FROM audit_events ORDER BY id") == before


@pytest.mark.parametrize(
    "change", ["event = 'other'", "actor_id = NULL", "changes = '{}'", "ip = '192.0.2.99'", "created_at = now()"]
)
async def test_the_function_itself_could_change_nothing_else(client: Client, alice: Person, change: str) -> None:
    await client.mutate("updateProfile", {"firstName": "Ann"}, "", by=alice)
    await client.rows("CREATE SCHEMA elsewhere")
    body = f"BEGIN UPDATE audit_events SET {change} WHERE actor_id = person; RETURN most; END"  # noqa: S608
    await client.rows(
        "CREATE FUNCTION elsewhere.erase_audit_events(person uuid, most integer) RETURNS integer "
        f"LANGUAGE plpgsql AS $$ {body} $$"
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await client.rows("SELECT elsewhere.erase_audit_events($1, 1)", alice.id)

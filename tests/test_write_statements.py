"""The statements of writes: how many a mutation takes, and which updates add nothing to the indexes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from service.database import statements
from service.database.transaction import Transaction
from tests.conftest import PASSWORD, Client, Person

STATEMENTS = statements.load()
ACTOR = "actor_by_hash"
# Beside these a mutation takes BEGIN and COMMIT; a statement with + also reads the caller's credential
EXPECTED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "updateUser": (
        {"id": "$bob", "firstName": "Robert"},
        ["lock_user", "update_user +", "create_audit_event +"],
    ),
    "createUser": (
        {"username": "carol", "password": PASSWORD},
        ["taken_user_keys", "default_plan", "create_user +", "set_password", "create_audit_event +"],
    ),
    "suspendUser": (
        {"id": "$bob"},
        ["lock_user", "suspend_user +", "end_sessions_by_user", "create_audit_event +"],
    ),
    "setPassword": (
        {"userId": "$bob", "password": f"{PASSWORD}-other"},
        [
            *("lock_user", "set_password +", "delete_tokens_by_user", "end_sessions_by_user", "create_mail"),
            "create_audit_event +",
        ],
    ),
    "createApiKey": (
        {"name": "robot"},
        [
            *("lock_user", "count_valid_api_keys", "delete_expired_api_key +", "create_api_key", "create_mail"),
            "create_audit_event +",
        ],
    ),
    "assignDedicatedIp": (
        {"userId": "$bob", "address": "198.51.100.7"},
        ["lock_user", "count_dedicated_ips", "lock_dedicated_ip", "assign_dedicated_ip +", "create_audit_event +"],
    ),
    "logoutAll": ({}, ["lock_user", "end_sessions_by_user +", "create_audit_event +"]),
    "updateSettings": ({"patch": {"theme": "dark"}}, ["lock_user", "update_user +", "create_audit_event +"]),
    "updateServer": (
        {"id": "$server", "name": "other"},
        ["lock_server", "user_with_permissions", "update_server +", "create_audit_event +"],
    ),
    "transferServer": (
        {"id": "$server", "ownerId": "$bob"},
        [
            *("keep_user", "lock_server", "lock_user", "count_servers_of_owner", "transfer_server +"),
            *("delete_subusers_by_user", "create_mail", "create_mail", "create_audit_event +"),
        ],
    ),
    # The caller is anonymous until the session is created
    "login": (
        {"login": "bob", "password": PASSWORD},
        ["count_attempts", "lock_login", "create_session", ACTOR, "forget_attempts", "create_audit_event +"],
    ),
}
# Updates that change no column of an index: the table, the statement, and its parameters
WITHIN_A_PAGE: list[tuple[str, str, dict[str, Any]]] = [
    ("sessions", "record_session_use", {"id": "$session", "idle": 60.0}),
    ("api_keys", "record_api_key_use", {"id": "$apiKey"}),
    ("credentials", "set_password", {"user_id": "$bob", "password_hash": "other"}),
    ("users", "update_user", {"id": "$bob", "changes": {"settings": {"theme": "dark"}, "language": "de"}}),
]
UPDATES = """SELECT pg_stat_get_xact_tuples_updated($1::regclass) AS all,
  pg_stat_get_xact_tuples_hot_updated($1::regclass) AS hot"""


async def updates(transaction: Transaction, table: str) -> Counter[str]:
    """Return the numbers of all updates and of those within a page, which the connection has not yet reported."""
    [row] = await transaction.connection.fetch(UPDATES, table)
    return Counter(dict(row))


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the list of the statements that transactions run from now on."""
    found: list[str] = []
    run, run_with_row = Transaction.run, Transaction.run_with_row

    async def run_and_note(self: Transaction, name: str, /, **parameters: Any) -> Any:
        found.append(name)
        return await run(self, name, **parameters)

    async def run_with_row_and_note(self: Transaction, name: str, reading: str, /, **parameters: Any) -> Any:
        if STATEMENTS[name].with_row(STATEMENTS[reading]) is not None:
            found.append(f"{name} +")
        return await run_with_row(self, name, reading, **parameters)

    monkeypatch.setattr(Transaction, "run", run_and_note)
    monkeypatch.setattr(Transaction, "run_with_row", run_with_row_and_note)
    return found


@pytest.mark.parametrize("mutation", EXPECTED)
async def test_a_mutation_takes_these_statements(
    client: Client, people: dict[str, Person], ran: list[str], mutation: str
) -> None:
    root, alice, bob = (people[name] for name in ("root", "alice", "bob"))
    value, expected = EXPECTED[mutation]
    ids = {"$bob": bob.id}
    if "$server" in value.values():
        server = {"name": "box", "ownerId": alice.id}
        ids["$server"] = (await client.mutate("createServer", server, "server { id }", by=root))["server"]["id"]
        await client.mutate("updateUser", {"id": bob.id, "limits": {"servers": 1}}, "", by=root)
    value = {name: ids.get(item, item) if isinstance(item, str) else item for name, item in value.items()}
    await client.data("{ me { id } }", by=root)  # the use of the session is recorded
    ran.clear()
    payload = await client.mutate(mutation, value, "__typename", by=None if mutation == "login" else root)
    assert payload["errors"] == []
    assert ran == expected


async def test_a_write_without_an_event_reads_the_credential_by_itself(
    client: Client, alice: Person, ran: list[str]
) -> None:
    await client.data("{ me { id } }", by=alice)  # the use of the session is recorded
    ran.clear()
    assert (await client.mutate("logoutAll", {"keepCurrent": True}, "endedSessions", by=alice))["errors"] == []
    assert ran == ["lock_user", "end_sessions_by_user +", ACTOR]


async def test_every_change_can_be_combined_with_the_credential(client: Client) -> None:
    database = client.resources.database
    async with database.connection() as connection:
        for statement in STATEMENTS.values():
            combined = statement.with_row(STATEMENTS[ACTOR]) if statement.changes_data else None
            if combined is not None:
                names = [each.name for each in (await connection.prepare(combined.sql)).get_attributes()]
                assert len(names) == len(set(names)), statement.name


async def test_a_change_with_a_row_returns_what_it_returns_alone(client: Client, alice: Person) -> None:
    async with client.resources.database.transaction() as transaction:
        parameters = {"user_id": alice.id, "keep": None, "token_hash": b"unknown"}
        ended, row = await transaction.run_with_row("end_sessions_by_user", ACTOR, **parameters)
        assert (len(ended), row["actor_user_id"]) == (1, None)
        again, _ = await transaction.run_with_row("end_sessions_by_user", ACTOR, **parameters)
        assert again == []
        missing = {"id": "00000000-0000-7000-8000-000000000000", "token_hash": b"unknown"}
        assert (await transaction.run_with_row("unsuspend_user", ACTOR, **missing))[0] is None
        changed, _ = await transaction.run_with_row("unsuspend_user", ACTOR, **missing | {"id": alice.id})
        assert (changed.id, changed.username) == (alice.id, "alice")


@pytest.mark.parametrize("name", ["actors_by_hash", ACTOR])
async def test_the_plan_of_a_look_up_of_credentials_is_kept(client: Client, name: str) -> None:
    sql, value = STATEMENTS[name].query.sql, b"unknown" if name == ACTOR else [b"unknown"]
    async with client.resources.database.connection() as connection:
        for _ in range(8):
            await connection.fetch(sql, value)
        plans = "SELECT generic_plans FROM pg_prepared_statements WHERE statement = $1"
        assert await connection.fetchval(plans, sql) == 3  # PostgreSQL plans the first five runs for their parameters


@pytest.mark.parametrize(("table", "statement", "parameters"), WITHIN_A_PAGE)
async def test_a_frequent_update_adds_nothing_to_the_indexes(
    client: Client, bob: Person, table: str, statement: str, parameters: dict[str, Any]
) -> None:
    assert (await client.mutate("createApiKey", {"name": "robot"}, "secret", by=bob))["errors"] == []
    await client.rows("UPDATE sessions SET last_seen_at = now() - interval '1 hour'")
    [ids] = await client.rows(
        """SELECT users.id AS "$bob", sessions.id AS "$session", api_keys.id AS "$apiKey" FROM users
           JOIN sessions ON sessions.user_id = users.id JOIN api_keys ON api_keys.user_id = users.id
           WHERE users.id = $1""",
        bob.id,
    )
    given = {name: ids.get(item, item) if isinstance(item, str) else item for name, item in parameters.items()}
    async with client.resources.database.transaction() as transaction:
        before = await updates(transaction, table)
        await transaction.run(statement, **given)
        assert (await updates(transaction, table)) - before == Counter(all=1, hot=1)


async def test_a_full_table_has_room_for_updates(client: Client, bob: Person) -> None:
    await client.rows(
        """INSERT INTO sessions (user_id, last_seen_at, expires_at, idle_expires_at)
           SELECT $1, now() - interval '1 hour', now() + interval '1 day', now() + interval '1 day'
           FROM generate_series(1, 1000)""",
        bob.id,
    )
    await client.rows("VACUUM sessions")
    sessions = await client.rows(
        "SELECT id FROM sessions WHERE last_seen_at < now() - interval '30 minutes' ORDER BY id"
    )
    async with client.resources.database.transaction() as transaction:
        before = await updates(transaction, "sessions")
        for session in sessions[::10]:
            await transaction.run("record_session_use", id=session["id"], idle=60.0)
        assert (await updates(transaction, "sessions")) - before == Counter(all=100, hot=100)


@pytest.mark.parametrize(
    ("change", "counted"),
    [
        ("last_login_at = now()", 0),
        ("first_name = first_name", 0),
        ("first_name = 'Bob'", 1),
        ("settings = '{\"a\": 1}'", 1),
        ("last_login_at = now(), first_name = 'Bob'", 1),
    ],
)
async def test_the_version_counts_changes_beside_logins(client: Client, bob: Person, change: str, counted: int) -> None:
    query = "SELECT version, updated_at FROM users WHERE id = $1"
    [before] = await client.rows(query, bob.id)
    await client.rows(f"UPDATE users SET {change} WHERE id = $1", bob.id)  # noqa: S608
    [after] = await client.rows(query, bob.id)
    assert after["version"] - before["version"] == counted
    assert (after["updated_at"] > before["updated_at"]) is bool(counted)

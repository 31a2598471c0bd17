"""The clean-up: what it deletes and what it keeps, in steps, by one worker at a time, with events that count."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import asyncpg
import pytest

from service import clean_up as module
from service.attempts import Limit, Operation, begin_attempt
from service.clean_up import OtherWorkerError, clean_up
from service.credentials.passwords import PasswordHasher
from service.one_time import Purpose, create_token
from tests.conftest import Client, Person

OLD = dt.datetime.now(dt.UTC) - dt.timedelta(days=31)
NEW = "a-quite-unusual-walrus-77"
USER = "SELECT id, username FROM users WHERE email = 'new@roster.test'"


async def counted(client: Client) -> list[dict[str, Any]]:
    """Return the changes of the events of the clean-up, in their order."""
    rows = await client.rows("SELECT * FROM audit_events WHERE credential = 'job:clean-up' ORDER BY id")
    assert {(row["event"], row["actor_id"]) for row in rows} <= {("service.clean-up", None), ("user.delete", None)}
    return [row["changes"] for row in rows if row["event"] == "service.clean-up"]


async def share_with_unknown(client: Client, root: Person, owner: Person, email: str = "new@roster.test") -> str:
    """Give a new address access to a new server of the owner, and return the id of the new user."""
    server = await client.mutate("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=root)
    value = {"serverId": server["server"]["id"], "email": email, "permissions": ["file.read"]}
    payload = await client.mutate("createSubuser", value, "subuser { user { id } }", by=owner)
    assert payload["errors"] == []
    return str(payload["subuser"]["user"]["id"])


async def expire_invitations(client: Client) -> None:
    await client.rows("UPDATE invitations SET expires_at = now()")


async def test_what_is_no_longer_valid_is_deleted_and_counted(client: Client, alice: Person) -> None:
    before = {row["key"] for row in await client.rows("SELECT key FROM attempts")}
    async with client.resources.database.transaction() as transaction:
        for lifetime in (-1.0, -1.0, 60.0):
            await create_token(transaction.run, Purpose.PASSWORD_RESET, alice.id, lifetime)
    await client.rows(
        """INSERT INTO attempts (key, forgotten_at, blocked_until) VALUES
          ('old', $1, NULL), ('old, no longer blocked', $1, now()),
          ('old, blocked', $1, now() + interval '1 minute'), ('counted', now() + interval '1 minute', NULL)""",
        OLD,
    )
    await client.rows(
        """INSERT INTO mails (recipient, template, language, created_at, sent_at, failed_at) VALUES
          ('sent', 'x', 'en', $1, $1, NULL), ('failed', 'x', 'en', $1, NULL, $1),
          ('never sent', 'x', 'en', $1, NULL, NULL), ('sent today', 'x', 'en', $1, now(), NULL),
          ('waits', 'x', 'en', now() - interval '29 days', NULL, NULL)""",
        OLD,
    )
    await client.rows(
        """INSERT INTO idempotency_keys (actor_id, operation, key_hash, fingerprint, created_at) VALUES
          ($1, 'x', 'old', '', now() - interval '25 hours'), ($1, 'x', 'young', '', now() - interval '23 hours')""",
        alice.id,
    )
    await client.rows("UPDATE sessions SET ended_at = $1 WHERE user_id = $2", OLD, alice.id)
    await clean_up(client.resources.database)
    assert await counted(client) == [
        {"sessions": {"old": 1, "new": 0}},
        {"idempotencyKeys": {"old": 1, "new": 0}},
        {"oneTimeTokens": {"old": 2, "new": 0}},
        {"attempts": {"old": 2, "new": 0}},
        {"mails": {"old": 3, "new": 0}},
    ]
    keys = {row["key"] for row in await client.rows("SELECT key FROM attempts")} - before
    assert keys == {b"old, blocked", b"counted"}
    left = [row["recipient"] for row in await client.rows("SELECT recipient FROM mails ORDER BY id")]
    assert left == ["sent today", "waits"]
    assert len(await client.rows("SELECT FROM one_time_tokens")) == 1
    assert [row["key_hash"] for row in await client.rows("SELECT key_hash FROM idempotency_keys")] == [b"young"]
    await clean_up(client.resources.database)
    assert len(await counted(client)) == 5, "nothing more to delete, and no event"


async def test_expired_keys_and_their_old_secrets(client: Client, alice: Person) -> None:
    made = {}
    for name in ("old", "expired", "rotated", "grace"):
        made[name] = (await client.mutate("createApiKey", {"name": name}, "apiKey { id }", by=alice))["apiKey"]["id"]
    for name, grace in (("rotated", 0), ("grace", 600)):
        await client.mutate("rotateApiKey", {"id": made[name], "graceSeconds": grace}, "secret", by=alice)
    await client.rows("UPDATE api_keys SET expires_at = $1 WHERE name = 'old'", OLD)
    await client.rows("UPDATE api_keys SET expires_at = now() WHERE name = 'expired'")
    await clean_up(client.resources.database)
    assert [each for each in await counted(client) if "apiKeys" in each or "apiKeySecrets" in each] == [
        {"apiKeys": {"old": 1, "new": 0}},
        {"apiKeySecrets": {"old": 1, "new": 0}},
    ]
    secrets = await client.rows("SELECT name FROM api_key_secrets JOIN api_keys ON api_key_id = api_keys.id ORDER BY 1")
    assert [row["name"] for row in secrets] == ["expired", "grace", "grace", "rotated"]


async def test_many_rows_are_deleted_in_small_steps(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 20)
    await client.rows(
        "INSERT INTO one_time_tokens (hash, purpose, expires_at) "
        "SELECT CAST(CAST(n AS text) AS bytea), 'x', now() FROM generate_series(1, 50) AS n"
    )
    await clean_up(client.resources.database)
    assert [each["oneTimeTokens"]["old"] for each in await counted(client)] == [20, 20, 10]
    assert await client.rows("SELECT FROM one_time_tokens") == []


async def test_one_worker_at_a_time_cleans_up(client: Client, database_url: str) -> None:
    await client.rows("INSERT INTO one_time_tokens (hash, purpose, expires_at) VALUES ('x', 'x', now())")
    other = await asyncpg.connect(database_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        assert await other.fetchval("SELECT pg_try_advisory_xact_lock($1)", module.LOCK)
        async with asyncio.timeout(1):  # it does not wait
            with pytest.raises(OtherWorkerError):
                await clean_up(client.resources.database)
        assert len(await client.rows("SELECT FROM one_time_tokens")) == 1
        await transaction.rollback()
    finally:
        await other.close()
    await clean_up(client.resources.database)
    assert await client.rows("SELECT FROM one_time_tokens") == []


async def test_workers_that_clean_up_together_count_each_row_once(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 10)
    await client.rows(
        "INSERT INTO one_time_tokens (hash, purpose, expires_at) "
        "SELECT CAST(CAST(n AS text) AS bytea), 'x', now() FROM generate_series(1, 200) AS n"
    )
    results = await asyncio.gather(*(clean_up(client.resources.database) for _ in range(4)), return_exceptions=True)
    assert all(result is None or isinstance(result, OtherWorkerError) for result in results)
    await clean_up(client.resources.database)
    assert sum(each["oneTimeTokens"]["old"] for each in await counted(client)) == 200


async def test_a_step_that_fails_does_not_keep_the_others_from_running(client: Client) -> None:
    await client.rows("INSERT INTO one_time_tokens (hash, purpose, expires_at) VALUES ('x', 'x', now())")
    await client.rows("ALTER TABLE idempotency_keys RENAME TO lost")
    with pytest.raises(asyncpg.UndefinedTableError):
        await clean_up(client.resources.database)
    assert await client.rows("SELECT FROM one_time_tokens") == []


async def test_a_row_that_is_in_use_is_left_for_the_next_time(client: Client, database_url: str) -> None:
    await client.rows("INSERT INTO attempts (key, forgotten_at) VALUES ('a', $1), ('b', $1)", OLD)
    other = await asyncpg.connect(database_url)
    try:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT FROM attempts WHERE key = 'b' FOR UPDATE")  # an attempt that is being counted
        async with asyncio.timeout(1.5):
            await clean_up(client.resources.database)
        await transaction.rollback()
    finally:
        await other.close()
    left = {row["key"] for row in await client.rows("SELECT key FROM attempts WHERE forgotten_at = $1", OLD)}
    assert left == {b"b"}


async def test_the_old_attempts_are_found_by_their_index(client: Client) -> None:
    await client.rows(
        "INSERT INTO attempts (key, forgotten_at) "
        "SELECT sha256(CAST(CAST(n AS text) AS bytea)), now() + interval '1 hour' FROM generate_series(1, 5000) AS n"
    )
    await client.rows("ANALYZE attempts")
    sql = client.resources.database.statements["delete_old_attempts"].query.sql.replace("$1", "1000")
    plan = "\n".join(row[0] for row in await client.rows(f"EXPLAIN {sql}"))
    assert "attempts_forgotten_at_idx" in plan
    assert "Sort" not in plan


async def test_counted_attempts_are_kept_as_long_as_they_block(client: Client) -> None:
    context = _context(client)
    limit = Limit(most=1, wait=600, longest=600, period=3_600)
    operation = Operation("test", pair=limit, client=limit, account=limit)
    await begin_attempt(context, operation, account="alice")
    await client.rows("UPDATE attempts SET forgotten_at = now() - interval '2 days'")
    await clean_up(client.resources.database)
    assert len(await client.rows("SELECT FROM attempts WHERE blocked_until > now()")) == 3


def _context(client: Client) -> Any:
    class Anonymous:
        user_id = None

    class Request:
        ip = "192.0.2.9"

    class Context:
        resources, actor, request = client.resources, Anonymous(), Request()

    return Context()


# Invitations


async def test_an_unclaimed_user_is_deleted_with_the_memberships(client: Client, root: Person, alice: Person) -> None:
    user_id = await share_with_unknown(client, root, alice)
    await clean_up(client.resources.database)
    [user] = await client.rows(USER)
    [membership] = await client.rows("SELECT id FROM subusers")
    await expire_invitations(client)
    await clean_up(client.resources.database)
    for table in ("subusers", "invitations", "one_time_tokens", "mails"):
        assert await client.rows(f"SELECT FROM {table}") == []
    assert await client.rows(USER) == []
    [event] = await client.rows("SELECT * FROM audit_events WHERE event = 'user.delete'")
    assert (event["credential"], event["target_id"], event["target_type"]) == ("job:clean-up", user_id, "User")
    assert event["changes"]["username"] == {"old": user["username"], "new": None}
    assert event["changes"]["memberships"] == {"old": [membership["id"]], "new": None}


@pytest.mark.parametrize("use", ["password", "login", "server", "api key", "ssh key"])
async def test_a_user_who_did_something_is_kept(client: Client, root: Person, alice: Person, use: str) -> None:
    user_id = await share_with_unknown(client, root, alice)
    if use == "password":
        await client.mutate("setPassword", {"userId": user_id, "password": NEW}, "", by=root)
    elif use == "server":
        await client.mutate("createServer", {"name": "own", "ownerId": user_id}, "", by=root)
    statements = {
        "login": "UPDATE users SET last_login_at = now() WHERE id = $1",
        "api key": "INSERT INTO api_keys (user_id, name, prefix) VALUES ($1, 'x', 'x')",
        "ssh key": "INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key) "
        "VALUES ($1, 'x', 'x', 'x', 'x')",
    }
    if use in statements:
        await client.rows(statements[use], user_id)
    await expire_invitations(client)
    await clean_up(client.resources.database)
    assert len(await client.rows(USER)) == 1
    assert len(await client.rows("SELECT FROM subusers")) == 1
    assert await client.rows("SELECT FROM invitations") == [], "it is not looked at again"
    assert {"invitations": {"old": 1, "new": 0}} in await counted(client)


async def test_a_user_that_an_administrator_invited_is_kept(client: Client, root: Person) -> None:
    value = {"username": "carol", "email": "new@roster.test", "sendEmail": True}
    await client.mutate("createUser", value, "", by=root)
    await client.rows("UPDATE one_time_tokens SET expires_at = now()")
    await clean_up(client.resources.database)
    assert len(await client.rows(USER)) == 1


async def test_a_second_invitation_extends_the_first(client: Client, root: Person, alice: Person) -> None:
    await share_with_unknown(client, root, alice)
    await expire_invitations(client)
    await share_with_unknown(client, root, alice)
    await clean_up(client.resources.database)
    assert len(await client.rows("SELECT FROM subusers")) == 2


async def test_a_user_who_sets_a_password_at_that_moment_is_kept(client: Client, root: Person, alice: Person) -> None:
    hasher = PasswordHasher(1, 1)
    try:
        password_hash = await hasher.hash(NEW)
    finally:
        hasher.close()
    users = [await share_with_unknown(client, root, alice, f"u{number}@roster.test") for number in range(10)]
    await expire_invitations(client)

    async def claim(user_id: str) -> bool:
        async with client.resources.database.transaction() as transaction:
            if await transaction.run("lock_user", id=user_id) is None:
                return False
            await asyncio.sleep(0.02)
            await transaction.run("set_password", user_id=user_id, password_hash=password_hash)
        return True

    claims = asyncio.gather(*(claim(user_id) for user_id in users))
    while not claims.done():
        await clean_up(client.resources.database)
    claimed = {user_id for user_id, done in zip(users, await claims, strict=True) if done}
    left = {row["id"] for row in await client.rows("SELECT id FROM users WHERE email LIKE 'u%@roster.test'")}
    assert left == claimed, "who could set a password has an account"

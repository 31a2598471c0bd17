"""The authority of a credential while a request runs: it is that of the moment of each operation and of each write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.conftest import Client, Person

ME = {"query": "{ me { email } }"}
ROTATE = "mutation ($id: ID!) { rotateApiKey(input: {id: $id}) { secret errors { code } } }"


async def api_key(client: Client, by: Person, *permissions: str, **value: Any) -> dict[str, Any]:
    """Return the id and the secret of a new API key."""
    value = {"name": "robot", "permissions": permissions} | value
    payload = await client.mutate("createApiKey", value, "secret apiKey { id }", by=by)
    return {"id": payload["apiKey"]["id"], "secret": payload["secret"]}


async def batch(client: Client, *operations: dict[str, Any], by: str) -> list[dict[str, Any]]:
    """Return the responses to a batch."""
    response = await client.http.post("/graphql", json=operations, headers={"authorization": f"Bearer {by}"})
    answers: list[dict[str, Any]] = response.json()
    return answers


async def test_an_operation_after_the_deletion_of_the_own_key_is_rejected(client: Client, alice: Person) -> None:
    key = await api_key(client, alice, "account.read", "api-keys.delete")
    delete = {
        "query": "mutation ($id: ID!) { deleteApiKey(input: {id: $id}) { deletedId } }",
        "variables": {"id": key["id"]},
    }
    _, before = await batch(client, delete | {"query": "{ __typename }"}, ME, by=key["secret"])
    assert before == {"data": {"me": {"email": "alice@roster.test"}}}
    deleted, after = await batch(client, delete, ME, by=key["secret"])
    assert deleted == {"data": {"deleteApiKey": {"deletedId": key["id"]}}}
    assert [error["extensions"]["code"] for error in after["errors"]] == ["UNAUTHENTICATED"]


async def test_an_operation_after_the_own_demotion_has_the_new_role(client: Client, admin: Person) -> None:
    demote = {
        "query": 'mutation ($id: ID!) { updateUser(input: {id: $id, roleName: "USER"}) { user { isAdmin } } }',
        "variables": {"id": admin.id},
    }
    demoted, after = await batch(client, demote, {"query": "{ users { totalCount } }"}, by=admin.token)
    assert demoted == {"data": {"updateUser": {"user": {"isAdmin": False}}}}
    assert (after["data"], after["errors"][0]["extensions"]["code"]) == ({"users": None}, "FORBIDDEN")


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Return a connection that is none of the service's."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def wait_for_locks(url: str, number: int) -> None:
    """Wait until this number of statements wait for a lock; not inside a transaction, which sees one snapshot."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    connection = await asyncpg.connect(url)
    async with asyncio.timeout(20):
        while await connection.fetchval(waiting) < number:
            await connection.execute("SELECT pg_sleep(0.01)")
    await connection.close()


async def test_a_secret_that_was_rotated_in_the_meantime_rotates_nothing(
    client: Client, alice: Person, database_url: str, other: asyncpg.Connection[Any]
) -> None:
    key = await api_key(client, alice, "api-keys.update")
    await client.execute("{ me { id } }", by=key["secret"])  # records the use of the key, which would wait
    async with other.transaction():
        await other.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", alice.id)
        by_owner = asyncio.create_task(client.execute(ROTATE, {"id": key["id"]}, by=alice))
        await wait_for_locks(database_url, 1)
        by_key = asyncio.create_task(client.execute(ROTATE, {"id": key["id"]}, by=key["secret"]))
        await wait_for_locks(database_url, 2)
    secret = (await by_owner)["data"]["rotateApiKey"]["secret"]
    assert [error["extensions"]["code"] for error in (await by_key)["errors"]] == ["UNAUTHENTICATED"]
    assert (await client.execute("{ __typename me { id } }", by=secret))["data"]["me"] == {"id": alice.id}


async def test_a_change_of_the_own_profile_needs_the_permission_at_its_commit(
    client: Client, alice: Person, database_url: str, other: asyncpg.Connection[Any]
) -> None:
    key = await api_key(client, alice, "account.read", "account.update")
    document = 'mutation { updateProfile(input: {username: "zed"}) { user { id } errors { code } } }'
    transaction = other.transaction()
    await transaction.start()
    # The change waits for the unique index, after its first check of the key
    await other.execute("INSERT INTO users (username, role_id) SELECT 'zed', role_id FROM users LIMIT 1")
    changed = asyncio.create_task(client.execute(document, by=key["secret"]))
    await wait_for_locks(database_url, 1)
    await client.rows("UPDATE api_keys SET permissions = '{}'")
    await transaction.rollback()
    assert [error["extensions"]["code"] for error in (await changed)["errors"]] == ["FORBIDDEN"]
    assert await client.rows("SELECT FROM users WHERE username = 'zed'") == []


async def test_expired_keys_become_valid_again_only_within_the_limit(client: Client, alice: Person) -> None:
    await client.rows(
        "INSERT INTO api_keys (user_id, name, prefix, permissions, allowed_ips, expires_at)"
        " SELECT $1, 'k' || n, 'rstk_', '{}', '{}', CASE WHEN n > 50 THEN now() - interval '1 hour' END"
        " FROM generate_series(1, 51) AS n",
        alice.id,
    )
    [expired] = await client.rows("SELECT id FROM api_keys WHERE name = 'k51'")
    for value in ({"expiresAt": None}, {"expiresAt": "2999-01-01T00:00:00Z"}):
        payload = await client.mutate("updateApiKey", {"id": expired["id"]} | value, "apiKey { id }", by=alice)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("LIMIT_REACHED", ["expiresAt"])]


async def test_a_key_for_one_network_gives_no_access_to_a_server(client: Client, admin: Person, alice: Person) -> None:
    created = await client.mutate("createServer", {"name": "box", "ownerId": alice.id}, "server { id }", by=admin)
    key = await api_key(client, alice, "user.create", "control.console", "servers.read", allowedIps=["192.0.2.0/24"])
    value = {"serverId": created["server"]["id"], "email": "bob@roster.test", "permissions": ["control.console"]}
    payload = await client.mutate("createSubuser", value, "subuser { id }", by=key["secret"])
    message = "An API key that is limited to networks cannot give access to a server."
    assert payload == {
        "subuser": None,
        "errors": [{"code": "NOT_ALLOWED", "message": message, "field": None}],
    }

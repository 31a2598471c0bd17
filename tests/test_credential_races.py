"""Credentials under parallel requests: limits are kept, and a write that waited for a lock has current authority."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.conftest import PASSWORD, Client, Person

MOST_KEYS = 50
# Each write of an administrator on Alice's objects: its input, and the row that it locks first. "$" begins an id
ROW_OF_ADAM = "SELECT 1 FROM users WHERE username = 'adam' FOR UPDATE"
ROW_OF_ALICE = "SELECT 1 FROM users WHERE username = 'alice' FOR UPDATE"
ROW_OF_SERVER = "SELECT 1 FROM servers FOR UPDATE"
WRITES: dict[str, tuple[dict[str, Any], str]] = {
    "updateUser": ({"id": "$user", "firstName": "Changed"}, ROW_OF_ALICE),
    "suspendUser": ({"id": "$user"}, ROW_OF_ALICE),
    "createApiKey": ({"name": "new", "permissions": ["users.update"]}, ROW_OF_ADAM),
    "createSubuser": ({"serverId": "$server", "email": "new@x.test", "permissions": ["file.read"]}, ROW_OF_SERVER),
    "updateSubuser": ({"id": "$subuser", "permissions": ["file.read"]}, ROW_OF_SERVER),
    "deleteSubuser": ({"id": "$subuser"}, ROW_OF_SERVER),
    "updateServer": ({"id": "$server", "name": "changed"}, ROW_OF_SERVER),
    "transferServer": ({"id": "$server", "ownerId": "$bob"}, ROW_OF_SERVER),
    "deleteApiKey": ({"id": "$apiKey"}, ROW_OF_ALICE),
    "deleteSshKey": ({"id": "$sshKey"}, ROW_OF_ALICE),
    "revokeSession": ({"id": "$session"}, ROW_OF_ALICE),
}
PERMISSIONS = ["api-keys.create", "file.read", "servers.update", "user.create", "users.suspend", "users.update"]
# What happens to the administrator ($1) or the API key meanwhile, and the code of the answer
EVENTS = {
    "user demoted": (
        "UPDATE users SET role_id = '00000000-0000-7000-8000-000000000001' WHERE id = $1",
        "FORBIDDEN",
    ),
    "user suspended": ("UPDATE users SET suspended_at = now() WHERE id = $1", "USER_SUSPENDED"),
    "session ended": ("UPDATE sessions SET ended_at = now() WHERE user_id = $1", "UNAUTHENTICATED"),
    "key emptied": ("UPDATE api_keys SET permissions = '{}' WHERE user_id = $1", "FORBIDDEN"),
    "key reduced": (
        "UPDATE api_keys SET permissions = '{api-keys.create,servers.update,user.create}' WHERE user_id = $1",
        "FORBIDDEN",
    ),
    "key shortened": ("UPDATE api_keys SET expires_at = now() + interval '1 day' WHERE user_id = $1", "FORBIDDEN"),
    "key limited": ("UPDATE api_keys SET allowed_ips = '{192.0.2.0/24}' WHERE user_id = $1", "FORBIDDEN"),
    "key expired": ("UPDATE api_keys SET expires_at = now() WHERE user_id = $1", "UNAUTHENTICATED"),
    "key deleted": ("DELETE FROM api_keys WHERE user_id = $1", "UNAUTHENTICATED"),
}
BEFORE = [(mutation, event) for mutation in list(WRITES)[:4] for event in EVENTS]
BEFORE += [(mutation, "user demoted") for mutation in list(WRITES)[4:]]
# createApiKey has locked the user by then, so that the user can be neither demoted nor suspended
AFTER = [(mutation, "user demoted") for mutation in WRITES if mutation != "createApiKey"]
AFTER += [(mutation, event) for mutation in list(WRITES)[:4] for event in ("session ended", "key deleted")]


def public_line() -> str:
    """Return a new SSH public key."""
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def outcomes(payloads: list[dict[str, Any]]) -> Counter[str]:
    """Return how often each code was answered, "done" without an error."""
    return Counter(payload["errors"][0]["code"] if payload["errors"] else "done" for payload in payloads)


async def until_waiting(client: Client) -> None:
    """Wait until a transaction of this database waits for a lock."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(4):
        # In a task of its own, because a task has one connection, and a transaction sees the activity of its start
        while not await asyncio.create_task(client.rows(sql)):  # noqa: ASYNC110  (PostgreSQL sends no event)
            await asyncio.sleep(0.02)


async def fill_with_api_keys(client: Client, owner: Person, count: int) -> None:
    """Add API keys to a user, without secrets."""
    await client.rows(
        """INSERT INTO api_keys (user_id, name, prefix)
           SELECT $1, 'old ' || n, 'rst_00000000' FROM generate_series(1, $2) n""",
        owner.id,
        count,
    )


async def fill_with_ssh_keys(client: Client, owner: Person, count: int) -> None:
    """Add SSH keys to a user, which are not valid keys."""
    await client.rows(
        """INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key)
           SELECT $1, 'old ' || n, 'ssh-ed25519', 'SHA256:' || n, 'ssh-ed25519 ' || n FROM generate_series(1, $2) n""",
        owner.id,
        count,
    )


async def test_parallel_requests_do_not_exceed_the_limit_of_api_keys(
    client: Client, alice: Person, bob: Person
) -> None:
    await fill_with_api_keys(client, alice, MOST_KEYS - 1)
    created = await asyncio.gather(
        *(client.mutate("createApiKey", {"name": f"new {number}"}, "secret", by=alice) for number in range(20))
    )
    assert outcomes(created) == {"done": 1, "LIMIT_REACHED": 19}
    assert sum(payload["secret"] is not None for payload in created) == 1
    [row] = await client.rows("SELECT count(*) FROM api_keys WHERE user_id = $1", alice.id)
    assert row["count"] == MOST_KEYS
    assert outcomes([await client.mutate("createApiKey", {"name": "first"}, "", by=bob)]) == {"done": 1}


async def test_parallel_requests_do_not_exceed_the_limit_of_ssh_keys(client: Client, alice: Person) -> None:
    await fill_with_ssh_keys(client, alice, MOST_KEYS - 1)
    created = await asyncio.gather(
        *(
            client.mutate("addSshKey", {"name": f"new {number}", "publicKey": public_line()}, "", by=alice)
            for number in range(20)
        )
    )
    assert outcomes(created) == {"done": 1, "LIMIT_REACHED": 19}
    [row] = await client.rows("SELECT count(*) FROM ssh_keys WHERE user_id = $1", alice.id)
    assert row["count"] == MOST_KEYS


async def test_a_deletion_makes_room_for_a_new_key(client: Client, alice: Person) -> None:
    await fill_with_api_keys(client, alice, MOST_KEYS)
    await fill_with_ssh_keys(client, alice, MOST_KEYS)
    ssh_key = {"name": "new", "publicKey": public_line()}
    full = [
        await client.mutate(*call, "", by=alice) for call in (("createApiKey", {"name": "new"}), ("addSshKey", ssh_key))
    ]
    assert outcomes(full) == {"LIMIT_REACHED": 2}
    for table, mutation in (("api_keys", "deleteApiKey"), ("ssh_keys", "deleteSshKey")):
        [row] = await client.rows(f"SELECT id FROM {table} LIMIT 1")  # noqa: S608
        await client.mutate(mutation, {"id": row["id"]}, "", by=alice)
    created = [
        await client.mutate(*call, "", by=alice) for call in (("createApiKey", {"name": "new"}), ("addSshKey", ssh_key))
    ]
    assert outcomes(created) == {"done": 2}


async def test_parallel_requests_with_one_name_create_one_api_key(client: Client, alice: Person) -> None:
    created = await asyncio.gather(*(client.mutate("createApiKey", {"name": "deploy"}, "", by=alice) for _ in range(8)))
    assert outcomes(created) == {"done": 1, "TAKEN": 7}


async def test_parallel_requests_with_one_ssh_key_add_it_once_per_user(
    client: Client, alice: Person, bob: Person
) -> None:
    value = {"name": "laptop", "publicKey": public_line()}
    added = await asyncio.gather(*(client.mutate("addSshKey", value, "", by=by) for by in (alice, bob) * 4))
    assert outcomes(added) == {"done": 2, "TAKEN": 6}
    fields = {tuple(error["field"][0] for error in payload["errors"]) for payload in added}
    assert fields == {(), ("name", "publicKey")}
    owners = await client.rows("SELECT user_id FROM ssh_keys")
    assert {row["user_id"] for row in owners} == {alice.id, bob.id}


async def test_parallel_rotations_leave_one_valid_secret(client: Client, alice: Person) -> None:
    value = {"name": "deploy", "permissions": ["account.read"]}
    created = await client.mutate("createApiKey", value, "apiKey { id }", by=alice)
    rotated = await asyncio.gather(
        *(
            client.mutate("rotateApiKey", {"id": created["apiKey"]["id"]}, "secret apiKey { prefix }", by=alice)
            for _ in range(8)
        )
    )
    answers = await asyncio.gather(*(client.execute("{ me { email } }", by=payload["secret"]) for payload in rotated))
    live = [payload for payload, answer in zip(rotated, answers, strict=True) if "errors" not in answer]
    assert len(live) == 1
    [row] = await client.rows("SELECT prefix FROM api_keys")
    assert row["prefix"] == live[0]["apiKey"]["prefix"], "the list shows the secret that is valid"


async def test_parallel_deletions_are_one_deletion(client: Client, alice: Person) -> None:
    created = await client.mutate("createApiKey", {"name": "deploy"}, "apiKey { id }", by=alice)
    deleted = await asyncio.gather(
        *(client.mutate("deleteApiKey", {"id": created["apiKey"]["id"]}, "deletedId", by=alice) for _ in range(6))
    )
    assert outcomes(deleted) == {"done": 1, "NOT_FOUND": 5}
    events = await client.rows("SELECT 1 FROM audit_events WHERE event = 'api-key.delete'")
    assert len(events) == 1


async def test_a_key_that_is_deleted_meanwhile_creates_no_key(client: Client, alice: Person) -> None:
    value = {"name": "leaked", "permissions": ["api-keys.create"]}
    created = await client.mutate("createApiKey", value, "secret apiKey { id }", by=alice)
    document = 'mutation { createApiKey(input: {name: "backdoor"}) { secret } }'
    async with client.resources.database.transaction() as deletion:
        await deletion.run("lock_user", id=alice.id)
        request = asyncio.create_task(client.execute(document, by=created["secret"]))
        await until_waiting(client)
        await deletion.run("delete_api_key", id=created["apiKey"]["id"])
    answer = await request
    assert answer["data"] == {"createApiKey": None}
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "UNAUTHENTICATED"}]
    assert await client.rows("SELECT 1 FROM api_keys") == []


@pytest.mark.parametrize(
    ("mutation", "statement"), [("deleteApiKey", "delete_api_key"), ("deleteSshKey", "delete_ssh_key")]
)
async def test_a_deletion_by_an_administrator_and_one_by_the_user_do_not_deadlock(
    client: Client, admin: Person, alice: Person, mutation: str, statement: str
) -> None:
    await fill_with_api_keys(client, alice, 1)
    await fill_with_ssh_keys(client, alice, 1)
    table = "api_keys" if mutation == "deleteApiKey" else "ssh_keys"
    [key] = await client.rows(f"SELECT id FROM {table}")  # noqa: S608
    async with client.resources.database.transaction() as other:
        await other.run("lock_user", id=alice.id)
        deletion = asyncio.create_task(client.mutate(mutation, {"id": key["id"]}, "deletedId", by=admin))
        await until_waiting(client)
        await other.run(statement, id=key["id"])
    assert outcomes([await deletion]) == {"NOT_FOUND": 1}


async def test_logins_during_a_suspension_leave_no_live_session(client: Client, admin: Person, alice: Person) -> None:
    login = {"login": "alice", "password": PASSWORD}
    document = "mutation ($input: LoginInput!) { login(input: $input) { token } }"
    *answers, suspended = await asyncio.gather(
        *(client.execute(document, {"input": login}) for _ in range(6)),
        client.mutate("suspendUser", {"id": alice.id}, "user { suspended }", by=admin),
    )
    assert suspended == {"user": {"suspended": True}, "errors": []}
    assert await client.rows("SELECT 1 FROM sessions WHERE user_id = $1 AND ended_at IS NULL", alice.id) == []
    for answer in answers:
        if answer["data"] == {"login": None}:
            assert answer["errors"][0]["extensions"] == {"code": "USER_SUSPENDED"}
        else:
            denied = await client.execute("{ me { id } }", by=answer["data"]["login"]["token"])
            assert denied["errors"][0]["extensions"] == {"code": "USER_SUSPENDED"}


async def test_a_login_with_a_password_that_is_changed_meanwhile_is_rejected(client: Client, alice: Person) -> None:
    async with client.resources.database.transaction() as change:
        await change.run("lock_user", id=alice.id)
        login = {"login": "alice", "password": PASSWORD}
        login_task = asyncio.create_task(client.mutate("login", login, "token"))
        await until_waiting(client)  # the old password is verified
        await change.run(
            "set_password", user_id=alice.id, password_hash=await client.resources.hasher.hash("another-77")
        )
    answer = await login_task
    assert (answer["token"], outcomes([answer])) == (None, {"WRONG_CREDENTIALS": 1})


async def contents(client: Client, admin: Person) -> list[Any]:
    """Return what the writes change."""
    return [
        await client.rows(query, *arguments)
        for query, *arguments in (
            ("SELECT t::text FROM users t WHERE id <> $1 ORDER BY id", admin.id),
            ("SELECT id, ended_at FROM sessions WHERE user_id <> $1 ORDER BY id", admin.id),
            ("SELECT id FROM api_keys WHERE name <> 'used' ORDER BY id",),
            ("SELECT id FROM ssh_keys",),
            ("SELECT id, name, owner_id FROM servers",),
            ("SELECT id, permissions FROM subusers",),
            ("SELECT id FROM audit_events ORDER BY id",),
        )
    ]


@pytest.mark.parametrize(
    ("mutation", "event", "late"), [(*case, late) for late, cases in ((False, BEFORE), (True, AFTER)) for case in cases]
)
async def test_a_write_that_waited_for_a_lock_needs_current_authority(
    client: Client, admin: Person, alice: Person, bob: Person, *, mutation: str, event: str, late: bool
) -> None:
    await fill_with_api_keys(client, alice, 1)
    await fill_with_ssh_keys(client, alice, 1)
    await client.rows("INSERT INTO servers (name, owner_id) VALUES ('box', $1)", alice.id)
    await client.rows("INSERT INTO subusers (server_id, user_id, permissions) SELECT id, $1, '{}' FROM servers", bob.id)
    [ids] = await client.rows(
        """SELECT users.id AS "$user", servers.id AS "$server", subusers.id AS "$subuser", sessions.id AS "$session",
             api_keys.id AS "$apiKey", ssh_keys.id AS "$sshKey", subusers.user_id AS "$bob"
           FROM users, servers, subusers, sessions, api_keys, ssh_keys WHERE users.id = $1 AND sessions.user_id = $1""",
        alice.id,
    )
    by: Person | str = admin
    if event.startswith("key"):
        key = await client.mutate("createApiKey", {"name": "used", "permissions": PERMISSIONS}, "secret", by=admin)
        by = key["secret"]
    value, first_row = WRITES[mutation]
    value = {name: ids.get(item, item) if isinstance(item, str) else item for name, item in value.items()}
    change, code = EVENTS[event]
    document = (
        f"mutation ($input: {mutation[0].upper()}{mutation[1:]}Input!) {{ {mutation}(input: $input) {{ __typename }} }}"
    )
    before = await contents(client, admin)
    async with client.resources.database.transaction() as other:
        await other.connection.execute("LOCK audit_events IN EXCLUSIVE MODE" if late else first_row)
        request = asyncio.create_task(client.execute(document, {"input": value}, by=by))
        await until_waiting(client)
        await other.connection.execute(change, admin.id)
    answer = await request
    assert answer["data"] == {mutation: None}
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]
    assert await contents(client, admin) == before

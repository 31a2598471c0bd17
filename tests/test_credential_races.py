"""Credentials under parallel requests: limits hold, nobody waits for ever, and what is gone stays gone."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.conftest import PASSWORD, Door, Person

MOST_KEYS = 50


def public_line() -> str:
    key = Ed25519PrivateKey.generate().public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def outcomes(payloads: list[dict[str, Any]]) -> Counter[str]:
    """How often each code was answered; "made" where there was no error."""
    return Counter(payload["errors"][0]["code"] if payload["errors"] else "made" for payload in payloads)


async def fill_with_api_keys(door: Door, owner: Person, count: int) -> None:
    await door.rows(
        """INSERT INTO api_keys (user_id, name, prefix)
           SELECT $1, 'old ' || n, 'rst_00000000' FROM generate_series(1, $2) n""",
        owner.id,
        count,
    )


async def fill_with_ssh_keys(door: Door, owner: Person, count: int) -> None:
    await door.rows(
        """INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key)
           SELECT $1, 'old ' || n, 'ssh-ed25519', 'SHA256:' || n, 'ssh-ed25519 ' || n FROM generate_series(1, $2) n""",
        owner.id,
        count,
    )


async def test_of_twenty_api_keys_at_once_the_last_place_takes_one(door: Door, alice: Person, bob: Person) -> None:
    await fill_with_api_keys(door, alice, MOST_KEYS - 1)
    made = await asyncio.gather(
        *(door.change("createApiKey", {"name": f"new {number}"}, "secret", by=alice) for number in range(20))
    )
    assert outcomes(made) == {"made": 1, "LIMIT_REACHED": 19}
    assert sum(payload["secret"] is not None for payload in made) == 1
    [row] = await door.rows("SELECT count(*) FROM api_keys WHERE user_id = $1", alice.id)
    assert row["count"] == MOST_KEYS
    assert outcomes([await door.change("createApiKey", {"name": "first"}, "", by=bob)]) == {"made": 1}


async def test_of_twenty_ssh_keys_at_once_the_last_place_takes_one(door: Door, alice: Person) -> None:
    await fill_with_ssh_keys(door, alice, MOST_KEYS - 1)
    made = await asyncio.gather(
        *(
            door.change("addSshKey", {"name": f"new {number}", "publicKey": public_line()}, "", by=alice)
            for number in range(20)
        )
    )
    assert outcomes(made) == {"made": 1, "LIMIT_REACHED": 19}
    [row] = await door.rows("SELECT count(*) FROM ssh_keys WHERE user_id = $1", alice.id)
    assert row["count"] == MOST_KEYS


async def test_a_place_that_is_given_back_is_free_again(door: Door, alice: Person) -> None:
    await fill_with_api_keys(door, alice, MOST_KEYS)
    await fill_with_ssh_keys(door, alice, MOST_KEYS)
    ssh_key = {"name": "new", "publicKey": public_line()}
    full = [
        await door.change(*call, "", by=alice) for call in (("createApiKey", {"name": "new"}), ("addSshKey", ssh_key))
    ]
    assert outcomes(full) == {"LIMIT_REACHED": 2}
    for table, mutation in (("api_keys", "deleteApiKey"), ("ssh_keys", "deleteSshKey")):
        [row] = await door.rows(f"SELECT id FROM {table} LIMIT 1")  # noqa: S608
        await door.change(mutation, {"id": row["id"]}, "", by=alice)
    made = [
        await door.change(*call, "", by=alice) for call in (("createApiKey", {"name": "new"}), ("addSshKey", ssh_key))
    ]
    assert outcomes(made) == {"made": 2}


async def test_one_name_at_once_makes_one_api_key(door: Door, alice: Person) -> None:
    made = await asyncio.gather(*(door.change("createApiKey", {"name": "deploy"}, "", by=alice) for _ in range(8)))
    assert outcomes(made) == {"made": 1, "TAKEN": 7}


async def test_one_ssh_key_of_two_people_at_once_is_the_firsts(door: Door, alice: Person, bob: Person) -> None:
    value = {"name": "laptop", "publicKey": public_line()}
    made = await asyncio.gather(*(door.change("addSshKey", value, "", by=by) for by in (alice, bob) * 4))
    assert outcomes(made) == {"made": 1, "TAKEN": 7}
    assert {tuple(payload["errors"][0]["field"]) for payload in made if payload["errors"]} <= {
        ("publicKey",),
        ("name",),
    }


async def test_rotations_at_once_leave_one_secret(door: Door, alice: Person) -> None:
    value = {"name": "deploy", "permissions": ["account.read"]}
    made = await door.change("createApiKey", value, "apiKey { id }", by=alice)
    rotated = await asyncio.gather(
        *(
            door.change("rotateApiKey", {"id": made["apiKey"]["id"]}, "secret apiKey { prefix }", by=alice)
            for _ in range(8)
        )
    )
    answers = await asyncio.gather(*(door.ask("{ me { email } }", by=payload["secret"]) for payload in rotated))
    live = [payload for payload, answer in zip(rotated, answers, strict=True) if "errors" not in answer]
    assert len(live) == 1
    [row] = await door.rows("SELECT prefix FROM api_keys")
    assert row["prefix"] == live[0]["apiKey"]["prefix"], "the list shows the secret that counts"


async def test_deletions_at_once_are_one_deletion(door: Door, alice: Person) -> None:
    made = await door.change("createApiKey", {"name": "deploy"}, "apiKey { id }", by=alice)
    deleted = await asyncio.gather(
        *(door.change("deleteApiKey", {"id": made["apiKey"]["id"]}, "deletedId", by=alice) for _ in range(6))
    )
    assert outcomes(deleted) == {"made": 1, "NOT_FOUND": 5}
    events = await door.rows("SELECT 1 FROM audit_events WHERE event = 'api-key.delete'")
    assert len(events) == 1


async def test_a_key_that_is_deleted_meanwhile_leaves_no_key_behind(door: Door, alice: Person) -> None:
    value = {"name": "leaked", "permissions": ["api-keys.create"]}
    made = await door.change("createApiKey", value, "secret apiKey { id }", by=alice)
    document = 'mutation { createApiKey(input: {name: "backdoor"}) { secret } }'
    async with door.house.database.transaction() as deletion:
        await deletion.run("lock_user", id=alice.id)
        using = asyncio.create_task(door.ask(document, by=made["secret"]))
        await asyncio.sleep(0.3)
        await deletion.run("delete_api_key", id=made["apiKey"]["id"])
    answer = await using
    assert (answer["data"], answer["errors"][0]["extensions"]) == (None, {"code": "UNAUTHENTICATED"})
    assert await door.rows("SELECT 1 FROM api_keys") == []


@pytest.mark.parametrize(
    ("mutation", "statement"), [("deleteApiKey", "delete_api_key"), ("deleteSshKey", "delete_ssh_key")]
)
async def test_an_administrators_deletion_and_the_users_own_do_not_block_each_other(
    door: Door, admin: Person, alice: Person, mutation: str, statement: str
) -> None:
    await fill_with_api_keys(door, alice, 1)
    await fill_with_ssh_keys(door, alice, 1)
    table = "api_keys" if mutation == "deleteApiKey" else "ssh_keys"
    [key] = await door.rows(f"SELECT id FROM {table}")  # noqa: S608
    async with door.house.database.transaction() as other:
        await other.run("lock_user", id=alice.id)
        deletion = asyncio.create_task(door.change(mutation, {"id": key["id"]}, "deletedId", by=admin))
        await asyncio.sleep(0.3)
        await other.run(statement, id=key["id"])
    assert outcomes([await deletion]) == {"NOT_FOUND": 1}


async def test_a_login_under_a_suspension_leaves_no_live_session(door: Door, admin: Person, alice: Person) -> None:
    login = {"login": "alice", "password": PASSWORD}
    document = "mutation ($input: LoginInput!) { login(input: $input) { token } }"
    *answers, suspended = await asyncio.gather(
        *(door.ask(document, {"input": login}) for _ in range(6)),
        door.change("suspendUser", {"id": alice.id}, "user { suspended }", by=admin),
    )
    assert suspended == {"user": {"suspended": True}, "errors": []}
    assert await door.rows("SELECT 1 FROM sessions WHERE user_id = $1 AND ended_at IS NULL", alice.id) == []
    for answer in answers:
        if answer["data"] is None:
            assert answer["errors"][0]["extensions"] == {"code": "USER_SUSPENDED"}
        else:
            told = await door.ask("{ me { id } }", by=answer["data"]["login"]["token"])
            assert told["errors"][0]["extensions"] == {"code": "USER_SUSPENDED"}


async def test_a_login_with_a_password_that_is_changed_meanwhile_is_wrong(door: Door, alice: Person) -> None:
    async with door.house.database.transaction() as change:
        await change.run("lock_user", id=alice.id)
        login = {"login": "alice", "password": PASSWORD}
        signing_in = asyncio.create_task(door.change("login", login, "token"))
        await asyncio.sleep(0.5)  # the old password is verified by now
        await change.run("set_password", user_id=alice.id, password_hash=await door.house.hasher.hash("another-77"))
    answer = await signing_in
    assert (answer["token"], outcomes([answer])) == (None, {"WRONG_CREDENTIALS": 1})

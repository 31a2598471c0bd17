"""API keys: their secret, their lifetime, and the networks that they may be used from."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from tests.conftest import Client, Person

KEY = "id name prefix permissions allowedIps createdAt lastUsedAt expiresAt user { id }"
LIST = f"{{ me {{ apiKeys {{ totalCount nodes {{ {KEY} }} }} }} }}"
TAKEN = [{"code": "TAKEN", "message": "This name of an API key is already taken.", "field": ["name"]}]


async def new_key(client: Client, by: Person | str, **value: Any) -> tuple[str, str]:
    """Return the secret and the id of a new key that may read its owner's account."""
    value = {"name": "deploy", "permissions": ["account.read"], **value}
    created = await client.mutate("createApiKey", value, "secret apiKey { id }", by=by)
    assert created["errors"] == []
    return created["secret"], created["apiKey"]["id"]


async def code_of(client: Client, secret: str) -> str | None:
    """Return the code with which `me` is denied for this token; None if the token is valid."""
    answer = await client.execute("{ me { email } }", by=secret)
    if "errors" not in answer:
        assert answer["data"]["me"] is not None
        return None
    assert answer["data"] == {"me": None}
    return str(answer["errors"][0]["extensions"]["code"])


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_key_is_created_listed_changed_and_deleted(client: Client, alice: Person) -> None:
    value = {
        "name": "backup job",
        "permissions": ["servers.read", "account.read", "servers.read", "backups.create"],
        "allowedIps": ["192.0.2.0/24", "2001:DB8::/32", "198.51.100.7", "192.0.2.0/24"],
        "expiresAt": "2999-01-01T01:00:00+01:00",
    }
    created = await client.mutate("createApiKey", value, f"secret apiKey {{ {KEY} }}", by=alice)
    key = created["apiKey"]
    assert created["errors"] == []
    assert key == {
        "id": key["id"],
        "name": "backup job",
        "prefix": created["secret"][:12],
        "permissions": ["account.read", "backup.create", "servers.read"],
        "allowedIps": ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"],
        "createdAt": key["createdAt"],
        "lastUsedAt": None,
        "expiresAt": "2999-01-01T00:00:00Z",
        "user": {"id": alice.id},
    }
    assert await client.data(LIST, by=alice) == {"me": {"apiKeys": {"totalCount": 1, "nodes": [key]}}}
    change = {"id": key["id"], "name": "nightly", "permissions": None, "allowedIps": None, "expiresAt": None}
    changed = await client.mutate("updateApiKey", change, f"apiKey {{ {KEY} }}", by=alice)
    cleared = key | {"name": "nightly", "permissions": [], "allowedIps": [], "expiresAt": None}
    assert changed == {"apiKey": cleared, "errors": []}
    unchanged = await client.mutate("updateApiKey", {"id": key["id"]}, f"apiKey {{ {KEY} }}", by=alice)
    assert unchanged == changed
    deleted = await client.mutate("deleteApiKey", {"id": key["id"]}, "deletedId", by=alice)
    assert deleted == {"deletedId": key["id"], "errors": []}
    assert await client.data(LIST, by=alice) == {"me": {"apiKeys": {"totalCount": 0, "nodes": []}}}
    events = await client.rows("SELECT event FROM audit_events WHERE event LIKE 'api-key.%' ORDER BY id")
    assert [row["event"] for row in events] == ["api-key.create", "api-key.update", "api-key.delete"]


async def test_every_secret_has_the_format_of_a_token_and_is_unique(client: Client, alice: Person) -> None:
    secrets = {(await new_key(client, alice, name=f"key {number}"))[0] for number in range(3)}
    assert len(secrets) == 3
    assert all(re.fullmatch(r"rst_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", secret) for secret in secrets)


async def test_a_key_acts_for_its_owner(client: Client, alice: Person) -> None:
    secret, _ = await new_key(client, alice)
    assert await client.data("{ me { id email } }", by=secret) == {"me": {"id": alice.id, "email": "alice@roster.test"}}


@pytest.mark.parametrize("name", ["deploy", "DEPLOY", "Deploy", " deploy ", "\uff44eploy"])
async def test_a_name_is_unique_among_the_keys_of_a_user(client: Client, alice: Person, bob: Person, name: str) -> None:
    await new_key(client, alice)
    taken = await client.mutate("createApiKey", {"name": name}, "secret apiKey { id }", by=alice)
    assert taken == {"secret": None, "apiKey": None, "errors": TAKEN}
    _, other = await new_key(client, alice, name="other")
    assert (await client.mutate("updateApiKey", {"id": other, "name": name}, "", by=alice))["errors"] == TAKEN
    await new_key(client, bob, name=name)


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        ({"name": ""}, "REQUIRED", ["name"]),
        ({"name": "   "}, "REQUIRED", ["name"]),
        ({"name": "x" * 32}, "TOO_LONG", ["name"]),
        ({"name": "a\u0000b"}, "INVALID", ["name"]),
        ({"name": "a\u200bb"}, "INVALID", ["name"]),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "INVALID", ["expiresAt"]),
        ({"permissions": ["account.read", "users.read"]}, "NOT_ALLOWED", ["permissions", "1"]),
        ({"allowedIps": ["192.0.2.1"] * 51}, "TOO_LONG", ["allowedIps"]),
    ],
)
async def test_a_wrong_value_is_reported_with_its_field(
    client: Client, alice: Person, value: dict[str, Any], code: str, field: list[str]
) -> None:
    _, key_id = await new_key(client, alice, name="other")
    rejected = await client.mutate("createApiKey", {"name": "deploy"} | value, "secret apiKey { id }", by=alice)
    assert (rejected["secret"], rejected["apiKey"]) == (None, None)
    unchanged = await client.mutate("updateApiKey", {"id": key_id} | value, "apiKey { id }", by=alice)
    for payload in (rejected, unchanged):
        assert problems(payload) == [(code, field)]


async def test_all_problems_of_an_input_are_reported_at_once(client: Client, alice: Person) -> None:
    await new_key(client, alice)
    _, other = await new_key(client, alice, name="other")
    value = {
        "name": "Deploy",
        "permissions": ["users.read", "account.read", "users.update"],
        "allowedIps": ["192.0.2.1"] * 51,
        "expiresAt": "2020-01-01T00:00:00Z",
    }
    messages = {
        "allowedIps": ("TOO_LONG", "allowedIps must have at most 50 items."),
        "expiresAt": ("INVALID", "expiresAt must be in the future."),
        "name": ("TAKEN", "This name of an API key is already taken."),
        "permissions.0": ("NOT_ALLOWED", "You do not hold the permission users.read."),
        "permissions.2": ("NOT_ALLOWED", "You do not hold the permission users.update."),
    }
    for mutation, further in (("createApiKey", {}), ("updateApiKey", {"id": other})):
        payload = await client.mutate(mutation, value | further, "apiKey { id }", by=alice)
        assert payload["apiKey"] is None
        assert len(payload["errors"]) == len(messages)
        found = {".".join(error["field"]): (error["code"], error["message"]) for error in payload["errors"]}
        assert found == messages


async def test_a_key_cannot_lose_its_name(client: Client, alice: Person) -> None:
    _, key_id = await new_key(client, alice)
    rejected = await client.mutate("updateApiKey", {"id": key_id, "name": None}, "apiKey { id }", by=alice)
    assert rejected["errors"] == [{"code": "REQUIRED", "message": "name cannot be removed.", "field": ["name"]}]


@pytest.mark.parametrize(
    ("field", "item", "message"),
    [
        ("permissions", "sudo", "Unknown permission; permissionCatalog lists all of them."),
        ("permissions", "*", "Unknown permission; permissionCatalog lists all of them."),
        ("allowedIps", "192.0.2.1/24", "The network has host bits set; did you mean 192.0.2.0/24?"),
    ],
)
async def test_unknown_permissions_and_bad_networks_are_bad_input(
    client: Client, alice: Person, field: str, item: str, message: str
) -> None:
    document = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }"
    answer = await client.execute(document, {"input": {"name": "deploy", field: [item]}}, by=alice)
    [error] = answer["errors"]
    assert "data" not in answer
    assert error["message"] == f"$input.{field}.0: {message}"
    assert error["extensions"] == {
        "code": "BAD_USER_INPUT",
        "problems": [{"path": ["input", field, 0], "message": message}],
    }


async def test_an_expired_or_deleted_key_is_not_valid_at_the_next_request(client: Client, alice: Person) -> None:
    secret, key_id = await new_key(client, alice, expiresAt="2999-01-01T00:00:00Z")
    deleted_secret, deleted = await new_key(client, alice, name="other")
    assert [await code_of(client, secret), await code_of(client, deleted_secret)] == [None, None]
    await client.rows("UPDATE api_keys SET expires_at = now() WHERE id = $1", key_id)
    assert await code_of(client, secret) == "UNAUTHENTICATED"
    await client.mutate("deleteApiKey", {"id": deleted}, "", by=alice)
    assert await code_of(client, deleted_secret) == "UNAUTHENTICATED"


async def test_expired_keys_do_not_count_against_the_limit(client: Client, alice: Person) -> None:
    await client.rows(
        """INSERT INTO api_keys (user_id, name, prefix, expires_at)
           SELECT $1, 'old ' || n, 'rst_00000000', now() FROM generate_series(1, 50) n""",
        alice.id,
    )
    await new_key(client, alice, name="number 51")
    [row] = await client.rows("SELECT count(*) FROM api_keys WHERE user_id = $1", alice.id)
    assert row["count"] == 51
    await client.rows("UPDATE api_keys SET expires_at = NULL WHERE name <> 'old 1'")
    message = "A user may have at most 50 API keys that have not expired."
    limited = await client.mutate("createApiKey", {"name": "number 52"}, "apiKey { id }", by=alice)
    assert limited == {
        "apiKey": None,
        "errors": [{"code": "LIMIT_REACHED", "message": message, "field": ["name"]}],
    }


async def test_an_expired_key_of_the_same_name_is_replaced(client: Client, alice: Person, bob: Person) -> None:
    old_secret, old = await new_key(client, alice, name="Deploy")
    _, of_bob = await new_key(client, bob, name="deploy")
    _, other = await new_key(client, alice, name="other")
    await client.rows("UPDATE api_keys SET expires_at = now() WHERE id <> $1", other)
    renamed = await client.mutate("updateApiKey", {"id": other, "name": "deploy"}, "apiKey { id }", by=alice)
    assert renamed == {"apiKey": None, "errors": TAKEN}, "a change of another key replaces nothing"
    secret, new = await new_key(client, alice)
    assert [await code_of(client, old_secret), await code_of(client, secret)] == ["UNAUTHENTICATED", None]
    keys = await client.rows("SELECT id FROM api_keys ORDER BY id")
    assert [row["id"] for row in keys] == sorted([of_bob, other, new])
    document = "{ me { auditEvents(first: 1) { nodes { event targetId changes } } } }"
    [event] = (await client.data(document, by=alice))["me"]["auditEvents"]["nodes"]
    assert (event["event"], event["targetId"]) == ("api-key.create", new)
    assert event["changes"]["replaced"] == {"old": None, "new": old}
    again = await client.mutate("createApiKey", {"name": "deploy"}, "secret apiKey { id }", by=alice)
    assert again == {"secret": None, "apiKey": None, "errors": TAKEN}, "the new key has not expired"


async def test_a_key_is_not_valid_while_its_owner_is_suspended(client: Client, admin: Person, alice: Person) -> None:
    secret, _ = await new_key(client, alice)
    await client.mutate("suspendUser", {"id": alice.id}, "", by=admin)
    assert await code_of(client, secret) == "USER_SUSPENDED"
    await client.mutate("unsuspendUser", {"id": alice.id}, "", by=admin)
    assert await code_of(client, secret) is None


async def test_the_last_use_is_recorded_at_most_once_a_minute(client: Client, alice: Person) -> None:
    secret, key_id = await new_key(client, alice)
    recorded = []
    for age in ("0 seconds", "59 seconds", "61 seconds"):
        await client.rows("UPDATE api_keys SET last_used_at = last_used_at - CAST($1 AS text)::interval", age)
        before = (await client.rows("SELECT last_used_at AS at FROM api_keys WHERE id = $1", key_id))[0]["at"]
        await asyncio.gather(*(code_of(client, secret) for _ in range(4)))
        after = (await client.rows("SELECT last_used_at AS at FROM api_keys WHERE id = $1", key_id))[0]["at"]
        recorded.append(after != before)
    assert recorded == [True, False, True]


async def test_the_old_secret_is_not_valid_after_a_rotation(client: Client, alice: Person) -> None:
    old, key_id = await new_key(client, alice)
    rotated = await client.mutate("rotateApiKey", {"id": key_id}, f"secret apiKey {{ {KEY} }}", by=alice)
    assert (rotated["errors"], rotated["apiKey"]["id"]) == ([], key_id)
    assert rotated["apiKey"]["prefix"] == rotated["secret"][:12]
    assert [await code_of(client, old), await code_of(client, rotated["secret"])] == ["UNAUTHENTICATED", None]


async def test_both_secrets_are_valid_during_the_grace_period(client: Client, alice: Person) -> None:
    first, key_id = await new_key(client, alice)
    rotations = [
        await client.mutate("rotateApiKey", {"id": key_id, "graceSeconds": grace}, "secret", by=alice)
        for grace in (3600, 7200)
    ]
    second, third = (payload["secret"] for payload in rotations)
    assert [await code_of(client, secret) for secret in (first, second, third)] == [None, None, None]
    grace = await client.rows("SELECT extract(epoch FROM expires_at - now()) AS left FROM api_key_secrets ORDER BY 1")
    assert [row["left"] and round(row["left"] / 60) for row in grace] == [60, 120, None]
    await client.rows("UPDATE api_key_secrets SET expires_at = expires_at - interval '1 hour'")
    assert [await code_of(client, secret) for secret in (first, second, third)] == ["UNAUTHENTICATED", None, None]
    await client.mutate("rotateApiKey", {"id": key_id, "graceSeconds": 0}, "secret", by=alice)
    assert {await code_of(client, secret) for secret in (first, second, third)} == {"UNAUTHENTICATED"}


@pytest.mark.parametrize("grace", [-1, 30 * 86_400 + 1])
async def test_a_grace_period_has_limits(client: Client, alice: Person, grace: int) -> None:
    secret, key_id = await new_key(client, alice)
    rejected = await client.mutate("rotateApiKey", {"id": key_id, "graceSeconds": grace}, "secret", by=alice)
    message = "graceSeconds must be between 0 and 2592000."
    assert rejected["errors"] == [{"code": "INVALID", "message": message, "field": ["graceSeconds"]}]
    assert (rejected["secret"], await code_of(client, secret)) == (None, None)


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("192.0.2.0/24", "192.0.2.255", "192.0.3.0"),
        ("192.0.2.0/24", "::ffff:192.0.2.9", "::ffff:198.51.100.9"),
        ("::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.9"),
        ("198.51.100.7", "198.51.100.7", "198.51.100.8"),
        ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
        ("fe80::/10", "fe80::1%eth0", "192.0.2.1"),
        ("::1", "::1", "127.0.0.1"),
        ("0.0.0.0/0", "203.0.113.9", "2001:db8::1"),
    ],
)
async def test_a_key_is_valid_from_its_networks_only(
    client: Client, alice: Person, network: str, inside: str, outside: str
) -> None:
    secret, _ = await new_key(client, alice, allowedIps=["203.0.113.200", network])
    denied = {"message": "This API key may not be used from this address.", "extensions": {"code": "FORBIDDEN"}}
    for address, data, errors in ((inside, {"id": alice.id}, []), (outside, None, [denied])):
        transport = httpx.ASGITransport(client.app, client=(address, 4711))
        headers = {"authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://roster.test", headers=headers) as http:
            answer = (await http.post("/graphql", json={"query": "{ me { id } }"})).json()
        assert answer["data"] == {"me": data}
        found = answer.get("errors", [])
        assert [{name: error[name] for name in ("message", "extensions")} for error in found] == errors

"""API keys: their secret, their life, and where they may be used from."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import httpx
import pytest

from service.secrets import TokenKind, new_token
from tests.conftest import Door, Person

KEY = "id name prefix permissions allowedIps createdAt lastUsedAt expiresAt user { id }"
LISTED = f"{{ me {{ apiKeys {{ totalCount nodes {{ {KEY} }} }} }} }}"


async def new_key(door: Door, by: Person | str, **value: Any) -> tuple[str, str]:
    """The secret and the id of a new key that may read its owner's account."""
    value = {"name": "deploy", "permissions": ["account.read"], **value}
    made = await door.change("createApiKey", value, "secret apiKey { id }", by=by)
    assert made["errors"] == []
    return made["secret"], made["apiKey"]["id"]


async def code_of(door: Door, secret: str) -> str | None:
    """With what `me` is refused for this token; None where it counts."""
    answer = await door.ask("{ me { email } }", by=secret)
    if "errors" not in answer:
        assert answer["data"]["me"] is not None
        return None
    assert answer["data"] == {"me": None}
    return str(answer["errors"][0]["extensions"]["code"])


async def test_a_key_is_made_listed_changed_and_deleted(door: Door, alice: Person) -> None:
    value = {
        "name": "backup job",
        "permissions": ["servers.read", "account.read", "servers.read", "backups.create"],
        "allowedIps": ["192.0.2.0/24", "2001:DB8::/32", "198.51.100.7", "192.0.2.0/24"],
        "expiresAt": "2999-01-01T01:00:00+01:00",
    }
    made = await door.change("createApiKey", value, f"secret apiKey {{ {KEY} }}", by=alice)
    key = made["apiKey"]
    assert made["errors"] == []
    assert key == {
        "id": key["id"],
        "name": "backup job",
        "prefix": made["secret"][:12],
        "permissions": ["account.read", "backup.create", "servers.read"],
        "allowedIps": ["192.0.2.0/24", "198.51.100.7/32", "2001:db8::/32"],
        "createdAt": key["createdAt"],
        "lastUsedAt": None,
        "expiresAt": "2999-01-01T00:00:00Z",
        "user": {"id": alice.id},
    }
    assert await door.data(LISTED, by=alice) == {"me": {"apiKeys": {"totalCount": 1, "nodes": [key]}}}
    change = {"id": key["id"], "name": "nightly", "permissions": None, "allowedIps": None, "expiresAt": None}
    changed = await door.change("updateApiKey", change, f"apiKey {{ {KEY} }}", by=alice)
    cleared = key | {"name": "nightly", "permissions": [], "allowedIps": [], "expiresAt": None}
    assert changed == {"apiKey": cleared, "errors": []}
    kept = await door.change("updateApiKey", {"id": key["id"]}, f"apiKey {{ {KEY} }}", by=alice)
    assert kept == changed
    deleted = await door.change("deleteApiKey", {"id": key["id"]}, "deletedId", by=alice)
    assert deleted == {"deletedId": key["id"], "errors": []}
    assert await door.data(LISTED, by=alice) == {"me": {"apiKeys": {"totalCount": 0, "nodes": []}}}
    events = await door.rows("SELECT event FROM audit_events WHERE event LIKE 'api-key.%' ORDER BY id")
    assert [row["event"] for row in events] == ["api-key.create", "api-key.update", "api-key.delete"]


async def test_a_secret_is_recognisable_and_each_is_another(door: Door, alice: Person) -> None:
    secrets = {(await new_key(door, alice, name=f"key {number}"))[0] for number in range(3)}
    assert len(secrets) == 3
    assert all(re.fullmatch(r"rst_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", secret) for secret in secrets)


async def test_a_key_acts_for_its_owner(door: Door, alice: Person) -> None:
    secret, _ = await new_key(door, alice)
    assert await door.data("{ me { id email } }", by=secret) == {"me": {"id": alice.id, "email": "alice@roster.test"}}


@pytest.mark.parametrize("name", ["deploy", "DEPLOY", "Deploy"])
async def test_a_name_is_unique_among_ones_own_keys(door: Door, alice: Person, bob: Person, name: str) -> None:
    await new_key(door, alice)
    taken = await door.change("createApiKey", {"name": name}, "secret apiKey { id }", by=alice)
    refusal = [{"code": "TAKEN", "message": "This name of an API key is taken", "field": ["name"]}]
    assert taken == {"secret": None, "apiKey": None, "errors": refusal}
    _, other = await new_key(door, alice, name="other")
    assert (await door.change("updateApiKey", {"id": other, "name": name}, "", by=alice))["errors"] == refusal
    await new_key(door, bob, name=name)


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        ({"name": ""}, "REQUIRED", ["name"]),
        ({"name": "   "}, "REQUIRED", ["name"]),
        ({"name": "x" * 32}, "TOO_LONG", ["name"]),
        ({"name": "a\u0000b"}, "INVALID", ["name"]),
        ({"expiresAt": "2020-01-01T00:00:00Z"}, "INVALID", ["expiresAt"]),
        ({"permissions": ["account.read", "users.read"]}, "NOT_ALLOWED", ["permissions", "1"]),
        ({"allowedIps": ["192.0.2.1"] * 51}, "TOO_LONG", ["allowedIps"]),
    ],
)
async def test_what_a_key_must_not_be_is_told_by_field(
    door: Door, alice: Person, value: dict[str, Any], code: str, field: list[str]
) -> None:
    _, key_id = await new_key(door, alice, name="other")
    refused = await door.change("createApiKey", {"name": "deploy"} | value, "secret apiKey { id }", by=alice)
    assert (refused["secret"], refused["apiKey"]) == (None, None)
    unchanged = await door.change("updateApiKey", {"id": key_id} | value, "apiKey { id }", by=alice)
    for payload in (refused, unchanged):
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [(code, field)]


async def test_a_key_cannot_lose_its_name(door: Door, alice: Person) -> None:
    _, key_id = await new_key(door, alice)
    refused = await door.change("updateApiKey", {"id": key_id, "name": None}, "apiKey { id }", by=alice)
    assert [(error["code"], error["field"]) for error in refused["errors"]] == [("REQUIRED", ["name"])]


@pytest.mark.parametrize("value", [{"permissions": ["sudo"]}, {"permissions": ["*"]}, {"allowedIps": ["192.0.2.1/24"]}])
async def test_unknown_permissions_and_bad_networks_are_bad_input(
    door: Door, alice: Person, value: dict[str, Any]
) -> None:
    document = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret } }"
    answer = await door.ask(document, {"input": {"name": "deploy"} | value}, by=alice)
    [error] = answer["errors"]
    assert ("data" in answer, error["extensions"]) == (False, {"code": "BAD_USER_INPUT"})
    assert f"$input' has invalid value at .{next(iter(value))}[0]: " in error["message"]


async def test_an_expired_key_and_a_deleted_one_are_refused_at_the_next_request(door: Door, alice: Person) -> None:
    secret, key_id = await new_key(door, alice, expiresAt="2999-01-01T00:00:00Z")
    deleted_secret, deleted = await new_key(door, alice, name="other")
    assert [await code_of(door, secret), await code_of(door, deleted_secret)] == [None, None]
    await door.rows("UPDATE api_keys SET expires_at = now() WHERE id = $1", key_id)
    assert await code_of(door, secret) == "UNAUTHENTICATED"
    await door.change("deleteApiKey", {"id": deleted}, "", by=alice)
    assert await code_of(door, deleted_secret) == "UNAUTHENTICATED"


async def test_a_key_rests_while_its_owner_is_suspended(door: Door, admin: Person, alice: Person) -> None:
    secret, _ = await new_key(door, alice)
    await door.change("suspendUser", {"id": alice.id}, "", by=admin)
    assert await code_of(door, secret) == "USER_SUSPENDED"
    await door.change("unsuspendUser", {"id": alice.id}, "", by=admin)
    assert await code_of(door, secret) is None


async def test_the_latest_use_is_written_at_most_once_a_minute(door: Door, alice: Person) -> None:
    secret, key_id = await new_key(door, alice)
    used = [None]
    for moved in ("0 seconds", "59 seconds", "61 seconds"):
        await door.rows("UPDATE api_keys SET last_used_at = last_used_at - CAST($1 AS text)::interval", moved)
        before = (await door.rows("SELECT last_used_at AS at FROM api_keys WHERE id = $1", key_id))[0]["at"]
        await asyncio.gather(*(code_of(door, secret) for _ in range(4)))
        after = (await door.rows("SELECT last_used_at AS at FROM api_keys WHERE id = $1", key_id))[0]["at"]
        used.append(after != before)
    assert used[1:] == [True, False, True]


async def test_a_rotation_kills_the_old_secret_at_once(door: Door, alice: Person) -> None:
    old, key_id = await new_key(door, alice)
    made = await door.change("rotateApiKey", {"id": key_id}, f"secret apiKey {{ {KEY} }}", by=alice)
    assert (made["errors"], made["apiKey"]["id"], made["apiKey"]["prefix"]) == ([], key_id, made["secret"][:12])
    assert [await code_of(door, old), await code_of(door, made["secret"])] == ["UNAUTHENTICATED", None]


async def test_both_secrets_work_until_the_grace_is_over(door: Door, alice: Person) -> None:
    first, key_id = await new_key(door, alice)
    rotated = [
        await door.change("rotateApiKey", {"id": key_id, "graceSeconds": grace}, "secret", by=alice)
        for grace in (3600, 7200)
    ]
    second, third = (made["secret"] for made in rotated)
    assert [await code_of(door, secret) for secret in (first, second, third)] == [None, None, None]
    grace = await door.rows("SELECT extract(epoch FROM expires_at - now()) AS left FROM api_key_secrets ORDER BY 1")
    assert [row["left"] and round(row["left"] / 60) for row in grace] == [60, 120, None]
    await door.rows("UPDATE api_key_secrets SET expires_at = expires_at - interval '1 hour'")
    assert [await code_of(door, secret) for secret in (first, second, third)] == ["UNAUTHENTICATED", None, None]
    await door.change("rotateApiKey", {"id": key_id, "graceSeconds": 0}, "secret", by=alice)
    assert {await code_of(door, secret) for secret in (first, second, third)} == {"UNAUTHENTICATED"}


@pytest.mark.parametrize("grace", [-1, 30 * 86_400 + 1])
async def test_a_grace_has_its_bounds(door: Door, alice: Person, grace: int) -> None:
    secret, key_id = await new_key(door, alice)
    refused = await door.change("rotateApiKey", {"id": key_id, "graceSeconds": grace}, "secret", by=alice)
    assert [(error["code"], error["field"]) for error in refused["errors"]] == [("INVALID", ["graceSeconds"])]
    assert await code_of(door, secret) is None


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
async def test_a_key_counts_from_its_networks_only(
    door: Door, alice: Person, network: str, inside: str, outside: str
) -> None:
    secret, _ = await new_key(door, alice, allowedIps=["203.0.113.200", network])
    for address, counts in ((inside, True), (outside, False)):
        transport = httpx.ASGITransport(door.app, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://roster.test") as client:
            response = await client.post(
                "/graphql", json={"query": "{ me { id } }"}, headers={"authorization": f"Bearer {secret}"}
            )
            answer = response.json()
        if counts:
            assert answer == {"data": {"me": {"id": alice.id}}}
        else:
            assert (answer["data"], answer["errors"][0]["extensions"]) == ({"me": None}, {"code": "FORBIDDEN"})


def wrong_checksum() -> str:
    secret = new_token(TokenKind.API_KEY)
    return secret[:-1] + ("0" if secret[-1] != "0" else "1")


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer    ",
        b"Basic YWxpY2U6c2VjcmV0",
        b"Token rst_abc",
        b"Bearer nonsense",
        b"Bearer " + wrong_checksum().encode(),
        b"Bearer " + new_token(TokenKind.API_KEY).encode(),
        b"Bearer " + new_token(TokenKind.SESSION).encode(),
        b"Bearer rsts_" + new_token(TokenKind.API_KEY)[4:].encode(),
        b"Bearer rst_" + b"\xff\xfe\x80" * 20,
        b"Bearer \xf0\x9f\xa6\x94",
        b"Bearer rst_" + b"A" * 60_000,
        b"Bearer " + b"' OR 1=1 --",
        b"Bearer a b c",
        b"\x00",
    ],
)
async def test_a_token_that_is_none_is_told_and_nothing_breaks(door: Door, header: bytes) -> None:
    body = {"query": "{ me { id } plans { id } }"}
    response = await door.http.post("/graphql", json=body, headers=[(b"authorization", header)])
    answer = response.json()
    assert (response.status_code, answer["data"]) == (200, {"me": None, "plans": []})
    assert [(error["path"], error["extensions"]) for error in answer["errors"]] == [
        (["me"], {"code": "UNAUTHENTICATED"})
    ]


async def test_a_key_opens_no_session_and_gets_no_cookie(door: Door, alice: Person) -> None:
    secret, _ = await new_key(door, alice, permissions=["account.read", "sessions.read", "sessions.delete"])
    sessions = await door.rows("SELECT count(*) FROM sessions")
    headers = {"authorization": f"Bearer {secret}"}
    for query in ("{ me { sessions { nodes { current } } } }", "mutation { logout { errors { code } } }"):
        response = await door.http.post("/graphql", json={"query": query}, headers=headers)
        assert "errors" not in response.json()
        assert "set-cookie" not in response.headers
    assert response.json() == {"data": {"logout": {"errors": [{"code": "NOT_ALLOWED"}]}}}
    assert await door.rows("SELECT count(*) FROM sessions") == sessions

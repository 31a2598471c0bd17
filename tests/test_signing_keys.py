"""The keys of access tokens: the first one, rotation, and what is published."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from service.__main__ import main
from service.access import signing_keys
from service.clean_up import clean_up
from service.signing_keys import rotate_key
from tests.conftest import Client, Person, opened_client

CREATE = "mutation { createAccessToken { accessToken errors { code } } }"
ME = "{ me { username } }"


async def created(client: Client, by: Person) -> str:
    return str((await client.data(CREATE, by=by))["createAccessToken"]["accessToken"])


async def key_set(client: Client) -> httpx.Response:
    return await client.http.get("/.well-known/jwks.json")


async def key_ids(client: Client) -> list[str]:
    return [each["kid"] for each in (await key_set(client)).json()["keys"]]


async def is_accepted(client: Client, token: str) -> bool:
    return (await client.execute(ME, by=token))["data"]["me"] is not None


async def rotate(client: Client, *, revoke: bool = False) -> str:
    return await rotate_key(client.resources.database, client.resources.encryption, revoke=revoke)


@pytest.fixture
def _without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the keys again for every unknown one."""
    monkeypatch.setattr(signing_keys, "UNKNOWN_SECONDS", 0.0)


async def test_two_workers_that_need_the_first_key_create_one(
    client: Client, database_url: str, alice: Person, bob: Person
) -> None:
    assert (await key_set(client)).json() == {"keys": []}
    async with opened_client(client.resources.settings, database_url) as other:
        calls = [created(worker, person) for worker in (client, other) for person in (alice, bob) for _ in range(5)]
        tokens = await asyncio.gather(*calls)
        assert len(await client.rows("SELECT FROM signing_keys")) == 1
        for token in tokens:
            assert [await is_accepted(worker, token) for worker in (client, other)] == [True, True]
    events = await client.rows("SELECT actor_id, credential FROM audit_events WHERE event = 'signing-key.create'")
    assert [tuple(event) for event in events] == [(None, "job:signing-key")]


async def test_the_private_key_is_encrypted_and_nowhere_else(client: Client, alice: Person) -> None:
    token = await created(client, alice)
    found = await client.resources.signing_keys.current()
    private = found[1].as_dict(private=True)["d"]
    raw = found[1].raw_value.private_bytes_raw()
    [row] = await client.rows("SELECT private_key FROM signing_keys")
    assert client.resources.encryption.decrypt(row["private_key"]) == raw
    stored = [
        text[0]
        for table in ("signing_keys", "audit_events", "sessions", "session_tokens")
        for text in await client.rows(f"SELECT CAST(to_jsonb(t) AS text) FROM {table} AS t")  # noqa: S608
    ]
    assert all(secret not in text for text in stored for secret in (private, raw.hex(), token, token[-86:]))
    assert "d" not in (await key_set(client)).json()["keys"][0]


async def test_the_key_set_may_be_cached_for_a_short_time(client: Client, alice: Person) -> None:
    await created(client, alice)
    response = await key_set(client)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "public, max-age=60"
    assert "set-cookie" not in response.headers
    [key] = response.json()["keys"]
    assert (key["kty"], key["crv"], key["use"], key["alg"], len(key["x"])) == ("OKP", "Ed25519", "sig", "EdDSA", 43)


async def test_a_flood_of_requests_for_the_key_set_does_not_reach_the_database(client: Client, alice: Person) -> None:
    await created(client, alice)
    await key_set(client)
    before = client.reads
    for _ in range(50):
        await key_set(client)
    assert client.reads <= before + 2, "at most once a second"


@pytest.mark.usefixtures("_without_pause")
async def test_after_a_rotation_old_tokens_are_valid_until_they_expire(
    client: Client, alice: Person, database_url: str
) -> None:
    async with opened_client(client.resources.settings, database_url) as other:
        old = await created(client, alice)
        [old_id] = await key_ids(other)
        new_id = await rotate(client)
        for worker in (client, other):
            new = await created(worker, alice)
            assert await key_ids(worker) == [new_id, old_id]
            for each in (client, other):
                assert [await is_accepted(each, token) for token in (old, new)] == [True, True]
    [row] = await client.rows("SELECT private_key FROM signing_keys WHERE retired_at IS NOT NULL")
    assert row["private_key"] is None, "a retired key signs nothing"


@pytest.mark.usefixtures("_without_pause")
async def test_a_retired_key_is_not_published_for_longer_than_its_tokens_live(client: Client, alice: Person) -> None:
    old = await created(client, alice)
    new_id = await rotate(client)
    await client.rows(
        "UPDATE signing_keys SET retired_at = now() - interval '901 seconds' WHERE retired_at IS NOT NULL"
    )
    assert await key_ids(client) == [new_id]
    assert not await is_accepted(client, old), "a key that leaked later must not sign for the future"
    for age, left in ((3500, 2), (3700, 1)):
        await client.rows(
            "UPDATE signing_keys SET retired_at = now() - make_interval(secs => $1) WHERE retired_at IS NOT NULL",
            float(age),
        )
        await clean_up(client.resources.database)
        assert len(await client.rows("SELECT FROM signing_keys")) == left


async def test_a_revoked_key_is_not_accepted_by_any_worker_after_a_minute(
    client: Client, alice: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened_client(client.resources.settings, database_url) as other:
        old = await created(client, alice)
        assert [await is_accepted(worker, old) for worker in (client, other)] == [True, True]
        await rotate(client, revoke=True)
        monkeypatch.setattr(signing_keys, "READ_SECONDS", 0.0)  # a minute has passed
        assert [await is_accepted(worker, old) for worker in (client, other)] == [False, False]
        new = await created(client, alice)
        assert [await is_accepted(worker, new) for worker in (client, other)] == [True, True]


async def test_parallel_rotations_leave_one_key_that_signs(client: Client, alice: Person) -> None:
    await created(client, alice)
    await asyncio.gather(*(rotate(client) for _ in range(6)))
    rows = await client.rows("SELECT retired_at FROM signing_keys")
    assert ([row["retired_at"] for row in rows].count(None), len(rows)) == (1, 7)
    events = await client.rows("SELECT credential FROM audit_events WHERE event = 'signing-key.rotate'")
    assert [event["credential"] for event in events] == ["command:rotate-signing-key"] * 6


@pytest.mark.parametrize("revoke", [False, True])
async def test_the_command_rotates(
    client: Client, alice: Person, database_url: str, monkeypatch: pytest.MonkeyPatch, *, revoke: bool
) -> None:
    await created(client, alice)
    monkeypatch.setenv("ROSTER_DATABASE_URL", database_url)
    arguments = ["rotate-signing-key", *(["--revoke"] if revoke else [])]
    result: Any = await asyncio.to_thread(CliRunner().invoke, main, arguments)
    [current] = await client.rows("SELECT id FROM signing_keys WHERE retired_at IS NULL")
    assert (result.exit_code, result.output) == (0, f"access tokens are signed with the key {current['id']}\n")
    assert len(await client.rows("SELECT FROM signing_keys")) == (1 if revoke else 2)
    changes = await client.rows("SELECT changes FROM audit_events WHERE event = 'signing-key.rotate'")
    assert changes[0]["changes"]["revoked"] == {"old": None, "new": revoke}

"""Passkeys: registration, limits, what is denied, and deletion."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.authenticator import Authenticator, decoded, encoded
from tests.conftest import Client, Person
from tests.second_factors import (
    EXPIRED,
    INVALID,
    LIST,
    PASSKEY,
    WRONG,
    challenged,
    codes,
    enabled,
    events,
    finish_login,
    finish_registration,
    login_options,
    register,
    registration_options,
    top,
    verify,
    with_app,
    with_passkey,
    without_limits,
)

NONSENSE: list[Any] = [
    None,
    1,
    "x",
    [],
    {},
    {"response": None},
    {"rawId": "é", "response": {"clientDataJSON": "é"}},
    {"response": {"clientDataJSON": encoded(b"[]")}},
    {"response": {"clientDataJSON": encoded(b"\xff")}},
    {"response": {"clientDataJSON": encoded(json.dumps({"challenge": encoded(b"\xff")}).encode())}},
    {"x": "y" * 20_000},
]


async def test_a_passkey_is_registered_listed_renamed_and_deleted(client: Client, alice: Person) -> None:
    options = await registration_options(client, alice)
    challenge = options.pop("challenge")
    assert len(decoded(challenge)) == 54
    assert decoded(options["user"].pop("id")).hex() == alice.id.replace("-", "")
    assert options == {
        "rp": {"name": "localhost", "id": "localhost"},
        "user": {"name": "alice", "displayName": "alice"},
        "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (-8, -7, -257)],
        "timeout": 300_000,
        "excludeCredentials": [],
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }
    device = Authenticator()
    made = await register(client, alice, device)
    passkey = made["passkey"]
    assert (passkey["name"], len(made["recoveryCodes"]), made["errors"]) == ("phone", 10, [])
    [node] = (await client.data(LIST, by=alice))["me"]["passkeys"]["nodes"]
    assert node == passkey | {"createdAt": node["createdAt"], "lastUsedAt": None, "user": {"id": alice.id}}
    again = await registration_options(client, alice)
    assert again["excludeCredentials"] == [{"id": encoded(device.id), "type": "public-key"}]
    value = {"id": passkey["id"], "name": "tablet"}
    renamed = await client.mutate("renamePasskey", value, f"passkey {{ {PASSKEY} }}", by=alice)
    assert renamed == {"passkey": node | {"name": "tablet"}, "errors": []}
    deleted = await client.mutate("deletePasskey", {"id": passkey["id"]}, "deletedId", by=alice)
    assert deleted == {"deletedId": passkey["id"], "errors": []}
    assert codes(await client.mutate("deletePasskey", {"id": passkey["id"]}, "", by=alice)) == [("NOT_FOUND", ["id"])]
    assert await events(client, "passkey.%") == ["passkey.create", "passkey.rename", "passkey.delete"]
    assert not await enabled(client, "alice")
    assert await client.rows("SELECT 1 FROM recovery_codes") == []


async def test_a_type_of_key_that_was_not_offered_is_rejected(client: Client, alice: Person) -> None:
    device = Authenticator(key=ec.generate_private_key(ec.SECP384R1()))
    assert codes(await register(client, alice, device)) == INVALID


async def test_a_second_passkey_keeps_the_recovery_codes(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    made = await register(client, alice, Authenticator())
    assert (made["recoveryCodes"], made["errors"]) == (None, [])
    assert (await verify(client, await challenged(client, "alice"), app.codes[0]))["errors"] == []


async def test_a_challenge_cannot_be_replayed(client: Client, alice: Person) -> None:
    device = Authenticator(counts=False)
    credential = device.create(await registration_options(client, alice))
    assert (await finish_registration(client, alice, credential))["errors"] == []
    await client.rows("DELETE FROM passkeys")
    assert codes(await finish_registration(client, alice, credential)) == EXPIRED
    await with_passkey(client, alice, counts=False, key=device.key, id=device.id, user_handle=device.user_handle)
    assertion = device.get(await login_options(client))
    assert (await finish_login(client, assertion))["errors"] == []
    assert codes(await finish_login(client, assertion)) == EXPIRED


async def test_of_20_parallel_registrations_of_an_answer_one_succeeds(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    credential = Authenticator().create(await registration_options(client, alice))
    payloads = await asyncio.gather(*(finish_registration(client, alice, credential, f"phone {n}") for n in range(20)))
    assert sum(payload["errors"] == [] for payload in payloads) == 1
    assert len(await client.rows("SELECT 1 FROM passkeys")) == 1


async def test_a_registration_started_by_another_user_is_rejected(client: Client, alice: Person, bob: Person) -> None:
    credential = Authenticator().create(await registration_options(client, alice))
    assert codes(await finish_registration(client, bob, credential)) == EXPIRED
    assert (await finish_registration(client, alice, credential))["errors"] == []


async def test_a_credential_belongs_to_one_user(client: Client, alice: Person, bob: Person) -> None:
    device = await with_passkey(client, alice)
    credential = device.create(await registration_options(client, bob))
    assert codes(await finish_registration(client, bob, credential)) == [("TAKEN", ["credential"])]


async def test_only_the_last_registration_is_valid_and_for_five_minutes(client: Client, alice: Person) -> None:
    first = Authenticator().create(await registration_options(client, alice))
    second = Authenticator().create(await registration_options(client, alice))
    assert codes(await finish_registration(client, alice, first)) == EXPIRED
    [row] = await client.rows("SELECT expires_at - created_at AS lifetime FROM one_time_tokens")
    assert row["lifetime"].total_seconds() == 300
    await client.rows("UPDATE one_time_tokens SET expires_at = now()")
    assert codes(await finish_registration(client, alice, second)) == EXPIRED


@pytest.mark.parametrize(
    "device",
    [
        {"origin": "http://localhost:8000.evil.test"},
        {"origin": "http://localhost:8001"},
        {"origin": "https://localhost:8000"},
        {"verifies": False},
    ],
    ids=["other site", "other port", "other scheme", "user not verified"],
)
async def test_an_answer_for_another_site_or_without_verification_is_rejected(
    client: Client, alice: Person, device: dict[str, Any]
) -> None:
    assert codes(await register(client, alice, Authenticator(**device))) == INVALID
    good = await with_passkey(client, alice)
    for name, value in device.items():
        setattr(good, name, value)
    assert codes(await finish_login(client, good.get(await login_options(client)))) == WRONG


async def test_an_answer_for_another_host_is_rejected(client: Client, alice: Person) -> None:
    options = await registration_options(client, alice)
    assert codes(await finish_registration(client, alice, Authenticator().create(options | {"rp": {"id": "x"}}))) == (
        INVALID
    )
    device = await with_passkey(client, alice)
    assert codes(await finish_login(client, device.get(await login_options(client) | {"rpId": "x"}))) == WRONG


@pytest.mark.parametrize("credential", NONSENSE, ids=range(len(NONSENSE)))
async def test_a_credential_of_another_form_is_invalid(client: Client, alice: Person, credential: Any) -> None:
    if credential is None:
        document = """mutation ($credential: JSON!) {
          finishPasskeyLogin(input: {credential: $credential}) { token } }"""
        assert top(await client.execute(document, {"credential": None})) == ["BAD_USER_INPUT"]
        return
    assert codes(await finish_registration(client, alice, credential)) == INVALID
    assert codes(await finish_login(client, credential)) == INVALID


async def test_a_user_has_at_most_20_passkeys_also_in_parallel_cve_2025_69198(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    await client.rows(
        "INSERT INTO passkeys (user_id, name, credential_id, public_key, sign_count)"
        " SELECT $1, 'k' || n, CAST('k' || n AS bytea), '', 0 FROM generate_series(1, 19) AS n",
        alice.id,
    )
    credentials = []
    for number in range(10):
        credentials.append(Authenticator().create(await registration_options(client, alice)))
        await client.rows(
            "UPDATE one_time_tokens SET purpose = $1 WHERE purpose = 'passkey.registration'", f"k{number}"
        )
    await client.rows("UPDATE one_time_tokens SET purpose = 'passkey.registration'")
    payloads = await asyncio.gather(
        *(finish_registration(client, alice, credential, f"n{n}") for n, credential in enumerate(credentials))
    )
    assert sum(payload["errors"] == [] for payload in payloads) == 1
    assert [codes(payload) for payload in payloads if payload["errors"]] == [[("LIMIT_REACHED", None)]] * 9
    document = "mutation { startPasskeyRegistration { options errors { code } } }"
    answer = await client.data(document, by=alice)
    assert answer["startPasskeyRegistration"] == {"options": None, "errors": [{"code": "LIMIT_REACHED"}]}


async def test_all_problems_of_a_registration_are_reported_at_once(client: Client, alice: Person) -> None:
    device = await with_passkey(client, alice)
    credential = device.create(await registration_options(client, alice))
    rejected = await finish_registration(client, alice, credential, "PHONE")
    assert codes(rejected) == [("TAKEN", ["name"]), ("TAKEN", ["credential"])]
    rejected = await finish_registration(client, alice, {}, "")
    assert sorted(codes(rejected)) == [("INVALID", ["credential"]), ("REQUIRED", ["name"])]
    [row] = await client.rows("SELECT id FROM passkeys")
    await with_passkey(client, alice, "tablet")
    renamed = await client.mutate("renamePasskey", {"id": row["id"], "name": "Tablet"}, "", by=alice)
    assert codes(renamed) == [("TAKEN", ["name"])]
    renamed = await client.mutate("renamePasskey", {"id": row["id"], "name": "x" * 32}, "", by=alice)
    assert codes(renamed) == [("TOO_LONG", ["name"])]


async def test_a_passkey_of_another_user_is_hidden(client: Client, people: dict[str, Person]) -> None:
    admin, staff, alice, bob = (people[name] for name in ("adam", "stella", "alice", "bob"))
    await with_passkey(client, alice)
    [row] = await client.rows("SELECT id FROM passkeys")
    node = "query ($id: ID!) { node(id: $id) { ... on Passkey { name } } }"
    assert await client.data(node, {"id": row["id"]}, by=bob) == {"node": None}
    assert await client.data(node, {"id": row["id"]}, by=admin) == {"node": {"name": "phone"}}
    for field, value in (("renamePasskey", {"name": "mine"}), ("deletePasskey", {})):
        payload = await client.mutate(field, {"id": row["id"]} | value, "", by=bob)
        assert codes(payload) == [("NOT_FOUND", ["id"])]
    assert codes(await client.mutate("deletePasskey", {"id": row["id"]}, "", by=staff)) == [("NOT_FOUND", ["id"])]
    assert (await client.mutate("deletePasskey", {"id": row["id"]}, "", by=admin))["errors"] == []
    assert not await enabled(client, "alice")


async def test_an_administrator_does_not_delete_the_passkeys_of_a_user_above(
    client: Client, root: Person, admin: Person
) -> None:
    await with_passkey(client, root)
    [row] = await client.rows("SELECT id FROM passkeys")
    payload = await client.mutate("deletePasskey", {"id": row["id"]}, "", by=admin)
    assert codes(payload) == [("NOT_ALLOWED", ["id"])]


async def test_an_api_key_manages_no_passkeys_because_they_open_sessions(client: Client, alice: Person) -> None:
    value = {"name": "robot", "permissions": ["account.two-factor"]}
    key = (await client.mutate("createApiKey", value, "secret", by=alice))["secret"]
    document = "mutation { startPasskeyRegistration { options errors { code } } }"
    answer = await client.data(document, by=key)
    assert answer["startPasskeyRegistration"] == {"options": None, "errors": [{"code": "NOT_ALLOWED"}]}
    credential = Authenticator().create(await registration_options(client, alice))
    assert codes(await finish_registration(client, key, credential)) == [("NOT_ALLOWED", None)]
    await finish_registration(client, alice, credential)
    [row] = await client.rows("SELECT id FROM passkeys")
    assert codes(await client.mutate("deletePasskey", {"id": row["id"]}, "", by=key)) == [("NOT_ALLOWED", None)]
    assert await enabled(client, "alice")


async def test_the_passkeys_of_a_deleted_user_are_named_in_the_event(
    client: Client, admin: Person, alice: Person
) -> None:
    await with_passkey(client, alice)
    [row] = await client.rows("SELECT id FROM passkeys")
    assert (await client.mutate("deleteUser", {"id": alice.id}, "", by=admin))["errors"] == []
    [event] = await client.rows("SELECT changes FROM audit_events WHERE event = 'user.delete'")
    assert event["changes"]["passkeys"] == {"old": [row["id"]], "new": None}
    assert await client.rows("SELECT 1 FROM passkeys") == []

"""Login by passkey: without a password, and as the second factor."""

from __future__ import annotations

import asyncio
import copy
import re
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from graphql import parse, validate

from service.settings import Settings
from tests.authenticator import Authenticator, encoded
from tests.conftest import PASSWORD, REPOSITORY, Client, Person, opened_client
from tests.sdl import SDL
from tests.second_factors import (
    EXPIRED,
    LIST,
    WRONG,
    challenged,
    codes,
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


async def test_a_passkey_signs_in_without_a_name_and_a_password(client: Client, alice: Person) -> None:
    device = await with_passkey(client, alice)
    options = await login_options(client)
    assert options == {
        "challenge": options["challenge"],
        "timeout": 300_000,
        "rpId": "localhost",
        "allowCredentials": [],
        "userVerification": "required",
    }
    payload = await finish_login(client, device.get(options))
    assert (payload["user"], payload["errors"]) == ({"id": alice.id}, [])
    [node] = (await client.data(LIST, by=payload["token"]))["me"]["passkeys"]["nodes"]
    assert node["lastUsedAt"] is not None


@pytest.mark.parametrize(
    "key",
    [Ed25519PrivateKey.generate(), rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())],
    ids=["EdDSA", "RS256", "ES256"],
)
async def test_every_common_type_of_key_is_accepted(client: Client, alice: Person, key: Any) -> None:
    device = await with_passkey(client, alice, key=key)
    assert (await finish_login(client, device.get(await login_options(client))))["errors"] == []


async def test_a_passkey_is_the_second_factor_of_a_login_with_a_password(client: Client, alice: Person) -> None:
    made = await register(client, alice, device := Authenticator())
    challenge = await challenged(client, "alice")
    options = await login_options(client, challenge)
    assert options["allowCredentials"] == [{"id": encoded(device.id), "type": "public-key"}]
    payload = await finish_login(client, device.get(options), challenge)
    assert (payload["user"], payload["errors"]) == ({"id": alice.id}, [])
    assert codes(await verify(client, challenge, made["recoveryCodes"][0])) == [("EXPIRED", ["challenge"])]
    assert (await verify(client, await challenged(client, "alice"), made["recoveryCodes"][0]))["errors"] == []


async def test_of_20_parallel_uses_of_an_assertion_one_succeeds(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    device = await with_passkey(client, alice, counts=False)
    assertion = device.get(await login_options(client))
    payloads = await asyncio.gather(*(finish_login(client, assertion) for _ in range(20)))
    assert sum(payload["token"] is not None for payload in payloads) == 1
    assert sum(codes(payload) == EXPIRED for payload in payloads) == 19


async def test_a_copy_of_an_authenticator_is_rejected_by_its_counter(
    client: Client, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    device = await with_passkey(client, alice)
    clone = copy.copy(device)
    assert (await finish_login(client, device.get(await login_options(client))))["errors"] == []
    assert codes(await finish_login(client, clone.get(await login_options(client)))) == WRONG
    assert "sign count of 2 was not greater than current count of 2" in capsys.readouterr().out
    assert (await finish_login(client, device.get(await login_options(client))))["errors"] == []


async def test_a_user_is_not_signed_in_by_the_passkey_of_another(client: Client, alice: Person, bob: Person) -> None:
    devices = {"alice": await with_passkey(client, alice), "bob": await with_passkey(client, bob)}
    challenges = {name: await challenged(client, name) for name in devices}
    options = {name: await login_options(client, challenges[name]) for name in devices}
    cases = [
        (devices["bob"].get(options["alice"]), challenges["alice"], EXPIRED),
        (devices["bob"].get(options["bob"]), challenges["alice"], [("EXPIRED", ["twoFactorChallenge"])]),
        (devices["bob"].get(options["alice"]), challenges["bob"], EXPIRED),
        (devices["bob"].get(options["bob"]), None, EXPIRED),
        (devices["bob"].get(await login_options(client)), challenges["bob"], EXPIRED),
    ]
    for credential, challenge, problems in cases:
        rejected = await finish_login(client, credential, challenge)
        assert (rejected["token"], codes(rejected)) == (None, problems)
        await client.rows("DELETE FROM attempts")
    stolen = devices["bob"].get(options["alice"]) | {name: encoded(devices["alice"].id) for name in ("id", "rawId")}
    assert codes(await finish_login(client, stolen, challenges["alice"])) == WRONG
    assert (await finish_login(client, devices["bob"].get(options["bob"]), challenges["bob"]))["errors"] == []


async def test_an_answer_with_another_user_handle_is_rejected(client: Client, alice: Person, bob: Person) -> None:
    device = await with_passkey(client, alice)
    device.user_handle = bytes.fromhex(bob.id.replace("-", ""))
    assert codes(await finish_login(client, device.get(await login_options(client)))) == WRONG


async def test_a_signature_by_another_key_is_rejected(client: Client, alice: Person) -> None:
    device = await with_passkey(client, alice)
    device.key = ec.generate_private_key(ec.SECP256R1())
    assert codes(await finish_login(client, device.get(await login_options(client)))) == WRONG
    assert codes(await finish_login(client, Authenticator().get(await login_options(client)))) == WRONG


async def test_a_damaged_answer_is_never_an_internal_error(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    device = await with_passkey(client, alice)
    created = Authenticator().create(await registration_options(client, alice))
    asserted = device.get(await login_options(client))
    replacements: list[Any] = [
        None,
        7,
        "",
        "!",
        [],
        {},
        encoded(b"\x00"),
        encoded(b"\xa1" * 50),
        encoded(b"\x9f" * 900),
    ]
    silent = {"clientExtensionResults"}  # nothing of it is used
    for whole, is_login in ((created, False), (asserted, True)):
        for place in (whole, whole["response"]):
            for name in set(place) - silent:
                for replacement in replacements:
                    if name == "userHandle" and not replacement and not isinstance(replacement, list | dict):
                        continue  # some authenticators send none
                    damaged = copy.deepcopy(whole)
                    (damaged if place is whole else damaged["response"])[name] = replacement
                    payload = await (
                        finish_login(client, damaged)
                        if is_login
                        else finish_registration(client, alice, damaged, "new")
                    )
                    assert {code for code, _ in codes(payload)} <= {"INVALID", "WRONG_CREDENTIALS", "EXPIRED"}
                    assert payload["errors"] != [], (name, replacement)
    assert (await finish_registration(client, alice, created, "new"))["errors"] == []
    assert (await finish_login(client, asserted))["errors"] == []


async def test_a_suspended_user_does_not_sign_in(client: Client, admin: Person, alice: Person) -> None:
    device = await with_passkey(client, alice)
    assert (await client.mutate("suspendUser", {"id": alice.id}, "", by=admin))["errors"] == []
    document = "mutation ($input: FinishPasskeyLoginInput!) { finishPasskeyLogin(input: $input) { token } }"
    good = {"credential": device.get(await login_options(client))}
    assert top(await client.execute(document, {"input": good})) == ["USER_SUSPENDED"]
    device.key = ec.generate_private_key(ec.SECP256R1())
    assert codes(await finish_login(client, device.get(await login_options(client)))) == WRONG, (
        "a stranger learns nothing"
    )


async def test_a_login_started_without_a_challenge_does_not_tell_who_has_passkeys(
    client: Client, alice: Person
) -> None:
    before = await login_options(client)
    await with_passkey(client, alice)
    after = await login_options(client)
    assert before | {"challenge": ""} == after | {"challenge": ""}
    await client.mutate("deletePasskey", {"id": (await client.rows("SELECT id FROM passkeys"))[0]["id"]}, "", by=alice)
    await with_app(client, alice)
    payload = await client.mutate("startPasskeyLogin", {"twoFactorChallenge": await challenged(client, "alice")}, "")
    assert codes(payload) == [("NOT_FOUND", ["twoFactorChallenge"])]
    payload = await client.mutate("startPasskeyLogin", {"twoFactorChallenge": "rsto_x"}, "options")
    assert codes(payload) == [("EXPIRED", ["twoFactorChallenge"])]


async def test_logins_that_are_only_started_are_limited(client: Client) -> None:
    for _ in range(100):
        await login_options(client)
    assert top(await client.execute("mutation { startPasskeyLogin { options } }")) == ["RATE_LIMITED"]


async def test_the_site_is_that_of_the_settings(database_url: str, alice: Person) -> None:
    settings = Settings(public_url="https://id.example.test")
    async with opened_client(settings, database_url) as client:
        options = await registration_options(client, alice)
        assert options["rp"] == {"name": "id.example.test", "id": "id.example.test"}
        device = Authenticator(origin="https://id.example.test")
        assert (await finish_registration(client, alice, device.create(options)))["errors"] == []
        assert (await finish_login(client, device.get(await login_options(client))))["errors"] == []
        device.origin = "http://localhost:8000"
        assert codes(await finish_login(client, device.get(await login_options(client)))) == WRONG
        made = await client.mutate("enableTwoFactor", {"password": PASSWORD}, "otpauthUrl", by=alice)
        assert made["otpauthUrl"].startswith("otpauth://totp/id.example.test:alice%40roster.test?")


def test_the_examples_of_the_guide_fit_the_schema() -> None:
    text = (REPOSITORY / "docs" / "second-factors.md").read_text(encoding="utf-8")
    examples = re.findall(r"```graphql\n(.*?)```", text, re.DOTALL)
    examples += re.findall(
        r"[\"`]((?:query|mutation) [^\"`]*?)[\"`]", "".join(re.findall(r"(?s)```js\n(.*?)```", text))
    )
    assert len(examples) == 7
    for example in examples:
        assert validate(SDL, parse(example)) == [], example

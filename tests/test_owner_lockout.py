"""Attempts that would lock out an owner, and those that a credential must not multiply."""

from __future__ import annotations

import httpx
import pytest

from service import attempts
from service.access.actor import Actor
from service.attempts import PASSWORD as CURRENT
from service.attempts import TWO_FACTOR
from tests.conftest import PASSWORD, Client, Person
from tests.links import last_mail
from tests.second_factors import challenged, codes, with_app, with_passkey
from tests.sessions import key

NEW = "a-quite-unusual-walrus-77"
ELSEWHERE = ("198.51.100.1", "198.51.100.2", "198.51.100.3")


def code_of(answer: dict[str, object]) -> str:
    """Return the code of a top-level error, or an empty text."""
    errors = answer.get("errors")
    return str(errors[0]["extensions"]["code"]) if isinstance(errors, list) else ""


async def locked_out_elsewhere(client: Client) -> None:
    """Let a person who knows the password of alice enter wrong codes at several addresses, until they are limited."""
    own = client.http
    for address in ELSEWHERE:
        transport = httpx.ASGITransport(client.app, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://roster.test") as client.http:
            challenge = await challenged(client, "alice")
            for _ in range(TWO_FACTOR.pair.most):
                answer = await verification(client, challenge, "000000")
    assert code_of(answer) == "RATE_LIMITED"
    client.http = own


async def verification(client: Client, challenge: str, code: str) -> dict[str, object]:
    """Return the answer to verifyTwoFactor."""
    document = "mutation ($input: VerifyTwoFactorInput!) { verifyTwoFactor(input: $input) { errors { code } } }"
    return await client.execute(document, {"input": {"challenge": challenge, "code": code}})


async def known_here(client: Client) -> None:
    """Sign alice in at the address of the client."""
    payload = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token")
    assert payload["errors"] == []


@pytest.mark.parametrize("way", ["code", "passkey", "reset"])
async def test_wrong_codes_elsewhere_do_not_lock_out_the_owner_asvs_6_1_1(
    client: Client, alice: Person, way: str
) -> None:
    await known_here(client)
    device = await with_passkey(client, alice)
    app = await with_app(client, alice, code=None)
    await locked_out_elsewhere(client)
    if way == "code":
        answer = await verification(client, await challenged(client, "alice"), app.code())
        assert answer == {"data": {"verifyTwoFactor": {"errors": []}}}
    elif way == "passkey":
        options = (await client.mutate("startPasskeyLogin", {}, "options"))["options"]
        payload = await client.mutate("finishPasskeyLogin", {"credential": device.get(options)}, "token")
        assert payload["errors"] == []
    else:
        await client.mutate("requestPasswordReset", {"email": "alice@roster.test"}, "")
        value = {"token": (await last_mail(client, "alice@roster.test")).token, "newPassword": NEW, "code": app.code()}
        assert (await client.mutate("resetPassword", value, ""))["errors"] == []


async def test_codes_at_an_address_without_a_session_are_limited_for_the_account(client: Client, alice: Person) -> None:
    await client.rows("UPDATE sessions SET ip = '203.0.113.9'")
    app = await with_app(client, alice)
    await locked_out_elsewhere(client)
    assert code_of(await verification(client, await challenged(client, "alice"), app.code())) == "RATE_LIMITED"


async def test_a_key_that_makes_keys_has_no_more_attempts(client: Client, alice: Person) -> None:
    maker = await key(client, alice, "account.password", "api-keys.create", "api-keys.read")
    document = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { errors { code } } }"
    answers = []
    for number in range(CURRENT.pair.most + 1):
        value = {"name": f"key {number}", "permissions": ["account.password"]}
        made = await client.mutate("createApiKey", value, "secret", by=maker["secret"])
        value = {"currentPassword": f"wrong-{number}", "newPassword": NEW}
        answers.append(code_of(await client.execute(document, {"input": value}, by=made["secret"])))
    assert answers == [""] * CURRENT.pair.most + ["RATE_LIMITED"]
    # The owner's session is another client
    value = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert codes(await client.mutate("changePassword", value, "", by=alice)) == []


def test_a_person_who_acts_as_the_user_is_not_the_owner() -> None:
    own = attempts._own_client  # noqa: SLF001
    assert own(Actor(user_id="a", session_id="s"), "a") == "session:s"
    assert own(Actor(user_id="a", session_id="s", impersonator_id="b"), "a") is None
    assert own(Actor(user_id="a", session_id="s"), "b") is None
    assert own(Actor(), None) is None

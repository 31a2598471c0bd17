"""Who may change second factors, how often a code may be wrong, and the reset by administrators."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pyotp
import pytest

from service.attempts import PASSWORD as PASSWORD_ATTEMPT
from service.attempts import TWO_FACTOR
from tests.conftest import PASSWORD, Client, Person
from tests.second_factors import (
    App,
    challenged,
    codes,
    confirm,
    enable,
    enabled,
    top,
    verify,
    with_app,
    with_passkey,
)
from tests.sessions import impersonated

WRONG_CODE = [("WRONG_CREDENTIALS", ["code"])]
ME = "{ me { twoFactorEnabled } }"
REGENERATE = "mutation ($input: ReauthenticateInput!) { regenerateRecoveryCodes(input: $input) { recoveryCodes } }"


async def regenerate(client: Client, by: Person | str, value: dict[str, Any]) -> dict[str, Any]:
    document = """mutation ($input: ReauthenticateInput!) { regenerateRecoveryCodes(input: $input) {
      recoveryCodes errors { code message field } } }"""
    found: dict[str, Any] = (await client.data(document, {"input": value}, by=by))["regenerateRecoveryCodes"]
    return found


async def reset(client: Client, by: Person | str, user_id: str) -> dict[str, Any]:
    document = """mutation ($input: UserIdInput!) { resetTwoFactor(input: $input) {
      user { id twoFactorEnabled } errors { code message field } } }"""
    found: dict[str, Any] = (await client.data(document, {"input": {"id": user_id}}, by=by))["resetTwoFactor"]
    return found


async def mails(client: Client) -> list[str]:
    """Return what the mails about second factors report, the oldest first."""
    rows = await client.rows("SELECT content FROM mails WHERE template = 'two-factor-changed' ORDER BY id")
    return [orjson.loads(client.resources.encryption.decrypt(row["content"]))["what"] for row in rows]


async def test_an_administrator_resets_all_factors_which_ends_the_sessions(
    client: Client, admin: Person, alice: Person
) -> None:
    app = await with_app(client, alice)
    await with_passkey(client, alice)
    challenge = await challenged(client, "alice")
    payload = await reset(client, admin, alice.id)
    assert payload == {"user": {"id": alice.id, "twoFactorEnabled": False}, "errors": []}
    assert top(await client.execute("{ me { email } }", by=alice)) == ["UNAUTHENTICATED"]
    assert codes(await verify(client, challenge, app.codes[0])) == [("EXPIRED", ["challenge"])]
    for table in ("two_factor_secrets", "recovery_codes", "passkeys"):
        assert await client.rows(f"SELECT 1 FROM {table}") == []  # noqa: S608
    assert codes(await reset(client, admin, alice.id)) == [("ALREADY_DONE", ["id"])]
    assert (await mails(client))[-1] == "reset"
    [row] = await client.rows("SELECT changes FROM audit_events WHERE event = 'two-factor.reset'")
    assert row["changes"].keys() == {"authenticator", "passkeys", "sessions", "twoFactorEnabled"}


async def test_a_reset_requires_the_permission_and_is_not_for_users_above_or_oneself(
    client: Client, people: dict[str, Person]
) -> None:
    root, admin, staff, alice, bob = (people[name] for name in ("root", "adam", "stella", "alice", "bob"))
    await with_app(client, root)
    document = "mutation ($id: ID!) { resetTwoFactor(input: {id: $id}) { errors { code } } }"
    for by in (staff, bob):
        answer = await client.execute(document, {"id": alice.id}, by=by)
        assert [error["extensions"] for error in answer["errors"]] == [
            {"code": "FORBIDDEN", "permission": "users.two-factor"}
        ]
    assert codes(await reset(client, admin, root.id)) == [("NOT_ALLOWED", ["id"])]
    assert codes(await reset(client, admin, admin.id)) == [("NOT_ALLOWED", ["id"])]
    assert codes(await reset(client, admin, alice.id)) == [("ALREADY_DONE", ["id"])]
    assert codes(await reset(client, admin, "00000000-0000-7000-8000-00000000ffff")) == [("NOT_FOUND", ["id"])]
    assert await enabled(client, "root")


async def test_changes_of_factors_require_a_recent_session_but_the_first_set_up_only_the_password(
    client: Client, admin: Person, alice: Person
) -> None:
    await client.rows("UPDATE sessions SET authenticated_at = now() - interval '16 minutes'")
    app = await with_app(client, alice)
    for document, value in (
        (REGENERATE, {"password": PASSWORD, "code": app.codes[0]}),
        (
            "mutation ($input: EnableTwoFactorInput!) { enableTwoFactor(input: $input) { secret } }",
            {"password": PASSWORD, "code": app.codes[0]},
        ),
        (
            "mutation ($input: DisableTwoFactorInput!) { disableTwoFactor(input: $input) { user { id } } }",
            {"password": PASSWORD, "code": app.codes[0]},
        ),
    ):
        assert top(await client.execute(document, {"input": value}, by=alice)) == ["REAUTH_REQUIRED"]
    document = "mutation ($id: ID!) { resetTwoFactor(input: {id: $id}) { errors { code } } }"
    assert top(await client.execute(document, {"id": alice.id}, by=admin)) == ["REAUTH_REQUIRED"]
    start = "mutation { startPasskeyRegistration { options } }"
    assert top(await client.execute(start, by=alice)) == ["REAUTH_REQUIRED"]
    assert len(await client.rows("SELECT 1 FROM recovery_codes")) == 10


async def test_a_person_who_acts_as_another_user_changes_no_factor(
    client: Client, alice: Person, admin: Person
) -> None:
    made = await enable(client, alice)
    token = await impersonated(client, admin, alice)
    for document in (
        f'mutation {{ enableTwoFactor(input: {{password: "{PASSWORD}"}}) {{ secret }} }}',
        f'mutation {{ confirmTwoFactor(input: {{code: "{pyotp.TOTP(made["secret"]).now()}"}}) {{ recoveryCodes }} }}',
        f'mutation {{ disableTwoFactor(input: {{password: "{PASSWORD}", code: "1"}}) {{ user {{ id }} }} }}',
        "mutation { startPasskeyRegistration { options } }",
        'mutation { finishPasskeyRegistration(input: {name: "x", credential: {}}) { passkey { id } } }',
    ):
        answer = await client.execute(document, by=token)
        assert top(answer) == ["FORBIDDEN"]
        assert answer["errors"][0]["message"].startswith("You cannot do this as another user")
    assert not await enabled(client, "alice")


async def test_wrong_codes_are_counted_although_the_request_fails_cve_2026_35597(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    for number in range(TWO_FACTOR.pair.most):
        assert codes(await verify(client, challenge, f"{number:06}")) == WRONG_CODE
    document = "mutation ($input: VerifyTwoFactorInput!) { verifyTwoFactor(input: $input) { token } }"
    answer = await client.execute(document, {"input": {"challenge": challenge, "code": app.code()}})
    [error] = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"]["retryAfter"]) == ("RATE_LIMITED", TWO_FACTOR.pair.wait)
    # SECURITY: a stranger with the password does not lock out the owner, who is signed in
    assert (await regenerate(client, alice, {"password": PASSWORD, "code": app.code()}))["errors"] == []


async def test_of_50_parallel_wrong_codes_only_those_within_the_limit_are_verified_cve_2024_4629(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_app(client, alice)
    challenge = await challenged(client, "alice")
    verified = 0

    def counted(secret: str, code: str, clock: float) -> None:
        nonlocal verified
        verified += 1
        assert secret
        assert code
        assert clock

    monkeypatch.setattr("service.two_factor.matching_step", counted)
    document = "mutation ($input: VerifyTwoFactorInput!) { verifyTwoFactor(input: $input) { token } }"
    await asyncio.gather(
        *(client.execute(document, {"input": {"challenge": challenge, "code": f"{n:06}"}}) for n in range(50))
    )
    assert verified == TWO_FACTOR.pair.most


async def test_each_alias_is_an_attempt_cve_2026_35401(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    for number in range(TWO_FACTOR.pair.most - 2):
        await verify(client, challenge, f"{number:06}")
    texts = ["000000", "000001", app.code()]
    calls = " ".join(
        f'a{n}: verifyTwoFactor(input: {{challenge: "{challenge}", code: "{code}"}}) {{ token errors {{ code }} }}'
        for n, code in enumerate(texts)
    )
    answer = await client.execute(f"mutation {{ {calls} }}")
    assert answer["data"]["a2"] is None
    assert top(answer) == ["RATE_LIMITED"]


async def test_wrong_passwords_of_a_signed_in_user_are_counted(client: Client, alice: Person) -> None:
    for _ in range(PASSWORD_ATTEMPT.pair.most):
        assert codes(await enable(client, alice, password="not-the-password-1")) == [
            ("WRONG_CREDENTIALS", ["password"])
        ]
    document = "mutation ($input: EnableTwoFactorInput!) { enableTwoFactor(input: $input) { secret } }"
    assert top(await client.execute(document, {"input": {"password": PASSWORD}}, by=alice)) == ["RATE_LIMITED"]


async def test_codes_of_every_mutation_are_counted_together_cve_2026_9798(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    assert (await enable(client, alice, code=app.codes[0]))["errors"] == []
    for number in range(TWO_FACTOR.pair.most):
        assert codes(await confirm(client, alice, f"{number:06}")) == WRONG_CODE
    value = {"password": PASSWORD, "code": app.codes[1]}
    for mutation, input_type, selection in (
        ("reauthenticate", "ReauthenticateInput", "token"),
        ("regenerateRecoveryCodes", "ReauthenticateInput", "recoveryCodes"),
        ("enableTwoFactor", "EnableTwoFactorInput", "secret"),
        ("disableTwoFactor", "DisableTwoFactorInput", "user { id }"),
    ):
        document = f"mutation ($input: {input_type}!) {{ {mutation}(input: $input) {{ {selection} }} }}"
        assert top(await client.execute(document, {"input": value}, by=alice)) == ["RATE_LIMITED"]


async def test_an_api_key_that_expires_sets_up_no_factor_that_outlives_it(client: Client, alice: Person) -> None:
    value = {"name": "lasting", "permissions": ["account.two-factor"]}
    lasting = (await client.mutate("createApiKey", value, "secret", by=alice))["secret"]
    value |= {"name": "bounded", "expiresAt": "2099-01-01T00:00:00Z"}
    bounded = (await client.mutate("createApiKey", value, "secret", by=alice))["secret"]
    assert codes(await enable(client, bounded)) == [("NOT_ALLOWED", None)]
    assert await client.rows("SELECT 1 FROM two_factor_secrets") == []
    pending = await enable(client, lasting)
    assert pending["errors"] == []
    app = App(pending["secret"], [])
    assert codes(await confirm(client, bounded, app.code())) == [("NOT_ALLOWED", None)]
    assert await client.rows("SELECT 1 FROM recovery_codes") == []
    found = (await confirm(client, lasting, app.code()))["recoveryCodes"]
    value = {"password": PASSWORD, "code": found[0]}
    before = await client.rows("SELECT hash FROM recovery_codes ORDER BY hash")
    assert codes(await regenerate(client, bounded, value)) == [("NOT_ALLOWED", None)]
    assert await client.rows("SELECT hash FROM recovery_codes ORDER BY hash") == before
    assert len((await regenerate(client, lasting, value))["recoveryCodes"]) == 10

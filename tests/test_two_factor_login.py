"""Login in two steps: the challenge after the password, and what completes it."""

from __future__ import annotations

import asyncio
import json

import argon2
import pytest

from service.attempts import TWO_FACTOR
from service.credentials.tokens import TokenKind, new_token
from service.one_time import Purpose, create_token
from tests.conftest import PASSWORD, Client, Person
from tests.second_factors import (
    SESSION,
    challenged,
    codes,
    events,
    finish_login,
    forget_step,
    login_options,
    top,
    verify,
    with_app,
    with_passkey,
    without_limits,
)

WRONG_CODE = [("WRONG_CREDENTIALS", ["code"])]
EXPIRED = [("EXPIRED", ["challenge"])]
VERIFY = "mutation ($input: VerifyTwoFactorInput!) { verifyTwoFactor(input: $input) { token } }"
LOGIN = f"mutation ($input: LoginInput!) {{ login(input: $input) {{ {SESSION} }} }}"


async def test_the_password_gives_a_challenge_and_no_session_and_the_code_gives_the_session(
    client: Client, alice: Person
) -> None:
    app = await with_app(client, alice)
    before = len(await client.rows("SELECT 1 FROM sessions"))
    value = {"login": "alice", "password": PASSWORD}
    response = await client.http.post("/graphql", json={"query": LOGIN, "variables": {"input": value}})
    login = response.json()["data"]["login"]
    challenge = login.pop("twoFactorChallenge")
    assert login == {"token": None, "user": None, "session": None}
    assert "set-cookie" not in response.headers
    assert len(await client.rows("SELECT 1 FROM sessions")) == before
    for header in ({"authorization": f"Bearer {challenge}"}, {"cookie": f"roster={challenge}"}):
        me = await client.http.post("/graphql", json={"query": "{ me { email } }"}, headers=header)
        assert me.json()["data"] == {"me": None}, "a challenge is not a credential"
    value = {"challenge": challenge, "code": app.code()}
    response = await client.http.post("/graphql", json={"query": VERIFY, "variables": {"input": value}})
    token = response.json()["data"]["verifyTwoFactor"]["token"]
    assert f"roster={token};" in response.headers["set-cookie"]
    assert (await client.data("{ me { email } }", by=token))["me"]["email"] == "alice@roster.test"


async def test_the_login_has_one_event_which_names_the_second_factor(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    device = await with_passkey(client, alice)
    before = len(await events(client, "%"))
    for code, factor in ((app.code(), "totp"), (app.codes[0], "recovery-code")):
        assert (await verify(client, await challenged(client, "alice"), code))["errors"] == []
        [row] = await client.rows("SELECT event, actor_id, changes FROM audit_events ORDER BY id DESC LIMIT 1")
        assert (row["event"], row["actor_id"]) == ("session.create", alice.id)
        assert row["changes"]["secondFactor"] == {"old": None, "new": factor}
    challenge = await challenged(client, "alice")
    payload = await finish_login(client, device.get(await login_options(client, challenge)), challenge)
    assert payload["errors"] == []
    assert len(await events(client, "%")) == before + 3, "a challenge has no event"
    [row] = await client.rows("SELECT changes FROM audit_events ORDER BY id DESC LIMIT 1")
    assert row["changes"]["secondFactor"] == {"old": None, "new": "passkey"}


async def test_the_password_is_verified_before_the_second_factor_is_asked_for_panel_0_7_14(
    client: Client, alice: Person
) -> None:
    value = {"login": "alice", "password": "not-the-password-1"}
    without = await client.execute(LOGIN, {"input": value})
    await with_app(client, alice)
    assert await client.execute(LOGIN, {"input": value}) == without
    assert await client.rows("SELECT 1 FROM one_time_tokens") == []


async def test_a_challenge_opens_no_session_of_another_user_cve_2021_41129(
    client: Client, alice: Person, bob: Person
) -> None:
    apps = {"alice": await with_app(client, alice), "bob": await with_app(client, bob)}
    challenges = {name: await challenged(client, name) for name in apps}
    for mine, other in (("alice", "bob"), ("bob", "alice")):
        for code in (apps[mine].code(), apps[mine].codes[0]):
            rejected = await verify(client, challenges[other], code)
            assert (rejected["token"], codes(rejected)) == (None, WRONG_CODE)
    device = await with_passkey(client, bob)
    rejected = await finish_login(client, device.get(await login_options(client)), challenges["alice"])
    assert rejected["token"] is None
    for person in (alice, bob):
        payload = await verify(client, challenges[person.username], apps[person.username].codes[1])
        assert payload["user"] == {"id": person.id}


async def test_a_challenge_is_valid_once(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    assert (await verify(client, challenge, app.codes[0]))["errors"] == []
    assert codes(await verify(client, challenge, app.codes[1])) == EXPIRED
    assert len(await client.rows("SELECT 1 FROM recovery_codes")) == 9, "the second code was not used"


async def test_of_20_parallel_uses_of_a_challenge_one_succeeds(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    payloads = await asyncio.gather(*(verify(client, challenge, app.codes[n % 10]) for n in range(20)))
    assert sum(payload["token"] is not None for payload in payloads) == 1
    assert len(await client.rows("SELECT 1 FROM recovery_codes")) == 9


async def test_of_20_parallel_uses_of_a_recovery_code_one_succeeds(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    app = await with_app(client, alice)
    challenges = [await challenged(client, "alice") for _ in range(20)]
    payloads = await asyncio.gather(*(verify(client, challenge, app.codes[0]) for challenge in challenges))
    assert sum(payload["token"] is not None for payload in payloads) == 1
    assert sum(codes(payload) == WRONG_CODE for payload in payloads) == 19


async def test_a_recovery_code_is_accepted_as_people_write_it(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    for code in (app.codes[0].lower(), app.codes[1].replace("-", " "), app.codes[2].replace("-", "")):
        assert (await verify(client, await challenged(client, "alice"), code))["errors"] == []


async def test_a_code_of_an_app_may_have_spaces(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    code = app.code()
    assert (await verify(client, await challenged(client, "alice"), f" {code[:3]} {code[3:]} "))["errors"] == []


async def test_a_wrong_code_leaves_the_challenge_valid(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    for code in ("000000", "not-a-code", "0" * 64):
        rejected = await verify(client, challenge, code)
        assert (rejected["token"], rejected["session"], codes(rejected)) == (None, None, WRONG_CODE)
    assert (await verify(client, challenge, app.code()))["errors"] == []


@pytest.mark.parametrize(
    ("challenge", "code", "problems"),
    [
        ("", "000000", [("REQUIRED", ["challenge"])]),
        ("rsto_x", "000000", EXPIRED),
        (new_token(TokenKind.ONE_TIME), "000000", EXPIRED),
        (new_token(TokenKind.SESSION), "000000", EXPIRED),
        ("x" * 129, "0" * 65, [("TOO_LONG", ["challenge"]), ("TOO_LONG", ["code"])]),
    ],
)
async def test_an_unknown_challenge_is_rejected(
    client: Client, challenge: str, code: str, problems: list[tuple[str, list[str]]]
) -> None:
    assert codes(await verify(client, challenge, code)) == problems


async def test_a_challenge_expires_after_five_minutes(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    [row] = await client.rows("SELECT expires_at - created_at AS lifetime FROM one_time_tokens")
    assert row["lifetime"].total_seconds() == 300
    await client.rows("UPDATE one_time_tokens SET expires_at = now()")
    assert codes(await verify(client, challenge, app.code())) == EXPIRED


async def test_a_token_for_another_purpose_is_not_a_challenge(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    for purpose in set(Purpose) - {Purpose.TWO_FACTOR_LOGIN}:
        async with client.resources.database.transaction() as transaction:
            token = await create_token(transaction.run, purpose, alice.id, 300)
        assert codes(await verify(client, token, app.code())) == EXPIRED
        await client.rows("DELETE FROM attempts")


async def test_a_change_of_the_password_ends_challenges(client: Client, admin: Person, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    value = {"userId": alice.id, "password": f"{PASSWORD}-other"}
    assert (await client.mutate("setPassword", value, "", by=admin))["errors"] == []
    assert codes(await verify(client, challenge, app.code())) == EXPIRED
    again = await client.mutate("login", {"login": "alice", "password": f"{PASSWORD}-other"}, SESSION)
    assert (again["token"], again["twoFactorChallenge"] is None) == (None, False), "a reset does not skip it"


async def test_a_challenge_with_an_outdated_hash_is_valid(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    await client.rows(
        "UPDATE credentials SET password_hash = $1 WHERE user_id = $2", await weak_hash(PASSWORD), alice.id
    )
    assert (await verify(client, await challenged(client, "alice"), app.code()))["errors"] == []


async def weak_hash(password: str) -> str:
    return argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(password)


async def test_a_suspended_user_learns_of_the_suspension_only_with_the_right_code(
    client: Client, admin: Person, alice: Person
) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    assert (await client.mutate("suspendUser", {"id": alice.id}, "", by=admin))["errors"] == []
    assert codes(await verify(client, challenge, "000000")) == WRONG_CODE
    value = {"challenge": challenge, "code": app.code()}
    assert top(await client.execute(VERIFY, {"input": value})) == ["USER_SUSPENDED"]
    assert await client.rows("SELECT 1 FROM sessions WHERE ended_at IS NULL AND user_id = $1", alice.id) == []


async def test_a_deleted_user_does_not_sign_in(client: Client, admin: Person, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    assert (await client.mutate("deleteUser", {"id": alice.id}, "deletedId", by=admin))["errors"] == []
    assert codes(await verify(client, challenge, app.code())) == EXPIRED


async def test_every_way_in_has_the_same_lockout_cve_2026_9798(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    device = await with_passkey(client, alice)
    challenge = await challenged(client, "alice")
    for number in range(TWO_FACTOR.pair.most):
        await verify(client, challenge, f"{number:06}")
    value = {"challenge": challenge, "code": app.codes[0]}
    assert top(await client.execute(VERIFY, {"input": value})) == ["RATE_LIMITED"]
    document = "mutation ($input: FinishPasskeyLoginInput!) { finishPasskeyLogin(input: $input) { token } }"
    credential = {"credential": device.get(await login_options(client))}
    assert top(await client.execute(document, {"input": credential})) == ["RATE_LIMITED"]
    await client.rows("UPDATE attempts SET blocked_until = now() WHERE blocked_until IS NOT NULL")
    assert (await verify(client, challenge, app.codes[0]))["errors"] == []
    assert await client.rows("SELECT 1 FROM attempts WHERE blocked_until > now()") == []


async def test_attempts_from_many_addresses_are_limited_per_account(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    answers = []
    transport = client.http._transport  # noqa: SLF001
    most = TWO_FACTOR.account.most
    for number in range(most + 1):
        transport.client = (f"198.51.100.{number}", 4711)  # type: ignore[attr-defined]
        value = {"challenge": challenge, "code": "000000" if number < most else app.code()}
        answers.append(await client.execute(VERIFY, {"input": value}))
    assert [top(answer) for answer in answers] == [[]] * most + [["RATE_LIMITED"]]


async def test_the_mutations_after_the_second_step_have_the_new_caller(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    document = f"""mutation {{
      login(input: {{login: "alice", password: "{PASSWORD}"}}) {{ token }}
      before: updateSettings(input: {{patch: {{a: 1}}}}) {{ user {{ id }} }}
      verifyTwoFactor(input: {{challenge: "{challenge}", code: "{app.code()}"}}) {{ user {{ id }} }}
      after: updateSettings(input: {{patch: {{a: 2}}}}) {{ user {{ settings }} }}
    }}"""
    answer = await client.execute(document)
    assert answer["data"] == {
        "login": {"token": None},
        "before": None,
        "verifyTwoFactor": {"user": {"id": alice.id}},
        "after": {"user": {"settings": {"a": 2}}},
    }
    assert top(answer) == ["UNAUTHENTICATED"]


async def test_no_log_line_has_a_challenge_or_a_code(
    client: Client, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    app = await with_app(client, alice)
    challenge = await challenged(client, "alice")
    code = app.code()
    await verify(client, challenge, code)
    await forget_step(client)
    await verify(client, challenge, "wrong-code-4711")
    logged = "".join(capsys.readouterr())
    for secret in (challenge, json.dumps(code), "wrong-code-4711"):
        assert secret not in logged

"""Authenticator apps and recovery codes: set-up, use, and removal."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
import pyotp
import pytest

from service.credentials import totp
from tests.conftest import PASSWORD, Client, Person
from tests.second_factors import (
    App,
    challenged,
    codes,
    confirm,
    enable,
    enabled,
    events,
    forget_step,
    top,
    verify,
    with_app,
    without_limits,
)
from tests.test_secrets_at_rest import everything, spellings

WRONG_CODE = [("WRONG_CREDENTIALS", ["code"])]
ME = "{ me { twoFactorEnabled } }"
REGENERATE = "mutation ($input: ReauthenticateInput!) { regenerateRecoveryCodes(input: $input) { recoveryCodes } }"


async def disable(client: Client, by: Person | str, code: str, password: str = PASSWORD) -> dict[str, Any]:
    value = {"password": password, "code": code}
    return await client.mutate("disableTwoFactor", value, "user { twoFactorEnabled }", by=by)


async def regenerate(client: Client, by: Person | str, value: dict[str, Any]) -> dict[str, Any]:
    document = """mutation ($input: ReauthenticateInput!) { regenerateRecoveryCodes(input: $input) {
      recoveryCodes errors { code message field } } }"""
    found: dict[str, Any] = (await client.data(document, {"input": value}, by=by))["regenerateRecoveryCodes"]
    return found


async def mails(client: Client) -> list[str]:
    """Return what the mails about second factors report, the oldest first."""
    rows = await client.rows("SELECT content FROM mails WHERE template = 'two-factor-changed' ORDER BY id")
    return [orjson.loads(client.resources.encryption.decrypt(row["content"]))["what"] for row in rows]


async def test_a_user_sets_up_an_authenticator_app_with_its_first_code(client: Client, alice: Person) -> None:
    made = await enable(client, alice)
    url = urlsplit(made["otpauthUrl"])
    assert (url.scheme, url.netloc, unquote(url.path)) == ("otpauth", "totp", "/localhost:alice@roster.test")
    assert parse_qs(url.query) == {"secret": [made["secret"]], "issuer": ["localhost"]}
    assert len(made["secret"]) == 32, "160 bits"
    assert await client.data(ME, by=alice) == {"me": {"twoFactorEnabled": False}}
    confirmed = await confirm(client, alice, pyotp.TOTP(made["secret"]).now())
    assert (len(confirmed["recoveryCodes"]), confirmed["errors"]) == (10, [])
    assert await client.data(ME, by=alice) == {"me": {"twoFactorEnabled": True}}
    assert await events(client, "two-factor.%") == ["two-factor.enable", "two-factor.confirm"]
    assert await mails(client) == ["enabled"]


async def test_the_secret_and_the_codes_are_in_one_response_and_nowhere_else(
    client: Client, alice: Person, root: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    app = await with_app(client, alice)
    await verify(client, await challenged(client, "alice"), app.codes[0])
    stored, logged = await everything(client), "".join(capsys.readouterr())
    shown = str(await client.data("{ auditEvents(first: 100) { nodes { changes } } }", by=root))
    for secret in (app.secret, *app.codes, *(code.replace("-", "") for code in app.codes)):
        assert all(spelling not in text for spelling in spellings(secret) for text in (stored, logged, shown))
    assert hashlib.sha256(app.codes[1].replace("-", "").encode()).hexdigest() in stored
    again = await enable(client, alice, code=app.code())
    assert again["secret"] != app.secret


async def test_a_recovery_code_has_112_bits_or_more_so_that_a_fast_hash_is_enough() -> None:
    found = totp.new_recovery_codes()
    assert len(set(found)) == len(found) == 10
    for code in found:
        assert len(totp.ALPHABET) ** len(totp.without_separators(code)) >= 2**112
        spoken = code.replace("0", "o").replace("1", "l").replace("-", " ").lower()
        assert totp.recovery_digest(spoken) == totp.recovery_digest(code)


async def test_an_app_that_is_not_confirmed_does_not_change_the_login(client: Client, alice: Person) -> None:
    await enable(client, alice)
    payload = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token twoFactorChallenge")
    assert payload["token"] is not None
    assert payload["twoFactorChallenge"] is None


async def test_only_the_secret_of_the_service_is_confirmed_not_one_of_the_client(client: Client, alice: Person) -> None:
    first = await enable(client, alice)
    second = await enable(client, alice)
    for secret in (pyotp.random_base32(), first["secret"]):
        rejected = await confirm(client, alice, pyotp.TOTP(secret).now())
        assert (rejected["recoveryCodes"], codes(rejected)) == (None, WRONG_CODE)
    answer = await client.execute(
        "mutation ($input: ConfirmTwoFactorInput!) { confirmTwoFactor(input: $input) { recoveryCodes } }",
        {"input": {"code": pyotp.TOTP(first["secret"]).now(), "secret": first["secret"]}},
        by=alice,
    )
    assert top(answer) == ["BAD_USER_INPUT"]
    assert not await enabled(client, "alice")
    assert (await confirm(client, alice, pyotp.TOTP(second["secret"]).now()))["errors"] == []


async def test_a_secret_must_be_confirmed_within_an_hour_and_once(client: Client, alice: Person) -> None:
    assert codes(await confirm(client, alice, "123456")) == [("EXPIRED", None)]
    made = await enable(client, alice)
    await client.rows("UPDATE two_factor_secrets SET pending_until = now()")
    assert codes(await confirm(client, alice, pyotp.TOTP(made["secret"]).now())) == [("EXPIRED", None)]
    app = await with_app(client, alice)
    assert codes(await confirm(client, alice, app.code(1))) == [("EXPIRED", None)]


async def test_of_20_parallel_confirmations_one_succeeds(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    code = pyotp.TOTP((await enable(client, alice))["secret"]).now()
    payloads = await asyncio.gather(*(confirm(client, alice, code) for _ in range(20)))
    assert sum(payload["errors"] == [] for payload in payloads) == 1
    assert len(await client.rows("SELECT 1 FROM recovery_codes")) == 10


async def test_the_set_up_requires_the_password(client: Client, alice: Person) -> None:
    rejected = await enable(client, alice, password="not-the-password-1")
    assert (rejected["secret"], codes(rejected)) == (None, [("WRONG_CREDENTIALS", ["password"])])
    assert await client.rows("SELECT 1 FROM two_factor_secrets") == []


async def test_a_replacement_requires_a_code_and_the_app_stays_in_use_until_it_is_confirmed(
    client: Client, alice: Person
) -> None:
    app = await with_app(client, alice)
    assert codes(await enable(client, alice)) == [("REQUIRED", ["code"])]
    assert codes(await enable(client, alice, code="000000")) == WRONG_CODE
    made = await enable(client, alice, code=app.code())
    assert (await verify(client, await challenged(client, "alice"), app.code(1)))["errors"] == []
    confirmed = await confirm(client, alice, pyotp.TOTP(made["secret"]).now())
    assert confirmed["errors"] == []
    await forget_step(client)
    challenge = await challenged(client, "alice")
    assert codes(await verify(client, challenge, app.code())) == WRONG_CODE
    assert codes(await verify(client, challenge, app.codes[0])) == WRONG_CODE, "recovery codes were replaced, too"
    new = App(made["secret"], confirmed["recoveryCodes"])
    assert (await verify(client, challenge, new.code()))["errors"] == []


@pytest.mark.parametrize(("step", "valid"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_code_is_valid_one_step_before_and_after_its_time(step: int, *, valid: bool) -> None:
    secret = pyotp.random_base32()
    clock = 1_800_000_017.0
    number = int(clock) // 30 + step
    code = pyotp.TOTP(secret).generate_otp(number)
    assert totp.matching_step(secret, code, clock) == (number if valid else None)


@pytest.mark.parametrize("code", ["", "12345", "1234567", "١٢٣٤٥٦", "１２３４５６", "12345a", "-12345"])  # noqa: RUF001
def test_a_text_of_another_form_is_no_code(code: str) -> None:
    assert totp.matching_step(pyotp.random_base32(), code, 1_800_000_000.0) is None


async def test_a_used_code_and_older_ones_are_no_longer_valid_cve_2025_69197(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    app = await with_app(client, alice)
    value = {"password": PASSWORD, "code": app.code()}
    assert (await regenerate(client, alice, value))["errors"] == []
    for step in (0, -1):
        assert codes(await regenerate(client, alice, value | {"code": app.code(step)})) == WRONG_CODE
        assert codes(await verify(client, await challenged(client, "alice"), app.code(step))) == WRONG_CODE
    assert (await verify(client, await challenged(client, "alice"), app.code(1)))["errors"] == []


async def test_of_20_parallel_uses_of_a_code_one_succeeds_cve_2025_69197(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    app = await with_app(client, alice)
    challenges = [await challenged(client, "alice") for _ in range(20)]
    code = app.code()
    payloads = await asyncio.gather(*(verify(client, challenge, code) for challenge in challenges))
    assert sum(payload["token"] is not None for payload in payloads) == 1
    assert sum(codes(payload) == WRONG_CODE for payload in payloads) == 19


async def test_the_confirming_code_does_not_sign_in_as_well(client: Client, alice: Person) -> None:
    app = App(str((await enable(client, alice))["secret"]), [])
    code = app.code()
    assert (await confirm(client, alice, code))["errors"] == []
    assert codes(await verify(client, await challenged(client, "alice"), code)) == WRONG_CODE


async def test_an_app_is_removed_with_the_password_and_a_code(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    wrong_password = await disable(client, alice, app.code(), "not-the-password-1")
    assert codes(wrong_password) == [("WRONG_CREDENTIALS", ["password"])]
    assert codes(await disable(client, alice, "000000")) == WRONG_CODE
    assert codes(await disable(client, alice, "")) == [("REQUIRED", ["code"])]
    challenge = await challenged(client, "alice")
    assert await disable(client, alice, app.code()) == {"user": {"twoFactorEnabled": False}, "errors": []}
    assert codes(await verify(client, challenge, app.codes[0])) == [("EXPIRED", ["challenge"])]
    for table in ("two_factor_secrets", "recovery_codes"):
        assert await client.rows(f"SELECT 1 FROM {table}") == []  # noqa: S608
    assert codes(await disable(client, alice, app.code(1))) == [("ALREADY_DONE", None)]
    assert (await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token"))["token"] is not None
    assert await mails(client) == ["enabled", "disabled"]
    assert (await events(client, "two-factor.%"))[-1] == "two-factor.disable"


async def test_new_recovery_codes_replace_the_earlier_ones(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    assert codes(await regenerate(client, alice, {"password": PASSWORD})) == [("REQUIRED", ["code"])]
    made = await regenerate(client, alice, {"password": PASSWORD, "code": app.codes[0]})
    assert len(set(made["recoveryCodes"]) - set(app.codes)) == 10
    challenge = await challenged(client, "alice")
    assert codes(await verify(client, challenge, app.codes[1])) == WRONG_CODE
    assert (await verify(client, challenge, made["recoveryCodes"][0]))["errors"] == []
    assert await mails(client) == ["enabled", "recovery-code-used", "recovery-codes", "recovery-code-used"]


async def test_without_a_second_factor_there_are_no_recovery_codes(client: Client, alice: Person) -> None:
    assert codes(await regenerate(client, alice, {"password": PASSWORD})) == [("NOT_ALLOWED", None)]

"""Steps that tests of second factors share: an authenticator app, a passkey, and a login in two steps."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import pyotp
import pytest

from service import attempts
from service import two_factor as factors
from service.mutations import own_password, passkey, two_factor, two_factor_login
from tests.authenticator import Authenticator
from tests.conftest import PASSWORD, Client, Person

SESSION = "token twoFactorChallenge user { id } session { id }"
# Of passkeys
PASSKEY = "id name createdAt lastUsedAt user { id }"
LIST = f"{{ me {{ passkeys {{ totalCount nodes {{ {PASSKEY} }} }} }} }}"
WRONG = [("WRONG_CREDENTIALS", ["credential"])]
EXPIRED = [("EXPIRED", ["credential"])]
INVALID = [("INVALID", ["credential"])]
MANY = attempts.Limit(10_000, 1, longest=1, period=60)


@dataclass(frozen=True)
class App:
    """An authenticator app of a user, with the recovery codes that came with it."""

    secret: str
    codes: list[str]

    def code(self, step: int = 0) -> str:
        """Return the code that the app shows now, or in another time step."""
        totp = pyotp.TOTP(self.secret)
        return totp.generate_otp(totp.timecode(time.time()) + step)


def without_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a test make more attempts than one client may."""
    free = attempts.Operation("free", pair=MANY, client=MANY, account=MANY)
    for module in (factors, own_password, passkey, two_factor, two_factor_login):
        for name in ("TWO_FACTOR", "PASSWORD_ATTEMPT", "PASSKEY_START"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, free)


async def enable(client: Client, by: Person | str, **value: Any) -> dict[str, Any]:
    """Return the payload of enableTwoFactor."""
    return await client.mutate("enableTwoFactor", {"password": PASSWORD} | value, "secret otpauthUrl", by=by)


async def confirm(client: Client, by: Person | str, code: str) -> dict[str, Any]:
    """Return the payload of confirmTwoFactor."""
    return await client.mutate("confirmTwoFactor", {"code": code}, "recoveryCodes", by=by)


async def with_app(client: Client, by: Person | str, **value: Any) -> App:
    """Give a user an authenticator app, no code of which was used."""
    app = App(str((await enable(client, by, **value))["secret"]), [])
    confirmed = await confirm(client, by, app.code())
    assert confirmed["errors"] == []
    await forget_step(client)
    return replace(app, codes=confirmed["recoveryCodes"])


async def forget_step(client: Client) -> None:
    """Let the codes of this minute be used again, in place of waiting for the next ones."""
    await client.rows("UPDATE two_factor_secrets SET last_step = NULL")


async def challenged(client: Client, name: str) -> str:
    """Return the challenge of a login with the right password."""
    payload = await client.mutate("login", {"login": name, "password": PASSWORD}, SESSION)
    challenge = payload["twoFactorChallenge"]
    assert payload == {"token": None, "user": None, "session": None, "errors": [], "twoFactorChallenge": challenge}
    return str(challenge)


async def verify(client: Client, challenge: str, code: str) -> dict[str, Any]:
    """Return the payload of verifyTwoFactor."""
    return await client.mutate("verifyTwoFactor", {"challenge": challenge, "code": code}, SESSION)


async def with_passkey(client: Client, by: Person | str, name: str = "phone", **device: Any) -> Authenticator:
    """Give a user a passkey; return the device that has it."""
    authenticator = Authenticator(**device)
    payload = await register(client, by, authenticator, name)
    assert payload["errors"] == []
    return authenticator


async def registration_options(client: Client, by: Person | str) -> dict[str, Any]:
    """Return the options of startPasskeyRegistration."""
    document = "mutation { startPasskeyRegistration { options errors { code message field } } }"
    payload = (await client.data(document, by=by))["startPasskeyRegistration"]
    assert payload["errors"] == []
    options: dict[str, Any] = payload["options"]
    return options


async def register(
    client: Client, by: Person | str, authenticator: Authenticator, name: str = "phone"
) -> dict[str, Any]:
    """Return the payload of a whole registration."""
    return await finish_registration(client, by, authenticator.create(await registration_options(client, by)), name)


async def finish_registration(client: Client, by: Person | str, credential: Any, name: str = "phone") -> dict[str, Any]:
    """Return the payload of finishPasskeyRegistration."""
    value = {"name": name, "credential": credential}
    return await client.mutate("finishPasskeyRegistration", value, "passkey { id name } recoveryCodes", by=by)


async def login_options(client: Client, challenge: str | None = None) -> dict[str, Any]:
    """Return the options of startPasskeyLogin."""
    payload = await client.mutate("startPasskeyLogin", {"twoFactorChallenge": challenge}, "options")
    assert payload["errors"] == []
    options: dict[str, Any] = payload["options"]
    return options


async def finish_login(client: Client, credential: Any, challenge: str | None = None) -> dict[str, Any]:
    """Return the payload of finishPasskeyLogin."""
    value = {"credential": credential, "twoFactorChallenge": challenge}
    return await client.mutate("finishPasskeyLogin", value, SESSION)


async def enabled(client: Client, name: str) -> bool:
    """Return whether a user has a second factor."""
    [row] = await client.rows("SELECT two_factor_enabled FROM users WHERE username = $1", name)
    return bool(row[0])


async def events(client: Client, pattern: str) -> list[str]:
    """Return the names of events that match a pattern, the oldest first."""
    rows = await client.rows("SELECT event FROM audit_events WHERE event LIKE $1 ORDER BY id", pattern)
    return [row["event"] for row in rows]


def codes(payload: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


def top(answer: dict[str, Any]) -> list[str]:
    """Return the codes of the top-level errors of an answer."""
    return [error["extensions"]["code"] for error in answer.get("errors", [])]

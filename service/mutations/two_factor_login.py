"""The second step of a login: a code, or a passkey, which also signs in without a password."""

from __future__ import annotations

from typing import Any

import strawberry
import structlog

from service import limits
from service.access.rules import Public
from service.attempts import PASSKEY_START, begin_attempt
from service.context import Info
from service.credentials.passkeys import (
    PasskeyError,
    challenge_of,
    credential_id_of,
    login_options,
    verified_login,
)
from service.errors import ErrorCode, MutationRejected, reject
from service.inputs import TOKEN, TWO_FACTOR_CODE, UNSET, given, optional
from service.mutations.guards import require_active
from service.mutations.passkey import PasskeyOptionsPayload
from service.mutations.session import LoginPayload
from service.mutations.two_factor import relying_party_of
from service.one_time import Purpose, consume_token, create_token, find_token
from service.payloads import mutation
from service.rejections import UNKNOWN, WRONG_FACTOR, rejections_recorded
from service.scalars import JSON
from service.sessions import open_session
from service.two_factor import EXPIRED_LOGIN, begin_factor_attempt, consume_challenge, use_code
from service.write import Write, write

WRONG_PASSKEY = "The passkey could not be verified."
log = structlog.get_logger("roster.two_factor")


@strawberry.input(
    description="Second factor of a login. After a wrong code the challenge is still valid, until there are too many"
)
class VerifyTwoFactorInput:
    """Input of verifyTwoFactor."""

    challenge: str = given("`twoFactorChallenge` of login", TOKEN)
    code: str = given("Code of the authenticator app, or a recovery code", TWO_FACTOR_CODE)


@strawberry.input(description="Login that a passkey completes")
class StartPasskeyLoginInput:
    """Input of startPasskeyLogin."""

    two_factor_challenge: str | None = optional(
        "`twoFactorChallenge` of login; without it, any passkey of the device may sign in without a password", TOKEN
    )


@strawberry.input(description="Answer of an authenticator to startPasskeyLogin")
class FinishPasskeyLoginInput:
    """Input of finishPasskeyLogin."""

    credential: JSON = given("Result of `navigator.credentials.get`, by its toJSON()")
    two_factor_challenge: str | None = optional(
        "`twoFactorChallenge` of login, if it was given to startPasskeyLogin", TOKEN
    )


@mutation(Public(), signs_in=True)
async def verify_two_factor(info: Info, input: VerifyTwoFactorInput) -> LoginPayload:
    """Complete a login with a code of the authenticator app, or with a recovery code."""
    context = info.context
    found = await find_token(context.resources.database.read, input.challenge, Purpose.TWO_FACTOR_LOGIN)
    user_id = None if found is None else found["user_id"]
    if user_id is None:
        await begin_factor_attempt(context, None)
        raise reject(ErrorCode.EXPIRED, EXPIRED_LOGIN, "challenge")
    async with rejections_recorded(context, {"id": user_id}, user_id, WRONG_FACTOR):
        attempt = await begin_factor_attempt(context, user_id)
        async with write(info, "session.create") as change:
            user = await _locked_user(change, user_id, "challenge")
            factor = await use_code(change, user, input.code)
            await consume_challenge(change, input.challenge, user, "challenge")
            require_active(user)
            await attempt.succeeded(change.run)
            session, token = await open_session(change, user.id)
            change.created(session, secondFactor=factor)
    return await _signed_in(info, change, session, token)


@mutation(Public())
async def start_passkey_login(info: Info, input: StartPasskeyLoginInput | None = UNSET) -> PasskeyOptionsPayload:
    """Start a login by passkey: without a password, or as the second factor of a login.

    Without a challenge the options name no credential, so that they do not tell which accounts exist (ASVS 6.3.8).
    """
    context = info.context
    await begin_attempt(context, PASSKEY_START)
    challenge = (input.two_factor_challenge or None) if input else None
    user_id = None
    if challenge is not None:
        found = await find_token(context.resources.database.read, challenge, Purpose.TWO_FACTOR_LOGIN)
        if found is None:
            raise reject(ErrorCode.EXPIRED, EXPIRED_LOGIN, "twoFactorChallenge")
        user_id = found["user_id"]
    async with write(info, "session.start") as change:
        known = await change.run("passkey_credentials_of_user", user_id=user_id)
        if user_id is not None and not known:
            raise reject(ErrorCode.NOT_FOUND, "This user has no passkey.", "twoFactorChallenge")
        token = await create_token(change.run, Purpose.PASSKEY_LOGIN, user_id, limits.PASSKEY_CEREMONY)
        change.unchanged()
    return PasskeyOptionsPayload(options=JSON(login_options(relying_party_of(context), token, known)))


@mutation(Public(), signs_in=True)
async def finish_passkey_login(info: Info, input: FinishPasskeyLoginInput) -> LoginPayload:
    """Sign in with a passkey, which counts as both factors, because the device has verified its user."""
    context = info.context
    try:
        ceremony, credential_id = challenge_of(input.credential), credential_id_of(input.credential)
    except PasskeyError:
        raise reject(ErrorCode.INVALID, "credential is not valid.", "credential") from None
    known = await context.resources.database.read("passkey_by_credential", credential_id=credential_id)
    user_id = None if known is None else known["user_id"]
    async with rejections_recorded(context, {"id": user_id} if user_id else None, user_id or UNKNOWN, WRONG_FACTOR):
        # SECURITY: the same counter as for codes, because every way in has the same lockout (CVE-2026-9798)
        attempt = await begin_factor_attempt(context, user_id)
        if known is None:
            raise _wrong_passkey()
        challenge = input.two_factor_challenge or None
        async with write(info, "session.create") as change:
            user = await _locked_user(change, known["user_id"], "credential")
            passkey = await change.run("lock_passkey_credential", id=known["id"])
            if passkey is None or passkey.user_id != user.id:
                raise _wrong_passkey()
            sign_count = _verified(info, ceremony, input.credential, passkey)
            # SECURITY: a signed challenge cannot be replayed, because it is a token that is valid once
            started = await consume_token(change.run, Purpose.PASSKEY_LOGIN, ceremony)
            expected = None if challenge is None else user.id
            if started is None or started["user_id"] != expected:
                raise reject(ErrorCode.EXPIRED, EXPIRED_LOGIN, "credential")
            if challenge is not None:
                await consume_challenge(change, challenge, user, "twoFactorChallenge")
            require_active(user)
            await attempt.succeeded(change.run)
            await change.run("record_passkey_use", id=passkey.id, sign_count=sign_count)
            session, token = await open_session(change, user.id)
            change.created(session, secondFactor="passkey")
    return await _signed_in(info, change, session, token)


async def _locked_user(change: Write, user_id: str, field: str) -> Any:
    user = await change.run("lock_user", id=user_id)
    if user is None:
        raise reject(ErrorCode.EXPIRED, EXPIRED_LOGIN, field)
    return user


def _wrong_passkey() -> MutationRejected:
    return reject(ErrorCode.WRONG_CREDENTIALS, WRONG_PASSKEY, "credential")


def _verified(info: Info, ceremony: str, credential: Any, passkey: Any) -> int:
    """Return the counter of uses of a passkey that has signed the challenge."""
    try:
        return verified_login(relying_party_of(info.context), ceremony, credential, passkey)
    except PasskeyError as error:
        # The reason is for the operator: it may be a copy of an authenticator, or ROSTER_PUBLIC_URL
        log.warning("passkey not verified", passkey=passkey.id, ip=info.context.request.ip, reason=str(error.__cause__))
        raise _wrong_passkey() from None


async def _signed_in(info: Info, change: Write, session: Any, token: str) -> LoginPayload:
    info.context.sign_in(change.actor, token)
    user = await info.context.loaders.one("users_by_id", session.user_id)
    return LoginPayload(user=user, session=session, token=token)

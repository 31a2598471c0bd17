"""Passwords that their users do not know: their reset, and the first one of an invited user."""

from __future__ import annotations

import asyncio
from typing import Any

import strawberry

from service import limits
from service.access.rules import Public
from service.attempts import RESET, TOKEN, begin_attempt
from service.audit import REDACTED
from service.context import Info
from service.database.connection import Database
from service.features import Flag, enabled_flags, require_feature
from service.identifiers import email_problems, fold
from service.inputs import PASSWORD, TWO_FACTOR_CODE, given, optional
from service.inputs import TOKEN as TOKEN_TEXT
from service.links import RESET_PASSWORD, link
from service.mail.outbox import Template, send_mail
from service.mutations.email import SentPayload
from service.mutations.guards import consume_own_token, expired, lock_user_of_token
from service.mutations.user import replace_password
from service.one_time import BOUND_TO_ADDRESS, Purpose, create_token, find_token, revoke_tokens
from service.payloads import mutation
from service.two_factor import begin_factor_attempt, require_code
from service.types.payload import UserPayload
from service.types.user import is_suspended
from service.user_input import EMAIL, hashed_password, password_words
from service.write import write

# A request for a reset takes at least these seconds, more than its statements do
LEAST_SECONDS = 0.1


@strawberry.input(description="Account whose password is forgotten")
class RequestPasswordResetInput:
    """Input of requestPasswordReset."""

    email: str = given("Email address of the account", EMAIL)


@strawberry.input(
    description="New password, with the token of requestPasswordReset or of an invitation. The mail also confirms the "
    "email address"
)
class ResetPasswordInput:
    """Input of resetPassword."""

    token: str = given("Token of the link, which is valid once", TOKEN_TEXT)
    new_password: str = given("New password", PASSWORD)
    code: str | None = optional(
        "Code of the second factor, or a recovery code; required if the user has a second factor",
        TWO_FACTOR_CODE,
    )


@mutation(Public())
async def request_password_reset(info: Info, input: RequestPasswordResetInput) -> SentPayload:
    """Send a link that sets a new password. The answer does not tell whether there is such an account.

    A suspended account gets no mail.
    """
    resources, started = info.context.resources, asyncio.get_running_loop().time()
    await require_feature(resources.database, Flag.PASSWORD_RESET)
    email, found = email_problems(input.email, "email")
    info.problems.extend(found)
    info.problems.raise_if_any()
    await begin_attempt(info.context, RESET, account=fold(str(email)))
    async with write(info, "password.reset-request") as change:
        user: Any = next(iter(await change.run("users_by_email", keys=[email])), None)
        known = user is not None and not is_suspended(user.suspended_at, user.suspended_until)
        # SECURITY: an unknown address takes a token as well, and the rest of the time is waited for (ASVS 6.3.8). Its
        # token belongs to no user, has expired, and is in no mail.
        user_id, lifetime = (user.id, limits.PASSWORD_RESET) if known else (None, 0)
        token = await create_token(
            change.run, Purpose.PASSWORD_RESET, user_id, lifetime, email=user.email if known else email
        )
        if known:
            await send_mail(change, Template.PASSWORD_RESET, user, url=link(resources.settings, RESET_PASSWORD, token))
            change.updated(user, user, mail=(None, Template.PASSWORD_RESET.value))
        else:
            change.added(mail="none")
    await asyncio.sleep(started + LEAST_SECONDS - asyncio.get_running_loop().time())
    return SentPayload()


@mutation(Public(), collects_problems=True)
async def reset_password(info: Info, input: ResetPasswordInput) -> UserPayload:
    """Set a password with the token of a reset or an invitation, and end all sessions of the user.

    It confirms the email address, signs no user in, and does not replace the second factor.
    """
    context, resources = info.context, info.context.resources
    attempts = [await begin_attempt(context, TOKEN)]
    info.problems.raise_if_any()
    purpose, user_id = await _find(resources.database, input.token)
    known: Any = next(iter(await resources.database.read("users_by_id", keys=[user_id])), None)
    if known is not None and known.two_factor_enabled:
        # SECURITY: codes are limited on every path (CVE-2026-9798)
        attempts.append(await begin_factor_attempt(context, user_id))
    password_hash = await hashed_password(
        resources, input.new_password, password_words(known), info.problems, "newPassword"
    )
    async with write(info, "user.password-reset") as change:
        user = await lock_user_of_token(change, user_id)
        change.problems.raise_if_any()
        if user.id == change.actor.user_id:
            change.ends_own_credential()
        # SECURITY: the mail is one factor only (ASVS 6.4.3)
        await require_code(change, user, input.code or None)
        await consume_own_token(change, purpose, input.token, user)
        await replace_password(change, user, password_hash)
        # SECURITY: a change of the address may be a stranger's
        await revoke_tokens(change.run, user.id, *BOUND_TO_ADDRESS)
        columns = {"email_verified": True, "pending_email": None}
        changed = await change.run("update_user", id=user.id, changes=columns)
        for each in attempts:
            await each.succeeded(change.run)
        change.updated(user, changed, password=(REDACTED, REDACTED))
    if user.id == context.actor.user_id:
        context.sign_out()
    return UserPayload(user=changed)


async def _find(database: Database, token: str) -> tuple[Purpose, str]:
    """Return the purpose and the user of a token that may set a password. EXPIRED for any other."""
    found = await find_token(database.read, token, Purpose.PASSWORD_RESET, Purpose.INVITATION)
    purpose = None if found is None else Purpose(found["purpose"])
    disabled = purpose is Purpose.PASSWORD_RESET and Flag.PASSWORD_RESET not in await enabled_flags(database)
    if purpose is None or disabled:
        raise expired()
    return purpose, found["user_id"]

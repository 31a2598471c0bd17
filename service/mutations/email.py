"""The email address of the caller's account: its confirmation, its change, and the undoing of a change."""

from __future__ import annotations

from typing import Any

import strawberry

from service import limits
from service.access.rules import Access, Public
from service.attempts import EMAIL as EMAIL_ATTEMPTS
from service.attempts import TOKEN, Attempt, begin_attempt
from service.context import Info
from service.credentials.tokens import TokenKind, digest, kind_of
from service.errors import ErrorCode, reject
from service.features import Flag, enabled_flags
from service.identifiers import email_problems
from service.inputs import PASSWORD, given
from service.inputs import TOKEN as TOKEN_TEXT
from service.links import CONFIRM_EMAIL, RESET_PASSWORD, UNDO_EMAIL, VERIFY_EMAIL, link
from service.mail.outbox import Template, send_mail
from service.mutations.guards import consume_own_token, expired, lock_user_of_token
from service.mutations.own_password import OwnPassword
from service.mutations.registration import confirm_registration
from service.mutations.user import cancel_email_change
from service.one_time import BOUND_TO_ADDRESS, Purpose, consume_token, create_token, find_token, revoke_tokens
from service.payloads import Payload, mutation
from service.types.payload import UserPayload
from service.user_input import EMAIL
from service.write import Write, write


@strawberry.input(description="Token of a link")
class TokenInput:
    """Input of mutations that need nothing but a token."""

    token: str = given("Token of the link, which is valid once", TOKEN_TEXT)


@strawberry.input(
    description="New email address of your own account. The current one stays until verifyEmail confirms the new one "
    "with the link that is sent there. Then the old one gets a link that undoes the change for 7 days. The answer does "
    "not tell whether the new address has an account. The current address cancels a pending change"
)
class ChangeEmailInput:
    """Input of changeEmail."""

    email: str = given("New email address", EMAIL)
    password: str = given("Current password", PASSWORD)


@strawberry.type(description="Payload of a mutation that sends a mail")
class SentPayload(Payload):
    """Only errors."""


@mutation(Access(own="account.update"))
async def request_email_verification(info: Info) -> SentPayload:
    """Send a link to your email address that confirms the address. Earlier links are no longer valid."""
    await begin_attempt(info.context, EMAIL_ATTEMPTS, account=info.context.actor.user_id)
    async with write(info, "email.verification") as change:
        user = await change.lock_own_user()
        if user.email is None:
            raise reject(ErrorCode.NOT_ALLOWED, "Your account has no email address.")
        if user.email_verified:
            raise reject(ErrorCode.ALREADY_DONE, "Your email address is already confirmed.")
        await revoke_tokens(change.run, user.id, Purpose.EMAIL_VERIFICATION)
        token = await create_token(
            change.run, Purpose.EMAIL_VERIFICATION, user.id, limits.VERIFICATION, email=user.email
        )
        url = link(info.context.resources.settings, VERIFY_EMAIL, token)
        await send_mail(change, Template.EMAIL_VERIFICATION, user, url=url)
        change.updated(user, user, mail=(None, Template.EMAIL_VERIFICATION.value))
    return SentPayload()


@mutation(Public())
async def verify_email(info: Info, input: TokenInput) -> UserPayload:
    """Confirm an email address: that of a registration, of an account, or of changeEmail.

    The token belongs to one user and one address. It does not matter which user is signed in.
    """
    attempt = await begin_attempt(info.context, TOKEN)
    token = input.token
    if kind_of(token) is not TokenKind.ONE_TIME:
        raise expired()
    found = await find_token(
        info.context.resources.database.read, token, Purpose.EMAIL_VERIFICATION, Purpose.EMAIL_CHANGE
    )
    if found is None:
        return UserPayload(user=await confirm_registration(info, attempt, token))
    confirm = _confirm if found["purpose"] == Purpose.EMAIL_VERIFICATION.value else _confirm_change
    return UserPayload(user=await confirm(info, attempt, token, found["user_id"]))


async def _confirm(info: Info, attempt: Attempt, token: str, user_id: str) -> Any:
    async with write(info, "email.verify") as change:
        user = await lock_user_of_token(change, user_id)
        await consume_own_token(change, Purpose.EMAIL_VERIFICATION, token, user)
        changed = await change.run("update_user", id=user.id, changes={"email_verified": True})
        await attempt.succeeded(change.run)
        change.updated(user, changed)
    return changed


async def _confirm_change(info: Info, attempt: Attempt, token: str, user_id: str) -> Any:
    async with write(info, "email.change") as change:
        user = await lock_user_of_token(change, user_id)
        used = await consume_token(change.run, Purpose.EMAIL_CHANGE, token)
        # SECURITY: the token is void if the address was changed in the meantime, or another change was requested
        if used is None or (used["data"]["old"], used["data"]["email"]) != (user.email, user.pending_email):
            raise expired()
        email = user.pending_email
        await _require_free(change, user.id, email)
        columns = {"email": email, "email_verified": True, "pending_email": None}
        changed = await change.run("update_user", id=user.id, changes=columns)
        await revoke_tokens(change.run, user.id, *BOUND_TO_ADDRESS)
        # SECURITY: an address that was never confirmed may be a stranger's, who could undo the correction
        if user.email is not None and user.email_verified:
            undo = await create_token(change.run, Purpose.EMAIL_UNDO, user.id, limits.EMAIL_UNDO, email=user.email)
            url = link(info.context.resources.settings, UNDO_EMAIL, undo)
            await send_mail(change, Template.EMAIL_CHANGED, user, url=url, email=email)
        await attempt.succeeded(change.run)
        change.updated(user, changed)
    return changed


async def _require_free(change: Write, user_id: str, email: str) -> None:
    """Reject a token whose address another account has; the caller is the owner of the address, and may know."""
    taken = await change.run("taken_user_keys", id=user_id, username=None, email=email, external_id=None)
    if taken["email"]:
        raise reject(ErrorCode.CONFLICT, "Another account has this address now.", "token")


@mutation(Access(own="account.email"), collects_problems=True, sensitive=True)
async def change_email(info: Info, input: ChangeEmailInput) -> UserPayload:
    """Request another email address for your own account; verifyEmail changes it."""
    email = None
    if not info.problems.has("email"):
        email, found = email_problems(input.email, "email")
        info.problems.extend(found)
    if info.problems.has("password"):
        info.problems.raise_if_any()
    password = await OwnPassword.verified(info, input.password)
    info.problems.raise_if_any()
    await begin_attempt(info.context, EMAIL_ATTEMPTS, account=info.context.actor.user_id)
    async with write(info, "email.change-request") as change:
        user = await password.lock_user(change)
        change.require_lasting_key("change the email address", "email")
        changed = await _request_change(change, user, str(email))
        await password.succeeded(change.run)
        change.updated(user, changed)
    return UserPayload(user=changed)


async def _request_change(change: Write, user: Any, email: str) -> Any:
    """Store the new address as pending, and send a mail to it; return the user.

    SECURITY: an address that has an account is answered like any other, after the same statements; its owner gets
    another mail (CVE-2026-39851).
    """
    if email == user.email:
        if user.pending_email is None:
            raise reject(ErrorCode.ALREADY_DONE, "This is your email address already.", "email")
        return await cancel_email_change(change, user)
    settings = change.context.resources.settings
    others = [other for other in await change.run("users_by_email", keys=[email]) if other.id != user.id]
    await revoke_tokens(change.run, user.id, Purpose.EMAIL_CHANGE)
    token = await create_token(
        change.run, Purpose.EMAIL_CHANGE, user.id, limits.VERIFICATION, email=email, old=user.email
    )
    if others:
        await send_mail(change, Template.ACCOUNT_EXISTS, others[0], url=link(settings, RESET_PASSWORD))
    else:
        url = link(settings, CONFIRM_EMAIL, token)
        await send_mail(change, Template.EMAIL_CHANGE, user, to=email, url=url, email=email)
    return await change.run("update_user", id=user.id, changes={"pending_email": email})


@mutation(Public())
async def undo_email_change(info: Info, input: TokenInput) -> UserPayload:
    """Restore the email address from before a change, end all sessions, and send a link that sets a new password.

    The link is sent because a stranger who changed the address may know the password.
    """
    context, settings = info.context, info.context.resources.settings
    attempt = await begin_attempt(context, TOKEN)
    found = await find_token(context.resources.database.read, input.token, Purpose.EMAIL_UNDO)
    if found is None:
        raise expired()
    resets = Flag.PASSWORD_RESET in await enabled_flags(context.resources.database)
    async with write(info, "email.undo") as change:
        user = await lock_user_of_token(change, found["user_id"])
        if user.id == change.actor.user_id:
            change.ends_own_credential()
        # SECURITY: later changes are undone with this one, and cannot be restored by their own links
        await change.run("delete_later_tokens", hash=digest(input.token))
        used = await consume_token(change.run, Purpose.EMAIL_UNDO, input.token)
        if used is None:
            raise expired()
        email = used["data"]["email"]
        await _require_free(change, user.id, email)
        columns = {"email": email, "email_verified": True, "pending_email": None}
        changed = await change.run("update_user", id=user.id, changes=columns)
        await revoke_tokens(change.run, user.id, *BOUND_TO_ADDRESS, Purpose.TWO_FACTOR_LOGIN)
        ended = await change.run("end_sessions_by_user", user_id=user.id, keep=None)
        if resets:
            reset = await create_token(change.run, Purpose.PASSWORD_RESET, user.id, limits.PASSWORD_RESET, email=email)
            await send_mail(change, Template.PASSWORD_RESET, changed, url=link(settings, RESET_PASSWORD, reset))
        await attempt.succeeded(change.run)
        change.updated(user, changed, sessions=([session["id"] for session in ended], []))
    if user.id == context.actor.user_id:
        context.sign_out()
    return UserPayload(user=changed)

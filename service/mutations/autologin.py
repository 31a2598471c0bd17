"""Autologin links: an administrator acts as a user for a short time, and the audit log has both."""

from __future__ import annotations

import datetime as dt
from typing import Any

import strawberry

from service import limits
from service.access.actor import authority_of
from service.access.authorize import exceeding
from service.access.rules import Access, Public
from service.attempts import TOKEN, begin_attempt
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import TOKEN as TOKEN_TEXT
from service.inputs import Text, given, optional
from service.links import AUTOLOGIN, link
from service.mutations.guards import require_lasting_credential
from service.mutations.session import LoginPayload
from service.one_time import Purpose, consume_token, create_token, find_token
from service.payloads import Payload, mutation, result
from service.scalars import URL
from service.sessions import Impersonator, open_session, remaining_seconds
from service.types.user import is_suspended
from service.write import Write, write

INVALID_LINK = "This link is not valid. It can be used once, within a minute."


@strawberry.input(description="User to act as")
class CreateAutologinLinkInput:
    """Input of createAutologinLink."""

    user_id: strawberry.ID = given("Id of the user")
    reason: str | None = optional(
        "Reason, which the audit log keeps; the user can read it",
        Text(limits.AUTOLOGIN_REASON, multiline=True, joiners=True),
    )


@strawberry.input(description="Token of an autologin link")
class OpenAutologinLinkInput:
    """Input of openAutologinLink."""

    token: str = given("Token of the link: what follows its #", TOKEN_TEXT)


@strawberry.type(description="Payload of createAutologinLink")
class AutologinLinkPayload(Payload):
    """A link, or errors."""

    url: URL | None = result("Link, which can be opened once; it is not shown again")
    expires_at: dt.datetime | None = result("Time when the link expires")


@mutation(Access(any="users.impersonate"), sensitive=True)
async def create_autologin_link(info: Info, input: CreateAutologinLinkInput) -> AutologinLinkPayload:
    """Create a link that can be used once, within 60 seconds, to act as a user who holds no more than you.

    The link opens a session, which ends after an hour at the latest, and with the session or API key that created the
    link. It holds what both of you hold, but changes no passwords, email addresses, second factors, or keys.
    """
    settings, actor = info.context.resources.settings, info.context.actor
    async with write(info, "user.autologin-link") as change:
        require_lasting_credential(change)
        user = await change.lock("lock_user", input.user_id, "userId")
        if user.id == actor.user_id:
            raise reject(ErrorCode.NOT_ALLOWED, "You cannot act as yourself.", "userId")
        change.require_not_above(user, "userId")
        if is_suspended(user.suspended_at, user.suspended_until):
            raise reject(ErrorCode.NOT_ALLOWED, "This user is suspended.", "userId")
        expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=limits.AUTOLOGIN_LINK)
        token = await create_token(
            change.run,
            Purpose.AUTOLOGIN,
            user.id,
            limits.AUTOLOGIN_LINK,
            impersonator=actor.user_id,
            session=actor.session_id,
            apiKey=actor.api_key_id,
            reason=input.reason or None,
        )
        described: dict[str, Any] = {"reason": input.reason or None, "expiresAt": expires_at.isoformat()}
        change.updated(user, user, autologinLink=(None, described))
    return AutologinLinkPayload(url=URL(link(settings, AUTOLOGIN, token)), expires_at=expires_at)


@mutation(Public(), signs_in=True)
async def open_autologin_link(info: Info, input: OpenAutologinLinkInput) -> LoginPayload:
    """Open a session in which you act as a user, by a link that createAutologinLink returned."""
    context = info.context
    attempt = await begin_attempt(context, TOKEN)
    async with write(info, "session.impersonate") as change:
        found = await find_token(change.run, input.token, Purpose.AUTOLOGIN)
        # The user is locked before the token, because the deletion of a user locks them in this order
        user = None if found is None else await change.run("lock_user", id=found["user_id"])
        if user is None or is_suspended(user.suspended_at, user.suspended_until):
            raise reject(ErrorCode.EXPIRED, INVALID_LINK, "token")
        if await consume_token(change.run, Purpose.AUTOLOGIN, input.token) is None:
            raise reject(ErrorCode.EXPIRED, INVALID_LINK, "token")
        data = found["data"]
        impersonator = Impersonator(data["impersonator"], data["session"], data["apiKey"])
        if await _is_above(change, user, impersonator):
            raise reject(ErrorCode.EXPIRED, INVALID_LINK, "token")
        lifetime = float(context.resources.settings.impersonation_lifetime)
        session, token = await open_session(change, user.id, impersonator=impersonator, lifetime=lifetime)
        # SECURITY: what the impersonator may do counts as of now, and may have changed since the link was created
        if change.actor.rejection is not None:
            raise reject(ErrorCode.EXPIRED, INVALID_LINK, "token")
        change.created(session, reason=data["reason"])
        await attempt.succeeded(change.run)
    context.sign_in(change.actor, token, remaining_seconds(session))
    return LoginPayload(user=user, session=session, token=token)


async def _is_above(change: Write, user: Any, impersonator: Impersonator) -> bool:
    """Return whether a user holds more than the impersonator with the credential that created the link."""
    person = await change.run("user_with_permissions", id=impersonator.user_id)
    keys = await change.run("api_keys_by_id", keys=[impersonator.api_key_id]) if impersonator.api_key_id else [None]
    if person is None or not keys:
        return True
    authority = authority_of(person.role_permissions, None if keys[0] is None else keys[0].permissions)
    return bool(exceeding(user.role_permissions, authority))

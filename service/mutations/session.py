"""Signing in and out."""

from __future__ import annotations

from typing import Any

import strawberry

from service import limits
from service.access.authorize import require_self
from service.access.rules import Access, Public
from service.context import Info
from service.errors import ApiError, ApiErrorCode, ErrorCode, reject
from service.identifiers import email_problems
from service.inputs import PASSWORD, UNSET, ExactText, given
from service.payloads import Payload, mutation, result
from service.sessions import open_session
from service.types.session import Session
from service.types.user import User
from service.write import Write, write

WRONG = "The login or the password is wrong."
SUSPENDED = "This account is suspended."


@strawberry.input(description="Credentials of a user")
class LoginInput:
    """Input of login."""

    login: str = given("Username or email address, ignoring case", ExactText(limits.LOGIN))
    password: str = given("Password", PASSWORD)


@strawberry.input(description="Which sessions to end")
class LogoutAllInput:
    """Input of logoutAll."""

    keep_current: bool | None = given("Indicates whether the session of this request is kept", default=False)


@strawberry.input(description="Session to end")
class RevokeSessionInput:
    """Input of revokeSession."""

    id: strawberry.ID = given("Id of the session")


@strawberry.type(description="Payload of login")
class LoginPayload(Payload):
    """A session, or errors."""

    user: User | None = result("User who is signed in now")
    session: Session | None = result("New session; its cookie is set, too")
    token: str | None = result(
        'Token for clients without cookies, to send as "Authorization: Bearer"; it is not shown again'
    )
    two_factor_challenge: str | None = result("Always null, as long as there is no two-factor authentication")


@strawberry.type(description="Payload of a mutation that ends sessions")
class LogoutPayload(Payload):
    """A number, or errors."""

    ended_sessions: int | None = result("Number of sessions that were ended")


@strawberry.type(description="Payload of revokeSession")
class RevokeSessionPayload(Payload):
    """An id, or errors."""

    revoked_id: strawberry.ID | None = result("Id of the session that was ended")
    user: User | None = result("User who was signed in")


@mutation(Public(), signs_in=True)
async def login(info: Info, input: LoginInput) -> LoginPayload:
    """Sign in with a username or email address and a password.

    The answer and its time do not tell whether the account exists.
    """
    context, resources = info.context, info.context.resources
    # SECURITY: aliases and batches must not allow more attempts (CVE-2026-35401)
    context.budget.logins += 1
    if context.budget.logins > limits.LOGINS_PER_REQUEST:
        message = f"A request may contain {limits.LOGINS_PER_REQUEST} logins."
        raise ApiError(ApiErrorCode.RATE_LIMITED, message, retryAfter=1)
    person = await resources.database.read("login_candidate", id=None, **_login_key(input.login))
    # SECURITY: an unknown login, and a user without a password, take a hash as well, because the time would tell the
    # difference (ASVS 6.3.8)
    stored = None if person is None else person["password_hash"]
    if not await resources.hasher.verify(stored, input.password, context.request.ip) or stored is None:
        raise reject(ErrorCode.WRONG_CREDENTIALS, WRONG)
    if person["suspended"]:
        raise ApiError(ApiErrorCode.USER_SUSPENDED, SUSPENDED)
    rehashed = await resources.hasher.hash(input.password) if resources.hasher.needs_rehash(stored) else None
    async with write(info, "session.create") as change:
        session, token = await _open_session(change, person, rehashed)
    context.sign_in(change.actor, token)
    user = await context.loaders.one("users_by_id", person["id"])
    return LoginPayload(user=user, session=session, token=token)


def _login_key(login: str) -> dict[str, str | None]:
    """Return the look-up of a login: with @ it is an email address."""
    name = login.strip()  # phones add a space after a completed word
    if "@" in name:
        return {"email": email_problems(name)[0], "username": None}
    return {"email": None, "username": name}


async def _open_session(change: Write, person: Any, rehashed: str | None) -> tuple[Any, str]:
    # The password may have been changed, or the account suspended, during the verification: what counts is the state
    # under the lock
    user = await change.run("lock_login", id=person["id"])
    if user is None or user.password_hash != person["password_hash"]:
        raise reject(ErrorCode.WRONG_CREDENTIALS, WRONG)
    if user.suspended_at != person["suspended_at"]:
        raise ApiError(ApiErrorCode.USER_SUSPENDED, SUSPENDED)
    if rehashed is not None:
        await change.run("set_password", user_id=user.id, password_hash=rehashed)
    session, token = await open_session(change, user.id)
    change.created(session)
    return session, token


@mutation(Access(own="sessions.delete"))
async def logout(info: Info) -> LogoutPayload:
    """End the session of this request. An API key has no session."""
    session_id = info.context.actor.session_id
    if session_id is None:
        raise reject(ErrorCode.NOT_ALLOWED, "An API key has no session. Delete the key instead.")
    async with write(info, "session.end") as change:
        session = await change.run("lock_session", id=session_id)
        change.ends_own_credential()
        if session is None:
            change.unchanged()  # another request ended it in the meantime
        else:
            await change.run("end_session", id=session.id)
            change.deleted(session)
    info.context.sign_out()
    return LogoutPayload(ended_sessions=0 if session is None else 1)


@mutation(Access(own="sessions.delete"))
async def logout_all(info: Info, input: LogoutAllInput | None = UNSET) -> LogoutPayload:
    """End all of your sessions, including the current one unless it is kept."""
    context = info.context
    require_self(context.actor)
    keep = context.actor.session_id if input and input.keep_current else None
    async with write(info, "session.end-all") as change:
        user = await change.lock_own_user()
        if keep is None:
            change.ends_own_credential()
        ended = await change.run("end_sessions_by_user", user_id=user.id, keep=keep)
        if ended:
            change.updated(user, user, sessions=([session["id"] for session in ended], []))
        else:
            change.unchanged()
    if keep is None and context.actor.session_id is not None:
        context.sign_out()
    return LogoutPayload(ended_sessions=len(ended))


@mutation(Access(any="users.sessions", own="sessions.delete"))
async def revoke_session(info: Info, input: RevokeSessionInput) -> RevokeSessionPayload:
    """End one of your sessions, or with the permission a session of a user who holds no more than the caller."""
    if input.id != info.context.actor.session_id:
        # SECURITY: a person who acts as another user must not sign the user out
        require_self(info.context.actor)
    async with write(info, "session.revoke") as change:
        # Users are locked before their sessions everywhere, because two requests could deadlock otherwise
        for found in await change.run("sessions_by_id", keys=[input.id]):
            await change.run("lock_user", id=found.user_id)
        session = await change.lock("lock_session", input.id)
        await change.require_owner_not_above(session)
        if session.id == change.actor.session_id:
            change.ends_own_credential()
        await change.run("end_session", id=session.id)
        change.deleted(session)
    user = await info.context.loaders.one("users_by_id", session.user_id)
    if session.id == info.context.actor.session_id:
        info.context.sign_out()
    return RevokeSessionPayload(revoked_id=session.id, user=user)

"""Signing in and out."""

from __future__ import annotations

from typing import Any, TypeAlias

import strawberry

from service import limits
from service.access.authenticate import SUSPENDED
from service.access.authorize import require_self
from service.access.rules import Access, Public
from service.attempts import LOGIN, Attempt, attempt_in_turn
from service.context import Info
from service.errors import ApiError, ApiErrorCode, ErrorCode, reject
from service.identifiers import email_problems, fold
from service.inputs import PASSWORD, UNSET, ExactText, given
from service.networks import customer_network
from service.payloads import Payload, mutation, result
from service.rejections import WRONG, logged_name, rejections_recorded
from service.sessions import open_session
from service.two_factor import create_challenge
from service.types.session import Session
from service.types.user import User
from service.write import Write, write

WRONG_CREDENTIALS = "The login or the password is wrong."

# A session and its token, or a challenge
SignedIn: TypeAlias = tuple[Any, str | None, str | None]


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


@strawberry.type(description="Payload of a mutation that signs in, or proves again who the user is")
class LoginPayload(Payload):
    """A session, or errors."""

    user: User | None = result("User who is signed in now")
    session: Session | None = result("Session of the token; its cookie is set, too")
    token: str | None = result(
        'Token for clients without cookies, to send as "Authorization: Bearer"; it is not shown again'
    )
    two_factor_challenge: str | None = result(
        "Token for verifyTwoFactor or startPasskeyLogin, which login returns in place of a session if the user has a "
        f"second factor. It is valid for {limits.TWO_FACTOR_LOGIN // 60} minutes, and for one login"
    )


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
    """Sign in with a username or email address and a password. A user with a second factor gets a challenge first.

    The answer and its time do not tell whether the account exists.
    """
    context = info.context
    key = _login_key(input.login)
    person = await context.resources.database.read("login_by_name", network=customer_network(context.request.ip), **key)
    name, trusted = logged_name(person, input.login), person is not None and person["trusted"]
    async with (
        rejections_recorded(context, person, name, WRONG),
        attempt_in_turn(context, LOGIN, account=_account(person, key), trusted=trusted) as attempt,
    ):
        session, token, challenge = await _sign_in(info, input, person, attempt)
    if token is None:
        return LoginPayload(two_factor_challenge=challenge)
    user = await context.loaders.one("users_by_id", person["id"])
    return LoginPayload(user=user, session=session, token=token)


def _login_key(login: str) -> dict[str, str | None]:
    """Return the look-up of a login: with @ it is an email address."""
    name = login.strip()  # phones add a space after a completed word
    if "@" in name:
        return {"email": email_problems(name)[0], "username": None}
    return {"email": None, "username": name}


def _account(person: Any, key: dict[str, str | None]) -> str:
    """Return what the attempts of a login are counted for: the account with its password, or the name if it is unknown.

    SECURITY: the username and the email address of an account are counted apart, because one that is blocked by
    attempts with the other would tell that they belong together. A new password begins with no attempts.
    """
    kind = "username" if key["username"] is not None else "email"
    if person is not None:
        return f"{kind} {person['id']} {person['password_changed_at']}"
    return f"unknown {kind} {fold(key[kind] or '')}"


async def _sign_in(info: Info, input: LoginInput, person: Any, attempt: Attempt) -> SignedIn:
    """Return a new session and its token, or the challenge of a user with a second factor, if the password is right."""
    context, hasher = info.context, info.context.resources.hasher
    # SECURITY: an unknown login, and a user without a password, take a hash as well, because the time would tell the
    # difference (ASVS 6.3.8)
    stored = None if person is None else person["password_hash"]
    request = context.request
    if not await hasher.verify(stored, input.password, request.ip, request.is_gone) or stored is None:
        raise reject(ErrorCode.WRONG_CREDENTIALS, WRONG_CREDENTIALS)
    if person["suspended"]:
        raise ApiError(ApiErrorCode.USER_SUSPENDED, SUSPENDED)
    rehashed = await hasher.hash(input.password) if hasher.needs_rehash(stored) else None
    async with write(info, "session.create") as change:
        session, token, challenge = await _open_session(change, person, rehashed)
        await attempt.succeeded(change.run)
    if token is not None:
        context.sign_in(change.actor, token)
    return session, token, challenge


async def _open_session(change: Write, person: Any, rehashed: str | None) -> SignedIn:
    # The password may have been changed, or the account suspended, during the verification: what counts is the state
    # under the lock
    user = await change.run("lock_login", id=person["id"])
    if user is None or user.password_hash != person["password_hash"]:
        raise reject(ErrorCode.WRONG_CREDENTIALS, WRONG_CREDENTIALS)
    if user.suspended_at != person["suspended_at"]:
        raise ApiError(ApiErrorCode.USER_SUSPENDED, SUSPENDED)
    if rehashed is not None:
        await change.run("set_password", user_id=user.id, password_hash=rehashed)
    # SECURITY: the second factor is asked for after the password was verified, and no session exists before it is
    if user.two_factor_enabled:
        change.unchanged()
        return None, None, await create_challenge(change, user.id)
    session, token = await open_session(change, user.id)
    change.created(session)
    return session, token, None


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

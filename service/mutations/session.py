"""Signing in and out."""

from __future__ import annotations

from typing import Any

import strawberry

from service import names
from service.access import Access, Public
from service.actor import ANONYMOUS, session_actor
from service.context import Info
from service.errors import ErrorCode, Fault, FaultCode, refuse
from service.inputs import PASSWORD, UNSET, Text, given
from service.payloads import Payload, mutation
from service.secrets import TokenKind, digest, new_token
from service.types.session import Session
from service.types.user import User
from service.write import Write

LONGEST_AGENT = 255
MOST_LOGINS = 3  # in one HTTP request


@strawberry.input(description="What a person signs in with")
class LoginInput:
    """Input of login."""

    login: str = given("Username or email address, ignoring case", Text(1, 254))
    password: str = given("Password", PASSWORD)


@strawberry.input(description="Which sessions to end")
class LogoutAllInput:
    """Input of logoutAll."""

    keep_current: bool | None = given("Indicates whether the session of this request stays", default=False)


@strawberry.input(description="Session to end")
class RevokeSessionInput:
    """Input of revokeSession."""

    id: strawberry.ID = given("Id of the session")


@strawberry.type(description="Answer of a login")
class LoginPayload(Payload):
    """A session, a challenge, or errors."""

    user: User | None = strawberry.field(description="User who is signed in now", default=None)
    session: Session | None = strawberry.field(description="New session; its cookie is set as well", default=None)
    token: str | None = strawberry.field(
        description='Token for clients without cookies, to be sent as "Authorization: Bearer"; here and never again',
        default=None,
    )
    two_factor_challenge: str | None = strawberry.field(
        description="Challenge for verifyTwoFactor, when a second factor is asked", default=None
    )


@strawberry.type(description="Answer of a mutation that ends sessions")
class LogoutPayload(Payload):
    """A number, or errors."""

    ended_sessions: int | None = strawberry.field(description="Number of sessions that were ended", default=None)


@mutation(Public())
async def login(info: Info, input: LoginInput) -> LoginPayload:
    """Sign in with a username or email address and a password; the answer and its time are the same for unknown and
    wrong.
    """
    context, house = info.context, info.context.house
    # SECURITY: aliases and batches are no way to guess faster (CVE-2026-35401)
    context.budget.logins += 1
    if context.budget.logins > MOST_LOGINS:
        raise Fault(FaultCode.RATE_LIMITED, f"A request may hold {MOST_LOGINS} logins", retryAfter=1)
    known_as = input.login.strip()  # phones add a space behind a completed word
    column = "email" if "@" in known_as else "username"
    if column == "email":
        known_as = names.email_problems(known_as)[0] or known_as  # as addresses are kept
    person = await house.database.read(f"login_by_{column}", login=known_as)
    # SECURITY: an unknown login and one without a password cost a hash as well, or the time would tell them apart
    # (ASVS 6.3.8)
    stored = person.password_hash if person is not None else None
    if not await house.hasher.verify(stored, input.password, context.request.ip) or stored is None:
        raise refuse(ErrorCode.WRONG_CREDENTIALS, "The login or the password is wrong")
    if person.suspended_now:
        raise Fault(FaultCode.USER_SUSPENDED, "This account is suspended")
    rehashed = await house.hasher.hash(input.password) if house.hasher.needs_rehash(stored) else None
    async with context.write(info, "session.create") as write:
        session, token = await _open_session(info, write, person, rehashed)
    actor = session_actor(person.id, person.role_id, session.id, person.role_permissions, digest(token))
    context.become(actor, token)
    return LoginPayload(user=await context.loaders.one("users_by_id", person.id), session=session, token=token)


async def _open_session(info: Info, write: Write, person: Any, rehashed: str | None) -> tuple[Any, str]:
    context = info.context
    # The password may have been changed, or the account suspended, while it was being verified: what counts is under
    # the lock
    user = await write.run("lock_user", id=person.id)
    stored = await write.run("password_hash_of_user", user_id=person.id)
    if user is None or stored is None or stored.password_hash != person.password_hash:
        raise refuse(ErrorCode.WRONG_CREDENTIALS, "The login or the password is wrong")
    if user.suspended_at != person.suspended_at:
        raise Fault(FaultCode.USER_SUSPENDED, "This account is suspended")
    if rehashed is not None:
        await write.run("set_password", user_id=person.id, password_hash=rehashed)
    agent = context.request.user_agent
    session = await write.run(
        "create_session",
        user_id=person.id,
        ip=context.request.ip,
        user_agent=agent[:LONGEST_AGENT] if agent else None,
        lifetime=float(context.house.settings.session_lifetime),
    )
    token = new_token(TokenKind.SESSION)
    await write.run("create_session_token", hash=digest(token), session_id=session.id)
    await write.run("record_login", id=person.id)
    write.by(session_actor(person.id, person.role_id, session.id, person.role_permissions, digest(token)))
    write.created(session)
    return session, token


@mutation(Access(own="sessions.delete"))
async def logout(info: Info) -> LogoutPayload:
    """End the session of this request; an API key has none to end."""
    session_id = info.context.actor.session_id
    if session_id is None:
        raise refuse(ErrorCode.NOT_ALLOWED, "An API key is no session; delete the key instead")
    async with info.context.write(info, "session.end") as write:
        session = await write.run("lock_session", id=session_id)
        if session is None:
            write.unchanged()  # another request ended it meanwhile
        else:
            write.changed(session, await write.run("end_session", id=session.id))
    info.context.become(ANONYMOUS, "")
    return LogoutPayload(ended_sessions=0 if session is None else 1)


@mutation(Access(own="sessions.delete"))
async def logout_all(info: Info, input: LogoutAllInput | None = UNSET) -> LogoutPayload:
    """End every session of one's own, this one too unless it is kept."""
    context = info.context
    keep = context.actor.session_id if input and input.keep_current else None
    async with context.write(info, "session.end-all") as write:
        user = await write.own_account()
        ended = await write.run("end_sessions_by_user", user_id=user.id, keep=keep)
        if ended:
            write.changed(user, user, sessions={"old": [session.id for session in ended], "new": []})
        else:
            write.unchanged()
    if keep is None and context.actor.session_id is not None:
        context.become(ANONYMOUS, "")
    return LogoutPayload(ended_sessions=len(ended))


@mutation(Access(any="users.sessions", own="sessions.delete"))
async def revoke_session(info: Info, input: RevokeSessionInput) -> LogoutPayload:
    """End one session, one's own or, with the permission, anybody's who holds no more than the caller."""
    async with info.context.write(info, "session.revoke") as write:
        # Users are locked before their sessions everywhere, or two requests would wait for each other
        for found in await write.run("sessions_by_id", keys=[input.id]):
            await write.run("lock_user", id=found.user_id)
        session = await write.lock("lock_session", input.id)
        await write.not_above_owner(session)
        write.changed(session, await write.run("end_session", id=session.id))
    if input.id == info.context.actor.session_id:
        info.context.become(ANONYMOUS, "")
    return LogoutPayload(ended_sessions=1)

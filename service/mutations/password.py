"""Passwords: a user's own, and those that administrators set."""

from __future__ import annotations

import strawberry

from service.access.rules import Access
from service.attempts import PASSWORD as PASSWORD_ATTEMPT
from service.attempts import begin_attempt
from service.audit import REDACTED
from service.context import Info
from service.errors import ApiError, ApiErrorCode, ErrorCode, reject
from service.inputs import PASSWORD, given
from service.mutations.user import hash_for, replace_password, require_password_of
from service.payloads import mutation
from service.types.payload import UserPayload
from service.user_input import hashed_password, password_words
from service.write import write


@strawberry.input(description="New password of another user")
class SetPasswordInput:
    """Input of setPassword."""

    user_id: strawberry.ID = given("Id of the user")
    password: str = given("New password", PASSWORD)


@strawberry.input(description="New password of your own account")
class ChangePasswordInput:
    """Input of changePassword."""

    current_password: str = given("Current password", PASSWORD)
    new_password: str = given("New password", PASSWORD)


@mutation(Access(any="users.password"), collects_problems=True, sensitive=True)
async def set_password(info: Info, input: SetPasswordInput) -> UserPayload:
    """Set the password of another user, which ends the user's sessions."""
    password_hash = await hash_for(info, input.user_id, input.password)
    async with write(info, "user.password") as change:
        user = await change.lock("lock_user", input.user_id, "userId")
        change.require_not_above(user, "userId")
        await require_password_of(change, user, "userId", password_hash)
        await replace_password(change, user, password_hash)
        change.updated(user, user, password=(REDACTED, REDACTED))
    return UserPayload(user=user)


@mutation(Access(own="account.password"), sensitive=True)
async def change_password(info: Info, input: ChangePasswordInput) -> UserPayload:
    """Change your own password, which ends your other sessions."""
    resources, actor = info.context.resources, info.context.actor
    person = await resources.database.read("login_candidate", id=actor.user_id, email=None, username=None)
    if person is None:
        raise ApiError(ApiErrorCode.UNAUTHENTICATED, "This account no longer exists.")
    attempt = await begin_attempt(info.context, PASSWORD_ATTEMPT, account=actor.user_id)
    # SECURITY: a stolen session must not be enough to take over the account (ASVS 6.2.3)
    request = info.context.request
    if not await resources.hasher.verify(person["password_hash"], input.current_password, request.ip, request.is_gone):
        info.problems.add(ErrorCode.WRONG_CREDENTIALS, "currentPassword is wrong.", "currentPassword")
    password_hash = await hashed_password(
        resources, input.new_password, password_words(person), info.problems, "newPassword"
    )
    info.problems.raise_if_any()
    async with write(info, "user.password") as change:
        user = await change.lock_own_user()
        stored = await change.run("lock_password_hash", user_id=user.id)
        if stored is None or stored["password_hash"] != person["password_hash"]:
            raise reject(ErrorCode.WRONG_CREDENTIALS, "currentPassword is wrong.", "currentPassword")
        await replace_password(change, user, password_hash, actor.session_id)
        await attempt.succeeded(change.run)
        change.updated(user, user, password=(REDACTED, REDACTED))
    return UserPayload(user=user)

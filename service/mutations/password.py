"""Passwords: a user's own, and those that administrators set."""

from __future__ import annotations

import strawberry

from service.access.rules import Access
from service.audit import REDACTED
from service.context import Info
from service.inputs import PASSWORD, given
from service.mutations.own_password import OwnPassword
from service.mutations.user import cancel_email_change, hash_for, replace_password, require_password_of
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
        changed = await cancel_email_change(change, user)
        change.updated(user, changed, password=(REDACTED, REDACTED))
    return UserPayload(user=changed)


@mutation(Access(own="account.password"), sensitive=True)
async def change_password(info: Info, input: ChangePasswordInput) -> UserPayload:
    """Change your own password, which ends your other sessions."""
    resources, actor = info.context.resources, info.context.actor
    current = await OwnPassword.verified(info, input.current_password, "current_password")
    password_hash = await hashed_password(
        resources, input.new_password, password_words(current.person), info.problems, "newPassword"
    )
    info.problems.raise_if_any()
    async with write(info, "user.password") as change:
        user = await current.lock_user(change)
        await replace_password(change, user, password_hash, actor.session_id)
        await current.succeeded(change.run)
        changed = await cancel_email_change(change, user)
        change.updated(user, changed, password=(REDACTED, REDACTED))
    return UserPayload(user=changed)

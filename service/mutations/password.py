"""Passwords: one's own, and those that administrators set."""

from __future__ import annotations

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, Fault, FaultCode, refuse
from service.inputs import PASSWORD, given
from service.mutations.user import replace_password
from service.payloads import mutation
from service.people import hashed, password_context
from service.types.payload import UserPayload
from service.write import REDACTED


@strawberry.input(description="Password for a user")
class SetPasswordInput:
    """Input of setPassword."""

    user_id: strawberry.ID = given("Id of the user")
    password: str = given("New password", PASSWORD)


@strawberry.input(description="Password of one's own")
class ChangePasswordInput:
    """Input of changePassword."""

    current_password: str = given("Password as it is", PASSWORD)
    new_password: str = given("New password", PASSWORD)


@mutation(Access(any="users.password"))
async def set_password(info: Info, input: SetPasswordInput) -> UserPayload:
    """Set the password of a user, which ends the user's sessions."""
    known = await info.context.loaders.one("users_by_id", input.user_id)
    context = password_context(known) if known is not None else []
    password_hash = await hashed(info.context.house, input.password, context, "password")
    async with info.context.write(info, "user.password") as write:
        user = await write.lock("lock_user", input.user_id, "userId")
        await write.not_above(user, "userId")
        await replace_password(write, user.id, password_hash)
        write.changed(user, user, password=REDACTED)
    return UserPayload(user=user)


@mutation(Access(own="account.password"))
async def change_password(info: Info, input: ChangePasswordInput) -> UserPayload:
    """Change one's own password, which ends one's other sessions."""
    house, actor = info.context.house, info.context.actor
    person = await house.database.read("login_by_id", id=actor.user_id)
    if person is None:
        raise Fault(FaultCode.UNAUTHENTICATED, "This account is gone")
    # SECURITY: a stolen session must not be enough to take the account over (ASVS 6.2.3)
    if not await house.hasher.verify(person.password_hash, input.current_password, info.context.request.ip):
        raise refuse(ErrorCode.WRONG_CREDENTIALS, "The current password is wrong", "currentPassword")
    password_hash = await hashed(house, input.new_password, password_context(person), "newPassword")
    async with info.context.write(info, "user.password") as write:
        user = await write.own_account()
        stored = await write.run("password_hash_of_user", user_id=user.id)
        if stored is None or stored.password_hash != person.password_hash:
            raise refuse(ErrorCode.WRONG_CREDENTIALS, "The current password is wrong", "currentPassword")
        await replace_password(write, user.id, password_hash, actor.session_id)
        write.changed(user, user, password=REDACTED)
    return UserPayload(user=user)

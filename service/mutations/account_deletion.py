"""The deletion of one's own account, and how it is undone."""

from __future__ import annotations

import datetime as dt
from typing import Any

import strawberry

from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import PASSWORD, TWO_FACTOR_CODE, optional
from service.links import link
from service.mail.outbox import Template, send_mail, where_and_when
from service.mutations.guards import require_other_root, require_own_session
from service.mutations.own_password import OwnPassword, begin_code
from service.one_time import Purpose, revoke_tokens
from service.payloads import Payload, mutation, result
from service.two_factor import require_code
from service.types.payload import UserPayload
from service.write import Write, write

# A change of the address, and sign-ins that are half done. A password reset stays possible, to undo the deletion; so
# does the undoing of a new address, because a stranger may have set it.
ENDED = (Purpose.AUTOLOGIN, Purpose.EMAIL_CHANGE, Purpose.TWO_FACTOR_LOGIN)


@strawberry.input(description="Proof of the user who deletes the own account")
class DeleteMyAccountInput:
    """Input of deleteMyAccount."""

    password: str | None = optional("Current password; required if the account has one", PASSWORD)
    code: str | None = optional(
        "Code of the second factor, or a recovery code; required if the account has a second factor", TWO_FACTOR_CODE
    )


@strawberry.type(description="Payload of deleteMyAccount")
class DeleteMyAccountPayload(Payload):
    """A time, or errors."""

    deletion_scheduled_at: dt.datetime | None = result("Time after which the account is erased")


@mutation(Access(own="account.delete"), sensitive=True)
async def delete_my_account(info: Info, input: DeleteMyAccountInput) -> DeleteMyAccountPayload:
    """Delete your own account. All sessions and API keys end at once; until deletionScheduledAt it can be undone.

    Sign in again for that, and run cancelAccountDeletion; meanwhile nothing else is possible but to read and to export
    the account. After that time the account is erased. IN_USE while you own servers.
    """
    settings = info.context.resources.settings
    password = await _verified(info, input)
    attempts = [] if password is None else list(password.attempts)
    if input.code:
        attempts.append(await begin_code(info))
    async with write(info, "user.schedule-deletion") as change:
        user = await _locked_user(change, password)
        await _check(change, user)
        await require_code(change, user, input.code or None)
        change.ends_own_credential()
        changed = await change.run("set_deletion", id=user.id, days=settings.deletion_grace_days)
        ended = await change.run("end_sessions_by_user", user_id=user.id, keep=None)
        await revoke_tokens(change.run, user.id, *ENDED)
        await send_mail(
            change,
            Template.ACCOUNT_DELETION,
            user,
            due=changed.deletion_scheduled_at,
            url=link(settings, "/"),
            **where_and_when(change),
        )
        for attempt in attempts:
            await attempt.succeeded(change.run)
        change.updated(user, changed, **({"sessions": ([each["id"] for each in ended], [])} if ended else {}))
    info.context.sign_out()
    return DeleteMyAccountPayload(deletion_scheduled_at=changed.deletion_scheduled_at)


@mutation(Access(own="account.delete"))
async def cancel_account_deletion(info: Info) -> UserPayload:
    """Undo the deletion of your own account. API keys are valid again; ended sessions stay ended."""
    require_own_session(info)
    async with write(info, "user.cancel-deletion") as change:
        user = await change.lock_own_user()
        changed = await change.run("clear_deletion", id=user.id)
        if changed is None:
            raise reject(ErrorCode.ALREADY_DONE, "The deletion of this account is not scheduled.")
        await send_mail(change, Template.ACCOUNT_KEPT, user, **where_and_when(change))
        change.updated(user, changed)
    return UserPayload(user=changed)


async def _verified(info: Info, input: DeleteMyAccountInput) -> OwnPassword | None:
    """Return the password that was verified; None for an account without one, which only its own session deletes.

    SECURITY: an API key that lists the permission, or an access token, proves no more than the password that comes with
    it.
    """
    user_id = info.context.actor.user_id
    if not await info.context.resources.database.read("passwords_by_user", keys=[user_id]):
        require_own_session(info)
        return None
    if not input.password:
        raise reject(ErrorCode.REQUIRED, "password is required.", "password")
    password = await OwnPassword.verified(info, input.password)
    info.problems.raise_if_any()
    return password


async def _check(change: Write, user: Any) -> None:
    """Reject an account that is deleted already, or that cannot be deleted."""
    if user.deletion_scheduled_at is not None:
        raise reject(ErrorCode.ALREADY_DONE, "The deletion of this account is already scheduled.")
    if await change.run("count_servers_of_owner", owner_id=user.id):
        raise reject(ErrorCode.IN_USE, "You own servers. Delete them first, or transfer them to another user.")
    await require_other_root(change, user)


async def _locked_user(change: Write, password: OwnPassword | None) -> Any:
    """Return the caller, locked. Reject a password that was set, changed, or removed in the meantime."""
    if password is not None:
        return await password.lock_user(change)
    user = await change.lock_own_user()
    if await change.run("lock_password_hash", user_id=user.id) is not None:
        raise reject(ErrorCode.REQUIRED, "password is required.", "password")
    return user

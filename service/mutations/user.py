"""Users, as changed by administrators: create, update, delete."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from service.access.authorize import Verdict
from service.access.rules import Access
from service.audit import REDACTED
from service.context import Info
from service.errors import ErrorCode, reject
from service.inputs import IDEMPOTENCY_KEY, PASSWORD, UNSET, changes, given, optional
from service.links import link
from service.mail.outbox import Template, send_mail, where_and_when
from service.mutations.guards import (
    check_email,
    lock_other_user,
    require_other_root,
    require_session_for,
    require_version,
)
from service.mutations.references import NEW_ID, requested_id, requested_plan, requested_role
from service.one_time import BOUND_TO_ADDRESS, BOUND_TO_PASSWORD, Purpose, revoke_tokens
from service.payloads import Payload, mutation, result
from service.quotas import require_within
from service.retired_usernames import retire_username
from service.types.payload import UserPayload
from service.user_creation import create_account, invite, password_event
from service.user_input import (
    LANGUAGE,
    USERNAME,
    AccountInput,
    ResourceLimitsInput,
    check_taken,
    hashed_password,
    merged,
    password_words,
    user_columns,
)
from service.write import Write, write


@strawberry.input(description="New user")
class CreateUserInput(AccountInput):
    """Input of createUser. Without a password the user cannot sign in until the link of a mail has set one."""

    id: strawberry.ID | None = optional(NEW_ID)
    username: str = given("Name to sign in with, unique ignoring case", USERNAME)
    password: str | None = optional("Password; without one the user cannot sign in", PASSWORD)
    language: str | None = given("Language, a BCP 47 tag", LANGUAGE, default="en")
    send_email: bool | None = given(
        "Indicates whether the user gets an email about the account; without a password it has a link to set one",
        default=False,
    )
    idempotency_key: str | None = optional(
        "A repeated request with this key within 24 hours returns the same user; another input is rejected",
        IDEMPOTENCY_KEY,
    )


@strawberry.input(description="Change of a user; absent fields keep their value, null clears them")
class UpdateUserInput(AccountInput):
    """Input of updateUser."""

    id: strawberry.ID = given("Id of the user")
    username: str | None = optional("Name to sign in with, unique ignoring case", USERNAME)
    password: str | None = optional(
        "New password of another user, which ends the user's sessions; null removes it. Requires what setPassword "
        "requires",
        PASSWORD,
    )
    language: str | None = optional("Language, a BCP 47 tag; null gives en", LANGUAGE)
    limits: ResourceLimitsInput | None = optional(
        "Resource limits in place of the plan's; null restores those of the plan"
    )
    version: int | None = optional("Version that the change is based on; VERSION_MISMATCH if the user has another")


@strawberry.input(description="User to delete")
class DeleteUserInput:
    """Input of deleteUser."""

    id: strawberry.ID = given("Id of the user")
    cascade: bool | None = given("Indicates whether the servers that the user owns are deleted, too", default=False)


@strawberry.type(description="Payload of deleteUser")
class DeleteUserPayload(Payload):
    """An id, or errors."""

    deleted_id: strawberry.ID | None = result("Id of the deleted user")


@mutation(Access(any="users.create"), collects_problems=True, idempotent="user")
async def create_user(info: Info, input: CreateUserInput) -> UserPayload:
    """Create a user."""
    resources = info.context.resources
    given_columns = user_columns(resources, input, info.problems)
    columns = {name: value for name, value in given_columns.items() if value is not None}
    password_hash = await hashed_password(resources, input.password, password_words(columns), info.problems, "password")
    async with write(info, "user.create") as change:
        if input.password:
            change.require_lasting_key("set passwords", "password")
        elif input.send_email:
            # SECURITY: the person who opens the mail sets a password
            change.require_lasting_key("invite users", "sendEmail")
        if input.send_email and not columns.get("email") and not change.problems.has("email"):
            change.problems.add(ErrorCode.REQUIRED, "email is required to send an email.", "email")
        await check_taken(change.run, columns, change.problems)
        columns |= await requested_id(change, input.id or None)
        role_id = await requested_role(change, input)
        if role_id is not None:
            columns["role_id"] = role_id
        if input.plan_id or input.plan_name:
            change.require_mutation("changePlan", "planId" if input.plan_id else "planName")
            plan = await requested_plan(change, input.plan_id or None, input.plan_name or None)
            if plan is not None:
                columns = {"tier": plan.tier, **columns, "plan_id": plan.id}
        user = await create_account(change, columns, password_hash=password_hash)
        if input.send_email and password_hash is None:
            await invite(change, user)
        elif input.send_email:
            await send_mail(change, Template.ACCOUNT_CREATED, user, url=link(resources.settings, "/"))
        change.created(user, **password_event(password_hash))
    return UserPayload(user=user)


@mutation(Access(any="users.update"), collects_problems=True)
async def update_user(info: Info, input: UpdateUserInput) -> UserPayload:
    """Change a user who holds no permission that the caller does not hold."""
    require_session_for(info, input)
    password_hash = None
    if input.password:
        password_hash = await hash_for(info, input.id, input.password, changes(input))
    return UserPayload(user=await update(info, input, password_hash))


async def update(info: Info, input: UpdateUserInput, password_hash: str | None = None) -> Any:
    """Change a user as the input says, and return the user as it is then."""
    resources = info.context.resources
    async with write(info, "user.update") as change:
        user = await change.lock("lock_user", input.id)
        change.require_not_above(user)
        require_version(user, input.version)
        columns = user_columns(resources, input, change.problems, user)
        check_email(change, user, columns)
        await check_taken(change.run, columns, change.problems, user.id)
        columns |= await _role_columns(change, input, user)
        if input.limits is not UNSET:
            columns["limit_overrides"] = merged(user.limit_overrides, input.limits)
        overrides = columns.get("limit_overrides", user.limit_overrides)
        columns |= await _plan_columns(change, input, user, overrides)
        extra: dict[str, tuple[Any, Any]] = {}
        if input.password is not UNSET:
            await require_password_of(change, user, "password", password_hash)
            if await replace_password(change, user, password_hash):
                extra["password"] = (REDACTED, REDACTED)
        changed = await change.run("update_user", id=user.id, changes=columns)
        if extra:
            changed = await cancel_email_change(change, changed)
        if changed.email != user.email:
            await revoke_tokens(change.run, user.id, *BOUND_TO_ADDRESS, Purpose.EMAIL_UNDO)
        change.updated(user, changed, **extra)
    return changed


@mutation(Access(any="users.delete"), sensitive=True)
async def delete_user(info: Info, input: DeleteUserInput) -> DeleteUserPayload:
    """Delete a user, and close the wallets. IN_USE while the user owns servers, unless `cascade` is true."""
    await delete(info, input.id, cascade=bool(input.cascade))
    return DeleteUserPayload(deleted_id=input.id)


async def delete(info: Info, user_id: str, *, cascade: bool, version: int | None = None) -> None:
    """Delete a user, who must have the given version, with what `delete_user` names."""
    async with write(info, "user.delete") as change:
        user = await lock_other_user(change, user_id, "You cannot delete your own account.")
        require_version(user, version)
        if cascade:
            change.require_mutation("deleteServer", "cascade")
        dependents = await change.run("dependents_of_user", id=user.id)
        gone = {
            "apiKeys": dependents["api_keys"],
            "sessions": dependents["sessions"],
            "sshKeys": dependents["ssh_keys"],
            "passkeys": dependents["passkeys"],
            "dedicatedIps": dependents["dedicated_ips"],
            "memberships": dependents["memberships"],
            "wallets": dependents["wallets"],
        }
        if cascade:
            gone["subusers"] = dependents["subusers"]
            gone["servers"] = [row["id"] for row in await change.run("delete_servers_by_owner", owner_id=user.id)]
        # Without cascade the foreign key of the servers rejects it, even in a race with createServer
        await change.run("delete_user", id=user.id)
        await retire_username(change.run, info.context.resources.encryption, user.username)
        change.deleted(user, **{name: ids for name, ids in gone.items() if ids})


async def _role_columns(change: Write, value: UpdateUserInput, user: Any) -> dict[str, Any]:
    role_id = await requested_role(change, value, user)
    if role_id is None or role_id == user.role_id:
        return {}
    given = [name for name, item in changes(value, "role_name", "role_id").items() if item is not UNSET]
    field = to_camel_case(given[0]) if given else "isAdmin"
    await require_other_root(change, user, field)
    return {"role_id": role_id}


async def _plan_columns(change: Write, value: UpdateUserInput, user: Any, overrides: dict[str, int]) -> dict[str, Any]:
    if value.plan_id is UNSET and value.plan_name is UNSET:
        return {}
    change.require_mutation("changePlan", "planId" if value.plan_id is not UNSET else "planName")
    await change.run("attribute_plan", actor_id=change.actor.user_id)
    if not value.plan_id and not value.plan_name:
        return {"plan_id": None}
    plan = await requested_plan(change, value.plan_id or None, value.plan_name or None)
    if plan is None:
        return {}
    await require_within(change, user, plan, overrides, "planId" if value.plan_id else "planName")
    # As changePlan does; a tier in the same input has precedence
    return {"plan_id": plan.id} | ({} if value.tier else {"tier": plan.tier})


async def hash_for(info: Info, user_id: str, password: str, *sources: Any) -> str | None:
    """Return the hash of a new password for a user; add what is wrong with it to the problems.

    `sources` are further objects whose names must not be in the password. A caller who may not set passwords gets no
    hash, because it takes time; `require_password_of` rejects the caller.
    """
    viewer = info.context.viewer
    if viewer.verdict(viewer.rule("Mutation", "setPassword")) is not Verdict.ALLOWED:
        return None
    known = await info.context.loaders.one("users_by_id", user_id)
    # SECURITY: the answer would confirm a name or an address that the caller may not read
    readable = known is not None and await viewer.can_reach(viewer.rule("User", "email"), known)
    words = password_words(*sources, *([known] if readable else []))
    return await hashed_password(info.context.resources, password, words, info.problems, "password")


async def require_password_of(change: Write, user: Any, field: str, password_hash: str | None) -> None:
    """Reject a password for a user that the caller may not set, or whose removal leaves no ROOT user.

    SECURITY: the permission to change users must not let a caller sign in as them, so this requires what setPassword
    requires. Users change their own password with the current one, by changePassword. A key that expires or is limited
    to networks sets no passwords, because sessions are not bound by its limits.
    """
    if user.id == change.actor.user_id:
        raise reject(ErrorCode.NOT_ALLOWED, "Use changePassword to change your own password.", field)
    change.require_mutation("setPassword", field)
    change.require_lasting_key("set passwords", field)
    change.require_held(user.role_permissions, "This requires permissions that you do not hold", field)
    if password_hash is None and not change.problems:
        await require_other_root(change, user, field)


async def replace_password(change: Write, user: Any, password_hash: str | None, keep: str | None = None) -> bool:
    """Set or remove a password, end the user's sessions except the one to keep, and send the user a mail (ASVS 6.3.7).

    Earlier links that set a password, and logins in progress, are no longer valid. Return False if there was no
    password to remove.
    """
    if password_hash is not None:
        await change.run("set_password", user_id=user.id, password_hash=password_hash)
    elif await change.run("remove_password", user_id=user.id) is None:
        return False
    await revoke_tokens(change.run, user.id, *BOUND_TO_PASSWORD)
    await change.run("end_sessions_by_user", user_id=user.id, keep=keep)
    own = change.actor.user_id in {None, user.id}
    await send_mail(change, Template.PASSWORD_CHANGED, user, **where_and_when(change, own=own))
    return True


async def cancel_email_change(change: Write, user: Any) -> Any:
    """Void a pending change of the email address, and return the user as it is then.

    SECURITY: a new password calls for it, because a stranger who knew the former one may have begun the change.
    """
    if user.pending_email is None:
        return user
    await revoke_tokens(change.run, user.id, Purpose.EMAIL_CHANGE)
    return await change.run("update_user", id=user.id, changes={"pending_email": None})

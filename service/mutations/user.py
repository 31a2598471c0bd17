"""Accounts, changed by those who manage users: create, update, delete."""

from __future__ import annotations

import datetime as dt
from typing import Any

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, Fault, FaultCode, refuse
from service.idempotency import Claim, fingerprint
from service.inputs import NAME, PASSWORD, UNSET, Text, changes, given, optional
from service.payloads import Payload, mutation
from service.people import (
    EMAIL_LENGTH,
    LANGUAGE_LENGTH,
    USERNAME_LENGTH,
    BillingAddressInput,
    ResourceLimitsInput,
    hashed,
    merged,
    password_context,
    person,
)
from service.types.payload import UserPayload
from service.types.plan import Tier
from service.types.role import ADMIN_ROLE, ROOT_ROLE, USER_ROLE
from service.write import REDACTED, Write


@strawberry.input(description="New account")
class CreateUserInput:
    """Without a password the person sets one by reset."""

    username: str = given("Name to sign in with, unique ignoring case", USERNAME_LENGTH)
    email: str | None = optional("Email address, unique ignoring case", EMAIL_LENGTH)
    first_name: str | None = optional("First name", NAME)
    last_name: str | None = optional("Last name", NAME)
    display_name: str | None = optional("Name to show instead of first and last name", NAME)
    password: str | None = optional("Password; without one the person sets one by reset", PASSWORD)
    role_id: strawberry.ID | None = optional("Role; USER by default")
    role_name: str | None = optional("Role by its name, ignoring case", NAME)
    is_admin: bool | None = optional("True gives the built-in role ADMIN")
    tier: Tier | None = optional("Tier; the plan's by default")
    plan_id: strawberry.ID | None = optional("Plan; the default plan, where there is one, if absent")
    plan_name: str | None = optional("Plan by its name, ignoring case", NAME)
    language: str | None = given("Language, a BCP 47 tag", LANGUAGE_LENGTH, default="en")
    external_id: str | None = optional("Id that another system gave the user", NAME)
    date_of_birth: dt.date | None = optional("Date of birth")
    billing_address: BillingAddressInput | None = optional("Address for invoices")
    send_email: bool | None = given(
        "Indicates whether the person gets a mail about the account; FEATURE_DISABLED where no mail is sent",
        default=False,
    )
    idempotency_key: str | None = optional(
        "Makes a repetition within 24 hours give the first one's answer; another input with the same key is refused",
        Text(1, 255),
    )


@strawberry.input(description="Change of an account; absent fields keep their value, null clears them")
class UpdateUserInput:
    """Each field as in CreateUserInput."""

    id: strawberry.ID = given("Id of the user")
    username: str | None = optional("Name to sign in with, unique ignoring case", USERNAME_LENGTH)
    email: str | None = optional("Email address, unique ignoring case; a new one is unverified", EMAIL_LENGTH)
    first_name: str | None = optional("First name", NAME)
    last_name: str | None = optional("Last name", NAME)
    display_name: str | None = optional("Name to show instead of first and last name", NAME)
    password: str | None = optional(
        "New password, which ends the user's sessions; null removes it; takes the permission of setPassword too",
        PASSWORD,
    )
    role_id: strawberry.ID | None = optional("Role; null gives the built-in role USER")
    is_admin: bool | None = optional("True gives the built-in role ADMIN, false takes an admin's role back to USER")
    tier: Tier | None = optional("Tier of the account")
    language: str | None = optional("Language, a BCP 47 tag; null gives en", LANGUAGE_LENGTH)
    external_id: str | None = optional("Id that another system gave the user", NAME)
    date_of_birth: dt.date | None = optional("Date of birth")
    billing_address: BillingAddressInput | None = optional("Address for invoices")
    limits: ResourceLimitsInput | None = optional("Limits in place of the plan's; null brings the plan's back")
    version: int | None = optional(
        "Version that the change is meant for; VERSION_MISMATCH when the account has another"
    )


@strawberry.input(description="Account to delete")
class DeleteUserInput:
    """Input of deleteUser."""

    id: strawberry.ID = given("Id of the user")
    cascade: bool | None = given("Indicates whether the servers that the user owns go too", default=False)


@strawberry.type(description="Answer of deleteUser")
class DeleteUserPayload(Payload):
    """An id, or errors."""

    deleted_id: strawberry.ID | None = strawberry.field(description="Id of the deleted user", default=None)


@mutation(Access(any="users.create"))
async def create_user(info: Info, input: CreateUserInput) -> UserPayload:
    """Create an account."""
    house = info.context.house
    if input.send_email:
        raise Fault(FaultCode.FEATURE_DISABLED, "This service sends no mail")
    columns = person(house, input)
    password_hash = None
    if input.password:
        password_hash = await hashed(house, input.password, password_context(columns), "password")
    key = input.idempotency_key or None
    mark = await fingerprint(house, key, changes(input)) if key else b""
    async with info.context.write(info, "user.create") as write:
        claim = Claim(write, "createUser", key, mark) if key else None
        if claim is not None and not await claim.make():
            write.unchanged()
            user_id = claim.result_id
        else:
            columns["role_id"] = await _chosen_role(write, input) or USER_ROLE
            plan = await _chosen_plan(write, input)
            columns["plan_id"] = plan.id if plan else None
            columns.setdefault("tier", plan.tier if plan else Tier.FREE.value)
            columns.setdefault("billing_address", {})
            user = await write.run("create_user", record=columns)
            further = {}
            if password_hash is not None:
                await write.run("set_password", user_id=user.id, password_hash=password_hash)
                further["password"] = {**REDACTED, "old": None}
            write.created(user, **further)
            if claim is not None:
                await claim.settle(user.id)
            user_id = user.id
    made = await info.context.loaders.one("users_by_id", user_id) if user_id else None
    if made is None:
        raise refuse(ErrorCode.NOT_FOUND, "The account that this key made is gone", "idempotencyKey")
    return UserPayload(user=made)


@mutation(Access(any="users.update"))
async def update_user(info: Info, input: UpdateUserInput) -> UserPayload:
    """Change an account; nobody changes who holds more than they do."""
    house = info.context.house
    password_hash = None
    if input.password:
        known = await info.context.loaders.one("users_by_id", input.id)
        context = password_context(changes(input), *([known] if known is not None else []))
        password_hash = await hashed(house, input.password, context, "password")
    async with info.context.write(info, "user.update") as write:
        user = await write.lock("lock_user", input.id)
        await write.not_above(user)
        expect_version(user, input.version)
        columns = person(house, input, user)
        role_id = await _chosen_role(write, input, user)
        if role_id is not None and role_id != user.role_id:
            columns["role_id"] = role_id
            await keep_a_root(write, user, "roleId" if input.is_admin is UNSET else "isAdmin")
        if input.limits is not UNSET:
            columns["limit_overrides"] = merged(user.limit_overrides, input.limits)
        further = {}
        if input.password is not UNSET:
            # SECURITY: who may change accounts may not thereby sign in to them; it takes what setPassword takes
            write.grants([info.context.rules["Mutation", "setPassword"].any or ""], "password")
            if password_hash is None:
                await keep_a_root(write, user, "password")
            if await replace_password(write, user.id, password_hash):
                further["password"] = REDACTED
        changed = await write.run("update_user", id=user.id, changes=columns)
        write.changed(user, changed, **further)
    return UserPayload(user=changed)


@mutation(Access(any="users.delete"))
async def delete_user(info: Info, input: DeleteUserInput) -> DeleteUserPayload:
    """Delete an account with its sessions, keys and memberships; refused while it owns servers, unless they go too."""
    async with info.context.write(info, "user.delete") as write:
        user = await write.lock("lock_user", input.id)
        if user.id == write.actor.user_id:
            raise refuse(ErrorCode.NOT_ALLOWED, "Nobody deletes their own account here", "id")
        await write.not_above(user)
        await keep_a_root(write, user, "id")
        further = {}
        if input.cascade:
            # SECURITY: it takes what deleteServer takes
            write.grants([info.context.rules["Mutation", "deleteServer"].any or ""], "cascade")
            servers = await write.run("delete_servers_by_owner", owner_id=user.id)
            further["servers"] = {"old": [server.id for server in servers], "new": []}
        # Without cascade the foreign key of the servers refuses, also under a race with createServer
        await write.run("delete_user", id=user.id)
        write.deleted(user, **further)
    return DeleteUserPayload(deleted_id=input.id)


def expect_version(row: Any, version: int | None) -> None:
    """VERSION_MISMATCH unless the caller's version, where given, is the row's."""
    if isinstance(version, int) and version != row.version:
        raise refuse(ErrorCode.VERSION_MISMATCH, f"The account has version {row.version} by now", "version")


async def replace_password(write: Write, user_id: str, password_hash: str | None, keep: str | None = None) -> bool:
    """Another password, or none; the user's sessions end, but for the one to keep. False where there was none to
    remove.
    """
    if password_hash is not None:
        await write.run("set_password", user_id=user_id, password_hash=password_hash)
    elif await write.run("remove_password", user_id=user_id) is None:
        return False
    await write.run("end_sessions_by_user", user_id=user_id, keep=keep)
    return True


async def keep_a_root(write: Write, user: Any, *field: str) -> None:
    """Refuses to take away the last root who can act."""
    if user.role_id != ROOT_ROLE:
        return
    await write.run("lock_roots")
    if not await write.run("count_other_roots", id=user.id):
        raise refuse(ErrorCode.NOT_ALLOWED, "No other root account would be left", *field)


async def _chosen_role(write: Write, value: Any, user: Any = None) -> str | None:
    """The role that an input asks for, if the caller may give it; None where it asks for none."""
    # A new account has no role that null could take away
    absent = (UNSET, None) if user is None else (UNSET,)
    given_names = [name for name in ("role_id", "role_name", "is_admin") if getattr(value, name, UNSET) not in absent]
    if not given_names:
        return None
    if len(given_names) > 1:
        raise refuse(ErrorCode.INVALID, "Give the role in one way only", "roleId")
    name = given_names[0]
    asked = getattr(value, name)
    if name == "role_name":
        role, field = await write.run("role_by_name", name=asked), "roleName"
    elif name == "is_admin":
        if bool(asked) is (user is not None and user.role_id in {ADMIN_ROLE, ROOT_ROLE}):
            return user.role_id if user is not None else None
        role, field = await write.run("role_by_id", id=ADMIN_ROLE if asked else USER_ROLE), "isAdmin"
    else:
        role, field = await write.run("role_by_id", id=asked or USER_ROLE), "roleId"
    if role is None:
        raise refuse(ErrorCode.NOT_FOUND, "There is no such role", field)
    write.grants(role.permissions, field)
    return str(role.id)


async def _chosen_plan(write: Write, value: CreateUserInput) -> Any:
    if value.plan_id or value.plan_name:
        return await named_plan(write, value.plan_id or None, value.plan_name or None)
    return await write.run("default_plan")


async def named_plan(write: Write, plan_id: str | None, plan_name: str | None) -> Any:
    """The plan of an id or a name; one of them must be given."""
    if (plan_id is None) is (plan_name is None):
        raise refuse(ErrorCode.INVALID, "Give either planId or planName", "planId")
    if plan_id is not None:
        plan, field = await write.run("plan_by_id", id=plan_id), "planId"
    else:
        plan, field = await write.run("plan_by_name", name=plan_name), "planName"
    if plan is None:
        raise refuse(ErrorCode.NOT_FOUND, "There is no such plan", field)
    return plan

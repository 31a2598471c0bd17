"""A user's own passkeys."""

from __future__ import annotations

from typing import Any

import strawberry

from service import limits
from service.access.rules import Access
from service.audit import REDACTED
from service.context import Info
from service.credentials.passkeys import (
    NewPasskey,
    PasskeyError,
    challenge_of,
    registration_options,
    verified_registration,
)
from service.database.constraints import CONSTRAINTS
from service.errors import ErrorCode, reject
from service.inputs import KEY_NAME, given
from service.mutations.guards import require_own_session
from service.mutations.two_factor import LAST_FACTOR, relying_party_of
from service.one_time import Purpose, consume_token, create_token, revoke_tokens
from service.payloads import Payload, mutation, result
from service.scalars import JSON
from service.two_factor import replace_recovery_codes, report_change, update_two_factor
from service.types.passkey import Passkey
from service.types.payload import DeletePayload
from service.types.user import shown_name
from service.write import Write, write


@strawberry.input(
    description=f"New passkey of your own; at most {limits.PASSKEYS_PER_USER} a user. The device must verify its user"
)
class FinishPasskeyRegistrationInput:
    """Input of finishPasskeyRegistration."""

    name: str = given("Name, unique among your own passkeys", KEY_NAME)
    credential: JSON = given("Result of `navigator.credentials.create`, by its toJSON()")


@strawberry.input(description="New name of a passkey")
class RenamePasskeyInput:
    """Input of renamePasskey."""

    id: strawberry.ID = given("Id of the passkey")
    name: str = given("Name, unique among your own passkeys", KEY_NAME)


@strawberry.input(
    description="Passkey to delete; the last second factor cannot be deleted while the role of its user requires one"
)
class DeletePasskeyInput:
    """Input of deletePasskey."""

    id: strawberry.ID = given("Id of the passkey")


@strawberry.type(description="Payload of a mutation that starts the registration of a passkey, or a login with one")
class PasskeyOptionsPayload(Payload):
    """Options, or errors."""

    options: JSON | None = result(
        "The member `publicKey` of the options of `navigator.credentials.create` or `get`, as JSON. Its challenge is "
        f"valid for {limits.PASSKEY_CEREMONY // 60} minutes and once"
    )


@strawberry.type(description="Payload of finishPasskeyRegistration")
class FinishPasskeyRegistrationPayload(Payload):
    """A passkey, or errors."""

    passkey: Passkey | None = result("New passkey")
    recovery_codes: list[str] | None = result(
        "Recovery codes, if there were none: each replaces the second factor once; they are not shown again"
    )


@strawberry.type(description="Payload of renamePasskey")
class PasskeyPayload(Payload):
    """A passkey, or errors."""

    passkey: Passkey | None = result("Passkey as it is now")


@mutation(Access(own="account.two-factor"), sensitive=True)
async def start_passkey_registration(info: Info) -> PasskeyOptionsPayload:
    """Start the registration of a passkey; only the last one is valid.

    API keys and access tokens cannot register one. SECURITY: a passkey opens sessions, which may do more than they.
    """
    require_own_session(info)
    async with write(info, "passkey.start") as change:
        user = await change.lock_own_user()
        await _check_room(change, user.id)
        known = await change.run("passkey_credentials_of_user", user_id=user.id)
        await revoke_tokens(change.run, user.id, Purpose.PASSKEY_REGISTRATION)
        token = await create_token(change.run, Purpose.PASSKEY_REGISTRATION, user.id, limits.PASSKEY_CEREMONY)
        change.unchanged()
    shown = shown_name(user.display_name, user.first_name, user.last_name, user.username)
    names = (user.username or user.email or user.id, shown)
    options = registration_options(relying_party_of(info.context), token, user.id, names, known)
    return PasskeyOptionsPayload(options=JSON(options))


@mutation(Access(own="account.two-factor"), collects_problems=True, sensitive=True)
async def finish_passkey_registration(
    info: Info, input: FinishPasskeyRegistrationInput
) -> FinishPasskeyRegistrationPayload:
    """Register a passkey, which signs in without a password from then on, and is a second factor for login."""
    require_own_session(info)
    token, found = _verified(info, input.credential)
    async with write(info, "passkey.create") as change:
        # SECURITY: counted while the user is locked, because parallel requests could exceed the limit (CVE-2025-69198)
        user = await change.lock_own_user()
        await _check_room(change, user.id)
        name = None if change.problems.has("name") else input.name
        credential_id = None if found is None else found.credential_id
        taken = await change.run("taken_passkey", user_id=user.id, name=name, credential_id=credential_id)
        if taken["name"]:
            change.problems.extend([CONSTRAINTS["passkeys_name_key"]])
        if taken["credential"]:
            change.problems.extend([CONSTRAINTS["passkeys_credential_id_key"]])
        change.problems.raise_if_any()
        started = await consume_token(change.run, Purpose.PASSKEY_REGISTRATION, token)
        # SECURITY: the challenge is bound to the user, and is valid once
        if started is None or started["user_id"] != user.id or found is None:
            message = "This registration has expired. Start again with startPasskeyRegistration."
            raise reject(ErrorCode.EXPIRED, message, "credential")
        passkey = await change.run(
            "create_passkey",
            user_id=user.id,
            name=input.name,
            credential_id=found.credential_id,
            public_key=found.public_key,
            sign_count=found.sign_count,
            transports=found.transports,
        )
        factors = await change.run("factors_of_user", id=user.id)
        codes = None if factors["recovery_codes"] else await replace_recovery_codes(change, user.id)
        await report_change(change, await update_two_factor(change, user.id), "passkey-added")
        change.created(passkey, **({} if codes is None else {"recoveryCodes": REDACTED}))
    return FinishPasskeyRegistrationPayload(passkey=passkey, recovery_codes=codes)


@mutation(Access(own="account.two-factor"), sensitive=True)
async def rename_passkey(info: Info, input: RenamePasskeyInput) -> PasskeyPayload:
    """Rename one of your passkeys."""
    async with write(info, "passkey.rename") as change:
        passkey = await change.lock("lock_passkey", input.id)
        changed = await change.run("rename_passkey", id=passkey.id, name=input.name)
        change.updated(passkey, changed)
    return PasskeyPayload(passkey=changed)


@mutation(Access(any="users.two-factor", own="account.two-factor"), sensitive=True)
async def delete_passkey(info: Info, input: DeletePasskeyInput) -> DeletePayload:
    """Delete one of your passkeys, or with the permission a passkey of a user who holds no more than the caller."""
    async with write(info, "passkey.delete") as change:
        # Users are locked before their passkeys everywhere, because two requests could deadlock otherwise
        for found in await change.run("passkeys_by_id", keys=[input.id]):
            await change.run("lock_user", id=found.user_id)
        passkey = await change.lock("lock_passkey", input.id)
        if passkey.user_id == change.actor.user_id:
            require_own_session(info)
        await change.require_owner_not_above(passkey)
        factors = await change.run("factors_of_user", id=passkey.user_id)
        if factors["required"] and not factors["totp"] and factors["passkeys"] == 1:
            raise reject(ErrorCode.NOT_ALLOWED, LAST_FACTOR, "id")
        await change.run("delete_passkey", id=passkey.id)
        await report_change(change, await update_two_factor(change, passkey.user_id), "passkey-removed")
        change.deleted(passkey)
    return DeletePayload(deleted_id=input.id)


def _verified(info: Info, credential: Any) -> tuple[str, NewPasskey | None]:
    """Return the challenge and the passkey of a registration; what is wrong with it is added to the problems."""
    try:
        token = challenge_of(credential)
        return token, verified_registration(relying_party_of(info.context), token, credential)
    except PasskeyError:
        info.problems.add(ErrorCode.INVALID, "The passkey could not be verified.", "credential")
        return "", None


async def _check_room(change: Write, user_id: str) -> None:
    """Add a problem if the user, who is locked, has as many passkeys as allowed."""
    factors = await change.run("factors_of_user", id=user_id)
    if factors["passkeys"] >= limits.PASSKEYS_PER_USER:
        message = f"A user may have at most {limits.PASSKEYS_PER_USER} passkeys."
        change.problems.add(ErrorCode.LIMIT_REACHED, message)

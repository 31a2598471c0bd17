"""A user's own second factor, and its reset by administrators."""

from __future__ import annotations

from typing import Any

import strawberry

from service import limits
from service.access.authorize import require_recent, require_self
from service.access.rules import Access
from service.audit import REDACTED
from service.context import Context, Info
from service.credentials.passkeys import RelyingParty
from service.credentials.totp import new_secret, otpauth_url
from service.errors import ErrorCode, reject
from service.inputs import PASSWORD, TWO_FACTOR_CODE, given, optional
from service.links import public_address
from service.mutations.own_password import OwnPassword, begin_code
from service.mutations.reauthentication import ReauthenticateInput
from service.mutations.suspension import UserIdInput
from service.one_time import Purpose, revoke_tokens
from service.payloads import Payload, mutation, result
from service.scalars import URL
from service.two_factor import confirm_secret, replace_recovery_codes, report_change, require_code, update_two_factor
from service.types.payload import UserPayload
from service.write import Write, write

LAST_FACTOR = "Your role requires a second factor. Add another one first."


@strawberry.input(
    description="Proof of who you are, to set up an authenticator app. One that is in use stays in use until the new "
    "one is confirmed"
)
class EnableTwoFactorInput:
    """Input of enableTwoFactor."""

    password: str = given("Password", PASSWORD)
    code: str | None = optional(
        "Code of the authenticator app that is replaced, or a recovery code; required if there is an app",
        TWO_FACTOR_CODE,
    )


@strawberry.input(
    description=f"First code of an authenticator app, within {limits.TWO_FACTOR_SETUP // 60} minutes of enableTwoFactor"
)
class ConfirmTwoFactorInput:
    """Input of confirmTwoFactor."""

    code: str = given("Code that the app shows", TWO_FACTOR_CODE)


@strawberry.input(
    description="Proof of who you are, to remove the authenticator app. The last factor takes the recovery codes with "
    "it, and cannot be removed while your role requires one"
)
class DisableTwoFactorInput:
    """Input of disableTwoFactor."""

    password: str = given("Password", PASSWORD)
    code: str = given("Code of the authenticator app, or a recovery code", TWO_FACTOR_CODE)


@strawberry.type(description="Payload of enableTwoFactor")
class EnableTwoFactorPayload(Payload):
    """A secret, or errors."""

    secret: str | None = result("Secret in base32, to enter by hand; it is not shown again")
    otpauth_url: URL | None = result("otpauth URL of the secret, to show as a QR code; it is not shown again")


@strawberry.type(description="Payload of a mutation that creates recovery codes")
class RecoveryCodesPayload(Payload):
    """Codes, or errors."""

    recovery_codes: list[str] | None = result(
        "Codes that replace the second factor, each valid once; they are not shown again, and replace earlier ones"
    )


def relying_party_of(context: Context) -> RelyingParty:
    """Return the relying party of passkeys; its host name is also the issuer in an authenticator app."""
    return RelyingParty.of(public_address(context.resources.settings))


@mutation(Access(own="account.two-factor"))
async def enable_two_factor(info: Info, input: EnableTwoFactorInput) -> EnableTwoFactorPayload:
    """Create the secret of an authenticator app; confirmTwoFactor puts it into use.

    If there is a second factor already, the session must have been authenticated recently, as for its removal. For the
    first one the password is enough, because a user who has to set one up may have an old session.
    """
    require_self(info.context.actor)
    password = await OwnPassword.verified(info, input.password)
    info.problems.raise_if_any()
    await password.count_code(info, input.code or None)
    secret = new_secret()
    async with write(info, "two-factor.enable") as change:
        _require_lasting_key(change)
        user = await password.lock_user(change)
        factors = await change.run("factors_of_user", id=user.id)
        if user.two_factor_enabled:
            require_recent(change.actor)
        if factors["totp"]:
            await require_code(change, user, input.code or None)
        await change.run(
            "set_pending_secret",
            user_id=user.id,
            pending_secret=info.context.resources.encryption.encrypt(secret.encode()),
            lifetime=float(limits.TWO_FACTOR_SETUP),
        )
        await password.succeeded(change.run)
        change.updated(user, user, authenticator=(None, REDACTED))
    url = otpauth_url(secret, user.email or user.username or user.id, relying_party_of(info.context).id)
    return EnableTwoFactorPayload(secret=secret, otpauth_url=URL(url))


@mutation(Access(own="account.two-factor"))
async def confirm_two_factor(info: Info, input: ConfirmTwoFactorInput) -> RecoveryCodesPayload:
    """Put the authenticator app of the last enableTwoFactor into use, so that login requires its codes."""
    require_self(info.context.actor)
    attempt = await begin_code(info)
    async with write(info, "two-factor.confirm") as change:
        _require_lasting_key(change)
        user = await change.lock_own_user()
        await confirm_secret(change, user.id, input.code)
        await attempt.succeeded(change.run)
        codes = await replace_recovery_codes(change, user.id)
        changed = await update_two_factor(change, user.id)
        await report_change(change, changed, "enabled")
        change.updated(user, changed, authenticator=(None, REDACTED), recoveryCodes=(None, REDACTED))
    return RecoveryCodesPayload(recovery_codes=codes)


@mutation(Access(own="account.two-factor"), sensitive=True)
async def disable_two_factor(info: Info, input: DisableTwoFactorInput) -> UserPayload:
    """Remove your authenticator app. Passkeys stay, and are a second factor, too."""
    password = await OwnPassword.verified(info, input.password)
    info.problems.raise_if_any()
    await password.count_code(info, input.code)
    async with write(info, "two-factor.disable") as change:
        user = await password.lock_user(change)
        factors = await change.run("factors_of_user", id=user.id)
        if not factors["totp"]:
            raise reject(ErrorCode.ALREADY_DONE, "There is no authenticator app.")
        if factors["required"] and not factors["passkeys"]:
            raise reject(ErrorCode.NOT_ALLOWED, LAST_FACTOR)
        await require_code(change, user, input.code)
        await password.succeeded(change.run)
        await change.run("delete_two_factor_secret", user_id=user.id)
        changed = await update_two_factor(change, user.id)
        await report_change(change, changed, "disabled")
        change.updated(user, changed, authenticator=(REDACTED, None))
    return UserPayload(user=changed)


@mutation(Access(own="account.two-factor"), sensitive=True)
async def regenerate_recovery_codes(info: Info, input: ReauthenticateInput) -> RecoveryCodesPayload:
    """Replace your recovery codes; the earlier ones are no longer valid."""
    password = await OwnPassword.verified(info, input.password)
    info.problems.raise_if_any()
    await password.count_code(info, input.code or None)
    async with write(info, "two-factor.recovery-codes") as change:
        _require_lasting_key(change)
        user = await password.lock_user(change)
        if not user.two_factor_enabled:
            raise reject(ErrorCode.NOT_ALLOWED, "There is no second factor that recovery codes could replace.")
        await require_code(change, user, input.code or None)
        await password.succeeded(change.run)
        codes = await replace_recovery_codes(change, user.id)
        await report_change(change, user, "recovery-codes")
        change.updated(user, user, recoveryCodes=(REDACTED, REDACTED))
    return RecoveryCodesPayload(recovery_codes=codes)


@mutation(Access(any="users.two-factor"), sensitive=True)
async def reset_two_factor(info: Info, input: UserIdInput) -> UserPayload:
    """Remove every second factor of another user who holds no more than the caller, and end the user's sessions."""
    async with write(info, "two-factor.reset") as change:
        user = await change.lock("lock_user", input.id)
        if user.id == change.actor.user_id:
            raise reject(ErrorCode.NOT_ALLOWED, "Use disableTwoFactor and deletePasskey for your own account.", "id")
        change.require_not_above(user)
        factors = await change.run("factors_of_user", id=user.id)
        pending = await change.run("two_factor_secret", user_id=user.id)
        if not (user.two_factor_enabled or factors["recovery_codes"] or pending):
            raise reject(ErrorCode.ALREADY_DONE, "This user has no second factor.", "id")
        await change.run("delete_two_factor_secret", user_id=user.id)
        passkeys = await change.run("delete_passkeys_by_user", user_id=user.id)
        await revoke_tokens(change.run, user.id, Purpose.PASSKEY_LOGIN, Purpose.PASSKEY_REGISTRATION)
        changed = await update_two_factor(change, user.id)
        # SECURITY: a session may belong to the person whose factor is reset for good reason
        ended = await change.run("end_sessions_by_user", user_id=user.id, keep=None)
        await report_change(change, changed, "reset")
        change.updated(user, changed, **_removed(authenticator=factors["totp"], passkeys=passkeys, sessions=ended))
    return UserPayload(user=changed)


def _require_lasting_key(change: Write) -> None:
    """Add a problem for a limited API key. SECURITY: the factor and its recovery codes would outlive the key."""
    change.require_lasting_key("set up a second factor, or create recovery codes")


def _removed(*, authenticator: bool, passkeys: list[Any], sessions: list[Any]) -> dict[str, tuple[Any, Any]]:
    """Return what an event tells of removed factors."""
    found: dict[str, tuple[Any, Any]] = {"authenticator": (REDACTED, None)} if authenticator else {}
    for name, rows in (("passkeys", passkeys), ("sessions", sessions)):
        if rows:
            found[name] = ([row["id"] for row in rows], [])
    return found

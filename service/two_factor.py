"""The second factors of a user: codes of an authenticator app, recovery codes, and whether there is any factor.

Every function but `begin_factor_attempt` runs in the transaction of a write in which the user is locked.
"""

from __future__ import annotations

from typing import Any

from service import limits
from service.attempts import TWO_FACTOR, Attempt, begin_attempt
from service.context import Context
from service.credentials.totp import is_totp, matching_step, new_recovery_codes, recovery_digest, without_separators
from service.errors import ErrorCode, reject
from service.mail.outbox import Template, send_mail, where_and_when
from service.networks import customer_network
from service.one_time import Purpose, consume_token, create_token, revoke_tokens
from service.write import Write

WRONG_CODE = "The code is wrong, or was used before."
EXPIRED_LOGIN = "This login has expired. Sign in again."


async def begin_factor_attempt(context: Context, user_id: str | None) -> Attempt:
    """Count an attempt at a factor of a user who is signing in; None stands for an unknown user.

    SECURITY: wrong codes of a person who knows the password must not lock out the owner at a known address.
    """
    network = customer_network(context.request.ip)
    read = context.resources.database.read
    trusted = user_id is not None and bool(await read("has_signed_in_from", user_id=user_id, network=network))
    return await begin_attempt(context, TWO_FACTOR, account=user_id, trusted=trusted)


async def require_code(change: Write, user: Any, code: str | None) -> None:
    """Reject a user who has a second factor and gives no valid code; the code, which is valid once, is used.

    `user` is a row of `users`. The caller has counted the attempt.
    """
    if not user.two_factor_enabled:
        return
    if not code:
        raise reject(ErrorCode.REQUIRED, "A code of your second factor is required.", "code")
    await use_code(change, user, code)


async def use_code(change: Write, user: Any, code: str) -> str:
    """Use a code, and return its kind: of the user's authenticator app (totp), or a recovery code. Reject a wrong one.

    The user gets a mail about a used recovery code, because it may have been found (ASVS 6.3.5).
    """
    text = without_separators(code)
    if is_totp(text):
        if await _use_totp(change, user.id, text):
            return "totp"
    elif await change.run("consume_recovery_code", user_id=user.id, hash=recovery_digest(text)):
        await report_change(change, user, "recovery-code-used")
        return "recovery-code"
    raise reject(ErrorCode.WRONG_CREDENTIALS, WRONG_CODE, "code")


async def _use_totp(change: Write, user_id: str, code: str) -> bool:
    stored = await change.run("two_factor_secret", user_id=user_id)
    if stored is None or stored["secret"] is None:
        return False
    secret = change.context.resources.encryption.decrypt(stored["secret"]).decode()
    step = matching_step(secret, code, stored["clock"])
    if step is None:
        return False
    # SECURITY: a code is valid once. The statement compares its step with the last one, so that of parallel requests
    # one succeeds (RFC 6238, section 5.2; CVE-2025-69197).
    return await change.run("record_totp_step", user_id=user_id, step=step, secret=stored["secret"]) is not None


async def confirm_secret(change: Write, user_id: str, code: str) -> None:
    """Put the user's pending secret into use, if the code is its.

    SECURITY: the secret is the one that the service has stored, never one that the client sends.
    """
    stored = await change.run("two_factor_secret", user_id=user_id)
    if stored is None or stored["pending_secret"] is None:
        raise reject(ErrorCode.EXPIRED, "There is no secret to confirm. Start again with enableTwoFactor.")
    pending = stored["pending_secret"]
    secret = change.context.resources.encryption.decrypt(pending).decode()
    step = matching_step(secret, without_separators(code), stored["clock"])
    used = None
    if step is not None:
        used = await change.run("set_confirmed_secret", user_id=user_id, pending_secret=pending, step=step)
    if used is None:
        raise reject(ErrorCode.WRONG_CREDENTIALS, WRONG_CODE, "code")


async def replace_recovery_codes(change: Write, user_id: str) -> list[str]:
    """Return new recovery codes, which are not shown again; earlier ones are no longer valid."""
    codes = new_recovery_codes()
    await change.run("delete_recovery_codes", user_id=user_id)
    await change.run("create_recovery_codes", user_id=user_id, digests=[recovery_digest(code) for code in codes])
    return codes


async def update_two_factor(change: Write, user_id: str) -> Any:
    """Compute whether a user has a second factor, and return the user. Without one, delete the recovery codes.

    SECURITY: whether login requires a second factor is computed from the factors, never set (CVE-2024-45042).
    """
    user = await change.run("update_two_factor", id=user_id)
    if not user.two_factor_enabled:
        await change.run("delete_recovery_codes", user_id=user_id)
        await revoke_tokens(change.run, user_id, Purpose.TWO_FACTOR_LOGIN)
    return user


async def create_challenge(change: Write, user_id: str) -> str:
    """Return the token of a login that waits for the second factor. SECURITY: it is bound to the user."""
    return await create_token(change.run, Purpose.TWO_FACTOR_LOGIN, user_id, limits.TWO_FACTOR_LOGIN)


async def consume_challenge(change: Write, challenge: str, user: Any, *field: str) -> None:
    """Use the challenge of a login of this user, or reject it.

    SECURITY: a challenge of another user is not valid (CVE-2021-41129). A new password has deleted the earlier ones.
    """
    found = await consume_token(change.run, Purpose.TWO_FACTOR_LOGIN, challenge)
    if found is None or found["user_id"] != user.id:
        raise reject(ErrorCode.EXPIRED, EXPIRED_LOGIN, *field)


async def report_change(change: Write, user: Any, what: str) -> None:
    """Send the user a mail about a change of the second factors (ASVS 6.3.7). `what` is a key of the mail's texts."""
    own = change.actor.user_id in {None, user.id}
    await send_mail(change, Template.TWO_FACTOR_CHANGED, user, what=what, **where_and_when(change, own=own))

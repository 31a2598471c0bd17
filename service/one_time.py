"""Tokens that are valid once, for one purpose: in links of mails, and between the steps of a login.

A token is bound to its purpose and its user. The database stores its hash only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any, TypeAlias

from service.credentials.tokens import TokenKind, digest, kind_of, new_token

Run: TypeAlias = Callable[..., Awaitable[Any]]


class Purpose(Enum):
    """What a token may be used for; the value is stored."""

    AUTOLOGIN = "autologin"
    EMAIL_CHANGE = "email.change"
    EMAIL_UNDO = "email.undo"
    EMAIL_VERIFICATION = "email.verification"
    INVITATION = "invitation"
    PASSKEY_LOGIN = "passkey.login"
    PASSKEY_REGISTRATION = "passkey.registration"
    PASSWORD_RESET = "password.reset"  # noqa: S105  (not a password)
    TWO_FACTOR_LOGIN = "two-factor.login"


# SECURITY: what the owner of an address can do with it must end when the account has another one (CVE-2026-35407)
BOUND_TO_ADDRESS = (Purpose.EMAIL_CHANGE, Purpose.EMAIL_VERIFICATION, Purpose.INVITATION, Purpose.PASSWORD_RESET)
# SECURITY: what gives access by an earlier password, or sets another one, must end with a new password
BOUND_TO_PASSWORD = (Purpose.INVITATION, Purpose.PASSWORD_RESET, Purpose.TWO_FACTOR_LOGIN)


async def create_token(run: Run, purpose: Purpose, user_id: str | None, lifetime: float, **data: Any) -> str:
    """Return a new token that can be used once within `lifetime` seconds; `data` must not be secret."""
    token = new_token(TokenKind.ONE_TIME)
    await run(
        "create_token", hash=digest(token), purpose=purpose.value, user_id=user_id, lifetime=float(lifetime), data=data
    )
    return token


async def consume_token(run: Run, purpose: Purpose, token: str) -> Any:
    """Return `user_id` and `data` of a token, and delete it; None if it is unknown, used, expired, or for another use.

    Two requests cannot both use it: the second waits until the first has committed, and finds nothing.
    """
    return await _find(run, "consume_token", token, purpose=purpose.value)


async def find_token(run: Run, token: str, *purposes: Purpose) -> Any:
    """Return `purpose`, `user_id`, and `data` of a token for one of the purposes, without using it, or None."""
    return await _find(run, "token_by_hash", token, purposes=[purpose.value for purpose in purposes])


async def revoke_tokens(run: Run, user_id: str, *purposes: Purpose) -> None:
    """Delete the tokens of a user for these purposes."""
    await run("delete_tokens_by_user", user_id=user_id, purposes=[purpose.value for purpose in purposes])


async def _find(run: Run, statement: str, token: str, **parameters: Any) -> Any:
    if kind_of(token) is not TokenKind.ONE_TIME:
        return None
    return await run(statement, hash=digest(token), **parameters)

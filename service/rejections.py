"""Records of denied sign-ins: an audit event for each attempt that was counted, and a log line for every attempt."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from service.access.actor import ANONYMOUS
from service.context import Context
from service.errors import ApiError, ApiErrorCode, ErrorCode, MutationRejected, Problems
from service.identifiers import email_problems
from service.write import Write

EVENT = "session.reject"
UNKNOWN = "[unknown]"
RATE_LIMITED = "rate limited"
SUSPENDED = "suspended"
WRONG = "wrong credentials"
WRONG_FACTOR = "wrong second factor"
log = structlog.get_logger("roster.login")


def log_rejection(context: Context, name: str, reason: str) -> None:
    """Log a denied sign-in in one line, which intrusion prevention can read (docs/security.md)."""
    log.warning("login failed", address=context.request.ip, account=name, reason=reason)


@asynccontextmanager
async def rejections_recorded(context: Context, user: Any, name: str, wrong: str) -> AsyncIterator[None]:
    """Record a sign-in that the block denies; `wrong` is the reason of a proof that is not right."""
    try:
        yield
    except ApiError as error:
        if error.code is ApiErrorCode.RATE_LIMITED:
            log_rejection(context, name, RATE_LIMITED)
        elif error.code is ApiErrorCode.USER_SUSPENDED:
            await record_rejection(context, user, name, SUSPENDED)
        raise
    except MutationRejected as rejection:
        if any(problem.code is ErrorCode.WRONG_CREDENTIALS for problem in rejection.problems):
            await record_rejection(context, user, name, wrong)
        raise


async def record_rejection(context: Context, user: Any, name: str, reason: str) -> None:
    """Log a denied sign-in, and add its audit event; `user` has the `id`, and is None for an unknown account.

    SECURITY: the transaction is its own, because the denied request has none that commits (CVE-2026-35597). Attempts
    that are not counted have no event, so that a stranger cannot make the audit log grow without limit.
    """
    log_rejection(context, name, reason)
    async with context.resources.database.transaction() as transaction:
        change = Write(EVENT, ANONYMOUS, transaction, context.request, Problems())
        change.denied(None if user is None else user["id"], reason)
        await change.finish()


def logged_name(user: Any, entered: str) -> str:
    """Return how the log names the account of a sign-in: by its username, or by the email address that was entered.

    SECURITY: other texts are not logged, because people enter passwords in the place of names. A hash of them could be
    reversed by guesses.
    """
    if user is not None:
        return str(user["username"] or user["id"])
    address = email_problems(entered.strip())[0] if "@" in entered else None
    return UNKNOWN if address is None else address

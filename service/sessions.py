"""The one way to open a session, whatever proved who the user is."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from service import limits
from service.access.authenticate import ACTOR, actor_of
from service.credentials.tokens import TokenKind, digest, new_token
from service.devices import device_name
from service.write import Write


@dataclass(frozen=True, slots=True)
class Impersonator:
    """A person who acts as a user, with the session or the API key that bounds it."""

    user_id: str
    session_id: str | None = None
    api_key_id: str | None = None


async def open_session(
    change: Write, user_id: str, *, impersonator: Impersonator | None = None, lifetime: float | None = None
) -> tuple[Any, str]:
    """Create a session of a user, who is locked, and return its row and its token; the caller becomes its actor.

    `impersonator` is the person who acts as the user. `lifetime` is in seconds; it and the idle time are at most
    those of the settings. The caller describes the event.
    """
    request, settings = change.context.request, change.context.resources.settings
    longest = float(settings.session_lifetime) if lifetime is None else min(lifetime, settings.session_lifetime)
    token = new_token(TokenKind.SESSION)
    token_hash = digest(token)
    agent = request.user_agent
    session = await change.run(
        "create_session",
        user_id=user_id,
        ip=request.ip,
        user_agent=agent[: limits.USER_AGENT] if agent else None,
        device=device_name(agent),
        impersonator_id=None if impersonator is None else impersonator.user_id,
        impersonator_session_id=None if impersonator is None else impersonator.session_id,
        impersonator_api_key_id=None if impersonator is None else impersonator.api_key_id,
        lifetime=longest,
        idle=min(longest, float(settings.session_idle)),
        hash=token_hash,
    )
    await _act_by(change, token_hash)
    return session, token


async def renew_session(change: Write, session_id: str) -> tuple[Any, str]:
    """Give a session a new token after its user has proved who they are; return its row and the token.

    The caller, whose user is locked, goes on as the actor of the new token. SECURITY: the old token is no longer valid,
    so that a stolen one does not gain from it (ASVS 5.0, 7.2.4). The caller describes the event.
    """
    token = new_token(TokenKind.SESSION)
    token_hash = digest(token)
    session = await change.run("rotate_session_token", id=session_id, hash=token_hash)
    await _act_by(change, token_hash)
    return session, token


async def _act_by(change: Write, token_hash: bytes) -> None:
    """Continue the write as the actor of a new token."""
    row = await change.run(ACTOR, token_hash=token_hash)
    change.act_as(actor_of(row, token_hash, change.context.request.ip))


def remaining_seconds(session: Any) -> float:
    """Return how long a session can still live."""
    remaining: dt.timedelta = session.expires_at - dt.datetime.now(dt.UTC)
    return max(0.0, remaining.total_seconds())

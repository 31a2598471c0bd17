"""The one way to open a session, whatever proved who the user is."""

from __future__ import annotations

from typing import Any

from service import limits
from service.access.authenticate import ACTOR, actor_of
from service.credentials.tokens import TokenKind, digest, new_token
from service.devices import device_name
from service.write import Write


async def open_session(
    change: Write, user_id: str, *, impersonator_id: str | None = None, lifetime: float | None = None
) -> tuple[Any, str]:
    """Create a session of a user, who is locked, and return its row and its token; the caller becomes its actor.

    `impersonator_id` is the person who acts as the user. `lifetime` is in seconds; it and the idle time are at most
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
        impersonator_id=impersonator_id,
        lifetime=longest,
        idle=min(longest, float(settings.session_idle)),
        hash=token_hash,
    )
    change.act_as(actor_of(await change.run(ACTOR, token_hash=token_hash), token_hash, request.ip))
    return session, token

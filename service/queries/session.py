"""The session of the request."""

from __future__ import annotations

from service.access.rules import Public
from service.context import Info
from service.nodes import wanted
from service.payloads import query
from service.types.session import Session


@query(Public())
def session(info: Info) -> Session | None:
    """Session of the request; null for an API key and without a credential, an error for one that is not valid."""
    actor = info.context.actor
    actor.require_valid()
    return None if actor.session_id is None else wanted("sessions_by_id", actor.session_id)

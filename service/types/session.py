"""Sessions: where a user is signed in."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access.rules import Access
from service.access.viewer import Viewer
from service.compiler.kinds import VIEWER
from service.database.rows import Row
from service.fields import column, computed, entity, related
from service.scalars import IPAddress
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User


def is_current(session_id: str, viewer: Viewer) -> bool:
    """Return whether the request itself uses this session."""
    return session_id == viewer.actor.session_id


@entity(
    "A place where a user is signed in",
    Access(any="users.sessions", own="sessions.read"),
    by_id="sessions_by_id",
    owner=("user_id",),
    audit_names={"reason": "impersonator", "second_factor": "device"},
)
class Session(Row, Node):
    """A row of `sessions`."""

    id: strawberry.ID = column("Id of the session")
    created_at: dt.datetime = column("Time of the login")
    last_seen_at: dt.datetime = column("Time of the last use, to the minute")
    expires_at: dt.datetime = column("Time when the session expires at the latest")
    ip: IPAddress | None = column("Address that the login came from")
    user_agent: str | None = column("User-Agent header of the login")
    device: str | None = column("Browser and system, from the User-Agent header")
    authenticated_at: dt.datetime = column("Time when the user last proved who they are in this session")
    impersonator: Annotated[User, strawberry.lazy("service.types.user")] | None = related(
        "users_by_id",
        "impersonator_id",
        "User who opened the session by an autologin link and acts as the user; null for the user's own sessions",
    )
    current: bool = computed(is_current, "Indicates whether the request itself uses this session", needs=("id", VIEWER))
    user: Annotated[User, strawberry.lazy("service.types.user")] = related(
        "users_by_id", "user_id", "User who is signed in", required=True
    )

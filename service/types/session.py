"""What is served of a session: where and when somebody is signed in."""

from __future__ import annotations

import datetime as dt
import re
from typing import TYPE_CHECKING, Annotated

import strawberry

from service.access import Access
from service.context import Info
from service.fields import column, computed, entity, one
from service.rows import Row
from service.scalars import IPAddress
from service.types.node import Node

if TYPE_CHECKING:
    from service.types.user import User

# First match wins: Edge and Opera call themselves Chrome, Chrome calls itself Safari, and all have other marks on iOS
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("Chrome", "Chrome"),
    ("CriOS", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
)
_SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


def device(root: Session) -> str | None:
    """Browser and system as a person would name them, else the client's own name."""
    agent = (root.user_agent or "").strip()
    if not agent:
        return None
    browser = next((name for mark, name in _BROWSERS if mark in agent), None)
    system = next((name for mark, name in _SYSTEMS if mark in agent), None)
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or re.split(r"[/ ]", agent, maxsplit=1)[0]


def current(root: Session, info: Info) -> bool:
    """Whether the request itself came by this session."""
    return root.id == info.context.actor.session_id


@entity("A place where a user is signed in", Access(any="users.sessions", own="sessions.read"), owner=("user_id",))
class Session(Row, Node):
    """A row of `sessions`."""

    id: strawberry.ID = column("Id of the session")
    created_at: dt.datetime = column("Timestamp of the login")
    last_seen_at: dt.datetime = column("Timestamp of the latest use, to the minute")
    expires_at: dt.datetime = column("Timestamp at which the session ends at the latest")
    ip: IPAddress | None = column("Address that the login came from")
    user_agent: str | None = column("User-Agent header of the login")
    device: str | None = computed(device, "Browser and system, read from the User-Agent")
    current: bool = computed(current, "Indicates whether the request itself came by this session")
    user: Annotated[User, strawberry.lazy("service.types.user")] = one(
        "users_by_id", "user_id", "User who is signed in", required=True
    )

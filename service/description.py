"""The description of a write for the audit log: each write describes its change exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson

from service.access.actor import Actor
from service.audit import NO_TARGET, Changes, Target, created, deleted, target_of, updated


class Description:
    """What the event of a write tells, and what the write changes of the actor's own authority."""

    def __init__(self, event: str, actor: Actor) -> None:
        self.actor = actor
        self.target_id: str | None = None
        self._event = event
        self._target = NO_TARGET
        self._changes: Changes = {}
        self._described = False
        self._changed_own_authority = False

    @property
    def event_size(self) -> int:
        """About how many bytes the changes of the event have."""
        return len(orjson.dumps(self._changes, default=str))

    def created(self, row: Any, changed: Mapping[str, tuple[Any, Any]] = MappingProxyType({}), /, **extra: Any) -> None:
        """Describe a new object. `extra` adds names with new values, and `changed` with old and new ones."""
        pairs = {name: (None, value) for name, value in extra.items()} | dict(changed)
        self._describe(row, created(row) | {name: {"old": old, "new": new} for name, (old, new) in pairs.items()})

    def updated(self, old: Any, new: Any, **extra: tuple[Any, Any]) -> None:
        """Describe what differs; without a difference there is no event. `extra` adds names with old and new values."""
        own_id, columns = {
            "ApiKey": (self.actor.api_key_id, ("permissions", "allowed_ips", "expires_at")),
            "Role": (self.actor.role_id, ("permissions", "require_two_factor")),
            "User": (self.actor.user_id, ("deletion_scheduled_at", "role_id")),
        }.get(type(new).__name__, (None, ()))
        self._changed_own_authority = new.id == own_id and any(old[name] != new[name] for name in columns)
        more = {name: {"old": values[0], "new": values[1]} for name, values in extra.items()}
        self._describe(new, updated(old, new) | more)
        if self._target.owner_id is None:
            # What was taken from a user is an event of this user
            self._target = replace(self._target, owner_id=target_of(old).owner_id)

    def deleted(self, row: Any, **extra: Any) -> None:
        """Describe a deleted object. `extra` adds names with their old values."""
        self._describe(row, deleted(row) | {name: {"old": value, "new": None} for name, value in extra.items()})

    def erased(self, row: Any, **extra: Any) -> None:
        """Describe a deleted object without its values, which are personal. `extra` are names with old values."""
        self._describe(row, {name: {"old": value, "new": None} for name, value in extra.items()})

    def removed(self, **counts: int) -> None:
        """Describe a clean-up by the numbers of what it removed; without any there is no event."""
        self._describe(None, {name: {"old": count, "new": 0} for name, count in counts.items() if count})

    def added(self, **values: Any) -> None:
        """Describe what a command added, where there is no single object."""
        self._describe(None, {name: {"old": None, "new": value} for name, value in values.items()})

    def replaced(self, **values: tuple[Any, Any]) -> None:
        """Describe old and new values where there is no single object; without a difference there is no event."""
        self._describe(None, {name: {"old": old, "new": new} for name, (old, new) in values.items() if old != new})

    def unchanged(self) -> None:
        """State that there was nothing to change, so that there is no event."""
        self._described = True

    def denied(self, user_id: str | None, reason: str) -> None:
        """Describe a denied attempt on the account of a user, or on one that does not exist."""
        self._describe(None, {"reason": {"old": None, "new": reason}})
        if user_id is not None:
            self._target = Target("User", user_id, user_id)

    def _describe(self, row: Any, changes: Changes) -> None:
        if self._described:
            raise RuntimeError(f"{self._event}: a write has exactly one event")
        self._described = True
        self._changes = changes
        if row is not None:
            self._target = target_of(row)
        self.target_id = None if row is None else row.id

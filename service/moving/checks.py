"""The checks that all kinds of records share. They apply the same limits as the inputs of mutations."""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import GraphQLError

from service import limits
from service.access.permissions import canonical
from service.credentials.encryption import Encryption
from service.identifiers import UsernamePolicy
from service.inputs import Limit, Text
from service.moving.report import Report
from service.parsing import parse_id
from service.seeding.ids import uuid7
from service.types.plan import ResourceLimits

OLDEST: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)  # ids begin with the time since then
LIMIT_NAMES: Final = frozenset(ResourceLimits.__annotations__)
_RANDOM: Final = secrets.SystemRandom()


class NotTaken(Exception):  # noqa: N818  (a result, not a failure)
    """A record that is not taken; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What an import needs to know of the service. `allow_root` says whether users may get the role ROOT."""

    usernames: UsernamePolicy
    encryption: Encryption
    allow_root: bool
    now: dt.datetime


@dataclass(slots=True)
class Item:
    """A record that was checked: the columns of its row, and what is stored beside the row.

    `references` are the keys of other records by the column that gets the id of each, with the column's value in
    `columns` where a missing record may be left out. `kept_id` says that the id is that of the other system.
    """

    key: str
    columns: dict[str, Any]
    references: dict[str, str] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)
    kept_id: bool = False


class Check:
    """The checks of one record. What breaks a limit is left out, and reported."""

    def __init__(self, kind: str, key: str, report: Report, rules: Rules) -> None:
        self.kind = kind
        self.key = key
        self.report = report
        self.rules = rules

    def part(self, reason: str) -> None:
        """Report a part that is left out or changed."""
        self.report.part(self.kind, self.key, reason)

    def value(self, name: str, value: Any, limit: Limit) -> Any:
        """Return a value that is within its limit, else None."""
        if value is None:
            return None
        kept, problems = limit.apply(value, (name,))
        if problems:
            self.part(f"{problems[0].message} It is left out.")
            return None
        return kept

    def name(self, value: str, limit: Text) -> str:
        """Return a name, shortened to its limit. Raise NotTaken without a usable one."""
        text = value if len(value) <= limit.most else " ".join(value.split())
        if len(text) > limit.most:
            text = text[: limit.most - 1].rstrip() + "…"
            self.part(f"name has more than {limit.most} characters and is shortened.")
        kept, problems = limit.apply(text, ("name",))
        if problems:
            raise NotTaken(problems[0].message)
        return kept

    def time(self, name: str, value: dt.datetime | None) -> dt.datetime | None:
        """Return a time that has passed; one without an offset is in UTC."""
        moment = self.moment(name, value)
        if moment is not None and moment > self.rules.now:
            self.part(f"{name} is in the future. It is left out.")
            return None
        return moment

    def moment(self, name: str, value: dt.datetime | None) -> dt.datetime | None:
        """Return any time since 1970."""
        if value is None:
            return None
        moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
        if moment < OLDEST:
            self.part(f"{name} is before 1970. It is left out.")
            return None
        return moment

    def new_id(self, value: str | None, created: dt.datetime) -> tuple[str, bool]:
        """Return the id of the other system, if it is a UUID, else a new one; and which it is."""
        if value is not None:
            try:
                return parse_id(value), True
            except GraphQLError:
                self.part("id is not a UUID. The object gets a new one.")
        digits = uuid7((created - OLDEST) // dt.timedelta(microseconds=1), _RANDOM)
        return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}", False

    def item(self, record: Any, columns: dict[str, Any], **references: str) -> Item:
        """Return the item of a record with a key, an id, and a time of creation."""
        created = self.time("created_at", record.created_at) or self.rules.now
        object_id, kept = self.new_id(record.id, created)
        return Item(self.key, {"id": object_id, **columns, "created_at": created}, references, kept_id=kept)

    def permissions(self, names: Iterable[str], known: frozenset[str], most: int) -> list[str]:
        """Return the names that are in a part of the catalogue, in order and each once; aliases by their names."""
        found: dict[str, None] = {}
        unknown = []
        for name in names:
            given = canonical(name)
            if given is None or given not in known:
                unknown.append(name)
            else:
                found[given] = None
        if unknown:
            self.part(f"These permissions are not known, and left out: {', '.join(unknown)[:500]}.")
        if len(found) > most:
            self.part(f"There may be at most {most} permissions. The others are left out.")
        return list(found)[:most]

    def limits(self, given: Mapping[str, int | None]) -> dict[str, int]:
        """Return resource limits; without one there is no limit."""
        found: dict[str, int] = {}
        for name, value in given.items():
            if name not in LIMIT_NAMES:
                self.part(f"There is no limit {name[:50]}. It is left out.")
            elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= limits.INT32:
                found[name] = value
            elif value is not None:
                self.part(f"The limit {name} must be between 0 and {limits.INT32}. It is left out.")
        return found

"""Users, administrators, and plans of OpenPanel.

Users and plans are in the database of the panel, administrators in that of OpenAdmin. OpenPanel suspends a user by a
new username, `SUSPENDED_<time>_<username>`: the username is restored exactly.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from service.identifiers import fold
from service.moving.records import Dropped, PlanRecord, Record, Tables, UserRecord
from service.moving.sources import values
from service.moving.sources.rows import Row, UniqueNames, records, rows

TABLES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "plans": (
            *("id", "name", "description", "domains_limit", "websites_limit", "email_limit", "disk_limit", "db_limit"),
            *("cpu", "ram"),
        ),
        "user": ("id", "username", "password_hash", "role", "is_active", "totp_secret", "totp_enabled"),
        "users": (
            *("id", "username", "password", "email", "owner", "twofa_enabled", "otp_secret", "registered_date"),
            "plan_id",
        ),
    }
)
ADMINISTRATORS: Final = "user"  # the name of their table, and the start of their keys
ROLES: Final = MappingProxyType({"admin": "ROOT", "user": "ADMIN"})
SUSPENDED: Final = "Suspended in OpenPanel"
_SUSPENDED_NAME = re.compile("SUSPENDED_([0-9]{4})" + "([0-9]{2})" * 5 + "_(.+)", re.DOTALL)


def read(tables: Tables, dropped: Dropped) -> Iterator[Record]:
    """Yield the records of OpenPanel's tables."""
    yield from records(rows(tables, dropped, "plans"), _plan_of(UniqueNames()))
    yield from records(rows(tables, dropped, ADMINISTRATORS), _administrator)
    yield from records(rows(tables, dropped, "users"), _user_of(set()))


def _plan_of(unique: UniqueNames) -> Callable[[Row], Record]:
    def convert(row: Row) -> Record:
        given = {
            "memory_mb": row.value("ram", lambda value: values.mebibytes(value, "g")),
            "disk_mb": row.value("disk_limit", lambda value: values.mebibytes(value, "g")),
            "cpu_percent": row.value("cpu", values.cpu_percent),
            "databases": row.value("db_limit", values.limit),
            "websites": row.value("websites_limit", values.limit),
            "domains": row.value("domains_limit", values.limit),
            "emails": row.value("email_limit", values.limit),
        }
        return PlanRecord(
            key=row.key,
            name=row.name("name", unique, default=f"Plan {row.key}"),
            description=row.text("description"),
            limits={name: limit for name, limit in given.items() if limit},  # 0 means no limit
        )

    return convert


def _administrator(row: Row) -> Record:
    role = row.columns.get("role")
    known = ROLES.get(role) if isinstance(role, str) else None
    if known is None:
        # SECURITY: a reseller manages only the own users, and every role here that manages users manages all of them
        row.report("role", "There is no role of this kind here. The account is that of a user.")
    suspended = not row.flag("is_active") if row.has("is_active") else False
    return UserRecord(
        key=f"{ADMINISTRATORS}:{row.key}",
        username=row.text("username"),
        role=known or "USER",
        suspended_at=values.UNKNOWN_TIME if suspended else None,
        suspended_reason=SUSPENDED if suspended else None,
        password_hash=row.password_hash("password_hash"),
        two_factor_secret=row.two_factor_secret("totp_secret", enabled=row.flag("totp_enabled", unreadable=True)),
    )


def _user_of(seen: set[str]) -> Callable[[Row], Record]:
    """Return the converter of users. `seen` are earlier email addresses: OpenPanel allows the same twice."""

    def convert(row: Row) -> Record:
        username, suspended_at = suspension_of(row.columns.get("username"))
        email = row.text("email")
        if email is not None and fold(email) in seen:
            row.report("email", "An earlier user has the same address. This user is imported without one.")
            email = None
        elif email is not None:
            seen.add(fold(email))
        if row.has("owner"):
            row.report("owner", "Users do not belong to resellers here.")
        return UserRecord(
            key=row.key,
            username=row.text("username") if suspended_at is None else username,
            email=email,
            plan=row.other("plan_id"),
            external_id=row.key,
            created_at=row.value("registered_date", values.moment),
            suspended_at=suspended_at,
            suspended_reason=SUSPENDED if suspended_at is not None else None,
            password_hash=row.password_hash("password"),
            two_factor_secret=row.two_factor_secret("otp_secret", enabled=row.flag("twofa_enabled", unreadable=True)),
        )

    return convert


def suspension_of(username: Any) -> tuple[Any, dt.datetime | None]:
    """Return the username without the mark of a suspension, and the time of the suspension."""
    match = _SUSPENDED_NAME.fullmatch(username) if isinstance(username, str) else None
    if match is None:
        return username, None
    *digits, restored = match.groups()
    year, month, day, hour, minute, second = map(int, digits)
    try:
        return restored, dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    except ValueError:
        return restored, values.UNKNOWN_TIME

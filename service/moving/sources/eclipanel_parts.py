"""Parts of EcliPanel's users and plans: limits, addresses, settings, and values that are encrypted."""

from __future__ import annotations

import base64
import binascii
import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from service.moving.records import PlanRecord
from service.moving.sources import values
from service.moving.sources.rows import Row, UniqueNames

TIERS: Final = frozenset({"FREE", "PAID", "EDUCATIONAL", "ENTERPRISE"})
ENCRYPTED: Final = (
    *("firstName", "lastName", "dateOfBirth", "address", "address2", "billingCompany", "billingCity", "billingState"),
    *("billingZip", "billingCountry"),
)
POST_QUANTUM: Final = "PQ1:"
NONCE_BYTES: Final = 12  # of AES-GCM, as its tag
TAG_BYTES: Final = 16
# Settings of the front end. `byoai` holds the user's keys for AI services, so it stays behind.
SETTINGS: Final = frozenset(
    {"calendar", "editor", "guideShown", "locale", "notifications", "serverFavorites", "socAlerts", "theme"}
)
_LIMITS: Final = MappingProxyType(
    {
        "memory": "memory_mb",
        "disk": "disk_mb",
        "cpu": "cpu_percent",
        "serverLimit": "servers",
        "databases": "databases",
        "backups": "backups",
        "portCount": "ports",
    }
)
_ADDRESS: Final = MappingProxyType(
    {
        "address": "line1",
        "address2": "line2",
        "billingCompany": "company",
        "billingCity": "city",
        "billingState": "state",
        "billingZip": "postal_code",
    }
)


@dataclasses.dataclass
class Plans:
    """The plans that were read, and the plan of each user."""

    unique: UniqueNames
    of_users: Mapping[str, str] = dataclasses.field(default_factory=dict)
    limits: dict[str, Mapping[str, int]] = dataclasses.field(default_factory=dict)
    has_default: bool = False

    def record(self, row: Row) -> PlanRecord:
        """Return the record of a plan. The first default plan for free accounts is the default."""
        tier = self.tier(row, "type") or "FREE"
        default = row.flag("isDefault")
        is_default = default and tier == "FREE" and not self.has_default
        if default and not is_default:
            row.report("isDefault", "One plan is the default: the first one for free accounts.")
        self.has_default = self.has_default or is_default
        # Without a number, EcliPanel allows no databases and no backups, and any amount of the rest
        found = {"databases": 0, "backups": 0} | _numbers(row, row.columns)
        self.limits[row.key] = found
        return PlanRecord(
            key=row.key,
            name=row.name("name", self.unique, default=f"Plan {row.key}"),
            description=row.text("description"),
            tier=tier,
            is_default=is_default,
            limits=found,
        )

    def tier(self, row: Row, column: str) -> str | None:
        """Return the tier of a plan or a user."""
        given = row.columns.get(column)
        tier = given.upper() if isinstance(given, str) else ""
        if tier in TIERS:
            return tier
        if row.has(column):
            row.report(column, "There is no tier of this name.")
        return None

    def overrides(self, row: Row) -> dict[str, int]:
        """Return the user's own limits that differ from those of the plan."""
        column = "limits"
        if row.columns.get("portalType") == "educational" and row.has("educationLimits"):
            column = "educationLimits"
        given = row.value(column, lambda value: values.json_of(value, dict)) or {}
        given = {"portCount": given.get("portsPerServer"), **given}
        plan = self.limits.get(self.of_users.get(row.key, ""), {})
        return {name: number for name, number in _numbers(row, given).items() if plan.get(name) != number}


def _numbers(row: Row, given: Mapping[str, Any]) -> dict[str, int]:
    """Return the limits by our names. No servers means no limit of servers."""
    source = dataclasses.replace(row, columns=given)
    found = {name: source.value(column, values.limit) for column, name in _LIMITS.items()}
    return {name: number for name, number in found.items() if number is not None and (number or name != "servers")}


def is_encrypted(value: object) -> bool:
    """Return whether a text has one of the two forms in which EcliPanel encrypts."""
    if not isinstance(value, str):
        return False
    parts = value.split(":")
    return value.startswith(POST_QUANTUM) or (
        len(parts) == len(("nonce", "tag", "text"))
        and _bytes_in(parts[0]) == NONCE_BYTES
        and _bytes_in(parts[1]) == TAG_BYTES
        and _bytes_in(parts[2]) is not None
    )


def _bytes_in(text: str) -> int | None:
    try:
        return len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return None


def encrypted(row: Row) -> list[str]:
    """Return the columns with encrypted values, and report them at once."""
    found = [column for column in ENCRYPTED if is_encrypted(row.columns.get(column))]
    if found:
        row.report(", ".join(found), "EcliPanel encrypted these values with its own key.")
    return found


def visible(row: Row, hidden: list[str]) -> Row:
    """Return the row without some of its columns."""
    return dataclasses.replace(row, columns={**row.columns, **dict.fromkeys(hidden)}) if hidden else row


def address(row: Row) -> dict[str, str]:
    """Return the billing address."""
    found = {name: row.text(column) for column, name in _ADDRESS.items()}
    # SECURITY: the country decides about age and registration. The first two letters of a name are another country's.
    found["country"] = row.value("billingCountry", values.country)
    return {name: value for name, value in found.items() if value is not None}


def settings(row: Row) -> tuple[dict[str, Any], str]:
    """Return the settings of the front end, and the language."""
    given = row.value("settings", lambda value: values.json_of(value, dict)) or {}
    kept = {name: value for name, value in given.items() if name in SETTINGS}
    if len(kept) < len(given):
        row.report("settings", "Settings that are not of the front end, and keys for AI services, are not taken.")
    locale = dataclasses.replace(row, columns={"locale": kept.get("locale")})
    return kept, locale.value("locale", values.language) or "en"

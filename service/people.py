"""Which values may stand in an account? Inputs that people and administrators share, and the columns that come of
them.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Any

import strawberry

from service import names, passwords
from service.context import House
from service.errors import ErrorCode, Problem, Refused
from service.inputs import LIMIT_VALUE, Text, changes, optional
from service.scalars import CountryCode

OLDEST = 122  # years that anybody has lived
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")
LANGUAGE_LENGTH = Text(2, 15)
EMAIL_LENGTH = Text(3, 254)
USERNAME_LENGTH = Text(1, 191)


@strawberry.input(description="Postal address for invoices; absent fields keep their value, null clears them")
class BillingAddressInput:
    """Kept as one jsonb column, by the Python names."""

    line1: str | None = optional("Street and number", Text(1, 256))
    line2: str | None = optional("Further line of the street address", Text(1, 256))
    company: str | None = optional("Name of the company", Text(1, 128))
    city: str | None = optional("City", Text(1, 128))
    state: str | None = optional("State or region", Text(1, 64))
    postal_code: str | None = optional("Postal code", Text(1, 20))
    country: CountryCode | None = optional("Country, ISO 3166-1 alpha-2")


@strawberry.input(description="Limits; in a plan null means no limit, on a user null brings the plan's limit back")
class ResourceLimitsInput:
    """Kept as one jsonb column, by the Python names."""

    memory_mb: int | None = optional("Memory in MiB", LIMIT_VALUE)
    disk_mb: int | None = optional("Disk in MiB", LIMIT_VALUE)
    cpu_percent: int | None = optional("Processor time in percent of one core", LIMIT_VALUE)
    servers: int | None = optional("Number of servers", LIMIT_VALUE)
    databases: int | None = optional("Number of databases", LIMIT_VALUE)
    backups: int | None = optional("Number of backups", LIMIT_VALUE)
    websites: int | None = optional("Number of websites", LIMIT_VALUE)
    domains: int | None = optional("Number of domains", LIMIT_VALUE)
    emails: int | None = optional("Number of mailboxes", LIMIT_VALUE)
    ports: int | None = optional("Number of ports", LIMIT_VALUE)


def merged(current: dict[str, Any], patch: Any) -> dict[str, Any]:
    """A jsonb value after a nested input: absent keeps, null clears, null as a whole clears all."""
    if patch is None:
        return {}
    return {name: value for name, value in (current | changes(patch)).items() if value is not None}


def person(house: House, value: Any, current: Any = None) -> dict[str, Any]:
    """The columns that an input changes, once it is found right; Refused with every problem at once.

    `current` is the account as it is, None for a new one. An email address that changes is unverified from then on.
    """
    columns = changes(
        value,
        "username",
        "email",
        "first_name",
        "last_name",
        "display_name",
        "language",
        "date_of_birth",
        "external_id",
        "tier",
    )
    problems: list[Problem] = []
    username = columns.get("username")
    if username is not None and (current is None or username != current.username):
        problems += names.problems(username, house.usernames, "username")
    elif "username" in columns and username is None:
        problems.append(Problem(ErrorCode.REQUIRED, "A username cannot be removed", ("username",)))
    if columns.get("email") is not None:
        columns["email"], found = names.email_problems(columns["email"], "email")
        problems += found
    if current is not None and "email" in columns and columns["email"] != current.email:
        columns["email_verified"] = False
    problems += _language_problems(columns)
    problems += _birth_problems(columns)
    if problems:
        raise Refused(*problems)
    if columns.get("date_of_birth") is not None:
        columns["date_of_birth"] = columns["date_of_birth"].isoformat()
    if columns.get("tier") is not None:
        columns["tier"] = columns["tier"].value
    elif "tier" in columns:
        del columns["tier"]
    address = changes(value, "billing_address")
    if address:
        columns["billing_address"] = merged(
            current.billing_address if current is not None else {}, address["billing_address"]
        )
    return columns


def _language_problems(columns: dict[str, Any]) -> Iterable[Problem]:
    if "language" not in columns:
        return
    if columns["language"] is None:
        columns["language"] = "en"
    elif not LANGUAGE.fullmatch(columns["language"]):
        yield Problem(ErrorCode.INVALID, "This is no language tag (BCP 47), such as en or pt-BR", ("language",))


def _birth_problems(columns: dict[str, Any]) -> Iterable[Problem]:
    born: dt.date | None = columns.get("date_of_birth")
    if born is None:
        return
    today = dt.datetime.now(dt.UTC).date()
    if born > today or today.year - born.year > OLDEST:
        yield Problem(ErrorCode.INVALID, "Nobody alive was born on this day", ("dateOfBirth",))


def password_context(*values: Any) -> list[str]:
    """The words of a person that their password must not lean on: columns of rows or inputs."""
    words = []
    for value in values:
        for name in ("username", "email", "first_name", "last_name", "display_name"):
            word = value.get(name) if hasattr(value, "get") else getattr(value, name, None)
            if isinstance(word, str):
                words.append(word)
    return words


async def hashed(house: House, password: str, context: list[str], *field: str) -> str:
    """The hash of a new password, once the policy lets it pass; Refused otherwise."""
    problems = passwords.problems(password, context, house.passwords, *field)
    if problems:
        raise Refused(*problems)
    return await house.hasher.hash(password)

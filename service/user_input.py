"""Input of users: the fields that createUser, updateUser, and updateProfile share, and the columns that they set."""

from __future__ import annotations

import datetime as dt
from typing import Any

import strawberry

from service import limits
from service.context import Resources
from service.credentials.password_policy import password_problems
from service.database.constraints import CONSTRAINTS
from service.errors import ErrorCode, Problems
from service.identifiers import email_problems, language_problems, username_problems
from service.inputs import EXTERNAL_ID, PERSON_NAME, UNSET, ExactText, Number, Text, changes, optional
from service.scalars import CountryCode
from service.types.plan import Tier

LIMIT_VALUE = Number(0, limits.INT32)
USERNAME = ExactText(limits.USERNAME)
EMAIL = ExactText(limits.EMAIL, least=3)
LANGUAGE = ExactText(limits.LANGUAGE, least=2)


@strawberry.input(description="Postal address for invoices; absent fields keep their value, null clears them")
class BillingAddressInput:
    """Stored in one jsonb column, by the Python names."""

    line1: str | None = optional("Street and number", Text(limits.ADDRESS_LINE, joiners=True))
    line2: str | None = optional("Second line of the street address", Text(limits.ADDRESS_LINE, joiners=True))
    company: str | None = optional("Name of the company", Text(limits.ADDRESS_NAME, joiners=True))
    city: str | None = optional("City", Text(limits.ADDRESS_NAME, joiners=True))
    state: str | None = optional("State or region", Text(limits.ADDRESS_STATE, joiners=True))
    postal_code: str | None = optional("Postal code", Text(limits.POSTAL_CODE))
    country: CountryCode | None = optional("Country, ISO 3166-1 alpha-2")


@strawberry.input(
    description="Resource limits; in a plan null means no limit, for a user null restores the plan's limit"
)
class ResourceLimitsInput:
    """Stored in one jsonb column, by the Python names."""

    memory_mb: int | None = optional("Memory in MiB", LIMIT_VALUE)
    disk_mb: int | None = optional("Disk space in MiB", LIMIT_VALUE)
    cpu_percent: int | None = optional("CPU time in percent of one core", LIMIT_VALUE)
    servers: int | None = optional("Number of servers", LIMIT_VALUE)
    databases: int | None = optional("Number of databases", LIMIT_VALUE)
    backups: int | None = optional("Number of backups", LIMIT_VALUE)
    websites: int | None = optional("Number of websites", LIMIT_VALUE)
    domains: int | None = optional("Number of domains", LIMIT_VALUE)
    emails: int | None = optional("Number of mailboxes", LIMIT_VALUE)
    ports: int | None = optional("Number of ports", LIMIT_VALUE)


@strawberry.input
class ProfileInput:
    """What every user may set; base of the inputs of createUser, updateUser, and updateProfile."""

    first_name: str | None = optional("First name", PERSON_NAME)
    last_name: str | None = optional("Last name", PERSON_NAME)
    display_name: str | None = optional("Name to show instead of first and last name", PERSON_NAME)
    date_of_birth: dt.date | None = optional("Date of birth")
    billing_address: BillingAddressInput | None = optional("Address for invoices")


@strawberry.input
class AccountInput(ProfileInput):
    """What administrators may set as well; base of the inputs of createUser and updateUser."""

    email: str | None = optional("Email address, unique ignoring case; a new address is unverified", EMAIL)
    external_id: str | None = optional("Id that another system gave the user, unique", EXTERNAL_ID)
    tier: Tier | None = optional("Tier of the account; that of the plan by default")
    role_id: strawberry.ID | None = optional(
        "Role; null gives the built-in role USER. Give only one of roleId, roleName, and isAdmin"
    )
    role_name: str | None = optional("Role by its name, ignoring case", Text(limits.NAME))
    is_admin: bool | None = optional(
        "true gives the built-in role ADMIN; false gives USER to an administrator; null changes nothing"
    )
    plan_id: strawberry.ID | None = optional("Plan; give only one of planId and planName")
    plan_name: str | None = optional("Plan by its name, ignoring case", Text(limits.NAME))


def merged(current: dict[str, Any], patch: Any) -> dict[str, Any]:
    """Return a jsonb value after a nested input: absent members keep their value, null clears one, or all."""
    if patch is None:
        return {}
    return {name: value for name, value in (current | changes(patch)).items() if value is not None}


# The columns that are set from a field of the same name
COLUMNS = (
    *(
        "username",
        "email",
        "external_id",
        "first_name",
        "last_name",
        "display_name",
        "language",
        "date_of_birth",
        "tier",
    ),
    "billing_address",
)


def user_columns(resources: Resources, value: Any, problems: Problems, current: Any = None) -> dict[str, Any]:
    """Return the columns that an input sets, and add what is wrong with it to the problems.

    `current` is the user as it is, None for a new user. A new email address is unverified.
    """
    columns = {name: item for name, item in changes(value).items() if name in COLUMNS}
    _check_username(resources, columns, problems, current)
    _check_email(columns, problems, current)
    _check_language(columns, problems)
    _check_date_of_birth(columns, problems)
    tier = columns.pop("tier", None)
    if tier is not None:
        columns["tier"] = tier.value
    if "billing_address" in columns:
        present = {} if current is None else current.billing_address
        columns["billing_address"] = merged(present, columns["billing_address"])
    return columns


async def check_taken(run: Any, columns: dict[str, Any], problems: Problems, user_id: str | None = None) -> None:
    """Add a problem for every unique value of the columns that another user already has."""
    names = {"username": "username", "email": "email", "external_id": "externalId"}
    unique = {
        name: columns[name]
        for name, field in names.items()
        if columns.get(name) is not None and not problems.has(field)
    }
    if not unique:
        return
    taken = await run("taken_user_keys", id=user_id, **(dict.fromkeys(names) | unique))
    problems.extend(CONSTRAINTS[f"users_{name}_key"] for name in names if taken[name])


def _check_username(resources: Resources, columns: dict[str, Any], problems: Problems, current: Any) -> None:
    if "username" not in columns or problems.has("username"):
        return
    username = columns["username"]
    if username is None:
        problems.add(ErrorCode.REQUIRED, "username cannot be removed.", "username")
    # A name from before a change of the policy stays valid
    elif current is None or username != current.username:
        problems.extend(username_problems(username, resources.usernames, "username"))


def _check_email(columns: dict[str, Any], problems: Problems, current: Any) -> None:
    if columns.get("email") is not None and not problems.has("email"):
        columns["email"], found = email_problems(columns["email"], "email")
        problems.extend(found)
    if current is not None and "email" in columns and columns["email"] != current.email:
        # SECURITY: the new address is not confirmed (CVE-2026-44584)
        columns |= {"email_verified": False, "pending_email": None}


def _check_language(columns: dict[str, Any], problems: Problems) -> None:
    if "language" not in columns or problems.has("language"):
        return
    if columns["language"] is None:
        columns["language"] = "en"
    else:
        columns["language"], found = language_problems(columns["language"], "language")
        problems.extend(found)


def _check_date_of_birth(columns: dict[str, Any], problems: Problems) -> None:
    born: dt.date | None = columns.get("date_of_birth")
    if born is None:
        return
    today = dt.datetime.now(dt.UTC).date()
    if born > today:
        problems.add(ErrorCode.INVALID, "dateOfBirth must be in the past.", "dateOfBirth")
    elif today.year - born.year > limits.AGE:
        problems.add(ErrorCode.INVALID, f"dateOfBirth must be at most {limits.AGE} years ago.", "dateOfBirth")
    columns["date_of_birth"] = born.isoformat()


def password_words(*values: Any) -> list[str]:
    """Return the words of a user that the password must not consist of, from columns of rows or inputs."""
    words = []
    for value in values:
        for name in ("username", "email", "first_name", "last_name", "display_name"):
            word = value.get(name) if hasattr(value, "get") else getattr(value, name, None)
            if isinstance(word, str):
                words.append(word)
    return words


async def hashed_password(
    resources: Resources, password: str | None, words: list[str], problems: Problems, *field: str
) -> str | None:
    """Return the hash of a new password, or None without one. Add what is wrong with it to the problems.

    While there are problems nothing is hashed, because a hash takes 20 ms.
    """
    if not password or password is UNSET or problems.has(field[0]):
        return None
    problems.extend(password_problems(password, words, resources.passwords, *field))
    return None if problems else await resources.hasher.hash(password)

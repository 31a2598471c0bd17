"""What can go wrong, and what the client is told of it.

    Exception
    ├── Refused            what the caller can mend: becomes the payload's `errors` (UserError)
    └── GraphQLError
        └── Fault          what the caller cannot mend: a top-level error with `extensions.code`

Constraints of the database are the validation of uniqueness, ranges and references: CONSTRAINTS names the client error
of each, and a test compares the list with the live schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry
from graphql import GraphQLError


@strawberry.enum(description="What the caller of a mutation can mend, and in which way")
class ErrorCode(Enum):
    """Codes of a payload's errors: what the caller can mend."""

    AGE_RESTRICTED = strawberry.enum_value("AGE_RESTRICTED", description="The person is too young")
    ALREADY_DONE = strawberry.enum_value("ALREADY_DONE", description="There is nothing left to do")
    CONFLICT = strawberry.enum_value("CONFLICT", description="Something else stands against it")
    EXPIRED = strawberry.enum_value("EXPIRED", description="The time for it is over")
    IDEMPOTENCY_MISMATCH = strawberry.enum_value(
        "IDEMPOTENCY_MISMATCH", description="The idempotency key was used with another input"
    )
    INSUFFICIENT_BALANCE = strawberry.enum_value("INSUFFICIENT_BALANCE", description="The balance does not cover it")
    INVALID = strawberry.enum_value("INVALID", description="The value is not of the form that it must have")
    IN_USE = strawberry.enum_value("IN_USE", description="Something else needs the object")
    LIMIT_REACHED = strawberry.enum_value("LIMIT_REACHED", description="There are as many as there may be")
    LOCKED = strawberry.enum_value("LOCKED", description="Too many failures; it opens again after a while")
    NOT_ALLOWED = strawberry.enum_value(
        "NOT_ALLOWED", description="The caller may not do this to this object, or with this value"
    )
    NOT_FOUND = strawberry.enum_value("NOT_FOUND", description="There is no such object, or the caller may not see it")
    REQUIRED = strawberry.enum_value("REQUIRED", description="A value is missing")
    TAKEN = strawberry.enum_value("TAKEN", description="Somebody else has this value")
    TOO_LONG = strawberry.enum_value("TOO_LONG", description="The value is too long")
    TOO_SHORT = strawberry.enum_value("TOO_SHORT", description="The value is too short")
    VERSION_MISMATCH = strawberry.enum_value("VERSION_MISMATCH", description="The object was changed meanwhile")
    WEAK_PASSWORD = strawberry.enum_value("WEAK_PASSWORD", description="The password is too easy to guess")
    WRONG_CREDENTIALS = strawberry.enum_value("WRONG_CREDENTIALS", description="The login, password or code is wrong")


class FaultCode(Enum):
    """Codes of a top-level error, in `extensions.code`: what the caller cannot mend by another input value."""

    BAD_USER_INPUT = "BAD_USER_INPUT"
    FEATURE_DISABLED = "FEATURE_DISABLED"
    FORBIDDEN = "FORBIDDEN"
    GEO_BLOCKED = "GEO_BLOCKED"
    INTERNAL = "INTERNAL"
    PERSISTED_QUERY_NOT_FOUND = "PERSISTED_QUERY_NOT_FOUND"
    PERSISTED_QUERY_NOT_SUPPORTED = "PERSISTED_QUERY_NOT_SUPPORTED"
    QUERY_TOO_COMPLEX = "QUERY_TOO_COMPLEX"
    RATE_LIMITED = "RATE_LIMITED"
    REAUTH_REQUIRED = "REAUTH_REQUIRED"
    TWO_FACTOR_REQUIRED = "TWO_FACTOR_REQUIRED"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    UNAVAILABLE = "UNAVAILABLE"
    USER_SUSPENDED = "USER_SUSPENDED"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the caller can mend: its code, a sentence, and the path inside `input`."""

    code: ErrorCode
    message: str
    field: tuple[str, ...] = ()


class Refused(Exception):  # noqa: N818  (it is an answer, not an accident)
    """A mutation was refused for reasons that its caller can mend."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class Fault(GraphQLError):  # noqa: N818  (named as the specification's "field error" is answered)
    """An error outside any payload: `extensions` carries the code and what a client needs to act on it."""

    def __init__(self, code: FaultCode, message: str, **extensions: Any) -> None:
        super().__init__(message, extensions={"code": code.value, **extensions})


def refuse(code: ErrorCode, message: str, *field: str) -> Refused:
    """The refusal with a single problem, to be raised."""
    return Refused(Problem(code, message, field))


def bad_input(message: str, **extensions: Any) -> Fault:
    """The fault of a value that is malformed, to be raised."""
    return Fault(FaultCode.BAD_USER_INPUT, message, **extensions)


def _unique(field: str, what: str) -> Problem:
    return Problem(ErrorCode.TAKEN, f"{what} is taken", (field,))


def _length(field: str) -> Problem:
    return Problem(ErrorCode.INVALID, f"{field} is too short or too long", (field,))


def _gone(field: str, what: str) -> Problem:
    return Problem(ErrorCode.NOT_FOUND, f"There is no such {what}", (field,))


def _invalid(field: str) -> Problem:
    return Problem(ErrorCode.INVALID, f"{field} is not valid", (field,))


CONSTRAINTS = {
    "api_key_secrets_api_key_id_fkey": _gone("id", "API key"),
    "api_keys_name_key": _unique("name", "This name of an API key"),
    "api_keys_name_length": _length("name"),
    "api_keys_user_id_fkey": _gone("userId", "user"),
    "credentials_user_id_fkey": _gone("userId", "user"),
    "plans_default_key": Problem(
        ErrorCode.CONFLICT, "Another plan was made the default one at the same time", ("isDefault",)
    ),
    "plans_description_length": _length("description"),
    "plans_limits_object": _invalid("limits"),
    "plans_name_key": _unique("name", "This name of a plan"),
    "plans_name_length": _length("name"),
    "plans_tier_known": _invalid("tier"),
    "roles_description_length": _length("description"),
    "roles_name_key": _unique("name", "This name of a role"),
    "roles_name_length": _length("name"),
    "servers_external_id_key": _unique("externalId", "This external id"),
    "servers_external_id_length": _length("externalId"),
    "servers_name_length": _length("name"),
    "servers_owner_id_fkey": Problem(ErrorCode.IN_USE, "The user owns servers", ("id",)),
    "session_tokens_session_id_fkey": _gone("id", "session"),
    "sessions_user_agent_length": Problem(ErrorCode.TOO_LONG, "The User-Agent header is too long"),
    "sessions_user_id_fkey": _gone("userId", "user"),
    "ssh_keys_fingerprint_key": _unique("publicKey", "This SSH key"),
    "ssh_keys_name_key": _unique("name", "This name of an SSH key"),
    "ssh_keys_name_length": _length("name"),
    "ssh_keys_user_id_fkey": _gone("userId", "user"),
    "subusers_server_id_fkey": _gone("serverId", "server"),
    "subusers_server_id_user_id_key": Problem(ErrorCode.CONFLICT, "This person is on the server already", ("email",)),
    "subusers_user_id_fkey": _gone("email", "user"),
    "users_billing_address_object": _invalid("billingAddress"),
    "users_display_name_length": _length("displayName"),
    "users_email_key": _unique("email", "This email address"),
    "users_email_length": _length("email"),
    "users_external_id_key": _unique("externalId", "This external id"),
    "users_external_id_length": _length("externalId"),
    "users_first_name_length": _length("firstName"),
    "users_language_length": _length("language"),
    "users_last_name_length": _length("lastName"),
    "users_limit_overrides_object": _invalid("limits"),
    "users_plan_id_fkey": Problem(ErrorCode.IN_USE, "Users have this plan", ("id",)),
    "users_role_id_fkey": Problem(ErrorCode.IN_USE, "Users have this role", ("id",)),
    "users_settings_object": Problem(ErrorCode.TOO_LONG, "settings must stay within 16 KiB", ("patch",)),
    "users_suspended_by_fkey": _gone("id", "user"),
    "users_suspension_whole": _invalid("reason"),
    "users_tier_known": _invalid("tier"),
    "users_username_key": _unique("username", "This username"),
    "users_username_length": _length("username"),
}

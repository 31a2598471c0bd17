"""The errors of the service, and what a client receives for each.

    Exception
    ├── MutationRejected     the caller can fix it: becomes the payload's `errors` (UserError)
    └── GraphQLError
        └── ApiError         anything else: a top-level error with `extensions.code`

Constraints of the database validate uniqueness, ranges, and references. CONSTRAINTS has the client's error of each; a
test compares it with the live schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry
from graphql import GraphQLError

MOST_PROBLEMS = 50  # in one response; more do not help, and their messages take time


@strawberry.enum(description="Reason why a mutation was rejected")
class ErrorCode(Enum):
    """Codes of a payload's errors: what the caller can fix."""

    AGE_RESTRICTED = strawberry.enum_value("AGE_RESTRICTED", description="The person is not old enough")
    ALREADY_DONE = strawberry.enum_value("ALREADY_DONE", description="The object is already in the requested state")
    CONFLICT = strawberry.enum_value("CONFLICT", description="The request conflicts with another object")
    EXPECTED_COUNT_MISMATCH = strawberry.enum_value(
        "EXPECTED_COUNT_MISMATCH", description="Another number of users than the expected one matches"
    )
    EXPIRED = strawberry.enum_value(
        "EXPIRED", description="The link, challenge, or secret was used, has expired, or is otherwise no longer valid"
    )
    IDEMPOTENCY_MISMATCH = strawberry.enum_value(
        "IDEMPOTENCY_MISMATCH", description="The idempotency key was used with another input"
    )
    INSUFFICIENT_BALANCE = strawberry.enum_value("INSUFFICIENT_BALANCE", description="The balance would be below 0")
    INVALID = strawberry.enum_value("INVALID", description="The value has the wrong form")
    IN_USE = strawberry.enum_value("IN_USE", description="Another object depends on this one")
    LIMIT_REACHED = strawberry.enum_value(
        "LIMIT_REACHED", description="The largest number is reached: of objects, of changes in an hour, or of seconds"
    )
    NOT_ALLOWED = strawberry.enum_value(
        "NOT_ALLOWED", description="The caller may not do this to this object, or with this value"
    )
    NOT_FOUND = strawberry.enum_value(
        "NOT_FOUND", description="The object does not exist, or the caller may not see it"
    )
    REQUIRED = strawberry.enum_value("REQUIRED", description="A value is missing")
    TAKEN = strawberry.enum_value("TAKEN", description="Another object already has this value")
    TOO_LONG = strawberry.enum_value("TOO_LONG", description="The value is too long")
    TOO_SHORT = strawberry.enum_value("TOO_SHORT", description="The value is too short")
    VERSION_MISMATCH = strawberry.enum_value(
        "VERSION_MISMATCH", description="The object was changed since the given version"
    )
    WEAK_PASSWORD = strawberry.enum_value("WEAK_PASSWORD", description="The password is too easy to guess")
    WRONG_CREDENTIALS = strawberry.enum_value(
        "WRONG_CREDENTIALS", description="The login, the password, the code, or the passkey is wrong"
    )


class ApiErrorCode(Enum):
    """Codes of top-level errors, in `extensions.code`."""

    BAD_USER_INPUT = "BAD_USER_INPUT"
    DELETION_SCHEDULED = "DELETION_SCHEDULED"
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
    """One thing that the caller can fix: its code, a message, and the path of the field inside `input`."""

    code: ErrorCode
    message: str
    field: tuple[str, ...] = ()


class MutationRejected(Exception):  # noqa: N818  (an answer to the caller, not a failure of the service)
    """A mutation was rejected for reasons that its caller can fix.

    `objects` are further fields of the payload, such as the object as it is now.
    """

    def __init__(self, *problems: Problem, **objects: Any) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.problems = problems
        self.objects = objects


class ApiError(GraphQLError):
    """A top-level error: `extensions` has the code, and what a client needs to react to it."""

    def __init__(self, code: ApiErrorCode, message: str, **extensions: Any) -> None:
        super().__init__(message, extensions={"code": code.value, **extensions})
        self.code = code


class Problems:
    """The problems of one mutation's input, collected so that the caller learns all of them at once."""

    def __init__(self, problems: Iterable[Problem] = ()) -> None:
        self._found = list(problems)[:MOST_PROBLEMS]

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._found)

    def __bool__(self) -> bool:
        return bool(self._found)

    def add(self, code: ErrorCode, message: str, *field: str) -> None:
        """Add one problem."""
        self.extend([Problem(code, message, field)])

    def extend(self, problems: Iterable[Problem]) -> None:
        """Add problems, up to the number that a client can use."""
        self._found = [*self._found, *problems][:MOST_PROBLEMS]

    def has(self, field: str) -> bool:
        """Return whether a problem of this field of the input is known."""
        return any(problem.field[:1] == (field,) for problem in self._found)

    def raise_if_any(self) -> None:
        """Raise MutationRejected with all problems, if there are any."""
        if self._found:
            raise MutationRejected(*self._found)


def reject(code: ErrorCode, message: str, *field: str, **objects: Any) -> MutationRejected:
    """Return the rejection for a single problem, to be raised."""
    return MutationRejected(Problem(code, message, field), **objects)


def bad_input(message: str, **extensions: Any) -> ApiError:
    """Return the error of a malformed value, to be raised."""
    return ApiError(ApiErrorCode.BAD_USER_INPUT, message, **extensions)

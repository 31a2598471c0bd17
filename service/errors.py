"""What can go wrong, and what the client is told of it.

    Exception
    ├── Refused            what the caller can mend: becomes the payload's `errors` (UserError)
    └── GraphQLError
        └── Fault          what the caller cannot mend: a top-level error with `extensions.code`

Constraints of the database are the validation of uniqueness, ranges and references: CONSTRAINTS names the client error of
each, and a test compares the list with the live schema.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from graphql import GraphQLError


class ErrorCode(Enum):
    """Codes of a payload's errors: what the caller can mend."""

    AGE_RESTRICTED = "AGE_RESTRICTED"
    ALREADY_DONE = "ALREADY_DONE"
    CONFLICT = "CONFLICT"
    EXPIRED = "EXPIRED"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    INSUFFICIENT_BALANCE = "INSUFFICIENT_BALANCE"
    INVALID = "INVALID"
    IN_USE = "IN_USE"
    LIMIT_REACHED = "LIMIT_REACHED"
    LOCKED = "LOCKED"
    NOT_ALLOWED = "NOT_ALLOWED"
    NOT_FOUND = "NOT_FOUND"
    REQUIRED = "REQUIRED"
    TAKEN = "TAKEN"
    TOO_LONG = "TOO_LONG"
    TOO_SHORT = "TOO_SHORT"
    VERSION_MISMATCH = "VERSION_MISMATCH"
    WEAK_PASSWORD = "WEAK_PASSWORD"  # noqa: S105
    WRONG_CREDENTIALS = "WRONG_CREDENTIALS"


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


class Fault(GraphQLError):
    """An error outside any payload: `extensions` carries the code and what a client needs to act on it."""

    def __init__(self, code: FaultCode, message: str, **extensions: Any) -> None:
        super().__init__(message, extensions={"code": code.value, **extensions})


def refuse(code: ErrorCode, message: str, *field: str) -> Refused:
    """The refusal with a single problem, to be raised."""
    return Refused(Problem(code, message, field))


def bad_input(message: str, **extensions: Any) -> Fault:
    """The fault of a value that is malformed, to be raised."""
    return Fault(FaultCode.BAD_USER_INPUT, message, **extensions)

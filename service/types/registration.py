"""What a person must know before a registration."""

from __future__ import annotations

import strawberry

from service.access.rules import Open
from service.fields import column


@strawberry.type(description="What is required of a registration, so that forms can ask for it")
class RegistrationPolicy(Open):
    """The features, the rule of the country, and the policies of usernames and passwords."""

    open: bool = column("Indicates whether people can register")
    blocked_reason: str | None = column("Code of the error that register returns: FEATURE_DISABLED or GEO_BLOCKED")
    date_of_birth_required: bool = column("Indicates whether the date of birth must be given")
    minimum_age: int = column("Age in full years that a person must have; 0 means any age")
    password_min_length: int = column("Characters that a password must have at least")
    password_min_score: int = column("Least zxcvbn score of a password, 0 to 4")
    username_pattern: str = column("Regular expression for the whole username")
    username_min_length: int = column("Characters that a username must have at least")
    username_max_length: int = column("Characters that a username may have at most")

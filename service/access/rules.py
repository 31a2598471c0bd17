"""The directives that declare who may read a field or run a root field, and the rules that they stand for.

A rule is declared once, on a type or a field, and printed into `schema.graphql`. `authorize` decides what a rule means
for a caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import strawberry
from strawberry.schema_directive import Location

from service.access import permissions

LOCATIONS = [Location.OBJECT, Location.INTERFACE, Location.FIELD_DEFINITION]


@strawberry.schema_directive(
    locations=LOCATIONS,
    name="access",
    description="The permission that is required to read a field or to run a root field. If both arguments are given, "
    "either permission is enough. On a type it is the default for the fields of the type. A denied nullable field is "
    "null. It is reported once per field of the document, as FORBIDDEN with the required permission",
)
class Access:
    """The directive `@access(any:, own:)`."""

    any: str | None = strawberry.field(
        name="any", description="Permission that opens the field on every object", default=strawberry.UNSET
    )
    own: str | None = strawberry.field(
        name="own",
        description="Permission that opens the field on the caller's own objects. Every signed-in user holds the "
        "account permissions. The owner of a server holds every server permission; a subuser holds those granted",
        default=strawberry.UNSET,
    )


@strawberry.schema_directive(
    locations=LOCATIONS, name="public", description="Open to every caller, with or without credentials"
)
class Public:
    """The directive `@public`."""


class Open:
    """Base of connections, payloads, and plain value types: open to every caller who has reached the object."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """The columns that say which user a row belongs to.

    `columns` hold the id of a user, `server` holds the id of a server, `role` the id of a role. A `common` row belongs
    to every user.
    """

    columns: tuple[str, ...] = ()
    server: str | None = None
    role: str | None = None
    common: bool = False

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that a row must have so that its owner can be determined."""
        return (*self.columns, *(column for column in (self.server, self.role) if column))


@dataclass(frozen=True, eq=False, slots=True)
class Rule:
    """What a field requires. Without `any` and `own` it is open to every caller. Equal rules are one object."""

    any: str | None = None
    own: str | None = None
    ownership: Ownership | None = None

    @classmethod
    def of(cls, directive: Access | Public, ownership: Ownership | None = None) -> Rule:
        """Return the rule that a directive declares."""
        if isinstance(directive, Public):
            return OPEN
        own = permissions.canonical(directive.own) if directive.own else None
        return _rule(directive.any or None, own, ownership)

    def describe(self) -> str:
        """Return the sentence that a field's description ends with; it is empty for an open field."""
        if self.any and self.own:
            place = "on the server" if self.own in permissions.SERVER else "on your own account"
            return f"Requires {self.any}, or {self.own} {place}"
        if self.own:
            return f"Requires {self.own}"
        return f"Requires {self.any}" if self.any else ""


_rule = cache(Rule)
OPEN = Rule()
# SECURITY: a field without a declaration gets this rule, whose permission does not exist. A test reports such a field.
CLOSED = Rule(any="")

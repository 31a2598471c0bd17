"""Who may read a field or run a root field: the directives that declare it, and what a declaration means for a caller.

A rule is declared on a type or field, printed into `schema.graphql`, looked up and enforced by guard.py. What can be
decided from the rule and the caller alone is decided here by `decide`; only rules with `own` look at rows, by
`belongs`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import strawberry
from strawberry.schema_directive import Location

from service import permissions

EVERYTHING = "*"  # root itself: no custom role and no API key can hold it
LOCATIONS = [Location.OBJECT, Location.INTERFACE, Location.FIELD_DEFINITION]


@strawberry.schema_directive(
    locations=LOCATIONS,
    name="access",
    description="Who may read a field or run a root field. Both arguments given: either is enough. On a type it is the "
    "default for its fields. A refused nullable field is null and reported once per field of the document, as "
    "FORBIDDEN with the permission it needs",
)
class Access:
    """The declaration `@access(any:, own:)`."""

    any: str | None = strawberry.field(
        name="any", description="Permission that opens the field on every object", default=strawberry.UNSET
    )
    own: str | None = strawberry.field(
        name="own",
        description="Permission that opens the field on the caller's own objects. Every signed-in person holds "
        "those on the account; those on a server are its owner's, and its subusers' as granted",
        default=strawberry.UNSET,
    )


@strawberry.schema_directive(locations=LOCATIONS, name="public", description="Open to callers without credentials")
class Public:
    """The declaration `@public`."""


class Open:
    """Base of connections, payloads and plain value types: open to whoever reached them."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """How a row shows to whom it belongs: by columns with a user's id, by the column with its server's id, or with a
    role's.
    """

    columns: tuple[str, ...] = ()
    server: str | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """What a field needs. Without `any` and `own` it is open to everybody."""

    any: str | None = None
    own: str | None = None
    ownership: Ownership | None = None

    @classmethod
    def of(cls, directive: Access | Public, ownership: Ownership | None = None) -> Rule:
        """The rule that a directive declares."""
        if isinstance(directive, Public):
            return cls()
        return cls(directive.any or None, canonical(directive.own), ownership)


OPEN = Rule()


class Verdict(Enum):
    """What a rule means for a caller before any row is seen."""

    ALLOWED = "allowed"
    ROWS = "rows"  # allowed on rows that belong to the caller
    REFUSED = "refused"


def canonical(own: str | None) -> str | None:
    """The catalogue's name of an `own` permission, which may be written as an alias."""
    return permissions.canonical(own) if own else None


@dataclass(frozen=True, slots=True)
class Authority:
    """What a credential may do: `admin` on everything, `account` on one's own, `scope` on servers (None: whatever one
    holds there).
    """

    admin: frozenset[str] = frozenset()
    account: frozenset[str] = frozenset()
    scope: frozenset[str] | None = frozenset()

    @property
    def grantable(self) -> frozenset[str]:
        """The names that an API key made with this credential may list."""
        server = permissions.SERVER if self.scope is None else permissions.SERVER & self.scope
        return self.admin | self.account | server

    def on_server(self, held: Iterable[str]) -> frozenset[str]:
        """What this credential may do on a server where its owner holds `held`."""
        names = permissions.SERVER if EVERYTHING in held else permissions.SERVER.intersection(held)
        return names if self.scope is None else names & self.scope


NOBODY = Authority()


def expand(role_permissions: Iterable[str]) -> frozenset[str]:
    """The admin permissions of a role, `*` written out (and kept: it is what makes root root)."""
    names = frozenset(role_permissions)
    return names | permissions.ADMIN if EVERYTHING in names else names


def authority(role_permissions: Iterable[str], scope: Iterable[str] | None = None) -> Authority:
    """What a session (no scope) or an API key may do: what its owner holds AND what the key lists."""
    admin = expand(role_permissions)
    if scope is None:
        return Authority(admin, permissions.ACCOUNT, None)
    listed = frozenset(scope)
    return Authority(admin & listed, permissions.ACCOUNT & listed, listed)


def decide(rule: Rule, held: Authority) -> Verdict:
    """What the rule means for a caller who holds this, before any row is seen."""
    if rule.any is None and rule.own is None:
        return Verdict.ALLOWED
    if rule.any in held.admin:
        return Verdict.ALLOWED
    if rule.own is None:
        return Verdict.REFUSED
    if rule.own in permissions.ACCOUNT:
        return Verdict.ROWS if rule.own in held.account else Verdict.REFUSED
    return Verdict.ROWS if held.scope is None or rule.own in held.scope else Verdict.REFUSED


def needed(rule: Rule, *, own_object: bool) -> str | None:
    """The least permission that would have opened a field to a caller whom the rule refuses.

    That is `own` on the caller's own objects, and where it is granted server by server; `any` on somebody else's.
    """
    if rule.own is not None and (own_object or rule.any is None or rule.own not in permissions.ACCOUNT):
        return rule.own
    return rule.any


def owns(row: Any, ownership: Ownership, user_id: str | None, role_id: str | None) -> bool:
    """Whether one of the row's columns names the user, or the user's role."""
    if user_id is None:
        return False
    if ownership.role is not None:
        return bool(getattr(row, ownership.role) == role_id)
    return any(getattr(row, column) == user_id for column in ownership.columns)


def opens(own: str, shared: Iterable[str] | None, held: Authority) -> bool:
    """Whether a share in a server opens it: an account permission by any share, a server permission by itself."""
    if shared is None:
        return False
    return own in permissions.ACCOUNT or own in held.on_server(shared)

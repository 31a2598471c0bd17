"""Every access decision of the service. The executors, writes, node look-up, and the audit log call these functions.

They know nothing of GraphQL: they take a rule, an actor, and where necessary a row. What depends on the rule and the
authority alone is decided by `decide`; only a rule with `own` has to look at rows.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Set
from enum import Enum
from typing import Any

from service import limits
from service.access import permissions
from service.access.actor import Actor, Authority, expand
from service.access.rules import Ownership, Rule
from service.errors import ApiError, ApiErrorCode

AS_ANOTHER_USER = "You cannot do this as another user."


class Verdict(Enum):
    """What a rule means for a caller before any row is known."""

    ALLOWED = "allowed"
    OWN_ROWS = "own rows"  # allowed on rows that belong to the caller
    DENIED = "denied"


def decide(rule: Rule, authority: Authority) -> Verdict:
    """Return what the rule means for this authority."""
    if rule.any is None and rule.own is None:
        return Verdict.ALLOWED
    if rule.any in authority.admin:
        return Verdict.ALLOWED
    if rule.own is None:
        return Verdict.DENIED
    if rule.own in permissions.ACCOUNT:
        return Verdict.OWN_ROWS if rule.own in authority.account else Verdict.DENIED
    return Verdict.OWN_ROWS if authority.scope is None or rule.own in authority.scope else Verdict.DENIED


def owns(actor: Actor, row: Any, ownership: Ownership) -> bool:
    """Return whether a column of the row names the actor, or the actor's role, or the row belongs to every user."""
    if actor.user_id is None:
        return False
    if ownership.common:
        return True
    if ownership.role is not None:
        return bool(row[ownership.role] == actor.role_id)
    return any(row[column] == actor.user_id for column in ownership.columns)


def opens_by_share(rule: Rule, held: Iterable[str] | None, authority: Authority) -> bool:
    """Return whether a share in a server, with the permissions `held` there, opens what the rule protects.

    Any share opens an account permission, such as reading the server. A server permission must be held itself.
    """
    if held is None or rule.own is None:
        return False
    return rule.own in permissions.ACCOUNT or rule.own in authority.on_server(held)


def required_permission(rule: Rule, *, own_object: bool) -> str | None:
    """Return the least permission that would open the field to a caller that the rule denies.

    This is `own` on the caller's own objects, and where it is granted per server; it is `any` on another's object.
    """
    if rule.own is not None and (own_object or rule.any is None or rule.own not in permissions.ACCOUNT):
        return rule.own
    return rule.any


def denial(actor: Actor, rule: Rule, row: Any = None) -> ApiError:
    """Return the error of a field that the actor may not read. At the root `row` is None."""
    if actor.rejection is not None:
        return actor.rejection
    if actor.user_id is None:
        return ApiError(ApiErrorCode.UNAUTHENTICATED, "Sign in first.")
    if actor.restriction is not None:
        return actor.restriction
    ownership = None if row is None else rule.ownership or getattr(row, "ownership", None)
    # At the root no object is known yet: it may belong to the caller
    own_object = ownership is None or owns(actor, row, ownership)
    permission = required_permission(rule, own_object=own_object)
    if actor.impersonator_id is not None and permission in permissions.OWNER_ONLY:
        return ApiError(ApiErrorCode.FORBIDDEN, AS_ANOTHER_USER)
    return ApiError(ApiErrorCode.FORBIDDEN, f"This requires the permission {permission}.", permission=permission)


def exceeding(role_permissions: Iterable[str], authority: Authority) -> frozenset[str]:
    """Return the admin permissions of a role that this authority does not hold.

    A caller may not grant them, and may not change, suspend, or delete a user who holds them.
    """
    return expand(role_permissions) - authority.admin


def require_self(actor: Actor) -> None:
    """Raise if a person acts as another user.

    SECURITY: this person could keep the account by a password or key of their own, or lock the user out.
    """
    if actor.impersonator_id is not None:
        raise ApiError(ApiErrorCode.FORBIDDEN, AS_ANOTHER_USER)


def require_recent(actor: Actor) -> None:
    """Raise unless the session was authenticated recently (ASVS 7.5.1), and by its own user.

    An API key is used by a program, which cannot prove who the user is: its permissions decide.
    """
    require_self(actor)
    if actor.authenticated_at is None:
        return
    age = dt.datetime.now(dt.UTC) - actor.authenticated_at
    if age.total_seconds() > limits.RECENT_AUTHENTICATION:
        raise ApiError(ApiErrorCode.REAUTH_REQUIRED, "Prove who you are with `reauthenticate`, and try again.")


def require_still(rule: Rule, before: Actor, now: Actor, relied_on: Set[str], *, ended: bool) -> None:
    """Raise if a write that was allowed at the start of its request is not allowed to the caller as of now.

    `relied_on` are the admin permissions that its guards required. `ended`: it has ended the caller's credential.
    """
    verdict = decide(rule, now.authority)
    if verdict is Verdict.DENIED:
        raise denial(now, rule)
    # The guards have judged the row for a caller who was allowed on every row
    demoted = verdict is Verdict.OWN_ROWS and decide(rule, before.authority) is Verdict.ALLOWED
    if demoted or not relied_on <= now.authority.admin or (not ended and _is_reduced(before, now)):
        raise ApiError(ApiErrorCode.FORBIDDEN, "Your permissions were changed during the request.")


def _is_reduced(before: Actor, now: Actor) -> bool:
    """Return whether the API key in use lists less, or is limited otherwise, than at the start of the request."""
    listed, still = before.authority.scope, now.authority.scope
    if listed is None or still is None:
        return False
    return not listed <= still or now.key_bounds != before.key_bounds

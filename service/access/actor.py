"""The caller of an operation: a person, an API key, an anonymous client, or a part of the service itself."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from service.access import permissions
from service.errors import ApiError, ApiErrorCode

KEPT_AUTHORITIES = 1024
EVERYTHING = "*"  # the role ROOT; no custom role and no API key can hold it


@dataclass(frozen=True, slots=True)
class Authority:
    """The permissions of a credential.

    `admin` counts on every object and `account` on the caller's own account. `scope` limits the permissions on servers
    to those that an API key lists; it is None for a session, which has all that its user holds there.
    """

    admin: frozenset[str] = frozenset()
    account: frozenset[str] = frozenset()
    scope: frozenset[str] | None = frozenset()

    @property
    def grantable(self) -> frozenset[str]:
        """The permissions that an API key made with this credential may list."""
        server = permissions.SERVER if self.scope is None else permissions.SERVER & self.scope
        return self.admin | self.account | server

    def on_server(self, held: Iterable[str]) -> frozenset[str]:
        """Return what this credential may do on a server where its user holds `held`."""
        names = permissions.SERVER if EVERYTHING in held else permissions.SERVER.intersection(held)
        return names if self.scope is None else names & self.scope


NO_AUTHORITY = Authority()
# What a user may do who has no second factor, but must have one: set one up, and sign out
ENROLMENT = Authority(account=frozenset({"account.two-factor", "sessions.delete"}))

# What a user may do who has deleted the account: read it, undo the deletion, and sign out. SECURITY: without a second
# factor that the role requires, the account is not readable, as before the deletion.
LEAVING = Authority(account=frozenset({"account.delete", "account.read", "sessions.delete", "sessions.read"}))
LEAVING_WITHOUT_FACTOR = Authority(account=LEAVING.account - {"account.read", "sessions.read"})


def expand(role_permissions: Iterable[str]) -> frozenset[str]:
    """Return the admin permissions of a role. `*` is expanded and kept, because it distinguishes ROOT from ADMIN."""
    names = frozenset(role_permissions)
    return names | permissions.ADMIN if EVERYTHING in names else names


def authority_of(role_permissions: Iterable[str], scope: Iterable[str] | None = None) -> Authority:
    """Return the authority of a session, or with `scope` that of an API key: what its user holds AND the key lists.

    Equal permissions give the same object, so that verdicts can be kept for it.
    """
    return _authority(tuple(role_permissions), None if scope is None else tuple(scope))


@lru_cache(KEPT_AUTHORITIES)
def _authority(role_permissions: tuple[str, ...], scope: tuple[str, ...] | None) -> Authority:
    admin = expand(role_permissions)
    if scope is None:
        return Authority(admin, permissions.ACCOUNT, None)
    listed = frozenset(scope)
    return Authority(admin & listed, permissions.ACCOUNT & listed, listed)


@lru_cache(KEPT_AUTHORITIES)
def impersonated(user: Authority, impersonator: Authority) -> Authority:
    """Return the authority of a person who acts as a user: what both hold, without what only the user may do.

    SECURITY: the scope of an API key stays in force. The permissions on the user's own account are not compared with
    those of the impersonator, who holds them on another account.
    """
    scopes = [scope for scope in (user.scope, impersonator.scope) if scope is not None]
    return Authority(
        (user.admin & impersonator.admin) - permissions.OWNER_ONLY,
        (user.account & impersonator.account) - permissions.OWNER_ONLY,
        frozenset.intersection(*scopes) if scopes else None,
    )


@dataclass(frozen=True, slots=True)
class KeyBounds:
    """When and from where an API key may be used. Whatever is made with the key must stay within these bounds."""

    expires_at: dt.datetime | None = None
    allowed_ips: tuple[str, ...] = ()
    retiring: bool = False  # the secret was rotated, and is valid for the rest of its grace period only

    @property
    def limited(self) -> bool:
        """Whether the key expires or is limited to networks."""
        return self.expires_at is not None or bool(self.allowed_ips) or self.retiring


@dataclass(slots=True)
class Actor:
    """The caller.

    An anonymous caller has no `user_id`; `rejection` then says why a presented credential is not valid. `token_hash`
    allows the credential to be checked again. `system` names the part of the service that acts by itself.

    `authenticated_at` is when the user of a session last proved who they are. `by_access_token` says that the request
    has an access token of the session. `impersonator_id` is the person who opened the session by an autologin link; it
    also has the bounds of the API key that created the link. `restriction` is the error of whatever the authority does
    not permit, while the user must first do something else, such as set up a second factor.
    """

    user_id: str | None = None
    role_id: str | None = None
    session_id: str | None = None
    api_key_id: str | None = None
    authority: Authority = NO_AUTHORITY
    rejection: ApiError | None = None
    token_hash: bytes | None = field(default=None, repr=False)
    key_bounds: KeyBounds | None = None
    authenticated_at: dt.datetime | None = None
    by_access_token: bool = False
    impersonator_id: str | None = None
    restriction: ApiError | None = None
    system: str | None = None

    @property
    def credential(self) -> str | None:
        """The kind and id of the credential, as the audit log shows it."""
        if self.session_id is not None:
            return f"session:{self.session_id}"
        return f"api-key:{self.api_key_id}" if self.api_key_id is not None else self.system

    @property
    def signed_out(self) -> bool:
        """Whether the credential will never be valid again. A suspended user keeps the cookie, to learn the reason."""
        return self.rejection is not None and self.rejection.code is ApiErrorCode.UNAUTHENTICATED

    def require_valid(self) -> None:
        """Raise the rejection of the credential, if there is one."""
        if self.rejection is not None:
            raise self.rejection


ANONYMOUS = Actor()


def rejected(code: ApiErrorCode, message: str) -> Actor:
    """Return an anonymous actor whose credential is not valid for the given reason."""
    return Actor(rejection=ApiError(code, message))


def system_actor(name: str) -> Actor:
    """Return the actor of a command or job; it holds every permission, and its name is the credential of its events."""
    return Actor(authority=authority_of([EVERYTHING]), system=name)

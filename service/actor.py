"""Who is asking: a session's or an API key's token becomes an Actor.

Nothing is cached: one indexed look-up for each request, so that an ended session, a deleted key, a changed role or a
suspension is seen by the very next request on every worker.
"""

from __future__ import annotations

from dataclasses import dataclass

from service.access import NOBODY, Authority, authority
from service.database import Database
from service.errors import Fault, FaultCode
from service.secrets import TokenKind, digest, kind_of


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller. Without `user_id` nobody; `refusal` says why a credential that was presented does not count."""

    user_id: str | None = None
    role_id: str | None = None
    session_id: str | None = None
    api_key_id: str | None = None
    held: Authority = NOBODY
    refusal: Fault | None = None

    @property
    def credential(self) -> str | None:
        """How the caller came in, for the audit log."""
        if self.session_id is not None:
            return f"session:{self.session_id}"
        return f"api-key:{self.api_key_id}" if self.api_key_id is not None else None

    @property
    def outlived(self) -> bool:
        """Whether the credential is over for good; that of a suspended person is kept, to tell them why."""
        return self.refusal is not None and (self.refusal.extensions or {})["code"] == FaultCode.UNAUTHENTICATED.value

    def denial(self, needs: str | None) -> Fault:
        """The error of a field that this caller may not have: it names the permission that would open it."""
        if self.refusal is not None:
            return self.refusal
        if self.user_id is None:
            return Fault(FaultCode.UNAUTHENTICATED, "Sign in first")
        return Fault(FaultCode.FORBIDDEN, f"This needs the permission {needs}", permission=needs)


ANONYMOUS = Actor()
_NOT_VALID = "The session or API key is not valid any more"


def refused(code: FaultCode, message: str) -> Actor:
    """Nobody, whose credential was looked at and turned down."""
    return Actor(refusal=Fault(code, message))


def session_actor(user_id: str, role_id: str, session_id: str, role_permissions: list[str]) -> Actor:
    """The person behind a session."""
    return Actor(user_id, role_id, session_id=session_id, held=authority(role_permissions))


async def authenticate(database: Database, token: str, *, ip: str | None) -> Actor:
    """The actor of a token; `ip` is the caller's address."""
    kind = kind_of(token)
    if kind is TokenKind.SESSION:
        row = await database.read("actor_by_session_token", hash=digest(token))
    elif kind is TokenKind.API_KEY:
        row = await database.read("actor_by_api_key_secret", hash=digest(token), ip=ip)
    else:
        row = None
    if row is None:
        return refused(FaultCode.UNAUTHENTICATED, _NOT_VALID)
    # SECURITY: suspension is told before expiry, because it ends the sessions and the person should learn why
    if row["suspended"]:
        return refused(FaultCode.USER_SUSPENDED, "This account is suspended")
    if row["expired"]:
        return refused(FaultCode.UNAUTHENTICATED, _NOT_VALID)
    if kind is TokenKind.SESSION:
        if row["stale"]:
            await _touch(database, "touch_session", id=row["session_id"])
        return session_actor(row["user_id"], row["role_id"], row["session_id"], row["role_permissions"])
    if row["ip_refused"]:
        return refused(FaultCode.FORBIDDEN, "This API key may not be used from this address")
    if row["stale"]:
        await _touch(database, "touch_api_key", id=row["api_key_id"])
    held = authority(row["role_permissions"], row["scope"])
    return Actor(row["user_id"], row["role_id"], api_key_id=row["api_key_id"], held=held)


async def _touch(database: Database, statement: str, **parameters: object) -> None:
    async with database.transaction() as transaction:
        await transaction.run(statement, **parameters)

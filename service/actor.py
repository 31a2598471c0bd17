"""Who is asking: a session's or an API key's token becomes an Actor.

Nothing is cached: one indexed look-up for each request, so that an ended session, a deleted key, a changed role or a
suspension is seen by the very next request on every worker.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from service.access import NOBODY, Authority, authority
from service.database import Database
from service.errors import Fault, FaultCode
from service.secrets import TokenKind, digest, kind_of


@dataclass(frozen=True, slots=True)
class Actor:
    """The caller.

    Without `user_id` nobody; `refusal` says why a credential that was presented does not count. `hash` is that of its
    token, to judge it again by; `retiring` tells the old secret of a rotated key.
    """

    user_id: str | None = None
    role_id: str | None = None
    session_id: str | None = None
    api_key_id: str | None = None
    held: Authority = NOBODY
    refusal: Fault | None = None
    hash: bytes | None = field(default=None, repr=False)
    retiring: bool = False

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

    def insist(self) -> None:
        """Raises why the credential does not count, if it does not."""
        if self.refusal is not None:
            raise self.refusal

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


def session_actor(user_id: str, role_id: str, session_id: str, role_permissions: list[str], hashed: bytes) -> Actor:
    """The person behind a session."""
    return Actor(user_id, role_id, session_id=session_id, held=authority(role_permissions), hash=hashed)


async def authenticate(database: Database, token: str, *, ip: str | None) -> Actor:
    """The actor of a token; `ip` is the caller's address. Notes the use of the credential, at most once a minute."""
    kind = kind_of(token)
    if kind is None:
        return refused(FaultCode.UNAUTHENTICATED, _NOT_VALID)
    row, actor = await _look_up(database, kind, digest(token), ip)
    if actor.refusal is None and row["stale"]:
        session = kind is TokenKind.SESSION
        statement, row_id = ("touch_session", actor.session_id) if session else ("touch_api_key", actor.api_key_id)
        # A database that cannot be written just now is no reason to refuse a read
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            async with database.transaction() as transaction:
                await transaction.run(statement, id=row_id)
    return actor


async def judged_again(database: Database, actor: Actor, *, ip: str | None) -> Actor:
    """The actor as the credential counts now, in the eyes of everybody else's committed changes."""
    kind = TokenKind.API_KEY if actor.api_key_id is not None else TokenKind.SESSION
    return (await _look_up(database, kind, actor.hash or b"", ip))[1]


async def _look_up(database: Database, kind: TokenKind, hashed: bytes, ip: str | None) -> tuple[Any, Actor]:
    if kind is TokenKind.SESSION:
        row = await database.read("actor_by_session_token", hash=hashed)
    else:
        row = await database.read("actor_by_api_key_secret", hash=hashed, ip=ip)
    if row is None:
        return row, refused(FaultCode.UNAUTHENTICATED, _NOT_VALID)
    # SECURITY: suspension is told before expiry, because it ends the sessions and the person should learn why
    if row["suspended"]:
        return row, refused(FaultCode.USER_SUSPENDED, "This account is suspended")
    if row["expired"]:
        return row, refused(FaultCode.UNAUTHENTICATED, _NOT_VALID)
    user_id, role_id, role_permissions = row["user_id"], row["role_id"], row["role_permissions"]
    if kind is TokenKind.SESSION:
        return row, session_actor(user_id, role_id, row["session_id"], role_permissions, hashed)
    if row["ip_refused"]:
        return row, refused(FaultCode.FORBIDDEN, "This API key may not be used from this address")
    held = authority(role_permissions, row["scope"])
    key_id, retiring = row["api_key_id"], row["retiring"]
    return row, Actor(user_id, role_id, api_key_id=key_id, held=held, hash=hashed, retiring=retiring)

"""Authentication: the token of a session or an API key becomes an Actor.

Nothing is cached. Each request takes one indexed look-up, so that an ended session, a deleted key, a changed role, or a
suspension counts from the next request on every worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

import asyncpg

from service.access.actor import ENROLMENT, NO_AUTHORITY, Actor, KeyBounds, authority_of, rejected
from service.credentials.tokens import digest, kind_of
from service.database.connection import Database
from service.database.servers import LOST
from service.errors import ApiError, ApiErrorCode
from service.networks import all_within

Run: TypeAlias = Callable[..., Awaitable[Any]]
USE_SECONDS = 1  # reads do not wait for a connection for writes
ACTOR: Final = "actor_by_hash"  # the statement that reads one credential
# The credentials whose use is being recorded, each once at a time
_recording: WeakKeyDictionary[Database, dict[str | None, asyncio.Task[None]]] = WeakKeyDictionary()
INVALID_CREDENTIAL = "The session or API key is not valid. Sign in again."
NO_SECOND_FACTOR = "Your role requires a second factor. Set one up first."


async def authenticate(database: Database, token: str, *, ip: str | None, session_idle: int) -> Actor:
    """Return the actor of a token, and record the use of the credential at most once a minute.

    `ip` is the client's address. `session_idle` is the number of seconds after which an unused session expires.
    """
    if kind_of(token) is None:
        return rejected(ApiErrorCode.UNAUTHENTICATED, INVALID_CREDENTIAL)
    token_hash = digest(token)
    # Look-ups of all requests leave together; one begins after its request has arrived, so no revocation is missed
    row = _first((await database.load_rows("actors_by_hash", (token_hash,))).get(token_hash))
    actor = actor_of(row, token_hash, ip)
    if actor.rejection is None and row["actor_stale"]:
        await _record_use(database, actor, session_idle)
    return actor


async def _record_use(database: Database, actor: Actor, session_idle: int) -> None:
    """Record the use of a credential, once at a time.

    It goes on without the caller if it takes long, such as behind a held row.
    """
    known = _recording.setdefault(database, {})
    if actor.credential not in known:
        task = known[actor.credential] = asyncio.create_task(_write_use(database, actor, session_idle))
        task.add_done_callback(lambda _task: known.pop(actor.credential))
        await asyncio.wait([task], timeout=USE_SECONDS)


async def _write_use(database: Database, actor: Actor, session_idle: int) -> None:
    # A read must not fail because the database cannot be written at the moment
    with suppress(asyncpg.PostgresError, *LOST, TimeoutError):
        async with database.transaction() as transaction:
            if actor.session_id is not None:
                await transaction.run("record_session_use", id=actor.session_id, idle=float(session_idle))
            else:
                await transaction.run("record_api_key_use", id=actor.api_key_id)


async def authenticate_again(run: Run, actor: Actor, *, ip: str | None) -> Actor:
    """Return the actor as the credential is now. `run` runs a statement by name."""
    token_hash = actor.token_hash or b""
    return actor_of(await run(ACTOR, token_hash=token_hash), token_hash, ip)


def _first(rows: Sequence[Any] | None) -> Any:
    return rows[0] if rows else None


def actor_of(row: Any, token_hash: bytes, ip: str | None) -> Actor:
    """Return the actor of a row with the columns of the view `actors`; None, and columns of null, mean no credential.

    `ip` is the client's address.
    """
    if row is None or row["actor_user_id"] is None:
        return rejected(ApiErrorCode.UNAUTHENTICATED, INVALID_CREDENTIAL)
    # SECURITY: suspension is reported before expiry, because it ends the sessions and the user should learn the reason
    if row["actor_suspended"]:
        return rejected(ApiErrorCode.USER_SUSPENDED, "This account is suspended.")
    if row["actor_expired"]:
        return rejected(ApiErrorCode.UNAUTHENTICATED, INVALID_CREDENTIAL)
    missing = row["actor_two_factor_missing"]
    restriction = ApiError(ApiErrorCode.TWO_FACTOR_REQUIRED, NO_SECOND_FACTOR) if missing else None
    user_id, role_id, role_permissions = row["actor_user_id"], row["actor_role_id"], row["actor_permissions"]
    if row["actor_session_id"] is not None:
        return Actor(
            user_id,
            role_id,
            session_id=row["actor_session_id"],
            authority=ENROLMENT if missing else authority_of(role_permissions),
            token_hash=token_hash,
            authenticated_at=row["actor_authenticated_at"],
            impersonator_id=row["actor_impersonator_id"],
            restriction=restriction,
        )
    networks = tuple(row["actor_allowed_ips"])
    if networks and (ip is None or not all_within([ip], networks)):
        return rejected(ApiErrorCode.FORBIDDEN, "This API key may not be used from this address.")
    return Actor(
        user_id,
        role_id,
        api_key_id=row["actor_api_key_id"],
        authority=NO_AUTHORITY if missing else authority_of(role_permissions, row["actor_scope"]),
        restriction=restriction,
        token_hash=token_hash,
        key_bounds=KeyBounds(row["actor_expires_at"], networks, row["actor_retiring"]),
    )

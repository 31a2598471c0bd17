"""Authentication: the token of a session or an API key, or an access token of a session, becomes an Actor.

Nothing is cached. Each request takes one indexed look-up, so that an ended session, a deleted key, a changed role, or a
suspension counts from the next request on every worker.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeAlias
from weakref import WeakKeyDictionary

import asyncpg

from service.access.actor import (
    ENROLMENT,
    LEAVING,
    LEAVING_WITHOUT_FACTOR,
    NO_AUTHORITY,
    Actor,
    Authority,
    KeyBounds,
    authority_of,
    impersonated,
    rejected,
)
from service.access.permissions import IMPERSONATE
from service.access.signing_keys import SigningKeys
from service.credentials import access_tokens
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
INVALID_ACCESS_TOKEN = "The access token is not valid. Create a new one."  # noqa: S105  (a message)
SUSPENDED = "This account is suspended."
WRONG_NETWORK = "This API key may not be used from this address."
LEFT = "This account will be deleted. Undo it with `cancelAccountDeletion` first."
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
    return await _used(database, row, actor_of(row, token_hash, ip), session_idle)


async def authenticate_access_token(  # noqa: PLR0917
    database: Database, keys: SigningKeys, token: str, issuer: str, ip: str | None, session_idle: int
) -> Actor:
    """Return the actor of an access token's session. The token is verified before the database is read.

    SECURITY: the session is looked up as for its own token, so that the access token ends with it (ASVS 7.4.1, 8.3.2).
    """
    key_id = access_tokens.key_id_of(token)
    key = None if key_id is None else await keys.find(key_id)
    claims = None if key is None else access_tokens.verified(token, key, issuer)
    if claims is None:
        return rejected(ApiErrorCode.UNAUTHENTICATED, INVALID_ACCESS_TOKEN)
    row = _first((await database.load_rows("actors_by_session", (claims.session_id,))).get(claims.session_id))
    if row is None or row["actor_user_id"] != claims.user_id:
        return rejected(ApiErrorCode.UNAUTHENTICATED, INVALID_ACCESS_TOKEN)
    actor = actor_of(row, row["actor_token_hash"], ip)
    actor.by_access_token = True
    return await _used(database, row, actor, session_idle)


async def _used(database: Database, row: Any, actor: Actor, session_idle: int) -> Actor:
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
    found = actor_of(await run(ACTOR, token_hash=token_hash), token_hash, ip)
    found.by_access_token = actor.by_access_token
    return found


def _first(rows: Sequence[Any] | None) -> Any:
    return rows[0] if rows else None


def actor_of(row: Any, token_hash: bytes, ip: str | None) -> Actor:
    """Return the actor of a row with the columns of the view `actors`; None, and columns of null, mean no credential.

    `ip` is the client's address.
    """
    if row is None or row["actor_user_id"] is None:
        return rejected(ApiErrorCode.UNAUTHENTICATED, INVALID_CREDENTIAL)
    invalid = _invalid(row)
    if invalid is not None:
        return invalid
    restriction = _restriction(row)
    user_id, role_id, role_permissions = row["actor_user_id"], row["actor_role_id"], row["actor_permissions"]
    if row["actor_session_id"] is not None:
        actor = Actor(
            user_id,
            role_id,
            session_id=row["actor_session_id"],
            authority=_session_authority(row),
            token_hash=token_hash,
            authenticated_at=row["actor_authenticated_at"],
            restriction=restriction,
        )
        return actor if row["actor_impersonator_id"] is None else _impersonating(actor, row, ip)
    networks = tuple(row["actor_allowed_ips"])
    if not _is_within(ip, networks):
        return rejected(ApiErrorCode.FORBIDDEN, WRONG_NETWORK)
    return Actor(
        user_id,
        role_id,
        api_key_id=row["actor_api_key_id"],
        authority=NO_AUTHORITY if restriction else authority_of(role_permissions, row["actor_scope"]),
        restriction=restriction,
        token_hash=token_hash,
        key_bounds=KeyBounds(row["actor_expires_at"], networks, row["actor_retiring"]),
    )


def _invalid(row: Any) -> Actor | None:
    """Return the actor of a credential that is not valid; None if it is."""
    # SECURITY: suspension is reported before expiry, because it ends the sessions and the user should learn the reason
    if row["actor_suspended"]:
        return rejected(ApiErrorCode.USER_SUSPENDED, SUSPENDED)
    if row["actor_expired"]:
        return rejected(ApiErrorCode.UNAUTHENTICATED, INVALID_CREDENTIAL)
    # SECURITY: only a new session, whose user has just proved who they are, opens an account that was deleted
    if row["actor_leaving"] and row["actor_session_id"] is None:
        return rejected(ApiErrorCode.DELETION_SCHEDULED, LEFT)
    return None


def _restriction(row: Any) -> ApiError | None:
    """Return the error of what a user may not do before something else was done."""
    if row["actor_leaving"]:
        return ApiError(ApiErrorCode.DELETION_SCHEDULED, LEFT)
    missing = row["actor_two_factor_missing"]
    return ApiError(ApiErrorCode.TWO_FACTOR_REQUIRED, NO_SECOND_FACTOR) if missing else None


def _session_authority(row: Any) -> Authority:
    if row["actor_leaving"]:
        return LEAVING_WITHOUT_FACTOR if row["actor_two_factor_missing"] else LEAVING
    return ENROLMENT if row["actor_two_factor_missing"] else authority_of(row["actor_permissions"])


def _is_within(ip: str | None, networks: tuple[str, ...]) -> bool:
    return not networks or (ip is not None and all_within([ip], networks))


def _impersonating(actor: Actor, row: Any, ip: str | None) -> Actor:
    """Limit the actor of a session to what the impersonator, with the credential that created the link, may do now."""
    held = row["actor_impersonation"]
    authority = NO_AUTHORITY if held is None else authority_of(held["permissions"], held["scope"])
    if IMPERSONATE not in authority.admin:
        return rejected(ApiErrorCode.UNAUTHENTICATED, INVALID_CREDENTIAL)
    actor.impersonator_id = row["actor_impersonator_id"]
    actor.authority = impersonated(actor.authority, authority)
    if held["scope"] is not None:
        networks, ends = tuple(held["allowed_ips"]), held["expires_at"]
        if not _is_within(ip, networks):
            return rejected(ApiErrorCode.FORBIDDEN, WRONG_NETWORK)
        actor.key_bounds = KeyBounds(None if ends is None else dt.datetime.fromisoformat(ends), networks)
    return actor

"""Limits on attempts to prove something, such as a password, a code, or a token; all workers share them.

    attempt = await begin_attempt(context, PASSWORD, account=person_id)
    if not await hasher.verify(...):
        raise reject(...)                  # the attempt stays counted
    ...
    await attempt.succeeded(change.run)    # in the transaction of what it allowed

An attempt is counted before the proof is verified, in a transaction of its own: parallel requests verify no more than
the limit (CVE-2024-4629), and the rollback of the request does not undo it (CVE-2026-35597). Each alias and each
operation of a batch counts.

Three keys are counted: the account as seen from the client, the client, and the account. The client is the session for
attempts on the caller's own account, or all of the caller's API keys together, else the address. SECURITY: a wrong
password from elsewhere must not lock out the owner (ASVS 6.1.1): the third key, which stops an attack from many
addresses, is not counted for the owner's session, and for `trusted` clients, such as addresses where the owner has
signed in before.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from service.access.actor import Actor
from service.context import Context
from service.credentials.hash_queue import client_gone
from service.database.connection import Database
from service.errors import ApiError, ApiErrorCode
from service.networks import customer_network

Run: TypeAlias = Callable[..., Awaitable[Any]]
HOUR, DAY = 3_600.0, 86_400.0
_UNITS = ((DAY, "day"), (HOUR, "hour"), (60.0, "minute"), (1.0, "second"))


@dataclass(frozen=True, slots=True)
class Limit:
    """After `most` attempts the next must wait for `wait` seconds, then twice as long each time, up to `longest`.

    `most` attempts are forgotten in `period` seconds, one after the other.
    """

    most: int
    wait: float
    longest: float
    period: float


@dataclass(frozen=True, slots=True)
class Operation:
    """What is attempted: its name, and the limits of an account from one client, of one client, and of an account."""

    name: str
    pair: Limit
    client: Limit
    account: Limit


# SECURITY: at most 100 failures in a row for a password (NIST SP 800-63B-4, section 3.2.2). In 30 days one address may
# fail 36 times for an account: 10 times without a wait, 12 times while the wait doubles to two days, and 14 times with
# that wait. All addresses where the owner has not signed in may fail 46 times. The two names of an account count apart
_GUESSES = Limit(10, wait=60, longest=2 * DAY, period=30 * DAY)
_GUESSES_FROM_ALL = Limit(20, wait=60, longest=2 * DAY, period=30 * DAY)
_MANY = Limit(100, wait=10, longest=900, period=HOUR)
_SOME = Limit(30, wait=10, longest=900, period=HOUR)
_FEW = Limit(10, wait=60, longest=HOUR, period=HOUR)
_MAILS = Limit(5, wait=300, longest=HOUR, period=HOUR)

_EXPORTS = Limit(3, wait=HOUR, longest=8 * HOUR, period=DAY)

EMAIL = Operation("email", pair=_MAILS, client=_FEW, account=_MAILS)
EXPORT = Operation("export", pair=_EXPORTS, client=_MANY, account=_EXPORTS)
LOGIN = Operation("login", pair=_GUESSES, client=_MANY, account=_GUESSES_FROM_ALL)
PASSWORD = Operation("password", pair=_GUESSES, client=_MANY, account=_GUESSES_FROM_ALL)
REGISTER = Operation("register", pair=_MAILS, client=_FEW, account=_MAILS)
PASSKEY_START = Operation("passkey-start", pair=_MANY, client=_MANY, account=_MANY)
RESET = Operation("reset", pair=_MAILS, client=_SOME, account=_MAILS)
TOKEN = Operation("token", pair=_SOME, client=_SOME, account=_SOME)
TWO_FACTOR = Operation("two-factor", pair=_GUESSES, client=_MANY, account=_GUESSES_FROM_ALL)


class Attempt:
    """One attempt that was counted, and is within its limits."""

    def __init__(self, own: list[bytes], client: bytes, limit: Limit) -> None:
        self._own = own
        self._client = client
        self._limit = limit

    async def succeeded(self, run: Run) -> None:
        """Forget the attempts for the account. SECURITY: of the client's other attempts only this one is forgotten."""
        limit = self._limit
        await run(
            "forget_attempts",
            forgotten=self._own,
            reduced=self._client,
            most=limit.most,
            seconds=limit.period / limit.most,
        )


def too_many(seconds: int) -> ApiError:
    """Return the error of an attempt past a limit; its message has the wait in words."""
    # At least two of a unit, because the number is rounded up
    size, unit = next((size, unit) for size, unit in _UNITS if seconds >= 2 * size or size == 1)
    number = math.ceil(seconds / size)
    wait = f"{number} {unit}{'s' if number > 1 else ''}"
    return ApiError(
        ApiErrorCode.RATE_LIMITED, f"There were too many attempts. Try again in {wait}.", retryAfter=seconds
    )


async def begin_attempt(
    context: Context, operation: Operation, *, account: str | None = None, trusted: bool = False
) -> Attempt:
    """Count an attempt. RATE_LIMITED, with `retryAfter` in seconds, if it is beyond a limit.

    `account` names the account that is attempted, also one that does not exist: its id, or what was entered for it.
    """
    client, limits = _limits(context, operation, account, trusted=trusted)
    return await _begin(context, limits, client)


@asynccontextmanager
async def attempt_in_turn(
    context: Context, operation: Operation, *, account: str, trusted: bool = False
) -> AsyncIterator[Attempt]:
    """Begin an attempt as `begin_attempt` does, when only few others are in progress for the same keys.

    Otherwise parallel attempts that will succeed would be limited, because each counts until then.
    """
    client, limits = _limits(context, operation, account, trusted=trusted)
    resources = context.resources
    progress = _in_progress.setdefault(resources.database, InProgress())
    # All workers together stay below the limit
    share = resources.settings.workers + 1
    async with AsyncExitStack() as stack:
        for key, limit in limits.items():
            most = max(1, limit.most // share)
            await stack.enter_async_context(progress.one(key, most, resources.settings.hash_queue))
        if await context.request.is_gone():
            raise client_gone()
        yield await _begin(context, limits, client)


@dataclass(slots=True)
class _Places:
    """The places for attempts with one key: those that are free, and how many attempts use or wait for one."""

    free: asyncio.Semaphore
    users: int = 0


class InProgress:
    """The attempts of this worker that are in progress, and those that wait for them, by key."""

    def __init__(self) -> None:
        self._places: dict[bytes, _Places] = {}

    def __len__(self) -> int:
        return len(self._places)

    @asynccontextmanager
    async def one(self, key: bytes, most: int, waiting: int) -> AsyncIterator[None]:
        """Wait until fewer than `most` attempts are in progress, and be one of them. RATE_LIMITED if `waiting` wait."""
        places = self._places.setdefault(key, _Places(asyncio.Semaphore(most)))
        if places.users >= most + waiting:
            raise too_many(1)
        places.users += 1
        try:
            async with places.free:
                yield
        finally:
            places.users -= 1
            if not places.users:
                del self._places[key]


_in_progress: WeakKeyDictionary[Database, InProgress] = WeakKeyDictionary()


def _limits(
    context: Context, operation: Operation, account: str | None, *, trusted: bool
) -> tuple[bytes, dict[bytes, Limit]]:
    """Return the key of the client, and the limit of each key in ascending order."""
    name, own = operation.name, _own_client(context.actor, account)
    client = own or customer_network(context.request.ip) or "unknown"
    client_key = _key(name, "client", client)
    limits = {client_key: operation.client}
    if account is not None:
        limits[_key(name, "pair", account, client)] = operation.pair
        if not (own or trusted):
            limits[_key(name, "account", account)] = operation.account
    return client_key, dict(sorted(limits.items()))


def _own_client(actor: Actor, account: str | None) -> str | None:
    """Return the client of an attempt on the caller's own account; None for any other.

    SECURITY: a key can create more keys, and a person who acts as a user more sessions: counted apart, each would begin
    with no attempts.
    """
    if account is None or account != actor.user_id or actor.impersonator_id is not None:
        return None
    return f"api-keys:{account}" if actor.session_id is None else actor.credential


async def _begin(context: Context, limits: dict[bytes, Limit], client: bytes) -> Attempt:
    columns: Iterable[str] = ("most", "period", "wait", "longest")
    given = {column: [getattr(limit, column) for limit in limits.values()] for column in columns}
    count = context.resources.database.run("count_attempts", keys=list(limits), **given)
    # A task of its own: it is counted even if the request is ended meanwhile
    seconds = float(await asyncio.shield(asyncio.create_task(count)))
    if seconds > 0:
        raise too_many(math.ceil(seconds))
    return Attempt([key for key in limits if key != client], client, limits[client])


def _key(*parts: str) -> bytes:
    # SECURITY: a hash, because people enter passwords in the place of names
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()

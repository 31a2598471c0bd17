"""Limits on attempts to prove something, such as a password, a code, or a token; all workers share them.

    attempt = await begin_attempt(context, LOGIN, account=person_id, trusted=True)
    if not await hasher.verify(...):
        raise reject(...)                  # the attempt stays counted
    ...
    await attempt.succeeded(change.run)    # in the transaction of what it allowed

An attempt is counted before the proof is verified, in a transaction of its own: parallel requests verify no more than
the limit (CVE-2024-4629), and the rollback of the request does not undo it (CVE-2026-35597). Each alias and each
operation of a batch counts.

Three keys are counted: the account as seen from the client, the client, and the account. The client is the session, or
the address of a caller without one. SECURITY: a wrong password from elsewhere must not lock out the owner (ASVS
6.1.1): the third key, which stops an attack from many addresses, is not counted for `trusted` clients, such as
addresses where the owner has signed in before.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from service.context import Context
from service.errors import ApiError, ApiErrorCode

Run: TypeAlias = Callable[..., Awaitable[Any]]
IPV6_NETWORK = 64  # bits: what a provider gives to one customer


@dataclass(frozen=True, slots=True)
class Limit:
    """After `most` attempts the next must wait for `wait` seconds, then twice as long each time, up to `longest`.

    The attempts are forgotten after `period` seconds without one.
    """

    most: int
    wait: float
    longest: float = 900.0
    period: float = 3_600.0


@dataclass(frozen=True, slots=True)
class Operation:
    """What is attempted: its name, and the limits of an account from one client, of one client, and of an account."""

    name: str
    pair: Limit
    client: Limit
    account: Limit


class Attempt:
    """One attempt that may go on."""

    def __init__(self, own: list[bytes], client: bytes) -> None:
        self._own = own
        self._client = client

    async def succeeded(self, run: Run) -> None:
        """Forget the attempts for the account. SECURITY: of the client's other attempts only this one is forgotten."""
        await run("forget_attempts", forgotten=self._own, reduced=[self._client])


async def begin_attempt(
    context: Context, operation: Operation, *, account: str | None = None, trusted: bool = False
) -> Attempt:
    """Count an attempt. RATE_LIMITED, with `retryAfter` in seconds, if it may not go on.

    `account` names the account that is attempted, also one that does not exist: its id, or what was entered for it.
    """
    name, client = operation.name, _client(context)
    limits = {_key(name, "client", client): operation.client}
    if account is not None:
        limits[_key(name, "pair", account, client)] = operation.pair
        if not trusted:
            limits[_key(name, "account", account)] = operation.account
    keys = sorted(limits)
    count = partial(
        _count,
        context,
        keys=keys,
        most=[limits[key].most for key in keys],
        period=[limits[key].period for key in keys],
        wait=[limits[key].wait for key in keys],
        longest=[limits[key].longest for key in keys],
    )
    # A task of its own: it is counted even if the client closes the connection
    seconds = await asyncio.shield(asyncio.create_task(count()))
    if seconds > 0:
        message = "There were too many attempts. Try again later."
        raise ApiError(ApiErrorCode.RATE_LIMITED, message, retryAfter=math.ceil(seconds))
    return Attempt([key for key in keys if key != _key(name, "client", client)], _key(name, "client", client))


async def _count(context: Context, **parameters: Any) -> float:
    async with context.resources.database.transaction() as transaction:
        return float(await transaction.run("count_attempts", **parameters))


def _client(context: Context) -> str:
    """Return what stands for the client: the session, or the address; of IPv6 the network of a customer."""
    if context.actor.session_id is not None:
        return f"session {context.actor.session_id}"
    address = context.request.ip
    if address is not None and ":" in address:
        return str(ipaddress.ip_network(f"{address}/{IPV6_NETWORK}", strict=False))
    return address or "unknown"


def _key(*parts: str) -> bytes:
    # SECURITY: a hash, because people enter passwords in the place of names
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).digest()


# A password beside a session, such as the current one for a change
PASSWORD = Operation("password", pair=Limit(5, 30), client=Limit(20, 30), account=Limit(50, 30))
# SECURITY: each of these may send a mail, so that the limit of the account bounds what an address receives
REGISTER = Operation("register", pair=Limit(3, 60), client=Limit(10, 60), account=Limit(5, 300))
RESET = Operation("reset", pair=Limit(3, 60), client=Limit(10, 60), account=Limit(5, 300))
EMAIL = Operation("email", pair=Limit(5, 60), client=Limit(5, 60), account=Limit(5, 60))
# Tokens cannot be guessed; this bounds the work of looking them up
TOKEN = Operation("token", pair=Limit(30, 10), client=Limit(30, 10), account=Limit(30, 10))

"""Password hashing, and the policy for new passwords.

Hashes are argon2id with the parameters of OWASP's Password Storage Cheat Sheet, computed in a few threads and never on
the event loop. The policy follows NIST SP 800-63B-4: long, not common, not the user's name, and no rules on kinds of
characters.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import secrets
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final, TypeVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw
from zxcvbn_rs_py import Entropy, zxcvbn

from service import limits
from service.errors import ApiError, ApiErrorCode, ErrorCode, Problem
from service.parsing import UNSTORABLE

T = TypeVar("T")

MEMORY_KIB: Final = 19456
TIME_COST: Final = 2
PARALLELISM: Final = 1
HASH_BYTES: Final = 32
SALT_BYTES: Final = 16
HASHING_NICENESS: Final = 10
LEAST_SHARE: Final = 64  # calls of one client address that may always wait


def _encoded(password: str) -> bytes:
    # SECURITY: the password is hashed as it is, neither cut nor normalized (ASVS 5.0, 6.2.8)
    return password.encode("utf-8", "surrogatepass")


def _yield_to_others() -> None:
    """Lower the priority of the thread (Linux), so that many logins do not delay other requests."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), HASHING_NICENESS)


class PasswordHasher:
    """Hashes and verifies passwords in a bounded number of threads with a bounded queue.

    `threads` is the number of hashes that are computed at once (None: the number of cores minus one), `queue_limit` the
    number of calls that may wait for a thread. Further calls raise RATE_LIMITED with `retryAfter` in seconds. A hash
    takes 19 MiB of memory and about 20 ms of one core.
    """

    def __init__(self, threads: int | None, queue_limit: int) -> None:
        self._threads = max(1, threads or (os.cpu_count() or 1) - 1)
        self._places = self._threads + queue_limit
        self._taken = 0
        self._callers: Counter[str | None] = Counter()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="argon2", initializer=_yield_to_others)
        self._argon2 = argon2.PasswordHasher(
            time_cost=TIME_COST,
            memory_cost=MEMORY_KIB,
            parallelism=PARALLELISM,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
        )
        started = time.perf_counter()
        self._dummy_hash = self._argon2.hash(secrets.token_bytes(HASH_BYTES))
        self._seconds = time.perf_counter() - started

    async def hash(self, password: str) -> str:
        """Return the hash to store of a password (PHC string format); it differs at every call."""
        return await self._run(partial(self._argon2.hash, _encoded(password)))

    async def verify(self, stored: str | None, password: str, caller: str | None = None) -> bool:
        """Return whether `stored` is the hash of this password; False, after the same time, if it is None.

        `caller` is the client's address. One address may fill a quarter of the queue.
        """
        # SECURITY: otherwise one client could keep all others from signing in
        if caller is not None and self._callers[caller] >= max(LEAST_SHARE, self._places // 4):
            raise ApiError(
                ApiErrorCode.RATE_LIMITED,
                "Too many passwords from this address are being checked. Try again later.",
                retryAfter=1,
            )
        self._callers[caller] += 1
        try:
            return await self._run(partial(self._verify, stored, _encoded(password)))
        finally:
            self._callers[caller] -= 1
            if not self._callers[caller]:
                del self._callers[caller]

    def needs_rehash(self, stored: str) -> bool:
        """Return whether `stored` was made with other parameters and should be replaced at the next login."""
        try:
            return self._argon2.check_needs_rehash(stored)
        except ValueError:
            return True

    async def fingerprint(self, data: bytes, salt: bytes) -> bytes:
        """Return 32 bytes that identify `data` and are as hard to reverse as the hash of a password.

        Raise ValueError for a salt shorter than 16 bytes.
        """
        if len(salt) < SALT_BYTES:
            raise ValueError(f"the salt must be at least {SALT_BYTES} bytes")
        return await self._run(
            partial(hash_secret_raw, data, salt, TIME_COST, MEMORY_KIB, PARALLELISM, HASH_BYTES, Type.ID)
        )

    def close(self) -> None:
        """Stop the threads after their current hash, and cancel the calls that wait."""
        self._pool.shutdown(cancel_futures=True)

    def _verify(self, stored: str | None, password: bytes) -> bool:
        # SECURITY: an account that does not exist takes as long as a wrong password, so that time does not reveal it
        try:
            return self._argon2.verify(stored or self._dummy_hash, password) and stored is not None
        except (InvalidHashError, UnicodeEncodeError, VerificationError):
            return False

    async def _run(self, call: Callable[[], T]) -> T:
        with self._lock:
            if self._taken >= self._places:
                seconds = math.ceil(self._taken / self._threads * self._seconds)
                raise ApiError(
                    ApiErrorCode.RATE_LIMITED,
                    "Too many passwords are being checked. Try again later.",
                    retryAfter=seconds,
                )
            self._taken += 1
        try:
            future = self._pool.submit(call)
        except RuntimeError:
            self._leave()
            raise
        # A cancelled call that still waits releases its place at once. A running hash cannot be stopped: it keeps the
        # place of its thread until it is done.
        future.add_done_callback(self._leave)
        return await asyncio.wrap_future(future)

    def _leave(self, _: object = None) -> None:
        with self._lock:
            self._taken -= 1


@dataclass(frozen=True)
class PasswordPolicy:
    """The rules for a new password: lengths in characters, and the least score of strength(), 0 to 4."""

    min_length: int = 8
    max_length: int = limits.PASSWORD
    min_score: int = 2


# Shorter personal words occur in unrelated passwords by chance
_MIN_WORD = 4
# zxcvbn holds the interpreter lock. Its time grows with the length and, steeply, with the number of different
# characters that may replace a letter: 72 characters took at most 20 ms with three of those, and 700 ms with twenty.
_SCORED_LENGTH = 72
_SCORED_LENGTH_LEET = 16
_LEET = frozenset("4@8({[<3691!|0$5+7%2")
_MAX_LEET = 3


@cache
def blocklist() -> frozenset[str]:
    """Return the common passwords, in lower case."""
    lines = Path(__file__).with_name("blocklist.txt").read_text("ascii").splitlines()
    return frozenset(line for line in lines if line != "#" and not line.startswith("# "))


def strength(password: str, context: Sequence[str]) -> int:
    """Return how hard a password is to guess for someone who knows `context`: 0 (easy) to 4 (over 10^10 guesses).

    Only its start is rated. Raise ValueError for unpaired surrogates.
    """
    return int(_estimate(password, context).score)


def password_problems(password: str, context: Sequence[str], policy: PasswordPolicy, *field: str) -> list[Problem]:
    """Return why a new password is rejected, or nothing. `context` is its owner's username, email, and names.

    At most one problem is returned: the first in the order length, characters, common, personal, guessable.
    """
    if len(password) > policy.max_length:
        return [Problem(ErrorCode.TOO_LONG, f"A password must have at most {policy.max_length} characters.", field)]
    if len(password) < policy.min_length:
        return [Problem(ErrorCode.TOO_SHORT, f"A password must have at least {policy.min_length} characters.", field)]
    if UNSTORABLE.search(password):
        return [Problem(ErrorCode.INVALID, "A password must not contain NUL or unpaired surrogates.", field)]
    reason = _weakness(password, [text for text in context if not UNSTORABLE.search(text)], policy)
    return [] if reason is None else [Problem(ErrorCode.WEAK_PASSWORD, reason, field)]


def _weakness(password: str, context: Sequence[str], policy: PasswordPolicy) -> str | None:
    if password.casefold() in blocklist():
        return "This is one of the most common passwords."
    if _is_personal(password, context, policy):
        return "This password is mostly your own name or address."
    estimate = _estimate(password, context)
    if int(estimate.score) >= policy.min_score:
        return None
    hints = estimate.feedback and [estimate.feedback.warning or "", *estimate.feedback.suggestions]
    hint = next((str(hint) for hint in hints or [] if hint), "Use more words")
    return f"This password is easy to guess. {hint.rstrip('.')}."


def _is_personal(password: str, context: Sequence[str], policy: PasswordPolicy) -> bool:
    """Return whether the password, without the words of `context`, is too short and contains no other word."""
    given = rest = password.casefold()
    for word in sorted(set(_personal_words(context)), key=len, reverse=True):
        rest = rest.replace(word, "")
    return rest != given and len(rest) < policy.min_length and sum(map(str.isalpha, rest)) < _MIN_WORD


def _personal_words(context: Sequence[str]) -> Iterator[str]:
    for text in context:
        folded = text.casefold()
        for word in (folded, folded.rpartition("@")[0], *re.split(r"[\W_]+", folded)):
            if len(word) >= _MIN_WORD:
                yield word


def _estimate(password: str, context: Sequence[str]) -> Entropy:
    head = password[:_SCORED_LENGTH]
    if len(_LEET.intersection(head)) > _MAX_LEET:
        head = head[:_SCORED_LENGTH_LEET]
    return zxcvbn(head, [word[:_SCORED_LENGTH] for word in _personal_words(context)])

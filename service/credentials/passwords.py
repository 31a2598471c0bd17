"""Password hashing, and the policy for new passwords.

Hashes are argon2id with the parameters of OWASP's Password Storage Cheat Sheet, computed in a few threads and never on
the event loop. The policy follows NIST SP 800-63B-4: long, not common, not the user's name, and no rules on kinds of
characters.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw
from zxcvbn_rs_py import Entropy, zxcvbn

from service import limits
from service.credentials import foreign_hashes
from service.credentials.hash_queue import Gone, HashQueue
from service.errors import ErrorCode, Problem
from service.networks import customer_network
from service.parsing import UNSTORABLE

MEMORY_KIB: Final = 19456
TIME_COST: Final = 2
PARALLELISM: Final = 1
HASH_BYTES: Final = 32
SALT_BYTES: Final = 16
# Hashes with these parameters are verified as they are; all others have the ceilings of `foreign_hashes`
OWN_PREFIX: Final = f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}$"


def _encoded(password: str) -> bytes:
    # SECURITY: the password is hashed as it is, neither cut nor normalized (ASVS 5.0, 6.2.8)
    return password.encode("utf-8", "surrogatepass")


class PasswordHasher:
    """Hashes and verifies passwords in a bounded number of threads with a bounded queue (see `hash_queue`).

    `threads` is the number of hashes that are computed at once (None: one for each core of the process), `queue_limit`
    the number of calls that may wait for a thread. A hash takes 19 MiB of memory and about 20 ms of one core.
    """

    def __init__(self, threads: int | None, queue_limit: int) -> None:
        self._argon2 = argon2.PasswordHasher(
            time_cost=TIME_COST,
            memory_cost=MEMORY_KIB,
            parallelism=PARALLELISM,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
        )
        started = time.perf_counter()
        self._dummy_hash = self._argon2.hash(secrets.token_bytes(HASH_BYTES))
        self._queue = HashQueue(threads or cores(), queue_limit, time.perf_counter() - started)

    async def hash(self, password: str) -> str:
        """Return the hash to store of a password (PHC string format); it differs at every call."""
        return await self._queue.run(partial(self._argon2.hash, _encoded(password)))

    async def verify(
        self, stored: str | None, password: str, client: str | None = None, is_gone: Gone | None = None
    ) -> bool:
        """Return whether `stored` is the hash of this password; False, after the same time, if it is None.

        `client` is the client's address: addresses are served in turn. UNAVAILABLE if `is_gone` says so when it is the
        call's turn.
        """
        call = partial(self._verify, stored, _encoded(password))
        return await self._queue.run(call, customer_network(client), is_gone)

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
        return await self._queue.run(
            partial(hash_secret_raw, data, salt, TIME_COST, MEMORY_KIB, PARALLELISM, HASH_BYTES, Type.ID)
        )

    def close(self) -> None:
        """Stop the threads after their current hash, and cancel the calls that wait."""
        self._queue.close()

    def _verify(self, stored: str | None, password: bytes) -> bool:
        if stored is not None and not stored.startswith(OWN_PREFIX):
            matches = foreign_hashes.parse(stored)
            if matches is not None and matches(password):
                return True
            stored = None
        # SECURITY: an account that does not exist takes as long as a wrong password, so that time does not reveal it
        try:
            return self._argon2.verify(stored or self._dummy_hash, password) and stored is not None
        except (InvalidHashError, UnicodeEncodeError, VerificationError):
            return False


def cores() -> int:
    """Return the number of cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


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

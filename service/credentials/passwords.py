"""Password hashes: argon2id with the parameters of OWASP's Password Storage Cheat Sheet.

They are computed in a few threads, and never on the event loop.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from functools import partial
from typing import Final

import argon2
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import Type, hash_secret_raw

from service.credentials import foreign_hashes
from service.credentials.hash_queue import Gone, HashQueue
from service.networks import customer_network

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

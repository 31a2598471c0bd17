"""The keys of access tokens, as a worker knows them: the private key that signs, and the public keys that verify.

Public keys are read again after a minute, and for an unknown key, but at most once a second: requests with one wait for
the next time. SECURITY: so a key that was deleted is no longer accepted after a minute, and a flood of tokens with
unknown keys does not reach the database.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from base64 import urlsafe_b64encode
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from joserfc.jwk import OKPKey

from service import limits
from service.credentials.access_tokens import ALGORITHM, VerificationKey
from service.credentials.encryption import Encryption
from service.database.connection import Database

READ_SECONDS: Final = 60.0
UNKNOWN_SECONDS: Final = 1.0


class SigningKeys:
    """The signing keys of the database, for one worker."""

    def __init__(self, database: Database, encryption: Encryption) -> None:
        self._database = database
        self._encryption = encryption
        self._known: dict[str, VerificationKey] = {}
        self._read_at = -READ_SECONDS
        self._reading: asyncio.Task[None] | None = None
        self._current: tuple[str, OKPKey] | None = None

    async def current(self) -> tuple[str, OKPKey] | None:
        """Return the id of the key that signs, and the key; None if there is none yet."""
        row = await self._database.read("current_signing_key")
        if row is None:
            return None
        if self._current is None or self._current[0] != row["id"]:
            private = self._encryption.decrypt(row["private_key"])
            self._current = (row["id"], _key(row["public_key"], private))
        return self._current

    async def find(self, key_id: str) -> VerificationKey | None:
        """Return the public key of an id, or None. For an unknown id the keys are read after this call."""
        called_at = time.monotonic()
        if key_id not in self._known:
            while key_id not in self._known and self._read_at <= called_at:
                await self._read(pause=UNKNOWN_SECONDS)
        elif called_at - self._read_at >= READ_SECONDS:
            await self._read()
        return self._known.get(key_id)

    async def published(self) -> list[dict[str, Any]]:
        """Return the public keys whose tokens may still be valid, as JSON Web Keys (RFC 7517), the newest first."""
        if time.monotonic() - self._read_at >= UNKNOWN_SECONDS:
            await self._read()
        now = time.time()
        valid = ((key_id, item) for key_id, item in self._known.items() if item.until is None or item.until > now)
        return [
            {**item.key.as_dict(private=False), "kid": key_id, "use": "sig", "alg": ALGORITHM} for key_id, item in valid
        ]

    async def _read(self, *, pause: float = 0.0) -> None:
        """Read the public keys once for all requests, `pause` seconds after the last time at the earliest."""
        if self._reading is None:
            delay = self._read_at + pause - time.monotonic()
            self._reading = asyncio.create_task(self._read_all(delay))
            self._reading.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._reading)

    async def _read_all(self, delay: float) -> None:
        try:
            if delay > 0:
                await asyncio.sleep(delay)
            self._read_at = time.monotonic()
            rows = await self._database.read("signing_keys")
        finally:
            self._reading = None
        self._known = {row["id"]: VerificationKey(_key(row["public_key"]), _until(row["retired_at"])) for row in rows}


def new_key() -> tuple[bytes, bytes]:
    """Return the public and the private part of a new key, 32 bytes each."""
    private = Ed25519PrivateKey.generate()
    return private.public_key().public_bytes_raw(), private.private_bytes_raw()


def _key(public: bytes, private: bytes | None = None) -> OKPKey:
    parts: dict[str, str | list[str]] = {"kty": "OKP", "crv": "Ed25519", "x": _encoded(public)}
    return OKPKey.import_key(parts if private is None else parts | {"d": _encoded(private)})


def _encoded(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def _until(retired_at: dt.datetime | None) -> float | None:
    return None if retired_at is None else retired_at.timestamp() + limits.ACCESS_TOKEN

"""Was this request answered before? An idempotency key makes a repeated mutation give the first one's result."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from service.context import House
from service.errors import ErrorCode, refuse
from service.write import Write


class Claim:
    """One request under an idempotency key; `result_id` is what an earlier one with the same key made."""

    def __init__(self, write: Write, operation: str, key: str, fingerprint: bytes) -> None:
        self.result_id: str | None = None
        self._write = write
        self._fingerprint = fingerprint
        self._key = {
            "actor_id": write.actor.user_id,
            "operation": operation,
            "key_hash": hashlib.sha256(key.encode()).digest(),
        }

    async def make(self) -> bool:
        """Whether the key is new.

        Waits for a request at the same moment; IDEMPOTENCY_MISMATCH where that asked for something else.
        """
        if await self._write.run("claim_idempotency_key", fingerprint=self._fingerprint, **self._key) is not None:
            return True
        earlier = await self._write.run("idempotency_key", **self._key)
        if earlier is None or earlier["fingerprint"] != self._fingerprint:
            raise refuse(ErrorCode.IDEMPOTENCY_MISMATCH, "This key was used with another input", "idempotencyKey")
        self.result_id = earlier["result_id"]
        return False

    async def settle(self, result_id: str) -> None:
        """Keeps what came of the request."""
        await self._write.run("settle_idempotency_key", result_id=result_id, **self._key)


async def fingerprint(house: House, key: str, given: dict[str, Any]) -> bytes:
    """What tells one input from another.

    SECURITY: an input with a password is hashed as slowly as the password itself, or the kept fingerprint would be the
    easier way to guess it.
    """
    content = orjson.dumps(given, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_DATACLASS, default=repr)
    if given.get("password"):
        return await house.hasher.fingerprint(content, hashlib.sha256(key.encode()).digest())
    return hashlib.sha256(content).digest()

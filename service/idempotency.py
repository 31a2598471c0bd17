"""Idempotency keys: a repeated mutation returns what the first one created."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import orjson

from service.credentials.passwords import PasswordHasher
from service.errors import ErrorCode, reject

Run: TypeAlias = Callable[..., Awaitable[Any]]
FIELD = "idempotency_key"


class AlreadyDone(Exception):  # noqa: N818  (a result, not an error)
    """An earlier request with the same key and input has created `result_id`."""

    def __init__(self, result_id: str | None) -> None:
        super().__init__(result_id)
        self.result_id = result_id


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """One request with an idempotency key; `fingerprint` identifies its input."""

    operation: str
    key_hash: bytes
    fingerprint: bytes

    async def claim(self, run: Run, actor_id: str | None) -> None:
        """Claim the key inside the write's transaction; a request at the same moment waits for it.

        Raise AlreadyDone after an equal request, and MutationRejected after one with another input.
        """
        names = {"actor_id": actor_id, "operation": self.operation, "key_hash": self.key_hash}
        if await run("claim_idempotency_key", fingerprint=self.fingerprint, **names) is not None:
            return
        earlier = await run("idempotency_key", **names)
        if earlier is None or earlier["fingerprint"] != self.fingerprint:
            message = "idempotencyKey was already used with another input."
            raise reject(ErrorCode.IDEMPOTENCY_MISMATCH, message, "idempotencyKey")
        raise AlreadyDone(earlier["result_id"])

    async def complete(self, run: Run, actor_id: str | None, result_id: str) -> None:
        """Store what the request created."""
        await run(
            "complete_idempotency_key",
            result_id=result_id,
            actor_id=actor_id,
            operation=self.operation,
            key_hash=self.key_hash,
        )


async def idempotency_key(hasher: PasswordHasher, operation: str, key: str, given: dict[str, Any]) -> IdempotencyKey:
    """Return the key of a request with the input `given`.

    SECURITY: an input with a password is hashed as slowly as the password itself, because the stored fingerprint could
    otherwise be used to guess it.
    """
    content = orjson.dumps(given, option=orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_DATACLASS, default=repr)
    key_hash = hashlib.sha256(key.encode()).digest()
    if given.get("password"):
        return IdempotencyKey(operation, key_hash, await hasher.fingerprint(content, key_hash))
    return IdempotencyKey(operation, key_hash, hashlib.sha256(content).digest())

"""The ways in which signing keys change: the first one is created, and a new one replaces it."""

from __future__ import annotations

from typing import Final

from service.access.actor import system_actor
from service.access.signing_keys import new_key
from service.credentials.encryption import Encryption
from service.database.connection import Database
from service.write import Write, write_as

LOCK: Final = 0x6B657973  # "keys": several workers may need the first key at the same time


async def create_first_key(database: Database, encryption: Encryption) -> None:
    """Create the key that signs, unless there is one."""
    async with write_as(system_actor("job:signing-key"), database, "signing-key.create") as change:
        await change.run("lock_bootstrap", lock=LOCK)
        if await change.run("current_signing_key") is not None:
            change.unchanged()
        else:
            change.added(signingKey=await _create(change, encryption))


async def rotate_key(database: Database, encryption: Encryption, *, revoke: bool) -> str:
    """Replace the key that signs, and return the id of the new one.

    The tokens of the old key stay valid until they expire, unless `revoke` is true.
    """
    async with write_as(system_actor("command:rotate-signing-key"), database, "signing-key.rotate") as change:
        await change.run("lock_bootstrap", lock=LOCK)
        await change.run("delete_signing_keys" if revoke else "expire_signing_keys")
        key_id = await _create(change, encryption)
        change.added(signingKey=key_id, revoked=revoke)
    return key_id


async def _create(change: Write, encryption: Encryption) -> str:
    public, private = new_key()
    return str(await change.run("create_signing_key", public_key=public, private_key=encryption.encrypt(private)))

"""The creation and the rotation of the keys that sign access tokens."""

from __future__ import annotations

from service.access.actor import system_actor
from service.access.signing_keys import new_key
from service.credentials.encryption import Encryption
from service.database.connection import Database
from service.write import Write, write_as


async def create_first_key(database: Database, encryption: Encryption) -> None:
    """Create the key that signs, unless there is one. Several workers may need it at the same time."""
    async with write_as(system_actor("job:signing-key"), database, "signing-key.create") as change:
        await change.run("lock_signing_keys")
        if await change.run("current_signing_key") is not None:
            change.unchanged()
        else:
            change.added(signingKey=await _create(change, encryption))


async def rotate_key(database: Database, encryption: Encryption, *, revoke: bool) -> str:
    """Replace the key that signs, and return the id of the new one.

    The tokens of the old key stay valid until they expire, unless `revoke` is true.
    """
    async with write_as(system_actor("command:rotate-signing-key"), database, "signing-key.rotate") as change:
        await change.run("lock_signing_keys")
        await change.run("delete_signing_keys" if revoke else "retire_signing_key")
        key_id = await _create(change, encryption)
        change.added(signingKey=key_id, revoked=revoke)
    return key_id


async def _create(change: Write, encryption: Encryption) -> str:
    public, private = new_key()
    return str(await change.run("create_signing_key", public_key=public, private_key=encryption.encrypt(private)))

"""SSH keys: public keys only, one person each."""

from __future__ import annotations

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, refuse
from service.inputs import SHORT_NAME, Text, given
from service.payloads import Payload, mutation
from service.ssh import parse_public_key
from service.types.payload import DeletePayload
from service.types.ssh_key import SshKey

MOST_KEYS = 50


@strawberry.input(description="New SSH key of one's own")
class AddSshKeyInput:
    """Input of addSshKey."""

    name: str = given("Name, unique among one's own keys", SHORT_NAME)
    public_key: str = given("Public key as in a .pub file", Text(1, 16_384, lines=True))


@strawberry.input(description="Another name for an SSH key")
class RenameSshKeyInput:
    """Input of renameSshKey."""

    id: strawberry.ID = given("Id of the key")
    name: str = given("Name, unique among one's own keys", SHORT_NAME)


@strawberry.input(description="SSH key to delete")
class DeleteSshKeyInput:
    """Input of deleteSshKey."""

    id: strawberry.ID = given("Id of the key")


@strawberry.type(description="Answer of a mutation on an SSH key")
class SshKeyPayload(Payload):
    """A key, or errors."""

    ssh_key: SshKey | None = strawberry.field(description="Key as it is now", default=None)


@mutation(Access(own="ssh-keys.create"))
async def add_ssh_key(info: Info, input: AddSshKeyInput) -> SshKeyPayload:
    """Add an SSH key of one's own."""
    try:
        parsed = parse_public_key(input.public_key)
    except ValueError as error:
        raise refuse(ErrorCode.INVALID, str(error), "publicKey") from None
    async with info.context.write(info, "ssh-key.create") as write:
        # SECURITY: counted under the lock on the user, or parallel requests pass the limit together (CVE-2025-69198)
        user = await write.own_account()
        if await write.run("count_ssh_keys_of_user", user_id=user.id) >= MOST_KEYS:
            raise refuse(ErrorCode.LIMIT_REACHED, f"A user may have {MOST_KEYS} SSH keys", "name")
        key = await write.run(
            "add_ssh_key",
            user_id=user.id,
            name=input.name,
            type=parsed.type,
            fingerprint=parsed.fingerprint,
            public_key=parsed.public_key,
        )
        write.created(key)
    return SshKeyPayload(ssh_key=key)


@mutation(Access(own="ssh-keys.update"))
async def rename_ssh_key(info: Info, input: RenameSshKeyInput) -> SshKeyPayload:
    """Give an SSH key of one's own another name."""
    async with info.context.write(info, "ssh-key.rename") as write:
        key = await write.lock("lock_ssh_key", input.id)
        changed = await write.run("rename_ssh_key", id=key.id, name=input.name)
        write.changed(key, changed)
    return SshKeyPayload(ssh_key=changed)


@mutation(Access(any="users.credentials", own="ssh-keys.delete"))
async def delete_ssh_key(info: Info, input: DeleteSshKeyInput) -> DeletePayload:
    """Delete an SSH key."""
    async with info.context.write(info, "ssh-key.delete") as write:
        # Users are locked before their keys everywhere, or two requests would wait for each other
        for found in await write.run("ssh_keys_by_id", keys=[input.id]):
            await write.run("lock_user", id=found.user_id)
        key = await write.lock("lock_ssh_key", input.id)
        await write.not_above_owner(key)
        await write.run("delete_ssh_key", id=key.id)
        write.deleted(key)
    return DeletePayload(deleted_id=input.id)

"""A user's own SSH keys."""

from __future__ import annotations

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.credentials.ssh_keys import parse_public_key
from service.database.constraints import CONSTRAINTS
from service.errors import ErrorCode
from service.inputs import KEY_NAME, ExactText, given
from service.mail.outbox import Template, send_mail, where_and_when
from service.mutations.guards import require_no_access_token
from service.payloads import Payload, mutation, result
from service.types.payload import DeletePayload
from service.types.ssh_key import SshKey
from service.write import Write, write


@strawberry.input(description="New SSH key of your own")
class AddSshKeyInput:
    """Input of addSshKey."""

    name: str = given("Name, unique among your own keys", KEY_NAME)
    public_key: str = given("Public key, as in a .pub file", ExactText(limits.SSH_PUBLIC_KEY))


@strawberry.input(description="New name of an SSH key")
class RenameSshKeyInput:
    """Input of renameSshKey."""

    id: strawberry.ID = given("Id of the key")
    name: str = given("Name, unique among your own keys", KEY_NAME)


@strawberry.input(description="SSH key to delete")
class DeleteSshKeyInput:
    """Input of deleteSshKey."""

    id: strawberry.ID = given("Id of the key")


@strawberry.type(description="Payload of a mutation on an SSH key")
class SshKeyPayload(Payload):
    """A key, or errors."""

    ssh_key: SshKey | None = result("Key as it is now")


@mutation(Access(own="ssh-keys.create"), collects_problems=True, sensitive=True)
async def add_ssh_key(info: Info, input: AddSshKeyInput) -> SshKeyPayload:
    """Add an SSH key of your own."""
    parsed = None
    if not info.problems.has("publicKey"):
        try:
            parsed = parse_public_key(input.public_key)
        except ValueError as error:
            info.problems.add(ErrorCode.INVALID, str(error), "publicKey")
    async with write(info, "ssh-key.create") as change:
        require_no_access_token(change.actor)
        # SECURITY: an SSH key does not expire, so it would outlive the API key that added it
        change.require_lasting_key("add SSH keys")
        # SECURITY: counted while the user is locked, because parallel requests could exceed the limit (CVE-2025-69198)
        user = await change.lock_own_user()
        if await change.run("count_ssh_keys", user_id=user.id) >= limits.SSH_KEYS_PER_USER:
            message = f"A user may have at most {limits.SSH_KEYS_PER_USER} SSH keys."
            change.problems.add(ErrorCode.LIMIT_REACHED, message, "name")
        name = None if change.problems.has("name") else input.name
        fingerprint = None if parsed is None else parsed.fingerprint
        taken = await change.run("taken_ssh_key", user_id=user.id, name=name, fingerprint=fingerprint)
        if taken["name"]:
            change.problems.extend([CONSTRAINTS["ssh_keys_name_key"]])
        if taken["public_key"]:
            change.problems.extend([CONSTRAINTS["ssh_keys_fingerprint_key"]])
        change.problems.raise_if_any()
        key = await change.run(
            "add_ssh_key",
            user_id=user.id,
            name=input.name,
            type=parsed.type if parsed else None,
            fingerprint=fingerprint,
            public_key=parsed.public_key if parsed else None,
        )
        notice = {"key_name": key.name, "fingerprint": key.fingerprint, **where_and_when(change)}
        await send_mail(change, Template.SSH_KEY_ADDED, user, **notice)
        change.created(key)
    return SshKeyPayload(ssh_key=key)


@mutation(Access(own="ssh-keys.update"), sensitive=True)
async def rename_ssh_key(info: Info, input: RenameSshKeyInput) -> SshKeyPayload:
    """Rename one of your SSH keys."""
    async with write(info, "ssh-key.rename") as change:
        key = await change.lock("lock_ssh_key", input.id)
        changed = await change.run("rename_ssh_key", id=key.id, name=input.name)
        change.updated(key, changed)
    return SshKeyPayload(ssh_key=changed)


@mutation(Access(any="users.credentials", own="ssh-keys.delete"), sensitive=True)
async def delete_ssh_key(info: Info, input: DeleteSshKeyInput) -> DeletePayload:
    """Delete an SSH key."""
    async with write(info, "ssh-key.delete") as change:
        await _lock_owner(change, input.id)
        key = await change.lock("lock_ssh_key", input.id)
        await change.require_owner_not_above(key)
        await change.run("delete_ssh_key", id=key.id)
        change.deleted(key)
    return DeletePayload(deleted_id=input.id)


async def _lock_owner(change: Write, key_id: str) -> None:
    """Lock the user before the key, as everywhere, because two requests could deadlock otherwise."""
    for found in await change.run("ssh_keys_by_id", keys=[key_id]):
        await change.run("lock_user", id=found.user_id)

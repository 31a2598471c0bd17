"""The clean-up: what is no longer valid is deleted in small steps, each with an event that counts it.

Every worker tries it regularly, and one at a time runs it: a step is a transaction with an advisory lock, and a worker
that does not get the lock leaves the work to the one that has it. A step is repeated until it leaves nothing.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from functools import partial

import structlog

from service.access.actor import system_actor
from service.credentials.encryption import Encryption
from service.database.connection import Database
from service.inputs import camel_case
from service.retired_usernames import retire_username
from service.write import Write, write_as

PERIOD_SECONDS = 600
MOST = 1_000  # rows of a step, for some milliseconds
PAUSE_SECONDS = 0.05  # between steps, for the requests
LOCK = 0x636C65616E  # "clean"; all processes use the same number
ACTOR = "job:clean-up"
GRACE_DAYS = 14
log = structlog.get_logger("roster.clean_up")


@dataclass(frozen=True, slots=True)
class Step:
    """A statement that deletes some rows, and the name of what it deletes in its event."""

    statement: str
    name: str


STEPS = (
    Step("delete_dead_sessions", "sessions"),
    Step("delete_expired_api_keys", "apiKeys"),
    Step("delete_expired_api_key_secrets", "apiKeySecrets"),
    Step("delete_retired_signing_keys", "signingKeys"),
    Step("delete_old_idempotency_keys", "idempotencyKeys"),
    Step("delete_expired_tokens", "oneTimeTokens"),
    Step("delete_expired_registrations", "registrations"),
    Step("delete_old_attempts", "attempts"),
    Step("delete_old_mails", "mails"),
    Step("delete_claimed_invitations", "invitations"),
    Step("delete_expired_retired_usernames", "retiredUsernames"),
)


class OtherWorkerError(Exception):
    """Another worker runs the clean-up."""


async def clean_up_regularly(
    database: Database, audit_retention_months: int | None, deletion_grace_days: int, encryption: Encryption
) -> None:
    """Clean up every ten minutes; workers start at different moments."""
    await asyncio.sleep(random.uniform(1, PERIOD_SECONDS))  # noqa: S311  (not a secret)
    while True:
        try:
            await clean_up(database, audit_retention_months, deletion_grace_days, encryption)
        except OtherWorkerError:
            pass
        except Exception as error:  # the next round tries again
            log.warning("clean-up failed", error=type(error).__name__)
        await asyncio.sleep(PERIOD_SECONDS)


async def clean_up(
    database: Database,
    audit_retention_months: int | None = None,
    deletion_grace_days: int = GRACE_DAYS,
    encryption: Encryption | None = None,
) -> None:
    """Delete what is no longer valid; events only if they are kept for a number of months.

    Erase the users who have deleted their account, if the time to undo it is over, and the personal data of deleted
    users in the audit log. `encryption` has the key for the hashes of their usernames.

    Raise OtherWorkerError if another worker does it. Whatever else a step raises, the others run first.
    """
    errors: list[Exception] = []
    for work in (
        partial(_erase_users, database, encryption),
        *(partial(_repeat, database, step) for step in STEPS),
        # After the claimed invitations, because each look for an unclaimed user would read all of them
        partial(_delete_unclaimed_users, database),
        partial(_delete_audit_events, database, audit_retention_months),
        partial(_erase_events, database, deletion_grace_days),
    ):
        try:
            await asyncio.create_task(work())  # a transaction belongs to its task, also if it fails
        except OtherWorkerError:
            raise
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


async def _repeat(database: Database, step: Step) -> None:
    deleted = MOST
    while deleted >= MOST:
        async with write_as(system_actor(ACTOR), database, "service.clean-up") as change:
            await _require_lock(change)
            deleted = len(await change.run(step.statement, most=MOST))
            change.removed(**{step.name: deleted})
        await asyncio.sleep(PAUSE_SECONDS)


async def _delete_unclaimed_users(database: Database) -> None:
    """Delete the users that were created for an invitation and did nothing until it expired, each with an event."""
    deleted = True
    while deleted:
        async with write_as(system_actor(ACTOR), database, "user.delete") as change:
            await _require_lock(change)
            deleted = await _delete_unclaimed_user(change)
        await asyncio.sleep(PAUSE_SECONDS)


async def _delete_unclaimed_user(change: Write) -> bool:
    user = await change.run("lock_unclaimed_user")
    if user is not None:
        dependents = await change.run("dependents_of_user", id=user.id)
        # SECURITY: judged again under the lock, because the user could have set a password since it was found
        if await change.run("delete_unclaimed_user", id=user.id) is not None:
            released = {"dedicatedIps": found} if (found := dependents["dedicated_ips"]) else {}
            change.deleted(user, memberships=dependents["memberships"], wallets=dependents["wallets"], **released)
            return True
    change.unchanged()
    return False


async def _erase_users(database: Database, encryption: Encryption | None) -> None:
    """Erase the users whose time to undo the deletion of their account is over, each with an event.

    One that cannot be erased does not keep the others from it; its error is raised at the end.
    """
    skipped: list[str] = []
    errors: list[Exception] = []
    while True:
        found: list[str] = []
        try:
            # A transaction belongs to its task, also if it fails
            await asyncio.create_task(_erase_user(database, encryption, skipped, found))
        except OtherWorkerError:
            raise
        except Exception as error:
            if not found:
                raise
            skipped += found
            errors.append(error)
        if not found:
            break
        await asyncio.sleep(PAUSE_SECONDS)
    if errors:
        raise errors[0]


async def _erase_user(database: Database, encryption: Encryption | None, skipped: list[str], found: list[str]) -> None:
    """Erase one user, and add the id to `found`; nothing is added if there is none."""
    async with write_as(system_actor(ACTOR), database, "user.erase") as change:
        await _require_lock(change)
        # SECURITY: the row is locked, so that of this and cancelAccountDeletion exactly one happens
        user = await change.run("lock_leaving_user", skipped=skipped)
        if user is None:
            change.unchanged()
            return
        found.append(user.id)
        dependents = await change.run("dependents_of_user", id=user.id)
        if await change.run("delete_leaving_user", id=user.id) is None:
            change.unchanged()
            return
        if encryption is not None:
            await retire_username(change.run, encryption, user.username)
        names = ("api_keys", "memberships", "passkeys", "sessions", "ssh_keys", "wallets")
        change.erased(user, **{camel_case(name): dependents[name] for name in names})


async def _erase_events(database: Database, grace_days: int) -> None:
    """Erase the personal data of deleted users from their events, some at a time.

    The progress is stored with each step, so that a job that is stopped continues there.
    """
    erasing = True
    while erasing:
        async with write_as(system_actor(ACTOR), database, "service.clean-up") as change:
            await _require_lock(change)
            erasure = await change.run("lock_erasure", days=grace_days)
            erasing = erasure is not None
            events = await change.run("apply_erasure", user_id=erasure["user_id"], most=MOST) if erasing else 0
            change.removed(erasedEvents=events)
        await asyncio.sleep(PAUSE_SECONDS)


async def _delete_audit_events(database: Database, months: int | None) -> None:
    deleted = MOST if months is not None else 0
    while deleted >= MOST:
        async with write_as(system_actor(ACTOR), database, "service.clean-up") as change:
            await _require_lock(change)
            deleted = await change.run("apply_audit_retention", months=months, most=MOST)
            change.removed(auditEvents=deleted)
        await asyncio.sleep(PAUSE_SECONDS)


async def _require_lock(change: Write) -> None:
    if not await change.run("clean_up_is_free", lock=LOCK):
        raise OtherWorkerError

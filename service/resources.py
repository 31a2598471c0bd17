"""The resources of a worker: opened at its start, closed at its end, with the clean-up job that runs meanwhile."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import structlog

from service.access.actor import system_actor
from service.context import Resources
from service.countries import Countries
from service.credentials.encryption import Encryption, keys_of
from service.credentials.passwords import PasswordHasher, PasswordPolicy, password_problems
from service.database import statements
from service.database.connection import Database
from service.database.servers import ANSWER_SECONDS, LOST
from service.devices import device_name
from service.identifiers import UsernamePolicy
from service.settings import Settings
from service.write import write_as

CLEAN_UP_SECONDS = 600
# Statements that delete what is no longer valid, each with the name of what it deletes in its event
CLEAN_UPS = {
    "delete_dead_sessions": "sessions",
    "delete_expired_api_keys": "apiKeys",
    "delete_expired_api_key_secrets": "apiKeySecrets",
    "delete_expired_registrations": "registrations",
}
log = structlog.get_logger("roster.clean_up")


def database_of(settings: Settings, url: str, *, answer_seconds: float = ANSWER_SECONDS) -> Database:
    """Return the database with all statements, not yet connected."""
    return Database(
        url,
        statements.load(),
        readers=settings.readers,
        writers=settings.writers,
        names=settings.prepare,
        answer_seconds=answer_seconds,
    )


def encryption_of(settings: Settings) -> Encryption:
    """Return the encryption with the operator's keys, or with those of the data folder."""
    given = settings.encryption_keys
    return Encryption(keys_of(settings.data_dir) if given is None else given.get_secret_value())


def password_policy(settings: Settings) -> PasswordPolicy:
    """Return the operator's rules for passwords."""
    return PasswordPolicy(min_length=settings.password_min_length, min_score=settings.password_min_score)


def username_policy(settings: Settings) -> UsernamePolicy:
    """Return the operator's rules for usernames."""
    return UsernamePolicy(settings.username_min_length, settings.username_max_length, settings.username_pattern)


@asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[Resources]:
    """Return the resources of a worker, with its connections."""
    database = database_of(settings, url)
    await database.connect()
    # The first connection for the first request. Without a server, the worker responds with 503 until there is one.
    with suppress(asyncpg.PostgresError, *LOST):
        await database.read("ping")
    countries = Countries(settings.geoip_file)
    hasher = PasswordHasher(settings.hash_threads, settings.hash_queue)
    _warm_up(password_policy(settings))
    cleaner = asyncio.create_task(_clean_up_regularly(database))
    try:
        yield Resources(
            settings,
            database,
            hasher,
            encryption_of(settings),
            username_policy(settings),
            password_policy(settings),
            countries,
        )
    finally:
        cleaner.cancel()
        with suppress(asyncio.CancelledError):
            await cleaner
        hasher.close()
        countries.close()
        await database.close()


def _warm_up(policy: PasswordPolicy) -> None:
    """Load the word lists and patterns that the first login and the first password would load, for 0.3 s."""
    device_name("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    password_problems("warm-up", [], policy)


async def _clean_up_regularly(database: Database) -> None:
    """Delete what is no longer valid, every ten minutes; workers start at different moments."""
    await asyncio.sleep(random.uniform(1, CLEAN_UP_SECONDS))  # noqa: S311  (not a secret)
    while True:
        try:
            await asyncio.create_task(clean_up(database))  # a transaction belongs to its task, also if it fails
        except Exception as error:  # the next round tries again
            log.warning("clean-up failed", error=type(error).__name__)
        await asyncio.sleep(CLEAN_UP_SECONDS)


async def clean_up(database: Database) -> None:
    """Delete what is no longer valid, in small steps, each with an event that counts it."""
    for statement, name in CLEAN_UPS.items():
        async with write_as(system_actor("job:clean-up"), database, "service.clean-up") as change:
            change.removed(**{name: len(await change.run(statement))})
    async with database.transaction() as transaction:
        await transaction.run("delete_old_idempotency_keys")  # not data of users, so without an event

"""What a worker needs to answer: opened at its start, closed at its end."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from service import names, statements
from service.context import House
from service.database import Database
from service.passwords import PasswordHasher, PasswordPolicy
from service.settings import Settings

SWEEP_SECONDS = 600
SWEEPS = ("delete_dead_sessions", "delete_expired_secrets", "delete_old_idempotency_keys")
log = structlog.get_logger("roster.house")


def database_of(settings: Settings, url: str) -> Database:
    """The database with every statement, not yet connected."""
    # Statements judge by it whether a session lives (sql/migrations/0004_credentials.sql)
    options = {"roster.session_idle": str(settings.session_idle)}
    return Database(url, statements.load(), readers=settings.readers, writers=settings.writers, options=options)


def password_policy(settings: Settings) -> PasswordPolicy:
    """The operator's rules for passwords."""
    return PasswordPolicy(min_length=settings.password_min_length, min_score=settings.password_min_score)


def username_policy(settings: Settings) -> names.UsernamePolicy:
    """The operator's rules for usernames."""
    return names.UsernamePolicy(settings.username_min_length, settings.username_max_length, settings.username_pattern)


@asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[House]:
    """A worker's house, with its connections; what must be swept regularly is swept meanwhile."""
    database = database_of(settings, url)
    await database.connect()
    hasher = PasswordHasher(settings.hash_threads, settings.hash_queue)
    sweeper = asyncio.create_task(_sweep(database))
    try:
        yield House(settings, database, hasher, username_policy(settings), password_policy(settings))
    finally:
        sweeper.cancel()
        with suppress(asyncio.CancelledError):
            await sweeper
        hasher.close()
        await database.close()


async def _sweep(database: Database) -> None:
    """Removes what nobody asks for any more; workers begin at different moments."""
    await asyncio.sleep(random.uniform(1, SWEEP_SECONDS))  # noqa: S311  (spread, no secret)
    while True:
        for statement in SWEEPS:
            try:
                async with database.transaction() as transaction:
                    await transaction.run(statement)
            except Exception as error:  # the next round tries again, whatever it was
                log.warning("sweep failed", statement=statement, error=type(error).__name__)
        await asyncio.sleep(SWEEP_SECONDS)

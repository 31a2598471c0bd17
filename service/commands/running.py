"""Shared parts of the commands: a connected database, and errors as one line with exit code 2."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg
import click

from service import schema  # noqa: F401  (statements name the row types that the schema declares)
from service.credentials.encryption import EncryptionError
from service.database.connection import Database, UnsuitableServerError
from service.database.migrations import MigrationError
from service.embedded.account import EmbeddedError
from service.embedded.server import start
from service.embedded.watch import watched
from service.errors import MutationRejected
from service.moving.tables import MovingError
from service.resources import database_of
from service.settings import Settings, SettingsError
from service.workers import AddressError, WorkerError

T = TypeVar("T")
ANSWER_SECONDS = 3_600  # a migration may rewrite a large table
EXPECTED = (
    AddressError,
    EmbeddedError,
    EncryptionError,
    MigrationError,
    MovingError,
    MutationRejected,
    SettingsError,
    UnsuitableServerError,
    WorkerError,
)


class CommandError(click.ClickException):
    """An error that the operator can fix: one line, and exit code 2."""

    exit_code = 2


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn errors that the operator can fix into one line instead of a traceback."""
    try:
        yield
    except EXPECTED as error:
        raise CommandError(" ".join(str(error).split())) from None
    except asyncpg.UndefinedTableError:
        raise CommandError(
            "the database is empty, or not current: is it that of the service (ROSTER_DATA_DIR or "
            "ROSTER_DATABASE_URL)? If it is, run `migrate`"
        ) from None
    except asyncpg.PostgresError as error:
        raise CommandError(f"the database reports: {' '.join(str(error).split())} (ROSTER_DATABASE_URL)") from None
    except (OSError, asyncpg.InterfaceError) as error:
        reason = str(error) or type(error).__name__
        raise CommandError(f"the database cannot be reached: {reason} (ROSTER_DATABASE_URL)") from None


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """Yield the URL of the configured database, or of the embedded one.

    The embedded server is started again if it is killed, and released at the end of the block.
    """
    url = settings.postgresql_url
    if url is not None:
        yield url
        return
    embedded = start(settings.data_dir)
    try:
        with watched(embedded):
            yield embedded.url
    finally:
        embedded.close()


def with_database(settings: Settings, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """Run the work on a connected database, and return its result."""

    async def run(url: str) -> T:
        database = database_of(settings, url, answer_seconds=ANSWER_SECONDS)
        await database.connect()
        try:
            await database.require_suitable()
            return await work(database)
        finally:
            await database.close()

    with database_url(settings) as url:
        return asyncio.run(run(url))

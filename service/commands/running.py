"""How a command gets at settings and a database, and how what goes wrong becomes one line and exit code 2."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncpg
import click

from service import schema  # noqa: F401  (composing the schema makes the row types known to the statements)
from service import settings as configuration
from service.database import OLDEST_VERSION, Database
from service.embedded import EmbeddedError, start
from service.errors import Refused
from service.house import database_of
from service.migrations import MigrationError
from service.serving import AddressError
from service.settings import Settings, SettingsError

T = TypeVar("T")


class Trouble(click.ClickException):
    """What the operator can mend: one clear line, and exit code 2."""

    exit_code = 2


@contextmanager
def one_line() -> Iterator[None]:
    """What the operator can mend becomes one line instead of a traceback."""
    try:
        yield
    except (SettingsError, EmbeddedError, MigrationError, AddressError, Refused) as error:
        raise Trouble(" ".join(str(error).split())) from None
    except asyncpg.PostgresError as error:
        raise Trouble(f"the database refuses: {' '.join(str(error).split())} (ROSTER_DATABASE_URL)") from None
    except (OSError, asyncpg.InterfaceError) as error:
        raise Trouble(
            f"the database cannot be reached: {error or type(error).__name__} (ROSTER_DATABASE_URL)"
        ) from None


def settings_with(**given: Any) -> Settings:
    """The settings of the environment, under those that the command line gives."""
    settings = configuration.read()
    chosen = {name: value for name, value in given.items() if value is not None}
    return Settings.model_validate(settings.model_dump() | chosen) if chosen else settings


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The address of the configured database, or of the embedded one, which runs as long as somebody uses it."""
    url = settings.postgresql_url
    if url is not None:
        yield url
        return
    embedded = start(settings.data_dir)
    try:
        yield embedded.url
    finally:
        embedded.close()


def with_database(settings: Settings, work: Callable[[Database], Coroutine[Any, Any, T]]) -> T:
    """What the work gives on a connected database."""

    async def run(url: str) -> T:
        database = database_of(settings, url)
        await database.connect()
        try:
            await _refuse_old_server(database)
            return await work(database)
        finally:
            await database.close()

    with database_url(settings) as url:
        return asyncio.run(run(url))


async def _refuse_old_server(database: Database) -> None:
    async with database.connection() as connection:
        version = connection.get_server_version()
    if version.major < OLDEST_VERSION:
        raise MigrationError(f"PostgreSQL {version.major} is too old: {OLDEST_VERSION} or newer is needed")

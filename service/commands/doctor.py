"""The command doctor: it reports problems of an installation, and changes nothing."""

from __future__ import annotations

import asyncio
import os
import platform
import resource
import shutil
import stat
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from service import settings as configuration
from service.commands.database_checks import TIMEOUT, Finding, Level, database_findings
from service.commands.serve import SCHEMA
from service.credentials.passwords import PasswordHasher
from service.embedded import cluster as embedded_cluster
from service.embedded.programs import wheel
from service.embedded.server import EmbeddedError, start
from service.schema import printed
from service.settings import Settings, SettingsError

OLDEST_PYTHON = (3, 11)
GIB = 1 << 30
LEAST_FREE = 1 * GIB
LEAST_FILES = 1_024  # every client connection and every database connection needs one
OPEN_TO_OTHERS = 0o066  # search permission alone is allowed, for the account that runs PostgreSQL
HASHES = 5


@click.command()
def doctor() -> None:
    """Report problems of this installation, and change nothing. Exit code 2 means that something must be fixed."""
    problems = 0
    for finding in _findings():
        click.echo(str(finding))
        problems += finding.level is Level.PROBLEM
    if problems:
        click.get_current_context().exit(2)


def _findings() -> Iterator[Finding]:
    settings = None
    yield _python()
    try:
        settings = configuration.read()
        yield Finding(Level.OK, "settings", f"{len(settings.model_fields_set)} of {len(Settings.model_fields)} are set")
    except SettingsError as error:
        yield Finding(Level.PROBLEM, "settings", str(error))
    yield from _guarded("open files", _open_files)
    yield from _guarded("password hash", _password_hash)
    yield from _guarded("schema.graphql", _schema)
    if settings is not None:
        if settings.database_url is None:
            yield from _guarded("data folder", lambda: _data_folder(settings.data_dir.absolute()))
        else:
            yield Finding(Level.OK, "data folder", "not used: ROSTER_DATABASE_URL is set")
        yield from _guarded("database", lambda: _database(settings))


def _guarded(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """Yield the findings of a check; an exception is a finding, too."""
    try:
        yield from check()
    except Exception as error:
        yield Finding(Level.PROBLEM, name, f"{type(error).__name__}: {error}".rstrip(": "))


def _python() -> Finding:
    level = Level.OK if sys.version_info >= OLDEST_PYTHON else Level.PROBLEM
    needed = ".".join(map(str, OLDEST_PYTHON))
    return Finding(level, "python", f"{platform.python_version()} ({needed} or newer is required)")


def _open_files() -> Iterator[Finding]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        yield Finding(Level.OK, "open files", "unlimited")
    else:
        level = Level.OK if limit >= LEAST_FILES else Level.WARNING
        yield Finding(level, "open files", f"at most {limit} ({LEAST_FILES} or more are recommended: ulimit -n)")


def _password_hash() -> Iterator[Finding]:
    hasher = PasswordHasher(1, 1)

    async def seconds() -> float:
        started = time.perf_counter()
        await hasher.hash("a password to measure the time")
        return time.perf_counter() - started

    async def several() -> list[float]:
        return [await seconds() for _ in range(HASHES)]

    try:
        duration = statistics.median(asyncio.run(several()))
    finally:
        hasher.close()
    yield Finding(Level.OK, "password hash", f"{duration * 1000:.0f} ms each (argon2id)")


def _schema() -> Iterator[Finding]:
    if not SCHEMA.exists():
        yield Finding(Level.PROBLEM, "schema.graphql", "missing: run `python -m service schema`")
    elif SCHEMA.read_text(encoding="utf-8") != printed():
        yield Finding(Level.PROBLEM, "schema.graphql", "not current: run `python -m service schema`")
    else:
        yield Finding(Level.OK, "schema.graphql", "current")


def _data_folder(folder: Path) -> Iterator[Finding]:
    if not folder.exists():
        yield Finding(Level.OK, "data folder", f"{folder}: no data yet: `serve` will create it")
    elif not folder.is_dir():
        yield Finding(Level.PROBLEM, "data folder", f"{folder} is not a folder: move it away")
    elif not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        yield Finding(Level.PROBLEM, "data folder", f"{folder} is not writable for this user")
    else:
        mode = stat.S_IMODE(folder.stat().st_mode)
        private = not mode & OPEN_TO_OTHERS
        advice = "" if private else ", accessible to other users: chmod 700"
        yield Finding(Level.OK if private else Level.WARNING, "data folder", f"{folder} (mode {mode:04o}{advice})")
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    level = Level.OK if free >= LEAST_FREE else Level.WARNING
    yield Finding(level, "free space", f"{free / GIB:.1f} GiB (at least {LEAST_FREE / GIB:.0f} GiB is recommended)")


def _database(settings: Settings) -> Iterator[Finding]:
    try:
        with _server(settings) as (url, source):
            if url is None:
                yield Finding(Level.OK, "database", source)
            else:
                yield from asyncio.run(database_findings(settings, url, source))
    except EmbeddedError as error:
        yield Finding(Level.PROBLEM, "database", str(error))
    except TimeoutError:
        yield Finding(Level.PROBLEM, "database", f"no answer within {TIMEOUT:.0f} s")


@contextmanager
def _server(settings: Settings) -> Iterator[tuple[str | None, str]]:
    """Yield the URL of the database, or None if there is none yet, and a description."""
    if settings.postgresql_url is not None:
        yield settings.postgresql_url, "ROSTER_DATABASE_URL"
        return
    folder = settings.data_dir.absolute()
    major = wheel().version.partition(".")[0]
    cluster = embedded_cluster.locate(folder.resolve(), major) if folder.is_dir() else folder
    if not (cluster / "PG_VERSION").exists():
        yield None, "no data yet: `serve` will create it"
        return
    before = embedded_cluster.read_status(cluster)
    use = start(folder)
    try:
        now = embedded_cluster.read_status(cluster)
        was_running = before is not None and now is not None and before.pid == now.pid
        yield use.url, "embedded, running" if was_running else "embedded, started for these checks"
    finally:
        use.close()

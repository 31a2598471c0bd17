"""The lifecycle of the embedded PostgreSQL server: start, shared use, and stop.

    <data folder>/
    ├── postgresql-18/     the cluster
    ├── postgresql.log     the server's log; over 10 MB, the next start renames it to postgresql.log.1
    ├── start.lock         held by the process that starts or stops the server
    ├── in-use.lock        shared by the processes that use the server; the last one stops it
    └── server.lock        inherited by the server's own processes; if it is free, none of them is alive

The locks are flock(2) locks, because the kernel releases them however a process ends. A process id in a file is less
reliable: after a crash, or in another container, the same number may belong to another process.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from service.embedded import cluster as on_disk
from service.embedded.account import EmbeddedError, Programs, account_for, logger
from service.embedded.programs import grant_search, programs_for, wheel

__all__ = ["Embedded", "EmbeddedError", "start"]

READY_SECONDS = 60.0  # after a crash of the machine, the server replays its write-ahead log first
STOP_SECONDS = {"fast": 30.0, "immediate": 10.0}
POLL_SECONDS = 0.01
CONNECTION_FAILED = 2  # psql's exit code

# SECURITY: the service is not a superuser, so that an injected statement can neither read files nor run programs.
PREPARE = r"""
SELECT 'CREATE ROLE roster LOGIN CREATEDB'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'roster') \gexec
SELECT format('CREATE DATABASE %I OWNER roster', :'database')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
"""


def start(data_dir: Path, *, database: str = "roster", durable: bool = True) -> Embedded:
    """Return a use of the server of a data folder, whose cluster is created and whose server is started if necessary.

    `database` is created if it is missing. With `durable=False`, the server is faster, but a crash of the machine may
    destroy the data. Raise EmbeddedError.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = data_dir.resolve(strict=True)
        with _opened(folder / "start.lock") as start_lock:
            fcntl.flock(start_lock, fcntl.LOCK_EX)
            server = _server_of(folder, durable=durable)
            in_use = on_disk.open_own(folder / "in-use.lock")
            fcntl.flock(in_use, fcntl.LOCK_SH)
            try:
                url = server.ensure_running(database)
            except _NotReadyError:
                os.close(in_use)  # the server keeps running, because a stop would restart its recovery
                raise
            except BaseException:
                server.release(in_use)
                raise
    except OSError as error:
        raise EmbeddedError(
            f"the database cannot start: {error.filename or data_dir}: {error.strerror or error}"
        ) from error
    except subprocess.SubprocessError as error:
        raise EmbeddedError(f"the database in {data_dir} cannot start: {error}") from error
    return Embedded(url, server, in_use, database)


class Embedded:
    """One use of a running server; `url` suits asyncpg and `databases`."""

    def __init__(self, url: str, server: _Server, in_use: int, database: str) -> None:
        self.url = url
        self._server = server
        self._database = database
        self._killed = False  # and not started again since; a failed start removes the pid file
        self._in_use: int | None = in_use

    def restart_if_killed(self) -> None:
        """Start the server again if it was killed; one that was stopped properly stays stopped.

        Raise EmbeddedError, OSError, and subprocess.SubprocessError.
        """
        with _opened(self._server.folder / "start.lock") as start_lock:
            fcntl.flock(start_lock, fcntl.LOCK_EX)
            self._killed = self._killed or self._server.was_killed()
            if self._killed:
                started = time.monotonic()
                logger.error("the database in %s was killed, and is started again", self._server.folder)
                self._server.ensure_running(self._database)
                self._killed = False
                logger.warning("the database runs again after %.1f s", time.monotonic() - started)

    def close(self) -> None:
        """End the use. The last use stops the server and waits until it has stopped."""
        in_use, self._in_use = self._in_use, None
        if in_use is None:
            return
        try:
            with _opened(self._server.folder / "start.lock") as start_lock:
                fcntl.flock(start_lock, fcntl.LOCK_EX)
                self._server.release(in_use)
        except (OSError, subprocess.SubprocessError) as error:
            logger.error("the database in %s could not be stopped: %s", self._server.folder, error)


class _NotReadyError(EmbeddedError):
    """The server is alive, but does not accept connections yet."""


@dataclass(frozen=True, slots=True)
class _Server:
    """The server of one data folder, running or not. Call its methods only while `start.lock` is held."""

    folder: Path
    cluster: Path
    programs: Programs
    durable: bool

    def ensure_running(self, database: str) -> str:
        """Start the server unless it runs. Return the URL of a database in it, which is created if it is missing."""
        if url := self._url_when_ready(database, pid=None):
            return url
        if not (self.cluster / "PG_VERSION").exists():
            on_disk.create(self.cluster, self.programs, durable=self.durable)
        log = on_disk.open_log(self.folder, self.programs.account)
        try:
            position = os.lseek(log, 0, os.SEEK_END)
            if url := self._url_when_ready(database, pid=self._launch(log)):
                return url
            output = os.pread(log, 1 << 20, position).decode(errors="replace")
        finally:
            os.close(log)
        raise EmbeddedError(f"the database in {self.folder} did not start: {on_disk.failure_in(output)}")

    def was_killed(self) -> bool:
        """Return whether the server ended without removing its pid file."""
        return (self.cluster / "postmaster.pid").exists() and self._is_dead()

    def release(self, in_use: int) -> None:
        """End a use, and stop the server if it was the last one."""
        try:
            if _try_lock(in_use) and self._stop():
                on_disk.remove_socket_folder(self.cluster, self.programs.account)
        finally:
            os.close(in_use)

    def _launch(self, log: int) -> int:
        on_disk.remove_stale_pid_file(self.cluster)
        socket = on_disk.socket_folder(self.cluster, self.programs.account)
        settings = on_disk.settings(socket, durable=self.durable)
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        with _opened(self.folder / "server.lock") as inherited:
            _try_lock(inherited)
            return self.programs.detach("postgres", "-D", self.cluster, *options, output=log, inherit=inherited)

    def _url_when_ready(self, database: str, *, pid: int | None) -> str | None:
        """Wait until the server answers, in process `pid` if given. Return None if no process of it is alive."""
        deadline = time.monotonic() + READY_SECONDS
        obstacle = "it is starting, perhaps recovering from a crash, or stopping"
        while time.monotonic() < deadline:
            if self._is_dead():
                return None
            status = on_disk.read_status(self.cluster)
            if status is not None and status.ready and pid in (None, status.pid):
                obstacle = self._prepare(status.socket_folder, database)
                if not obstacle:
                    host = quote(str(status.socket_folder), safe="")
                    return f"postgresql://roster@/{quote(database, safe='')}?host={host}&port={on_disk.PORT}"
            time.sleep(POLL_SECONDS)
        raise _NotReadyError(f"the database in {self.folder} does not answer after {READY_SECONDS:.0f} s: {obstacle}")

    def _prepare(self, socket: Path, database: str) -> str:
        """Create the role and the database if missing. Return why no connection was possible, or an empty text."""
        target = f"host={socket} port={on_disk.PORT} user=postgres dbname=postgres"
        options = ["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-v", f"database={database}", "-d", target]
        result = self.programs.run("psql", *options, text=PREPARE)
        if result.returncode not in (0, CONNECTION_FAILED):
            raise EmbeddedError(f"the database {database} cannot be created: {on_disk.failure_in(result.stderr)}")
        return on_disk.failure_in(result.stderr) if result.returncode else ""

    def _stop(self) -> bool:
        """Stop the server. Return whether all of its processes have ended."""
        grant_search(self.folder, self.programs.account)  # again, because it may have been revoked since the start
        for mode, seconds in STOP_SECONDS.items():
            if self._is_dead():
                return True
            # SECURITY: pg_ctl runs as the server's account, because that account can write any number to the pid file.
            self.programs.run("pg_ctl", "stop", "-D", self.cluster, "-m", mode, "-W")
            deadline = time.monotonic() + seconds
            while time.monotonic() < deadline:
                if self._is_dead():
                    return True
                time.sleep(POLL_SECONDS)
        logger.error("the database in %s did not stop", self.folder)
        return False

    def _is_dead(self) -> bool:
        with _opened(self.folder / "server.lock") as lock:
            return _try_lock(lock)


def _server_of(folder: Path, *, durable: bool) -> _Server:
    cluster = on_disk.locate(folder, major=wheel().version.partition(".")[0])
    account = account_for(cluster)
    grant_search(folder, account)
    grant_search(cluster.parent, account)
    return _Server(folder, cluster, programs_for(account), durable)


def _try_lock(lock: int) -> bool:
    """Return whether the exclusive lock was acquired, without waiting for it."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    lock = on_disk.open_own(path)
    try:
        yield lock
    finally:
        os.close(lock)  # without LOCK_UN, which would also unlock it for a process that inherited it

"""How does the service come by a PostgreSQL server when none is configured?

    <data folder>/
    ├── postgresql-18/     the cluster
    ├── postgresql.log     what the server says; over 10 MB, a start puts it aside as postgresql.log.1
    ├── start.lock         held by whoever starts or stops the server
    ├── in-use.lock        shared by the processes that use the server: the last to leave stops it
    └── server.lock        inherited by the server's own processes: free means that none of them lives

The locks are flock(2) locks. The kernel frees them however a process ends, which a pid in a file does not promise:
after a crash, or in another container, the same number is another process.
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

from service import embedded_cluster as on_disk
from service.embedded_reach import grant_search, programs_for, wheel
from service.embedded_user import EmbeddedError, Programs, account_for, logger

__all__ = ["Embedded", "EmbeddedError", "start"]

READY_SECONDS = 60.0  # a server that replays its log after a crash of the machine needs more than a moment
STOP_SECONDS = {"fast": 30.0, "immediate": 10.0}
POLL_SECONDS = 0.01
CONNECTION_FAILED = 2  # psql's exit code

# SECURITY: the service is no superuser, so that a statement slipped past it can neither read files nor run programs.
PREPARE = r"""
SELECT 'CREATE ROLE roster LOGIN CREATEDB'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'roster') \gexec
SELECT format('CREATE DATABASE %I OWNER roster', :'database')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
"""


def start(data_dir: Path, *, database: str = "roster", durable: bool = True) -> Embedded:
    """Use the server of a data folder: make its cluster, start it, or join those who use it already.

    `database` is created if missing. `durable=False` trades the data's survival of a machine crash for speed.
    Raises EmbeddedError.
    """
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = data_dir.resolve(strict=True)
        with _opened(folder / "start.lock") as starting:
            fcntl.flock(starting, fcntl.LOCK_EX)
            server = _server_of(folder, durable=durable)
            in_use = on_disk.open_own(folder / "in-use.lock")
            fcntl.flock(in_use, fcntl.LOCK_SH)
            try:
                url = server.ensure_running(database)
            except _NotReadyError:
                os.close(in_use)  # and let the server be: stopped, it would begin its recovery anew
                raise
            except BaseException:
                server.leave(in_use)
                raise
    except OSError as error:
        raise EmbeddedError(
            f"the database cannot start: {error.filename or data_dir}: {error.strerror or error}"
        ) from error
    except subprocess.SubprocessError as error:
        raise EmbeddedError(f"the database in {data_dir} cannot start: {error}") from error
    return Embedded(url, server, in_use)


class Embedded:
    """One use of a running server; `url` is for asyncpg and for `databases`."""

    def __init__(self, url: str, server: _Server, in_use: int) -> None:
        self.url = url
        self._server = server
        self._in_use: int | None = in_use

    def close(self) -> None:
        """Give the use up. The last one out stops the server and waits until it has stopped."""
        in_use, self._in_use = self._in_use, None
        if in_use is None:
            return
        try:
            with _opened(self._server.folder / "start.lock") as starting:
                fcntl.flock(starting, fcntl.LOCK_EX)
                self._server.leave(in_use)
        except (OSError, subprocess.SubprocessError) as error:
            logger.error("the database in %s could not be stopped: %s", self._server.folder, error)


class _NotReadyError(EmbeddedError):
    """The server lives and does not answer yet."""


@dataclass(frozen=True, slots=True)
class _Server:
    """The server of one data folder, running or not; its methods are called under `start.lock`."""

    folder: Path
    cluster: Path
    programs: Programs
    durable: bool

    def ensure_running(self, database: str) -> str:
        """Start the server unless it runs; answer the URL of a database in it, which is made if missing."""
        if url := self._url_when_ready(database, pid=None):
            return url
        if not (self.cluster / "PG_VERSION").exists():
            on_disk.initialise(self.cluster, self.programs, durable=self.durable)
        log = on_disk.open_log(self.folder, self.programs.account)
        try:
            said_before = os.lseek(log, 0, os.SEEK_END)
            if url := self._url_when_ready(database, pid=self._launch(log)):
                return url
            said = os.pread(log, 1 << 20, said_before).decode(errors="replace")
        finally:
            os.close(log)
        raise EmbeddedError(f"the database in {self.folder} did not start: {on_disk.failure_in(said)}")

    def leave(self, in_use: int) -> None:
        """Give up a use, and stop the server if it was the last."""
        try:
            if _take(in_use) and self._stop():
                on_disk.remove_socket_folder(self.cluster, self.programs.account)
        finally:
            os.close(in_use)

    def _launch(self, log: int) -> int:
        on_disk.forget_dead_server(self.cluster)
        socket = on_disk.socket_folder(self.cluster, self.programs.account)
        settings = on_disk.settings(socket, durable=self.durable)
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        with _opened(self.folder / "server.lock") as inherited:
            _take(inherited)
            return self.programs.detach("postgres", "-D", self.cluster, *options, output=log, inherit=inherited)

    def _url_when_ready(self, database: str, *, pid: int | None) -> str | None:
        """Wait until the server answers, in process `pid` if given; None if no process of it lives."""
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
        """Make role and database unless they exist; answer why no connection could be had, nothing if one could."""
        where = f"host={socket} port={on_disk.PORT} user=postgres dbname=postgres"
        options = ["-X", "-q", "-w", "-v", "ON_ERROR_STOP=1", "-v", f"database={database}", "-d", where]
        done = self.programs.run("psql", *options, text=PREPARE)
        if done.returncode not in (0, CONNECTION_FAILED):
            raise EmbeddedError(f"the database {database} cannot be made: {on_disk.failure_in(done.stderr)}")
        return on_disk.failure_in(done.stderr) if done.returncode else ""

    def _stop(self) -> bool:
        """Stop the server; answer whether no process of it lives any more."""
        grant_search(self.folder, self.programs.account)  # again, for somebody may have taken it back
        for mode, seconds in STOP_SECONDS.items():
            if self._is_dead():
                return True
            # SECURITY: the pid file is the server's to write, so pg_ctl signals that pid with the server's rights.
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
            return _take(lock)


def _server_of(folder: Path, *, durable: bool) -> _Server:
    cluster = on_disk.locate(folder, major=wheel().version.partition(".")[0])
    account = account_for(cluster)
    grant_search(folder, account)
    grant_search(cluster.parent, account)
    return _Server(folder, cluster, programs_for(account), durable)


def _take(lock: int) -> bool:
    """Get a lock for oneself, if that needs no waiting."""
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
        os.close(lock)  # and nothing more: LOCK_UN would also take it from a process that inherited it

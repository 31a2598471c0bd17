"""The files of the embedded server: its cluster, socket folder, log, and status."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from service.embedded.account import Account, EmbeddedError, Programs

LOG_BYTES = 10_000_000
SMALL_MEMORY = 2 << 30  # bytes; below this size, the service needs the memory more than PostgreSQL's cache does
PORT = 5432  # only a part of the socket's name, because the server does not listen on TCP

_FAILURE = re.compile(r"(?:FATAL|PANIC|ERROR|error):\s+(.*\S)")


@dataclass(frozen=True, slots=True)
class Status:
    """The content of `postmaster.pid`, a file that remains after a server was killed."""

    pid: int
    socket_folder: Path
    ready: bool


def locate(data_dir: Path, major: str) -> Path:
    """Return the folder of the cluster, which may not exist yet.

    Raise EmbeddedError for data of another major version: with an empty cluster beside it, the data would seem lost.
    """
    cluster = data_dir / f"postgresql-{major}"
    if not (cluster / "PG_VERSION").exists():
        if cluster.exists() and any(cluster.iterdir()):
            raise EmbeddedError(f"{cluster} is not the data of a PostgreSQL server: move it away")
        others = sorted(path.parent for path in data_dir.glob("postgresql-*/PG_VERSION"))
        if not others:
            return cluster
        cluster = others[-1]
    version = (cluster / "PG_VERSION").read_text().strip()
    if version != major:
        raise EmbeddedError(
            f"{cluster} contains data of PostgreSQL {version}, but this service has PostgreSQL {major}: "
            "dump the data with the old version, then move the folder away"
        )
    return cluster.resolve()


def create(cluster: Path, programs: Programs, *, durable: bool) -> None:
    """Create an empty cluster under a temporary name, and rename it when it is complete and on the disk."""
    prefix = ".initdb-"
    for abandoned in cluster.parent.glob(f"{prefix}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    temporary = Path(tempfile.mkdtemp(prefix=prefix, dir=cluster.parent))
    try:
        os.chown(temporary, programs.account.uid, programs.account.gid, follow_symlinks=False)
        # The builtin provider sorts in the same way on every machine and after every update of the C library. pg_trgm
        # asks the C library which characters are letters; with LC_CTYPE=C, it would find none outside ASCII.
        ctype = "UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        # SECURITY: `trust` accepts every process that can open the socket; socket_folder restricts which ones can.
        access = "--username=postgres --auth-local=trust --auth-host=reject"
        text = f"--encoding=UTF8 --locale=C --lc-ctype={ctype} --locale-provider=builtin --builtin-locale=C.UTF-8"
        options = [*access.split(), *text.split(), "--data-checksums"]
        options += [] if durable else ["--no-sync"]
        result = programs.run("initdb", "-D", temporary, *options)
        if result.returncode != 0:
            raise EmbeddedError(f"the database cannot be created in {cluster.parent}: {failure_in(result.stderr)}")
        temporary.rename(cluster)
        folder = os.open(cluster.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def socket_folder(cluster: Path, account: Account) -> Path:
    """Return an empty folder for the cluster's socket, created if necessary.

    Call this only while no process holds `server.lock`. The folder is in /tmp, because a socket's address has at most
    107 bytes and the path of a data folder can be longer. It is not in $XDG_RUNTIME_DIR, because that folder is removed
    when its user logs out, and the server may still run then.
    """
    folder = _socket_path(cluster)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # SECURITY: every user can write to /tmp, and the owner of this folder can replace the server behind the socket. So
    # links are not followed, the folder of another user is rejected, and no other user may search the folder.
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EmbeddedError(
            f"{folder} is not a folder for the database's socket: remove it ({error.strerror})"
        ) from error
    try:
        if os.fstat(descriptor).st_uid not in (os.geteuid(), account.uid):
            raise EmbeddedError(f"{folder} belongs to another user: remove it")
        os.fchmod(descriptor, stat.S_IRWXU)
        os.fchown(descriptor, account.uid, account.gid)
        # A server that crashed leaves these behind
        for leftover in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(leftover, dir_fd=descriptor)
    finally:
        os.close(descriptor)
    return folder


def remove_socket_folder(cluster: Path, account: Account) -> None:
    """Remove the cluster's socket folder. Call this only while no process holds `server.lock`."""
    folder = _socket_path(cluster)
    if folder.exists() and folder.lstat().st_uid == account.uid:
        shutil.rmtree(folder, ignore_errors=True)


def settings(socket: Path, *, durable: bool) -> dict[str, str]:
    """Return the server's settings. They are passed on its command line, so that an older cluster gets them, too."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    values = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "max_connections": "200",
        "shared_buffers": "128MB" if memory < SMALL_MEMORY else "256MB",
        # SECURITY: the detail of an error contains the rejected value, such as an email address, and clients can cause
        # any number of errors. The service logs its own errors; this log is only for the state of the server.
        "log_min_messages": "log",
        "log_checkpoints": "off",
    }
    if not durable:
        values |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
    return values


def open_log(data_dir: Path, account: Account) -> int:
    """Return a descriptor of the server's log. A log that has become too long is renamed first."""
    path = data_dir / "postgresql.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return open_own(path, os.O_APPEND, account)


def open_own(path: Path, flags: int = 0, account: Account | None = None) -> int:
    """Return a descriptor of a file in the data folder, created if necessary.

    If root opens it, the account becomes its owner, or without an account the owner of the folder.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)
    status = os.fstat(descriptor)
    # SECURITY: if root works in the folder of another user, that user could place a symbolic or hard link there, and
    # root would open a file of its own or change the file's owner.
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
        os.close(descriptor)
        raise EmbeddedError(f"{path} is not a plain file: remove it")
    if os.geteuid() == 0:  # so that an ordinary user can run the service after root did
        owner = path.parent.stat()
        os.fchown(descriptor, *(account.uid, account.gid) if account else (owner.st_uid, owner.st_gid))
    return descriptor


def failure_in(text: str) -> str:
    """Return the first failure that a PostgreSQL program printed, because it causes the others, or its last line."""
    failures = _FAILURE.findall(text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (failures[:1] or lines[-1:] or ["it ended without a message (is the disk full?)"])[0]


def read_status(cluster: Path) -> Status | None:
    """Return the last status of the server of a cluster; None if it was stopped properly, or has only just started."""
    try:
        lines = (cluster / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        return Status(int(lines[0]), Path(lines[4]), lines[7].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def remove_stale_pid_file(cluster: Path) -> None:
    """Remove the pid file of a server that has ended, if its process id now belongs to another process.

    Call this only while no process holds `server.lock`. PostgreSQL would take the other process for the server, and
    would not start. In containers this is common: few process ids are in use, a restart assigns the same ones again,
    and a process that has ended may remain as a zombie. If the process has the cluster as its current folder, it may be
    a server that was started by hand, so the file is kept and PostgreSQL decides.
    """
    status = read_status(cluster)
    process = Path(f"/proc/{status.pid}" if status else "/nonexistent")
    try:
        alive = (process / "cwd").readlink() == cluster
    except PermissionError:  # a process of another user; PostgreSQL itself detects that it is not the server
        return
    except FileNotFoundError:
        alive = False
    if process.exists() and not alive:
        (cluster / "postmaster.pid").unlink()


def _socket_path(cluster: Path) -> Path:
    return Path("/tmp") / f"roster-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]}"  # noqa: S108

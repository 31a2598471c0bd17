"""What does the embedded server keep on the disk, and in what state is it?"""

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

from service.embedded_user import Account, EmbeddedError, Programs

LOG_BYTES = 10_000_000
SMALL_MEMORY = 2 << 30  # bytes; below it the service gets more out of them than PostgreSQL's cache does
PORT = 5432  # no port is opened: it is a part of the socket's name

_FAILURE = re.compile(r"(?:FATAL|PANIC|ERROR|error):\s+(.*\S)")


@dataclass(frozen=True, slots=True)
class Status:
    """What `postmaster.pid` says; it outlives a server that is killed."""

    pid: int
    socket_folder: Path
    ready: bool


def locate(data_dir: Path, major: str) -> Path:
    """Folder of the cluster, which need not exist yet.

    Raises EmbeddedError for data of another major version, which an empty cluster beside it would seem to have lost.
    """
    cluster = data_dir / f"postgresql-{major}"
    if not (cluster / "PG_VERSION").exists():
        if cluster.exists() and any(cluster.iterdir()):
            raise EmbeddedError(f"{cluster} is not the data of a PostgreSQL server: put it out of the way")
        others = sorted(each.parent for each in data_dir.glob("postgresql-*/PG_VERSION"))
        if not others:
            return cluster
        cluster = others[-1]
    version = (cluster / "PG_VERSION").read_text().strip()
    if version != major:
        raise EmbeddedError(
            f"{cluster} is of PostgreSQL {version} and this is {major}: dump it with the old version, then put it aside"
        )
    return cluster.resolve()


def initialise(cluster: Path, programs: Programs, *, durable: bool) -> None:
    """Make an empty cluster, whole or not at all: under another name, renamed once it is on the disk."""
    prefix = ".initdb-"
    for abandoned in cluster.parent.glob(f"{prefix}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    making = Path(tempfile.mkdtemp(prefix=prefix, dir=cluster.parent))
    try:
        os.chown(making, programs.account.uid, programs.account.gid, follow_symlinks=False)
        # The builtin provider sorts alike on every machine and after every update of its C library; pg_trgm asks the C
        # library what a letter is, and with LC_CTYPE=C would see none outside ASCII.
        letters = "UTF-8" if sys.platform == "darwin" else "C.UTF-8"
        # SECURITY: `trust` believes whoever opens the socket; see socket_folder for who can.
        access = "--username=postgres --auth-local=trust --auth-host=reject"
        text = f"--encoding=UTF8 --locale=C --lc-ctype={letters} --locale-provider=builtin --builtin-locale=C.UTF-8"
        options = [*access.split(), *text.split(), "--data-checksums"]
        options += [] if durable else ["--no-sync"]
        done = programs.run("initdb", "-D", making, *options)
        if done.returncode != 0:
            raise EmbeddedError(f"the database cannot be made in {cluster.parent}: {failure_in(done.stderr)}")
        making.rename(cluster)
        folder = os.open(cluster.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def socket_folder(cluster: Path, account: Account) -> Path:
    """Folder for the cluster's socket, made if need be and empty. To be called while nobody holds `server.lock`.

    It is in /tmp because a socket's address has 107 bytes at most, which a data folder's can exceed, and because
    $XDG_RUNTIME_DIR goes away when its user logs out while the server may go on.
    """
    folder = _socket_path(cluster)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # SECURITY: /tmp is everybody's. Whoever owns this folder can put a server of his own behind the socket, so it is
    # neither followed through a link nor taken from another user, and nobody else can open the socket in it.
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise EmbeddedError(
            f"{folder} is not a folder for the database's socket: remove it ({error.strerror})"
        ) from error
    try:
        if os.fstat(opened).st_uid not in (os.geteuid(), account.uid):
            raise EmbeddedError(f"{folder} belongs to another user: remove it")
        os.fchmod(opened, stat.S_IRWXU)
        os.fchown(opened, account.uid, account.gid)
        for left_by_a_crash in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(left_by_a_crash, dir_fd=opened)
    finally:
        os.close(opened)
    return folder


def remove_socket_folder(cluster: Path, account: Account) -> None:
    """Leave nothing in /tmp. To be called while nobody holds `server.lock`."""
    folder = _socket_path(cluster)
    if folder.exists() and folder.lstat().st_uid == account.uid:
        shutil.rmtree(folder, ignore_errors=True)


def settings(socket: Path, *, durable: bool) -> dict[str, str]:
    """Server settings; they are given on its command line, so that an older cluster gets today's."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    chosen = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "max_connections": "200",
        "shared_buffers": "128MB" if memory < SMALL_MEMORY else "256MB",
        # SECURITY: an error's detail has the value that was refused, such as an e-mail address, and clients can cause
        # any number of errors. The service reports its own; this log is for the server's state.
        "log_min_messages": "log",
        "log_checkpoints": "off",
    }
    if not durable:
        chosen |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
    return chosen


def open_log(data_dir: Path, account: Account) -> int:
    """Descriptor of the server's log; one that has grown too long is put aside first."""
    path = data_dir / "postgresql.log"
    if path.exists() and path.stat().st_size > LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return open_own(path, os.O_APPEND, account)


def open_own(path: Path, flags: int = 0, account: Account | None = None) -> int:
    """Descriptor of a file in the data folder, made if need be, for its account or else for the folder's owner."""
    opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | flags, 0o600)
    facts = os.fstat(opened)
    # SECURITY: root may be working in the folder of another user, who must not make it open or give away a file of
    # root's by a link, symbolic or hard.
    if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:
        os.close(opened)
        raise EmbeddedError(f"{path} is not a plain file: remove it")
    if os.geteuid() == 0:  # so that an ordinary user can go on after root
        owner = path.parent.stat()
        os.fchown(opened, *(account.uid, account.gid) if account else (owner.st_uid, owner.st_gid))
    return opened


def failure_in(text: str) -> str:
    """The first failure that a program of PostgreSQL's printed, which causes the others, or else its last line."""
    failures = _FAILURE.findall(text)
    said = [line.strip() for line in text.splitlines() if line.strip()]
    return (failures[:1] or said[-1:] or ["it ended without a word (is the disk full?)"])[0]


def read_status(cluster: Path) -> Status | None:
    """What the server of a cluster last said of itself; None if it was stopped properly, or is only just starting."""
    try:
        lines = (cluster / "postmaster.pid").read_text(errors="surrogateescape").splitlines()
        return Status(int(lines[0]), Path(lines[4]), lines[7].strip() == "ready")
    except (FileNotFoundError, IndexError, ValueError):
        return None


def forget_dead_server(cluster: Path) -> None:
    """Remove the pid file of a dead server whose number still stands for a process. See socket_folder for when.

    PostgreSQL takes that process for the server and refuses to start. In a container this is common: numbers are few,
    given out again after a restart, and nobody may be there to collect a dead process. A living server that somebody
    started by hand has the cluster as its current folder and is left to PostgreSQL's own judgement.
    """
    status = read_status(cluster)
    process = Path(f"/proc/{status.pid}" if status else "/nonexistent")
    try:
        alive = (process / "cwd").readlink() == cluster
    except PermissionError:  # another user's, which PostgreSQL knows is not the server
        return
    except FileNotFoundError:
        alive = False
    if process.exists() and not alive:
        (cluster / "postmaster.pid").unlink()


def _socket_path(cluster: Path) -> Path:
    return Path("/tmp") / f"roster-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]}"  # noqa: S108

"""Which account runs PostgreSQL's programs?

PostgreSQL refuses to run as root. Root therefore drops to an account of its own: the one that owns the cluster, else
`roster`, which is made on first use. Anybody else runs the programs under their own name.
"""

from __future__ import annotations

import logging
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger("roster.embedded")

PATIENCE = 300  # seconds for one program; initdb on a slow disk takes the longest


class EmbeddedError(Exception):
    """The embedded server cannot be used; the message is one line for the person who starts the service."""


@dataclass(frozen=True, slots=True)
class Account:
    """The system user, by number, whose processes the server's are."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL's programs in `folder`, run as `account`."""

    folder: Path
    account: Account

    def run(self, program: str, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end with `text` as its input.

        Raises OSError and subprocess.TimeoutExpired; a failure of the program itself is in the result's `returncode`.
        """
        command = [self.folder / program, *arguments]
        return subprocess.run(  # noqa: S603
            command,
            check=False,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=PATIENCE,
            **self._as_account(),
        )

    def detach(self, program: str, *arguments: str | Path, output: int, inherit: int) -> int:
        """Start a program in a session of its own, writing to the file `output` and holding `inherit`; answer its pid.

        The shell between leaves it to init, so that whoever starts it need not wait for it to end.
        """
        script = ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", self.folder / program, *arguments]
        done = subprocess.run(  # noqa: S603
            script,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            pass_fds=(inherit,),
            start_new_session=True,
            timeout=PATIENCE,
            check=True,
            **self._as_account(),
        )
        return int(done.stdout)

    def _as_account(self) -> dict[str, Any]:
        # SECURITY: the server outlives the service and its account can read its environment, so it gets none of the
        # service's own, where the secrets are.
        environment = {
            "PATH": os.defpath,
            "LC_ALL": "C",
            "TZ": "UTC",
            "PGCLIENTENCODING": "UTF8",
            "PGCONNECT_TIMEOUT": "5",
        }
        if library_path := os.environ.get("LD_LIBRARY_PATH"):
            environment["LD_LIBRARY_PATH"] = library_path
        options: dict[str, Any] = {"cwd": "/", "umask": 0o077, "env": environment}
        if os.geteuid() == 0:
            options |= {"user": self.account.uid, "group": self.account.gid, "extra_groups": []}
        return options


def account_for(cluster: Path) -> Account:
    """Account that runs the server of a cluster, which need not exist yet.

    Raises EmbeddedError when the cluster belongs to an account that this process cannot become.
    """
    owner = cluster.stat() if (cluster / "PG_VERSION").exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner.st_uid != os.geteuid():
            raise EmbeddedError(f"{cluster} belongs to user {account_name(owner.st_uid)}: run as that user, or as root")
        return Account(os.geteuid(), os.getegid())
    if owner is None:
        return _system_account()
    if owner.st_uid == 0:
        name = account_name(_system_account().uid)
        raise EmbeddedError(f"{cluster} belongs to root, which PostgreSQL refuses: give it to {name} with chown -R")
    return _account_of(owner)


def account_name(uid: int) -> str:
    """Login name of a user, or the number of one that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _system_account() -> Account:
    """The user `roster`, made if need be, or else another that is not root."""
    if _passwd_entry("roster") is None:
        _make_user("roster")
    for name in ("roster", "postgres", "nobody"):
        entry = _passwd_entry(name)
        if entry is None or entry.pw_uid == 0:
            continue
        if name != "roster":
            # SECURITY: whatever else runs as this user can read the database, so the operator is told.
            logger.warning("there is no user roster and none could be made, so the database runs as %s", name)
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(
        "PostgreSQL refuses to run as root, and there is no user for it: add a system user named roster"
    )


def _account_of(owner: os.stat_result) -> Account:
    # SECURITY: files that root restored can have root's group; the server gets the group of its user instead.
    try:
        return Account(owner.st_uid, pwd.getpwuid(owner.st_uid).pw_gid)
    except KeyError:
        return Account(owner.st_uid, owner.st_gid)


def _passwd_entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _make_user(name: str) -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
    if useradd is None:
        return
    # SECURITY: nobody logs in as this user; it exists to own the database's files and processes.
    options = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    done = subprocess.run([useradd, *options, name], check=False, capture_output=True, text=True, timeout=PATIENCE)  # noqa: S603
    if done.returncode != 0:
        logger.debug("useradd: %s", done.stderr.strip())

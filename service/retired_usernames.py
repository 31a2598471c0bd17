"""Usernames of deleted users: for a time no person can choose them, and pass for the one who had them before.

SECURITY: the database has a keyed hash of the folded name, so that a dump of it names no person whose data was erased.
Administrators can give such a name to a user, because they know who it is for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from service import limits
from service.credentials.encryption import Encryption
from service.errors import ErrorCode, Problems
from service.identifiers import fold

Run: TypeAlias = Callable[..., Awaitable[Any]]


async def retire_username(run: Run, encryption: Encryption, username: str | None) -> None:
    """Keep people from choosing the username of a user who is deleted in this transaction."""
    if username is not None:
        newest = encryption.digests(fold(username).encode())[0]
        await run("create_retired_username", hash=newest, days=limits.RETIRED_USERNAME_DAYS)


async def check_retired(run: Run, encryption: Encryption, columns: Mapping[str, Any], problems: Problems) -> None:
    """Add a problem for a new username that a deleted user had a short time ago. It is that of a taken one."""
    username = columns.get("username")
    if username is None or problems.has("username"):
        return
    if await run("is_retired_username", keys=encryption.digests(fold(username).encode())):
        problems.add(ErrorCode.TAKEN, "This username is already taken.", "username")

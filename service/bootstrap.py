"""Administrators that commands create: the root account of a first start, and those of `create-admin`."""

from __future__ import annotations

import secrets
import string
from typing import Any

from service.access.actor import system_actor
from service.credentials.password_policy import PasswordPolicy, password_problems
from service.credentials.passwords import PasswordHasher
from service.database.connection import Database
from service.identifiers import UsernamePolicy, email_problems, username_problems
from service.types.role import ADMIN_ROLE, ROOT_ROLE
from service.user_creation import create_account, password_event
from service.user_input import check_taken
from service.write import Write, write_as

ROOT_NAME = "root"
GENERATED_LENGTH = 20
LOCK = 0x726F6F74  # "root": several processes may start at the same time


def generated_password() -> str:
    """Return a password of about 119 bits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(GENERATED_LENGTH))


async def ensure_root(
    database: Database, hasher: PasswordHasher, email: str | None, password: str | None
) -> str | None:
    """Create the root account if there is none; return its password if that was generated."""
    async with write_as(system_actor("command:serve"), database, "user.create") as change:
        await change.run("lock_bootstrap", lock=LOCK)
        if await change.run("count_roots"):
            change.unchanged()
            return None
        chosen = password or generated_password()
        await _create(change, hasher, {"username": ROOT_NAME, "email": email, "role_id": ROOT_ROLE}, chosen)
    return None if password else chosen


async def create_admin(
    database: Database,
    hasher: PasswordHasher,
    policies: tuple[UsernamePolicy, PasswordPolicy],
    columns: dict[str, Any],
    password: str,
    *,
    root: bool,
) -> str:
    """Create an administrator with `username` and `email`, and return the id.

    Raise MutationRejected if the policies or the database reject it.
    """
    username, email = columns["username"], columns["email"]
    async with write_as(system_actor("command:create-admin"), database, "user.create") as change:
        change.problems.extend(username_problems(username, policies[0], "username"))
        change.problems.extend(password_problems(password, [username, email or ""], policies[1], "password"))
        if email is not None:
            columns["email"], found = email_problems(email, "email")
            change.problems.extend(found)
        role_id = ROOT_ROLE if root else ADMIN_ROLE
        return await _create(change, hasher, {**columns, "role_id": role_id}, password)


async def _create(change: Write, hasher: PasswordHasher, columns: dict[str, Any], password: str) -> str:
    await check_taken(change.run, columns, change.problems)
    change.problems.raise_if_any()
    password_hash = await hasher.hash(password)
    user = await create_account(change, columns, password_hash=password_hash)
    change.created(user, **password_event(password_hash))
    return str(user.id)

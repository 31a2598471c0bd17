"""Accounts that commands make: the root account of a first start, and whom `create-admin` adds."""

from __future__ import annotations

import secrets
import string

from service import names, passwords
from service.database import Database, Transaction
from service.errors import ErrorCode, Problem, Refused
from service.passwords import PasswordHasher, PasswordPolicy
from service.types.role import ADMIN_ROLE, ROOT_ROLE

ROOT_NAME = "root"
GENERATED_LENGTH = 20
LOCK = 0x726F6F74  # "root": several processes may start at once


def generated_password() -> str:
    """A password of about 119 bits."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(GENERATED_LENGTH))


async def ensure_root(
    database: Database, hasher: PasswordHasher, email: str | None, password: str | None
) -> str | None:
    """Makes the root account where there is none; gives its password where that was generated."""
    async with database.transaction() as transaction:
        await transaction.run("lock_bootstrap", lock=LOCK)
        if await transaction.run("count_roots"):
            return None
        chosen = password or generated_password()
        await _insert(transaction, hasher, ROOT_NAME, email, chosen, ROOT_ROLE)
        return None if password else chosen


async def create_account(  # noqa: PLR0917
    database: Database,
    hasher: PasswordHasher,
    policy: PasswordPolicy,
    usernames: names.UsernamePolicy,
    username: str,
    email: str | None,
    password: str,
    *,
    root: bool,
) -> str:
    """Makes an administrator and gives its id; Refused where the policy or the database says no."""
    problems = names.problems(username, usernames, "username")
    problems += passwords.problems(password, [username, email or ""], policy, "password")
    if email is not None:
        email, found = names.email_problems(email, "email")
        problems += found
    if problems:
        raise Refused(*problems)
    async with database.transaction() as transaction:
        return await _insert(transaction, hasher, username, email, password, ROOT_ROLE if root else ADMIN_ROLE)


async def _insert(  # noqa: PLR0917
    transaction: Transaction, hasher: PasswordHasher, username: str, email: str | None, password: str, role_id: str
) -> str:
    for statement, key, field in (("users_by_username", username, "username"), ("users_by_email", email, "email")):
        if key is not None and await transaction.run(statement, keys=[key]):
            raise Refused(Problem(ErrorCode.TAKEN, f"The {field} {key} is taken", (field,)))
    record: dict[str, object] = {
        "username": username,
        "email": email,
        "language": "en",
        "tier": "FREE",
        "role_id": role_id,
        "billing_address": {},
    }
    user = await transaction.run("create_user", record=record)
    await transaction.run("set_password", user_id=user["id"], password_hash=await hasher.hash(password))
    await transaction.run(
        "create_audit_event",
        event="user.create",
        actor_id=None,
        credential="command",
        target_type="User",
        target_id=user["id"],
        owner_id=user["id"],
        changes={"username": {"old": None, "new": username}, "roleId": {"old": None, "new": role_id}},
        ip=None,
        request_id=None,
    )
    return str(user["id"])

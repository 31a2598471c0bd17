"""The one way to create and to invite a user, for mutations, commands, and subusers."""

from __future__ import annotations

from typing import Any

from service import limits
from service.audit import REDACTED
from service.identifiers import UsernamePolicy, generated_username
from service.links import INVITATION, link
from service.mail.outbox import Template, send_mail
from service.one_time import Purpose, create_token, revoke_tokens
from service.types.plan import Tier
from service.types.role import USER_ROLE
from service.write import Write

USERNAME_TRIES = 5


async def create_account(change: Write, columns: dict[str, Any], *, password_hash: str | None = None) -> Any:
    """Create a user, and return the row.

    Without a role in the columns the user gets USER, without a plan the default plan, and without a tier the plan's.
    The caller describes the event.
    """
    plan = None
    if "plan_id" not in columns:
        plan = await change.run("default_plan")
        columns = {**columns, "plan_id": None if plan is None else plan.id}
    if columns["plan_id"] is not None:
        await change.run("attribute_plan", actor_id=change.actor.user_id)
    tier = Tier.FREE.value if plan is None else plan.tier
    user = await change.run("create_user", record={"role_id": USER_ROLE, "tier": tier, **columns})
    if password_hash is not None:
        await change.run("set_password", user_id=user.id, password_hash=password_hash)
    return user


async def invite(change: Write, user: Any) -> None:
    """Send a user without a password a mail with a link to set one. Only the newest link is valid."""
    await revoke_tokens(change.run, user.id, Purpose.INVITATION)
    token = await create_token(change.run, Purpose.INVITATION, user.id, limits.INVITATION, email=user.email)
    url = link(change.context.resources.settings, INVITATION, token)
    await send_mail(change, Template.INVITATION, user, url=url)


async def free_username(change: Write, email: str, policy: UsernamePolicy) -> str | None:
    """Return a generated username that is free, or None where the policy allows none."""
    username = generated_username(email, policy)
    for _ in range(USERNAME_TRIES):
        if username is None or not await change.run("users_by_username", keys=[username]):
            break
        username = generated_username(email, policy)
    return username


def password_event(password_hash: str | None) -> dict[str, str]:
    """Return what the event of a new user tells about the password."""
    return {} if password_hash is None else {"password": REDACTED}

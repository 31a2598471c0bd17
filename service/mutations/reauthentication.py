"""Proving again who one is, which sensitive mutations require."""

from __future__ import annotations

import strawberry

from service.access.rules import Access
from service.context import Info
from service.inputs import PASSWORD, TWO_FACTOR_CODE, given, optional
from service.mutations.guards import require_own_session
from service.mutations.own_password import OwnPassword
from service.mutations.session import LoginPayload
from service.payloads import mutation
from service.sessions import remaining_seconds, renew_session
from service.two_factor import require_code
from service.write import write


@strawberry.input(description="Proof of who you are: the password, and a code of the second factor")
class ReauthenticateInput:
    """Input of reauthenticate."""

    password: str = given("Password", PASSWORD)
    code: str | None = optional(
        "Code of the second factor, or a recovery code; required if the user has a second factor",
        TWO_FACTOR_CODE,
    )


@mutation(Access(own="account.read"))
async def reauthenticate(info: Info, input: ReauthenticateInput) -> LoginPayload:
    """Prove again who you are. Sensitive mutations are then possible for a time, and the session gets a new token.

    SECURITY: the old token is no longer valid (ASVS 5.0, 7.2.4).
    """
    context = info.context
    session_id = require_own_session(info)
    password = await OwnPassword.verified(info, input.password)
    info.problems.raise_if_any()
    await password.count_code(info, input.code or None)
    async with write(info, "session.reauthenticate") as change:
        user = await password.lock_user(change)
        await require_code(change, user, input.code or None)
        before = await change.lock("lock_session", session_id)
        session, token = await renew_session(change, session_id)
        change.updated(before, session)
        await password.succeeded(change.run)
    context.sign_in(change.actor, token, remaining_seconds(session))
    return LoginPayload(user=user, session=session, token=token)

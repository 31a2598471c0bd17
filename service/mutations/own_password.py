"""The caller's password, and codes of the caller's second factor, as the proof of who the caller is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.attempts import PASSWORD, TWO_FACTOR, Attempt, Run, begin_attempt
from service.context import Info
from service.errors import ApiError, ApiErrorCode, ErrorCode, reject
from service.inputs import camel_case
from service.write import Write


@dataclass(frozen=True, slots=True)
class OwnPassword:
    """A password that was verified; `person` is a row of `user_with_password`, `attempts` are those of the proof."""

    person: Any
    field: str
    attempts: list[Attempt]

    @classmethod
    async def verified(cls, info: Info, password: str, field: str = "password") -> OwnPassword:
        """Verify the caller's password; a wrong one is added to the problems, with the name of its field.

        SECURITY: a stolen session must not be enough to take over the account (ASVS 6.2.3, 7.5.1). The attempt is
        counted before (CVE-2024-4629), for the session or API key, so that it does not lock the user out elsewhere.
        """
        context, resources = info.context, info.context.resources
        user_id, request = context.actor.user_id, context.request
        person = await resources.database.read("user_with_password", id=user_id)
        if person is None:
            raise ApiError(ApiErrorCode.UNAUTHENTICATED, "This account no longer exists.")
        if person["password_hash"] is None:
            message = "This account has no password. Set one with requestPasswordReset."
            raise reject(ErrorCode.NOT_ALLOWED, message, camel_case(field))
        attempt = await begin_attempt(context, PASSWORD, account=user_id)
        if not await resources.hasher.verify(person["password_hash"], password, request.ip, request.is_gone):
            info.problems.extend(cls._wrong(field).problems)
        return cls(person, field, [attempt])

    async def count_code(self, info: Info, code: str | None) -> None:
        """Count an attempt at a code of the caller's second factor, if one is given."""
        if code:
            self.attempts.append(await begin_code(info))

    async def lock_user(self, change: Write) -> Any:
        """Return the caller's own user, locked until commit. Reject a password that was changed in the meantime."""
        user = await change.lock_own_user()
        stored = await change.run("lock_password_hash", user_id=user.id)
        if stored is None or stored["password_hash"] != self.person["password_hash"]:
            raise self._wrong(self.field)
        return user

    async def succeeded(self, run: Run) -> None:
        """Forget the attempts of the proof."""
        for attempt in self.attempts:
            await attempt.succeeded(run)

    @staticmethod
    def _wrong(field: str) -> Any:
        shown = camel_case(field)
        return reject(ErrorCode.WRONG_CREDENTIALS, f"{shown} is wrong.", shown)


async def begin_code(info: Info) -> Attempt:
    """Count an attempt at a code of the caller's own second factor.

    SECURITY: codes of every mutation are counted together (CVE-2026-9798).
    """
    return await begin_attempt(info.context, TWO_FACTOR, account=info.context.actor.user_id)

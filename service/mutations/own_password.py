"""The caller's own password, as the proof of who they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.attempts import PASSWORD, Attempt, begin_attempt
from service.context import Info
from service.errors import ApiError, ApiErrorCode, ErrorCode, reject
from service.inputs import camel_case
from service.write import Write


@dataclass(frozen=True, slots=True)
class OwnPassword:
    """A password that was verified; `person` is a row of `user_with_password`."""

    person: Any
    attempt: Attempt
    field: str

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
        return cls(person, attempt, field)

    async def require_unchanged(self, change: Write) -> None:
        """Reject a password that was changed or removed during its verification."""
        stored = await change.run("lock_password_hash", user_id=self.person["id"])
        if stored is None or stored["password_hash"] != self.person["password_hash"]:
            raise self._wrong(self.field)

    @staticmethod
    def _wrong(field: str) -> Any:
        shown = camel_case(field)
        return reject(ErrorCode.WRONG_CREDENTIALS, f"{shown} is wrong.", shown)

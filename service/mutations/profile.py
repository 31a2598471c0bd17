"""One's own profile and settings."""

from __future__ import annotations

from typing import Any

import strawberry

from service import limits
from service.access.rules import Access
from service.context import Info
from service.errors import ErrorCode, reject
from service.identifiers import fold
from service.inputs import given, optional
from service.mutations.guards import require_version
from service.payloads import mutation
from service.retired_usernames import check_retired
from service.scalars import JSON
from service.types.payload import UserPayload
from service.user_input import LANGUAGE, USERNAME, ProfileInput, check_taken, user_columns
from service.write import write


@strawberry.input(description="Change of your own profile; absent fields keep their value, null clears them")
class UpdateProfileInput(ProfileInput):
    """Input of updateProfile."""

    username: str | None = optional("Name to sign in with, unique ignoring case", USERNAME)
    language: str | None = optional("Language, a BCP 47 tag; null gives en", LANGUAGE)
    version: int | None = optional("Version that the change is based on; VERSION_MISMATCH if the user has another")


@strawberry.input(description="Change of your own settings")
class UpdateSettingsInput:
    """Input of updateSettings."""

    patch: JSON = given('JSON merge patch (RFC 7396): {"theme": null} removes the member theme')


@mutation(Access(own="account.update"), collects_problems=True)
async def update_profile(info: Info, input: UpdateProfileInput) -> UserPayload:
    """Change your own profile."""
    async with write(info, "user.profile") as change:
        user = await change.lock_own_user()
        require_version(user, input.version)
        columns = user_columns(info.context.resources, input, change.problems, user)
        await check_taken(change.run, columns, change.problems, user.id)
        if fold(columns.get("username") or "") != fold(user.username or ""):
            await check_retired(change.run, info.context.resources.encryption, columns, change.problems)
        changed = await change.run("update_user", id=user.id, changes=columns)
        change.updated(user, changed)
    return UserPayload(user=changed)


@mutation(Access(own="account.update"))
async def update_settings(info: Info, input: UpdateSettingsInput) -> UserPayload:
    """Change your own settings by a JSON merge patch (RFC 7396)."""
    patch = input.patch
    if not isinstance(patch, dict):
        raise reject(ErrorCode.INVALID, "patch must be an object.", "patch")
    async with write(info, "user.settings") as change:
        user = await change.lock_own_user()
        settings = merge_patch(user.settings, patch)
        if len(settings) > limits.SETTINGS_MEMBERS:
            message = f"Settings must have at most {limits.SETTINGS_MEMBERS} members."
            raise reject(ErrorCode.TOO_LONG, message, "patch")
        changed = await change.run("update_user", id=user.id, changes={"settings": settings})
        change.updated(user, changed)
    return UserPayload(user=changed)


def merge_patch(target: Any, patch: Any) -> Any:
    """Return the target after an RFC 7396 patch: null removes a member, objects are merged, other values replace."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged

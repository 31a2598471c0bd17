"""One's own account: profile and settings."""

from __future__ import annotations

import datetime as dt
from typing import Any

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, refuse
from service.inputs import NAME, given, optional
from service.mutations.user import expect_version
from service.payloads import mutation
from service.people import LANGUAGE_LENGTH, USERNAME_LENGTH, BillingAddressInput, person
from service.scalars import JSON
from service.types.payload import UserPayload

MOST_MEMBERS = 256


@strawberry.input(description="Change of one's own profile; absent fields keep their value, null clears them")
class UpdateProfileInput:
    """Input of updateProfile."""

    username: str | None = optional("Name to sign in with, unique ignoring case", USERNAME_LENGTH)
    first_name: str | None = optional("First name", NAME)
    last_name: str | None = optional("Last name", NAME)
    display_name: str | None = optional("Name to show instead of first and last name", NAME)
    language: str | None = optional("Language, a BCP 47 tag; null gives en", LANGUAGE_LENGTH)
    date_of_birth: dt.date | None = optional("Date of birth")
    billing_address: BillingAddressInput | None = optional("Address for invoices")
    version: int | None = optional(
        "Version that the change is meant for; VERSION_MISMATCH when the account has another"
    )


@strawberry.input(description="Change of one's own settings")
class UpdateSettingsInput:
    """Input of updateSettings."""

    patch: JSON = given('JSON merge patch (RFC 7396): {"theme": null} removes the member theme')


@mutation(Access(own="account.update"))
async def update_profile(info: Info, input: UpdateProfileInput) -> UserPayload:
    """Change one's own profile."""
    async with info.context.write(info, "user.profile") as write:
        user = await write.own_account()
        expect_version(user, input.version)
        changed = await write.run("update_user", id=user.id, changes=person(info.context.house, input, user))
        write.changed(user, changed)
    return UserPayload(user=changed)


@mutation(Access(own="account.update"))
async def update_settings(info: Info, input: UpdateSettingsInput) -> UserPayload:
    """Change one's own settings by a JSON merge patch (RFC 7396)."""
    patch = input.patch
    if not isinstance(patch, dict):
        raise refuse(ErrorCode.INVALID, "The patch must be an object", "patch")
    async with info.context.write(info, "user.settings") as write:
        user = await write.own_account()
        settings = merge_patch(user.settings, patch)
        if len(settings) > MOST_MEMBERS:
            raise refuse(ErrorCode.TOO_LONG, f"Settings may have {MOST_MEMBERS} members at most", "patch")
        changed = await write.run("update_user", id=user.id, changes={"settings": settings})
        write.changed(user, changed)
    return UserPayload(user=changed)


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: null removes a member, an object is merged, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = merge_patch(merged.get(name), value)
    return merged

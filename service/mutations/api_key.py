"""A user's own API keys. A key never has, creates, or extends what its creator does not have."""

from __future__ import annotations

import datetime as dt
from typing import Any

import strawberry

from service import limits
from service.access.rules import Access
from service.audit import REDACTED
from service.context import Info
from service.credentials.tokens import TokenKind, digest, new_token, visible_prefix
from service.database.constraints import CONSTRAINTS
from service.errors import ErrorCode, reject
from service.inputs import KEY_NAME, Future, Items, Number, changes, given, optional
from service.mail.outbox import Template, send_mail, where_and_when
from service.mutations.guards import require_lasting_credential, require_values
from service.networks import all_within, canonical_networks
from service.payloads import Payload, mutation, result
from service.scalars import CIDR, Permission
from service.types.api_key import ApiKey
from service.types.payload import DeletePayload
from service.write import Write, write

NETWORKS = Items(limits.NETWORKS_PER_API_KEY)
PERMISSIONS = Items(limits.PERMISSIONS_PER_API_KEY)


@strawberry.input(description="New API key of your own")
class CreateApiKeyInput:
    """Input of createApiKey."""

    name: str = given("Name, unique among your own keys", KEY_NAME)
    permissions: list[Permission] | None = optional(
        "Permissions that the key lists, within the caller's own; without any the key reads public fields only",
        PERMISSIONS,
    )
    allowed_ips: list[CIDR] | None = optional("Networks that the key may be used from; if empty, any network", NETWORKS)
    expires_at: dt.datetime | None = optional("Time when the key expires; without it, it does not expire", Future())


@strawberry.input(description="Change of an API key; absent fields keep their value, null clears them")
class UpdateApiKeyInput:
    """Input of updateApiKey."""

    id: strawberry.ID = given("Id of the key")
    name: str | None = optional("Name, unique among your own keys", KEY_NAME)
    permissions: list[Permission] | None = optional(
        "Permissions that the key lists, within the caller's own", PERMISSIONS
    )
    allowed_ips: list[CIDR] | None = optional("Networks that the key may be used from; null means any", NETWORKS)
    expires_at: dt.datetime | None = optional("Time when the key expires; null means never", Future())


@strawberry.input(description="API key that gets a new secret")
class RotateApiKeyInput:
    """Input of rotateApiKey."""

    id: strawberry.ID = given("Id of the key")
    grace_seconds: int | None = given(
        "Seconds for which the old secret stays valid, at most 30 days", Number(0, limits.API_KEY_GRACE), default=0
    )


@strawberry.input(description="API key to delete")
class DeleteApiKeyInput:
    """Input of deleteApiKey."""

    id: strawberry.ID = given("Id of the key")


@strawberry.type(description="Payload of createApiKey and rotateApiKey")
class CreateApiKeyPayload(Payload):
    """A key and its secret, or errors."""

    api_key: ApiKey | None = result("Key as it is now")
    secret: str | None = result('Secret, to send as "Authorization: Bearer"; it is not shown again')


@strawberry.type(description="Payload of updateApiKey")
class ApiKeyPayload(Payload):
    """A key, or errors."""

    api_key: ApiKey | None = result("Key as it is now")


@mutation(Access(own="api-keys.create"), collects_problems=True, sensitive=True)
async def create_api_key(info: Info, input: CreateApiKeyInput) -> CreateApiKeyPayload:
    """Create an API key of your own. Its secret is in this payload only."""
    names = _grantable(info, input.permissions or [])
    secret = new_token(TokenKind.API_KEY)
    async with write(info, "api-key.create") as change:
        # SECURITY: counted while the user is locked, because parallel requests could exceed the limit (CVE-2025-69198)
        user = await change.lock_own_user()
        require_lasting_credential(change)
        await _check_room(change, user.id, "name")
        columns = {
            "permissions": names,
            "allowed_ips": canonical_networks(input.allowed_ips or []),
            "expires_at": input.expires_at or None,
        }
        _check_within_own_key(change, columns)
        if change.problems:  # otherwise the constraint reports the name
            await _check_name(change, user.id, input.name)
        change.relies_on(names)
        replaced = await change.run("delete_expired_api_key", user_id=user.id, name=input.name)
        key = await change.run(
            "create_api_key",
            user_id=user.id,
            name=input.name,
            prefix=visible_prefix(secret),
            hash=digest(secret),
            **columns,
        )
        await _notify(change, user, key.name)
        change.created(key, **({} if replaced is None else {"replaced": replaced.id}))
    return CreateApiKeyPayload(api_key=key, secret=secret)


@mutation(Access(own="api-keys.update"), collects_problems=True, sensitive=True)
async def update_api_key(info: Info, input: UpdateApiKeyInput) -> ApiKeyPayload:
    """Change one of your API keys."""
    columns = changes(input, "name", "permissions", "allowed_ips", "expires_at")
    require_values(columns, info.problems, name="name")
    if "permissions" in columns:
        columns["permissions"] = _grantable(info, columns["permissions"] or [])
    if "allowed_ips" in columns:
        columns["allowed_ips"] = canonical_networks(columns["allowed_ips"] or [])
    async with write(info, "api-key.update") as change:
        _owner, key = await _lock_key(change, input.id)
        if columns.get("name") is not None and change.problems:
            await _check_name(change, key.user_id, columns["name"], key.id)
        after = {name: columns.get(name, key[name]) for name in ("permissions", "allowed_ips", "expires_at")}
        _check_within_own_key(change, after)
        now = dt.datetime.now(dt.UTC)
        if key.expires_at is not None and key.expires_at <= now and "expires_at" in columns:
            await _check_room(change, key.user_id, "expiresAt")
        change.relies_on(columns.get("permissions", ()))
        changed = await change.run("update_api_key", id=key.id, changes=columns)
        change.updated(key, changed)
    return ApiKeyPayload(api_key=changed)


@mutation(Access(own="api-keys.update"), sensitive=True)
async def rotate_api_key(info: Info, input: RotateApiKeyInput) -> CreateApiKeyPayload:
    """Replace the secret of one of your API keys. The old secret stays valid for the grace period."""
    secret = new_token(TokenKind.API_KEY)
    async with write(info, "api-key.rotate") as change:
        owner, key = await _lock_key(change, input.id)
        if key.id == change.actor.api_key_id:
            change.ends_own_credential()
        await change.run("expire_api_key_secrets", api_key_id=key.id, grace=float(input.grace_seconds or 0))
        await change.run("create_api_key_secret", hash=digest(secret), api_key_id=key.id)
        changed = await change.run("rotate_api_key", id=key.id, prefix=visible_prefix(secret))
        await _notify(change, owner, key.name)
        change.updated(key, changed, secret=(REDACTED, REDACTED))
    return CreateApiKeyPayload(api_key=changed, secret=secret)


@mutation(Access(any="users.credentials", own="api-keys.delete"), sensitive=True)
async def delete_api_key(info: Info, input: DeleteApiKeyInput) -> DeletePayload:
    """Delete an API key, which is not valid from then on."""
    async with write(info, "api-key.delete") as change:
        _owner, key = await _lock_key(change, input.id)
        await change.require_owner_not_above(key)
        if key.id == change.actor.api_key_id:
            change.ends_own_credential()
        await change.run("delete_api_key", id=key.id)
        change.deleted(key)
    return DeletePayload(deleted_id=input.id)


async def _lock_key(change: Write, key_id: str) -> tuple[Any, Any]:
    """Return the owner of the key to change, and the key, both locked until commit.

    SECURITY: a key does not change a key of its own user that is stronger than itself (calagopus/panel issue 85). Keys
    of other users require `users.credentials`, which compares the users.
    """
    # Users are locked before their keys everywhere, because two requests could deadlock otherwise
    owner = None
    for found in await change.run("api_keys_by_id", keys=[key_id]):
        owner = await change.run("lock_user", id=found.user_id)
    key = await change.lock("lock_api_key", key_id)
    if key.user_id == change.actor.user_id:
        require_lasting_credential(change)
        stronger = _beyond_own_key(change, key)
        if stronger:
            raise reject(
                ErrorCode.NOT_ALLOWED, f"This API key has {stronger[0][1]} beyond those of the key in use.", "id"
            )
    return owner, key


async def _notify(change: Write, owner: Any, key_name: str) -> None:
    """Send the owner a mail about a new secret (ASVS 6.3.7)."""
    await send_mail(change, Template.API_KEY_CREATED, owner, key_name=key_name, **where_and_when(change))


def _check_within_own_key(change: Write, columns: Any) -> None:
    """Add a problem for everything in which a key would be stronger than the API key that the caller uses.

    SECURITY: otherwise a stolen key for one network and one day could create one for all networks that never expires.
    """
    beyond = [(field, what) for field, what in _beyond_own_key(change, columns) if not change.problems.has(field)]
    for field, what in beyond:
        message = f"This requires {what} within those of the API key in use."
        change.problems.add(ErrorCode.NOT_ALLOWED, message, field)


def _beyond_own_key(change: Write, key: Any) -> list[tuple[str, str]]:
    """Return the fields in which a key is stronger than the API key in use, each with a word for it."""
    bounds = change.actor.key_bounds
    if bounds is None:
        return []
    ends = key["expires_at"]
    within = (
        ("permissions", "permissions", set(key["permissions"]) <= (change.actor.authority.scope or frozenset())),
        ("allowedIps", "networks", all_within(key["allowed_ips"], bounds.allowed_ips)),
        ("expiresAt", "an expiry", bounds.expires_at is None or (ends is not None and ends <= bounds.expires_at)),
    )
    return [(field, what) for field, what, fits in within if not fits]


async def _check_room(change: Write, user_id: str, field: str) -> None:
    """Add a problem if the user, who is locked, has as many valid keys as allowed."""
    if await change.run("count_valid_api_keys", user_id=user_id) >= limits.API_KEYS_PER_USER:
        message = f"A user may have at most {limits.API_KEYS_PER_USER} API keys that have not expired."
        change.problems.add(ErrorCode.LIMIT_REACHED, message, field)


async def _check_name(change: Write, user_id: str, name: str, key_id: str | None = None) -> None:
    if not change.problems.has("name") and await change.run(
        "api_key_name_is_taken", user_id=user_id, name=name, id=key_id
    ):
        change.problems.extend([CONSTRAINTS["api_keys_name_key"]])


def _grantable(info: Info, names: list[Permission]) -> list[str]:
    """Return the names in order, each once; add a problem for each that the caller does not hold."""
    if info.problems.has("permissions"):
        return []
    held = info.context.actor.authority.grantable
    for position, name in enumerate(names):
        if name not in held:
            message = f"You do not hold the permission {name}."
            info.problems.add(ErrorCode.NOT_ALLOWED, message, "permissions", str(position))
    return sorted({str(name) for name in names})

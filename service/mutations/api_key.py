"""API keys: a key never holds, makes or widens what its maker does not hold."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from typing import Any, TypeAlias

import strawberry

from service.access import Access
from service.context import Info
from service.errors import ErrorCode, Fault, FaultCode, Problem, Refused, refuse
from service.inputs import SHORT_NAME, Items, Number, changes, given, optional
from service.payloads import Payload, mutation
from service.scalars import CIDR, Permission
from service.secrets import TokenKind, digest, new_token, visible_prefix
from service.types.api_key import ApiKey
from service.types.payload import DeletePayload
from service.write import REDACTED, Write

MOST_KEYS = 50
LONGEST_GRACE = 30 * 86_400
MAPPED_PREFIX = 96  # ::ffff:0:0/96 is IPv4
NETWORKS = Items(50)
PERMISSIONS = Items(200)
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@strawberry.input(description="New API key of one's own")
class CreateApiKeyInput:
    """Input of createApiKey."""

    name: str = given("Name, unique among one's own keys", SHORT_NAME)
    permissions: list[Permission] | None = optional(
        "Permissions that the key lists, each of which the caller holds; without any the key reads public fields only",
        PERMISSIONS,
    )
    allowed_ips: list[CIDR] | None = optional(
        "Networks that the key may be used from; without any, every network", NETWORKS
    )
    expires_at: dt.datetime | None = optional("Time from which the key does not count any more; without one it stays")


@strawberry.input(description="Change of an API key; absent fields keep their value, null clears them")
class UpdateApiKeyInput:
    """Input of updateApiKey."""

    id: strawberry.ID = given("Id of the key")
    name: str | None = optional("Name, unique among one's own keys", SHORT_NAME)
    permissions: list[Permission] | None = optional(
        "Permissions that the key lists, each of which the caller holds", PERMISSIONS
    )
    allowed_ips: list[CIDR] | None = optional("Networks that the key may be used from; null: every network", NETWORKS)
    expires_at: dt.datetime | None = optional("Time from which the key does not count any more; null: it stays")


@strawberry.input(description="API key to give a new secret")
class RotateApiKeyInput:
    """Input of rotateApiKey."""

    id: strawberry.ID = given("Id of the key")
    grace_seconds: int | None = given(
        "Seconds for which the old secret lives on, 30 days at most", Number(0, LONGEST_GRACE), default=0
    )


@strawberry.input(description="API key to delete")
class DeleteApiKeyInput:
    """Input of deleteApiKey."""

    id: strawberry.ID = given("Id of the key")


@strawberry.type(description="Answer of createApiKey and rotateApiKey")
class CreateApiKeyPayload(Payload):
    """A key and its secret, or errors."""

    api_key: ApiKey | None = strawberry.field(description="Key as it is now", default=None)
    secret: str | None = strawberry.field(
        description='Secret, to be sent as "Authorization: Bearer"; here and never again', default=None
    )


@strawberry.type(description="Answer of updateApiKey")
class ApiKeyPayload(Payload):
    """A key, or errors."""

    api_key: ApiKey | None = strawberry.field(description="Key as it is now", default=None)


@mutation(Access(own="api-keys.create"))
async def create_api_key(info: Info, input: CreateApiKeyInput) -> CreateApiKeyPayload:
    """Create an API key; its secret is in this answer and never again."""
    names = _grantable(info, input.permissions or [])
    _ahead(input.expires_at or None)
    secret = new_token(TokenKind.API_KEY)
    async with info.context.write(info, "api-key.create") as write:
        # SECURITY: counted under the lock on the user, or parallel requests pass the limit together (CVE-2025-69198)
        user = await write.own_account()
        maker = await _maker(write)
        if await write.run("count_api_keys_of_user", user_id=user.id) >= MOST_KEYS:
            raise refuse(ErrorCode.LIMIT_REACHED, f"A user may have {MOST_KEYS} API keys", "name")
        key = await write.run(
            "create_api_key",
            user_id=user.id,
            name=input.name,
            prefix=visible_prefix(secret),
            permissions=names,
            allowed_ips=_networks(input.allowed_ips or []),
            expires_at=input.expires_at or None,
        )
        _within(maker, key)
        await write.run("create_api_key_secret", hash=digest(secret), api_key_id=key.id)
        write.created(key)
    return CreateApiKeyPayload(api_key=key, secret=secret)


@mutation(Access(own="api-keys.update"))
async def update_api_key(info: Info, input: UpdateApiKeyInput) -> ApiKeyPayload:
    """Change an API key of one's own."""
    columns = changes(input, "name", "permissions", "allowed_ips", "expires_at")
    if "name" in columns and columns["name"] is None:
        raise refuse(ErrorCode.REQUIRED, "A name cannot be removed", "name")
    if "permissions" in columns:
        columns["permissions"] = _grantable(info, columns["permissions"] or [])
    if "allowed_ips" in columns:
        columns["allowed_ips"] = _networks(columns["allowed_ips"] or [])
    _ahead(columns.get("expires_at"))
    async with info.context.write(info, "api-key.update") as write:
        key, maker = await _key(write, input.id)
        changed = await write.run("update_api_key", id=key.id, changes=columns)
        _within(maker, changed)
        write.changed(key, changed)
    return ApiKeyPayload(api_key=changed)


@mutation(Access(own="api-keys.update"))
async def rotate_api_key(info: Info, input: RotateApiKeyInput) -> CreateApiKeyPayload:
    """Give an API key of one's own a new secret; the old one lives on for the grace."""
    secret = new_token(TokenKind.API_KEY)
    async with info.context.write(info, "api-key.rotate") as write:
        key, _ = await _key(write, input.id)
        await write.run("expire_api_key_secrets", api_key_id=key.id, grace=float(input.grace_seconds or 0))
        await write.run("create_api_key_secret", hash=digest(secret), api_key_id=key.id)
        changed = await write.run("rotate_api_key", id=key.id, prefix=visible_prefix(secret))
        write.changed(key, changed, secret=REDACTED)
    return CreateApiKeyPayload(api_key=changed, secret=secret)


@mutation(Access(any="users.credentials", own="api-keys.delete"))
async def delete_api_key(info: Info, input: DeleteApiKeyInput) -> DeletePayload:
    """Delete an API key, which stops counting at once."""
    async with info.context.write(info, "api-key.delete") as write:
        key, _ = await _key(write, input.id)
        await write.not_above_owner(key)
        await write.run("delete_api_key", id=key.id)
        write.deleted(key)
    return DeletePayload(deleted_id=input.id)


async def _key(write: Write, key_id: str) -> tuple[Any, Any]:
    """The key to change, and the key that the request came by (None for a session)."""
    # Users are locked before their keys everywhere, or two requests would wait for each other
    for found in await write.run("api_keys_by_id", keys=[key_id]):
        await write.run("lock_user", id=found.user_id)
    key = await write.lock("lock_api_key", key_id)
    maker = await _maker(write)
    # SECURITY: a key does not touch one of its own user's that is stronger than itself (calagopus/panel issue 85).
    # Others' keys are the business of `users.credentials`, which compares their owners.
    if key.user_id == write.actor.user_id:
        _within(maker, key, "id")
    return key, maker


async def _maker(write: Write) -> Any:
    """The key that the request came by, None for a session. Run under the lock on its user."""
    key_id = write.actor.api_key_id
    if key_id is None:
        return None
    # SECURITY: what lives on for a grace only must not make, widen or rotate what outlives it
    if write.actor.retiring:
        raise refuse(ErrorCode.NOT_ALLOWED, "This secret was rotated out; use the new one")
    found = await write.run("api_keys_by_id", keys=[key_id])
    # SECURITY: a key that was deleted meanwhile leaves none behind
    if not found:
        raise Fault(FaultCode.UNAUTHENTICATED, "The session or API key is not valid any more")
    return found[0]


def _within(maker: Any, key: Any, field: str | None = None) -> None:
    """Refuses a key that is stronger than its maker: by its permissions, its networks or its life.

    SECURITY: or who steals a key for one network and one day makes one for all networks and for ever.
    """
    if maker is None:
        return
    networks = [ipaddress.ip_network(network) for network in maker.allowed_ips]
    for name, what, fits in (
        ("permissions", "permissions", set(key.permissions) <= set(maker.permissions)),
        (
            "allowedIps",
            "networks",
            not networks or (key.allowed_ips and all(_inside(n, networks) for n in key.allowed_ips)),
        ),
        ("expiresAt", "an expiry", maker.expires_at is None or (key.expires_at and key.expires_at <= maker.expires_at)),
    ):
        if not fits:
            raise refuse(ErrorCode.NOT_ALLOWED, f"This takes {what} beyond those of the API key in use", field or name)


def _inside(network: str, others: Sequence[Network]) -> bool:
    inner = ipaddress.ip_network(network)
    return any(inner.version == outer.version and inner.subnet_of(outer) for outer in others)  # type: ignore[arg-type]


def _networks(given_networks: Sequence[CIDR]) -> list[str]:
    """Each network once; an IPv4 network in IPv6 dress (RFC 4291, 2.5.5.2) is the one that callers come from."""
    found = set()
    for text in given_networks:
        network = ipaddress.ip_network(text)
        mapped = getattr(network.network_address, "ipv4_mapped", None)
        if mapped is not None and network.prefixlen >= MAPPED_PREFIX:
            network = ipaddress.ip_network((mapped, network.prefixlen - MAPPED_PREFIX))
        found.add(str(network))
    return sorted(found)


def _grantable(info: Info, names: list[Permission]) -> list[str]:
    """The names in order, each once; Refused where the caller does not hold one of them."""
    held = info.context.actor.held.grantable
    problems = [
        Problem(ErrorCode.NOT_ALLOWED, f"You do not hold {name}", ("permissions", str(position)))
        for position, name in enumerate(names)
        if name not in held
    ]
    if problems:
        raise Refused(*problems)
    return sorted(set(names))


def _ahead(expires_at: dt.datetime | None) -> None:
    if expires_at is not None and expires_at <= dt.datetime.now(dt.UTC):
        raise refuse(ErrorCode.INVALID, "The expiry must lie ahead", "expiresAt")

"""Access tokens in tests: how they are made, also those that the service would never make."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service.context import Resources
from tests.conftest import Client, Person

ISSUER = "http://localhost:8000"
ME = "{ me { username } }"
CREATE = "mutation ($input: CreateAccessTokenInput) { createAccessToken(input: $input) { accessToken expiresAt } }"
LOGOUT = "mutation { logout { endedSessions } }"
NOT_VALID = "The access token is not valid. Create a new one."
Parts: TypeAlias = "tuple[dict[str, Any], dict[str, Any]]"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(segment: str) -> bytes:
    return base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


def parts_of(token: str) -> Parts:
    """Return the header and the claims of a token."""
    header, claims, _ = token.split(".")
    return json.loads(decoded(header)), json.loads(decoded(claims))


def assembled(header: dict[str, Any], claims: dict[str, Any], sign: Callable[[bytes], bytes]) -> str:
    """Return a token that says anything, signed by a function."""
    text = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
    return f"{text}.{encoded(sign(text.encode()))}"


async def created(client: Client, by: Person | str, audience: str | None = None) -> str:
    payload = await client.data(CREATE, {"input": {"audience": audience}}, by=by)
    return str(payload["createAccessToken"]["accessToken"])


async def own_key(client: Client) -> Ed25519PrivateKey:
    """Return the private key that signs, as an attacker could never have it."""
    resources: Resources = client.resources
    found = await resources.signing_keys.current()
    assert found is not None
    private = found[1].as_dict(private=True)["d"]
    return Ed25519PrivateKey.from_private_bytes(decoded(str(private)))


async def caller(client: Client, token: str) -> str | None:
    """Return the name of the caller; None if the token was rejected."""
    answer = await client.execute(ME, by=token)
    if "errors" not in answer:
        return str(answer["data"]["me"]["username"])
    assert [(error["message"], error["extensions"]) for error in answer["errors"]] == [
        (NOT_VALID, {"code": "UNAUTHENTICATED"})
    ]
    return None

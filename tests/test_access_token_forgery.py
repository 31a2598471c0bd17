"""Access tokens that are not valid: forged, changed, or without what they must say."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.access_tokens import (
    ME,
    Parts,
    assembled,
    caller,
    created,
    decoded,
    encoded,
    own_key,
    parts_of,
)
from tests.conftest import Client, Person
from tests.sessions import login

FORGERIES: dict[str, Callable[[dict[str, Any], dict[str, Any]], Parts]] = {
    "wrong typ": lambda h, c: (h | {"typ": "JWT"}, c),
    "typ absent": lambda h, c: ({name: h[name] for name in ("alg", "kid")}, c),
    "typ of another kind": lambda h, c: (h | {"typ": "logout+jwt"}, c),
    "kid path": lambda h, c: (h | {"kid": "../../../../dev/null"}, c),
    "kid of SQL": lambda h, c: (h | {"kid": "' OR '1'='1"}, c),
    "kid unknown": lambda h, c: (h | {"kid": "01900000-0000-7000-8000-000000000000"}, c),
    "kid a list": lambda h, c: (h | {"kid": [h["kid"]]}, c),
    "kid absent": lambda h, c: ({name: h[name] for name in ("alg", "typ")}, c),
    "crit": lambda h, c: (h | {"crit": ["b64"], "b64": False}, c),
    "embedded jwk": lambda h, c: (h | {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": "A" * 43}}, c),
    "jku": lambda h, c: (h | {"jku": "https://attacker.test/jwks.json"}, c),
    "exp absent": lambda h, c: (h, {name: c[name] for name in c if name != "exp"}),
    "exp past": lambda h, c: (h, c | {"exp": int(time.time()) - 10, "iat": int(time.time()) - 700}),
    "exp a text": lambda h, c: (h, c | {"exp": str(c["exp"])}),
    "exp far": lambda h, c: (h, c | {"exp": c["iat"] + 901}),
    "exp null": lambda h, c: (h, c | {"exp": None}),
    "iat absent": lambda h, c: (h, {name: c[name] for name in c if name != "iat"}),
    "iat in the future": lambda h, c: (h, c | {"iat": c["iat"] + 300}),
    "nbf in the future": lambda h, c: (h, c | {"nbf": c["iat"] + 300}),
    "aud of another": lambda h, c: (h, c | {"aud": "https://shop.test"}),
    "aud absent": lambda h, c: (h, {name: c[name] for name in c if name != "aud"}),
    "aud a list": lambda h, c: (h, c | {"aud": [c["aud"], "https://shop.test"]}),
    "sub absent": lambda h, c: (h, {name: c[name] for name in c if name != "sub"}),
    "sub a number": lambda h, c: (h, c | {"sub": 7}),
    "sid absent": lambda h, c: (h, {name: c[name] for name in c if name != "sid"}),
    "sid not an id": lambda h, c: (h, c | {"sid": "x"}),
    "sid of another user's session": lambda h, c: (h, c | {"sub": "01900000-0000-7000-8000-000000000000"}),
    "jti absent": lambda h, c: (h, {name: c[name] for name in c if name != "jti"}),
}


@pytest.mark.parametrize("trap", FORGERIES)
async def test_a_wrong_token_is_rejected_even_with_a_right_signature(client: Client, alice: Person, trap: str) -> None:
    header, claims = parts_of(await created(client, alice))
    private = await own_key(client)
    assert await caller(client, assembled(header, claims, private.sign)) == "alice"
    assert await caller(client, assembled(*FORGERIES[trap](header, claims), private.sign)) is None


@pytest.mark.parametrize("name", ["none", "None", "HS256", "HS384", "HS512", "ES256", "RS256", "Ed25519", "", 1, None])
async def test_a_token_cannot_choose_its_algorithm_cve_2022_29217_cve_2017_11424(
    client: Client, alice: Person, name: Any
) -> None:
    header, claims = parts_of(await created(client, alice))
    [published] = (await client.http.get("/.well-known/jwks.json")).json()["keys"]
    raw = decoded(published["x"])
    secrets = [raw, published["x"].encode(), json.dumps(published).encode(), b""]
    hashes = {"HS256": hashlib.sha256, "HS384": hashlib.sha384}
    for secret in secrets:

        def mac(text: bytes, secret: bytes = secret) -> bytes:
            return hmac.new(secret, text, hashes.get(name, hashlib.sha512)).digest()

        forged = assembled(header | {"alg": name}, claims, mac)
        assert (await client.execute(ME, by=forged))["data"]["me"] is None
    for size in (0, 64):
        forged = assembled(header | {"alg": name}, claims, lambda _text, size=size: bytes(size))  # type: ignore[misc]
        assert (await client.execute(ME, by=forged))["data"]["me"] is None
    # A form with the right length is verified, and names this service: it is rejected, not ignored
    assert await caller(client, assembled(header | {"alg": name}, claims, lambda _text: b"\0" * 64)) is None


async def test_the_signature_of_another_key_and_a_changed_token_are_rejected(client: Client, alice: Person) -> None:
    token = await created(client, alice)
    header, claims = parts_of(token)
    assert await caller(client, assembled(header, claims, Ed25519PrivateKey.generate().sign)) is None
    _, bob_session = await login(client, "bob")
    text = encoded(json.dumps(claims | {"sid": bob_session}).encode())
    head, _, signature = token.split(".")
    assert await caller(client, f"{head}.{text}.{signature}") is None


async def test_a_flood_of_wrong_tokens_does_not_reach_the_database(client: Client, alice: Person) -> None:
    header, claims = parts_of(await created(client, alice))
    forger, private = Ed25519PrivateKey.generate(), await own_key(client)
    assert await caller(client, assembled(header, claims, private.sign)) == "alice"
    flood = [assembled(header, claims | {"jti": str(n)}, forger.sign) for n in range(50)]
    flood += [
        assembled(*change(header, claims), private.sign)
        for trap, change in FORGERIES.items()
        if "another user" not in trap and "kid" not in trap
    ]
    before = client.reads
    for token in flood:
        assert await caller(client, token) is None
    assert client.reads == before
    ids = [f"01900000-0000-7000-8000-{n:012}" for n in range(100)]
    unknown = [assembled(header | {"kid": key_id}, claims, forger.sign) for key_id in ids]
    assert await asyncio.gather(*(caller(client, token) for token in unknown)) == [None] * 100
    assert client.reads <= before + 2, "at most once a second"

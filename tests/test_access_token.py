"""Access tokens: what they contain, what is not accepted as one, and that they end with their session."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from service.context import Resources
from service.credentials import access_tokens
from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person, opened_client
from tests.sessions import aged, impersonated, key, login

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


async def test_a_token_names_the_session_and_others_can_verify_it(client: Client, alice: Person) -> None:
    token, session_id = await login(client, "alice")
    before = int(time.time())
    payload = (await client.data(CREATE, {"input": {"audience": "https://shop.test"}}, by=token))["createAccessToken"]
    header, claims = parts_of(payload["accessToken"])
    keys = (await client.http.get("/.well-known/jwks.json")).json()["keys"]
    [published] = keys
    assert header == {"alg": "EdDSA", "kid": published["kid"], "typ": "at+jwt"}
    assert claims == {
        "iss": ISSUER,
        "sub": alice.id,
        "aud": "https://shop.test",
        "exp": claims["exp"],
        "iat": claims["iat"],
        "jti": claims["jti"],
        "client_id": ISSUER,
        "sid": session_id,
    }
    assert (before <= claims["iat"] <= before + 5, 595 <= claims["exp"] - before <= 605) == (True, True)
    assert payload["expiresAt"].startswith(time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(claims["exp"])))
    text, _, signature = payload["accessToken"].rpartition(".")
    Ed25519PublicKey.from_public_bytes(decoded(published["x"])).verify(decoded(signature), text.encode())
    assert published.keys() == {"kty", "crv", "x", "kid", "use", "alg"}
    assert parts_of(await created(client, token))[1]["jti"] != claims["jti"]


async def test_a_token_for_this_service_is_a_credential_of_the_session(client: Client, alice: Person) -> None:
    token = await created(client, alice)
    assert await caller(client, token) == "alice"
    fields = "{ me { email sessions { totalCount nodes { current } } apiKeys { totalCount } } }"
    assert await client.data(fields, by=token) == await client.data(fields, by=alice)
    value = {"firstName": "Alicia"}
    assert (await client.mutate("updateProfile", value, "user { firstName }", by=token))["user"] == value


async def test_a_token_for_another_audience_is_not_accepted(client: Client, alice: Person) -> None:
    for audience in ("https://shop.test", f"{ISSUER}/", "x"):
        assert await caller(client, await created(client, alice, audience)) is None
    assert await caller(client, await created(client, alice, ISSUER)) == "alice"


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


async def test_a_token_ends_with_its_session_on_every_worker(
    client: Client, root: Person, alice: Person, database_url: str
) -> None:
    async with opened_client(client.resources.settings, database_url) as other:
        for way in ("logout", "logoutAll", "suspension", "expiry", "idle", "password"):
            token, session_id = await login(client, "alice")
            access = await created(client, token)
            for worker in (client, other):
                assert await caller(worker, access) == "alice"
            code = "UNAUTHENTICATED"
            if way == "logout":
                await client.data(LOGOUT, by=access)
            elif way == "logoutAll":
                await client.data("mutation { logoutAll { endedSessions } }", by=token)
            elif way == "suspension":
                await client.mutate("suspendUser", {"id": alice.id}, "", by=root)
                code = "USER_SUSPENDED"
            elif way == "password":
                await client.mutate("setPassword", {"userId": alice.id, "password": f"{PASSWORD}-2"}, "", by=root)
            else:
                column = {"expiry": "expires_at", "idle": "idle_expires_at"}[way]
                await client.rows(f"UPDATE sessions SET {column} = now() WHERE id = $1", session_id)  # noqa: S608
            for worker in (client, other):
                answer = await worker.execute(ME, by=access)
                assert (way, answer["errors"][0]["extensions"]["code"]) == (way, code)
            if way == "suspension":
                await client.mutate("unsuspendUser", {"id": alice.id}, "", by=root)


async def test_the_role_of_now_counts(client: Client, root: Person, admin: Person) -> None:
    token = await created(client, admin)
    document = "{ users { totalCount } }"
    assert "errors" not in await client.execute(document, by=token)
    await client.mutate("updateUser", {"id": admin.id, "roleName": "USER"}, "", by=root)
    assert (await client.execute(document, by=token))["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_token_creates_no_token_also_in_a_batch(client: Client, admin: Person) -> None:
    token = await created(client, admin)
    document = "mutation { createAccessToken { accessToken errors { code message } } }"
    message = "Use the token of the session. An access token is not enough."
    rejected = {"accessToken": None, "errors": [{"code": "NOT_ALLOWED", "message": message}]}
    assert await client.data(document, by=token) == {"createAccessToken": rejected}
    # Later operations of a batch authenticate again
    update = {"query": 'mutation { updateProfile(input: {firstName: "A"}) { errors { code } } }'}
    headers = {"authorization": f"Bearer {token}"}
    response = await client.http.post("/graphql", json=[update, {"query": document}], headers=headers)
    assert response.json()[1] == {"data": {"createAccessToken": rejected}}


async def test_sensitive_mutations_follow_the_session(client: Client, admin: Person, bob: Person) -> None:
    old = await created(client, await aged(client, "adam"))
    document = "mutation ($id: ID!) { deleteUser(input: {id: $id}) { deletedId } }"
    answer = await client.execute(document, {"id": bob.id}, by=old)
    assert answer["errors"][0]["extensions"] == {"code": "REAUTH_REQUIRED"}
    assert (await client.data(document, {"id": bob.id}, by=await created(client, admin)))["deleteUser"]["deletedId"]


async def test_an_api_key_gets_no_token(client: Client, alice: Person) -> None:
    robot = await key(client, alice, "sessions.read")
    payload = await client.mutate("createAccessToken", {}, "accessToken", by=robot["secret"])
    assert (payload["accessToken"], payload["errors"][0]["code"]) == (None, "NOT_ALLOWED")


async def test_a_token_of_an_impersonated_session_names_the_impersonator(
    client: Client, admin: Person, bob: Person
) -> None:
    token = await created(client, await impersonated(client, admin, bob))
    claims = parts_of(token)[1]
    assert (claims["sub"], claims["act"]) == (bob.id, {"sub": admin.id})
    assert await caller(client, token) == "bob"
    answer = await client.execute('mutation { createApiKey(input: {name: "x"}) { secret } }', by=token)
    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN"}


async def sent(client: Client, query: str, headers: dict[str, str]) -> httpx.Response:
    client.http.cookies.clear()
    return await client.http.post("/graphql", json={"query": query}, headers=headers)


async def test_no_cookie_is_set_and_none_is_read_pterodactyl_1_7_0(client: Client, alice: Person) -> None:
    token = await created(client, (await login(client, "alice"))[0])
    document = f'mutation {{ login(input: {{login: "bob", password: "{PASSWORD}"}}) {{ token }} }}'
    for query in (ME, document, LOGOUT, ME):  # after the logout the token is not valid
        assert "set-cookie" not in (await sent(client, query, {"authorization": f"Bearer {token}"})).headers
    token = await created(client, alice)
    for name in ("roster", "__Host-roster"):
        response = await sent(client, ME, {"cookie": f"{name}={token}"})
        assert response.json()["data"] == {"me": None}
    # Only the Authorization header counts
    for url in (f"/graphql?access_token={token}", f"/graphql?token={token}"):
        assert (await client.http.post(url, json={"query": ME})).json() == {"data": {"me": None}}


async def test_a_token_of_another_issuer_is_not_a_credential(client: Client, alice: Person) -> None:
    header, claims = parts_of(await created(client, alice))
    foreign = assembled(header, claims | {"iss": "https://proxy.test"}, (await own_key(client)).sign)
    assert await client.execute(ME, by=foreign) == {"data": {"me": None}}
    response = await sent(client, ME, {"authorization": f"Bearer {foreign}", "cookie": f"roster={alice.token}"})
    assert response.json() == {"data": {"me": {"username": "alice"}}}


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


async def test_the_lifetime_is_a_setting_and_never_longer_than_the_session(
    database_url: str, people: dict[str, Person]
) -> None:
    async with opened_client(Settings(access_token_lifetime=300), database_url) as client:
        claims = parts_of(await created(client, people["alice"]))[1]
        assert 295 <= claims["exp"] - claims["iat"] <= 300
        token, session_id = await login(client, "alice")
        await client.rows("UPDATE sessions SET expires_at = now() + interval '60 seconds' WHERE id = $1", session_id)
        claims = parts_of(await created(client, token))[1]
        assert 50 <= claims["exp"] - claims["iat"] <= 60


async def test_the_audience_has_a_limit(client: Client, alice: Person) -> None:
    payload = await client.mutate("createAccessToken", {"audience": "x" * 256}, "accessToken", by=alice)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("TOO_LONG", ["audience"])]


async def test_a_longest_token_is_still_accepted(database_url: str, people: dict[str, Person]) -> None:
    url = f"https://{'x' * 240}.test"
    async with opened_client(Settings(public_url=url), database_url) as client:
        token = await created(client, await impersonated(client, people["adam"], people["bob"]))
        assert len(token) < access_tokens.LONGEST
        assert await caller(client, token) == "bob"

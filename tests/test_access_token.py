"""Access tokens: what they contain, what is not accepted as one, and that they end with their session."""

from __future__ import annotations

import time
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from service.credentials import access_tokens
from service.settings import Settings
from tests.access_tokens import (
    CREATE,
    ISSUER,
    LOGOUT,
    ME,
    assembled,
    caller,
    created,
    decoded,
    own_key,
    parts_of,
)
from tests.conftest import PASSWORD, Client, Person, opened_client
from tests.objects import SSH_KEY
from tests.sessions import aged, impersonated, key, login


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


async def test_a_token_creates_and_changes_no_key_and_no_link(client: Client, admin: Person, bob: Person) -> None:
    mine = await key(client, admin, "account.read")
    token = await created(client, admin)
    mutations: dict[str, dict[str, Any]] = {
        "addSshKey": {"name": "laptop", "publicKey": SSH_KEY},
        "createApiKey": {"name": "for ever"},
        "createAutologinLink": {"userId": bob.id},
        "deleteApiKey": {"id": mine["id"]},
        "rotateApiKey": {"id": mine["id"]},
        "updateApiKey": {"id": mine["id"], "permissions": ["users.read"]},
    }
    for field, value in mutations.items():
        errors = (await client.mutate(field, value, "__typename", by=token))["errors"]
        assert [error["code"] for error in errors] == ["NOT_ALLOWED"], field


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

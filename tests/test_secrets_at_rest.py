"""Secrets: only hashes are stored, and a secret is in one response, but in no log line, event, or list."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from service.credentials.tokens import visible_prefix
from tests.conftest import PASSWORD, Client, Person
from tests.links import NEW, last_mail, register
from tests.second_factors import challenged, login_options, verify, with_app, with_passkey

NEW_PASSWORD = NEW["password"]
EVENTS = "{ auditEvents(first: 100) { nodes { event changes credential requestId actorId targetId targetType } } }"
CREDENTIALS = """{ me { sessions { nodes { id userAgent device } } apiKeys { nodes { id name prefix } }
  auditEvents(first: 100) { nodes { event changes } } } }"""


async def everything(client: Client) -> str:
    """Return every value of every column of every table, as text."""
    tables = await client.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    assert {"users", "credentials", "session_tokens", "api_key_secrets", "audit_events"} <= {row[0] for row in tables}
    stored = []
    for [table] in tables:
        rows = await client.rows(f'SELECT CAST(to_jsonb(t) AS text) FROM "{table}" AS t')  # noqa: S608
        stored += [f"{table}: {row[0]}" for row in rows]
    return "\n".join(stored)


def spellings(secret: str) -> list[str]:
    """Return the forms that a secret could have in a column: as it is, as bytes, encoded, or without its prefix."""
    raw = secret.encode()
    body = secret.split("_", 1)[-1]
    return [secret, body, raw.hex(), base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode()]


async def use_every_secret(client: Client, admin: Person, alice: Person) -> dict[str, str]:
    """Return secrets of every kind by name; each was in the one response that shows it."""
    secrets = {"template session": alice.token, "template password": PASSWORD}
    login = {"login": "alice", "password": PASSWORD}
    secrets["session"] = (await client.mutate("login", login, "token", by=alice))["token"]
    secrets["wrong password"] = "the-password-of-no-user-91"
    await client.mutate("login", login | {"password": secrets["wrong password"]}, "token")
    value = {"name": "deploy", "permissions": ["account.read", "api-keys.update"]}
    created = await client.mutate("createApiKey", value, "secret apiKey { id }", by=alice)
    secrets["rotated API key"] = created["secret"]
    rotation = {"id": created["apiKey"]["id"], "graceSeconds": 600}
    secrets["API key"] = (await client.mutate("rotateApiKey", rotation, "secret", by=created["secret"]))["secret"]
    secrets["access token"] = (await client.mutate("createAccessToken", {}, "accessToken", by=alice))["accessToken"]
    secrets["signature of it"] = secrets["access token"][-86:]
    assert (await client.data("{ me { id } }", by=secrets["access token"]))["me"] == {"id": alice.id}
    link = await client.mutate("createAutologinLink", {"userId": alice.id}, "url", by=admin)
    secrets["autologin link"] = link["url"].partition("#")[2]
    opened = await client.mutate("openAutologinLink", {"token": secrets["autologin link"]}, "token")
    secrets["impersonated session"] = opened["token"]
    secrets["unused autologin link"] = (
        await client.mutate("createAutologinLink", {"userId": alice.id}, "url", by=admin)
    )["url"].partition("#")[2]
    secrets["renewed session"] = (
        await client.mutate("reauthenticate", {"password": PASSWORD}, "token", by=secrets["session"])
    )["token"]
    secrets["own new password"] = "a-quite-new-horse-1723"
    change = {"currentPassword": PASSWORD, "newPassword": secrets["own new password"]}
    assert await client.mutate("changePassword", change, "", by=alice) == {"errors": []}
    secrets["first password"] = "another-users-lamp-88"
    carol = {"username": "carol", "password": secrets["first password"], "idempotencyKey": "order-4711-key"}
    created = await client.mutate("createUser", carol, "user { id }", by=admin)
    secrets["set password"] = "and-yet-another-lamp-89"
    value = {"userId": created["user"]["id"], "password": secrets["set password"]}
    assert await client.mutate("setPassword", value, "", by=admin) == {"errors": []}
    for name in ("API key", "rotated API key"):
        assert (await client.data("{ me { email } }", by=secrets[name]))["me"]["email"] == "alice@roster.test"
    return secrets


async def use_links_and_factors(client: Client, bob: Person) -> dict[str, str]:
    """Return the secrets of mails and second factors by name."""
    secrets = {"registration password": NEW["password"]}
    assert (await register(client))["data"]["register"]["errors"] == []
    secrets["registration"] = (await last_mail(client, NEW["email"])).token
    await client.mutate("requestPasswordReset", {"email": "bob@roster.test"}, "")
    secrets["reset"] = (await last_mail(client, "bob@roster.test")).token
    await client.mutate("changeEmail", {"email": "robert@roster.test", "password": PASSWORD}, "", by=bob)
    secrets["change of address"] = (await last_mail(client, "robert@roster.test")).token
    await with_passkey(client, bob)
    app = await with_app(client, bob)
    secrets |= {"app": app.secret} | {f"recovery code {number}": code for number, code in enumerate(app.codes)}
    secrets["challenge"] = await challenged(client, "bob")
    secrets["challenge of a passkey"] = (await login_options(client))["challenge"]
    secrets["session of two factors"] = (await verify(client, secrets["challenge"], app.codes[0]))["token"]
    return secrets


async def test_no_table_contains_a_secret_of_links_and_factors(client: Client, bob: Person) -> None:
    secrets = await use_links_and_factors(client, bob)
    stored = await everything(client)
    for name, secret in secrets.items():
        assert all(spelling not in stored for spelling in (*spellings(secret), secret.replace("-", ""))), name
    used = [await client.mutate("verifyEmail", {"token": secrets["registration"]}, "user { id }") for _ in range(2)]
    assert [payload["errors"] == [] for payload in used] == [True, False], "it was a usable secret"


async def test_no_log_line_contains_a_secret_of_links_and_factors(
    client: Client, bob: Person, root: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = await use_links_and_factors(client, bob)
    await client.mutate("verifyEmail", {"token": secrets["registration"]}, "user { id }")
    logged = "".join(capsys.readouterr()) + json.dumps(await client.data(EVENTS, by=root))
    assert logged.count("/graphql") >= 10, "every request was logged"
    for name, secret in secrets.items():
        assert all(spelling not in logged for spelling in (*spellings(secret), secret.replace("-", ""))), name


async def test_no_table_contains_a_secret(client: Client, admin: Person, alice: Person) -> None:
    secrets = await use_every_secret(client, admin, alice)
    stored = await everything(client)
    for name, secret in secrets.items():
        for spelling in spellings(secret):
            assert spelling not in stored, name
    for name in ("renewed session", "API key", "rotated API key", "unused autologin link"):
        assert hashlib.sha256(secrets[name].encode()).hexdigest() in stored, "only the hash is stored"


async def test_passwords_are_stored_as_argon2id_with_a_salt_each(client: Client, admin: Person, alice: Person) -> None:
    await use_every_secret(client, admin, alice)
    hashes = [row["password_hash"] for row in await client.rows("SELECT password_hash FROM credentials")]
    assert len(hashes) == len(set(hashes)) == 6
    assert all(text.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for text in hashes)


async def test_users_with_the_same_password_have_different_hashes(client: Client, root: Person) -> None:
    for username in ("carol", "dave"):
        await client.mutate("createUser", {"username": username, "password": NEW_PASSWORD}, "user { id }", by=root)
    rows = await client.rows(
        "SELECT password_hash FROM credentials JOIN users ON users.id = user_id WHERE username IN ('carol', 'dave')"
    )
    hashes = {row["password_hash"] for row in rows}
    assert len(hashes) == 2
    assert all(item.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for item in hashes)


async def test_no_later_response_contains_a_secret(client: Client, admin: Person, root: Person, alice: Person) -> None:
    secrets = await use_every_secret(client, admin, alice)
    shown = json.dumps([await client.data(EVENTS, by=root), await client.data(CREDENTIALS, by=alice)])
    for name, secret in secrets.items():
        assert all(spelling not in shown for spelling in spellings(secret)), name
    assert visible_prefix(secrets["API key"]) in shown, "the start of an API key is shown, to recognize it"
    assert "[redacted]" in shown


@pytest.mark.parametrize("password", ["12345678", "walr-77", NEW_PASSWORD])
async def test_no_response_contains_a_password(client: Client, root: Person, bob: Person, password: str) -> None:
    for field, value, by in (
        ("changePassword", {"currentPassword": PASSWORD, "newPassword": password}, bob),
        ("createUser", {"username": "carol", "password": password}, root),
        ("updateUser", {"id": bob.id, "password": password}, root),
        ("setPassword", {"userId": bob.id, "password": password}, root),
        ("setPassword", {"userId": root.id, "password": password}, root),
        ("login", {"login": "carol", "password": password}, root),
    ):
        call = f"{field}(input: $input) {{ user {{ id }} errors {{ code message }} }}"
        response = await client.http.post(
            "/graphql",
            json={
                "query": f"mutation ($input: {field[0].upper()}{field[1:]}Input!) {{ {call} }}",
                "variables": {"input": value},
            },
            headers={"authorization": f"Bearer {by.token}"},
        )
        assert (response.status_code, "data" in response.json(), "errors" in response.json()) == (200, True, False)
        for secret in (password, PASSWORD, "argon2"):
            assert secret not in response.text


async def test_no_log_line_contains_a_secret(
    client: Client, admin: Person, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = await use_every_secret(client, admin, alice)
    for query in ("{ me { nonsense } }", "{", 'mutation { login(input: {login: "alice", password: 7}) { token } }'):
        await client.execute(query, by=secrets["API key"])
    await client.http.get("/graphql", params={"query": '{ user(by: {email: "bob@roster.test"}) { id } }'})
    logged = "".join(capsys.readouterr())
    assert logged.count("/graphql") >= 12, "every request was logged"
    for name, secret in secrets.items():
        assert all(spelling not in logged for spelling in spellings(secret)), name
    assert "bob@roster.test" not in logged

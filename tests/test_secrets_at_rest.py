"""What is kept of a secret: a hash; and where it is told: in one answer, no log line, no event, no list."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest

from service.secrets import visible_prefix
from tests.conftest import PASSWORD, Door, Person

EVENTS = "{ auditEvents(first: 100) { nodes { event changes credential requestId } } }"
CREDENTIALS = """{ me { sessions { nodes { id userAgent device } } apiKeys { nodes { id name prefix } }
  auditEvents(first: 100) { nodes { event changes } } } }"""


async def everything(door: Door) -> str:
    """Every value of every column of every table, as text."""
    tables = await door.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    assert {"users", "credentials", "session_tokens", "api_key_secrets", "audit_events"} <= {row[0] for row in tables}
    kept = []
    for [table] in tables:
        rows = await door.rows(f'SELECT CAST(to_jsonb(t) AS text) FROM "{table}" AS t')  # noqa: S608
        kept += [f"{table}: {row[0]}" for row in rows]
    return "\n".join(kept)


def spellings(secret: str) -> list[str]:
    """The secret as it could stand in a column: as it is, as bytes, encoded, or without its prefix."""
    raw = secret.encode()
    body = secret.split("_", 1)[-1]
    return [secret, body, raw.hex(), base64.b64encode(raw).decode().rstrip("="), base64.urlsafe_b64encode(raw).decode()]


async def use_every_secret(door: Door, admin: Person, alice: Person) -> dict[str, str]:
    """Secrets by what they are, each of them told by now to whom it belongs."""
    secrets = {"template session": alice.token, "template password": PASSWORD}
    login = {"login": "alice", "password": PASSWORD}
    secrets["session"] = (await door.change("login", login, "token", by=alice))["token"]
    secrets["refused password"] = "this-was-never-anybodys-91"
    await door.change("login", login | {"password": secrets["refused password"]}, "token")
    value = {"name": "deploy", "permissions": ["account.read", "api-keys.update"]}
    made = await door.change("createApiKey", value, "secret apiKey { id }", by=alice)
    secrets["rotated API key"] = made["secret"]
    rotation = {"id": made["apiKey"]["id"], "graceSeconds": 600}
    secrets["API key"] = (await door.change("rotateApiKey", rotation, "secret", by=made["secret"]))["secret"]
    secrets["own new password"] = "a-quite-new-horse-1723"
    change = {"currentPassword": PASSWORD, "newPassword": secrets["own new password"]}
    assert await door.change("changePassword", change, "", by=alice) == {"errors": []}
    secrets["first password"] = "somebody-elses-lamp-88"
    carol = {"username": "carol", "password": secrets["first password"], "idempotencyKey": "order-4711-key"}
    made = await door.change("createUser", carol, "user { id }", by=admin)
    secrets["set password"] = "and-yet-another-lamp-89"
    await door.change("setPassword", {"userId": made["user"]["id"], "password": secrets["set password"]}, "", by=admin)
    for name in ("API key", "rotated API key"):
        assert (await door.data("{ me { email } }", by=secrets[name]))["me"]["email"] == "alice@roster.test"
    return secrets


async def test_no_table_holds_a_secret(door: Door, admin: Person, alice: Person) -> None:
    secrets = await use_every_secret(door, admin, alice)
    kept = await everything(door)
    for name, secret in secrets.items():
        for spelling in spellings(secret):
            assert spelling not in kept, name
    for name in ("session", "API key", "rotated API key"):
        assert hashlib.sha256(secrets[name].encode()).hexdigest() in kept, "only its hash is kept"


async def test_passwords_are_kept_as_argon2id_with_a_salt_each(door: Door, admin: Person, alice: Person) -> None:
    await use_every_secret(door, admin, alice)
    hashes = [row["password_hash"] for row in await door.rows("SELECT password_hash FROM credentials")]
    assert len(hashes) == len(set(hashes)) == 6
    assert all(text.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for text in hashes)


async def test_no_later_answer_tells_a_secret(door: Door, admin: Person, root: Person, alice: Person) -> None:
    secrets = await use_every_secret(door, admin, alice)
    told = json.dumps([await door.data(EVENTS, by=root), await door.data(CREDENTIALS, by=alice)])
    for name, secret in secrets.items():
        assert all(spelling not in told for spelling in spellings(secret)), name
    assert visible_prefix(secrets["API key"]) in told, "what one recognises a key by is shown"
    assert "[redacted]" in told


async def test_no_log_line_holds_a_secret(
    door: Door, admin: Person, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = await use_every_secret(door, admin, alice)
    for query in ("{ me { nonsense } }", "{", 'mutation { login(input: {login: "alice", password: 7}) { token } }'):
        await door.ask(query, by=secrets["API key"])
    await door.http.get("/graphql", params={"query": '{ user(by: {email: "bob@roster.test"}) { id } }'})
    logged = "".join(capsys.readouterr())
    assert logged.count("/graphql") >= 12, "every request was logged"
    for name, secret in secrets.items():
        assert all(spelling not in logged for spelling in spellings(secret)), name
    assert "bob@roster.test" not in logged

"""What tests of sessions share: logins, aged sessions, autologin links, and the whole state of the database."""

from __future__ import annotations

from typing import Any

from tests.conftest import PASSWORD, Client, Person

IMPERSONATE = "users.impersonate"
# The errors of a link that cannot be opened
INVALID = [
    {
        "code": "EXPIRED",
        "message": "This link is not valid. It can be used once, within a minute.",
        "field": ["token"],
    }
]
SUPPORT = ("users.read", "users.suspend", IMPERSONATE)
AGE = "UPDATE sessions SET authenticated_at = now() - make_interval(secs => $1) WHERE id = $2"
TABLES = ("users", "credentials", "api_keys", "ssh_keys", "sessions", "session_tokens", "audit_events")


async def login(client: Client, name: str) -> tuple[str, str]:
    """Return the token and the id of a new session."""
    payload = await client.mutate("login", {"login": name, "password": PASSWORD}, "token session { id }")
    return payload["token"], payload["session"]["id"]


async def aged(client: Client, name: str, seconds: float = 901) -> str:
    """Return the token of a new session that was authenticated a number of seconds ago."""
    token, session_id = await login(client, name)
    await client.rows(AGE, float(seconds), session_id)
    return token


async def link(client: Client, by: Person | str, user: Person, **value: Any) -> str:
    """Return the token of a new autologin link."""
    payload = await client.mutate("createAutologinLink", {"userId": user.id} | value, "url", by=by)
    assert payload["errors"] == [], payload
    return str(payload["url"]).partition("#")[2]


async def opened(client: Client, token: str, **options: Any) -> dict[str, Any]:
    """Return the payload of openAutologinLink."""
    return await client.mutate("openAutologinLink", {"token": token}, "token session { id } user { id }", **options)


async def impersonated(client: Client, by: Person | str, user: Person) -> str:
    """Return the token of a session in which one person acts as another."""
    payload = await client.mutate("openAutologinLink", {"token": await link(client, by, user)}, "token")
    assert payload["errors"] == [], payload
    return str(payload["token"])


async def key(client: Client, by: Person, *permissions: str, name: str = "robot", **value: Any) -> dict[str, str]:
    """Return the id and the secret of a new API key."""
    payload = await client.mutate(
        "createApiKey", {"name": name, "permissions": permissions} | value, "secret apiKey { id }", by=by
    )
    assert payload["errors"] == [], payload
    return {"id": payload["apiKey"]["id"], "secret": payload["secret"]}


async def code(client: Client, document: str, by: Person | str, variables: dict[str, Any] | None = None) -> str | None:
    """Return the code of the first top-level error, or None."""
    errors = (await client.execute(document, variables, by=by)).get("errors", [])
    return errors[0]["extensions"]["code"] if errors else None


async def contents(client: Client) -> list[list[str]]:
    """Return the tables that a mutation could change, without the times of use."""
    row = "to_jsonb(t) - 'last_seen_at' - 'idle_expires_at'"
    queries = [f"SELECT CAST({row} AS text) FROM {name} AS t ORDER BY 1" for name in TABLES]  # noqa: S608
    return [[found[0] for found in await client.rows(query)] for query in queries]

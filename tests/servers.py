"""Servers in tests: their owners and subusers, API keys, and presets."""

from __future__ import annotations

from typing import Any

from service.access.permissions import SERVER
from tests.conftest import PASSWORD, Client, Person

UNKNOWN = "01900000-0000-7000-8000-000000000000"
EVERYTHING = sorted(SERVER)


async def new_server(client: Client, by: Person, owner: Person, **value: Any) -> str:
    """Return the id of a new server."""
    value = {"name": "box", "ownerId": owner.id} | value
    created = await client.mutate("createServer", value, "server { id }", by=by)
    assert created["errors"] == []
    return str(created["server"]["id"])


async def new_member(
    client: Client, by: Person | str, server_id: str, name: str, *permissions: str, **value: Any
) -> str:
    """Return the id of a new membership of a user with an address of roster.test."""
    value |= {"serverId": server_id, "email": f"{name}@roster.test", "permissions": [*permissions]}
    created = await client.mutate("createSubuser", value, "subuser { id }", by=by)
    assert created["errors"] == []
    return str(created["subuser"]["id"])


async def new_preset(client: Client, by: Person | str, name: str, *permissions: str) -> str:
    """Return the id of a new preset."""
    value = {"name": name, "permissions": [*permissions]}
    created = await client.mutate("createPermissionPreset", value, "permissionPreset { id }", by=by)
    assert created["errors"] == []
    return str(created["permissionPreset"]["id"])


async def new_key(client: Client, by: Person, *permissions: str, **value: Any) -> str:
    """Return the secret of a new API key."""
    value |= {"name": f"{len(permissions)} {permissions[0]}"[:31], "permissions": [*permissions]}
    created = await client.mutate("createApiKey", value, "secret", by=by)
    assert created["errors"] == []
    return str(created["secret"])


async def user_with_role(client: Client, root: Person, username: str, *permissions: str) -> Person:
    """Return a new user whose role has the permissions."""
    role = await client.mutate("createRole", {"name": username, "permissions": [*permissions]}, "role { id }", by=root)
    value = {"username": username, "email": f"{username}@roster.test", "password": PASSWORD}
    value["roleId"] = role["role"]["id"]
    assert (await client.mutate("createUser", value, "user { id }", by=root))["errors"] == []
    login = await client.mutate("login", {"login": username, "password": PASSWORD}, "token user { id }")
    return Person(login["user"]["id"], username, login["token"])


async def acting_as(client: Client, by: Person, user: Person) -> str:
    """Return the token of a session in which a person acts as a user."""
    created = await client.mutate("createAutologinLink", {"userId": user.id}, "url", by=by)
    token = created["url"].partition("#")[2]
    opened = await client.mutate("openAutologinLink", {"token": token}, "token", by=None)
    assert opened["errors"] == []
    return str(opened["token"])


async def transfer(client: Client, by: Person | str, server_id: str, owner: Person, **value: Any) -> dict[str, Any]:
    """Return the payload of transferServer."""
    value |= {"id": server_id, "ownerId": owner.id}
    return await client.mutate("transferServer", value, "server { id owner { id } }", by=by)


async def owner_of(client: Client, server_id: str) -> str:
    """Return the id of the owner of a server."""
    [row] = await client.rows("SELECT owner_id FROM servers WHERE id = $1", server_id)
    return str(row["owner_id"])


async def only_event(client: Client, name: str) -> dict[str, Any]:
    """Return the only event with the name, as the database has it."""
    [event] = await client.rows("SELECT * FROM audit_events WHERE event = $1", name)
    return dict(event)


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str] | None]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


def code(answer: dict[str, Any]) -> str:
    """Return the code of the only top-level error."""
    [error] = answer["errors"]
    return str(error["extensions"]["code"])

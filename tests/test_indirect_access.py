"""Indirect ways to more access, all closed: old secrets, servers of stronger users, cascades, one's own password."""

from __future__ import annotations

from tests.conftest import PASSWORD, Client, Person

ALL = ["api-keys.create", "api-keys.update", "api-keys.read", "account.read"]


def codes(payload: dict[str, object]) -> list[str]:
    """Return the codes of a payload's errors."""
    errors = payload["errors"]
    assert isinstance(errors, list)
    return [error["code"] for error in errors]


async def with_role(client: Client, root: Person, username: str, permissions: list[str]) -> str:
    """Return the token of a new user with these permissions only."""
    role = await client.mutate("createRole", {"name": username, "permissions": permissions}, "role { id }", by=root)
    value = {"username": username, "password": PASSWORD, "roleId": role["role"]["id"]}
    assert codes(await client.mutate("createUser", value, "user { id }", by=root)) == []
    token = (await client.mutate("login", {"login": username, "password": PASSWORD}, "token"))["token"]
    assert isinstance(token, str)
    return token


async def server_of(client: Client, root: Person, owner: Person) -> str:
    """Return the id of a new server of the owner."""
    created = await client.mutate("createServer", {"name": "web", "ownerId": owner.id}, "server { id }", by=root)
    return str(created["server"]["id"])


async def test_the_old_secret_of_a_rotated_key_creates_and_rotates_no_key(client: Client, alice: Person) -> None:
    created = await client.mutate("createApiKey", {"name": "k", "permissions": ALL}, "secret apiKey { id }", by=alice)
    key, old = created["apiKey"]["id"], created["secret"]
    rotated = await client.mutate("rotateApiKey", {"id": key, "graceSeconds": 60}, "secret", by=alice)
    assert "errors" not in await client.execute("{ me { id } }", by=old)
    assert codes(await client.mutate("createApiKey", {"name": "forever"}, "secret", by=old)) == ["NOT_ALLOWED"]
    assert codes(await client.mutate("rotateApiKey", {"id": key}, "secret", by=old)) == ["NOT_ALLOWED"]
    assert codes(await client.mutate("createApiKey", {"name": "fine"}, "secret", by=rotated["secret"])) == []


async def test_a_server_of_a_stronger_user_cannot_be_shared_or_deleted(
    client: Client, root: Person, alice: Person
) -> None:
    token = await with_role(client, root, "keeper", ["servers.read", "servers.update", "servers.delete"])
    roots, alices = await server_of(client, root, root), await server_of(client, root, alice)
    share = {"email": "bob@roster.test", "permissions": ["control.console"]}
    assert codes(await client.mutate("createSubuser", share | {"serverId": roots}, "subuser { id }", by=token)) == [
        "NOT_ALLOWED"
    ]
    assert codes(await client.mutate("deleteServer", {"id": roots}, "deletedId", by=token)) == ["NOT_ALLOWED"]
    assert codes(await client.mutate("createSubuser", share | {"serverId": alices}, "subuser { id }", by=token)) == []
    assert codes(await client.mutate("deleteServer", {"id": alices, "cascade": True}, "deletedId", by=token)) == []


async def test_a_cascade_requires_the_permission_to_delete_servers(client: Client, root: Person, alice: Person) -> None:
    token = await with_role(client, root, "remover", ["users.delete"])
    server = await server_of(client, root, alice)
    rejected = await client.mutate("deleteUser", {"id": alice.id, "cascade": True}, "deletedId", by=token)
    assert rejected["errors"][0]["field"] == ["cascade"]
    assert codes(rejected) == ["NOT_ALLOWED"]
    assert len(await client.rows("SELECT id FROM servers WHERE id = $1", server)) == 1


async def test_a_root_user_cannot_remove_their_own_password(client: Client, root: Person) -> None:
    payload = await client.mutate("updateUser", {"id": root.id, "password": None}, "user { id }", by=root)
    message = "Use changePassword to change your own password."
    assert payload == {"user": None, "errors": [{"code": "NOT_ALLOWED", "message": message, "field": ["password"]}]}
    assert await client.data("{ me { hasPassword } }", by=root) == {"me": {"hasPassword": True}}


async def test_a_temporary_subuser_cannot_add_a_subuser_for_longer(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    server = await server_of(client, root, alice)
    permissions = ["user.create", "user.read", "user.update", "control.console"]
    value = {
        "serverId": server,
        "email": "bob@roster.test",
        "permissions": permissions,
        "until": "2090-01-01T00:00:00Z",
    }
    assert codes(await client.mutate("createSubuser", value, "subuser { id }", by=alice)) == []
    friend = {"serverId": server, "email": "friend@x.test", "permissions": ["control.console"]}
    rejected = await client.mutate("createSubuser", friend, "subuser { id }", by=bob)
    assert (codes(rejected), rejected["errors"][0]["field"]) == (["NOT_ALLOWED"], ["until"])
    created = await client.mutate("createSubuser", friend | {"until": "2080-01-01T00:00:00Z"}, "subuser { id }", by=bob)
    assert codes(created) == []
    longer = {"id": created["subuser"]["id"], "permissions": ["control.console"], "until": None}
    assert codes(await client.mutate("updateSubuser", longer, "subuser { id }", by=bob)) == ["NOT_ALLOWED"]
    assert codes(await client.mutate("updateSubuser", longer, "subuser { id }", by=alice)) == []

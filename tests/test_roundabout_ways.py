"""Ways around the rules that are none: rotated secrets, servers of stronger people, cascades, one's own password."""

from __future__ import annotations

from tests.conftest import PASSWORD, Door, Person

ALL = ["api-keys.create", "api-keys.update", "api-keys.read", "account.read"]


def code(payload: dict[str, object]) -> list[str]:
    errors = payload["errors"]
    assert isinstance(errors, list)
    return [error["code"] for error in errors]


async def with_role(door: Door, root: Person, username: str, permissions: list[str]) -> str:
    """The token of a new person with just these permissions."""
    role = await door.change("createRole", {"name": username, "permissions": permissions}, "role { id }", by=root)
    value = {"username": username, "password": PASSWORD, "roleId": role["role"]["id"]}
    assert code(await door.change("createUser", value, "user { id }", by=root)) == []
    token = (await door.change("login", {"login": username, "password": PASSWORD}, "token"))["token"]
    assert isinstance(token, str)
    return token


async def server_of(door: Door, root: Person, owner: Person) -> str:
    made = await door.change("createServer", {"name": "web", "ownerId": owner.id}, "server { id }", by=root)
    return str(made["server"]["id"])


async def test_a_secret_that_was_rotated_out_makes_nothing_that_outlives_it(door: Door, alice: Person) -> None:
    made = await door.change("createApiKey", {"name": "k", "permissions": ALL}, "secret apiKey { id }", by=alice)
    key, old = made["apiKey"]["id"], made["secret"]
    rotated = await door.change("rotateApiKey", {"id": key, "graceSeconds": 60}, "secret", by=alice)
    assert "errors" not in await door.ask("{ me { id } }", by=old)
    assert code(await door.change("createApiKey", {"name": "forever"}, "secret", by=old)) == ["NOT_ALLOWED"]
    assert code(await door.change("rotateApiKey", {"id": key}, "secret", by=old)) == ["NOT_ALLOWED"]
    assert code(await door.change("createApiKey", {"name": "fine"}, "secret", by=rotated["secret"])) == []


async def test_only_who_is_as_strong_touches_somebodys_server(door: Door, root: Person, alice: Person) -> None:
    token = await with_role(door, root, "keeper", ["servers.read", "servers.update", "servers.delete"])
    roots, alices = await server_of(door, root, root), await server_of(door, root, alice)
    share = {"email": "bob@roster.test", "permissions": ["control.console"]}
    assert code(await door.change("createSubuser", share | {"serverId": roots}, "subuser { id }", by=token)) == [
        "NOT_ALLOWED"
    ]
    assert code(await door.change("deleteServer", {"id": roots}, "deletedId", by=token)) == ["NOT_ALLOWED"]
    assert code(await door.change("createSubuser", share | {"serverId": alices}, "subuser { id }", by=token)) == []
    assert code(await door.change("deleteServer", {"id": alices, "cascade": True}, "deletedId", by=token)) == []


async def test_a_cascade_takes_the_permission_to_delete_servers(door: Door, root: Person, alice: Person) -> None:
    token = await with_role(door, root, "remover", ["users.delete"])
    server = await server_of(door, root, alice)
    refused = await door.change("deleteUser", {"id": alice.id, "cascade": True}, "deletedId", by=token)
    assert refused["errors"][0]["field"] == ["cascade"]
    assert code(refused) == ["NOT_ALLOWED"]
    assert len(await door.rows("SELECT id FROM servers WHERE id = $1", server)) == 1


async def test_the_last_root_keeps_a_password(door: Door, root: Person) -> None:
    assert code(await door.change("updateUser", {"id": root.id, "password": None}, "user { id }", by=root)) == [
        "NOT_ALLOWED"
    ]
    assert (await door.data("{ me { hasPassword } }", by=root)) == {"me": {"hasPassword": True}}


async def test_a_temporary_subuser_lets_nobody_stay_longer(
    door: Door, root: Person, alice: Person, bob: Person
) -> None:
    server = await server_of(door, root, alice)
    rights = ["user.create", "user.read", "user.update", "control.console"]
    value = {"serverId": server, "email": "bob@roster.test", "permissions": rights, "until": "2090-01-01T00:00:00Z"}
    assert code(await door.change("createSubuser", value, "subuser { id }", by=alice)) == []
    friend = {"serverId": server, "email": "friend@x.test", "permissions": ["control.console"]}
    refused = await door.change("createSubuser", friend, "subuser { id }", by=bob)
    assert (code(refused), refused["errors"][0]["field"]) == (["NOT_ALLOWED"], ["until"])
    made = await door.change("createSubuser", friend | {"until": "2080-01-01T00:00:00Z"}, "subuser { id }", by=bob)
    assert code(made) == []
    longer = {"id": made["subuser"]["id"], "permissions": ["control.console"], "until": None}
    assert code(await door.change("updateSubuser", longer, "subuser { id }", by=bob)) == ["NOT_ALLOWED"]
    assert code(await door.change("updateSubuser", longer, "subuser { id }", by=alice)) == []

"""No caller grants, changes, deletes, or sees more on a server than they may do there at that time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Client, Person

MANAGE = ("user.create", "user.read", "user.update", "user.delete")
PAYLOAD = "subuser { permissions }"


async def new_server(client: Client, by: Person, owner: Person) -> str:
    """Return the id of a new server."""
    created = await client.mutate("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=by)
    return str(created["server"]["id"])


async def invite(client: Client, by: Person | str, server_id: str, email: str, *permissions: str) -> dict[str, Any]:
    """Return the payload of createSubuser."""
    value = {"serverId": server_id, "email": email, "permissions": [*permissions]}
    return await client.mutate("createSubuser", value, "subuser { id }", by=by)


async def member(client: Client, by: Person | str, server_id: str, email: str, *permissions: str) -> str:
    """Return the id of a new membership."""
    created = await invite(client, by, server_id, email, *permissions)
    assert created["errors"] == []
    return str(created["subuser"]["id"])


async def new_key(client: Client, by: Person, *permissions: str, **value: Any) -> str:
    """Return the secret of a new API key."""
    created = await client.mutate("createApiKey", {"name": "k", "permissions": [*permissions]} | value, "secret", by=by)
    assert created["errors"] == []
    return str(created["secret"])


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_subuser_grants_only_their_own_permissions(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await member(client, alice, server_id, "bob@roster.test", *MANAGE, "file.read")
    carol = await member(client, bob, server_id, "carol@x.test", "file.read", "user.read")
    beyond = await invite(
        client, bob, server_id, "dave@x.test", "file.read", "file.update", "websocket.connect", "backup.read"
    )
    assert (beyond["subuser"], problems(beyond)) == (
        None,
        [("NOT_ALLOWED", ["permissions", "1"]), ("NOT_ALLOWED", ["permissions", "3"])],
    )
    value = {"id": carol, "permissions": ["file.read", "control.console"]}
    assert problems(await client.mutate("updateSubuser", value, PAYLOAD, by=bob)) == [
        ("NOT_ALLOWED", ["permissions", "1"])
    ]
    assert await client.rows("SELECT 1 FROM users WHERE email = 'dave@x.test'") == []


async def test_a_subuser_cannot_change_or_delete_a_stronger_one(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await member(client, alice, server_id, "bob@roster.test", *MANAGE)
    strong = await member(client, alice, server_id, "carol@x.test", *MANAGE, "control.console")
    stripped = await client.mutate("updateSubuser", {"id": strong, "permissions": ["user.read"]}, PAYLOAD, by=bob)
    removed = await client.mutate("deleteSubuser", {"id": strong}, "deletedId", by=bob)
    names = "The subuser has permissions that you do not have: control.console."
    error = {"code": "NOT_ALLOWED", "message": names, "field": ["id"]}
    assert (stripped["errors"], removed["errors"]) == ([error], [error])
    [row] = await client.rows("SELECT permissions FROM subusers WHERE id = $1", strong)
    assert row["permissions"] == sorted([*MANAGE, "control.console", "websocket.connect"])
    equal = await member(client, alice, server_id, "dave@x.test", *MANAGE)
    assert problems(await client.mutate("updateSubuser", {"id": equal, "permissions": ["user.read"]}, "", by=bob)) == []
    assert problems(await client.mutate("deleteSubuser", {"id": equal}, "", by=bob)) == []


async def test_a_subuser_cannot_change_or_delete_themselves(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    own = await member(client, alice, server_id, "bob@roster.test", *MANAGE)
    administrators = await member(client, alice, server_id, "adam@roster.test", "file.read")
    for by, membership in ((bob, own), (admin, administrators)):
        changed = await client.mutate("updateSubuser", {"id": membership, "permissions": ["user.read"]}, "", by=by)
        removed = await client.mutate("deleteSubuser", {"id": membership}, "", by=by)
        assert problems(changed) == problems(removed) == [("NOT_ALLOWED", ["id"])]
    assert problems(await invite(client, bob, server_id, "bob@roster.test", "user.read")) == [("CONFLICT", ["email"])]
    assert problems(await invite(client, bob, server_id, "alice@roster.test", "user.read")) == [("CONFLICT", ["email"])]


async def test_each_mutation_requires_its_own_permission(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    own = await member(client, alice, server_id, "bob@roster.test", *MANAGE)
    carol = await member(client, alice, server_id, "carol@x.test", "user.read")
    calls: list[tuple[str, str, dict[str, Any], str]] = [
        ("user.create", "createSubuser", {"serverId": server_id, "email": "dave@x.test"}, "serverId"),
        ("user.update", "updateSubuser", {"id": carol}, "id"),
        ("user.delete", "deleteSubuser", {"id": carol}, "id"),
    ]
    for missing, mutation, value, field in calls:
        rest = [name for name in MANAGE if name != missing]
        await client.mutate("updateSubuser", {"id": own, "permissions": rest}, "", by=alice)
        given = value if mutation == "deleteSubuser" else value | {"permissions": ["user.read"]}
        assert problems(await client.mutate(mutation, given, "", by=bob)) == [("NOT_ALLOWED", [field])]


async def test_other_users_find_neither_server_nor_membership(
    client: Client, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    carol = await member(client, alice, server_id, "carol@x.test", "user.read")
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("createSubuser", {"serverId": server_id, "email": "dave@x.test", "permissions": ["user.read"]}, "serverId"),
        ("updateSubuser", {"id": carol, "permissions": ["user.read"]}, "id"),
        ("deleteSubuser", {"id": carol}, "id"),
    ]
    for mutation, value, field in calls:
        assert problems(await client.mutate(mutation, value, "", by=bob)) == [("NOT_FOUND", [field])]
        assert problems(await client.mutate(mutation, value, "", by=staff)) == [("NOT_ALLOWED", [field])], (
            "staff may only read"
        )
    document = "query ($id: ID!) { node(id: $id) { id } }"
    assert await client.data(document, {"id": carol}, by=bob) == {"node": None}
    assert await client.data(document, {"id": carol}, by=staff) == {"node": {"id": carol}}


async def test_a_revoked_permission_is_gone_at_the_next_request(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    own = await member(client, alice, server_id, "bob@roster.test", *MANAGE, "file.read")
    key = await new_key(client, bob, "servers.read", *MANAGE, "file.read", "websocket.connect")
    carol = await member(client, bob, server_id, "carol@x.test", "file.read")
    await client.mutate("updateSubuser", {"id": own, "permissions": ["user.create", "user.update"]}, "", by=alice)
    for by in (bob, key):
        granted = await invite(client, by, server_id, "dave@x.test", "file.read")
        assert problems(granted) == [("NOT_ALLOWED", ["permissions", "0"])]
        assert problems(await client.mutate("deleteSubuser", {"id": carol}, "", by=by)) == [("NOT_ALLOWED", ["id"])]
        answer = await client.execute(
            "query ($id: ID!) { server(id: $id) { subusers { totalCount } } }", {"id": server_id}, by=by
        )
        assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (
            {"server": {"subusers": None}},
            "FORBIDDEN",
        )
    await client.mutate("deleteSubuser", {"id": own}, "", by=alice)
    for by in (bob, key):
        assert problems(await invite(client, by, server_id, "dave@x.test", "user.create")) == [
            ("NOT_FOUND", ["serverId"])
        ]
        assert await client.data("query ($id: ID!) { server(id: $id) { id } }", {"id": server_id}, by=by) == {
            "server": None
        }


async def test_a_permission_that_is_revoked_meanwhile_is_gone(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    own = await member(client, alice, server_id, "bob@roster.test", *MANAGE, "file.read")
    async with client.resources.database.transaction() as other:
        await other.run("lock_server", id=server_id)
        inviting = asyncio.create_task(invite(client, bob, server_id, "carol@x.test", "file.read"))
        await asyncio.sleep(0.3)
        await other.run("update_subuser", id=own, permissions=["user.create"], until=None)
    assert problems(await inviting) == [("NOT_ALLOWED", ["permissions", "0"])]


async def test_an_administrator_manages_every_server_and_grants_every_permission(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    carol = await member(client, admin, server_id, "carol@x.test", "control.console", "file.sftp")
    changed = await client.mutate("updateSubuser", {"id": carol, "permissions": ["backup.delete"]}, PAYLOAD, by=admin)
    assert changed == {"subuser": {"permissions": ["backup.delete", "websocket.connect"]}, "errors": []}
    assert problems(await client.mutate("deleteSubuser", {"id": carol}, "", by=admin)) == []


@pytest.mark.parametrize("owner", ["admin", "alice"])
async def test_an_api_key_grants_and_changes_only_what_it_lists(
    client: Client, admin: Person, owner: str, request: pytest.FixtureRequest
) -> None:
    by: Person = request.getfixturevalue(owner)
    server_id = await new_server(client, admin, request.getfixturevalue("alice"))
    strong = await member(client, by, server_id, "strong@x.test", "control.console")
    further = ("servers.update", "servers.read") if owner == "admin" else ()
    key = await new_key(client, by, *further, *MANAGE, "file.read")
    assert problems(await invite(client, key, server_id, "carol@x.test", "file.read")) == []
    beyond = await invite(client, key, server_id, "dave@x.test", "file.read", "control.console")
    assert problems(beyond) == [("NOT_ALLOWED", ["permissions", "1"])]
    stripped = await client.mutate("updateSubuser", {"id": strong, "permissions": ["file.read"]}, "", by=key)
    removed = await client.mutate("deleteSubuser", {"id": strong}, "", by=key)
    assert problems(stripped) == problems(removed) == [("NOT_ALLOWED", ["id"])]


async def test_an_api_key_without_user_create_cannot_add_subusers(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    key = await new_key(client, alice, "servers.read", "user.read", "file.read")
    document = "mutation ($input: CreateSubuserInput!) { createSubuser(input: $input) { errors { code } } }"
    value = {"serverId": server_id, "email": "carol@x.test", "permissions": ["file.read"]}
    answer = await client.execute(document, {"input": value}, by=key)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (None, "FORBIDDEN")
    assert await client.rows("SELECT 1 FROM subusers") == []


async def test_a_subuser_sees_public_fields_of_the_others_only(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await member(client, alice, server_id, "bob@roster.test", "user.read")
    await member(client, alice, server_id, "stella@roster.test", "file.read")
    public = "query ($id: ID!) { server(id: $id) { subusers { nodes { permissions user { PUBLIC } } } } }"
    public = public.replace("PUBLIC", "username displayName avatarUrl twoFactorEnabled createdAt")
    seen = await client.data(public, {"id": server_id}, by=bob)
    assert [node["user"]["username"] for node in seen["server"]["subusers"]["nodes"]] == ["stella", "bob"]
    assert seen["server"]["subusers"]["nodes"][0]["permissions"] == ["file.read", "websocket.connect"]
    private = """query ($id: ID!) { server(id: $id) { subusers { nodes { user {
      email lastName lastLoginAt role { name } sessions { totalCount } } } } } }"""
    answer = await client.execute(private, {"id": server_id}, by=bob)
    hidden = dict.fromkeys(("email", "lastName", "lastLoginAt", "role", "sessions"))
    stella, own = (node["user"] for node in answer["data"]["server"]["subusers"]["nodes"])
    assert (stella, own["email"]) == (hidden, "bob@roster.test")
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
    assert len(answer["errors"]) == 5, "one error per field"


async def test_a_subuser_without_user_read_sees_only_themselves(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    own = await member(client, alice, server_id, "bob@roster.test", "file.read")
    other = await member(client, alice, server_id, "stella@roster.test", "file.read")
    answer = await client.execute(
        "query ($id: ID!) { server(id: $id) { name subusers { totalCount } } }", {"id": server_id}, by=bob
    )
    assert answer["data"] == {"server": {"name": "box", "subusers": None}}
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert await client.data(document, {"ids": [own, other]}, by=bob) == {"nodes": [{"id": own}, None]}


async def test_an_owner_has_no_permission_on_another_server(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    own, foreign = await new_server(client, admin, bob), await new_server(client, admin, alice)
    carol = await member(client, alice, foreign, "carol@x.test", "user.read")
    assert problems(await invite(client, bob, foreign, "dave@x.test", "user.read")) == [("NOT_FOUND", ["serverId"])]
    assert problems(await client.mutate("deleteSubuser", {"id": carol}, "", by=bob)) == [("NOT_FOUND", ["id"])]
    assert problems(await invite(client, bob, own, "dave@x.test", "user.read")) == []


@pytest.mark.parametrize("owner", ["alice", "admin"])
async def test_a_membership_made_by_an_expiring_key_ends_before_the_key(
    client: Client, admin: Person, alice: Person, owner: str, request: pytest.FixtureRequest
) -> None:
    server_id = await new_server(client, admin, alice)
    names = ["user.create", "user.read", "user.update", "file.read"]
    names += ["servers.read", "servers.update"] if owner == "admin" else []
    by: Person = request.getfixturevalue(owner)
    secret = await new_key(client, by, *names, expiresAt="2998-01-01T00:00:00Z")
    invitation = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["file.read"]}
    message = "until must not be later than the expiry of the API key."
    rejection = {"errors": [{"code": "NOT_ALLOWED", "message": message, "field": ["until"]}]}
    late: list[dict[str, Any]] = [{}, {"until": None}, {"until": "2998-01-01T00:00:00.000001Z"}]
    for value in late:
        assert await client.mutate("createSubuser", invitation | value, "", by=secret) == rejection
    assert await client.rows("SELECT 1 FROM subusers") == []
    in_time = invitation | {"until": "2998-01-01T00:00:00Z"}
    created = await client.mutate("createSubuser", in_time, "subuser { id until }", by=secret)
    assert (created["errors"], created["subuser"]["until"]) == ([], "2998-01-01T00:00:00Z")
    change = {"id": created["subuser"]["id"], "permissions": ["file.read"]}
    for value in late[1:]:
        assert await client.mutate("updateSubuser", change | value, "", by=secret) == rejection
    changed = await client.mutate("updateSubuser", change | {"permissions": ["user.update"]}, "", by=secret)
    assert changed == {"errors": []}, "the end stays as it is"


async def test_an_expiring_key_cannot_add_permissions_to_a_membership_that_ends_later(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    secret = await new_key(client, alice, "user.update", "user.read", "file.read", expiresAt="2998-01-01T00:00:00Z")
    invitation = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["user.read"]}
    created = await client.mutate("createSubuser", invitation, "subuser { id }", by=alice)
    change = {"id": created["subuser"]["id"], "permissions": ["user.read", "file.read"]}
    assert problems(await client.mutate("updateSubuser", change, "", by=secret)) == [("NOT_ALLOWED", ["until"])]
    [row] = await client.rows("SELECT permissions FROM subusers")
    assert row["permissions"] == ["user.read", "websocket.connect"]

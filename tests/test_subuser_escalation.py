"""Nobody on a server grants, changes, removes or sees more than they hold there right now."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Door, Person

MANAGE = ("user.create", "user.read", "user.update", "user.delete")
PAYLOAD = "subuser { permissions }"


async def new_server(door: Door, by: Person, owner: Person) -> str:
    made = await door.change("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=by)
    return str(made["server"]["id"])


async def invite(door: Door, by: Person | str, server_id: str, email: str, *permissions: str) -> dict[str, Any]:
    value = {"serverId": server_id, "email": email, "permissions": [*permissions]}
    return await door.change("createSubuser", value, "subuser { id }", by=by)


async def member(door: Door, by: Person | str, server_id: str, email: str, *permissions: str) -> str:
    """The id of a new membership."""
    made = await invite(door, by, server_id, email, *permissions)
    assert made["errors"] == []
    return str(made["subuser"]["id"])


async def new_key(door: Door, by: Person, *permissions: str) -> str:
    made = await door.change("createApiKey", {"name": "k", "permissions": [*permissions]}, "secret", by=by)
    assert made["errors"] == []
    return str(made["secret"])


def codes(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_subuser_grants_what_they_hold_and_no_more(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    await member(door, alice, server_id, "bob@roster.test", *MANAGE, "file.read")
    carol = await member(door, bob, server_id, "carol@x.test", "file.read", "user.read")
    beyond = await invite(
        door, bob, server_id, "dave@x.test", "file.read", "file.update", "websocket.connect", "backup.read"
    )
    assert (beyond["subuser"], codes(beyond)) == (
        None,
        [("NOT_ALLOWED", ["permissions", "1"]), ("NOT_ALLOWED", ["permissions", "3"])],
    )
    value = {"id": carol, "permissions": ["file.read", "control.console"]}
    assert codes(await door.change("updateSubuser", value, PAYLOAD, by=bob)) == [("NOT_ALLOWED", ["permissions", "1"])]
    assert await door.rows("SELECT 1 FROM users WHERE email = 'dave@x.test'") == []


async def test_a_weak_subuser_does_not_touch_a_stronger_one(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    await member(door, alice, server_id, "bob@roster.test", *MANAGE)
    strong = await member(door, alice, server_id, "carol@x.test", *MANAGE, "control.console")
    stripped = await door.change("updateSubuser", {"id": strong, "permissions": ["user.read"]}, PAYLOAD, by=bob)
    removed = await door.change("deleteSubuser", {"id": strong}, "deletedId", by=bob)
    assert codes(stripped) == codes(removed) == [("NOT_ALLOWED", ["id"])]
    [row] = await door.rows("SELECT permissions FROM subusers WHERE id = $1", strong)
    assert row["permissions"] == sorted([*MANAGE, "control.console", "websocket.connect"])
    equal = await member(door, alice, server_id, "dave@x.test", *MANAGE)
    assert codes(await door.change("updateSubuser", {"id": equal, "permissions": ["user.read"]}, "", by=bob)) == []
    assert codes(await door.change("deleteSubuser", {"id": equal}, "", by=bob)) == []


async def test_nobody_changes_or_removes_themselves(door: Door, admin: Person, alice: Person, bob: Person) -> None:
    server_id = await new_server(door, admin, alice)
    own = await member(door, alice, server_id, "bob@roster.test", *MANAGE)
    administrators = await member(door, alice, server_id, "adam@roster.test", "file.read")
    for by, membership in ((bob, own), (admin, administrators)):
        changed = await door.change("updateSubuser", {"id": membership, "permissions": ["user.read"]}, "", by=by)
        removed = await door.change("deleteSubuser", {"id": membership}, "", by=by)
        assert codes(changed) == codes(removed) == [("NOT_ALLOWED", ["id"])]
    assert codes(await invite(door, bob, server_id, "bob@roster.test", "user.read")) == [("CONFLICT", ["email"])]
    assert codes(await invite(door, bob, server_id, "alice@roster.test", "user.read")) == [("NOT_ALLOWED", ["email"])]


async def test_each_change_takes_its_own_permission(door: Door, admin: Person, alice: Person, bob: Person) -> None:
    server_id = await new_server(door, admin, alice)
    own = await member(door, alice, server_id, "bob@roster.test", *MANAGE)
    carol = await member(door, alice, server_id, "carol@x.test", "user.read")
    calls: list[tuple[str, str, dict[str, Any], str]] = [
        ("user.create", "createSubuser", {"serverId": server_id, "email": "dave@x.test"}, "serverId"),
        ("user.update", "updateSubuser", {"id": carol}, "id"),
        ("user.delete", "deleteSubuser", {"id": carol}, "id"),
    ]
    for missing, mutation, value, field in calls:
        rest = [name for name in MANAGE if name != missing]
        await door.change("updateSubuser", {"id": own, "permissions": rest}, "", by=alice)
        given = value if mutation == "deleteSubuser" else value | {"permissions": ["user.read"]}
        assert codes(await door.change(mutation, given, "", by=bob)) == [("NOT_ALLOWED", [field])]


async def test_a_stranger_finds_neither_server_nor_membership(
    door: Door, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    carol = await member(door, alice, server_id, "carol@x.test", "user.read")
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("createSubuser", {"serverId": server_id, "email": "dave@x.test", "permissions": ["user.read"]}, "serverId"),
        ("updateSubuser", {"id": carol, "permissions": ["user.read"]}, "id"),
        ("deleteSubuser", {"id": carol}, "id"),
    ]
    for mutation, value, field in calls:
        assert codes(await door.change(mutation, value, "", by=bob)) == [("NOT_FOUND", [field])]
        assert codes(await door.change(mutation, value, "", by=staff)) == [("NOT_ALLOWED", [field])], "staff only look"
    document = "query ($id: ID!) { node(id: $id) { id } }"
    assert await door.data(document, {"id": carol}, by=bob) == {"node": None}
    assert await door.data(document, {"id": carol}, by=staff) == {"node": {"id": carol}}


async def test_what_is_revoked_counts_no_more_at_the_next_request(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    own = await member(door, alice, server_id, "bob@roster.test", *MANAGE, "file.read")
    key = await new_key(door, bob, "servers.read", *MANAGE, "file.read", "websocket.connect")
    carol = await member(door, bob, server_id, "carol@x.test", "file.read")
    await door.change("updateSubuser", {"id": own, "permissions": ["user.create", "user.update"]}, "", by=alice)
    for by in (bob, key):
        granted = await invite(door, by, server_id, "dave@x.test", "file.read")
        assert codes(granted) == [("NOT_ALLOWED", ["permissions", "0"])]
        assert codes(await door.change("deleteSubuser", {"id": carol}, "", by=by)) == [("NOT_ALLOWED", ["id"])]
        answer = await door.ask(
            "query ($id: ID!) { server(id: $id) { subusers { totalCount } } }", {"id": server_id}, by=by
        )
        assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (
            {"server": {"subusers": None}},
            "FORBIDDEN",
        )
    await door.change("deleteSubuser", {"id": own}, "", by=alice)
    for by in (bob, key):
        assert codes(await invite(door, by, server_id, "dave@x.test", "user.create")) == [("NOT_FOUND", ["serverId"])]
        assert await door.data("query ($id: ID!) { server(id: $id) { id } }", {"id": server_id}, by=by) == {
            "server": None
        }


async def test_what_is_revoked_meanwhile_does_not_count_either(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    own = await member(door, alice, server_id, "bob@roster.test", *MANAGE, "file.read")
    async with door.house.database.transaction() as other:
        await other.run("lock_server", id=server_id)
        inviting = asyncio.create_task(invite(door, bob, server_id, "carol@x.test", "file.read"))
        await asyncio.sleep(0.3)
        await other.run("update_subuser", id=own, permissions=["user.create"], until=None)
    assert codes(await inviting) == [("NOT_ALLOWED", ["permissions", "0"])]


async def test_an_administrator_manages_every_server_and_grants_anything(
    door: Door, admin: Person, alice: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    carol = await member(door, admin, server_id, "carol@x.test", "control.console", "file.sftp")
    changed = await door.change("updateSubuser", {"id": carol, "permissions": ["backup.delete"]}, PAYLOAD, by=admin)
    assert changed == {"subuser": {"permissions": ["backup.delete", "websocket.connect"]}, "errors": []}
    assert codes(await door.change("deleteSubuser", {"id": carol}, "", by=admin)) == []


@pytest.mark.parametrize("owner", ["admin", "alice"])
async def test_an_api_key_grants_and_touches_on_a_server_what_it_lists(
    door: Door, admin: Person, owner: str, request: pytest.FixtureRequest
) -> None:
    by: Person = request.getfixturevalue(owner)
    server_id = await new_server(door, admin, request.getfixturevalue("alice"))
    strong = await member(door, by, server_id, "strong@x.test", "control.console")
    admin_right = ("servers.update", "servers.read") if owner == "admin" else ()
    key = await new_key(door, by, *admin_right, *MANAGE, "file.read")
    assert codes(await invite(door, key, server_id, "carol@x.test", "file.read")) == []
    beyond = await invite(door, key, server_id, "dave@x.test", "file.read", "control.console")
    assert codes(beyond) == [("NOT_ALLOWED", ["permissions", "1"])]
    stripped = await door.change("updateSubuser", {"id": strong, "permissions": ["file.read"]}, "", by=key)
    removed = await door.change("deleteSubuser", {"id": strong}, "", by=key)
    assert codes(stripped) == codes(removed) == [("NOT_ALLOWED", ["id"])]


async def test_an_api_key_without_the_right_to_invite_is_forbidden_to(door: Door, admin: Person, alice: Person) -> None:
    server_id = await new_server(door, admin, alice)
    key = await new_key(door, alice, "servers.read", "user.read", "file.read")
    document = "mutation ($input: CreateSubuserInput!) { createSubuser(input: $input) { errors { code } } }"
    value = {"serverId": server_id, "email": "carol@x.test", "permissions": ["file.read"]}
    answer = await door.ask(document, {"input": value}, by=key)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (None, "FORBIDDEN")
    assert await door.rows("SELECT 1 FROM subusers") == []


async def test_a_subuser_sees_public_fields_of_the_others_only(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    await member(door, alice, server_id, "bob@roster.test", "user.read")
    await member(door, alice, server_id, "stella@roster.test", "file.read")
    public = "query ($id: ID!) { server(id: $id) { subusers { nodes { permissions user { PUBLIC } } } } }"
    public = public.replace("PUBLIC", "username displayName avatarUrl twoFactorEnabled createdAt")
    seen = await door.data(public, {"id": server_id}, by=bob)
    assert [node["user"]["username"] for node in seen["server"]["subusers"]["nodes"]] == ["stella", "bob"]
    assert seen["server"]["subusers"]["nodes"][0]["permissions"] == ["file.read", "websocket.connect"]
    private = """query ($id: ID!) { server(id: $id) { subusers { nodes { user {
      email lastName lastLoginAt role { name } sessions { totalCount } } } } } }"""
    answer = await door.ask(private, {"id": server_id}, by=bob)
    hidden = dict.fromkeys(("email", "lastName", "lastLoginAt", "role", "sessions"))
    stella, himself = (node["user"] for node in answer["data"]["server"]["subusers"]["nodes"])
    assert (stella, himself["email"]) == (hidden, "bob@roster.test")
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"FORBIDDEN"}
    assert len(answer["errors"]) == 5, "told once per field"


async def test_a_subuser_without_the_right_to_look_sees_themselves_only(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    own = await member(door, alice, server_id, "bob@roster.test", "file.read")
    other = await member(door, alice, server_id, "stella@roster.test", "file.read")
    answer = await door.ask(
        "query ($id: ID!) { server(id: $id) { name subusers { totalCount } } }", {"id": server_id}, by=bob
    )
    assert answer["data"] == {"server": {"name": "box", "subusers": None}}
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"
    assert await door.data(document, {"ids": [own, other]}, by=bob) == {"nodes": [{"id": own}, None]}


async def test_who_holds_everything_on_one_server_holds_nothing_on_another(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    own, foreign = await new_server(door, admin, bob), await new_server(door, admin, alice)
    carol = await member(door, alice, foreign, "carol@x.test", "user.read")
    assert codes(await invite(door, bob, foreign, "dave@x.test", "user.read")) == [("NOT_FOUND", ["serverId"])]
    assert codes(await door.change("deleteSubuser", {"id": carol}, "", by=bob)) == [("NOT_FOUND", ["id"])]
    assert codes(await invite(door, bob, own, "dave@x.test", "user.read")) == []

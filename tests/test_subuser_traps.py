"""Holes that hosting panels had in their subusers and look-ups, each with a test of its own."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.servers import EVERYTHING, new_key, new_member, new_server, problems, user_with_role


async def test_a_weak_subuser_does_not_edit_or_remove_a_stronger_one(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    preset = {"name": "Nothing", "permissions": ["websocket.connect"]}
    made = await client.mutate("createPermissionPreset", preset, "permissionPreset { id }", by=admin)
    weak = ("user.create", "user.read", "user.update", "user.delete")
    await new_member(client, alice, server_id, "bob", *weak)
    strong = await new_member(client, alice, server_id, "stella", *weak, "control.console")
    key = await new_key(client, bob, *EVERYTHING, "servers.read")
    attempts: list[tuple[str, dict[str, Any]]] = [
        ("updateSubuser", {"permissions": ["user.read"]}),
        ("updateSubuser", {"permissions": ["user.read"], "until": "2999-01-01T00:00:00Z"}),
        ("updateSubuser", {"presetId": made["permissionPreset"]["id"]}),
        ("deleteSubuser", {}),
    ]
    for by in (bob, key):
        for mutation, value in attempts:
            rejected = await client.mutate(mutation, {"id": strong} | value, "", by=by)
            assert problems(rejected) == [("NOT_ALLOWED", ["id"])]
    [row] = await client.rows("SELECT permissions, until FROM subusers WHERE id = $1", strong)
    assert (row["permissions"], row["until"]) == (sorted([*weak, "control.console", "websocket.connect"]), None)


@pytest.mark.parametrize(
    "email", ["müller@x.test", "ирина@x.test", "日本@x.test", "🦔@x.test", "ß@x.test", "é.è+à@x.test"]
)
async def test_an_address_with_a_non_ascii_local_part_gets_a_valid_username(
    client: Client, admin: Person, alice: Person, email: str
) -> None:
    server_id = await new_server(client, admin, alice)
    value = {"serverId": server_id, "email": email, "permissions": ["file.read"]}
    created = await client.mutate("createSubuser", value, "subuser { user { id username } }", by=alice)
    assert created["errors"] == []
    user = created["subuser"]["user"]
    change = {"id": user["id"], "username": user["username"]}
    assert problems(await client.mutate("updateUser", change, "", by=admin)) == [], "the policy accepts the name"


async def test_a_part_of_an_identity_finds_nothing(
    client: Client, root: Person, admin: Person, alice: Person, bob: Person
) -> None:
    await client.mutate("updateUser", {"id": bob.id, "externalId": "crm-42"}, "", by=root)
    server_id = await new_server(client, admin, alice, externalId="node-42")
    by_key = "query ($by: UserBy!) { user(by: $by) { id } }"
    for key, whole in (("username", "bob"), ("email", "bob@roster.test"), ("externalId", "crm-42")):
        for part in (whole[1:], whole[:-1], f"x{whole}", f"{whole}x", "%", f"{whole[:-1]}_", ""):
            answer = await client.execute(by_key, {"by": {key: part}}, by=root)
            assert (answer["data"] or {"user": None}) == {"user": None}
        assert await client.data(by_key, {"by": {key: whole}}, by=root) == {"user": {"id": bob.id}}
    listed = "query ($ids: [String!]) { servers(filter: {externalId: $ids}) { totalCount nodes { id } } }"
    for part in ("node-4", "ode-42", "node-422", "%", "node-4_", "NODE-42"):
        assert await client.data(listed, {"ids": [part]}, by=admin) == {"servers": {"totalCount": 0, "nodes": []}}
    assert (await client.data(listed, {"ids": ["node-42"]}, by=admin))["servers"]["nodes"] == [{"id": server_id}]
    share = {"serverId": server_id, "permissions": ["file.read"], "onUnknownEmail": "FAIL"}
    for part in ("ob@roster.test", "bob@roster.tes", "%@roster.test"):
        rejected = await client.mutate("createSubuser", share | {"email": part}, "", by=alice)
        assert problems(rejected) in ([("NOT_FOUND", ["email"])], [("INVALID", ["email"])])
    assert await client.rows("SELECT FROM subusers") == []


async def test_a_permission_that_does_not_exist_is_neither_stored_nor_dropped(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    document = "mutation ($input: CreateSubuserInput!) { createSubuser(input: $input) { errors { code } } }"
    value = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["file.read", "file.write"]}
    for by in (alice, admin):
        answer = await client.execute(document, {"input": value}, by=by)
        assert answer["errors"][0]["extensions"]["problems"][0]["path"] == ["input", "permissions", 1]
    assert await client.rows("SELECT FROM subusers") == []


async def test_a_person_who_acts_as_the_owner_shares_a_server_within_the_scope_of_the_key(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    helper = await user_with_role(client, root, "helper", "users.impersonate", "users.read")
    key = await new_key(client, helper, "users.impersonate", "account.read", "servers.read", "user.create", "file.read")
    created = await client.mutate("createAutologinLink", {"userId": alice.id}, "url", by=key)
    opened = await client.mutate("openAutologinLink", {"token": created["url"].partition("#")[2]}, "token")
    value = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["file.read", "file.sftp"]}
    rejected = await client.mutate("createSubuser", value, "", by=opened["token"])
    assert problems(rejected) == [("NOT_ALLOWED", ["permissions", "1"])]
    granted = value | {"permissions": ["file.read"]}
    assert problems(await client.mutate("createSubuser", granted, "", by=opened["token"])) == []
    [event] = await client.rows("SELECT actor_id, impersonator_id FROM audit_events WHERE event = 'subuser.create'")
    assert tuple(event.values()) == (alice.id, helper.id)

"""Memberships from presets: the preset is copied, and no caller gives more by a preset than by a list."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.servers import UNKNOWN, new_key, new_member, new_preset, new_server, only_event, problems

SUBUSER = "subuser { id permissions until }"
MANAGE = ("user.create", "user.read", "user.update")
OPERATOR = ("control.start", "control.stop", "websocket.connect")


async def invite(client: Client, by: Person | str, server_id: str, **value: Any) -> dict[str, Any]:
    """Return the payload of createSubuser."""
    value = {"serverId": server_id, "email": "bob@roster.test"} | value
    return await client.mutate("createSubuser", value, SUBUSER, by=by)


async def permissions_of(client: Client, subuser_id: str) -> list[str]:
    [row] = await client.rows("SELECT permissions FROM subusers WHERE id = $1", subuser_id)
    return list(row["permissions"])


async def test_a_membership_is_created_and_changed_from_a_preset(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    operator = await new_preset(client, admin, "Operator", "control.start", "control.stop")
    guest = await new_preset(client, admin, "Guest", "file.read")
    created = await invite(client, alice, server_id, presetId=operator, until="2999-01-01T00:00:00Z")
    subuser = created["subuser"]
    member = {"id": subuser["id"], "permissions": [*OPERATOR], "until": "2999-01-01T00:00:00Z"}
    assert created == {"subuser": member, "errors": []}
    changed = await client.mutate("updateSubuser", {"id": subuser["id"], "presetId": guest}, SUBUSER, by=alice)
    assert changed == {"subuser": member | {"permissions": ["file.read", "websocket.connect"]}, "errors": []}
    again = await client.mutate("updateSubuser", {"id": subuser["id"], "presetId": guest}, SUBUSER, by=alice)
    assert again == changed
    assert (await only_event(client, "subuser.create"))["changes"]["preset"] == {"old": None, "new": operator}
    changes = (await only_event(client, "subuser.update"))["changes"]
    assert changes == {
        "permissions": {"old": [*OPERATOR], "new": ["file.read", "websocket.connect"]},
        "preset": {"old": None, "new": guest},
    }


async def test_a_change_of_a_preset_gives_no_subuser_more(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    operator = await new_preset(client, admin, "Operator", "control.start")
    member = (await invite(client, alice, server_id, presetId=operator))["subuser"]["id"]
    value = {"id": operator, "permissions": ["control.start", "file.sftp"]}
    assert problems(await client.mutate("updatePermissionPreset", value, "", by=admin)) == []
    document = "query ($id: ID!) { server(id: $id) { myPermissions } }"
    copied = ["control.start", "websocket.connect"]
    assert (await client.data(document, {"id": server_id}, by=bob))["server"]["myPermissions"] == copied
    assert problems(await client.mutate("deletePermissionPreset", {"id": operator}, "", by=admin)) == []
    assert await permissions_of(client, member) == copied


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({}, ("REQUIRED", ["permissions"])),
        ({"permissions": None, "presetId": None}, ("REQUIRED", ["permissions"])),
        ({"permissions": ["file.read"], "presetId": "$preset"}, ("INVALID", ["presetId"])),
        ({"permissions": [], "presetId": None}, ("REQUIRED", ["permissions"])),
        ({"presetId": UNKNOWN}, ("NOT_FOUND", ["presetId"])),
        ({"presetId": "$server"}, ("NOT_FOUND", ["presetId"])),
    ],
)
async def test_permissions_come_from_exactly_one_source(
    client: Client, admin: Person, alice: Person, value: dict[str, Any], problem: tuple[str, list[str]]
) -> None:
    server_id = await new_server(client, admin, alice)
    ids = {"$preset": await new_preset(client, admin, "Operator", "control.start"), "$server": server_id}
    given = {name: ids.get(item, item) if isinstance(item, str) else item for name, item in value.items()}
    rejected = await invite(client, alice, server_id, **given)
    assert (rejected["subuser"], problems(rejected)) == (None, [problem])
    member = await new_member(client, alice, server_id, "bob", "user.read")
    changed = await client.mutate("updateSubuser", {"id": member} | given, SUBUSER, by=alice)
    assert (changed["subuser"], problems(changed)) == (None, [problem])
    assert await permissions_of(client, member) == ["user.read", "websocket.connect"]


async def test_a_preset_grants_no_more_than_its_user_holds(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    operator = await new_preset(client, admin, "Operator", "control.start", "control.stop")
    await new_member(client, alice, server_id, "bob", *MANAGE, "control.stop")
    message = "The preset has permissions that you do not have on this server: control.start."
    error = {"code": "NOT_ALLOWED", "message": message, "field": ["presetId"]}
    value = {"email": "stella@roster.test", "presetId": operator}
    assert await invite(client, bob, server_id, **value) == {"subuser": None, "errors": [error]}
    member = await new_member(client, bob, server_id, "stella", "control.stop")
    change = {"id": member, "presetId": operator}
    assert (await client.mutate("updateSubuser", change, SUBUSER, by=bob))["errors"] == [error]
    key = await new_key(client, alice, *MANAGE, "servers.read", "control.stop")
    assert (await client.mutate("updateSubuser", change, SUBUSER, by=key))["errors"] == [error]
    assert await permissions_of(client, member) == ["control.stop", "websocket.connect"]
    assert problems(await client.mutate("updateSubuser", change, SUBUSER, by=alice)) == []


async def test_a_preset_that_an_api_key_cannot_read_is_like_a_missing_one(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    operator = await new_preset(client, admin, "Operator", "control.start")
    key = await new_key(client, alice, "user.create", "file.read")
    document = (
        "mutation ($input: CreateSubuserInput!) { createSubuser(input: $input) { errors { code message field } } }"
    )
    answers = []
    for preset in (operator, UNKNOWN):
        value = {"serverId": server_id, "email": "bob@roster.test", "presetId": preset}
        answers.append(await client.data(document, {"input": value}, by=key))
    assert answers[0] == answers[1]
    assert answers[0]["createSubuser"]["errors"][0]["code"] == "NOT_FOUND"


async def test_problems_of_a_preset_are_reported_with_the_others(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    value = {"presetId": UNKNOWN, "email": "bob", "until": "2020-01-01T00:00:00Z"}
    rejected = await invite(client, alice, server_id, **value)
    assert sorted(problems(rejected)) == [
        ("INVALID", ["email"]),
        ("INVALID", ["until"]),
        ("NOT_FOUND", ["presetId"]),
    ]


async def test_a_preset_that_changes_meanwhile_is_copied_as_it_is_then(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    operator = await new_preset(client, admin, "Operator", "control.start", "file.sftp")
    async with client.resources.database.transaction() as other:
        await other.run("lock_permission_preset", id=operator)
        inviting = asyncio.create_task(invite(client, alice, server_id, presetId=operator))
        await asyncio.sleep(0.3)
        await other.run("update_permission_preset", id=operator, changes={"permissions": ["control.start"]})
    assert (await inviting)["subuser"]["permissions"] == ["control.start", "websocket.connect"]


async def test_a_repeated_request_with_a_preset_returns_the_first_membership(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    operator = await new_preset(client, admin, "Operator", "control.start")
    guest = await new_preset(client, admin, "Guest", "file.read")
    value = {"presetId": operator, "idempotencyKey": "order-1"}
    first = await invite(client, alice, server_id, **value)
    assert await invite(client, alice, server_id, **value) == first
    other = await invite(client, alice, server_id, **value | {"presetId": guest})
    assert problems(other) == [("IDEMPOTENCY_MISMATCH", ["idempotencyKey"])]

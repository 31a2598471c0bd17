"""Presets: named lists of server permissions, which administrators maintain and every signed-in user can read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.servers import EVERYTHING, UNKNOWN, code, new_key, new_preset, problems, user_with_role

PRESET = "permissionPreset { id name description permissions }"
LIST = "{ permissionPresets { id name description permissions } }"
NODE = "query ($id: ID!) { node(id: $id) { __typename ... on PermissionPreset { name createdAt } } }"


async def update(client: Client, by: Person | str, preset_id: str, **value: Any) -> dict[str, Any]:
    """Return the payload of updatePermissionPreset."""
    return await client.mutate("updatePermissionPreset", {"id": preset_id} | value, PRESET, by=by)


async def test_a_preset_is_created_changed_and_deleted(client: Client, admin: Person) -> None:
    value = {"name": "Operator", "description": "Starts and stops", "permissions": ["control.stop", "control.start"]}
    created = await client.mutate("createPermissionPreset", value, PRESET, by=admin)
    preset = created["permissionPreset"]
    operator = value | {"id": preset["id"], "permissions": ["control.start", "control.stop", "websocket.connect"]}
    assert created == {"permissionPreset": operator, "errors": []}
    changed = await update(client, admin, preset["id"], name="Guest", description=None, permissions=["files.read"])
    guest = {"id": preset["id"], "name": "Guest", "description": None}
    guest |= {"permissions": ["file.read", "websocket.connect"]}
    assert changed == {"permissionPreset": guest, "errors": []}
    assert await client.data(LIST, by=admin) == {"permissionPresets": [guest]}
    assert await update(client, admin, preset["id"]) == changed, "absent fields keep their values"
    deleted = await client.mutate("deletePermissionPreset", {"id": preset["id"]}, "deletedId", by=admin)
    assert deleted == {"deletedId": preset["id"], "errors": []}
    assert await client.data(LIST, by=admin) == {"permissionPresets": []}
    events = await client.rows(
        "SELECT event, actor_id, target_type, target_id, changes FROM audit_events WHERE event LIKE 'permission-%' "
        "ORDER BY id"
    )
    assert [event["event"].partition(".")[2] for event in events] == ["create", "update", "delete"]
    assert {tuple(event.values())[1:4] for event in events} == {(admin.id, "PermissionPreset", preset["id"])}
    assert events[1]["changes"] == {
        "name": {"old": "Operator", "new": "Guest"},
        "description": {"old": "Starts and stops", "new": None},
        "permissions": {"old": operator["permissions"], "new": guest["permissions"]},
    }


async def test_the_log_shows_the_changes_of_a_preset(client: Client, admin: Person, staff: Person) -> None:
    await new_preset(client, admin, "Operator", "control.start")
    document = '{ auditEvents(filter: {event: ["permission-preset."]}) { nodes { changes target { __typename } } } }'
    [event] = (await client.data(document, by=staff))["auditEvents"]["nodes"]
    assert set(event["changes"]) == {"name", "permissions"}
    assert event["target"] == {"__typename": "PermissionPreset"}
    key = await new_key(client, staff, "audit.read")
    [event] = (await client.execute(document, by=key))["data"]["auditEvents"]["nodes"]
    assert event["changes"] == {}, "the values need the permission to read them"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": ""}, [("REQUIRED", ["name"])]),
        ({"name": "x" * 256}, [("TOO_LONG", ["name"])]),
        ({"name": "a\u202eb"}, [("INVALID", ["name"])]),
        ({"name": "OPERATOR"}, [("TAKEN", ["name"])]),
        ({"description": "x" * 1025}, [("TOO_LONG", ["description"])]),
        ({"permissions": []}, [("REQUIRED", ["permissions"])]),
        ({"permissions": ["file.read"] * 101}, [("TOO_LONG", ["permissions"])]),
        ({"permissions": ["file.read", "users.read"]}, [("INVALID", ["permissions", "1"])]),
        (
            {"permissions": ["account.read"], "name": "operator"},
            [("INVALID", ["permissions", "0"]), ("TAKEN", ["name"])],
        ),
    ],
)
async def test_a_wrong_value_is_reported_with_its_field(
    client: Client, admin: Person, value: dict[str, Any], expected: list[Any]
) -> None:
    await new_preset(client, admin, "Operator", "control.start")
    other = await new_preset(client, admin, "Guest", "file.read")
    new = {"name": "New", "permissions": ["file.read"]} | value
    rejected = await client.mutate("createPermissionPreset", new, PRESET, by=admin)
    assert (rejected["permissionPreset"], problems(rejected)) == (None, expected)
    assert problems(await update(client, admin, other, **value)) == expected
    rows = await client.rows("SELECT name, permissions FROM permission_presets ORDER BY id")
    assert [row["name"] for row in rows] == ["Operator", "Guest"]


async def test_what_is_missing_is_reported_with_its_field(client: Client, admin: Person) -> None:
    preset_id = await new_preset(client, admin, "Operator", "control.start")
    cleared = await update(client, admin, preset_id, name=None, permissions=None)
    assert problems(cleared) == [("REQUIRED", ["name"]), ("REQUIRED", ["permissions"])]
    for field, value in (("updatePermissionPreset", {"name": "x"}), ("deletePermissionPreset", {})):
        rejected = await client.mutate(field, {"id": UNKNOWN} | value, "", by=admin)
        assert problems(rejected) == [("NOT_FOUND", ["id"])]
    assert problems(await update(client, admin, preset_id, name="OPERATOR")) == [], "its own name is not taken"


async def test_every_signed_in_user_reads_presets(client: Client, admin: Person, staff: Person, alice: Person) -> None:
    preset_id = await new_preset(client, admin, "Operator", "control.start")
    for by in (admin, staff, alice, await new_key(client, alice, "servers.read", "account.read")):
        assert [each["id"] for each in (await client.data(LIST, by=by))["permissionPresets"]] == [preset_id]
        node = (await client.data(NODE, {"id": preset_id}, by=by))["node"]
        assert (node["__typename"], node["name"]) == ("PermissionPreset", "Operator")
    narrow = await new_key(client, alice, "account.read", "user.create")
    denied = await client.execute(LIST, by=narrow)
    assert denied["data"] is None
    assert denied["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "servers.read"}
    assert await client.data(NODE, {"id": preset_id}, by=narrow) == {"node": None}
    assert code(await client.execute(LIST)) == "UNAUTHENTICATED"


async def test_only_administrators_maintain_presets(
    client: Client, root: Person, admin: Person, staff: Person, alice: Person
) -> None:
    preset_id = await new_preset(client, admin, "Operator", "control.start")
    calls: dict[str, dict[str, Any]] = {
        "createPermissionPreset": {"name": "x", "permissions": ["file.read"]},
        "updatePermissionPreset": {"id": preset_id, "name": "y"},
        "deletePermissionPreset": {"id": preset_id},
    }
    scoped = await new_key(client, admin, "servers.read", "file.read", "user.create")
    for field, value in calls.items():
        document = (
            f"mutation ($input: {field[0].upper()}{field[1:]}Input!) {{ {field}(input: $input) {{ __typename }} }}"
        )
        for by in (alice, staff, scoped):
            answer = await client.execute(document, {"input": value}, by=by)
            assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "servers.update"}
        assert code(await client.execute(document, {"input": value})) == "UNAUTHENTICATED"
    assert len(await client.rows("SELECT FROM permission_presets WHERE name = 'Operator'")) == 1
    keeper = await user_with_role(client, root, "keeper", "servers.update")
    for field, value in calls.items():
        assert problems(await client.mutate(field, value, "", by=keeper)) == []


async def test_an_api_key_adds_only_permissions_that_it_lists(client: Client, admin: Person) -> None:
    preset_id = await new_preset(client, admin, "Operator", "control.start")
    key = await new_key(client, admin, "servers.update", "servers.read", "file.read")
    beyond = {"name": "Guest", "permissions": ["file.read", "file.sftp"]}
    rejected = await client.mutate("createPermissionPreset", beyond, PRESET, by=key)
    assert problems(rejected) == [("NOT_ALLOWED", ["permissions", "1"])]
    rejected = await update(client, key, preset_id, permissions=["control.start", "control.stop"])
    assert problems(rejected) == [("NOT_ALLOWED", ["permissions", "1"])]
    kept = await update(client, key, preset_id, permissions=["control.start", "file.read"])
    assert kept["permissionPreset"]["permissions"] == ["control.start", "file.read", "websocket.connect"]
    expiring = await new_key(
        client, admin, "servers.update", "servers.read", *EVERYTHING, expiresAt="2999-01-01T00:00:00Z"
    )
    assert problems(await update(client, expiring, preset_id, permissions=["file.sftp"])) == [
        ("NOT_ALLOWED", ["permissions"])
    ]
    assert problems(await update(client, expiring, preset_id, name="Other", permissions=["file.read"])) == []


async def test_a_repeated_request_creates_one_preset(client: Client, admin: Person) -> None:
    value = {"name": "Operator", "permissions": ["control.start"], "idempotencyKey": "preset-1"}
    created = await asyncio.gather(
        *(client.mutate("createPermissionPreset", value, PRESET, by=admin) for _ in range(4))
    )
    assert len({payload["permissionPreset"]["id"] for payload in created}) == 1
    assert len(await client.rows("SELECT FROM permission_presets")) == 1
    other = await client.mutate("createPermissionPreset", value | {"name": "Guest"}, PRESET, by=admin)
    assert problems(other) == [("IDEMPOTENCY_MISMATCH", ["idempotencyKey"])]


async def test_parallel_requests_with_one_name_create_one_preset(client: Client, admin: Person) -> None:
    value = {"name": "Operator", "permissions": ["control.start"]}
    created = await asyncio.gather(*(client.mutate("createPermissionPreset", value, "", by=admin) for _ in range(6)))
    assert sorted(problems(payload) for payload in created) == [[], *[[("TAKEN", ["name"])]] * 5]


async def test_a_list_of_presets_takes_one_statement(client: Client, admin: Person, alice: Person) -> None:
    for number in range(5):
        await new_preset(client, admin, f"Preset {number}", "file.read")
    await client.data("{ me { id } }", by=alice)
    before = client.reads
    assert len((await client.data(LIST, by=alice))["permissionPresets"]) == 5
    assert client.reads - before == 2, "the actor, and the presets"

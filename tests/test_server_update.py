"""Changes of servers: their names, by all who may rename them, and their external ids, by administrators."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.servers import (
    UNKNOWN,
    acting_as,
    code,
    new_key,
    new_member,
    new_server,
    only_event,
    problems,
    user_with_role,
)

SERVER = "server { id name externalId }"
DOCUMENT = "mutation ($input: UpdateServerInput!) { updateServer(input: $input) { errors { code } } }"
RENAMED = {"name": "renamed"}


async def rename(client: Client, by: Person | str, server_id: str, **value: Any) -> dict[str, Any]:
    """Return the payload of updateServer."""
    return await client.mutate("updateServer", {"id": server_id} | (value or RENAMED), SERVER, by=by)


async def name_of(client: Client, server_id: str) -> str:
    [row] = await client.rows("SELECT name FROM servers WHERE id = $1", server_id)
    return str(row["name"])


async def test_an_administrator_changes_the_name_and_the_external_id(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice, externalId="node7/42")
    changed = await rename(client, admin, server_id, name="Survival ⛏", externalId="node8/1")
    server = {"id": server_id, "name": "Survival ⛏", "externalId": "node8/1"}
    assert changed == {"server": server, "errors": []}
    event = await only_event(client, "server.update")
    assert (event["actor_id"], event["target_id"], event["owner_id"]) == (admin.id, server_id, alice.id)
    assert event["changes"] == {
        "name": {"old": "box", "new": "Survival ⛏"},
        "externalId": {"old": "node7/42", "new": "node8/1"},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": "other"}, ("other", "node7/42")),
        ({"externalId": None}, ("box", None)),
        ({"externalId": "node9"}, ("box", "node9")),
        ({"name": "other", "externalId": None}, ("other", None)),
    ],
)
async def test_an_absent_field_keeps_its_value_and_null_clears_it(
    client: Client, admin: Person, alice: Person, value: dict[str, Any], expected: tuple[str, str | None]
) -> None:
    server_id = await new_server(client, admin, alice, externalId="node7/42")
    changed = await rename(client, admin, server_id, **value)
    assert (changed["server"]["name"], changed["server"]["externalId"]) == expected


async def test_what_changes_nothing_has_no_event(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice, externalId="node7/42")
    for value in ({"id": server_id}, {"id": server_id, "name": " box ", "externalId": "node7/42"}):
        changed = await client.mutate("updateServer", value, SERVER, by=admin)
        assert changed == {"server": {"id": server_id, "name": "box", "externalId": "node7/42"}, "errors": []}
    assert await client.rows("SELECT FROM audit_events WHERE event = 'server.update'") == []


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"name": ""}, [("REQUIRED", ["name"])]),
        ({"name": None}, [("REQUIRED", ["name"])]),
        ({"name": "x" * 256}, [("TOO_LONG", ["name"])]),
        ({"name": "a\x07b"}, [("INVALID", ["name"])]),
        ({"externalId": ""}, [("REQUIRED", ["externalId"])]),
        ({"externalId": "x" * 256}, [("TOO_LONG", ["externalId"])]),
        ({"externalId": "taken"}, [("TAKEN", ["externalId"])]),
        ({"name": None, "externalId": "taken"}, [("REQUIRED", ["name"]), ("TAKEN", ["externalId"])]),
        ({"id": UNKNOWN}, [("NOT_FOUND", ["id"])]),
        ({"id": UNKNOWN, "name": ""}, [("REQUIRED", ["name"]), ("NOT_FOUND", ["id"])]),
    ],
)
async def test_a_wrong_value_is_reported_with_its_field(
    client: Client, admin: Person, alice: Person, value: dict[str, Any], expected: list[tuple[str, list[str]]]
) -> None:
    await new_server(client, admin, alice, name="first", externalId="taken")
    server_id = await new_server(client, admin, alice)
    rejected = await client.mutate("updateServer", {"id": server_id} | value, SERVER, by=admin)
    assert (rejected["server"], problems(rejected)) == (None, expected)
    assert await name_of(client, server_id) == "box"


async def test_the_owner_and_subusers_with_the_permission_rename_a_server(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    own = await new_member(client, alice, server_id, "bob", "settings.rename")
    for by, name in ((alice, "by Alice"), (bob, "by Bob")):
        assert (await rename(client, by, server_id, name=name))["server"]["name"] == name
    events = await client.rows("SELECT actor_id, owner_id FROM audit_events WHERE event = 'server.update' ORDER BY id")
    assert [tuple(row.values()) for row in events] == [(alice.id, alice.id), (bob.id, alice.id)]
    await client.mutate("updateSubuser", {"id": own, "permissions": ["settings.reinstall"]}, "", by=alice)
    message = "This requires the permission settings.rename on the server."
    error = {"code": "NOT_ALLOWED", "message": message, "field": ["id"]}
    assert await rename(client, bob, server_id, name="again") == {"server": None, "errors": [error]}
    await client.mutate("deleteSubuser", {"id": own}, "", by=alice)
    assert problems(await rename(client, bob, server_id, name="again")) == [("NOT_FOUND", ["id"])]
    assert await name_of(client, server_id) == "by Bob"


async def test_only_administrators_change_the_external_id(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    await new_server(client, admin, alice, name="first", externalId="taken")
    server_id = await new_server(client, admin, alice, externalId="node7/42")
    await new_member(client, alice, server_id, "bob", "settings.rename")
    message = "This requires the permission servers.update."
    error = {"code": "NOT_ALLOWED", "message": message, "field": ["externalId"]}
    # The answer does not tell whether another server has the id
    for by in (alice, bob):
        for external_id in ("node8", "taken", None, "node7/42"):
            rejected = await rename(client, by, server_id, name="stays", externalId=external_id)
            assert rejected == {"server": None, "errors": [error]}
    assert await name_of(client, server_id) == "box"


async def test_others_find_no_server_to_change(client: Client, admin: Person, staff: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    assert problems(await rename(client, staff, server_id)) == [("NOT_ALLOWED", ["id"])], "staff may only read"
    assert code(await client.execute(DOCUMENT, {"input": {"id": server_id} | RENAMED})) == "UNAUTHENTICATED"
    await client.rows("UPDATE users SET suspended_at = now() WHERE id = $1", alice.id)
    answer = await client.execute(DOCUMENT, {"input": {"id": server_id} | RENAMED}, by=alice)
    assert (answer["data"], code(answer)) == (None, "USER_SUSPENDED")
    assert await name_of(client, server_id) == "box"


async def test_a_user_without_a_share_finds_no_server_to_change(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    own, foreign = await new_server(client, admin, bob), await new_server(client, admin, alice)
    missing = await rename(client, bob, UNKNOWN)
    assert await rename(client, bob, foreign) == missing
    assert problems(missing) == [("NOT_FOUND", ["id"])]
    assert problems(await rename(client, bob, own)) == []


async def test_a_server_of_a_stronger_user_cannot_be_renamed(client: Client, root: Person) -> None:
    keeper = await user_with_role(client, root, "keeper", "servers.update", "servers.read")
    server_id = await new_server(client, root, root)
    assert problems(await rename(client, keeper, server_id)) == [("NOT_ALLOWED", ["id"])]
    assert await name_of(client, server_id) == "box"


async def test_an_api_key_renames_only_with_the_permission(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    narrow = await new_key(client, alice, "servers.read", "user.create", "control.start")
    answer = await client.execute(DOCUMENT, {"input": {"id": server_id} | RENAMED}, by=narrow)
    assert answer["data"] is None
    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "settings.rename"}
    # A key of an administrator without servers.update is not an administrator's
    reader = await new_key(client, admin, "servers.read", "settings.rename")
    assert problems(await rename(client, reader, server_id)) == [("NOT_ALLOWED", ["id"])]
    for by in (alice, admin):
        names = ("settings.rename",) if by is alice else ("servers.update",)
        key = await new_key(client, by, *names)
        # The server in the payload requires servers.read
        value = {"id": server_id, "name": f"by a key of {by.username}"}
        answer = await client.data(DOCUMENT, {"input": value}, by=key)
        assert answer == {"updateServer": {"errors": []}}
        assert await name_of(client, server_id) == value["name"]


async def test_a_person_who_acts_as_a_user_renames_within_both_permissions(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    session = await acting_as(client, root, alice)
    assert problems(await rename(client, session, server_id)) == []
    event = await only_event(client, "server.update")
    assert (event["actor_id"], event["impersonator_id"]) == (alice.id, root.id)
    # As an administrator, a person who only may impersonate changes no server
    helper = await user_with_role(
        client, root, "helper", *("users.impersonate", "users.read", "servers.read"), *("users.update", "roles.read")
    )
    others = await user_with_role(client, root, "keeper", "servers.read", "users.read")
    session = await acting_as(client, helper, others)
    assert problems(await rename(client, session, server_id, name="again")) == [("NOT_ALLOWED", ["id"])]


async def test_parallel_requests_for_one_external_id_give_it_to_one_server(
    client: Client, admin: Person, alice: Person
) -> None:
    servers = [await new_server(client, admin, alice) for _ in range(5)]
    changed = await asyncio.gather(*(rename(client, admin, each, externalId="node7/42") for each in servers))
    assert sorted(problems(payload) for payload in changed) == [[], *[[("TAKEN", ["externalId"])]] * 4]


async def test_a_permission_that_is_revoked_meanwhile_renames_nothing(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    own = await new_member(client, alice, server_id, "bob", "settings.rename")
    async with client.resources.database.transaction() as other:
        await other.run("lock_server", id=server_id)
        renaming = asyncio.create_task(rename(client, bob, server_id))
        await asyncio.sleep(0.3)
        await other.run("delete_subuser", id=own)
    assert problems(await renaming) == [("NOT_FOUND", ["id"])]
    assert await name_of(client, server_id) == "box"


async def test_one_document_renames_several_servers(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    own, foreign = await new_server(client, admin, alice), await new_server(client, admin, bob)
    document = """mutation ($own: ID!, $foreign: ID!) {
      a: updateServer(input: {id: $foreign, name: "x"}) { server { name } errors { code field } }
      b: updateServer(input: {id: $own, name: "y"}) { server { name } errors { code field } } }"""
    assert await client.data(document, {"own": own, "foreign": foreign}, by=alice) == {
        "a": {"server": None, "errors": [{"code": "NOT_FOUND", "field": ["id"]}]},
        "b": {"server": {"name": "y"}, "errors": []},
    }

"""Servers: made for an owner, seen by those who have to do with them, and taken away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Door, Person

SERVER = "server { id name externalId createdAt owner { id username } myPermissions }"
BY_ID = "query ($id: ID!) { server(id: $id) { id } node(id: $id) { __typename id } nodes(ids: [$id]) { id } }"
UNKNOWN = "01900000-0000-7000-8000-000000000000"


async def new_server(door: Door, by: Person, owner: Person, name: str = "box") -> str:
    made = await door.change("createServer", {"name": name, "ownerId": owner.id}, "server { id }", by=by)
    assert made["errors"] == []
    return str(made["server"]["id"])


async def invite(door: Door, by: Person, server_id: str, email: str, *permissions: str, **value: Any) -> str:
    value |= {"serverId": server_id, "email": email, "permissions": [*permissions]}
    made = await door.change("createSubuser", value, "subuser { id }", by=by)
    assert made["errors"] == []
    return str(made["subuser"]["id"])


def codes(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_server_is_made_for_its_owner_and_deleted(door: Door, admin: Person, alice: Person) -> None:
    value = {"name": "Survival ⛏", "ownerId": alice.id, "externalId": "node7/42"}
    made = await door.change("createServer", value, SERVER, by=admin)
    server_id = made["server"]["id"]
    assert made == {
        "server": {
            "id": server_id,
            "name": "Survival ⛏",
            "externalId": "node7/42",
            "createdAt": made["server"]["createdAt"],
            "owner": {"id": alice.id, "username": "alice"},
            "myPermissions": [],
        },
        "errors": [],
    }
    listed = await door.data("{ me { servers { totalCount nodes { id } } } }", by=alice)
    assert listed == {"me": {"servers": {"totalCount": 1, "nodes": [{"id": server_id}]}}}
    deleted = await door.change("deleteServer", {"id": server_id}, "deletedId", by=admin)
    assert deleted == {"deletedId": server_id, "errors": []}
    again = await door.change("deleteServer", {"id": server_id}, "deletedId", by=admin)
    assert (again["deletedId"], codes(again)) == (None, [("NOT_FOUND", ["id"])])
    events = await door.rows(
        "SELECT event, actor_id, owner_id FROM audit_events WHERE event LIKE 'server.%' ORDER BY id"
    )
    assert [tuple(row.values()) for row in events] == [
        ("server.create", admin.id, alice.id),
        ("server.delete", admin.id, alice.id),
    ]


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ({"name": ""}, ("REQUIRED", ["name"])),
        ({"name": "x" * 256}, ("TOO_LONG", ["name"])),
        ({"name": "a\nb"}, ("INVALID", ["name"])),
        ({"externalId": ""}, ("REQUIRED", ["externalId"])),
        ({"externalId": "x" * 256}, ("TOO_LONG", ["externalId"])),
        ({"externalId": "taken"}, ("TAKEN", ["externalId"])),
        ({"ownerId": UNKNOWN}, ("NOT_FOUND", ["ownerId"])),
    ],
)
async def test_what_a_server_must_not_be_is_told_by_field(
    door: Door, admin: Person, alice: Person, value: dict[str, Any], refusal: tuple[str, list[str]]
) -> None:
    taken = {"name": "first", "ownerId": alice.id, "externalId": "taken"}
    await door.change("createServer", taken, "", by=admin)
    refused = await door.change("createServer", {"name": "box", "ownerId": alice.id} | value, "server { id }", by=admin)
    assert (refused["server"], codes(refused)) == (None, [refusal])
    assert len(await door.rows("SELECT 1 FROM servers")) == 1


async def test_only_administrators_make_and_delete_servers(
    door: Door, admin: Person, staff: Person, alice: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    for by in (alice, staff, None):
        for document in (
            f'mutation {{ createServer(input: {{name: "mine", ownerId: "{alice.id}"}}) {{ errors {{ code }} }} }}',
            f'mutation {{ deleteServer(input: {{id: "{server_id}"}}) {{ errors {{ code }} }} }}',
        ):
            answer = await door.ask(document, by=by)
            expected = "UNAUTHENTICATED" if by is None else "FORBIDDEN"
            assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (None, expected)
    assert [row["id"] for row in await door.rows("SELECT id FROM servers")] == [server_id]


async def test_a_server_that_people_share_goes_by_cascade_only(door: Door, admin: Person, alice: Person) -> None:
    server_id = await new_server(door, admin, alice)
    await invite(door, alice, server_id, "bob@roster.test", "control.start")
    refused = await door.change("deleteServer", {"id": server_id}, "deletedId", by=admin)
    assert (refused["deletedId"], codes(refused)) == (None, [("IN_USE", ["id"])])
    kept = await door.change("deleteServer", {"id": server_id, "cascade": None}, "deletedId", by=admin)
    assert codes(kept) == [("IN_USE", ["id"])]
    assert len(await door.rows("SELECT 1 FROM subusers")) == 1, "a refused deletion leaves everything"
    gone = await door.change("deleteServer", {"id": server_id, "cascade": True}, "deletedId", by=admin)
    assert gone == {"deletedId": server_id, "errors": []}
    assert await door.rows("SELECT 1 FROM subusers") == []


async def test_a_membership_that_is_over_does_not_keep_a_server(door: Door, admin: Person, alice: Person) -> None:
    server_id = await new_server(door, admin, alice)
    await invite(door, alice, server_id, "bob@roster.test", "control.start", until="2999-01-01T00:00:00Z")
    await door.rows("UPDATE subusers SET until = now()")
    gone = await door.change("deleteServer", {"id": server_id}, "deletedId", by=admin)
    assert gone == {"deletedId": server_id, "errors": []}


async def test_an_owner_who_has_servers_is_not_deleted_without_them(door: Door, admin: Person, alice: Person) -> None:
    await new_server(door, admin, alice)
    refused = await door.change("deleteUser", {"id": alice.id}, "deletedId", by=admin)
    assert (refused["deletedId"], codes(refused)) == (None, [("IN_USE", ["id"])])


async def test_those_see_a_server_who_have_to_do_with_it(
    door: Door, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    carol = await door.change("createUser", {"username": "carol"}, "user { id }", by=admin)
    server_id = await new_server(door, admin, alice)
    seen = {
        "server": {"id": server_id},
        "node": {"__typename": "Server", "id": server_id},
        "nodes": [{"id": server_id}],
    }
    unseen = {"server": None, "node": None, "nodes": [None]}
    assert await door.data(BY_ID, {"id": server_id}, by=bob) == unseen
    assert await door.data(BY_ID, {"id": UNKNOWN}, by=bob) == unseen
    await invite(door, alice, server_id, "bob@roster.test", "control.start")
    for by in (alice, bob, staff, admin):
        assert await door.data(BY_ID, {"id": server_id}, by=by) == seen
    await door.rows("UPDATE subusers SET user_id = $1", carol["user"]["id"])
    assert await door.data(BY_ID, {"id": server_id}, by=bob) == unseen
    dashless = server_id.replace("-", "").upper()
    assert await door.data(BY_ID, {"id": dashless}, by=alice) == seen


async def test_everybody_reads_what_they_hold_on_a_server(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    await invite(door, alice, server_id, "bob@roster.test", "file.read", "control.start")
    document = "query ($id: ID!) { server(id: $id) { myPermissions } }"
    catalogue = await door.data("{ permissionCatalog(kind: SERVER) { name } }")
    held = [(await door.data(document, {"id": server_id}, by=by))["server"] for by in (alice, bob, admin)]
    assert held == [
        {"myPermissions": sorted(entry["name"] for entry in catalogue["permissionCatalog"])},
        {"myPermissions": ["control.start", "file.read", "websocket.connect"]},
        {"myPermissions": []},
    ]


async def test_the_list_of_servers_is_for_those_who_may_read_all(
    door: Door, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    ids = [await new_server(door, admin, owner, f"box {owner.username}") for owner in (alice, bob, alice)]
    document = "{ servers(first: 2) { totalCount nodes { id } pageInfo { hasNextPage endCursor } } }"
    for by in (admin, staff):
        page = (await door.data(document, by=by))["servers"]
        assert (page["totalCount"], page["nodes"]) == (3, [{"id": ids[2]}, {"id": ids[1]}])
        rest = await door.data(
            "query ($after: String) { servers(after: $after) { nodes { id } } }",
            {"after": page["pageInfo"]["endCursor"]},
            by=by,
        )
        assert rest == {"servers": {"nodes": [{"id": ids[0]}]}}
    refused = await door.ask(document, by=alice)
    assert refused["data"] == {"servers": None}
    assert refused["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "servers.read"}


async def test_a_co_subuser_does_not_see_the_owners_other_servers(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    shared, _ = await new_server(door, admin, alice), await new_server(door, admin, alice)
    await invite(door, alice, shared, "bob@roster.test", "user.read")
    document = "query ($id: ID!) { server(id: $id) { owner { username email servers { totalCount } } } }"
    answer = await door.ask(document, {"id": shared}, by=bob)
    assert answer["data"] == {"server": {"owner": {"username": "alice", "email": None, "servers": None}}}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN", "FORBIDDEN"]


async def test_one_external_id_at_once_makes_one_server(door: Door, admin: Person, alice: Person) -> None:
    value = {"name": "box", "ownerId": alice.id, "externalId": "node7/42"}
    made = await asyncio.gather(*(door.change("createServer", value, "server { id }", by=admin) for _ in range(6)))
    assert sorted(codes(payload) for payload in made) == [[], *[[("TAKEN", ["externalId"])]] * 5]

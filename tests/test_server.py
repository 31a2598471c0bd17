"""Servers: creating them within the limits of their owner, reading them, and deleting them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import Client, Person

SERVER = "server { id name externalId createdAt owner { id username } myPermissions }"
BY_ID = "query ($id: ID!) { server(id: $id) { id } node(id: $id) { __typename id } nodes(ids: [$id]) { id } }"
UNKNOWN = "01900000-0000-7000-8000-000000000000"
FULL = "The user has as many servers as the limits of the user allow."


async def new_server(client: Client, by: Person, owner: Person, name: str = "box") -> str:
    """Return the id of a new server."""
    created = await client.mutate("createServer", {"name": name, "ownerId": owner.id}, "server { id }", by=by)
    assert created["errors"] == []
    return str(created["server"]["id"])


async def invite(client: Client, by: Person, server_id: str, email: str, *permissions: str, **value: Any) -> str:
    """Return the id of a new membership."""
    value |= {"serverId": server_id, "email": email, "permissions": [*permissions]}
    created = await client.mutate("createSubuser", value, "subuser { id }", by=by)
    assert created["errors"] == []
    return str(created["subuser"]["id"])


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_server_is_created_for_its_owner_and_deleted(client: Client, admin: Person, alice: Person) -> None:
    value = {"name": "Survival ⛏", "ownerId": alice.id, "externalId": "node7/42"}
    created = await client.mutate("createServer", value, SERVER, by=admin)
    server_id = created["server"]["id"]
    assert created == {
        "server": {
            "id": server_id,
            "name": "Survival ⛏",
            "externalId": "node7/42",
            "createdAt": created["server"]["createdAt"],
            "owner": {"id": alice.id, "username": "alice"},
            "myPermissions": [],
        },
        "errors": [],
    }
    listed = await client.data("{ me { servers { totalCount nodes { id } } } }", by=alice)
    assert listed == {"me": {"servers": {"totalCount": 1, "nodes": [{"id": server_id}]}}}
    deleted = await client.mutate("deleteServer", {"id": server_id}, "deletedId", by=admin)
    assert deleted == {"deletedId": server_id, "errors": []}
    again = await client.mutate("deleteServer", {"id": server_id}, "deletedId", by=admin)
    assert (again["deletedId"], problems(again)) == (None, [("NOT_FOUND", ["id"])])
    events = await client.rows(
        "SELECT event, actor_id, owner_id FROM audit_events WHERE event LIKE 'server.%' ORDER BY id"
    )
    assert [tuple(row.values()) for row in events] == [
        ("server.create", admin.id, alice.id),
        ("server.delete", admin.id, alice.id),
    ]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"name": ""}, ("REQUIRED", ["name"])),
        ({"name": "x" * 256}, ("TOO_LONG", ["name"])),
        ({"name": "a\x07b"}, ("INVALID", ["name"])),
        ({"name": "a\u202eb"}, ("INVALID", ["name"])),
        ({"externalId": ""}, ("REQUIRED", ["externalId"])),
        ({"externalId": "x" * 256}, ("TOO_LONG", ["externalId"])),
        ({"externalId": "taken"}, ("TAKEN", ["externalId"])),
        ({"ownerId": UNKNOWN}, ("NOT_FOUND", ["ownerId"])),
    ],
)
async def test_a_wrong_value_is_reported_with_its_field(
    client: Client, admin: Person, alice: Person, value: dict[str, Any], problem: tuple[str, list[str]]
) -> None:
    taken = {"name": "first", "ownerId": alice.id, "externalId": "taken"}
    await client.mutate("createServer", taken, "", by=admin)
    rejected = await client.mutate(
        "createServer", {"name": "box", "ownerId": alice.id} | value, "server { id }", by=admin
    )
    assert (rejected["server"], problems(rejected)) == (None, [problem])
    assert len(await client.rows("SELECT 1 FROM servers")) == 1


async def test_all_problems_of_an_input_are_reported_at_once(client: Client, admin: Person, alice: Person) -> None:
    await client.mutate("updateUser", {"id": alice.id, "limits": {"servers": 0}}, "", by=admin)
    value = {"name": "", "externalId": "x" * 256}
    limited = await client.mutate("createServer", value | {"ownerId": alice.id}, "server { id }", by=admin)
    unknown = await client.mutate("createServer", value | {"ownerId": UNKNOWN}, "server { id }", by=admin)
    errors = [
        {"code": "TOO_LONG", "message": "externalId must have at most 255 characters.", "field": ["externalId"]},
        {"code": "REQUIRED", "message": "name must not be empty.", "field": ["name"]},
    ]
    full = {"code": "LIMIT_REACHED", "message": FULL, "field": ["ownerId"]}
    missing = {"code": "NOT_FOUND", "message": "This user does not exist.", "field": ["ownerId"]}
    for payload, error in ((limited, full), (unknown, missing)):
        assert payload["server"] is None
        assert sorted(payload["errors"], key=lambda found: str(found["field"])) == [*errors, error]


@pytest.mark.parametrize(
    ("plan", "overrides", "most"),
    [
        ({"servers": 2}, None, 2),
        ({"servers": 0}, None, 0),
        ({"servers": 1}, {"servers": 3}, 3),
        ({"servers": 3}, {"servers": 1}, 1),
        ({"memoryMb": 1}, {"servers": 2, "ports": 1}, 2),
        (None, {"servers": 1}, 1),
    ],
)
async def test_the_limits_of_the_owner_are_kept(  # noqa: PLR0917
    client: Client, admin: Person, alice: Person, bob: Person, plan: Any, overrides: Any, most: int
) -> None:
    if plan is not None:
        created = await client.mutate(
            "createPlan", {"name": "gold", "tier": "PAID", "limits": plan}, "plan { id }", by=admin
        )
        change = {"userId": alice.id, "planId": created["plan"]["id"]}
        assert problems(await client.mutate("changePlan", change, "", by=admin)) == []
    await client.mutate("updateUser", {"id": alice.id, "limits": overrides}, "", by=admin)
    await new_server(client, admin, bob)
    for _ in range(most):
        last = await new_server(client, admin, alice)
    rejection = {"server": None, "errors": [{"code": "LIMIT_REACHED", "message": FULL, "field": ["ownerId"]}]}
    value = {"name": "more", "ownerId": alice.id}
    assert await client.mutate("createServer", value, "server { id }", by=admin) == rejection
    assert len(await client.rows("SELECT 1 FROM servers WHERE owner_id = $1", alice.id)) == most
    if most:
        await client.mutate("deleteServer", {"id": last}, "", by=admin)
        await new_server(client, admin, alice)
    await client.mutate("updateUser", {"id": alice.id, "limits": {"servers": most + 1}}, "", by=admin)
    await new_server(client, admin, alice)


async def test_parallel_requests_do_not_exceed_the_limit_of_servers(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    await client.mutate("updateUser", {"id": alice.id, "limits": {"servers": 3}}, "", by=admin)
    for _ in range(2):
        await new_server(client, admin, alice)
    value = {"name": "box", "ownerId": alice.id}
    created = await asyncio.gather(
        *(client.mutate("createServer", value, "server { id }", by=by) for by in (root, admin) * 10)
    )
    assert sorted(problems(payload) for payload in created) == [[], *[[("LIMIT_REACHED", ["ownerId"])]] * 19]
    assert len(await client.rows("SELECT 1 FROM servers")) == 3


async def test_a_server_is_not_created_for_a_stronger_owner(  # noqa: PLR0917
    client: Client, root: Person, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    names = ["servers.create", "servers.read"]
    role = await client.mutate("createRole", {"name": "hosts", "permissions": names}, "role { id }", by=root)
    await client.mutate("updateUser", {"id": bob.id, "roleId": role["role"]["id"]}, "", by=root)
    key = await client.mutate("createApiKey", {"name": "k", "permissions": names}, "secret", by=admin)
    attempts: list[tuple[Person | str, Person, str]] = [
        (admin, root, ": *"),
        (bob, root, ""),
        (bob, admin, ""),
        (key["secret"], root, ""),
        (key["secret"], staff, ""),
    ]
    for by, owner, named in attempts:
        message = f"This user holds permissions that you do not hold{named}."
        value = {"name": "box", "ownerId": owner.id}
        assert await client.mutate("createServer", value, "server { id }", by=by) == {
            "server": None,
            "errors": [{"code": "NOT_ALLOWED", "message": message, "field": ["ownerId"]}],
        }
    assert await client.rows("SELECT 1 FROM servers") == []
    for by, owner in ((admin, admin), (bob, bob), (bob, alice)):
        assert await new_server(client, by, owner)


async def test_only_administrators_create_and_delete_servers(
    client: Client, admin: Person, staff: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    for by in (alice, staff, None):
        for document in (
            f'mutation {{ createServer(input: {{name: "mine", ownerId: "{alice.id}"}}) {{ errors {{ code }} }} }}',
            f'mutation {{ deleteServer(input: {{id: "{server_id}"}}) {{ errors {{ code }} }} }}',
        ):
            answer = await client.execute(document, by=by)
            expected = "UNAUTHENTICATED" if by is None else "FORBIDDEN"
            assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == (None, expected)
    assert [row["id"] for row in await client.rows("SELECT id FROM servers")] == [server_id]


async def test_a_server_with_subusers_is_deleted_only_by_cascade(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    await invite(client, alice, server_id, "bob@roster.test", "control.start")
    rejected = await client.mutate("deleteServer", {"id": server_id}, "deletedId", by=admin)
    assert (rejected["deletedId"], problems(rejected)) == (None, [("IN_USE", ["id"])])
    kept = await client.mutate("deleteServer", {"id": server_id, "cascade": None}, "deletedId", by=admin)
    assert problems(kept) == [("IN_USE", ["id"])]
    assert len(await client.rows("SELECT 1 FROM subusers")) == 1, "a rejected deletion changes nothing"
    gone = await client.mutate("deleteServer", {"id": server_id, "cascade": True}, "deletedId", by=admin)
    assert gone == {"deletedId": server_id, "errors": []}
    assert await client.rows("SELECT 1 FROM subusers") == []


async def test_an_expired_membership_does_not_prevent_the_deletion_of_a_server(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await invite(client, alice, server_id, "bob@roster.test", "control.start", until="2999-01-01T00:00:00Z")
    await client.rows("UPDATE subusers SET until = now()")
    gone = await client.mutate("deleteServer", {"id": server_id}, "deletedId", by=admin)
    assert gone == {"deletedId": server_id, "errors": []}


async def test_an_owner_of_servers_cannot_be_deleted_without_them(client: Client, admin: Person, alice: Person) -> None:
    await new_server(client, admin, alice)
    rejected = await client.mutate("deleteUser", {"id": alice.id}, "deletedId", by=admin)
    assert (rejected["deletedId"], problems(rejected)) == (None, [("IN_USE", ["id"])])


async def test_a_server_is_visible_to_its_owner_subusers_and_administrators(
    client: Client, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    carol = await client.mutate("createUser", {"username": "carol"}, "user { id }", by=admin)
    server_id = await new_server(client, admin, alice)
    seen = {
        "server": {"id": server_id},
        "node": {"__typename": "Server", "id": server_id},
        "nodes": [{"id": server_id}],
    }
    unseen = {"server": None, "node": None, "nodes": [None]}
    assert await client.data(BY_ID, {"id": server_id}, by=bob) == unseen
    assert await client.data(BY_ID, {"id": UNKNOWN}, by=bob) == unseen
    await invite(client, alice, server_id, "bob@roster.test", "control.start")
    for by in (alice, bob, staff, admin):
        assert await client.data(BY_ID, {"id": server_id}, by=by) == seen
    await client.rows("UPDATE subusers SET user_id = $1", carol["user"]["id"])
    assert await client.data(BY_ID, {"id": server_id}, by=bob) == unseen
    dashless = server_id.replace("-", "").upper()
    assert await client.data(BY_ID, {"id": dashless}, by=alice) == seen


async def test_every_caller_reads_their_own_permissions_on_a_server(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await invite(client, alice, server_id, "bob@roster.test", "file.read", "control.start")
    document = "query ($id: ID!) { server(id: $id) { myPermissions } }"
    catalogue = await client.data("{ permissionCatalog(kind: SERVER) { name } }")
    found = [(await client.data(document, {"id": server_id}, by=by))["server"] for by in (alice, bob, admin)]
    assert found == [
        {"myPermissions": sorted(entry["name"] for entry in catalogue["permissionCatalog"])},
        {"myPermissions": ["control.start", "file.read", "websocket.connect"]},
        {"myPermissions": []},
    ]


async def test_the_list_of_servers_requires_servers_read(
    client: Client, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    ids = [await new_server(client, admin, owner, f"box {owner.username}") for owner in (alice, bob, alice)]
    document = "{ servers(first: 2) { totalCount nodes { id } pageInfo { hasNextPage endCursor } } }"
    for by in (admin, staff):
        page = (await client.data(document, by=by))["servers"]
        assert (page["totalCount"], page["nodes"]) == (3, [{"id": ids[2]}, {"id": ids[1]}])
        following = "query ($after: String) { servers(after: $after) { nodes { id } } }"
        rest = await client.data(following, {"after": page["pageInfo"]["endCursor"]}, by=by)
        assert rest == {"servers": {"nodes": [{"id": ids[0]}]}}
    rejected = await client.execute(document, by=alice)
    assert rejected["data"] == {"servers": None}
    assert rejected["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "servers.read"}


async def test_a_subuser_does_not_see_other_servers_of_the_owner(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    shared, _ = [await new_server(client, admin, alice) for _ in range(2)]
    await invite(client, alice, shared, "bob@roster.test", "user.read")
    document = "query ($id: ID!) { server(id: $id) { owner { username email servers { totalCount } } } }"
    answer = await client.execute(document, {"id": shared}, by=bob)
    assert answer["data"] == {"server": {"owner": {"username": "alice", "email": None, "servers": None}}}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN", "FORBIDDEN"]


async def test_parallel_requests_with_one_external_id_create_one_server(
    client: Client, admin: Person, alice: Person
) -> None:
    value = {"name": "box", "ownerId": alice.id, "externalId": "node7/42"}
    created = await asyncio.gather(*(client.mutate("createServer", value, "server { id }", by=admin) for _ in range(6)))
    assert sorted(problems(payload) for payload in created) == [[], *[[("TAKEN", ["externalId"])]] * 5]

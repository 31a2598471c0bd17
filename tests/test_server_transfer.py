"""Transfers of servers to other owners: who may transfer what, and what becomes of the memberships."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.servers import (
    EVERYTHING,
    UNKNOWN,
    acting_as,
    code,
    new_key,
    new_member,
    new_server,
    only_event,
    owner_of,
    problems,
    transfer,
    user_with_role,
)

DOCUMENT = "mutation ($input: TransferServerInput!) { transferServer(input: $input) { errors { code } } }"
FULL = "The user has as many servers as the limits of the user allow."


async def test_a_server_gets_another_owner(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    server_id = await new_server(client, admin, alice)
    moved = await transfer(client, admin, server_id, bob)
    assert moved == {"server": {"id": server_id, "owner": {"id": bob.id}}, "errors": []}
    servers = "{ me { servers { totalCount } } }"
    by_id = "query ($id: ID!) { server(id: $id) { myPermissions } node(id: $id) { id } }"
    assert await client.data(servers, by=alice) == {"me": {"servers": {"totalCount": 0}}}
    assert await client.data(by_id, {"id": server_id}, by=alice) == {"server": None, "node": None}
    assert await client.data(servers, by=bob) == {"me": {"servers": {"totalCount": 1}}}
    seen = await client.data(by_id, {"id": server_id}, by=bob)
    assert seen == {"server": {"myPermissions": EVERYTHING}, "node": {"id": server_id}}
    value = {"serverId": server_id, "email": "stella@roster.test", "permissions": ["file.read"]}
    assert problems(await client.mutate("createSubuser", value, "", by=alice)) == [("NOT_FOUND", ["serverId"])]
    event = await only_event(client, "server.transfer")
    assert (event["actor_id"], event["target_id"], event["owner_id"]) == (admin.id, server_id, bob.id)
    assert event["changes"] == {"ownerId": {"old": alice.id, "new": bob.id}}


async def test_a_transfer_to_the_owner_changes_nothing(client: Client, admin: Person, alice: Person) -> None:
    await client.mutate("updateUser", {"id": alice.id, "limits": {"servers": 1}}, "", by=admin)
    server_id = await new_server(client, admin, alice)
    moved = await transfer(client, admin, server_id, alice, formerOwnerPermissions=["file.read"])
    assert moved == {"server": {"id": server_id, "owner": {"id": alice.id}}, "errors": []}
    assert await client.rows("SELECT FROM subusers") == []
    assert await client.rows("SELECT FROM mails") == []
    assert await client.rows("SELECT FROM audit_events WHERE event = 'server.transfer'") == []


async def test_the_former_owner_becomes_a_subuser_only_on_request(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    moved = await transfer(client, admin, server_id, bob, formerOwnerPermissions=["file.read", "files.read"])
    assert moved["errors"] == []
    document = "query ($id: ID!) { server(id: $id) { myPermissions owner { id } } }"
    assert await client.data(document, {"id": server_id}, by=alice) == {
        "server": {"myPermissions": ["file.read", "websocket.connect"], "owner": {"id": bob.id}}
    }
    [row] = await client.rows("SELECT id, until FROM subusers")
    assert row["until"] is None
    event = await only_event(client, "server.transfer")
    member = {"id": row["id"], "userId": alice.id, "permissions": ["file.read", "websocket.connect"]}
    assert event["changes"]["subusers"] == {"old": [], "new": [member]}
    # The new owner manages the former one like any other subuser
    assert problems(await client.mutate("deleteSubuser", {"id": row["id"]}, "", by=bob)) == []
    assert await client.data(document, {"id": server_id}, by=alice) == {"server": None}


@pytest.mark.parametrize("until", [None, "2000-01-01"])
async def test_a_subuser_who_becomes_the_owner_loses_the_membership(
    client: Client, admin: Person, alice: Person, bob: Person, until: str | None
) -> None:
    server_id = await new_server(client, admin, alice)
    own = await new_member(client, alice, server_id, "bob", "file.read")
    other = await new_member(client, alice, server_id, "stella", "user.read")
    await client.rows("UPDATE subusers SET until = CAST($1::text AS timestamptz) WHERE id = $2", until, own)
    assert (await transfer(client, admin, server_id, bob))["errors"] == []
    assert [row["id"] for row in await client.rows("SELECT id FROM subusers")] == [other], "the others stay"
    listed = await client.data("{ me { memberships { totalCount } servers { totalCount } } }", by=bob)
    assert listed == {"me": {"memberships": {"totalCount": 0}, "servers": {"totalCount": 1}}}
    changes = (await only_event(client, "server.transfer"))["changes"]
    gone = {"id": own, "userId": bob.id, "permissions": ["file.read", "websocket.connect"]}
    assert changes["subusers"] == {"old": [gone], "new": []}


async def test_the_event_is_read_within_the_permissions_of_its_reader(
    client: Client, root: Person, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await transfer(client, admin, server_id, bob, formerOwnerPermissions=["file.read"])
    document = '{ auditEvents(filter: {event: ["server.transfer"]}) { nodes { actor { id } changes } } }'
    [event] = (await client.data(document, by=root))["auditEvents"]["nodes"]
    assert event["actor"] == {"id": admin.id}
    assert set(event["changes"]) == {"ownerId", "subusers"}
    only_audit = await new_key(client, admin, "audit.read")
    [event] = (await client.execute(document, by=only_audit))["data"]["auditEvents"]["nodes"]
    assert event["changes"] == {}
    own = "{ me { auditEvents { nodes { event changes } } } }"
    found = (await client.data(own, by=bob))["me"]["auditEvents"]["nodes"]
    assert found[0]["event"] == "server.transfer"
    assert found[0]["changes"]["ownerId"] == {"old": alice.id, "new": bob.id}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"id": UNKNOWN}, [("NOT_FOUND", ["id"])]),
        ({"ownerId": UNKNOWN}, [("NOT_FOUND", ["ownerId"])]),
        ({"formerOwnerPermissions": []}, [("REQUIRED", ["formerOwnerPermissions"])]),
        ({"formerOwnerPermissions": ["users.read"]}, [("INVALID", ["formerOwnerPermissions", "0"])]),
        ({"formerOwnerPermissions": ["file.read"] * 101}, [("TOO_LONG", ["formerOwnerPermissions"])]),
        (
            {"ownerId": UNKNOWN, "formerOwnerPermissions": []},
            [("REQUIRED", ["formerOwnerPermissions"]), ("NOT_FOUND", ["ownerId"])],
        ),
    ],
)
async def test_a_wrong_value_is_reported_with_its_field(  # noqa: PLR0917
    client: Client, admin: Person, alice: Person, bob: Person, value: dict[str, Any], expected: list[Any]
) -> None:
    server_id = await new_server(client, admin, alice)
    rejected = await client.mutate(
        "transferServer", {"id": server_id, "ownerId": bob.id} | value, "server { id }", by=admin
    )
    assert (rejected["server"], problems(rejected)) == (None, expected)
    assert await owner_of(client, server_id) == alice.id
    assert await client.rows("SELECT FROM mails") == []


async def test_the_limits_of_the_new_owner_are_kept_and_reported_with_the_rest(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    plan = {"name": "gold", "tier": "PAID", "limits": {"servers": 1}}
    await client.mutate("createPlan", plan, "", by=admin)
    await client.mutate("changePlan", {"userId": bob.id, "planName": "gold"}, "", by=admin)
    await new_server(client, admin, bob)
    server_id = await new_server(client, admin, alice)
    full = {"code": "LIMIT_REACHED", "message": FULL, "field": ["ownerId"]}
    assert await transfer(client, admin, server_id, bob) == {"server": None, "errors": [full]}
    rejected = await transfer(client, admin, server_id, bob, formerOwnerPermissions=["users.read"])
    assert problems(rejected) == [("LIMIT_REACHED", ["ownerId"]), ("INVALID", ["formerOwnerPermissions", "0"])]
    await client.mutate("updateUser", {"id": bob.id, "limits": {"servers": 2}}, "", by=admin)
    assert problems(await transfer(client, admin, server_id, bob)) == []


async def test_the_former_owner_is_kept_within_the_number_of_subusers(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await client.rows(
        """WITH guests AS (INSERT INTO users (external_id) SELECT n FROM generate_series(1, 99) n RETURNING id)
           INSERT INTO subusers (server_id, user_id, permissions) SELECT $1, id, '{}' FROM guests""",
        server_id,
    )
    own = await new_member(client, alice, server_id, "stella", "file.read")
    kept = {"formerOwnerPermissions": ["file.read"]}
    assert problems(await transfer(client, admin, server_id, bob, **kept)) == [
        ("LIMIT_REACHED", ["formerOwnerPermissions"])
    ]
    # The membership of the new owner makes room
    await client.rows("UPDATE subusers SET user_id = $1 WHERE id = $2", bob.id, own)
    assert problems(await transfer(client, admin, server_id, bob, **kept)) == []
    assert len(await client.rows("SELECT FROM subusers WHERE server_id = $1", server_id)) == 100


async def test_only_administrators_transfer_servers(
    client: Client, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await new_member(client, alice, server_id, "bob", *EVERYTHING)
    value = {"input": {"id": server_id, "ownerId": bob.id}}
    for by in (alice, bob, staff):
        answer = await client.execute(DOCUMENT, value, by=by)
        assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "servers.update"}
    assert code(await client.execute(DOCUMENT, value)) == "UNAUTHENTICATED"
    await client.rows("UPDATE users SET suspended_at = now() WHERE id = $1", admin.id)
    assert code(await client.execute(DOCUMENT, value, by=admin)) == "USER_SUSPENDED"
    assert await owner_of(client, server_id) == alice.id


async def test_a_server_is_transferred_neither_from_nor_to_a_stronger_user(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    keeper = await user_with_role(client, root, "keeper", "servers.update", "servers.read")
    roots, alices = await new_server(client, root, root), await new_server(client, root, alice)
    assert problems(await transfer(client, keeper, roots, bob)) == [("NOT_ALLOWED", ["id"])]
    assert problems(await transfer(client, keeper, alices, root)) == [("NOT_ALLOWED", ["ownerId"])]
    assert (await owner_of(client, roots), await owner_of(client, alices)) == (root.id, alice.id)
    assert problems(await transfer(client, keeper, alices, bob)) == []
    assert problems(await transfer(client, keeper, alices, keeper)) == []
    assert problems(await transfer(client, keeper, alices, bob)) == [], "also from oneself"


async def test_an_api_key_transfers_only_if_it_lists_every_server_permission(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    value = {"input": {"id": server_id, "ownerId": bob.id}}
    without = await new_key(client, admin, "servers.read", *EVERYTHING)
    assert code(await client.execute(DOCUMENT, value, by=without)) == "FORBIDDEN"
    message = "An API key must list every server permission to transfer servers, because the new owner gets them."
    error = {"code": "NOT_ALLOWED", "message": message, "field": ["ownerId"]}
    for names in (["file.read"], EVERYTHING[1:]):
        narrow = await new_key(client, admin, "servers.update", "servers.read", *names)
        assert await transfer(client, narrow, server_id, bob) == {"server": None, "errors": [error]}
    names = ["servers.update", "servers.read", *EVERYTHING]
    bounds: list[dict[str, Any]] = [{"expiresAt": "2999-01-01T00:00:00Z"}, {"allowedIps": ["192.0.2.0/24"]}]
    for bound in bounds:
        limited = await new_key(client, admin, *names, **bound)
        assert problems(await transfer(client, limited, server_id, bob)) == [("NOT_ALLOWED", ["ownerId"])]
        await client.rows("DELETE FROM api_keys")
    assert await owner_of(client, server_id) == alice.id
    assert problems(await transfer(client, await new_key(client, admin, *names), server_id, bob)) == []


async def test_a_person_who_acts_as_an_administrator_transfers_within_both_permissions(
    client: Client, root: Person, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    keeper = await user_with_role(client, root, "keeper", "servers.update")
    key = await new_key(client, root, "users.impersonate", "servers.update", "servers.read", "account.read")
    created = await client.mutate("createAutologinLink", {"userId": keeper.id}, "url", by=key)
    opened = await client.mutate("openAutologinLink", {"token": created["url"].partition("#")[2]}, "token")
    # The scope of the key stays in force
    rejected = await client.execute(DOCUMENT, {"input": {"id": server_id, "ownerId": bob.id}}, by=opened["token"])
    assert rejected["data"]["transferServer"]["errors"] == [{"code": "NOT_ALLOWED"}]
    assert await owner_of(client, server_id) == alice.id
    assert problems(await transfer(client, await acting_as(client, root, admin), server_id, bob)) == []
    event = await only_event(client, "server.transfer")
    assert (event["actor_id"], event["impersonator_id"]) == (admin.id, root.id)


async def test_a_repeated_transfer_in_one_document_is_carried_out_once(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    call = "transferServer(input: {id: $id, ownerId: $to}) { server { owner { id } } errors { code } }"
    document = f"mutation ($id: ID!, $to: ID!) {{ a: {call} b: {call} }}"
    done = {"server": {"owner": {"id": bob.id}}, "errors": []}
    assert await client.data(document, {"id": server_id, "to": bob.id}, by=admin) == {"a": done, "b": done}
    await only_event(client, "server.transfer")

"""Subusers: creating, changing, and deleting memberships."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.conftest import Client, Person

SUBUSER = "subuser { id server { id } user { id username } permissions createdAt until }"
UNKNOWN = "01900000-0000-7000-8000-000000000000"


async def new_server(client: Client, by: Person, owner: Person) -> str:
    """Return the id of a new server."""
    created = await client.mutate("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=by)
    return str(created["server"]["id"])


async def invite(
    client: Client, by: Person, server_id: str, email: str, *permissions: str, **value: Any
) -> dict[str, Any]:
    """Return the payload of createSubuser."""
    value |= {"serverId": server_id, "email": email, "permissions": [*permissions] or ["control.start"]}
    return await client.mutate("createSubuser", value, SUBUSER, by=by)


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_membership_is_created_changed_and_deleted(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    created = await invite(client, alice, server_id, "Bob@Roster.Test", "file.read", "control.start")
    subuser = created["subuser"]
    assert created == {
        "subuser": {
            "id": subuser["id"],
            "server": {"id": server_id},
            "user": {"id": bob.id, "username": "bob"},
            "permissions": ["control.start", "file.read", "websocket.connect"],
            "createdAt": subuser["createdAt"],
            "until": None,
        },
        "errors": [],
    }
    memberships = "{ me { memberships { totalCount nodes { id server { id name } permissions } } } }"
    assert await client.data(memberships, by=bob) == {
        "me": {
            "memberships": {
                "totalCount": 1,
                "nodes": [
                    {
                        "id": subuser["id"],
                        "server": {"id": server_id, "name": "box"},
                        "permissions": ["control.start", "file.read", "websocket.connect"],
                    }
                ],
            }
        }
    }
    value = {"id": subuser["id"], "permissions": ["user.read"], "until": "2999-01-01T00:00:00Z"}
    changed = await client.mutate("updateSubuser", value, SUBUSER, by=alice)
    replaced = {"permissions": ["user.read", "websocket.connect"], "until": "2999-01-01T00:00:00Z"}
    assert changed == {"subuser": subuser | replaced, "errors": []}
    deleted = await client.mutate("deleteSubuser", {"id": subuser["id"]}, "deletedId", by=alice)
    assert deleted == {"deletedId": subuser["id"], "errors": []}
    assert await client.data(memberships, by=bob) == {"me": {"memberships": {"totalCount": 0, "nodes": []}}}
    assert await client.data("{ me { id } }", by=bob) == {"me": {"id": bob.id}}, "the user stays"
    events = await client.rows("SELECT event FROM audit_events WHERE event LIKE 'subuser.%' ORDER BY id")
    assert [row["event"] for row in events] == ["subuser.create", "subuser.update", "subuser.delete"]


@pytest.mark.parametrize(
    ("requested", "granted"),
    [
        (["websocket.connect"], []),
        (["control.start", "control.start"], ["control.start"]),
        (["files.read", "file.read", "subusers.create"], ["file.read", "user.create"]),
        (["databases.read-password", "backups.create"], ["backup.create", "database.view_password"]),
    ],
)
async def test_permissions_are_canonical_unique_and_contain_the_websocket(
    client: Client, admin: Person, alice: Person, requested: list[str], granted: list[str]
) -> None:
    server_id = await new_server(client, admin, alice)
    created = await invite(client, alice, server_id, "bob@roster.test", *requested)
    assert created["subuser"]["permissions"] == [*granted, "websocket.connect"]


async def test_the_same_permissions_are_not_a_change(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    created = await invite(client, alice, server_id, "bob@roster.test", "file.read", "control.start")
    value = {"id": created["subuser"]["id"], "permissions": ["files.read", "websocket.connect", "control.start"]}
    events = await client.rows("SELECT count(*) FROM audit_events")
    assert await client.mutate("updateSubuser", value, SUBUSER, by=alice) == created
    assert await client.rows("SELECT count(*) FROM audit_events") == events


@pytest.mark.parametrize("names", [["sudo"], ["control.start", "file.rm"], ["*"], [""], ["CONTROL.START"]])
async def test_an_unknown_permission_is_reported_with_its_position(
    client: Client, admin: Person, alice: Person, names: list[str]
) -> None:
    server_id = await new_server(client, admin, alice)
    document = "mutation ($input: CreateSubuserInput!) { createSubuser(input: $input) { subuser { id } } }"
    value = {"serverId": server_id, "email": "bob@roster.test", "permissions": names}
    answer = await client.execute(document, {"input": value}, by=alice)
    [error] = answer["errors"]
    position, message = len(names) - 1, "Unknown permission; permissionCatalog lists all of them."
    assert "data" not in answer
    assert error["message"] == f"$input.permissions.{position}: {message}"
    assert error["extensions"] == {
        "code": "BAD_USER_INPUT",
        "problems": [{"path": ["input", "permissions", position], "message": message}],
    }


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"permissions": []}, ("REQUIRED", ["permissions"])),
        ({"permissions": ["control.start", "users.read"]}, ("INVALID", ["permissions", "1"])),
        ({"permissions": ["account.read"]}, ("INVALID", ["permissions", "0"])),
        ({"email": ""}, ("REQUIRED", ["email"])),
        ({"email": "bob"}, ("INVALID", ["email"])),
        ({"email": "bob@roster@test"}, ("INVALID", ["email"])),
        ({"email": "\uff42ob@roster.test"}, ("INVALID", ["email"])),
        ({"email": "alice@roster.test"}, ("CONFLICT", ["email"])),
        ({"email": "ALICE@roster.TEST"}, ("CONFLICT", ["email"])),
        ({"email": "unknown@x.test", "onUnknownEmail": "FAIL"}, ("NOT_FOUND", ["email"])),
        ({"until": "2020-01-01T00:00:00Z"}, ("INVALID", ["until"])),
        ({"serverId": UNKNOWN}, ("NOT_FOUND", ["serverId"])),
    ],
)
async def test_a_wrong_value_is_reported_with_its_field(
    client: Client, admin: Person, alice: Person, value: dict[str, Any], problem: tuple[str, list[str]]
) -> None:
    server_id = await new_server(client, admin, alice)
    users = await client.rows("SELECT count(*) FROM users")
    invitation = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["control.start"]}
    rejected = await client.mutate("createSubuser", invitation | value, SUBUSER, by=alice)
    assert (rejected["subuser"], problems(rejected)) == (None, [problem])
    assert await client.rows("SELECT count(*) FROM users") == users
    assert await client.rows("SELECT 1 FROM subusers") == []


async def test_all_problems_of_an_input_are_reported_at_once(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    await invite(client, alice, server_id, "bob@roster.test")
    await client.rows(
        """WITH guests AS (INSERT INTO users (external_id) SELECT n FROM generate_series(1, 99) n RETURNING id)
           INSERT INTO subusers (server_id, user_id, permissions) SELECT $1, id, '{}' FROM guests""",
        server_id,
    )
    value = {"until": "2020-01-01T00:00:00Z", "onUnknownEmail": "FAIL"}
    # Whether a user has the address is not part of a rejection, because that could be repeated without a trace
    for email in ("bob@roster.test", "unknown@x.test"):
        rejected = await invite(client, alice, server_id, email, "file.read", "users.read", "account.read", **value)
        assert (rejected["subuser"], len(rejected["errors"])) == (None, 4)
        found = {".".join(error["field"]): (error["code"], error["message"]) for error in rejected["errors"]}
        assert found == {
            "until": ("INVALID", "until must be in the future."),
            "permissions.1": ("INVALID", "users.read is not a server permission."),
            "permissions.2": ("INVALID", "account.read is not a server permission."),
            "serverId": ("LIMIT_REACHED", "A server may have at most 100 subusers."),
        }


async def test_an_existing_subuser_is_a_conflict(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    await invite(client, alice, server_id, "bob@roster.test")
    again = await invite(client, alice, server_id, "BOB@roster.test", "file.read")
    assert (again["subuser"], problems(again)) == (None, [("CONFLICT", ["email"])])
    created = await asyncio.gather(*(invite(client, alice, server_id, "new@x.test") for _ in range(5)))
    assert Counter(map(str, map(problems, created))) == {"[]": 1, "[('CONFLICT', ['email'])]": 4}


async def test_the_answer_does_not_tell_the_owner_from_a_subuser(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await invite(client, alice, server_id, "bob@roster.test", "user.create", "file.read")
    await invite(client, alice, server_id, "stella@roster.test")
    conflict = {
        "code": "CONFLICT",
        "message": "This person already has access to the server.",
        "field": ["email"],
    }
    document = """mutation ($input: CreateSubuserInput!) {
      createSubuser(input: $input) { subuser { id } errors { code message field } } }"""
    for by in (alice, bob, admin):
        for further in ({}, {"onUnknownEmail": "FAIL"}):
            answers = []
            for email in ("Alice@roster.test", "stella@roster.test"):
                value = {"serverId": server_id, "email": email, "permissions": ["file.read"]} | further
                answers.append(await client.execute(document, {"input": value}, by=by))
            assert answers[0] == answers[1]
            assert conflict in answers[0]["data"]["createSubuser"]["errors"]


async def test_an_expired_membership_is_hidden_and_can_be_replaced(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    created = await invite(client, alice, server_id, "bob@roster.test", "user.read", until="2999-01-01T00:00:00Z")
    document = "query ($id: ID!) { server(id: $id) { myPermissions subusers { totalCount } } }"
    assert (await client.data(document, {"id": server_id}, by=bob))["server"]["subusers"] == {"totalCount": 1}
    await client.rows("UPDATE subusers SET until = now()")
    assert await client.data(document, {"id": server_id}, by=bob) == {"server": None}
    assert (await client.data(document, {"id": server_id}, by=alice))["server"]["subusers"] == {"totalCount": 0}
    node = "query ($id: ID!) { node(id: $id) { id } me { memberships { totalCount nodes { id } } } }"
    over = await client.data(node, {"id": created["subuser"]["id"]}, by=bob)
    assert over == {"node": None, "me": {"memberships": {"totalCount": 0, "nodes": []}}}
    for field, value in (("updateSubuser", {"permissions": ["control.start"]}), ("deleteSubuser", {})):
        rejected = await client.mutate(field, {"id": created["subuser"]["id"]} | value, "", by=alice)
        assert problems(rejected) == [("NOT_FOUND", ["id"])]
    again = await invite(client, alice, server_id, "bob@roster.test", "file.read")
    assert (again["errors"], again["subuser"]["until"]) == ([], None)
    assert again["subuser"]["id"] != created["subuser"]["id"]
    assert [row["id"] for row in await client.rows("SELECT id FROM subusers")] == [again["subuser"]["id"]]
    events = '{ auditEvents(first: 1, filter: {event: ["subuser.create"]}) { nodes { targetId changes } } }'
    [event] = (await client.data(events, by=admin))["auditEvents"]["nodes"]
    assert event["targetId"] == again["subuser"]["id"]
    replaced = {"id": created["subuser"]["id"], "permissions": ["user.read", "websocket.connect"]}
    assert event["changes"]["replaced"] == {"old": None, "new": replaced}
    assert event["changes"]["permissions"] == {"old": None, "new": ["file.read", "websocket.connect"]}


@pytest.mark.parametrize(
    ("value", "until"),
    [
        ({}, "2999-01-01T00:00:00Z"),
        ({"until": None}, None),
        ({"until": "2998-01-01T00:00:00Z"}, "2998-01-01T00:00:00Z"),
    ],
)
async def test_an_absent_end_is_kept_and_null_removes_it(
    client: Client, admin: Person, alice: Person, value: dict[str, Any], until: str | None
) -> None:
    server_id = await new_server(client, admin, alice)
    created = await invite(client, alice, server_id, "bob@roster.test", until="2999-01-01T00:00:00Z")
    change = {"id": created["subuser"]["id"], "permissions": ["control.start"]} | value
    assert (await client.mutate("updateSubuser", change, SUBUSER, by=alice))["subuser"]["until"] == until


async def test_parallel_requests_do_not_exceed_the_limit_of_subusers(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await client.rows(
        """WITH guests AS (
             INSERT INTO users (external_id) SELECT n FROM generate_series(1, 105) n RETURNING id, external_id
           )
           INSERT INTO subusers (server_id, user_id, permissions, until)
           SELECT $1, id, '{}', CASE WHEN CAST(external_id AS int) > 97 THEN now() END FROM guests""",
        server_id,
    )
    created = await asyncio.gather(*(invite(client, alice, server_id, f"guest{n}@x.test") for n in range(12)))
    assert Counter(str(problems(payload)) for payload in created) == {"[]": 3, "[('LIMIT_REACHED', ['serverId'])]": 9}
    guests = await client.rows("SELECT 1 FROM users WHERE email LIKE 'guest%'")
    assert len(guests) == 3, "a rejected request creates no user"


async def test_a_membership_ends_with_that_of_the_subuser_who_created_it(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    names = ["user.create", "user.read", "user.update"]
    await invite(client, alice, server_id, "bob@roster.test", *names, until="2998-01-01T00:00:00Z")
    message = "until must not be later than the end of your own membership."
    error = {"code": "NOT_ALLOWED", "message": message, "field": ["until"]}
    late: tuple[dict[str, Any], ...] = ({}, {"until": None}, {"until": "2998-01-01T00:00:01Z"})
    for value in late:
        rejected = await invite(client, bob, server_id, "carol@x.test", "user.read", **value)
        assert rejected == {"subuser": None, "errors": [error]}
    created = await invite(client, bob, server_id, "carol@x.test", "user.read", until="2998-01-01T00:00:00Z")
    assert created["errors"] == []
    for value in late[1:]:
        change = {"id": created["subuser"]["id"], "permissions": ["user.read"]} | value
        assert (await client.mutate("updateSubuser", change, "", by=bob))["errors"] == [error]


async def test_the_permissions_of_a_subuser_are_named_only_to_callers_who_may_read_them(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await invite(client, alice, server_id, "bob@roster.test", "user.delete")
    other = await invite(client, alice, server_id, "stella@roster.test", "file.read")
    rejected = await client.mutate("deleteSubuser", {"id": other["subuser"]["id"]}, "", by=bob)
    message = "The subuser has permissions that you do not have."
    assert rejected["errors"] == [{"code": "NOT_ALLOWED", "message": message, "field": ["id"]}]

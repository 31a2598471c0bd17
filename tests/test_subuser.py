"""Subusers: how people come onto a server, what they hold there, and how that ends."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.conftest import Door, Person

SUBUSER = "subuser { id server { id } user { id username } permissions createdAt until }"
UNKNOWN = "01900000-0000-7000-8000-000000000000"


async def new_server(door: Door, by: Person, owner: Person) -> str:
    made = await door.change("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=by)
    return str(made["server"]["id"])


async def invite(door: Door, by: Person, server_id: str, email: str, *permissions: str, **value: Any) -> dict[str, Any]:
    """The whole payload of an invitation."""
    value |= {"serverId": server_id, "email": email, "permissions": [*permissions] or ["control.start"]}
    return await door.change("createSubuser", value, SUBUSER, by=by)


def codes(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_person_is_let_in_changed_and_removed(door: Door, admin: Person, alice: Person, bob: Person) -> None:
    server_id = await new_server(door, admin, alice)
    made = await invite(door, alice, server_id, "Bob@Roster.Test", "file.read", "control.start")
    subuser = made["subuser"]
    assert made == {
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
    assert await door.data(memberships, by=bob) == {
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
    changed = await door.change("updateSubuser", value, SUBUSER, by=alice)
    replaced = {"permissions": ["user.read", "websocket.connect"], "until": "2999-01-01T00:00:00Z"}
    assert changed == {"subuser": subuser | replaced, "errors": []}
    deleted = await door.change("deleteSubuser", {"id": subuser["id"]}, "deletedId", by=alice)
    assert deleted == {"deletedId": subuser["id"], "errors": []}
    assert await door.data(memberships, by=bob) == {"me": {"memberships": {"totalCount": 0, "nodes": []}}}
    assert await door.data("{ me { id } }", by=bob) == {"me": {"id": bob.id}}, "the account stays"
    events = await door.rows("SELECT event FROM audit_events WHERE event LIKE 'subuser.%' ORDER BY id")
    assert [row["event"] for row in events] == ["subuser.create", "subuser.update", "subuser.delete"]


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        (["websocket.connect"], []),
        (["control.start", "control.start"], ["control.start"]),
        (["files.read", "file.read", "subusers.create"], ["file.read", "user.create"]),
        (["databases.read-password", "backups.create"], ["backup.create", "database.view_password"]),
    ],
)
async def test_permissions_are_given_back_canonical_once_and_with_the_socket(
    door: Door, admin: Person, alice: Person, asked: list[str], given: list[str]
) -> None:
    server_id = await new_server(door, admin, alice)
    made = await invite(door, alice, server_id, "bob@roster.test", *asked)
    assert made["subuser"]["permissions"] == [*given, "websocket.connect"]


async def test_the_same_set_is_no_change(door: Door, admin: Person, alice: Person) -> None:
    server_id = await new_server(door, admin, alice)
    made = await invite(door, alice, server_id, "bob@roster.test", "file.read", "control.start")
    value = {"id": made["subuser"]["id"], "permissions": ["files.read", "websocket.connect", "control.start"]}
    events = await door.rows("SELECT count(*) FROM audit_events")
    assert await door.change("updateSubuser", value, SUBUSER, by=alice) == made
    assert await door.rows("SELECT count(*) FROM audit_events") == events


@pytest.mark.parametrize("names", [["sudo"], ["control.start", "file.rm"], ["*"], [""], ["CONTROL.START"]])
async def test_an_unknown_permission_is_refused_with_its_place(
    door: Door, admin: Person, alice: Person, names: list[str]
) -> None:
    server_id = await new_server(door, admin, alice)
    document = "mutation ($input: CreateSubuserInput!) { createSubuser(input: $input) { subuser { id } } }"
    value = {"serverId": server_id, "email": "bob@roster.test", "permissions": names}
    answer = await door.ask(document, {"input": value}, by=alice)
    [error] = answer["errors"]
    assert ("data" in answer, error["extensions"]) == (False, {"code": "BAD_USER_INPUT"})
    assert f"at .permissions[{len(names) - 1}]: Unknown permission" in error["message"]


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ({"permissions": []}, ("REQUIRED", ["permissions"])),
        ({"permissions": ["control.start", "users.read"]}, ("INVALID", ["permissions", "1"])),
        ({"permissions": ["account.read"]}, ("INVALID", ["permissions", "0"])),
        ({"email": ""}, ("REQUIRED", ["email"])),
        ({"email": "bob"}, ("INVALID", ["email"])),
        ({"email": "bob@roster@test"}, ("INVALID", ["email"])),
        ({"email": "alice@roster.test"}, ("NOT_ALLOWED", ["email"])),
        ({"email": "ALICE@roster.TEST"}, ("NOT_ALLOWED", ["email"])),
        ({"email": "nobody@x.test", "onUnknownEmail": "FAIL"}, ("NOT_FOUND", ["email"])),
        ({"until": "2020-01-01T00:00:00Z"}, ("INVALID", ["until"])),
        ({"serverId": UNKNOWN}, ("NOT_FOUND", ["serverId"])),
    ],
)
async def test_what_an_invitation_must_not_be_is_told_by_field(
    door: Door, admin: Person, alice: Person, value: dict[str, Any], refusal: tuple[str, list[str]]
) -> None:
    server_id = await new_server(door, admin, alice)
    users = await door.rows("SELECT count(*) FROM users")
    invitation = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["control.start"]}
    refused = await door.change("createSubuser", invitation | value, SUBUSER, by=alice)
    assert (refused["subuser"], codes(refused)) == (None, [refusal])
    assert await door.rows("SELECT count(*) FROM users") == users
    assert await door.rows("SELECT 1 FROM subusers") == []


async def test_a_member_is_a_conflict(door: Door, admin: Person, alice: Person) -> None:
    server_id = await new_server(door, admin, alice)
    await invite(door, alice, server_id, "bob@roster.test")
    again = await invite(door, alice, server_id, "BOB@roster.test", "file.read")
    assert (again["subuser"], codes(again)) == (None, [("CONFLICT", ["email"])])
    both = await asyncio.gather(*(invite(door, alice, server_id, "new@x.test") for _ in range(5)))
    assert Counter(map(str, map(codes, both))) == {"[]": 1, "[('CONFLICT', ['email'])]": 4}


@pytest.mark.parametrize(
    "email",
    ["carol@x.test", "müller@x.test", "日本@x.test", "a.b+c@x.test", "root@x.test", "x@x.test", "🦔@x.test"],
)
async def test_an_unknown_address_gets_an_account_without_a_password(
    door: Door, admin: Person, alice: Person, email: str
) -> None:
    server_id = await new_server(door, admin, alice)
    made = await invite(door, alice, server_id, email)
    fields = "username email hasPassword firstName lastName language role { name } isAdmin emailVerified"
    document = f"query ($id: ID!) {{ user(by: {{id: $id}}) {{ {fields} }} }}"
    user = (await door.data(document, {"id": made["subuser"]["user"]["id"]}, by=admin))["user"]
    policy = door.house.usernames
    assert policy.min_length <= len(user["username"]) <= policy.max_length
    assert set(user["username"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert user == {
        "username": user["username"],
        "email": email,
        "hasPassword": False,
        "firstName": "Server",
        "lastName": "Subuser",
        "language": "en",
        "role": {"name": "USER"},
        "isAdmin": False,
        "emailVerified": False,
    }


async def test_an_invited_account_has_the_default_plan_as_any_other(door: Door, admin: Person, alice: Person) -> None:
    plan = {"name": "Start", "tier": "PAID", "isDefault": True}
    await door.change("createPlan", plan, "", by=admin)
    server_id = await new_server(door, admin, alice)
    made = await invite(door, alice, server_id, "carol@x.test")
    document = "query ($id: ID!) { user(by: {id: $id}) { tier plan { name } } }"
    invited = await door.data(document, {"id": made["subuser"]["user"]["id"]}, by=admin)
    assert invited == {"user": {"tier": "PAID", "plan": {"name": "Start"}}}


async def test_one_unknown_address_on_several_servers_at_once_is_one_account(
    door: Door, admin: Person, alice: Person
) -> None:
    servers = [await new_server(door, admin, alice) for _ in range(6)]
    spellings = ["new@x.test", "New@x.test", "NEW@X.TEST"] * 2
    made = await asyncio.gather(
        *(invite(door, alice, server_id, email) for server_id, email in zip(servers, spellings, strict=True))
    )
    assert [payload["errors"] for payload in made] == [[]] * 6
    assert len({payload["subuser"]["user"]["id"] for payload in made}) == 1
    assert len(await door.rows("SELECT 1 FROM users WHERE lower(email) = 'new@x.test'")) == 1


async def test_a_membership_ends_by_itself_and_makes_room(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(door, admin, alice)
    made = await invite(door, alice, server_id, "bob@roster.test", "user.read", until="2999-01-01T00:00:00Z")
    document = "query ($id: ID!) { server(id: $id) { myPermissions subusers { totalCount } } }"
    assert (await door.data(document, {"id": server_id}, by=bob))["server"]["subusers"] == {"totalCount": 1}
    await door.rows("UPDATE subusers SET until = now()")
    assert await door.data(document, {"id": server_id}, by=bob) == {"server": None}
    assert (await door.data(document, {"id": server_id}, by=alice))["server"]["subusers"] == {"totalCount": 0}
    node = "query ($id: ID!) { node(id: $id) { id } me { memberships { totalCount nodes { id } } } }"
    over = await door.data(node, {"id": made["subuser"]["id"]}, by=bob)
    assert over == {"node": None, "me": {"memberships": {"totalCount": 0, "nodes": []}}}
    for field, value in (("updateSubuser", {"permissions": ["control.start"]}), ("deleteSubuser", {})):
        refused = await door.change(field, {"id": made["subuser"]["id"]} | value, "", by=alice)
        assert codes(refused) == [("NOT_FOUND", ["id"])]
    again = await invite(door, alice, server_id, "bob@roster.test", "user.read")
    assert (again["errors"], again["subuser"]["until"]) == ([], None)
    assert again["subuser"]["id"] != made["subuser"]["id"]


@pytest.mark.parametrize(
    ("value", "until"),
    [
        ({}, "2999-01-01T00:00:00Z"),
        ({"until": None}, None),
        ({"until": "2998-01-01T00:00:00Z"}, "2998-01-01T00:00:00Z"),
    ],
)
async def test_an_absent_end_is_kept_and_null_takes_it_away(
    door: Door, admin: Person, alice: Person, value: dict[str, Any], until: str | None
) -> None:
    server_id = await new_server(door, admin, alice)
    made = await invite(door, alice, server_id, "bob@roster.test", until="2999-01-01T00:00:00Z")
    change = {"id": made["subuser"]["id"], "permissions": ["control.start"]} | value
    assert (await door.change("updateSubuser", change, SUBUSER, by=alice))["subuser"]["until"] == until


async def test_the_last_places_of_a_server_are_not_oversold(door: Door, admin: Person, alice: Person) -> None:
    server_id = await new_server(door, admin, alice)
    await door.rows(
        """WITH made AS (
             INSERT INTO users (external_id) SELECT n FROM generate_series(1, 105) n RETURNING id, external_id
           )
           INSERT INTO subusers (server_id, user_id, permissions, until)
           SELECT $1, id, '{}', CASE WHEN CAST(external_id AS int) > 97 THEN now() END FROM made""",
        server_id,
    )
    made = await asyncio.gather(*(invite(door, alice, server_id, f"guest{n}@x.test") for n in range(12)))
    assert Counter(str(codes(payload)) for payload in made) == {"[]": 3, "[('LIMIT_REACHED', ['serverId'])]": 9}
    guests = await door.rows("SELECT 1 FROM users WHERE email LIKE 'guest%'")
    assert len(guests) == 3, "a refused invitation makes no account"

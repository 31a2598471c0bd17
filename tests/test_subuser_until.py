"""Memberships that end by themselves: from their end on no user sees them, and they can be replaced."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.servers import code, new_key, new_member, new_server, problems

SUBUSER = "subuser { id until permissions }"
MANAGE = ("user.create", "user.read", "user.update", "user.delete", "settings.rename")
LATER = "2999-01-01T00:00:00Z"


async def expire(client: Client, subuser_id: str) -> None:
    """Let a membership end now."""
    await client.rows("UPDATE subusers SET until = now() WHERE id = $1", subuser_id)


def soon(seconds: float) -> str:
    return (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)).isoformat()


@pytest.mark.parametrize("until", ["2020-01-01T00:00:00Z", "1970-01-01T00:00:00+02:00", "0001-01-02T00:00:00Z"])
async def test_an_end_in_the_past_is_rejected(client: Client, admin: Person, alice: Person, until: str) -> None:
    server_id = await new_server(client, admin, alice)
    value: dict[str, Any] = {"serverId": server_id, "email": "new@roster.test", "permissions": ["file.read"]}
    rejected = await client.mutate("createSubuser", value | {"until": until}, SUBUSER, by=alice)
    error = {"code": "INVALID", "message": "until must be in the future.", "field": ["until"]}
    assert rejected == {"subuser": None, "errors": [error]}
    assert await client.rows("SELECT FROM users WHERE email = 'new@roster.test'") == []
    member = await new_member(client, alice, server_id, "bob", "file.read", until=LATER)
    change = {"id": member, "permissions": ["file.read"], "until": until}
    assert (await client.mutate("updateSubuser", change, SUBUSER, by=alice))["errors"] == [error]
    [row] = await client.rows("SELECT until FROM subusers")
    assert row["until"].year == 2999


async def test_access_ends_by_itself_at_the_next_request(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    member = await new_member(client, alice, server_id, "bob", *MANAGE, "file.read", until=soon(2))
    key = await new_key(client, bob, "servers.read", *MANAGE, "file.read")
    document = "query ($id: ID!) { server(id: $id) { myPermissions } }"
    for by in (bob, key):
        assert (await client.data(document, {"id": server_id}, by=by))["server"] is not None
    await asyncio.sleep(2.1)
    share = {"serverId": server_id, "email": "new@roster.test", "permissions": ["file.read"]}
    calls: list[tuple[str, dict[str, Any], str]] = [
        ("createSubuser", share, "serverId"),
        ("updateServer", {"id": server_id, "name": "renamed"}, "id"),
        ("updateSubuser", {"id": member, "permissions": ["file.read"]}, "id"),
        ("deleteSubuser", {"id": member}, "id"),
    ]
    for by in (bob, key):
        assert await client.data(document, {"id": server_id}, by=by) == {"server": None}
        for mutation, value, field in calls:
            assert problems(await client.mutate(mutation, value, "", by=by)) == [("NOT_FOUND", [field])]
    node = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } me { memberships { totalCount nodes { id } } } }"
    assert await client.data(node, {"ids": [server_id, member]}, by=bob) == {
        "nodes": [None, None],
        "me": {"memberships": {"totalCount": 0, "nodes": []}},
    }


async def test_no_list_shows_a_membership_that_has_ended(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await expire(client, await new_member(client, alice, server_id, "bob", "file.read"))
    kept = await new_member(client, alice, server_id, "stella", "file.read", until=LATER)
    document = """query ($id: ID!, $user: ID!) {
      server(id: $id) { subusers { totalCount nodes { id } } }
      servers { nodes { subusers(first: 5) { totalCount edges { node { id } } } } }
      user(by: {id: $user}) { memberships { totalCount nodes { id } } } }"""
    shown = {"totalCount": 1, "nodes": [{"id": kept}]}
    assert await client.data(document, {"id": server_id, "user": bob.id}, by=admin) == {
        "server": {"subusers": shown},
        "servers": {"nodes": [{"subusers": {"totalCount": 1, "edges": [{"node": {"id": kept}}]}}]},
        "user": {"memberships": {"totalCount": 0, "nodes": []}},
    }


async def test_a_membership_that_ends_while_a_change_waits_is_not_revived(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    member = await new_member(client, alice, server_id, "bob", "file.read", until=soon(1.5))
    async with client.resources.database.transaction() as other:
        await other.run("lock_server", id=server_id)
        change = {"id": member, "permissions": ["file.read"], "until": None}
        changing = asyncio.create_task(client.mutate("updateSubuser", change, SUBUSER, by=alice))
        deleting = asyncio.create_task(client.mutate("deleteSubuser", {"id": member}, "deletedId", by=admin))
        await asyncio.sleep(1.8)
    assert problems(await changing) == problems(await deleting) == [("NOT_FOUND", ["id"])]
    [row] = await client.rows("SELECT until FROM subusers")
    assert row["until"] is not None


async def test_an_end_that_passes_while_the_request_waits_is_rejected(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    member = await new_member(client, alice, server_id, "stella", "file.read")
    async with client.resources.database.transaction() as other:
        await other.run("lock_server", id=server_id)
        share = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["file.read"], "until": soon(1)}
        creating = asyncio.create_task(client.mutate("createSubuser", share, SUBUSER, by=alice))
        change = {"id": member, "permissions": ["file.read"], "until": soon(1)}
        changing = asyncio.create_task(client.mutate("updateSubuser", change, SUBUSER, by=alice))
        await asyncio.sleep(1.3)
    assert problems(await creating) == problems(await changing) == [("INVALID", ["until"])]
    assert [row["id"] for row in await client.rows("SELECT id FROM subusers WHERE until IS NULL")] == [member]


async def test_a_subuser_whose_membership_ends_while_the_request_waits_adds_no_subuser(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    end = soon(1.5)
    await new_member(client, alice, server_id, "bob", *MANAGE, until=end)
    async with client.resources.database.transaction() as other:
        await other.run("lock_server", id=server_id)
        share = {"serverId": server_id, "email": "new@roster.test", "permissions": ["user.read"], "until": end}
        creating = asyncio.create_task(client.mutate("createSubuser", share, SUBUSER, by=bob))
        await asyncio.sleep(1.8)
    assert problems(await creating) == [("NOT_FOUND", ["serverId"])]
    assert await client.rows("SELECT FROM users WHERE email = 'new@roster.test'") == []


async def test_parallel_replacements_of_a_membership_that_has_ended_are_one(
    client: Client, admin: Person, alice: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await expire(client, await new_member(client, alice, server_id, "bob", "file.read"))
    value = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["file.read"]}
    created = await asyncio.gather(*(client.mutate("createSubuser", value, SUBUSER, by=alice) for _ in range(6)))
    assert sorted(problems(payload) for payload in created) == [[], *[[("CONFLICT", ["email"])]] * 5]
    assert len(await client.rows("SELECT FROM subusers")) == 1


async def test_null_makes_a_membership_permanent(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    member = await new_member(client, alice, server_id, "bob", "file.read", until=LATER)
    change = {"id": member, "permissions": ["file.read"], "until": None}
    assert (await client.mutate("updateSubuser", change, SUBUSER, by=alice))["subuser"]["until"] is None
    share = {"serverId": server_id, "email": "stella@roster.test", "permissions": ["file.read"], "until": None}
    assert (await client.mutate("createSubuser", share, SUBUSER, by=alice))["subuser"]["until"] is None


@pytest.mark.parametrize("until", ["tomorrow", "2999-01-01", "2999-13-01T00:00:00Z", 1, "2999-01-01T00:00:00"])
async def test_what_is_not_a_time_is_bad_input(client: Client, admin: Person, alice: Person, until: Any) -> None:
    server_id = await new_server(client, admin, alice)
    value = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["file.read"], "until": until}
    document = "mutation ($input: CreateSubuserInput!) { createSubuser(input: $input) { __typename } }"
    assert code(await client.execute(document, {"input": value}, by=alice)) == "BAD_USER_INPUT"

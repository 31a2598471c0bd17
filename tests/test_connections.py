"""Connections of an object: complete walks, counts, cursors, and one query for the pages of all owners."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service.database import pages
from service.database.pages import Bounds
from tests.conftest import Client, Person
from tests.module_client import module_client

FILL = """
WITH people AS (SELECT id, username FROM users WHERE username IN ('alice', 'bob')),
plan AS (INSERT INTO plans (name, tier) VALUES ('Small', 'FREE'), ('Large', 'PAID') RETURNING id, name),
crew AS (
  INSERT INTO users (username, plan_id, role_id) SELECT 'crew' || n, plan.id, '00000000-0000-7000-8000-000000000003'
  FROM generate_series(1, 7) AS n JOIN plan ON plan.name = CASE WHEN n < 6 THEN 'Small' ELSE 'Large' END RETURNING id
),
machines AS (
  INSERT INTO servers (name, owner_id) SELECT 's' || n, people.id FROM people, generate_series(1, 7) AS n
  RETURNING id, name, owner_id
),
sharing AS (
  INSERT INTO subusers (server_id, user_id, permissions) SELECT machines.id, crew.id, '{control.start}'
  FROM machines, crew WHERE machines.name = 's1' RETURNING id
),
memberships AS (
  INSERT INTO subusers (server_id, user_id, permissions, until) SELECT machines.id, people.id, '{}',
    CASE WHEN machines.name = 's7' THEN now() END
  FROM machines JOIN people ON people.id <> machines.owner_id RETURNING id
),
signed AS (
  INSERT INTO sessions (user_id, expires_at, idle_expires_at, ended_at)
  SELECT people.id, now() + interval '1 day', now() + interval '1 day', CASE WHEN n = 7 THEN now() END
  FROM people, generate_series(1, 7) AS n RETURNING id
),
keys AS (
  INSERT INTO api_keys (user_id, name, prefix) SELECT people.id, 'key' || n, 'rstk_'
  FROM people, generate_series(1, 7) AS n RETURNING id
),
events AS (
  INSERT INTO audit_events (event, actor_id, owner_id, target_id) SELECT 'test', people.id, crew.id, crew.id
  FROM people, crew RETURNING id
)
INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key)
SELECT people.id, 'key' || n, 'ssh-ed25519', 'SHA256:' || people.id || n, 'ssh-ed25519 AAAA'
FROM people, generate_series(1, 7) AS n
"""
# The connection, the objects that have it, and its length (each user of the template has one session, and two events:
# its creation and its login)
TWO_WAY = {
    "sessions": ('user(by: {username: "%s"})', ("alice", "bob"), 7),
    "apiKeys": ('user(by: {username: "%s"})', ("alice", "bob"), 7),
    "sshKeys": ('user(by: {username: "%s"})', ("alice", "bob"), 7),
    "servers": ('user(by: {username: "%s"})', ("alice", "bob"), 7),
    "memberships": ('user(by: {username: "%s"})', ("alice", "bob"), 6),
    "auditEvents": ('user(by: {username: "%s"})', ("alice", "bob"), 9),
    "subusers": ('server(id: "%s")', ("server of alice", "server of bob"), 8),
}
FORWARD = {"plan": ('node(id: "%s")', ("Small", "Large"), 5), "role": ('node(id: "%s")', ("ADMIN", "USER"), 8)}
INFO = "pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
PAGE = f"totalCount nodes {{ id }} edges {{ cursor node {{ id }} }} {INFO}"


@pytest_asyncio.fixture(scope="module")
async def objects(server_url: str, people: dict[str, Person]) -> AsyncIterator[Client]:
    """Create seven objects of every type for Alice and Bob, who share their servers. No test changes them."""
    assert people
    async with module_client(server_url) as client:
        await client.rows(FILL)
        yield client


async def owners(client: Client) -> dict[str, str]:
    """Return the ids of plans, roles, and servers by name."""
    found = await client.rows("SELECT name, id FROM plans UNION SELECT name, id FROM roles")
    servers = await client.rows("""SELECT 'server of ' || users.username AS name, servers.id
        FROM servers JOIN users ON users.id = servers.owner_id WHERE servers.name = 's1'""")
    return {row["name"]: row["id"] for row in (*found, *servers)}


async def page(client: Client, by: Person, owner: str, field: str, arguments: str) -> dict[str, Any]:
    """Return one page, after comparing its parts with each other."""
    written = f"{field}({arguments})" if arguments else field
    selection = f"... on Plan {{ {written} {{ {PAGE} }} }} ... on Role {{ {written} {{ {PAGE} }} }}"
    selection = selection if owner.startswith("node") else f"{written} {{ {PAGE} }}"
    (found,) = (await client.data(f"{{ o: {owner} {{ {selection} }} }}", by=by))["o"].values()
    ids = [node["id"] for node in found["nodes"]]
    assert [edge["node"]["id"] for edge in found["edges"]] == ids
    cursors = [edge["cursor"] for edge in found["edges"]]
    info = found["pageInfo"]
    assert (info["startCursor"], info["endCursor"]) == ((cursors[0], cursors[-1]) if cursors else (None, None))
    return {"ids": ids, "cursors": cursors, "count": found["totalCount"], **info}


@pytest.mark.parametrize("field", TWO_WAY)
async def test_a_walk_returns_every_item_once_in_either_direction(objects: Client, root: Person, field: str) -> None:
    template, names, length = TWO_WAY[field]
    known = await owners(objects)
    for name in names:
        owner = template % known.get(name, name)
        whole = (await page(objects, root, owner, field, "first: 100"))["ids"]
        assert (len(whole), whole) == (length, sorted(whole, reverse=True))
        walked: list[str] = []
        arguments = "first: 3"
        while arguments:
            found = await page(objects, root, owner, field, arguments)
            assert (found["count"], found["hasPreviousPage"]) == (length, bool(walked))
            walked += found["ids"]
            arguments = f'first: 3, after: "{found["endCursor"]}"' if found["hasNextPage"] else ""
        assert walked == whole
        walked, arguments = [], "last: 3"
        while arguments:
            found = await page(objects, root, owner, field, arguments)
            assert (found["count"], found["hasNextPage"]) == (length, bool(walked))
            walked = found["ids"] + walked
            arguments = f'last: 3, before: "{found["startCursor"]}"' if found["hasPreviousPage"] else ""
        assert walked == whole


@pytest.mark.parametrize("field", TWO_WAY)
async def test_a_page_is_between_its_cursors(objects: Client, root: Person, field: str) -> None:
    template, names, _length = TWO_WAY[field]
    owner = template % (await owners(objects)).get(names[0], names[0])
    whole = await page(objects, root, owner, field, "")
    between = f'after: "{whole["cursors"][0]}", before: "{whole["cursors"][4]}"'
    assert (await page(objects, root, owner, field, between))["ids"] == whole["ids"][1:4]
    assert (await page(objects, root, owner, field, f"{between}, first: 2"))["ids"] == whole["ids"][1:3]
    assert (await page(objects, root, owner, field, f"{between}, last: 2"))["ids"] == whole["ids"][2:4]
    past = await page(objects, root, owner, field, f'after: "{whole["cursors"][-1]}"')
    assert (past["ids"], past["count"], past["hasNextPage"], past["hasPreviousPage"]) == (
        [],
        whole["count"],
        False,
        True,
    )


@pytest.mark.parametrize("kind", FORWARD)
async def test_users_of_a_plan_or_role_are_walked_forward(objects: Client, root: Person, kind: str) -> None:
    template, names, length = FORWARD[kind]
    owner = template % (await owners(objects))[names[0]]
    whole = (await page(objects, root, owner, "users", "first: 100"))["ids"]
    assert (len(whole), whole) == (length, sorted(whole))
    walked: list[str] = []
    arguments = "first: 2"
    while arguments:
        found = await page(objects, root, owner, "users", arguments)
        assert (found["count"], found["hasPreviousPage"]) == (length, bool(walked))
        walked += found["ids"]
        arguments = f'first: 2, after: "{found["endCursor"]}"' if found["hasNextPage"] else ""
    assert walked == whole


LEVELS = """{ users(first: 100, orderBy: USERNAME_ASC) { nodes { username
  sessions(first: 2) { nodes { user { username } } } apiKeys(first: 2) { nodes { user { username } } }
  sshKeys(first: 2) { nodes { user { username } } } servers(first: 2) { nodes { owner { username } } }
  memberships(first: 2) { nodes { user { username } } } } } }"""


async def test_the_first_items_of_all_owners_take_one_query(objects: Client, root: Person) -> None:
    before = objects.reads
    users = (await objects.data(LEVELS, by=root))["users"]["nodes"]
    assert objects.reads - before == 1 + 1 + 5 + 1  # the actor, users, their pages, the users of the items
    for user in users:
        owner = {"username": user["username"]}
        owners_of_items = [
            node.get("user") or node["owner"] for field in TWO_WAY if field in user for node in user[field]["nodes"]
        ]
        length = 10 if user["username"] in {"alice", "bob"} else len(owners_of_items)
        assert owners_of_items == [owner] * length


async def test_the_first_users_of_all_plans_and_roles_take_one_query(objects: Client, root: Person) -> None:
    before = objects.reads
    plans = "plans { name users(first: 3) { totalCount nodes { username } } }"
    found = await objects.data(f"{{ {plans} roles {{ name users(first: 2) {{ totalCount }} }} }}", by=root)
    assert objects.reads - before == 1 + 3 + 3
    crew = [{"username": f"crew{number}"} for number in range(1, 8)]
    assert found["plans"] == [
        {"name": "Small", "users": {"totalCount": 5, "nodes": crew[:3]}},
        {"name": "Large", "users": {"totalCount": 2, "nodes": crew[5:]}},
    ]
    counts = {role["name"]: role["users"]["totalCount"] for role in found["roles"]}
    assert counts == {"USER": 2, "STAFF": 1, "ADMIN": 8, "ROOT": 1}


async def test_a_connection_is_counted_only_if_its_count_is_selected(objects: Client, alice: Person) -> None:
    for selection, reads in (("nodes { id }", 3), ("totalCount", 4), ("totalCount edges { cursor }", 4)):
        before = objects.reads
        await objects.data(f"{{ me {{ sessions {{ {selection} }} }} }}", by=alice)
        assert (selection, objects.reads - before) == (selection, reads)


async def test_a_cursor_is_valid_for_its_own_connection_only(objects: Client, alice: Person) -> None:
    fields = [field for field in TWO_WAY if field != "subusers"]
    cursors = {field: (await page(objects, alice, "me", field, "first: 1"))["endCursor"] for field in fields}
    for given, cursor in cursors.items():
        for field in fields:
            for argument in ("after", "before"):
                document = f'{{ me {{ {field}({argument}: "{cursor}") {{ nodes {{ id }} }} }} }}'
                response = await objects.execute(document, by=alice)
                messages = [error["message"] for error in response.get("errors", [])]
                expected = [] if field == given else [f"{argument} is not a cursor of this list."]
                assert messages == expected, (given, field)


ARGUMENTS = {
    "first: 0": "first must be between 1 and 100.",
    "first: -1": "first must be between 1 and 100.",
    "first: 101": "first must be between 1 and 100.",
    "last: 0": "last must be between 1 and 100.",
    "last: 101": "last must be between 1 and 100.",
    "first: 1, last: 1": "first and last cannot be combined.",
    'after: ""': "after is not a cursor of this list.",
    'before: "x"': "before is not a cursor of this list.",
}


@pytest.mark.parametrize("arguments", ARGUMENTS)
async def test_wrong_arguments_make_only_their_connection_null(objects: Client, alice: Person, arguments: str) -> None:
    response = await objects.execute(f"{{ me {{ username sessions({arguments}) {{ nodes {{ id }} }} }} }}", by=alice)
    assert response["data"] == {"me": {"username": "alice", "sessions": None}}
    [error] = response["errors"]
    assert (error["path"], error["extensions"]["code"]) == (["me", "sessions"], "BAD_USER_INPUT")
    assert error["message"] == ARGUMENTS[arguments]


async def test_root_lists_are_walked_like_connections(objects: Client, root: Person) -> None:
    for field, length in (("servers", 14), ("auditEvents", 24)):
        document = f"query ($after: String) {{ {field}(first: 5, after: $after) {{ {PAGE} }} }}"
        walked: list[str] = []
        after = None
        while True:
            found = (await objects.data(document, {"after": after}, by=root))[field]
            walked += [node["id"] for node in found["nodes"]]
            assert found["totalCount"] == length
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                break
        assert (len(walked), walked) == (length, sorted(set(walked), reverse=True))
        last = (await objects.data(f"{{ {field}(last: 2) {{ {PAGE} }} }}", by=root))[field]
        assert ([node["id"] for node in last["nodes"]], last["pageInfo"]["hasPreviousPage"]) == (walked[-2:], True)


EVENTS = """INSERT INTO audit_events (event, created_at, id)
SELECT 'window', moment, CAST(rpad(lpad(to_hex(CAST(extract(epoch FROM moment) * 1000 AS bigint)), 12, '0')
  || '7' || lpad(to_hex(n), 3, '0'), 32, '8') AS uuid)
FROM (SELECT n, CAST('2025-01-01' AS timestamptz) + n * interval '6 hours' AS moment FROM generate_series(0, 99) AS n)
AS events"""
WINDOWS = {
    'createdAfter: "2025-01-01T00:00:00Z"': 99,
    'createdAfter: "2024-12-31T23:59:59.999999Z"': 100,
    'createdBefore: "2025-01-02T00:00:00Z"': 4,
    'createdAfter: "2025-01-02T00:00:00Z", createdBefore: "2025-01-03T00:00:00.000001Z"': 4,
    'createdAfter: "1500-01-01T00:00:00Z", createdBefore: "9999-12-31T23:59:59Z"': 100,
    'createdBefore: "1969-12-31T23:59:59Z"': 0,
}


async def test_a_window_of_time_is_found_by_the_ids_of_its_events(client: Client, root: Person) -> None:
    await client.rows(EVENTS)
    for window, length in WINDOWS.items():
        arguments = f'first: 100, filter: {{event: "window", {window}}}'
        document = f"{{ auditEvents({arguments}) {{ totalCount nodes {{ id }} }} }}"
        found = (await client.data(document, by=root))["auditEvents"]
        assert (window, found["totalCount"], len(found["nodes"])) == (window, length, length)
    statement = client.resources.database.statements["list_audit_events"]
    query = pages.page(statement, Bounds(), frozenset({"created_after", "created_before"}))
    moment = dt.datetime(2025, 1, 2, tzinfo=dt.UTC)
    values = {"created_after": moment, "created_before": moment, "limit": 2}
    async with client.resources.database.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        given = [values[name] for name in query.parameters]
        plan = " ".join(line[0] for line in await connection.fetch(f"EXPLAIN {query.sql}", *given))
    assert "Index Cond: ((id > " in plan
    assert "(id < " in plan
    assert "Sort" not in plan

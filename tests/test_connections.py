"""Pages of what belongs to an object: walked and counted like every list, in one statement for all owners."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import Door, Person
from tests.lasting import lasting_door

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
  INSERT INTO sessions (user_id, expires_at, ended_at) SELECT people.id, now() + interval '1 day',
    CASE WHEN n = 7 THEN now() END
  FROM people, generate_series(1, 7) AS n RETURNING id
),
keys AS (
  INSERT INTO api_keys (user_id, name, prefix) SELECT people.id, 'key' || n, 'rstk_'
  FROM people, generate_series(1, 7) AS n RETURNING id
),
events AS (
  INSERT INTO audit_events (event, actor_id, owner_id, target_id) SELECT 'try', people.id, crew.id, crew.id
  FROM people, crew RETURNING id
)
INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key)
SELECT people.id, 'key' || n, 'ssh-ed25519', 'SHA256:' || people.id || n, 'ssh-ed25519 AAAA'
FROM people, generate_series(1, 7) AS n
"""
# The connection, who has it, and how long it is (of the template's people each is signed in once, and was made and
# signed in: two events)
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
async def estate(server_url: str, people: dict[str, Person]) -> AsyncIterator[Door]:
    """Alice and Bob with seven or so of everything, on each other's servers; nothing here changes any of it."""
    assert people
    async with lasting_door(server_url) as door:
        await door.rows(FILL)
        yield door


async def owners(door: Door) -> dict[str, str]:
    """The ids of those that are not found by a name."""
    found = await door.rows("SELECT name, id FROM plans UNION SELECT name, id FROM roles")
    servers = await door.rows("""SELECT 'server of ' || users.username AS name, servers.id
        FROM servers JOIN users ON users.id = servers.owner_id WHERE servers.name = 's1'""")
    return {row["name"]: row["id"] for row in (*found, *servers)}


async def page(door: Door, by: Person, owner: str, field: str, arguments: str) -> dict[str, Any]:
    """One page; its parts agree with each other."""
    written = f"{field}({arguments})" if arguments else field
    selection = f"... on Plan {{ {written} {{ {PAGE} }} }} ... on Role {{ {written} {{ {PAGE} }} }}"
    selection = selection if owner.startswith("node") else f"{written} {{ {PAGE} }}"
    (found,) = (await door.data(f"{{ o: {owner} {{ {selection} }} }}", by=by))["o"].values()
    ids = [node["id"] for node in found["nodes"]]
    assert [edge["node"]["id"] for edge in found["edges"]] == ids
    cursors = [edge["cursor"] for edge in found["edges"]]
    info = found["pageInfo"]
    assert (info["startCursor"], info["endCursor"]) == ((cursors[0], cursors[-1]) if cursors else (None, None))
    return {"ids": ids, "cursors": cursors, "count": found["totalCount"], **info}


@pytest.mark.parametrize("field", TWO_WAY)
async def test_a_walk_meets_everything_once_in_either_direction(estate: Door, root: Person, field: str) -> None:
    template, names, length = TWO_WAY[field]
    known = await owners(estate)
    for name in names:
        owner = template % known.get(name, name)
        whole = (await page(estate, root, owner, field, "first: 100"))["ids"]
        assert (len(whole), whole) == (length, sorted(whole, reverse=True))
        met: list[str] = []
        arguments = "first: 3"
        while arguments:
            found = await page(estate, root, owner, field, arguments)
            assert (found["count"], found["hasPreviousPage"]) == (length, bool(met))
            met += found["ids"]
            arguments = f'first: 3, after: "{found["endCursor"]}"' if found["hasNextPage"] else ""
        assert met == whole
        met, arguments = [], "last: 3"
        while arguments:
            found = await page(estate, root, owner, field, arguments)
            assert (found["count"], found["hasNextPage"]) == (length, bool(met))
            met = found["ids"] + met
            arguments = f'last: 3, before: "{found["startCursor"]}"' if found["hasPreviousPage"] else ""
        assert met == whole


@pytest.mark.parametrize("field", TWO_WAY)
async def test_a_page_lies_between_its_cursors(estate: Door, root: Person, field: str) -> None:
    template, names, _length = TWO_WAY[field]
    owner = template % (await owners(estate)).get(names[0], names[0])
    whole = await page(estate, root, owner, field, "")
    between = f'after: "{whole["cursors"][0]}", before: "{whole["cursors"][4]}"'
    assert (await page(estate, root, owner, field, between))["ids"] == whole["ids"][1:4]
    assert (await page(estate, root, owner, field, f"{between}, first: 2"))["ids"] == whole["ids"][1:3]
    assert (await page(estate, root, owner, field, f"{between}, last: 2"))["ids"] == whole["ids"][2:4]
    past = await page(estate, root, owner, field, f'after: "{whole["cursors"][-1]}"')
    assert (past["ids"], past["count"], past["hasNextPage"], past["hasPreviousPage"]) == (
        [],
        whole["count"],
        False,
        True,
    )


@pytest.mark.parametrize("kind", FORWARD)
async def test_users_of_a_plan_or_role_are_walked_forward(estate: Door, root: Person, kind: str) -> None:
    template, names, length = FORWARD[kind]
    owner = template % (await owners(estate))[names[0]]
    whole = (await page(estate, root, owner, "users", "first: 100"))["ids"]
    assert (len(whole), whole) == (length, sorted(whole))
    met: list[str] = []
    arguments = "first: 2"
    while arguments:
        found = await page(estate, root, owner, "users", arguments)
        assert (found["count"], found["hasPreviousPage"]) == (length, bool(met))
        met += found["ids"]
        arguments = f'first: 2, after: "{found["endCursor"]}"' if found["hasNextPage"] else ""
    assert met == whole


LEVELS = """{ users(first: 100, orderBy: USERNAME_ASC) { nodes { username
  sessions(first: 2) { nodes { user { username } } } apiKeys(first: 2) { nodes { user { username } } }
  sshKeys(first: 2) { nodes { user { username } } } servers(first: 2) { nodes { owner { username } } }
  memberships(first: 2) { nodes { user { username } } } } } }"""


async def test_every_owner_gets_the_first_of_theirs_in_one_statement(estate: Door, root: Person) -> None:
    before = estate.reads
    users = (await estate.data(LEVELS, by=root))["users"]["nodes"]
    assert estate.reads - before == 1 + 1 + 5 + 1  # who asks, users, their pages, the users behind
    for user in users:
        whose = {"username": user["username"]}
        owned = [
            node.get("user") or node["owner"] for field in TWO_WAY if field in user for node in user[field]["nodes"]
        ]
        assert owned == [whose] * (10 if user["username"] in {"alice", "bob"} else len(owned))


async def test_every_plan_and_role_gets_its_first_users_in_one_statement(estate: Door, root: Person) -> None:
    before = estate.reads
    plans = "plans { name users(first: 3) { totalCount nodes { username } } }"
    found = await estate.data(f"{{ {plans} roles {{ name users(first: 2) {{ totalCount }} }} }}", by=root)
    assert estate.reads - before == 1 + 3 + 3
    crew = [{"username": f"crew{number}"} for number in range(1, 8)]
    assert found["plans"] == [
        {"name": "Small", "users": {"totalCount": 5, "nodes": crew[:3]}},
        {"name": "Large", "users": {"totalCount": 2, "nodes": crew[5:]}},
    ]
    counts = {role["name"]: role["users"]["totalCount"] for role in found["roles"]}
    assert counts == {"USER": 2, "STAFF": 1, "ADMIN": 8, "ROOT": 1}


async def test_a_connection_is_counted_only_when_that_is_asked(estate: Door, alice: Person) -> None:
    for selection, statements in (("nodes { id }", 3), ("totalCount", 4), ("totalCount edges { cursor }", 4)):
        before = estate.reads
        await estate.data(f"{{ me {{ sessions {{ {selection} }} }} }}", by=alice)
        assert (selection, estate.reads - before) == (selection, statements)


async def test_a_cursor_belongs_to_the_connection_that_gave_it(estate: Door, alice: Person) -> None:
    fields = [field for field in TWO_WAY if field != "subusers"]
    cursors = {field: (await page(estate, alice, "me", field, "first: 1"))["endCursor"] for field in fields}
    for given, cursor in cursors.items():
        for field in fields:
            for argument in ("after", "before"):
                answer = await estate.ask(
                    f'{{ me {{ {field}({argument}: "{cursor}") {{ nodes {{ id }} }} }} }}', by=alice
                )
                refused = [error["extensions"]["code"] for error in answer.get("errors", [])]
                assert refused == ([] if field == given else ["BAD_USER_INPUT"]), (given, field)


ARGUMENTS = [
    "first: 0",
    "first: -1",
    "first: 101",
    "last: 0",
    "last: 101",
    "first: 1, last: 1",
    'after: ""',
    'before: "x"',
]


@pytest.mark.parametrize("arguments", ARGUMENTS)
async def test_arguments_are_checked_and_leave_the_rest_of_the_answer(
    estate: Door, alice: Person, arguments: str
) -> None:
    answer = await estate.ask(f"{{ me {{ username sessions({arguments}) {{ nodes {{ id }} }} }} }}", by=alice)
    assert answer["data"] == {"me": {"username": "alice", "sessions": None}}
    assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [
        (["me", "sessions"], "BAD_USER_INPUT")
    ]


async def test_the_lists_of_the_root_are_walked_too(estate: Door, root: Person) -> None:
    for field, length in (("servers", 14), ("auditEvents", 24)):
        document = f"query ($after: String) {{ {field}(first: 5, after: $after) {{ {PAGE} }} }}"
        met: list[str] = []
        after = None
        while True:
            found = (await estate.data(document, {"after": after}, by=root))[field]
            met += [node["id"] for node in found["nodes"]]
            assert found["totalCount"] == length
            after = found["pageInfo"]["endCursor"]
            if not found["pageInfo"]["hasNextPage"]:
                break
        assert (len(met), met) == (length, sorted(set(met), reverse=True))
        last = (await estate.data(f"{{ {field}(last: 2) {{ {PAGE} }} }}", by=root))[field]
        assert ([node["id"] for node in last["nodes"]], last["pageInfo"]["hasPreviousPage"]) == (met[-2:], True)


EVENTS = """INSERT INTO audit_events (event, created_at, id)
SELECT 'window', moment, CAST(rpad(lpad(to_hex(CAST(extract(epoch FROM moment) * 1000 AS bigint)), 12, '0')
  || '7' || lpad(to_hex(n), 3, '0'), 32, '8') AS uuid)
FROM (SELECT n, CAST('2025-01-01' AS timestamptz) + n * interval '6 hours' AS moment FROM generate_series(0, 99) AS n)
AS events"""
WINDOWS = {
    'after: "2025-01-01T00:00:00Z"': 99,
    'after: "2024-12-31T23:59:59.999999Z"': 100,
    'before: "2025-01-02T00:00:00Z"': 4,
    'after: "2025-01-02T00:00:00Z", before: "2025-01-03T00:00:00.000001Z"': 4,
    'after: "1500-01-01T00:00:00Z", before: "9999-12-31T23:59:59Z"': 100,
    'before: "1969-12-31T23:59:59Z"': 0,
}


async def test_a_window_of_time_is_found_by_the_ids_of_its_events(door: Door, root: Person) -> None:
    await door.rows(EVENTS)
    for window, length in WINDOWS.items():
        arguments = f'first: 100, filter: {{event: "window", {window}}}'
        found = (await door.data(f"{{ auditEvents({arguments}) {{ totalCount nodes {{ id }} }} }}", by=root))[
            "auditEvents"
        ]
        assert (window, found["totalCount"], len(found["nodes"])) == (window, length, length)
    statement = door.house.database.statements["list_audit_events_desc"]
    moment = dt.datetime(2025, 1, 2, tzinfo=dt.UTC)
    values = dict.fromkeys(statement.parameters) | {"before": moment, "after": moment, "limit": 2}
    async with door.house.database.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = " ".join(line[0] for line in await connection.fetch(f"EXPLAIN {statement.sql}", *values.values()))
    assert "Index Cond: ((id > " in plan
    assert "(id < " in plan

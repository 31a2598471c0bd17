"""How many statements a document runs: a number that hangs on its levels, never on the rows."""

from __future__ import annotations

import pytest

from service.settings import Settings
from tests.conftest import Door, Person

LIST = """query ($first: Int) { users(first: $first, orderBy: USERNAME_ASC) { totalCount nodes {
  username
  role { name }
  plan { name }
  sessions { totalCount nodes { id } }
  apiKeys { totalCount nodes { name } }
  sshKeys { totalCount nodes { fingerprint } }
  servers { totalCount nodes { name owner { username } subusers { totalCount nodes { user { username } } } } }
  memberships { totalCount nodes { server { name } } }
} } }"""
# Who asks; users and their count; roles; plans; four pages and their counts; owners; subusers, their count, and the
# people they are; memberships, their count and servers
STATEMENTS = 1 + 2 + 1 + 1 + 4 * 2 + 1 + 3 + 3
FILL = """
WITH plan AS (INSERT INTO plans (name, tier) VALUES ('Small', 'FREE') RETURNING id),
people AS (
  INSERT INTO users (username, plan_id) SELECT 'user' || to_char(n, 'FM000'), plan.id
  FROM generate_series(1, 60) AS n, plan RETURNING id, username
),
machines AS (
  INSERT INTO servers (name, owner_id) SELECT 'server' || n, people.id FROM people, generate_series(1, 3) AS n
  RETURNING id, owner_id
),
sharing AS (
  INSERT INTO subusers (server_id, user_id, permissions)
  SELECT machines.id, people.id, '{control.start}' FROM machines
  JOIN people ON people.id <> machines.owner_id AND people.username LIKE '%1' RETURNING id
),
signed AS (
  INSERT INTO sessions (user_id, expires_at) SELECT people.id, now() + interval '1 day'
  FROM people, generate_series(1, 3) RETURNING id
),
keys AS (
  INSERT INTO api_keys (user_id, name, prefix) SELECT people.id, 'key' || n, 'rstk_'
  FROM people, generate_series(1, 3) AS n RETURNING id
)
INSERT INTO ssh_keys (user_id, name, type, fingerprint, public_key)
SELECT people.id, 'key' || n, 'ssh-ed25519', 'SHA256:' || people.id || n, 'ssh-ed25519 AAAA'
FROM people, generate_series(1, 3) AS n
"""
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQjRFl2ngA57m37nefhDN6jDP747P548c5zttHKM738"


@pytest.fixture
def settings() -> Settings:
    """Room for every page of fifty users, and the people on their servers."""
    return Settings(node_limit=50_000)


@pytest.mark.parametrize("first", [5, 50])
async def test_a_page_of_users_with_everything_takes_the_same_statements(door: Door, root: Person, first: int) -> None:
    await door.rows(FILL)
    await door.rows("DELETE FROM users WHERE username IN ('adam', 'alice', 'bob', 'stella')")
    await door.rows("UPDATE users SET plan_id = (SELECT id FROM plans) WHERE username = 'root'")
    before = door.reads
    users = (await door.data(LIST, {"first": first}, by=root))["users"]
    assert door.reads - before == STATEMENTS
    assert (users["totalCount"], len(users["nodes"])) == (61, first)
    others = [user for user in users["nodes"] if user["username"] != "root"]
    for page in ("sessions", "apiKeys", "sshKeys", "servers"):
        assert {(user[page]["totalCount"], len(user[page]["nodes"])) for user in others} == {(3, 3)}
    shared = {len(server["subusers"]["nodes"]) for user in others for server in user["servers"]["nodes"]}
    assert shared <= {5, 6}


async def test_an_empty_level_takes_no_statement(door: Door, root: Person) -> None:
    before = door.reads
    await door.data(
        "{ users { nodes { servers { nodes { subusers { nodes { user { id } } } } } plan { id } } } }", by=root
    )
    assert door.reads - before == 3  # who asks, users, servers; nobody has one, nor a plan


async def test_me_takes_who_asks_and_who_that_is(door: Door, alice: Person) -> None:
    for query, statements in (("{ me { id email settings } }", 2), ("{ me { role { name } a: role { id } } }", 3)):
        before = door.reads
        await door.data(query, by=alice)
        assert (query, door.reads - before) == (query, statements)


async def test_nobody_takes_no_statement(door: Door) -> None:
    before = door.reads
    assert await door.data("{ me { id } permissionCatalog { name } __schema { queryType { name } } }")
    assert door.reads - before == 0


async def test_ten_users_by_any_key_take_one_statement(door: Door, root: Person, people: dict[str, Person]) -> None:
    await door.change("addSshKey", {"name": "laptop", "publicKey": SSH_KEY}, "sshKey { id }", by=root)
    await door.rows("UPDATE users SET external_id = 'ext-' || username")
    fingerprint = (await door.rows("SELECT fingerprint FROM ssh_keys"))[0]["fingerprint"]
    keys = {
        "id": [person.id for person in people.values()],
        "username": [name.upper() for name in people],
        "email": [f"{name}@Roster.test" for name in people],
        "externalId": [f"ext-{name}" for name in people],
        "sshFingerprint": [fingerprint, fingerprint.removeprefix("SHA256:")]
        + [f"SHA256:{'A' * 42}{end}" for end in "AEI"],
    }
    for name, values in keys.items():
        asked = [f'u{at}: user(by: {{{name}: "{value}"}}) {{ username }}' for at, value in enumerate(values * 2)]
        before = door.reads
        found = await door.data(f"{{ {' '.join(asked)} }}", by=root)
        assert (name, door.reads - before) == (name, 2)
        expected = [{"username": person} for person in people]
        assert (
            list(found.values())
            == ([{"username": "root"}] * 2 + [None] * 3 if name == "sshFingerprint" else expected) * 2
        )


async def test_nodes_of_one_type_take_a_statement_for_each_type(
    door: Door, root: Person, people: dict[str, Person]
) -> None:
    statements = []
    for ids in ([root.id], [person.id for person in people.values()] * 20):
        before = door.reads
        await door.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids}, by=root)
        statements.append(door.reads - before)
    assert statements[0] == statements[1] == 1 + 9


async def test_an_audit_page_with_everybody_in_it(door: Door, root: Person) -> None:
    query = """query ($first: Int) { auditEvents(first: $first) { totalCount nodes {
      event actor { username } impersonator { username }
      target { ... on User { username } ... on Session { user { username } } }
    } } }"""
    statements = []
    for first in (6, 9):
        before = door.reads
        events = (await door.data(query, {"first": first}, by=root))["auditEvents"]["nodes"]
        assert len(events) == first
        statements.append(door.reads - before)
    # Who asks, events, their count, actors and users they are about, sessions
    assert statements == [5, 5]


async def test_the_permissions_on_many_servers_take_one_statement(
    door: Door, root: Person, alice: Person, bob: Person
) -> None:
    for number in range(5):
        await door.change("createServer", {"name": f"s{number}", "ownerId": alice.id}, "server { id }", by=root)
    await door.rows(
        "INSERT INTO subusers (server_id, user_id, permissions) SELECT id, $1, '{user.read}' FROM servers", bob.id
    )
    query = (
        "{ me { memberships { nodes { server { name myPermissions subusers { nodes { user { username } } } } } } } }"
    )
    before = door.reads
    found = (await door.data(query, by=bob))["me"]["memberships"]["nodes"]
    assert [each["server"]["myPermissions"] for each in found] == [["user.read"]] * 5
    # Who asks; me, who is the subuser as well; memberships, servers, permissions on them, subusers
    assert door.reads - before == 6

"""The number of queries that a document takes: it depends on the levels of the document, not on the rows."""

from __future__ import annotations

import pytest

from service.settings import Settings
from tests.conftest import Client, Person

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
# The actor; users and their count; roles; plans; four pages and their counts; owners; subusers, their count, and their
# users; memberships, their count, and their servers
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
  INSERT INTO sessions (user_id, expires_at, idle_expires_at)
  SELECT people.id, now() + interval '1 day', now() + interval '1 day'
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


async def create_servers(client: Client, owner: Person, by: Person) -> None:
    """Create five servers of a user, s0 to s4."""
    for number in range(5):
        await client.mutate("createServer", {"name": f"s{number}", "ownerId": owner.id}, "server { id }", by=by)


@pytest.fixture
def settings() -> Settings:
    """Allow as many objects as a page of fifty users with all their pages has."""
    return Settings(node_limit=50_000)


@pytest.mark.parametrize("first", [5, 50])
async def test_a_page_of_users_with_all_their_objects_takes_the_same_queries(
    client: Client, root: Person, first: int
) -> None:
    await client.rows(FILL)
    await client.rows("DELETE FROM users WHERE username IN ('adam', 'alice', 'bob', 'stella')")
    await client.rows("UPDATE users SET plan_id = (SELECT id FROM plans) WHERE username = 'root'")
    before = client.reads
    users = (await client.data(LIST, {"first": first}, by=root))["users"]
    assert client.reads - before == STATEMENTS
    assert (users["totalCount"], len(users["nodes"])) == (61, first)
    others = [user for user in users["nodes"] if user["username"] != "root"]
    for page in ("sessions", "apiKeys", "sshKeys", "servers"):
        assert {(user[page]["totalCount"], len(user[page]["nodes"])) for user in others} == {(3, 3)}
    shared = {len(server["subusers"]["nodes"]) for user in others for server in user["servers"]["nodes"]}
    assert shared <= {5, 6}


async def test_an_empty_level_takes_no_query(client: Client, root: Person) -> None:
    before = client.reads
    await client.data(
        "{ users { nodes { servers { nodes { subusers { nodes { user { id } } } } } plan { id } } } }", by=root
    )
    assert client.reads - before == 3  # the actor, users, servers; there are no servers and no plans


async def test_me_takes_a_query_for_the_actor_and_one_for_the_user(client: Client, alice: Person) -> None:
    for query, reads in (("{ me { id email settings } }", 2), ("{ me { role { name } a: role { id } } }", 3)):
        before = client.reads
        await client.data(query, by=alice)
        assert (query, client.reads - before) == (query, reads)


async def test_an_anonymous_request_for_constants_takes_no_query(client: Client) -> None:
    before = client.reads
    assert await client.data("{ me { id } permissionCatalog { name } __schema { queryType { name } } }")
    assert client.reads - before == 0


async def test_ten_users_by_any_key_take_one_query(client: Client, root: Person, people: dict[str, Person]) -> None:
    await client.mutate("addSshKey", {"name": "laptop", "publicKey": SSH_KEY}, "sshKey { id }", by=root)
    await client.rows("UPDATE users SET external_id = 'ext-' || username")
    fingerprint = (await client.rows("SELECT fingerprint FROM ssh_keys"))[0]["fingerprint"]
    keys = {
        "id": [person.id for person in people.values()],
        "username": [name.upper() for name in people],
        "email": [f"{name}@Roster.test" for name in people],
        "externalId": [f"ext-{name}" for name in people],
        "sshFingerprint": [fingerprint, fingerprint.removeprefix("SHA256:")]
        + [f"SHA256:{'A' * 42}{end}" for end in "AEI"],
    }
    for name, values in keys.items():
        fields = [f'u{at}: user(by: {{{name}: "{value}"}}) {{ username }}' for at, value in enumerate(values * 2)]
        before = client.reads
        found = await client.data(f"{{ {' '.join(fields)} }}", by=root)
        assert (name, client.reads - before) == (name, 2)
        expected: list[dict[str, str] | None] = [{"username": person} for person in people]
        if name == "sshFingerprint":
            expected = [{"username": "root"}] * 2 + [None] * 3
        assert list(found.values()) == expected * 2


async def test_nodes_take_one_query_for_the_types_and_one_for_each_type_that_is_found(
    client: Client, root: Person, people: dict[str, Person]
) -> None:
    users = [person.id for person in people.values()]
    sessions = [str(row["id"]) for row in await client.rows("SELECT id FROM sessions")]
    unknown = ["01900000-0000-7000-8000-000000000000"]
    for ids, types in ((unknown, 0), (users[:1], 1), (users * 20, 1), ([*users, *sessions, *unknown], 2)):
        fields = [f"a{number}: nodes(ids: $ids) {{ id }}" for number in range(10)]
        fields += [f'b{number}: node(id: "{key}") {{ id }}' for number, key in enumerate(ids[:50])]
        before = client.reads
        found = await client.data(f"query ($ids: [ID!]!) {{ {' '.join(fields)} }}", {"ids": ids}, by=root)
        assert client.reads - before == 1 + 1 + types  # the actor, the types
        assert found["a9"] == [None if key in unknown else {"id": key} for key in ids]


async def test_nodes_of_an_http_batch_share_their_queries(
    client: Client, root: Person, people: dict[str, Person]
) -> None:
    query = "query ($ids: [ID!]!) { a: nodes(ids: $ids) { id } b: nodes(ids: $ids) { id } }"
    body = [{"query": query, "variables": {"ids": [person.id]}} for person in people.values()]
    before = client.reads
    answers = (await client.http.post("/graphql", json=body, headers={"authorization": f"Bearer {root.token}"})).json()
    assert client.reads - before == 3
    assert [answer["data"]["b"] for answer in answers] == [[{"id": person.id}] for person in people.values()]


async def test_the_shares_in_the_servers_of_many_nodes_take_one_query(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await create_servers(client, alice, root)
    await client.rows(
        "INSERT INTO subusers (server_id, user_id, permissions) SELECT id, $1, '{}' FROM servers WHERE name < 's3'",
        bob.id,
    )
    rows = await client.rows("SELECT id FROM servers ORDER BY name")
    ids = [str(row["id"]) for row in rows]
    before = client.reads
    found = await client.data("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", {"ids": ids}, by=bob)
    assert client.reads - before == 4  # the actor, the types, servers, shares
    assert found["nodes"] == [*({"id": key} for key in ids[:3]), None, None]


async def test_a_page_of_audit_events_with_their_users_and_targets_takes_the_same_queries(
    client: Client, root: Person
) -> None:
    query = """query ($first: Int) { auditEvents(first: $first) { totalCount nodes {
      event actor { username } impersonator { username }
      target { ... on User { username } ... on Session { user { username } } }
    } } }"""
    counts = []
    for first in (6, 9):
        before = client.reads
        events = (await client.data(query, {"first": first}, by=root))["auditEvents"]["nodes"]
        assert len(events) == first
        counts.append(client.reads - before)
    # The actor, events, their count, users as actors and targets, sessions
    assert counts == [5, 5]


async def test_the_permissions_on_many_servers_take_one_query(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await create_servers(client, alice, root)
    await client.rows(
        "INSERT INTO subusers (server_id, user_id, permissions) SELECT id, $1, '{user.read}' FROM servers", bob.id
    )
    query = (
        "{ me { memberships { nodes { server { name myPermissions subusers { nodes { user { username } } } } } } } }"
    )
    before = client.reads
    found = (await client.data(query, by=bob))["me"]["memberships"]["nodes"]
    assert [each["server"]["myPermissions"] for each in found] == [["user.read"]] * 5
    # The actor; the user, who is the subuser as well; memberships, servers, permissions on them, subusers
    assert client.reads - before == 6

"""Cost limits: a document of a user interface is allowed, one that is far too expensive is rejected at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from graphql import OperationDefinitionNode, get_introspection_query, parse

from service.operations.variables import variable_error
from service.schema import schema
from service.settings import Settings
from tests.conftest import Client, Person
from tests.module_client import module_client

COLUMNS = """id username displayName avatarUrl twoFactorEnabled createdAt email emailVerified firstName lastName
  language tier isAdmin permissions dateOfBirth age isChildAccount settings hasPassword suspended lastLoginAt updatedAt
  version externalId billingAddress { line1 line2 company city state postalCode country } limits { memoryMb }
  suspension { reason at until } role { id name permissions } plan { id name tier limits { memoryMb } }"""
PAGES = {
    "sessions": "id createdAt lastSeenAt expiresAt ip userAgent device current",
    "apiKeys": "id name prefix permissions allowedIps createdAt lastUsedAt expiresAt",
    "sshKeys": "id name type fingerprint publicKey createdAt lastUsedAt",
}
INFO = "totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor }"
IN_NODES = "nodes { %s }"
IN_EDGES = INFO + " edges { cursor node { %s } }"


@pytest_asyncio.fixture(scope="module")
async def client(server_url: str, people: dict[str, Person]) -> AsyncIterator[Client]:
    """Return one client for all tests, because none of them changes what another one reads."""
    assert people
    async with module_client(server_url, Settings(node_limit=25_000)) as opened:
        yield opened


async def rejection(client: Client, query: str, by: Person | None = None, **variables: Any) -> dict[str, Any]:
    """Return the extensions of the only error of a document that is rejected quickly, before anything runs."""
    before, started = client.reads, time.perf_counter()
    answer = await client.execute(query, variables, by=by)
    assert time.perf_counter() - started < 2
    assert client.reads - before == (1 if by else 0)
    assert set(answer) == {"errors"}
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    found: dict[str, Any] = error["extensions"]
    return found


@pytest.mark.parametrize("page", [IN_NODES, IN_EDGES], ids=["nodes", "edges"])
async def test_fifty_users_with_all_their_pages_are_allowed(
    server_url: str, people: dict[str, Person], page: str
) -> None:
    pages = " ".join(f"{name} {{ {page % columns} }}" for name, columns in PAGES.items())
    subusers = f"subusers {{ {page % 'id permissions createdAt until'} }}"
    servers = f"servers {{ {page % f'id name externalId createdAt myPermissions {subusers}'} }}"
    query = f"{{ users(first: 50) {{ {page % f'{COLUMNS} {pages} {servers}'} }} }}"
    async with module_client(server_url, Settings(node_limit=32_000)) as generous:
        found = await generous.data(query, by=people["root"])
    assert len(found["users"].get("nodes") or found["users"]["edges"]) >= 5


async def test_the_size_of_a_page_is_multiplied_by_the_objects_around_it(client: Client, root: Person) -> None:
    pages = "users(first: 100) { nodes { sessions(first: 100) { nodes { user { id } } } } }"
    assert await client.data(f"{{ {pages} }}", by=root)  # 100 * (1 + 100 * 2)
    over = {"cost": 2 * 20_100, "limit": 25_000, "code": "QUERY_TOO_COMPLEX"}
    assert await rejection(client, f"{{ a: {pages} b: {pages} }}", root) == over
    assert await rejection(client, f"{{ {pages} ... on Query {{ a: {pages} }} }}", root) == over
    in_fragments = f"{{ ...A ...B ...A }} fragment A on Query {{ {pages} }} fragment B on Query {{ b: {pages} }}"
    assert await rejection(client, in_fragments, root) == over


async def test_edges_and_nodes_both_count_but_not_the_connection(client: Client, root: Person) -> None:
    half = "users(first: 100) { edges { node { sessions(first: 100) { edges { node { id } } } } } }"
    assert await client.data(f"{{ {half} b: {half} }}", by=root)
    inner = "sessions(first: 100) { nodes { id } edges { node { id } } }"
    both = f"users(first: 100) {{ nodes {{ {inner} }} edges {{ node {{ id }} }} }}"
    assert (await rejection(client, f"{{ {both} b: {half} }}", root))["cost"] == 100 + 100 * 200 + 100 + 100 * 101


@pytest.mark.parametrize("argument", ["first", "last"])
async def test_a_size_in_a_variable_counts(client: Client, root: Person, argument: str) -> None:
    sessions = f"sessions({argument}: $more) {{ nodes {{ user {{ id }} again: user {{ id }} }} }}"
    query = f"query ($size: Int, $more: Int = 100) {{ users({argument}: $size) {{ nodes {{ {sessions} }} }} }}"
    assert await client.data(query, {"size": 20}, by=root)
    assert await client.data(query, {}, by=root)
    assert (await rejection(client, query, root, size=100))["cost"] == 100 + 100 * 100 * 3
    assert (await rejection(client, query, root, size=2_147_483_647))["cost"] == 100 + 100 * 100 * 3


async def test_the_number_of_ids_counts(client: Client, root: Person) -> None:
    query = (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { sessions(first: 100) { nodes { user { id } } } } } }"
    )
    assert await client.data(query, {"ids": [root.id] * 100}, by=root)
    more = query.replace("user { id }", "user { id } b: user { id }")
    assert (await rejection(client, more, root, ids=[root.id] * 100))["cost"] == 100 * (1 + 100 * 3)
    literal = more.replace("query ($ids: [ID!]!)", "").replace(
        "$ids", f"[{', '.join([chr(34) + root.id + chr(34)] * 100)}]"
    )
    assert (await rejection(client, literal, root))["cost"] == 100 * (1 + 100 * 3)


async def test_a_list_without_a_size_counts_as_a_page(client: Client, root: Person) -> None:
    query = "{ roles { users(first: 100) { nodes { sessions(first: 100) { nodes { id } } } } } }"
    assert (await rejection(client, query, root))["cost"] == 20 * (1 + 100 * 101)


async def test_values_are_limited_like_objects(client: Client, alice: Person) -> None:
    leaves = " ".join(f"a{number}: id" for number in range(300))
    pages = f"sessions(first: 100) {{ nodes {{ user {{ sessions(first: 100) {{ nodes {{ {leaves} }} }} }} }} }}"
    query = f"{{ me {{ {pages} }} }}"
    assert (await rejection(client, query, alice))["limit"] == 500_000
    settings = " ".join(f"a{number}: settings" for number in range(100))
    query = f"{{ me {{ sessions(first: 100) {{ nodes {{ user {{ {settings} }} }} }} }} }}"
    assert (await rejection(client, query, alice))["limit"] == 500_000


@pytest.mark.parametrize("leaf", ["fields { args { %s } }", "fields { %s }", "%s", "enumValues { %s }"])
async def test_introspection_is_limited_too(client: Client, leaf: str) -> None:
    leaves = " ".join(f"a{number}: name" for number in range(200))
    fragment = f"fragment F on __Schema {{ types {{ {leaf % leaves} }} }}"
    spreads = " ".join(f"a{number}: __schema {{ ...F }}" for number in range(40))
    assert (await rejection(client, f"{{ {spreads} }} {fragment}"))["limit"] == 400_000


async def test_the_standard_introspection_query_is_allowed_with_any_limit(
    server_url: str, people: dict[str, Person]
) -> None:
    assert people
    async with module_client(server_url, Settings(node_limit=100)) as strict:
        query = get_introspection_query(specified_by_url=True, input_value_deprecation=True, schema_description=True)
        assert (await strict.data(query))["__schema"]["types"]
        assert (await rejection(strict, "{ users(first: 100) { nodes { role { id } } } }", people["root"]))[
            "limit"
        ] == 100


def doubling(depth: int) -> str:
    """Return fragments that each select twice as much as the next one."""
    body = "a: role {{ users {{ nodes {{ ...F{0} }} }} }} b: role {{ users {{ nodes {{ ...F{0} }} }} }}"
    fragments = [f"fragment F{number} on User {{ {body.format(number + 1)} }}" for number in range(depth)]
    return f"{{ me {{ ...F0 }} }} {' '.join(fragments)} fragment F{depth} on User {{ id }}"


def chain(length: int) -> str:
    """Return fragments that each contain the next two; execution collects every fragment once."""
    spreads = [
        f"fragment F{number} on User {{ a{number}: id ...F{number + 1} ...F{number + 2} }}" for number in range(length)
    ]
    return f"{{ me {{ ...F0 }} }} {' '.join(spreads)} " + " ".join(
        f"fragment F{number} on User {{ id }}" for number in (length, length + 1)
    )


async def test_nested_fragments_are_counted(client: Client, root: Person) -> None:
    assert (await rejection(client, doubling(16), root))["cost"] == 2**53 - 1
    assert len((await client.data(chain(60), by=root))["me"]) == 61


@pytest.mark.parametrize("selection", ["me { id } ", "__typename ", "a: me { b: id c: id } ", "... { me { id } } "])
async def test_a_document_of_repeated_selections_gets_a_quick_response(client: Client, selection: str) -> None:
    started = time.perf_counter()
    answer = await client.execute("{ " + selection * (960 // len(selection.split())) + "}")
    assert time.perf_counter() - started < 3
    assert "data" in answer or answer["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"


def nested(depth: int, opening: str, closing: str, root: str = "me") -> str:
    """Return a query of nested selections."""
    return f"{{ {root} {{ {opening * depth} username {closing * depth} }} }}"


DEEP = {
    "52 levels": nested(25, "suspension { by { ", "} }"),
    "200 levels": nested(99, "suspension { by { ", "} }"),
    "300 levels": nested(150, "suspension { by { ", "} }"),
    "pages": nested(60, "sessions(first: 1) { nodes { user { ", "} } }"),
    "inline fragments": nested(300, "... { ", "}"),
    "literals": "{ nodes(ids: " + "[" * 400 + "]" * 400 + ") { id } }",
    "fragments": "{ me { ...F0 } } "
    + " ".join(f"fragment F{n} on User {{ suspension {{ by {{ ...F{n + 1} }} }} }}" for n in range(60))
    + " fragment F60 on User { id }",
}


@pytest.mark.parametrize("query", DEEP.values(), ids=DEEP)
async def test_depth_is_limited(client: Client, query: str, alice: Person) -> None:
    await rejection(client, query, alice)


async def test_fifty_levels_are_allowed(client: Client, root: Person) -> None:
    await client.rows("INSERT INTO users (username) VALUES ('yin'), ('yang')")
    # Each was suspended by the other, so the levels have no end
    await client.rows("""UPDATE users SET suspended_at = now(), suspended_by = others.id FROM users AS others
        WHERE users.username IN ('yin', 'yang') AND others.username IN ('yin', 'yang') AND users.id <> others.id""")
    query = nested(24, "suspension { by { ", "} }", 'user(by: {username: "yin"})')
    found = (await client.data(query, by=root))["user"]
    for _ in range(24):
        found = found["suspension"]["by"]
    assert found == {"username": "yin"}


MUTATION = '%s: revokeSession(input: {id: "00000000-0000-7000-8000-00000000ffff"}) { revokedId }'
ELEVEN = [MUTATION % f"a{number}" for number in range(11)]
TOO_MANY = {
    "aliases": f"mutation {{ {' '.join(ELEVEN)} }}",
    "a fragment": f"mutation {{ {ELEVEN[0]} ...F }} fragment F on Mutation {{ {' '.join(ELEVEN[1:])} }}",
    "fragments in fragments": f"""mutation {{ ...F ... on Mutation {{ {ELEVEN[0]} }} }}
        fragment F on Mutation {{ ...G {" ".join(ELEVEN[1:5])} }}
        fragment G on Mutation {{ ... {{ {" ".join(ELEVEN[5:])} }} }}""",
}


@pytest.mark.parametrize("query", TOO_MANY.values(), ids=TOO_MANY)
async def test_a_document_may_have_ten_mutations(client: Client, query: str, alice: Person) -> None:
    assert await rejection(client, query, alice) == {"code": "QUERY_TOO_COMPLEX", "cost": 11, "limit": 10}
    assert await rejection(client, query) == {"code": "QUERY_TOO_COMPLEX", "cost": 11, "limit": 10}
    assert len(await client.data(f"mutation {{ {' '.join(ELEVEN[1:])} }}", by=alice)) == 10


class CountedList(list[str]):
    """A list that counts the items that are read."""

    read = 0

    def __iter__(self) -> Iterator[str]:
        """Yield the items and count them."""
        for item in super().__iter__():
            self.read += 1
            yield item


def test_no_value_is_checked_after_the_fiftieth_problem() -> None:
    ids = CountedList(["x"] * 1_000)
    (operation,) = parse("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }").definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert variable_error(schema._schema, operation, {"ids": ids}) is not None  # noqa: SLF001
    assert 50 <= ids.read <= 51


@pytest.mark.parametrize(("name", "most"), [("__schema", 2), ('__type(name: "User")', 20)])
async def test_a_request_has_few_introspections(client: Client, root: Person, name: str, most: int) -> None:
    def text(number: int) -> str:
        return "{ " + " ".join(f"a{each}: {name} {{ __typename }}" for each in range(number)) + " }"

    assert len(await client.data(text(most), by=root)) == most
    for operations in ([text(most + 1)], [text(most), text(1)]):
        batch = [{"query": operation} for operation in operations]
        response = await client.http.post("/graphql", json=batch, headers={"authorization": f"Bearer {root.token}"})
        error = response.json()[-1]["errors"][0]
        assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
        assert error["message"] == f"A request may have at most {most} fields {name.partition('(')[0]}."

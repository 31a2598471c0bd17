"""How much a document may ask for: what a front end needs passes, what only an attacker writes is refused at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from graphql import get_introspection_query

from service.settings import Settings
from tests.conftest import Door, Person
from tests.lasting import lasting_door

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
async def door(server_url: str, people: dict[str, Person]) -> AsyncIterator[Door]:
    """One door for all: nothing here changes what another test asks."""
    assert people
    async with lasting_door(server_url, Settings(node_limit=25_000)) as opened:
        yield opened


async def refusal(door: Door, query: str, by: Person | None = None, **variables: Any) -> dict[str, Any]:
    """The one error of a document that is refused before anything of it runs, and soon."""
    before, started = door.reads, time.perf_counter()
    answer = await door.ask(query, variables, by=by)
    assert time.perf_counter() - started < 2
    assert door.reads - before == (1 if by else 0)
    assert set(answer) == {"errors"}
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "QUERY_TOO_COMPLEX"
    found: dict[str, Any] = error["extensions"]
    return found


@pytest.mark.parametrize("page", [IN_NODES, IN_EDGES], ids=["nodes", "edges"])
async def test_fifty_users_with_all_their_pages_pass(door: Door, root: Person, page: str) -> None:
    pages = " ".join(f"{name} {{ {page % columns} }}" for name, columns in PAGES.items())
    subusers = f"subusers {{ {page % 'id permissions createdAt until'} }}"
    servers = f"servers {{ {page % f'id name externalId createdAt myPermissions {subusers}'} }}"
    found = await door.data(f"{{ users(first: 50) {{ {page % f'{COLUMNS} {pages} {servers}'} }} }}", by=root)
    assert len(found["users"].get("nodes") or found["users"]["edges"]) >= 5


async def test_a_page_counts_its_size_times_the_objects_around_it(door: Door, root: Person) -> None:
    pages = "users(first: 100) { nodes { sessions(first: 100) { nodes { user { id } } } } }"
    assert await door.data(f"{{ {pages} }}", by=root)  # 100 * (1 + 100 * 2)
    over = {"cost": 2 * 20_100, "limit": 25_000, "code": "QUERY_TOO_COMPLEX"}
    assert await refusal(door, f"{{ a: {pages} b: {pages} }}", root) == over
    assert await refusal(door, f"{{ {pages} ... on Query {{ a: {pages} }} }}", root) == over
    in_fragments = f"{{ ...A ...B ...A }} fragment A on Query {{ {pages} }} fragment B on Query {{ b: {pages} }}"
    assert await refusal(door, in_fragments, root) == over


async def test_edges_and_nodes_count_both_but_no_wrapper_does(door: Door, root: Person) -> None:
    half = "users(first: 100) { edges { node { sessions(first: 100) { edges { node { id } } } } } }"
    assert await door.data(f"{{ {half} b: {half} }}", by=root)
    inner = "sessions(first: 100) { nodes { id } edges { node { id } } }"
    both = f"users(first: 100) {{ nodes {{ {inner} }} edges {{ node {{ id }} }} }}"
    assert (await refusal(door, f"{{ {both} b: {half} }}", root))["cost"] == 100 + 100 * 200 + 100 + 100 * 101


@pytest.mark.parametrize("argument", ["first", "last"])
async def test_sizes_in_variables_count(door: Door, root: Person, argument: str) -> None:
    sessions = f"sessions({argument}: $more) {{ nodes {{ user {{ id }} again: user {{ id }} }} }}"
    query = f"query ($size: Int, $more: Int = 100) {{ users({argument}: $size) {{ nodes {{ {sessions} }} }} }}"
    assert await door.data(query, {"size": 20}, by=root)
    assert await door.data(query, {}, by=root)
    assert (await refusal(door, query, root, size=100))["cost"] == 100 + 100 * 100 * 3
    assert (await refusal(door, query, root, size=2_147_483_647))["cost"] == 100 + 100 * 100 * 3


async def test_ids_count(door: Door, root: Person) -> None:
    query = (
        "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on User { sessions(first: 100) { nodes { user { id } } } } } }"
    )
    assert await door.data(query, {"ids": [root.id] * 100}, by=root)
    more = query.replace("user { id }", "user { id } b: user { id }")
    assert (await refusal(door, more, root, ids=[root.id] * 100))["cost"] == 100 * (1 + 100 * 3)
    literal = more.replace("query ($ids: [ID!]!)", "").replace(
        "$ids", f"[{', '.join([chr(34) + root.id + chr(34)] * 100)}]"
    )
    assert (await refusal(door, literal, root))["cost"] == 100 * (1 + 100 * 3)


async def test_a_list_without_a_size_counts_as_a_page(door: Door, root: Person) -> None:
    query = "{ roles { users(first: 100) { nodes { sessions(first: 100) { nodes { id } } } } } }"
    assert (await refusal(door, query, root))["cost"] == 20 * (1 + 100 * 101)


async def test_values_are_limited_as_objects_are(door: Door, alice: Person) -> None:
    leaves = " ".join(f"a{number}: id" for number in range(300))
    pages = f"sessions(first: 100) {{ nodes {{ user {{ sessions(first: 100) {{ nodes {{ {leaves} }} }} }} }} }}"
    query = f"{{ me {{ {pages} }} }}"
    assert (await refusal(door, query, alice))["limit"] == 750_000
    settings = " ".join(f"a{number}: settings" for number in range(100))
    query = f"{{ me {{ sessions(first: 100) {{ nodes {{ user {{ {settings} }} }} }} }} }}"
    assert (await refusal(door, query, alice))["limit"] == 750_000


@pytest.mark.parametrize("leaf", ["fields { args { %s } }", "fields { %s }", "%s", "enumValues { %s }"])
async def test_introspection_is_no_way_around(door: Door, leaf: str) -> None:
    leaves = " ".join(f"a{number}: name" for number in range(200))
    fragment = f"fragment F on __Schema {{ types {{ {leaf % leaves} }} }}"
    spreads = " ".join(f"a{number}: __schema {{ ...F }}" for number in range(40))
    assert (await refusal(door, f"{{ {spreads} }} {fragment}"))["limit"] == 750_000


async def test_the_standard_introspection_passes_under_any_limit(server_url: str, people: dict[str, Person]) -> None:
    assert people
    async with lasting_door(server_url, Settings(node_limit=100)) as strict:
        query = get_introspection_query(specified_by_url=True, input_value_deprecation=True, schema_description=True)
        assert (await strict.data(query))["__schema"]["types"]
        assert (await refusal(strict, "{ users(first: 100) { nodes { role { id } } } }", people["root"]))[
            "limit"
        ] == 100


def doubling(depth: int) -> str:
    """Fragments that ask for twice as much each."""
    body = "a: role {{ users {{ nodes {{ ...F{0} }} }} }} b: role {{ users {{ nodes {{ ...F{0} }} }} }}"
    fragments = [f"fragment F{number} on User {{ {body.format(number + 1)} }}" for number in range(depth)]
    return f"{{ me {{ ...F0 }} }} {' '.join(fragments)} fragment F{depth} on User {{ id }}"


def chain(length: int) -> str:
    """Fragments that hold two others each, of which execution takes every one once."""
    spreads = [
        f"fragment F{number} on User {{ a{number}: id ...F{number + 1} ...F{number + 2} }}" for number in range(length)
    ]
    return f"{{ me {{ ...F0 }} }} {' '.join(spreads)} " + " ".join(
        f"fragment F{number} on User {{ id }}" for number in (length, length + 1)
    )


async def test_fragments_do_not_amplify(door: Door, root: Person) -> None:
    assert (await refusal(door, doubling(16), root))["cost"] == 2**53 - 1
    assert len((await door.data(chain(60), by=root))["me"]) == 61


@pytest.mark.parametrize("selection", ["me { id } ", "__typename ", "a: me { b: id c: id } ", "... { me { id } } "])
async def test_repetition_is_refused_or_answered_soon(door: Door, selection: str) -> None:
    started = time.perf_counter()
    answer = await door.ask("{ " + selection * (960 // len(selection.split())) + "}")
    assert time.perf_counter() - started < 3
    assert "data" in answer or answer["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"


def nested(depth: int, opening: str, closing: str, root: str = "me") -> str:
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
async def test_depth_is_limited(door: Door, query: str, alice: Person) -> None:
    await refusal(door, query, alice)


async def test_fifty_levels_are_answered(door: Door, root: Person) -> None:
    await door.rows("INSERT INTO users (username) VALUES ('yin'), ('yang')")
    # Each was suspended by the other: there is no end to their suspensions
    await door.rows("""UPDATE users SET suspended_at = now(), suspended_by = others.id FROM users AS others
        WHERE users.username IN ('yin', 'yang') AND others.username IN ('yin', 'yang') AND users.id <> others.id""")
    query = nested(24, "suspension { by { ", "} }", 'user(by: {username: "yin"})')
    found = (await door.data(query, by=root))["user"]
    for _ in range(24):
        found = found["suspension"]["by"]
    assert found == {"username": "yin"}


MUTATION = '%s: revokeSession(input: {id: "00000000-0000-7000-8000-00000000ffff"}) { endedSessions }'
ELEVEN = [MUTATION % f"a{number}" for number in range(11)]
TOO_MANY = {
    "aliases": f"mutation {{ {' '.join(ELEVEN)} }}",
    "a fragment": f"mutation {{ {ELEVEN[0]} ...F }} fragment F on Mutation {{ {' '.join(ELEVEN[1:])} }}",
    "fragments in fragments": f"""mutation {{ ...F ... on Mutation {{ {ELEVEN[0]} }} }}
        fragment F on Mutation {{ ...G {" ".join(ELEVEN[1:5])} }}
        fragment G on Mutation {{ ... {{ {" ".join(ELEVEN[5:])} }} }}""",
}


@pytest.mark.parametrize("query", TOO_MANY.values(), ids=TOO_MANY)
async def test_a_document_holds_ten_mutations(door: Door, query: str, alice: Person) -> None:
    assert await refusal(door, query, alice) == {"code": "QUERY_TOO_COMPLEX", "cost": 11, "limit": 10}
    assert await refusal(door, query) == {"code": "QUERY_TOO_COMPLEX", "cost": 11, "limit": 10}
    assert len(await door.data(f"mutation {{ {' '.join(ELEVEN[1:])} }}", by=alice)) == 10

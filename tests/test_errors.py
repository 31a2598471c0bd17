"""What is told when something goes wrong: always a code, and of what went wrong inside nothing but a request id."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from tests.conftest import Door, Person, in_maintenance

ID = "00000000-0000-7000-8000-00000000ffff"
PLAN = 'mutation { createPlan(input: {name: "Small", tier: FREE}) { plan { id } errors { code } } }'
REQUEST = "request-of-this-test"
INSIDE = ("relation", "asyncpg", "Traceback", "does not exist", "SELECT", "postgres", "database")


def headers(by: Person | None = None) -> dict[str, str]:
    return {"x-request-id": REQUEST} | ({"authorization": f"Bearer {by.token}"} if by else {})


async def ask(door: Door, query: str, by: Person | None = None) -> httpx.Response:
    return await door.http.post("/graphql", json={"query": query}, headers=headers(by))


def masked(code: str, **place: Any) -> dict[str, Any]:
    message = {
        "INTERNAL": "Something went wrong inside",
        "UNAVAILABLE": "The service is not available just now; try again",
    }[code]
    return {"message": message, **place, "extensions": {"code": code, "requestId": REQUEST}}


WRONG = {
    "syntax": "{",
    "validation": "{ nope }",
    "variables": "query ($id: ID!) { node(id: $id) { id } }",
    "argument": "{ users(first: 0) { totalCount } }",
    "cursor": '{ users(after: "x") { totalCount } }',
    "id": '{ node(id: "x") { id } }',
    "cost": "{ users(first: 100) { nodes { sessions(first: 100) { nodes { "
    + " ".join(f"{alias}: user {{ id }}" for alias in "abcde")
    + " } } } } }",
    "tokens": "{ __typename " + "a: __typename " * 400 + "}",
    "operation": "query A { __typename } query B { __typename }",
    "nobody": "{ users { totalCount } roles { id } auditEvents { totalCount } }",
    "nobody's mutation": f'mutation {{ deleteUser(input: {{id: "{ID}"}}) {{ deletedId }} }}',
}


@pytest.mark.parametrize("caller", ["root", "alice", "nobody"])
async def test_every_error_has_a_code(door: Door, people: dict[str, Person], caller: str) -> None:
    for name, query in WRONG.items():
        answer = await door.ask(query, by=people.get(caller))
        if caller == "root" and name.startswith("nobody"):
            continue
        assert answer["errors"], name
        for error in answer["errors"]:
            assert error["message"], name
            assert error["extensions"]["code"].isupper(), name


async def test_what_goes_wrong_inside_a_field_is_masked(door: Door, alice: Person) -> None:
    await door.rows("ALTER TABLE plans RENAME TO lost")
    response = await ask(door, "{ me { username } all: plans { name } }", alice)
    place = {"locations": [{"line": 1, "column": 19}], "path": ["all"]}
    assert (response.status_code, response.headers["x-request-id"]) == (200, REQUEST)
    assert response.json() == {"data": None, "errors": [masked("INTERNAL", **place)]}
    assert not any(word in response.text for word in INSIDE)


async def test_the_rest_of_the_answer_stands(door: Door, alice: Person) -> None:
    await door.rows("ALTER TABLE ssh_keys RENAME TO lost")
    query = "{ me { username sshKeys { nodes { id } } sessions { totalCount } } }"
    answer = (await ask(door, query, alice)).json()
    assert answer["data"] == {"me": {"username": "alice", "sshKeys": None, "sessions": {"totalCount": 1}}}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["INTERNAL"]


async def test_what_goes_wrong_in_a_mutation_is_masked_and_undone(door: Door, root: Person) -> None:
    await door.rows("ALTER TABLE audit_events RENAME TO lost")
    response = await ask(door, PLAN, root)
    place = {"locations": [{"line": 1, "column": 12}], "path": ["createPlan"]}
    assert response.json() == {"data": None, "errors": [masked("INTERNAL", **place)]}
    assert await door.rows("SELECT FROM plans") == []


async def test_an_unexpected_constraint_is_masked(door: Door, root: Person) -> None:
    await door.rows("ALTER TABLE plans ADD CONSTRAINT plans_no_small CHECK (name <> 'Small')")
    response = await ask(door, PLAN, root)
    assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["INTERNAL"]
    assert "Small" not in response.text
    assert "plans_no_small" not in response.text


async def test_what_goes_wrong_before_the_document_is_masked(door: Door, alice: Person) -> None:
    await door.rows("ALTER TABLE session_tokens RENAME TO lost")
    response = await ask(door, "{ me { username } }", alice)
    assert (response.status_code, response.json()) == (500, {"errors": [masked("INTERNAL")]})
    assert response.headers["x-request-id"] == REQUEST
    batch = await door.http.post("/graphql", json=[{"query": "{ me { id } }"}], headers=headers(alice))
    assert (batch.status_code, batch.json()) == (500, {"errors": [masked("INTERNAL")]})
    assert (await ask(door, "{ me { username } }")).json() == {"data": {"me": None}}


async def test_what_goes_wrong_while_rights_are_looked_up_is_masked(
    door: Door, root: Person, alice: Person, bob: Person
) -> None:
    made = await door.change("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    await door.rows("ALTER TABLE subusers RENAME TO lost")
    server = f'server(id: "{made["server"]["id"]}") {{ name subusers {{ nodes {{ id }} }} }}'
    for query in (f"{{ {server} }}", f'{{ node(id: "{made["server"]["id"]}") {{ id }} me {{ username }} }}'):
        answer = await door.ask(query, by=bob)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["INTERNAL"]


KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"


@asynccontextmanager
async def gone(door: Door, server_url: str) -> AsyncIterator[None]:
    """The database goes away under the service, and comes back."""
    name = (await door.rows("SELECT current_database() AS name"))[0]["name"]
    await in_maintenance(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    await in_maintenance(server_url, KILL.format(name))
    try:
        yield
    finally:
        await in_maintenance(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


async def test_a_database_that_is_away_is_unavailable_until_it_is_back(
    door: Door, server_url: str, alice: Person
) -> None:
    async with gone(door, server_url):
        for _ in range(2):
            response = await ask(door, "{ me { username } }", alice)
            assert (response.status_code, response.json()) == (503, {"errors": [masked("UNAVAILABLE")]})
            assert response.headers["retry-after"].isdigit()
            place = {"locations": [{"line": 1, "column": 3}], "path": ["plans"]}
            anonymous = await ask(door, "{ plans { id } }")
            assert anonymous.json() == {"data": None, "errors": [masked("UNAVAILABLE", **place)]}
            login = 'mutation { login(input: {login: "alice", password: "x"}) { token } }'
            assert [error["extensions"]["code"] for error in (await ask(door, login)).json()["errors"]] == [
                "UNAVAILABLE"
            ]
        assert (await ask(door, "{ __typename permissionCatalog(kind: ADMIN) { kind } }")).status_code == 200
    assert await door.data("{ me { username } }", by=alice) == {"me": {"username": "alice"}}
    assert (await ask(door, PLAN, alice)).json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_statement_that_takes_too_long_is_unavailable(door: Door, database_url: str, root: Person) -> None:
    blocker = await asyncpg.connect(database_url)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE plans IN ACCESS EXCLUSIVE MODE")
        read, write = await asyncio.gather(ask(door, "{ plans { id } }", root), ask(door, PLAN, root))
    await blocker.close()
    for response in (read, write):
        assert response.json()["data"] is None
        assert [error["extensions"]["code"] for error in response.json()["errors"]] == ["UNAVAILABLE"]
    assert await door.data("{ plans { id } }", by=root) == {"plans": []}
    assert (await door.data(PLAN, by=root))["createPlan"]["errors"] == []


async def test_a_database_that_takes_no_writes_is_unavailable_for_writes_only(
    door: Door, server_url: str, root: Person
) -> None:
    await door.rows("UPDATE sessions SET last_seen_at = now()")  # or the read would write that it saw the session
    name = (await door.rows("SELECT current_database() AS name"))[0]["name"]
    await in_maintenance(server_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await in_maintenance(server_url, KILL.format(name))
    await asyncio.sleep(0.05)
    assert [error["extensions"]["code"] for error in (await ask(door, PLAN, root)).json()["errors"]] == ["UNAVAILABLE"]
    assert await door.data("{ plans { id } me { username } }", by=root) == {"plans": [], "me": {"username": "root"}}


async def test_a_denial_names_the_permission_that_opens_the_field(door: Door, alice: Person) -> None:
    answer = await door.ask("{ me { username externalId } roles { name } }", by=alice)
    assert answer["data"] is None
    told = {json.dumps(error["path"]): error["extensions"] for error in answer["errors"]}
    assert told['["roles"]'] == {"code": "FORBIDDEN", "permission": "roles.read"}

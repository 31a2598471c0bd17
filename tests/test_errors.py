"""Errors: each has a code, internal errors have no details, and bad values are problems with a path."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import httpx
import pytest

from tests.conftest import Client, Person, in_maintenance

ID = "00000000-0000-7000-8000-00000000ffff"
PLAN = 'mutation { createPlan(input: {name: "Small", tier: FREE}) { plan { id } errors { code } } }'
DETAILS = ("relation", "asyncpg", "Traceback", "does not exist", "SELECT", "postgres", "database")


def headers(by: Person | None = None) -> dict[str, str]:
    """Return the headers of a request."""
    return {"authorization": f"Bearer {by.token}"} if by else {}


async def post(client: Client, query: str, by: Person | None = None) -> httpx.Response:
    """Post an operation and return the HTTP response."""
    return await client.http.post("/graphql", json={"query": query}, headers=headers(by))


def masked(response: httpx.Response, code: str, **place: Any) -> dict[str, Any]:
    """Return the only error that the response may have: without details, with the request id of its header."""
    message = {
        "INTERNAL": "An internal error occurred.",
        "UNAVAILABLE": "The service is temporarily unavailable. Try again.",
    }[code]
    request_id = response.headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", request_id)
    return {"message": message, **place, "extensions": {"code": code, "requestId": request_id}}


def codes(response: httpx.Response) -> list[str]:
    """Return the codes of a response's errors."""
    return [error["extensions"]["code"] for error in response.json()["errors"]]


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
    "anonymous query": "{ users { totalCount } roles { id } auditEvents { totalCount } }",
    "anonymous mutation": f'mutation {{ deleteUser(input: {{id: "{ID}"}}) {{ deletedId }} }}',
}


@pytest.mark.parametrize("caller", ["root", "alice", "anonymous"])
async def test_every_error_has_a_code(client: Client, people: dict[str, Person], caller: str) -> None:
    for name, query in WRONG.items():
        answer = await client.execute(query, by=people.get(caller))
        if caller == "root" and name.startswith("anonymous"):
            continue
        assert answer["errors"], name
        for error in answer["errors"]:
            assert error["message"], name
            assert error["extensions"]["code"].isupper(), name


async def test_an_internal_error_of_a_field_is_masked(client: Client, alice: Person) -> None:
    await client.rows("ALTER TABLE plans RENAME TO lost")
    response = await post(client, "{ me { username } all: plans { name } }", alice)
    place = {"locations": [{"line": 1, "column": 19}], "path": ["all"]}
    assert response.status_code == 200
    assert response.json() == {"data": None, "errors": [masked(response, "INTERNAL", **place)]}
    assert not any(word in response.text for word in DETAILS)


async def test_a_failed_field_leaves_the_other_fields_alone(client: Client, alice: Person) -> None:
    await client.rows("ALTER TABLE ssh_keys RENAME TO lost")
    response = await post(client, "{ me { username sshKeys { nodes { id } } sessions { totalCount } } }", alice)
    assert response.json()["data"] == {"me": {"username": "alice", "sshKeys": None, "sessions": {"totalCount": 1}}}
    assert codes(response) == ["INTERNAL"]


async def test_an_internal_error_of_a_mutation_is_masked_and_rolled_back(client: Client, root: Person) -> None:
    await client.rows("ALTER TABLE audit_events RENAME TO lost")
    response = await post(client, PLAN, root)
    place = {"locations": [{"line": 1, "column": 12}], "path": ["createPlan"]}
    assert response.json() == {"data": {"createPlan": None}, "errors": [masked(response, "INTERNAL", **place)]}
    assert await client.rows("SELECT FROM plans") == []


async def test_an_unknown_constraint_is_masked(client: Client, root: Person) -> None:
    await client.rows("ALTER TABLE plans ADD CONSTRAINT plans_no_small CHECK (name <> 'Small')")
    response = await post(client, PLAN, root)
    assert codes(response) == ["INTERNAL"]
    assert "Small" not in response.text
    assert "plans_no_small" not in response.text


async def test_an_internal_error_before_the_document_is_masked(client: Client, alice: Person) -> None:
    await client.rows("ALTER VIEW actors RENAME TO lost")
    response = await post(client, "{ me { username } }", alice)
    assert (response.status_code, response.json()) == (500, {"errors": [masked(response, "INTERNAL")]})
    batch = await client.http.post("/graphql", json=[{"query": "{ me { id } }"}], headers=headers(alice))
    assert (batch.status_code, batch.json()) == (500, {"errors": [masked(batch, "INTERNAL")]})
    assert (await post(client, "{ me { username } }")).json() == {"data": {"me": None}}


async def test_an_internal_error_during_the_look_up_of_permissions_is_masked(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    created = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    await client.rows("ALTER TABLE subusers RENAME TO lost")
    server = f'server(id: "{created["server"]["id"]}") {{ name subusers {{ nodes {{ id }} }} }}'
    for query in (f"{{ {server} }}", f'{{ node(id: "{created["server"]["id"]}") {{ id }} me {{ username }} }}'):
        assert codes(await post(client, query, bob)) == ["INTERNAL"]


KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"


@asynccontextmanager
async def without_database(client: Client, server_url: str) -> AsyncIterator[None]:
    """Make the database of the service unavailable for a while."""
    name = (await client.rows("SELECT current_database() AS name"))[0]["name"]
    await in_maintenance(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    await in_maintenance(server_url, KILL.format(name))
    try:
        yield
    finally:
        await in_maintenance(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


async def test_the_service_is_unavailable_while_its_database_is(client: Client, server_url: str, alice: Person) -> None:
    async with without_database(client, server_url):
        for _ in range(2):
            response = await post(client, "{ me { username } }", alice)
            assert (response.status_code, response.json()) == (503, {"errors": [masked(response, "UNAVAILABLE")]})
            assert response.headers["retry-after"].isdigit()
            place = {"locations": [{"line": 1, "column": 3}], "path": ["plans"]}
            anonymous = await post(client, "{ plans { id } }")
            assert anonymous.json() == {"data": None, "errors": [masked(anonymous, "UNAVAILABLE", **place)]}
            login = await post(client, 'mutation { login(input: {login: "alice", password: "x"}) { token } }')
            assert (login.json()["data"], codes(login)) == ({"login": None}, ["UNAVAILABLE"])
        assert (await post(client, "{ __typename permissionCatalog(kind: ADMIN) { kind } }")).status_code == 200
    assert await client.data("{ me { username } }", by=alice) == {"me": {"username": "alice"}}
    assert codes(await post(client, PLAN, alice)) == ["FORBIDDEN"]


async def test_a_statement_that_takes_too_long_is_unavailable(client: Client, database_url: str, root: Person) -> None:
    blocker = await asyncpg.connect(database_url)
    async with blocker.transaction():
        await blocker.execute("LOCK TABLE plans IN ACCESS EXCLUSIVE MODE")
        read, write = await asyncio.gather(post(client, "{ plans { id } }", root), post(client, PLAN, root))
    await blocker.close()
    assert (read.json()["data"], codes(read)) == (None, ["UNAVAILABLE"])
    assert (write.json()["data"], codes(write)) == ({"createPlan": None}, ["UNAVAILABLE"])
    assert await client.data("{ plans { id } }", by=root) == {"plans": []}
    assert (await client.data(PLAN, by=root))["createPlan"]["errors"] == []


async def test_a_read_only_database_is_unavailable_for_mutations_only(
    client: Client, server_url: str, root: Person
) -> None:
    await client.rows("UPDATE sessions SET last_seen_at = now()")  # otherwise the query would record the session's use
    name = (await client.rows("SELECT current_database() AS name"))[0]["name"]
    await in_maintenance(server_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await in_maintenance(server_url, KILL.format(name))
    await asyncio.sleep(0.05)
    assert codes(await post(client, PLAN, root)) == ["UNAVAILABLE"]
    assert await client.data("{ plans { id } me { username } }", by=root) == {"plans": [], "me": {"username": "root"}}


CREATE = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }"
NODES = "query ($a: [ID!]!, $b: [ID!]!) { a: nodes(ids: $a) { id } b: nodes(ids: $b) { id } }"
DATE, UUID = 'Expected a date, like "2026-03-01".', "Expected an id: a UUID."
NOT_TEXT, NULL = "String cannot represent a non string value", "Expected value of non-null type '{}' not to be None."
USER, ADDRESS = "Expected value of type 'CreateUserInput'", "Expected value of type 'BillingAddressInput'"
VALUES: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "nested fields": (
        CREATE,
        {"input": {"dateOfBirth": "never", "billingAddress": {"city": 3}, "username": 7}},
        {"input.dateOfBirth": DATE, "input.billingAddress.city": NOT_TEXT, "input.username": NOT_TEXT},
    ),
    "lists": (
        NODES,
        {"a": ["x", "0" * 32, None, 7], "b": "x"},
        {"a.0": UUID, "a.2": NULL.format("ID!"), "a.3": UUID, "b": UUID},
    ),
    "unknown fields": (
        CREATE,
        {"input": {"username": "dora", "nope": 1, "billingAddress": {"zip": 1}}},
        {
            "input.billingAddress": f"{ADDRESS} not to include unknown field 'zip'",
            "input": f"{USER} not to include unknown field 'nope'",
        },
    ),
    "missing field": (CREATE, {"input": {}}, {"input": f"{USER} to include required field 'username'"}),
    "missing variable and null": (
        NODES,
        {"b": None},
        {"a": "Expected a value of non-null type '[ID!]!' to be provided.", "b": NULL.format("[ID!]!")},
    ),
    "text as an object": (CREATE, {"input": "x"}, {"input": f"{USER} to be an object"}),
}


def problem(place: str, message: str) -> dict[str, Any]:
    """Return a problem; `place` is its path with points."""
    return {"path": [int(part) if part.isdigit() else part for part in place.split(".")], "message": message}


@pytest.mark.parametrize(("document", "variables", "expected"), VALUES.values(), ids=VALUES)
async def test_all_problems_of_the_variables_are_in_one_error(
    client: Client, document: str, variables: dict[str, Any], expected: dict[str, str]
) -> None:
    place, message = next(iter(expected.items()))
    problems = [problem(*item) for item in expected.items()]
    extensions = {"code": "BAD_USER_INPUT", "problems": problems}
    assert await client.execute(document, variables) == {
        "errors": [{"message": f"${place}: {message}", "extensions": extensions}]
    }


async def test_an_error_has_at_most_fifty_problems(client: Client) -> None:
    (error,) = (await client.execute(NODES, {"a": ["x"] * 30, "b": ["x"] * 30}))["errors"]
    paths = [found["path"] for found in error["extensions"]["problems"]]
    assert paths == [["a", number] for number in range(30)] + [["b", number] for number in range(20)]


async def test_every_problem_of_a_literal_is_an_error_of_its_own(client: Client) -> None:
    document = """mutation { createUser(input: {
      dateOfBirth: "never"
      billingAddress: {city: 3, zip: 1}
    }) { user { id } } }"""
    expected = [
        (2, 20, problem("input.dateOfBirth", DATE)),
        (3, 30, problem("input.billingAddress.city", NOT_TEXT)),
        (3, 33, problem("input.billingAddress", f"{ADDRESS} not to include unknown field 'zip'")),
        (1, 30, problem("input", f"{USER} to include required field 'username'")),
    ]
    errors = [
        {
            "message": found["message"],
            "locations": [{"line": line, "column": column}],
            "extensions": {"code": "BAD_USER_INPUT", "problems": [found]},
        }
        for line, column, found in expected
    ]
    assert await client.execute(document) == {"errors": errors}


SECRET = "hunter2"
INPUTS: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("createUser", {"username": [[SECRET]]}),
    "scalars": ("createUser", {"username": "a", "dateOfBirth": SECRET, "roleId": SECRET, "isAdmin": SECRET}),
    "nested": ("createUser", {"username": "a", "billingAddress": {"country": SECRET, "city": [SECRET, SECRET]}}),
    "missing field": ("createUser", {"password": SECRET}),
    "unknown field": ("createUser", {"username": "a", "nope": SECRET, "password": SECRET}),
    "lists": ("createApiKey", {"name": "a", "permissions": [SECRET], "allowedIps": [SECRET], "expiresAt": SECRET}),
    "JSON": ("updateSettings", {"patch": {"a": f"{SECRET}\0"}}),
    "number": ("updateProfile", {"version": SECRET}),
    "enum": ("createPlan", {"name": "a", "tier": SECRET}),
}


@pytest.mark.parametrize(("field", "value"), INPUTS.values(), ids=INPUTS)
async def test_no_error_repeats_the_value(client: Client, field: str, value: dict[str, Any]) -> None:
    declaration = f"($input: {field[0].upper()}{field[1:]}Input!)"
    literal = re.sub(r'"(\w+)":', r"\1:", json.dumps(value))
    for document in (
        f"mutation {declaration} {{ {field}(input: $input) {{ errors {{ code }} }} }}",
        f"mutation {{ {field}(input: {literal}) {{ errors {{ code }} }} }}",
    ):
        answer = await client.execute(document, {"input": value} if "$" in document else None)
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}
        assert all(error["extensions"]["problems"] for error in answer["errors"])
        assert SECRET not in json.dumps(answer)


async def test_all_problems_of_an_argument_are_in_one_error(client: Client, root: Person) -> None:
    document = "{ auditEvents(filter: {event: [%s], targetType: %s}) { totalCount } }"
    answer = await client.execute(document % ('"a", ' * 101, '""'), by=root)
    expected = [("event", "event must have at most 100 items."), ("targetType", "targetType must not be empty.")]
    problems = [problem(f"filter.{field}", message) for field, message in expected]
    assert [error["extensions"]["problems"] for error in answer["errors"]] == [problems]
    answer = await client.execute(document % (f'"{"a" * 65}"', '"User"'), by=root)
    assert answer["errors"][0]["message"].startswith("event")

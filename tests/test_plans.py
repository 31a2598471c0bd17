"""Plans: which documents have one, how many are kept, and that graphql-core runs only what the compiler declines."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.execution.engine import Engine
from service.operations.phases import KEPT_PLANS, Operation, Prepared
from tests.conftest import REPOSITORY, Client, Person

TABS = sorted((REPOSITORY / "console" / "src" / "tabs").glob("*.graphql"))


def engine_of(client: Client) -> Engine:
    """Return the engine of the service."""
    engine: Engine = client.app.state.endpoint._engine  # noqa: SLF001
    return engine


def document_of(client: Client, text: str) -> Any:
    """Return what is kept of a document."""
    prepared = engine_of(client).prepare(Operation(text, re.findall(r"(?:query|mutation) (\w+)", text)[0]))
    assert isinstance(prepared, Prepared)
    return prepared.document


@pytest.mark.parametrize("path", TABS, ids=lambda path: path.stem)
async def test_a_document_of_the_console_has_a_plan(client: Client, root: Person, path: Any) -> None:
    text, engine = path.read_text("utf-8"), engine_of(client)
    for name in re.findall(r"(?:query|mutation) (\w+)", text):
        await client.http.post(
            "/graphql",
            json={"query": text, "operationName": name, "variables": {}},
            headers={"authorization": f"Bearer {root.token}"},
        )
    assert engine.declined == 0


async def test_graphql_core_runs_introspection(client: Client, root: Person) -> None:
    engine = engine_of(client)
    assert (await client.data("{ __typename }", by=root)) == {"__typename": "Query"}
    assert engine.declined == 0
    assert (await client.data("{ __schema { queryType { name } } me { username } }", by=root)) == {
        "__schema": {"queryType": {"name": "Query"}},
        "me": {"username": "root"},
    }
    assert engine.declined == 1


async def test_a_plan_is_made_once_for_all_callers_and_variables(client: Client, root: Person, alice: Person) -> None:
    text = "query One($id: ID!) { user(by: {id: $id}) { username email } }"
    for by in (root, alice):
        for person in (root, alice):
            await client.execute(text, {"id": person.id}, by=by)
    assert len(document_of(client, text).plans) == 1


async def test_the_values_of_skip_and_include_have_their_own_plans(client: Client, root: Person) -> None:
    text = "query Two($all: Boolean!) { me { username email @include(if: $all) } }"
    assert await client.data(text, {"all": False}, by=root) == {"me": {"username": "root"}}
    assert await client.data(text, {"all": True}, by=root) == {"me": {"username": "root", "email": "root@roster.test"}}
    assert await client.data(text, {"all": False}, by=root) == {"me": {"username": "root"}}
    assert len(document_of(client, text).plans) == 2


async def test_the_plans_and_costs_of_a_document_are_limited(client: Client, root: Person) -> None:
    flags = ", ".join(f"$f{number}: Boolean!" for number in range(6))
    fields = " ".join(f"n{number}: username @skip(if: $f{number})" for number in range(6))
    text = f"query Many({flags}, $first: Int) {{ me {{ id {fields} sessions(first: $first) {{ totalCount }} }} }}"
    for number in range(40):
        values = {f"f{bit}": bool(number >> bit & 1) for bit in range(6)}
        found = await client.data(text, values | {"first": number + 1}, by=root)
        assert sorted(found["me"]) == sorted(
            ["id", "sessions", *(f"n{bit}" for bit in range(6) if not values[f"f{bit}"])]
        )
    document = document_of(client, text)
    assert len(document.plans) <= KEPT_PLANS
    assert len(document.costs) <= KEPT_PLANS

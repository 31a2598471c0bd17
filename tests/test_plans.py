"""Plans: which documents have one, how many are kept, and that graphql-core runs only what the compiler declines."""

from __future__ import annotations

import re
from typing import Any

import graphql
import pytest

from service.execution.engine import Engine
from service.graphql_core import introspection
from service.operations.phases import KEPT_PLANS, Operation, Prepared
from tests.conftest import REPOSITORY, Client, Person

TABS = sorted((REPOSITORY / "console" / "src" / "tabs").glob("*.graphql"))


def engine_of(client: Client) -> Engine:
    """Return the engine of the service."""
    engine: Engine = client.app.state.endpoint._engine  # noqa: SLF001
    return engine


async def document_of(client: Client, text: str) -> Any:
    """Return what is kept of a document."""
    prepared = await engine_of(client).prepare(Operation(text, re.findall(r"(?:query|mutation) (\w+)", text)[0]))
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


async def test_graphql_core_runs_only_the_introspection_of_a_document(
    client: Client, root: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = list[Any]()

    def watched(*arguments: Any, **named: Any) -> Any:
        runs.append(named)
        return graphql.execute(*arguments, **named)

    monkeypatch.setattr(introspection, "execute", watched)
    text = """query One($name: String!, $id: ID!, $all: Boolean = false) {
      first: me { username }
      __type(name: $name) { name ...F }
      __typename
      __schema { queryType { name } description @include(if: $all) }
      user(by: {id: $id}) { username }
    } fragment F on __Type { kind @skip(if: $all) }"""

    def expected(name: str, kind: str) -> dict[str, Any]:
        return {
            "first": {"username": "root"},
            "__type": {"name": name, "kind": kind},
            "__typename": "Query",
            "__schema": {"queryType": {"name": "Query"}},
            "user": {"username": "root"},
        }

    for name, kind, done in (("User", "OBJECT", 2), ("User", "OBJECT", 2), ("Tier", "ENUM", 4)):
        answer = await client.data(text, {"name": name, "id": root.id}, by=root)
        assert (list(answer.items()), len(runs)) == (list(expected(name, kind).items()), done)
    assert engine_of(client).declined == 0


async def test_the_answers_to_introspection_are_limited(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(introspection, "KEPT_BYTES", 1_000)
    kept = engine_of(client)._introspection._kept  # noqa: SLF001
    for number in range(50):
        found = await client.data(f'{{ a{number}: __type(name: "User") {{ name description }} }}')
        assert found[f"a{number}"]["name"] == "User"
        assert 0 < sum(len(content) for _, content in kept.values()) <= 1_000
    long = await client.data("{ __schema { types { name } } }")
    assert len(long["__schema"]["types"]) > 100
    assert sum(len(content) for _, content in kept.values()) <= 1_000


async def test_a_plan_is_made_once_for_all_callers_and_variables(client: Client, root: Person, alice: Person) -> None:
    text = "query One($id: ID!) { user(by: {id: $id}) { username email } }"
    for by in (root, alice):
        for person in (root, alice):
            await client.execute(text, {"id": person.id}, by=by)
    assert len((await document_of(client, text)).plans) == 1


async def test_the_values_of_skip_and_include_have_their_own_plans(client: Client, root: Person) -> None:
    text = "query Two($all: Boolean!) { me { username email @include(if: $all) } }"
    assert await client.data(text, {"all": False}, by=root) == {"me": {"username": "root"}}
    assert await client.data(text, {"all": True}, by=root) == {"me": {"username": "root", "email": "root@roster.test"}}
    assert await client.data(text, {"all": False}, by=root) == {"me": {"username": "root"}}
    assert len((await document_of(client, text)).plans) == 2


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
    document = await document_of(client, text)
    assert len(document.plans) <= KEPT_PLANS
    assert len(document.costs) <= KEPT_PLANS

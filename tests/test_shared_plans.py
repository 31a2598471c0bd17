"""Operations of a batch with the same plan, and what is kept of a document for other variables."""

from __future__ import annotations

from typing import Any

import pytest

from service.database.connection import Database
from tests.conftest import Client, Person

COUNT = "query ($filter: UserFilter) { users(first: 1, filter: $filter) { totalCount nodes { id } } }"
SESSIONS = "query ($id: ID!) { user(by: {id: $id}) { id sessions { nodes { id } } } }"


async def batch(client: Client, query: str, *variables: Any, by: Person | str) -> list[dict[str, Any]]:
    """Return the answers to one query with several variables, in one request."""
    token = by.token if isinstance(by, Person) else by
    operations = [{"query": query, "variables": each} for each in variables]
    response = await client.http.post("/graphql", json=operations, headers={"authorization": f"Bearer {token}"})
    answers: list[dict[str, Any]] = response.json()
    return answers


def code(answer: dict[str, Any]) -> str:
    return str(answer["errors"][0]["extensions"]["code"])


async def test_each_operation_counts_its_own_list(client: Client, root: Person, bob: Person) -> None:
    assert (await client.mutate("suspendUser", {"id": bob.id}, "user { id }", by=root))["errors"] == []
    filters = [{}, {"suspended": True}, {"suspended": False}, {"ids": []}]
    together = await batch(client, COUNT, *({"filter": each} for each in filters), by=root)
    alone = [await client.execute(COUNT, {"filter": each}, by=root) for each in filters]
    assert together == alone
    assert together[1]["data"]["users"]["totalCount"] == 1


async def test_a_denial_names_the_permission_for_its_own_row(client: Client, root: Person, alice: Person) -> None:
    made = await client.mutate("createApiKey", {"name": "reader", "permissions": ["users.read"]}, "secret", by=root)
    own, other = await batch(client, SESSIONS, {"id": root.id}, {"id": alice.id}, by=made["secret"])
    assert own["errors"][0]["extensions"]["permission"] == "sessions.read"
    assert other["errors"][0]["extensions"]["permission"] == "users.sessions"


async def test_a_variable_that_is_given_later_is_charged(client: Client, root: Person) -> None:
    fields = " ".join(
        f"a{number}: users(first: 1, search: $s, offset: $o) {{ nodes {{ id }} }}" for number in range(40)
    )
    document = f"query ($s: String, $o: Int) {{ {fields} }}"
    assert "errors" not in await client.execute(document, {}, by=root)
    assert code(await client.execute(document, {"s": "a", "o": 1}, by=root)) == "QUERY_TOO_COMPLEX"
    assert "errors" not in await client.execute(document, {"s": None}, by=root)


@pytest.mark.parametrize("directive", ["include", "skip"])
async def test_null_for_a_directive_is_an_error(client: Client, directive: str) -> None:
    document = f"query ($b: Boolean = true) {{ __typename @{directive}(if: $b) a: __typename }}"
    assert code(await client.execute(document, {"b": None})) == "BAD_USER_INPUT"
    assert "errors" not in await client.execute(document, {})


async def test_variables_that_are_nested_too_deeply_are_the_callers_error(client: Client) -> None:
    value: Any = "x"
    for _ in range(300):
        value = [value]
    assert code(await client.execute("query ($id: ID!) { node(id: $id) { id } }", {"id": value})) == "BAD_USER_INPUT"


async def test_lists_that_failed_together_can_be_read_again(
    client: Client, root: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    database: Database = client.resources.database
    document = "{ a: users(first: 1) { nodes { id } } b: users(first: 2) { nodes { id } } c: plans { id } }"

    async def unreachable(**_options: Any) -> Any:
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr(database._lists._servers, "connect", unreachable)  # noqa: SLF001
        for reader in database._lists._idle:  # noqa: SLF001
            if reader is not None:
                reader.connection.terminate()
        assert code(await client.execute(document, by=root)) == "UNAVAILABLE"
    assert "errors" not in await client.execute(document, by=root)

"""The documents that GraphiQL opens with: valid for the schema, and sufficient to begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate

from service.schema import printed
from tests.conftest import PASSWORD, REPOSITORY, Client, Person

TABS = sorted((REPOSITORY / "console" / "src" / "tabs").glob("*.graphql"))
BY_NAME = {path.stem: path.read_text(encoding="utf-8") for path in TABS}


@pytest.mark.parametrize("path", TABS, ids=lambda path: path.name)
def test_a_document_has_one_valid_named_operation(path: Path) -> None:
    document = parse(path.read_text(encoding="utf-8"))
    assert validate(build_schema(printed()), document) == []
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None


async def test_the_first_document_signs_in_for_the_others(client: Client, root: Person) -> None:
    async def run(name: str, variables: dict[str, str] | None = None) -> Any:
        # The only credential is the cookie of the first tab
        response = await client.http.post("/graphql", json={"query": BY_NAME[name], "variables": variables})
        return response.json()["data"]

    assert (await run("sign-in", {"login": "root", "password": PASSWORD}))["login"]["errors"] == []
    created = await run("create-user", {"username": "carol", "email": "carol@roster.test"})
    assert created["createUser"]["errors"] == []
    listed = (await run("users"))["users"]
    assert [user["username"] for user in listed["nodes"]][:2] == ["carol", "bob"]
    assert listed["totalCount"] == 6


async def test_the_list_of_users_is_read_in_four_statements(client: Client, root: Person) -> None:
    await client.data(BY_NAME["users"], by=root)
    before = client.reads
    await client.data(BY_NAME["users"], by=root)
    # The session, the users, their number, their roles
    assert client.reads - before == 4

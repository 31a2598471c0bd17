"""Do the documents that the GraphQL page opens with mean something to this very schema?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate

from service.schema import printed
from tests.conftest import PASSWORD, REPOSITORY, Door, Person

TABS = sorted((REPOSITORY / "console" / "src" / "tabs").glob("*.graphql"))
BY_NAME = {path.stem: path.read_text(encoding="utf-8") for path in TABS}


@pytest.mark.parametrize("path", TABS, ids=lambda path: path.name)
def test_a_document_holds_one_named_operation_that_is_valid(path: Path) -> None:
    document = parse(path.read_text(encoding="utf-8"))
    assert validate(build_schema(printed()), document) == []
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None


async def test_the_first_document_signs_in_and_the_others_need_nothing_more(door: Door, root: Person) -> None:
    async def run(name: str, variables: dict[str, str] | None = None) -> Any:
        # The cookie of the first tab is all that the client sends
        response = await door.http.post("/graphql", json={"query": BY_NAME[name], "variables": variables})
        return response.json()["data"]

    assert (await run("sign-in", {"login": "root", "password": PASSWORD}))["login"]["errors"] == []
    made = await run("create-user", {"username": "carol", "email": "carol@roster.test"})
    assert made["createUser"]["errors"] == []
    listed = (await run("users"))["users"]
    assert [user["username"] for user in listed["nodes"]][:2] == ["carol", "bob"]
    assert listed["totalCount"] == 6


async def test_the_list_of_users_is_read_in_four_statements(door: Door, root: Person) -> None:
    await door.data(BY_NAME["users"], by=root)
    before = door.reads
    await door.data(BY_NAME["users"], by=root)
    # The session, the users, their number, their roles
    assert door.reads - before == 4

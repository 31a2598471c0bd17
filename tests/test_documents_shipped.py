"""The documents that GraphiQL opens with: valid for the schema, and sufficient to begin."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, build_schema, parse, validate

from service.schema import printed
from tests.conftest import PASSWORD, REPOSITORY, Client, Person
from tests.links import last_mail
from tests.second_factors import with_app

TABS = sorted((REPOSITORY / "console" / "src" / "tabs").glob("*.graphql"))
BY_NAME = {path.stem: path.read_text(encoding="utf-8") for path in TABS}


@pytest.mark.parametrize("path", TABS, ids=lambda path: path.name)
def test_a_document_has_one_valid_named_operation(path: Path) -> None:
    document = parse(path.read_text(encoding="utf-8"))
    assert validate(build_schema(printed()), document) == []
    [operation] = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name is not None


@pytest.mark.parametrize("path", sorted((REPOSITORY / "docs").glob("*.md")), ids=lambda path: path.name)
def test_the_examples_of_the_documentation_are_valid(path: Path) -> None:
    for text in re.findall(r"```graphql\n(.*?)```", path.read_text(encoding="utf-8"), re.DOTALL):
        assert validate(build_schema(printed()), parse(text)) == [], text


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


async def test_the_documents_of_an_account_work_in_the_order_of_the_tabs(client: Client, root: Person) -> None:
    async def run(tab: str, /, **variables: Any) -> Any:
        response = await client.http.post("/graphql", json={"query": BY_NAME[tab], "variables": variables})
        [payload] = response.json()["data"].values()
        assert payload["errors"] == [], tab
        return payload

    password, new_password = "a long walk by the sea", "another walk in the snow"
    await run("register", email="lin@roster.test", username="lin", password=password)
    await run("confirm-email", token=(await last_mail(client, "lin@roster.test")).token)
    assert (await run("sign-in", login="lin", password=password))["user"]["username"] == "lin"
    await run("change-password", currentPassword=password, newPassword=new_password)
    changed = await run("change-email", email="lin2@roster.test", password=new_password)
    assert changed["user"] == {"email": "lin@roster.test", "pendingEmail": "lin2@roster.test"}
    await run("confirm-email", token=(await last_mail(client, "lin2@roster.test")).token)
    assert (await run("create-api-key", name="laptop", permissions=["account.read"]))["secret"].startswith("rst_")
    credentials = {"login": "lin2@roster.test", "password": new_password}
    token = (await client.mutate("login", credentials, "token"))["token"]
    app = await with_app(client, token, password=new_password)
    client.http.cookies.clear()
    challenge = (await run("sign-in", login="lin", password=new_password))["twoFactorChallenge"]
    user = (await run("verify-two-factor", challenge=challenge, code=app.code()))["user"]
    assert (await run("sign-in", login="root", password=PASSWORD))["user"]["username"] == "root"
    link = await run("create-autologin-link", userId=user["id"], reason="ticket 1")
    assert "/account/autologin#rsto_" in link["url"]


async def test_the_list_of_users_is_read_in_four_statements(client: Client, root: Person) -> None:
    await client.data(BY_NAME["users"], by=root)
    before = client.reads
    await client.data(BY_NAME["users"], by=root)
    # The session, the users, their number, their roles
    assert client.reads - before == 4

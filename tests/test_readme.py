"""What the README tells a new user to do, followed literally and twice."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from graphql import OperationDefinitionNode, parse

from tests.conftest import PASSWORD, REPOSITORY, Client, Person
from tests.processes import ServiceProcess, running_service

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL))
WALK = re.findall(r"```graphql\n(.*?)```", README, re.DOTALL)[0]
VARIABLES, ERRORS = re.findall(r"```json\n(.*?)```", README, re.DOTALL)
# The object of an operation whose id a person enters in the variables
FOUND = {
    "plan": ("createPlan", "plan"),
    "user": ("createUser", "user"),
    "server": ("createServer", "server"),
    "subuser": ("createSubuser", "subuser", "user"),
}


async def run(client: Client, by: Person, operation: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Run an operation of the README's document, and note the id that its answer has for the variables."""
    body = {"query": WALK, "operationName": operation, "variables": variables}
    response = await client.http.post("/graphql", json=body, headers={"authorization": f"Bearer {by.token}"})
    answer: dict[str, Any] = response.json()
    for name, path in FOUND.items():
        found: Any = answer["data"]
        for part in path:
            found = (found or {}).get(part)
        if found:
            variables[name] = found["id"]
    return answer


async def test_the_walk_in_graphiql_can_be_repeated(client: Client, root: Person) -> None:
    operations = [node for node in parse(WALK).definitions if isinstance(node, OperationDefinitionNode)]
    names = [node.name.value for node in operations if node.name is not None]
    assert len(names) == len(operations) > 8
    for _ in range(2):
        variables = json.loads(VARIABLES)
        for name in names:
            answer = await run(client, root, name, variables)
            assert "errors" not in answer
            for payload in answer["data"].values():
                assert payload.get("errors", []) == []
            if name == "Search":
                assert [user["username"] for user in answer["data"]["users"]["nodes"]] == ["grace"]
        assert all(variables.values())


async def test_an_operation_that_runs_twice_reports_what_the_readme_shows(client: Client, root: Person) -> None:
    await run(client, root, "CreateUser", {})
    assert (await run(client, root, "CreateUser", {}))["data"] == json.loads(ERRORS)


def test_the_walk_creates_other_users_than_the_tabs_of_graphiql() -> None:
    created = re.findall(r"""(?:username|name)\W+(\w+)""", README)
    assert {"grace", "alan"} <= set(created)
    tab = (REPOSITORY / "console" / "src" / "tabs.js").read_text(encoding="utf-8")
    names = re.findall(r"username: '(\w+)'", tab)
    assert names == ["ada", "lin"]
    assert not {*names} & {*created}


@pytest.fixture
def service(database_url: str) -> Iterator[ServiceProcess]:
    with running_service(database_url=database_url, root_password=PASSWORD) as process:
        yield process


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_walk_with_curl_can_be_repeated(service: ServiceProcess) -> None:
    script = BLOCKS["sh"].replace("http://localhost:8000", service.url)
    for _ in range(2):
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"password='{PASSWORD}'\n{script}"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(answers) == 5
        assert [answer.get("errors") for answer in answers] == [None] * 5
        assert answers[0]["data"]["user"]["username"] == "alan"
        assert answers[1]["data"]["users"]["totalCount"] == 6
        assert answers[2]["data"]["deleteApiKey"]["deletedId"]
        assert answers[3]["data"]["deleteUser"]["deletedId"]
        assert answers[4]["data"]["logout"]["errors"] == []


def test_every_file_that_the_readme_names_exists() -> None:
    named = re.findall(r"`((?:service|sql|tests|bench)/[\w./]*)`", README)
    missing = [name for name in named if "NNNN" not in name and not re.search(r"/x\.", name)]
    assert [name for name in missing if not (REPOSITORY / name).exists()] == []
    assert len(named) > 8

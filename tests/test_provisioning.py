"""A billing system provisions a user in one batched request, by the example of docs/provisioning.md."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import uuid
from typing import Any

import pytest

from tests.conftest import PASSWORD, REPOSITORY, Client, Person
from tests.processes import running_service
from tests.sessions import key

[EXAMPLE] = re.findall(r"```sh\n(.*?)```", (REPOSITORY / "docs" / "provisioning.md").read_text("utf-8"), re.DOTALL)
PERMISSIONS = ("users.create", "users.plan", "servers.create", "servers.update", "wallets.adjust")
BALANCE = 50_000_000  # millisatoshi
TAKEN = {"code": "TAKEN", "message": "This id is already taken.", "field": ["id"]}
CONFLICT = {"code": "CONFLICT", "message": "This person already has access to the server.", "field": ["email"]}
ALREADY = [
    None,
    None,
    None,
    [{"code": "CONFLICT", "message": "This person already has access to the server.", "field": ["email"]}],
    None,
]


def errors(answers: list[dict[str, Any]]) -> list[Any]:
    """Return the errors of each payload, None without any."""
    return [next(iter(answer["data"].values()))["errors"] or None if "data" in answer else answer for answer in answers]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_the_example_provisions_a_user_and_can_be_repeated(
    client: Client, root: Person, database_url: str
) -> None:
    await client.mutate("createPlan", {"name": "Small", "tier": "PAID", "limits": {"servers": 1}}, "", by=root)
    secret = (await key(client, root, *PERMISSIONS, "control.console", "websocket.connect"))["secret"]
    ids = {"user": str(uuid.uuid4()), "server": str(uuid.uuid4())}

    def send(url: str) -> list[dict[str, Any]]:
        script = EXAMPLE.replace("http://localhost:8000", url)
        for name, value in ids.items():  # a repeated request has the same ids
            script = re.sub(rf"^{name}=.*$", f"{name}={value}", script, flags=re.MULTILINE)
        environment = {"secret": secret, "PATH": "/usr/local/bin:/usr/bin:/bin"}
        ended = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True)
        answers: list[dict[str, Any]] = json.loads(ended.stdout)
        return answers

    def run() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        with running_service(database_url=database_url, root_password=PASSWORD) as service:
            return send(service.url), send(service.url)

    first, second = await asyncio.to_thread(run)
    assert errors(first) == [None] * 5
    assert first[4]["data"]["adjustBalance"]["newBalanceMsat"] == BALANCE
    assert errors(second) == [None, None, None, [CONFLICT], None]
    [user] = await client.rows("SELECT users.*, plans.name AS plan FROM users JOIN plans ON plans.id = plan_id")
    assert (str(user["id"]), user["username"], user["external_id"], user["plan"]) == (
        ids["user"],
        "nina",
        "customer-4711",
        "Small",
    )
    [server] = await client.rows("SELECT * FROM servers")
    assert (str(server["id"]), str(server["owner_id"])) == (ids["server"], ids["user"])
    assert len(await client.rows("SELECT FROM subusers")) == 1
    assert [row["balance_after_msat"] for row in await client.rows("SELECT * FROM wallet_entries")] == [BALANCE]


@pytest.mark.parametrize("field", ["createUser", "createServer"])
async def test_an_id_that_was_ever_used_is_taken(client: Client, root: Person, alice: Person, field: str) -> None:
    gone = await client.mutate("createUser", {"username": "gone"}, "user { id }", by=root)
    await client.mutate("deleteUser", {"id": gone["user"]["id"]}, "", by=root)
    value = {"username": "new"} if field == "createUser" else {"name": "new", "ownerId": alice.id}
    for used in (alice.id, gone["user"]["id"], "00000000-0000-7000-8000-000000000004"):
        payload = await client.mutate(field, value | {"id": used}, "errors { code field }", by=root)
        assert payload["errors"] == [TAKEN]
    given = uuid.uuid4()
    name = "user" if field == "createUser" else "server"
    payload = await client.mutate(field, value | {"id": given.hex}, f"{name} {{ id }}", by=root)
    assert payload[name] == {"id": str(given)}


async def test_of_parallel_requests_with_one_id_one_creates_a_user(client: Client, root: Person) -> None:
    given = str(uuid.uuid4())
    values = [{"id": given, "username": f"user{n}"} for n in range(10)]
    payloads = await asyncio.gather(
        *(client.mutate("createUser", value, "errors { code field }", by=root) for value in values)
    )
    assert sorted(len(payload["errors"]) for payload in payloads) == [0, *[1] * 9]
    assert all(payload["errors"] in ([], [TAKEN]) for payload in payloads)

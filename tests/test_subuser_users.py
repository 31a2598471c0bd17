"""The users that createSubuser creates for unknown email addresses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person, opened_client


async def new_server(client: Client, by: Person, owner: Person) -> str:
    """Return the id of a new server."""
    created = await client.mutate("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=by)
    return str(created["server"]["id"])


async def invite(client: Client, by: Person, server_id: str, email: str) -> dict[str, Any]:
    """Return the payload of createSubuser."""
    value = {"serverId": server_id, "email": email, "permissions": ["control.start"]}
    return await client.mutate("createSubuser", value, "subuser { id user { id username } }", by=by)


@pytest.mark.parametrize(
    "email",
    ["carol@x.test", "müller@x.test", "日本@x.test", "a.b+c@x.test", "root@x.test", "x@x.test", "🦔@x.test"],
)
async def test_an_unknown_address_gets_a_user_without_a_password(
    client: Client, admin: Person, alice: Person, email: str
) -> None:
    server_id = await new_server(client, admin, alice)
    created = await invite(client, alice, server_id, email)
    fields = "username email hasPassword firstName lastName language role { name } isAdmin emailVerified"
    document = f"query ($id: ID!) {{ user(by: {{id: $id}}) {{ {fields} }} }}"
    user = (await client.data(document, {"id": created["subuser"]["user"]["id"]}, by=admin))["user"]
    policy = client.resources.usernames
    assert policy.min_length <= len(user["username"]) <= policy.max_length
    assert set(user["username"]) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert user == {
        "username": user["username"],
        "email": email,
        "hasPassword": False,
        "firstName": "Server",
        "lastName": "Subuser",
        "language": "en",
        "role": {"name": "USER"},
        "isAdmin": False,
        "emailVerified": False,
    }


async def test_a_user_created_for_a_membership_has_the_default_plan(
    client: Client, admin: Person, alice: Person
) -> None:
    plan = {"name": "Start", "tier": "PAID", "isDefault": True}
    await client.mutate("createPlan", plan, "", by=admin)
    server_id = await new_server(client, admin, alice)
    created = await invite(client, alice, server_id, "carol@x.test")
    document = "query ($id: ID!) { user(by: {id: $id}) { tier plan { name } } }"
    invited = await client.data(document, {"id": created["subuser"]["user"]["id"]}, by=admin)
    assert invited == {"user": {"tier": "PAID", "plan": {"name": "Start"}}}


@pytest.mark.parametrize("pattern", ["[\\u0430-\\u044f]+", "[ぁ-ん]{3}", "x{20}"])
async def test_a_user_is_created_without_a_username_if_the_policy_allows_no_generated_one(
    database_url: str, admin: Person, alice: Person, pattern: str
) -> None:
    async with opened_client(Settings(username_pattern=pattern), database_url) as client:
        server_id = await new_server(client, admin, alice)
        for email in ("carol@x.test", "ирина@x.test"):
            created = await invite(client, alice, server_id, email)
            assert created["errors"] == []
            user = created["subuser"]["user"]
            assert user["username"] is None
            document = "query ($id: ID!) { user(by: {id: $id}) { username displayName email } }"
            assert await client.data(document, {"id": user["id"]}, by=admin) == {
                "user": {"username": None, "displayName": "Server Subuser", "email": email}
            }
            await client.mutate("setPassword", {"userId": user["id"], "password": PASSWORD}, "", by=admin)
            login = await client.mutate("login", {"login": email, "password": PASSWORD}, "user { id }")
            assert login == {"user": {"id": user["id"]}, "errors": []}


async def test_parallel_requests_with_one_unknown_address_create_one_user(
    client: Client, admin: Person, alice: Person
) -> None:
    servers = [await new_server(client, admin, alice) for _ in range(6)]
    spellings = ["new@x.test", "New@x.test", "NEW@X.TEST"] * 2
    created = await asyncio.gather(
        *(invite(client, alice, server_id, email) for server_id, email in zip(servers, spellings, strict=True))
    )
    assert [payload["errors"] for payload in created] == [[]] * 6
    assert len({payload["subuser"]["user"]["id"] for payload in created}) == 1
    assert len(await client.rows("SELECT 1 FROM users WHERE fold(email) = 'new@x.test'")) == 1

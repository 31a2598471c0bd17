"""A server that is frozen, restarting, full, or read-only, and a COMMIT whose answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
import pytest_asyncio

from service.settings import Settings
from tests.conftest import Client, Person, in_maintenance, opened_client
from tests.faults import KILL, Proxy, eventually, proxies, seconds, session

ME = "{ me { username } }"
PLAN = "mutation ($name: String!) { createPlan(input: {name: $name, tier: FREE}) { plan { name } errors { code } } }"


async def post(client: Client, query: str, by: Person, name: str = "") -> httpx.Response:
    body = {"query": query, "variables": {"name": name}}
    return await client.http.post("/graphql", json=body, headers={"authorization": f"Bearer {by.token}"})


def codes(response: httpx.Response) -> list[str]:
    return [error["extensions"]["code"] for error in response.json().get("errors", [])]


@pytest_asyncio.fixture
async def proxied(database_url: str) -> AsyncIterator[tuple[Client, Proxy]]:
    async with proxies(database_url) as ([proxy], url), opened_client(Settings(), url) as client:
        yield client, proxy


async def test_requests_to_a_frozen_server_end_and_later_ones_succeed(
    proxied: tuple[Client, Proxy], root: Person
) -> None:
    client, proxy = proxied
    for number in range(4):
        assert codes(await post(client, PLAN, root, f"p{number}")) == []
    proxy.freeze()
    first, taken = await seconds(asyncio.gather(*(post(client, ME, root) for _ in range(20))))
    # What was sent on the connections is not answered within 7 s, and no new connection within 4 s
    assert {(response.status_code, *codes(response)) for response in first} == {(503, "UNAVAILABLE")}
    assert {response.headers["retry-after"].isdigit() for response in first} == {True}
    assert taken < 25
    later, taken = await seconds(post(client, PLAN, root, "frozen"))
    assert (later.status_code, codes(later)) == (503, ["UNAVAILABLE"])
    assert taken < 15
    assert (await client.http.get("/health/live")).status_code == 200
    assert (await client.http.get("/health/ready")).status_code == 503
    proxy.thaw()
    assert (await post(client, ME, root)).json() == {"data": {"me": {"username": "root"}}}
    assert codes(await post(client, PLAN, root, "thawed")) == []
    assert (await client.http.get("/health/ready")).status_code == 200


async def test_a_write_whose_server_freezes_ends(proxied: tuple[Client, Proxy], root: Person) -> None:
    client, proxy = proxied

    async def write() -> None:
        async with client.resources.database.transaction() as transaction:
            proxy.freeze()
            await transaction.run("plans_by_id", keys=[])

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(write(), 30)
    proxy.thaw()
    assert codes(await post(client, PLAN, root, "thawed")) == []


async def test_a_frozen_server_is_left_for_the_next_one_of_the_url(database_url: str, root: Person) -> None:
    async with proxies(database_url, 2) as ([first, second], url), opened_client(Settings(), url) as client:
        assert codes(await post(client, PLAN, root, "first")) == []
        first.freeze()
        assert codes(await post(client, ME, root)) == ["UNAVAILABLE"]
        response, taken = await seconds(post(client, PLAN, root, "second"))
        assert codes(response) == []
        assert taken < 20
        # The connections that were open, and the first server, are not tried again
        for number in range(10):
            assert codes(await post(client, PLAN, root, f"p{number}")) == []
        first.thaw()
        await second.leave()
        assert (await post(client, ME, root)).json() == {"data": {"me": {"username": "root"}}}
        assert codes(await post(client, PLAN, root, "again")) == []


async def test_a_restart_of_the_server_is_a_delay_and_not_an_error(proxied: tuple[Client, Proxy], root: Person) -> None:
    client, proxy = proxied
    assert codes(await post(client, PLAN, root, "before")) == []
    answers: list[httpx.Response] = []
    running = True

    async def read() -> None:
        while running:
            answers.append(await post(client, ME, root))

    readers = [asyncio.create_task(read()) for _ in range(8)]
    for down in (0.3, 0.6):
        await asyncio.sleep(0.2)
        await proxy.leave()
        write = asyncio.create_task(post(client, PLAN, root, f"{down}"))
        await asyncio.sleep(down)
        await proxy.listen()
        assert codes(await write) == []
    running = False
    await asyncio.gather(*readers)
    assert len(answers) >= 8
    assert [codes(answer) for answer in answers if answer.status_code != 200] == []


@pytest.mark.parametrize("limit", [4, 6])
async def test_requests_use_the_connections_that_are_open_if_the_server_accepts_no_others(
    database_url: str, server_url: str, root: Person, limit: int
) -> None:
    name = urlsplit(database_url).path[1:]
    await in_maintenance(server_url, f"ALTER DATABASE {name} WITH CONNECTION LIMIT {limit}")
    async with opened_client(Settings(), database_url) as client:  # three kinds of readers, and writers
        lists = [f"{{ users(first: {number}) {{ nodes {{ id }} }} }}" for number in range(1, 11)]
        for turn in range(3):
            # At first, reads take every connection
            work = [post(client, document, root) for document in (*lists, *[ME] * 30)]
            assert [codes(response) for response in await asyncio.gather(*work)] == [[]] * 40
            work = [post(client, document, root) for document in lists]
            work += [post(client, PLAN, root, f"p{turn}-{number}") for number in range(20)]
            assert [codes(response) for response in await asyncio.gather(*work)] == [[]] * 30


async def test_a_server_that_was_read_only_is_written_to_again(
    client: Client, database_url: str, server_url: str, root: Person
) -> None:
    name = (await client.rows("SELECT current_database() AS name"))[0]["name"]
    await in_maintenance(server_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with session(database_url) as outside:
        await outside.execute(KILL)
    denied = await asyncio.gather(*(post(client, PLAN, root, f"p{number}") for number in range(8)))
    assert {tuple(codes(response)) for response in denied} == {("UNAVAILABLE",)}
    assert (await post(client, ME, root)).json() == {"data": {"me": {"username": "root"}}}
    await in_maintenance(server_url, f"ALTER DATABASE {name} RESET default_transaction_read_only")

    async def accepted() -> bool:
        return codes(await post(client, PLAN, root, "again")) == []

    # The connections still say what the database said when they were opened
    await eventually(accepted, 10)
    written = await asyncio.gather(*(post(client, PLAN, root, f"q{number}") for number in range(16)))
    assert [codes(response) for response in written] == [[]] * 16


KEYED: dict[str, tuple[str, dict[str, Any], str]] = {
    "createPlan": ("plan", {"name": "lost", "tier": "FREE"}, "plans WHERE name = 'lost'"),
    "createRole": ("role", {"name": "lost", "permissions": []}, "roles WHERE name = 'lost'"),
    "createServer": ("server", {"name": "lost", "ownerId": "$root"}, "servers WHERE name = 'lost'"),
    "createSubuser": ("subuser", {"email": "lost@x.test", "permissions": ["file.read"]}, "subusers"),
    "createUser": ("user", {"username": "lost"}, "users WHERE username = 'lost'"),
}


@pytest.mark.parametrize("field", KEYED)
async def test_a_write_whose_commit_was_not_answered_can_be_repeated_with_its_key(
    proxied: tuple[Client, Proxy], database_url: str, root: Person, field: str
) -> None:
    client, proxy = proxied
    result, value, rows = KEYED[field]
    value = {name: root.id if given == "$root" else given for name, given in value.items()}
    if field == "createSubuser":
        server = await client.mutate("createServer", {"name": "s", "ownerId": root.id}, "server { id }", by=root)
        value["serverId"] = server["server"]["id"]
    value["idempotencyKey"] = "order-4711"
    call = f"{field}(input: $i) {{ {result} {{ id }} errors {{ code }} }}"
    document = f"mutation ($i: {field[0].upper()}{field[1:]}Input!) {{ {call} }}"
    await client.execute(ME, by=root)  # records the use of the session, which commits, too
    proxy.lose_answer_to(b"COMMIT")
    lost = await client.execute(document, {"i": value}, by=root)
    assert [error["extensions"]["code"] for error in lost.get("errors", [])] == ["UNAVAILABLE"], lost
    repeated = await client.data(document, {"i": value}, by=root)
    async with session(database_url) as outside:
        found = await outside.fetch(f"SELECT id FROM {rows}")  # noqa: S608
    assert repeated[field] == {result: {"id": str(found[0]["id"])}, "errors": []}
    assert len(found) == 1


async def test_a_server_that_rejects_the_service_is_reported_at_once(database_url: str, root: Person) -> None:
    async with opened_client(Settings(), database_url.replace("roster@", "stranger@")) as client:
        response, taken = await seconds(post(client, ME, root))
        assert (response.status_code, codes(response)) == (503, ["UNAVAILABLE"])
        assert taken < 5
        with pytest.raises(asyncpg.InvalidAuthorizationSpecificationError):
            await client.resources.database.read("ping")

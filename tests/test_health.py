"""Health checks: whether the process responds, and whether it can serve requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest

from service.settings import Settings
from tests.conftest import Client, Person, in_maintenance

KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"


async def test_a_service_with_a_database_is_live_and_ready(client: Client) -> None:
    live, ready = await client.http.get("/health/live"), await client.http.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_health_checks_need_no_credential_and_reject_a_post(client: Client) -> None:
    for path in ("/health/live", "/health/ready"):
        headers = {"authorization": "Bearer nonsense", "cookie": "roster=nonsense", "accept": "image/png"}
        assert (await client.http.get(path, headers=headers)).status_code == 200
        assert (await client.http.head(path)).status_code == 200
        assert (await client.http.post(path)).status_code == 405


@asynccontextmanager
async def without_database(client: Client, server_url: str) -> AsyncIterator[None]:
    """Rename the database of the service for a while, and end every connection to it."""
    name = (await client.rows("SELECT current_database() AS name"))[0]["name"]
    await in_maintenance(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    await in_maintenance(server_url, KILL.format(name))
    await in_maintenance(server_url, f"ALTER DATABASE {name} RENAME TO {name}_renamed")
    try:
        yield
    finally:
        await in_maintenance(server_url, f"ALTER DATABASE {name}_renamed RENAME TO {name}")
        await in_maintenance(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


async def test_a_service_without_its_database_is_live_and_becomes_ready_again(
    client: Client, server_url: str, alice: Person
) -> None:
    async with without_database(client, server_url):
        for _ in range(3):
            ready = await client.http.get("/health/ready")
            assert (ready.status_code, ready.json()) == (503, {"status": "database unavailable"})
            assert ready.headers["retry-after"] == "5"
            assert (await client.http.get("/health/live")).status_code == 200
    assert (await client.http.get("/health/ready")).status_code == 200
    assert await client.data("{ me { username } }", by=alice) == {"me": {"username": "alice"}}
    login = 'mutation { login(input: {login: "alice", password: "x"}) { errors { code } } }'
    assert await client.data(login) == {"login": {"errors": [{"code": "WRONG_CREDENTIALS"}]}}


class TestOneReader:
    """A worker with one connection for reads, which can be blocked."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(readers=1)

    async def test_the_service_is_not_ready_if_the_database_is_too_slow(
        self, client: Client, database_url: str
    ) -> None:
        blocker = await asyncpg.connect(database_url)
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE plans IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.ensure_future(client.data("{ plans { id } }"))
            await asyncio.sleep(0.1)
            started = time.perf_counter()
            ready, live = await asyncio.gather(client.http.get("/health/ready"), client.http.get("/health/live"))
            assert (ready.status_code, live.status_code) == (503, 200)
            assert time.perf_counter() - started < 4
        await blocker.close()
        assert await waiting == {"plans": []}
        assert (await client.http.get("/health/ready")).status_code == 200


async def test_the_root_redirects_to_graphiql(client: Client) -> None:
    response = await client.http.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/graphql")


@pytest.mark.parametrize(
    "path", ["/nowhere", "/graphql/", "/health", "/health/", "//", "/.env", "/graphql/../etc/passwd"]
)
async def test_other_paths_do_not_exist(client: Client, path: str) -> None:
    response: httpx.Response = await client.http.get(path)
    assert response.status_code in {404, 307}
    assert response.headers.get("location") in {None, "http://roster.test/graphql", "/graphql"}

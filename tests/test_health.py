"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import pytest

from service.settings import Settings
from tests.conftest import Door, Person, in_maintenance

KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'"


async def test_a_service_with_a_database_is_live_and_ready(door: Door) -> None:
    live, ready = await door.http.get("/health/live"), await door.http.get("/health/ready")
    assert (live.status_code, live.json()) == (200, {"status": "live"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_health_needs_no_credential_and_takes_no_change(door: Door) -> None:
    for path in ("/health/live", "/health/ready"):
        headers = {"authorization": "Bearer nonsense", "cookie": "roster=nonsense", "accept": "image/png"}
        assert (await door.http.get(path, headers=headers)).status_code == 200
        assert (await door.http.head(path)).status_code == 200
        assert (await door.http.post(path)).status_code == 405


@asynccontextmanager
async def away(door: Door, server_url: str) -> AsyncIterator[None]:
    """The database is renamed under the service, with every connection ended, and gets its name back."""
    name = (await door.rows("SELECT current_database() AS name"))[0]["name"]
    await in_maintenance(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
    await in_maintenance(server_url, KILL.format(name))
    await in_maintenance(server_url, f"ALTER DATABASE {name} RENAME TO {name}_away")
    try:
        yield
    finally:
        await in_maintenance(server_url, f"ALTER DATABASE {name}_away RENAME TO {name}")
        await in_maintenance(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")


async def test_a_service_without_its_database_lives_and_is_ready_again_when_it_is_back(
    door: Door, server_url: str, alice: Person
) -> None:
    async with away(door, server_url):
        for _ in range(3):
            ready = await door.http.get("/health/ready")
            assert (ready.status_code, ready.json()) == (503, {"status": "database unavailable"})
            assert ready.headers["retry-after"] == "5"
            assert (await door.http.get("/health/live")).status_code == 200
    assert (await door.http.get("/health/ready")).status_code == 200
    assert await door.data("{ me { username } }", by=alice) == {"me": {"username": "alice"}}
    login = 'mutation { login(input: {login: "alice", password: "x"}) { errors { code } } }'
    assert await door.data(login) == {"login": {"errors": [{"code": "WRONG_CREDENTIALS"}]}}


class TestOneReader:
    """A worker whose only connection for reads can be kept busy."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(readers=1)

    async def test_a_database_that_does_not_answer_in_time_is_away(self, door: Door, database_url: str) -> None:
        blocker = await asyncpg.connect(database_url)
        async with blocker.transaction():
            await blocker.execute("LOCK TABLE plans IN ACCESS EXCLUSIVE MODE")
            waiting = asyncio.ensure_future(door.data("{ plans { id } }"))
            await asyncio.sleep(0.1)
            started = time.perf_counter()
            ready, live = await asyncio.gather(door.http.get("/health/ready"), door.http.get("/health/live"))
            assert (ready.status_code, live.status_code) == (503, 200)
            assert time.perf_counter() - started < 4
        await blocker.close()
        assert await waiting == {"plans": []}
        assert (await door.http.get("/health/ready")).status_code == 200


async def test_a_visitor_of_the_root_is_led_to_graphiql(door: Door) -> None:
    response = await door.http.get("/")
    assert (response.status_code, response.headers["location"]) == (307, "/graphql")


@pytest.mark.parametrize(
    "path", ["/nowhere", "/graphql/", "/health", "/health/", "//", "/.env", "/graphql/../etc/passwd"]
)
async def test_other_paths_are_not_there(door: Door, path: str) -> None:
    response: httpx.Response = await door.http.get(path)
    assert response.status_code in {404, 307}
    assert response.headers.get("location") in {None, "http://roster.test/graphql", "/graphql"}

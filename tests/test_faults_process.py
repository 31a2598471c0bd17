"""The service as a process: its connections are ended, its embedded server is killed, or its database is not there."""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil  # type: ignore[import-untyped]
import pytest

from service.embedded import watch
from service.embedded.server import start
from service.settings import Settings
from tests.conftest import PASSWORD, Person, in_maintenance, opened_client
from tests.faults import KILL, SERVICE, eventually, held, proxies, session
from tests.processes import ServiceProcess, running_service, wait_until_ready

CREATE = "mutation ($name: String!) { createUser(input: {username: $name}) { user { id } errors { code } } }"
CHANGE = 'mutation ($id: ID!) { updateUser(input: {id: $id, firstName: "B"}) { user { firstName } errors { code } } }'
WITHOUT_EVENT = """SELECT users.username FROM users FULL JOIN audit_events ON audit_events.target_id = users.id
  AND audit_events.event = 'user.create'
WHERE (users.username LIKE 'lost%' AND audit_events.id IS NULL)
  OR (users.id IS NULL AND audit_events.changes -> 'username' ->> 'new' LIKE 'lost%')"""
TIMES = 30
WRITERS = 8
CLUSTER = "postgresql-18"


async def created(http: httpx.AsyncClient, name: str) -> bool:
    """Return whether the service reported that it has created the user; a loss is reported as UNAVAILABLE."""
    response = await http.post("/graphql", json={"query": CREATE, "variables": {"name": name}})
    answer = response.json()
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    assert codes in ([], ["UNAVAILABLE"])
    return not codes


async def test_no_writer_and_no_write_is_lost_when_connections_end(database_url: str, root: Person) -> None:
    with running_service(database_url=database_url) as service:
        headers = {"authorization": f"Bearer {root.token}"}
        async with (
            httpx.AsyncClient(base_url=service.url, headers=headers, timeout=30) as http,
            session(database_url) as outside,
        ):
            written: set[str] = set()
            running = True

            async def write(writer: int) -> None:
                number = 0
                while running:
                    name = f"lost{writer}_{number}"
                    number += 1
                    if await created(http, name):
                        written.add(name)

            writers = [asyncio.create_task(write(number)) for number in range(WRITERS)]
            ended = 0
            while ended < TIMES:
                await asyncio.sleep(0.05)
                # Those in a transaction
                ended += bool(await outside.fetch(f"{KILL} AND state <> 'idle'"))
            running = False
            await asyncio.gather(*writers)
            assert [await created(http, f"lost_{number}") for number in range(WRITERS)] == [True] * WRITERS
            stored = {row["username"] for row in await outside.fetch("SELECT username FROM users")}
            assert written <= stored
            assert await outside.fetch(WITHOUT_EVENT) == []
            assert (await http.get("/health/ready")).status_code == 200
            await all_writers_at_once(http, database_url)
        assert service.stop(seconds=20) == 0


async def all_writers_at_once(http: httpx.AsyncClient, database_url: str) -> None:
    """Change as many users at once as there are writers."""
    chosen = "SELECT id FROM users WHERE username LIKE 'lost%' ORDER BY id LIMIT 8 FOR UPDATE"
    async with held(database_url, "SELECT 1") as holder:
        ids = [str(row["id"]) for row in await holder.fetch(chosen)]
        assert len(ids) == WRITERS
        bodies = [{"query": CHANGE, "variables": {"id": user_id}} for user_id in ids]
        work = [asyncio.create_task(http.post("/graphql", json=body)) for body in bodies]
        waiting = f"SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND {SERVICE}"

        async def all_wait() -> bool:
            await holder.execute("SELECT pg_stat_clear_snapshot()")
            return len(await holder.fetch(waiting)) == WRITERS

        # Each waits for at most two seconds
        await eventually(all_wait, 5)
    answers = [response.json() for response in await asyncio.gather(*work)]
    assert answers == [{"data": {"updateUser": {"user": {"firstName": "B"}, "errors": []}}}] * WRITERS


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roster-test-") as path:
        yield Path(path)


def server_pid(folder: Path) -> int:
    return int((folder / CLUSTER / "postmaster.pid").read_text().splitlines()[0])


def test_an_embedded_server_that_is_killed_comes_back(folder: Path) -> None:
    with running_service(data_dir=str(folder), root_password=PASSWORD) as service:
        login = f'mutation {{ login(input: {{login: "root", password: "{PASSWORD}"}}) {{ token errors {{ code }} }} }}'
        token = service.execute(login)["data"]["login"]["token"]
        for _ in range(2):
            pid = server_pid(folder)
            os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 60
            while (me := service.execute("{ me { username } }", token=token)).get("data") is None:
                assert [error["extensions"]["code"] for error in me["errors"]] == ["UNAVAILABLE"]
                assert time.monotonic() < deadline
            assert me == {"data": {"me": {"username": "root"}}}
            assert server_pid(folder) != pid
            assert service.execute(login)["data"]["login"]["errors"] == []
        assert service.stop() == 0
        assert not (folder / CLUSTER / "postmaster.pid").exists()


def test_a_server_that_cannot_start_is_tried_less_and_less_often(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "INTERVAL_SECONDS", 0.1)
    server = start(folder, durable=False)
    control, pid = folder / CLUSTER / "global" / "pg_control", server_pid(folder)
    content = control.read_bytes()
    try:
        with watch.watched(server):
            control.write_bytes(content[:40] + bytes(8152))
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: len(pauses(caplog)) >= 3)
            control.write_bytes(content)
            wait_for(lambda: "runs again" in caplog.text)
            assert server_pid(folder) != pid
        assert pauses(caplog)[:3] == [0.2, 0.4, 0.8]
    finally:
        control.write_bytes(content)
        server.close()
    assert not (folder / CLUSTER / "postmaster.pid").exists()


def test_a_server_that_was_stopped_properly_stays_stopped(folder: Path) -> None:
    server = start(folder, durable=False)
    os.kill(server_pid(folder), signal.SIGINT)
    wait_for(lambda: not (folder / CLUSTER / "postmaster.pid").exists())
    server.restart_if_killed()
    assert not (folder / CLUSTER / "postmaster.pid").exists()
    server.close()


def pauses(caplog: pytest.LogCaptureFixture) -> list[float]:
    """Return the announced pauses before the next attempts to start."""
    return [record.args[0] for record in caplog.records if "next attempt" in record.msg]  # type: ignore[index,misc]


def wait_for(check: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_a_worker_starts_without_a_database_and_serves_when_it_is_there(database_url: str, root: Person) -> None:
    async with proxies(database_url) as ([proxy], url):
        await proxy.leave()
        async with opened_client(Settings(), url) as client:
            headers = {"authorization": f"Bearer {root.token}"}
            response = await client.http.post("/graphql", json={"query": "{ me { username } }"}, headers=headers)
            assert (response.status_code, response.headers["retry-after"]) == (503, "5")
            assert (await client.http.get("/health/ready")).status_code == 503
            assert (await client.http.get("/health/live")).status_code == 200
            await proxy.listen()
            assert (await client.http.get("/health/ready")).status_code == 200
            assert await client.data("{ me { username } }", by=root) == {"me": {"username": "root"}}
            assert (await client.mutate("createPlan", {"name": "p", "tier": "FREE"}, "__typename", by=root))[
                "errors"
            ] == []


def test_a_worker_that_dies_without_a_database_is_replaced(database_url: str, server_url: str) -> None:
    name = urlsplit(database_url).path[1:]
    with running_service("--workers", "2", database_url=database_url) as service:
        maintain(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        maintain(server_url, KILL.replace("current_database()", f"'{name}'"))
        before = workers(service)
        before[0].kill()
        wait_for(lambda: len(set(workers(service)) - set(before)) == 1)
        for _ in range(10):
            live, ready = (httpx.get(f"{service.url}/health/{name}", timeout=20) for name in ("live", "ready"))
            assert (live.status_code, ready.status_code) == (200, 503)
        maintain(server_url, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        wait_until_ready(service.url)
        assert service.process.poll() is None
        assert service.stop() == 0


def maintain(server_url: str, statement: str) -> None:
    """Run a statement in the server's maintenance database, outside the event loop of the tests."""
    thread = threading.Thread(target=lambda: asyncio.run(in_maintenance(server_url, statement)))
    thread.start()
    thread.join()


def workers(service: ServiceProcess) -> list[psutil.Process]:
    """Return the processes that serve requests."""
    children = psutil.Process(service.process.pid).children()
    living = [child for child in children if child.status() != psutil.STATUS_ZOMBIE]
    return [child for child in living if "spawn_main" in " ".join(child.cmdline())]

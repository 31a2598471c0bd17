"""A service that is killed in the middle of writes: every committed change has its audit event, and no other exists."""

from __future__ import annotations

import asyncio
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import httpx

from tests.conftest import Person
from tests.processes import ServiceProcess, running_service

WRITES = 200
CREATE = "mutation ($i: CreateUserInput!) { createUser(input: $i) { user { id } errors { code } } }"
DIFFERENCES = """
SELECT count(*) FILTER (WHERE users.id IS NULL) AS events_without_user,
       count(*) FILTER (WHERE audit_events.id IS NULL) AS users_without_event,
       count(*) AS all
FROM (SELECT * FROM users WHERE username LIKE $1 || '%') AS users
FULL JOIN (
  SELECT * FROM audit_events WHERE event = 'user.create' AND changes -> 'username' ->> 'new' LIKE $1 || '%'
) AS audit_events
  ON audit_events.target_id = users.id
"""


async def test_data_and_audit_agree_after_the_service_is_killed(database_url: str, root: Person) -> None:
    answered = await asyncio.to_thread(write_and_kill, database_url, root.token, "crash")
    connection = await asyncpg.connect(database_url)
    try:
        found = await connection.fetchrow(DIFFERENCES, "crash")
    finally:
        await connection.close()
    assert found is not None
    assert (found["events_without_user"], found["users_without_event"]) == (0, 0)
    assert answered <= found["all"] < WRITES, "every answered write was committed, and the service was killed early"


def write_and_kill(database_url: str, token: str, prefix: str) -> int:
    """Return how many writes were answered before the service was killed in the middle of WRITES."""
    with running_service(database_url=database_url) as service, ThreadPoolExecutor(8) as threads:
        done = [threads.submit(create, service, token, f"{prefix}{number}") for number in range(WRITES)]
        while sum(one.done() for one in done) < WRITES // 4:
            time.sleep(0.002)
        service.process.send_signal(signal.SIGKILL)
        service.process.wait(10)
        return sum(one.result() for one in done)


def create(service: ServiceProcess, token: str, username: str) -> bool:
    try:
        answer = service.execute(CREATE, {"i": {"username": username}}, token)
    except (httpx.TransportError, ValueError):
        return False
    return bool(answer["data"]["createUser"]["user"])

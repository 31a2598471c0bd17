"""kill -9 in the middle of writes: what is committed has its audit event, and what has none is not there."""

from __future__ import annotations

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import asyncpg
import httpx

from tests.conftest import Person
from tests.served import Served, served

WRITES = 200
CREATE = "mutation ($i: CreateUserInput!) { createUser(input: $i) { user { id } errors { code } } }"
DISAGREEMENTS = """
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
        found = await connection.fetchrow(DISAGREEMENTS, "crash")
    finally:
        await connection.close()
    assert found is not None
    assert (found["events_without_user"], found["users_without_event"]) == (0, 0)
    assert answered <= found["all"] < WRITES, "whoever got an answer is there, and the kill came in the middle"


def write_and_kill(database_url: str, token: str, prefix: str) -> int:
    """How many writes were answered before the service was killed in the middle of WRITES."""
    with served(database_url=database_url) as service, ThreadPoolExecutor(8) as threads:
        done = [threads.submit(create, service, token, f"{prefix}{number}") for number in range(WRITES)]
        while sum(one.done() for one in done) < WRITES // 4:
            pass
        service.process.send_signal(signal.SIGKILL)
        service.process.wait(10)
        return sum(one.result() for one in done)


def create(service: Served, token: str, username: str) -> bool:
    try:
        answer = service.ask(CREATE, {"i": {"username": username}}, token)
    except (httpx.TransportError, ValueError):
        return False
    return bool(answer["data"]["createUser"]["user"])

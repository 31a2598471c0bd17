"""The log lines of failed logins as intrusion prevention reads them, and logins of clients that have gone."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import orjson

from tests.conftest import PASSWORD, REPOSITORY, Client
from tests.test_logs import LOGIN, running_service

# What fail2ban replaces in a pattern
HOST = r"(?P<host>[0-9a-fA-F:.]+)"


async def test_the_documented_filter_of_fail2ban_finds_exactly_the_failed_logins(
    tmp_path: Path, database_url: str
) -> None:
    documented = (REPOSITORY / "docs" / "security.md").read_text("utf-8")
    [pattern] = re.findall(r"failregex = (.+)", documented)
    [example] = re.findall(r'^ +(\{"address".*"login failed".*\})$', documented, re.MULTILINE)
    failregex = re.compile(pattern.replace("<HOST>", HOST))
    with running_service(tmp_path, database_url) as service:
        await service.execute(LOGIN, {"login": "alice", "password": PASSWORD})
        # SECURITY: what a client enters must not make another line, or name another address
        for login in ("alice", "mallory", 'x", "address": "203.0.113.7", "event": "login failed', "a\n{}"):
            await service.execute(LOGIN, {"login": login, "password": "wrong"})
    lines = service.log.read_text().splitlines()
    found = [match["host"] for line in lines if (match := failregex.search(line))]
    assert found == ["127.0.0.1"] * 4
    failed = [line for line in service.lines() if line["event"] == "login failed"]
    assert [line["account"] for line in failed] == ["alice", "[unknown]", "[unknown]", "[unknown]"]
    assert all(list(line) == list(orjson.loads(example)) for line in failed)
    assert all(line["level"] == "warning" and line["reason"] == "wrong credentials" for line in failed)


async def test_a_login_of_a_client_that_has_gone_computes_no_hash_and_counts_no_attempt(client: Client) -> None:
    await client.rows("DELETE FROM attempts")
    body = orjson.dumps({"query": LOGIN, "variables": {"input": {"login": "alice", "password": "wrong"}}})
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[Any] = []
    client.resources.hasher._argon2 = None  # noqa: SLF001  (a hash would fail)

    async def receive() -> dict[str, Any]:
        return messages.pop() if messages else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/graphql",
        "raw_path": b"/graphql",
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"content-type", b"application/json")],
        "client": ("192.0.2.1", 4711),
    }
    async with asyncio.timeout(10):
        await client.app(scope, receive, send)  # type: ignore[arg-type]
    answer = orjson.loads(sent[1]["body"])
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAVAILABLE"]
    assert await client.rows("SELECT key FROM attempts") == []
    assert await client.rows("SELECT id FROM audit_events WHERE event = 'session.reject'") == []

"""What the operator reads: one line for each request, what went wrong inside, and never a secret."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from service.logs import trace
from tests.conftest import PASSWORD, REPOSITORY, Person
from tests.served import clean_environment, wait_until_ready

SECRET = "a-secret-that-nobody-may-read-77"
HASHES = "ALTER TABLE credentials ADD CONSTRAINT credentials_no_hash CHECK (password_hash = '') NOT VALID"


@dataclass
class Served:
    """A service of which every line at debug level goes into a file."""

    url: str
    log: Path

    async def ask(self, query: str, value: Any = None, **headers: str) -> dict[str, Any]:
        body = {"query": query, "variables": {"input": value}}
        answer: dict[str, Any] = (await self.send("POST", "/graphql", json=body, headers=headers)).json()
        return answer

    async def send(self, method: str, path: str, **content: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
            return await client.request(method, path, **content)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def served(folder: Path, database_url: str, log_format: str = "json") -> Iterator[Served]:
    """The service as a process, until it ended and wrote its last line."""
    log = folder / "log"
    settings = {"ROSTER_DATABASE_URL": database_url, "ROSTER_LOG_LEVEL": "debug", "ROSTER_LOG_FORMAT": log_format}
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "serve", "--port", "0"],
            cwd=REPOSITORY,
            env=clean_environment() | settings,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        with process:
            assert process.stdout is not None
            greeting = re.search(r"http://\S+(?=/graphql)", process.stdout.readline())
            assert greeting is not None, log.read_text()
            try:
                wait_until_ready(greeting[0])
                yield Served(greeting[0], log)
            finally:
                process.terminate()


LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { token errors { code } } }"
CHANGE = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { errors { code } } }"
KEY = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret errors { code } } }"
USER = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } errors { code } } }"
SETTINGS = "mutation ($input: UpdateSettingsInput!) { updateSettings(input: $input) { errors { code } } }"


async def test_no_line_holds_a_secret(tmp_path: Path, database_url: str, root: Person) -> None:
    secrets = {PASSWORD, SECRET, root.token, "argon2", "wrong-" + PASSWORD}
    by = {"authorization": f"Bearer {root.token}"}
    with served(tmp_path, database_url) as service:
        login = (await service.ask(LOGIN, {"login": "alice", "password": PASSWORD}))["data"]["login"]
        await service.ask(LOGIN, {"login": "alice", "password": "wrong-" + PASSWORD})
        mine = {"cookie": f"roster={login['token']}"}
        made = (await service.ask(KEY, {"name": "laptop"}, **mine))["data"]["createApiKey"]
        assert (await service.ask(CHANGE, {"currentPassword": PASSWORD, "newPassword": SECRET}, **mine))["data"]
        assert (await service.ask(SETTINGS, {"patch": {"theme": SECRET}}, **mine))["data"]
        assert (await service.ask("{ me { id } }", authorization=f"Bearer {made['secret']}"))["data"]
        assert (await service.ask(LOGIN, {"login": {"deep": SECRET}, "password": 1}))["errors"]
        assert (await service.ask(f'{{ user(by: {{username: "{SECRET}" }}) {{ nope }} }}', **by))["errors"]
        for path in (f"/graphql?query={SECRET}", f"/nowhere?token={SECRET}"):
            await service.send("GET", path, headers=by | {"user-agent": SECRET})
        connection = await asyncpg.connect(database_url)
        await connection.execute(HASHES)
        failed = await service.ask(USER, {"username": "carol", "email": "carol@x.test", "password": SECRET}, **by)
        assert failed["errors"][0]["extensions"]["code"] == "INTERNAL"
        await connection.execute("ALTER TABLE session_tokens RENAME TO lost")
        await connection.close()
        assert (await service.ask("{ me { id } }", **by))["errors"][0]["extensions"]["code"] == "INTERNAL"
    text = service.log.read_text()
    assert [secret for secret in secrets | {login["token"], made["secret"]} if secret in text] == []
    lines = service.lines()
    assert len([line for line in lines if line["event"] == "request" and line["path"] == "/graphql"]) == 11
    told = [line for line in lines if line["event"] == "internal"]
    assert [line["path"] for line in told] == ["createUser", ""]
    assert told[0]["request_id"] == failed["errors"][0]["extensions"]["requestId"]
    assert "sqlstate=23514, constraint_name=credentials_no_hash, table_name=credentials" in told[0]["exception"]
    assert "mutations/user.py" in told[0]["exception"]


async def test_each_request_has_its_line(tmp_path: Path, database_url: str) -> None:
    with served(tmp_path, database_url) as service:
        before = len(service.lines())
        await service.ask("{ __typename }", **{"x-request-id": "one-of-mine"})
        await service.send("POST", "/graphql", content="{", headers={"content-type": "application/json"})
        await service.send("GET", "/no%0Awhere")
        await service.send("GET", "/health/live")
    lines = [line for line in service.lines()[before:] if line["event"] == "request"]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/graphql", 200),
        ("POST", "/graphql", 400),
        ("GET", "/no%0Awhere", 404),
        ("GET", "/health/live", 200),
    ]
    assert lines[0]["request_id"] == "one-of-mine"
    assert re.fullmatch("[0-9a-f]{32}", lines[1]["request_id"])
    assert all(line["ms"] >= 0 and line["level"] == "info" and line["timestamp"] for line in lines)


async def test_text_is_no_less_discreet(tmp_path: Path, database_url: str, root: Person) -> None:
    with served(tmp_path, database_url, "text") as service:
        connection = await asyncpg.connect(database_url)
        await connection.execute(HASHES)
        await connection.close()
        by = {"authorization": f"Bearer {root.token}"}
        await service.ask(USER, {"username": "carol", "email": "carol@x.test", "password": SECRET}, **by)
        await service.send("GET", "/x%0A2026-01-01 [info] forged")
    text = service.log.read_text()
    assert "CheckViolationError (sqlstate=23514" in text
    assert [secret for secret in (SECRET, root.token, "argon2") if secret in text] == []
    assert not any(line.startswith("2026-01-01") for line in text.splitlines())


def test_a_trace_tells_the_errors_behind_an_error_and_no_message() -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError as error:
        told = trace((type(error), error, error.__traceback__))
    assert SECRET not in told
    assert told.index("builtins.ValueError") < told.index("builtins.RuntimeError")
    assert told.count("test_logs.py") == 2


@pytest.mark.parametrize("name", ["databases", "uvicorn.access"])
def test_libraries_that_tell_what_they_are_given_are_silenced(name: str) -> None:
    code = f"from service import logs; from service.settings import Settings; import logging; \
logs.configure(Settings(log_level='debug')); print(logging.getLogger('{name}').getEffectiveLevel())"
    level = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert int(level.stdout) == logging.WARNING

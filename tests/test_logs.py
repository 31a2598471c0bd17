"""Log lines: one for each request, one for each internal error, and none with a secret."""

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
from tests.processes import clean_environment, wait_until_ready

SECRET = "a-secret-that-no-log-may-contain-77"
HASHES = "ALTER TABLE credentials ADD CONSTRAINT credentials_no_hash CHECK (password_hash = '') NOT VALID"
# The line of the request that finds the service ready may come late
READY = "/health/ready"


@dataclass
class ServiceProcess:
    """A service whose log lines, from the level debug on, are written to a file."""

    url: str
    log: Path

    async def execute(self, query: str, value: Any = None, **headers: str) -> dict[str, Any]:
        body = {"query": query, "variables": {"input": value}}
        answer: dict[str, Any] = (await self.send("POST", "/graphql", json=body, headers=headers)).json()
        return answer

    async def send(self, method: str, path: str, **content: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=20) as client:
            return await client.request(method, path, **content)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@contextmanager
def running_service(folder: Path, database_url: str, log_format: str = "json") -> Iterator[ServiceProcess]:
    """Run the service as a process; after the block it has ended and written its last line."""
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
            address = re.search(r"http://\S+(?=/graphql)", process.stdout.readline())
            assert address is not None, log.read_text()
            try:
                wait_until_ready(address[0])
                yield ServiceProcess(address[0], log)
            finally:
                process.terminate()


LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { token errors { code } } }"
CHANGE = "mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { errors { code } } }"
KEY = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret errors { code } } }"
USER = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } errors { code } } }"
SETTINGS = "mutation ($input: UpdateSettingsInput!) { updateSettings(input: $input) { errors { code } } }"


async def test_no_line_contains_a_secret(tmp_path: Path, database_url: str, root: Person) -> None:
    secrets = {PASSWORD, SECRET, root.token, "argon2", "wrong-" + PASSWORD}
    by = {"authorization": f"Bearer {root.token}"}
    with running_service(tmp_path, database_url) as service:
        login = (await service.execute(LOGIN, {"login": "alice", "password": PASSWORD}))["data"]["login"]
        await service.execute(LOGIN, {"login": "alice", "password": "wrong-" + PASSWORD})
        own = {"cookie": f"roster={login['token']}"}
        created = (await service.execute(KEY, {"name": "laptop"}, **own))["data"]["createApiKey"]
        assert (await service.execute(CHANGE, {"currentPassword": PASSWORD, "newPassword": SECRET}, **own))["data"]
        assert (await service.execute(SETTINGS, {"patch": {"theme": SECRET}}, **own))["data"]
        assert (await service.execute("{ me { id } }", authorization=f"Bearer {created['secret']}"))["data"]
        assert (await service.execute(LOGIN, {"login": {"deep": SECRET}, "password": 1}))["errors"]
        assert (await service.execute(f'{{ user(by: {{username: "{SECRET}" }}) {{ nope }} }}', **by))["errors"]
        for path in (f"/graphql?query={SECRET}", f"/nowhere?token={SECRET}"):
            await service.send("GET", path, headers=by | {"user-agent": SECRET})
        connection = await asyncpg.connect(database_url)
        await connection.execute(HASHES)
        failed = await service.execute(USER, {"username": "carol", "email": "carol@x.test", "password": SECRET}, **by)
        assert failed["errors"][0]["extensions"]["code"] == "INTERNAL"
        await connection.execute("ALTER VIEW actors RENAME TO lost")
        await connection.close()
        assert (await service.execute("{ me { id } }", **by))["errors"][0]["extensions"]["code"] == "INTERNAL"
    text = service.log.read_text()
    assert [secret for secret in secrets | {login["token"], created["secret"]} if secret in text] == []
    lines = service.lines()
    assert len([line for line in lines if line["event"] == "request" and line["path"] == "/graphql"]) == 11
    internal = [line for line in lines if line["event"] == "internal"]
    assert [line["path"] for line in internal] == ["createUser", ""]
    assert internal[0]["request_id"] == failed["errors"][0]["extensions"]["requestId"]
    assert "sqlstate=23514, constraint_name=credentials_no_hash, table_name=credentials" in internal[0]["exception"]
    assert "mutations/user.py" in internal[0]["exception"]


async def test_each_request_has_one_line(tmp_path: Path, database_url: str) -> None:
    with running_service(tmp_path, database_url) as service:
        before = len(service.lines())
        await service.execute("{ __typename }")
        await service.send("POST", "/graphql", content="{", headers={"content-type": "application/json"})
        await service.send("GET", "/no%0Awhere")
        await service.send("GET", "/health/live")
    lines = [line for line in service.lines()[before:] if line["event"] == "request" and line["path"] != READY]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/graphql", 200),
        ("POST", "/graphql", 400),
        ("GET", "/no%0Awhere", 404),
        ("GET", "/health/live", 200),
    ]
    assert all(re.fullmatch("[0-9a-f]{32}", line["request_id"]) for line in lines[:2])
    assert lines[0]["request_id"] != lines[1]["request_id"]
    assert all(line["ms"] >= 0 and line["level"] == "info" and line["timestamp"] for line in lines)
    assert not any("client_request_id" in line for line in lines)


async def test_the_request_id_of_a_client_is_only_logged(tmp_path: Path, database_url: str, root: Person) -> None:
    by = {"authorization": f"Bearer {root.token}"}
    usable = ["one-of-mine", "0" * 32, "x" * 64, "a.b_c-d1"]
    unusable = ["short", "x" * 65, "with two words", 'quote"{}[]--', ""]
    with running_service(tmp_path, database_url) as service:
        before = len(service.lines())
        responses = []
        for number, given in enumerate((*usable, *unusable)):
            body = {"query": USER, "variables": {"input": {"username": f"user{number}"}}}
            responses.append(await service.send("POST", "/graphql", json=body, headers=by | {"x-request-id": given}))
        connection = await asyncpg.connect(database_url)
        await connection.execute(HASHES)
        body = {"query": USER, "variables": {"input": {"username": "carol", "password": SECRET}}}
        failed = await service.send("POST", "/graphql", json=body, headers=by | {"x-request-id": "one-of-mine"})
        events = await connection.fetch("SELECT * FROM audit_events WHERE event = 'user.create' ORDER BY id")
        await connection.close()
    ids = [response.headers["x-request-id"] for response in responses]
    assert all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)
    assert len(set(ids)) == len(ids)
    assert set(ids).isdisjoint(usable)
    assert [event["request_id"] for event in events][-len(ids) :] == ids
    assert not any(given in str(event) for event in events for given in ("one-of-mine", "x" * 64, "a.b_c-d1"))
    assert failed.json()["errors"][0]["extensions"] == {
        "code": "INTERNAL",
        "requestId": failed.headers["x-request-id"],
    }
    assert "one-of-mine" not in failed.text
    lines = [line for line in service.lines()[before:] if line["event"] == "request" and line["path"] != READY]
    assert [line["request_id"] for line in lines] == [*ids, failed.headers["x-request-id"]]
    logged = [line.get("client_request_id") for line in lines]
    assert logged == [*usable, *(None for _ in unusable), "one-of-mine"]


async def test_no_text_line_contains_a_secret_or_a_line_break_of_a_path(
    tmp_path: Path, database_url: str, root: Person
) -> None:
    with running_service(tmp_path, database_url, "text") as service:
        connection = await asyncpg.connect(database_url)
        await connection.execute(HASHES)
        await connection.close()
        by = {"authorization": f"Bearer {root.token}"}
        await service.execute(USER, {"username": "carol", "email": "carol@x.test", "password": SECRET}, **by)
        await service.send("GET", "/x%0A2026-01-01 [info] forged")
    text = service.log.read_text()
    assert "CheckViolationError (sqlstate=23514" in text
    assert [secret for secret in (SECRET, root.token, "argon2") if secret in text] == []
    assert not any(line.startswith("2026-01-01") for line in text.splitlines())


def test_a_trace_has_the_causes_of_an_error_and_no_messages() -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError as error:
        text = trace((type(error), error, error.__traceback__))
    assert SECRET not in text
    assert text.index("builtins.ValueError") < text.index("builtins.RuntimeError")
    assert text.count("test_logs.py") == 2


@pytest.mark.parametrize("name", ["databases", "uvicorn.access"])
def test_libraries_log_warnings_only(name: str) -> None:
    code = f"from service import logs; from service.settings import Settings; import logging; \
logs.configure(Settings(log_level='debug')); print(logging.getLogger('{name}').getEffectiveLevel())"
    level = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert int(level.stdout) == logging.WARNING

"""How the service starts, refuses to start, and ends."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.conftest import PASSWORD
from tests.served import command, served


def test_a_first_start_makes_the_root_account_and_the_second_is_fast(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    with served("--data-dir", str(folder), root_email="root@x.test", root_password=PASSWORD) as service:
        answer = service.ask(
            "mutation ($i: LoginInput!) { login(input: $i) { user { username role { name } } } }",
            {"i": {"login": "root@x.test", "password": PASSWORD}},
        )
        assert answer["data"]["login"]["user"] == {"username": "root", "role": {"name": "ROOT"}}
        assert service.stop() == 0
    with served("--data-dir", str(folder), root_password="another-" + PASSWORD) as service:
        answer = service.ask(
            "mutation ($i: LoginInput!) { login(input: $i) { errors { code } } }",
            {"i": {"login": "root", "password": PASSWORD}},
        )
        assert answer["data"]["login"]["errors"] == []
        assert not any("Password" in line for line in service.output)


def test_a_generated_root_password_is_printed_once(tmp_path: Path) -> None:
    with served("--data-dir", str(tmp_path / "data")) as service:
        line = next(line for line in service.output if "Password: " in line)
        password = line.split("Password: ")[1].split()[0]
        answer = service.ask(
            "mutation ($i: LoginInput!) { login(input: $i) { token } }", {"i": {"login": "root", "password": password}}
        )
        assert answer["data"]["login"]["token"].startswith("rsts_")


def test_an_interrupt_ends_the_service_with_success(database_url: str) -> None:
    with served(database_url=database_url) as service:
        assert service.stop(signal.SIGINT) == 0


def test_requests_under_way_are_answered_before_the_service_ends(database_url: str) -> None:
    login = {"query": f'mutation {{ login(input: {{login: "alice", password: "{PASSWORD}"}}) {{ token }} }}'}
    headers = {"content-type": "application/json"}
    with served(database_url=database_url) as service:
        port = urlsplit(service.url).port
        clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(20)]
        for client in clients:
            client.request("GET", "/health/live")
            client.getresponse().read()
        for client in clients:
            client.request("POST", "/graphql", json.dumps(login), headers)
        time.sleep(0.2)  # they are read and wait for their hashes, one after the other
        service.process.terminate()
        answers = [json.load(client.getresponse()) for client in clients]
        assert service.process.wait(20) == 0
        for client in clients:
            client.close()
    assert all(answer["data"]["login"]["token"] for answer in answers)


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"ROSTER_PORT": "eighty"}, "ROSTER_PORT"),
        ({"ROSTER_DATABASE_URL": "mysql://x"}, "ROSTER_DATABASE_URL: Value error, must begin with postgresql://"),
        ({"ROSTER_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}, "the database cannot be reached"),
        ({"ROSTER_ROOT_PASSWORD": "short", "ROSTER_DATA_DIR": "/dev/null/x"}, "/dev/null/x"),
        ({"ROSTER_DATABASE_URL": "postgresql://a:b/c@h/d"}, "ROSTER_DATABASE_URL: Value error, is no address"),
        ({"ROSTER_USERNAME_PATTERN": "("}, "ROSTER_USERNAME_PATTERN is no regular expression"),
        ({"ROSTER_WORKERS": "0"}, "ROSTER_WORKERS"),
    ],
)
def test_a_wrong_setting_is_one_clear_line_and_exit_code_2(settings: dict[str, str], line: str) -> None:
    ended = command("serve", "--port", "0", environment=settings)
    assert ended.returncode == 2
    assert line in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_a_port_in_use_is_one_clear_line_and_exit_code_2(database_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ended = command("serve", "--port", port, environment={"ROSTER_DATABASE_URL": database_url})
    assert ended.returncode == 2
    assert ended.stderr == f"Error: cannot listen on 127.0.0.1:{port}: it is in use (ROSTER_HOST, ROSTER_PORT)\n"


async def test_a_database_from_a_newer_version_is_refused(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO migrations (number, name, sha256) VALUES (9999, '9999_later.sql', 'x')")
    await connection.close()
    ended = command("serve", "--port", "0", environment={"ROSTER_DATABASE_URL": database_url})
    assert ended.returncode == 2
    assert "the database is from a newer version of the service" in ended.stderr
    assert len(ended.stderr.strip().splitlines()) == 1


def test_every_setting_is_listed_without_secrets() -> None:
    ended = command("settings", environment={"ROSTER_ROOT_PASSWORD": PASSWORD})
    assert ended.returncode == 0
    assert "ROSTER_ROOT_PASSWORD" in ended.stdout
    assert PASSWORD not in ended.stdout

"""The command `serve`: its start, the settings that it rejects, and its end."""

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
from tests.processes import command, running_service


def test_the_first_start_creates_the_root_account_and_the_second_keeps_it(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    with running_service("--data-dir", str(folder), root_email="root@x.test", root_password=PASSWORD) as service:
        response = service.execute(
            "mutation ($i: LoginInput!) { login(input: $i) { user { username role { name } } } }",
            {"i": {"login": "root@x.test", "password": PASSWORD}},
        )
        assert response["data"]["login"]["user"] == {"username": "root", "role": {"name": "ROOT"}}
        assert service.stop() == 0
    with running_service("--data-dir", str(folder), root_password="another-" + PASSWORD) as service:
        response = service.execute(
            "mutation ($i: LoginInput!) { login(input: $i) { errors { code } } }",
            {"i": {"login": "root", "password": PASSWORD}},
        )
        assert response["data"]["login"]["errors"] == []
        assert not any("Password" in line for line in service.output)


def test_a_generated_root_password_is_printed_once(tmp_path: Path) -> None:
    with running_service("--data-dir", str(tmp_path / "data")) as service:
        line = next(line for line in service.output if "Password: " in line)
        password = line.split("Password: ")[1].split()[0]
        response = service.execute(
            "mutation ($i: LoginInput!) { login(input: $i) { token } }", {"i": {"login": "root", "password": password}}
        )
        assert response["data"]["login"]["token"].startswith("rsts_")


def test_an_interrupt_ends_the_service_with_success(database_url: str) -> None:
    with running_service(database_url=database_url) as service:
        assert service.stop(signal.SIGINT) == 0


def test_requests_in_progress_get_their_response_before_the_service_ends(database_url: str) -> None:
    login = {"query": f'mutation {{ login(input: {{login: "alice", password: "{PASSWORD}"}}) {{ token }} }}'}
    headers = {"content-type": "application/json"}
    with running_service(database_url=database_url) as service:
        port = urlsplit(service.url).port
        clients = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in range(20)]
        for client in clients:
            client.request("GET", "/health/live")
            client.getresponse().read()
        for client in clients:
            client.request("POST", "/graphql", json.dumps(login), headers)
        time.sleep(0.2)  # the service reads them, and they wait for their hashes
        service.process.terminate()
        responses = [json.load(client.getresponse()) for client in clients]
        assert service.process.wait(20) == 0
        for client in clients:
            client.close()
    assert all(response["data"]["login"]["token"] for response in responses)


PASSWORD_LINE = "Error: ROSTER_ROOT_PASSWORD: "
WRONG = {
    "a port that is not a number": (
        {"PORT": "eighty"},
        "Error: ROSTER_PORT: Input should be a valid integer, unable to parse string as an integer",
    ),
    "a port that is too high": (
        {"PORT": "99999"},
        "Error: ROSTER_PORT: Input should be less than or equal to 65535",
    ),
    "no workers": ({"WORKERS": "0"}, "Error: ROSTER_WORKERS: Input should be greater than or equal to 1"),
    "another database": (
        {"DATABASE_URL": "mysql://x"},
        "Error: ROSTER_DATABASE_URL: must begin with postgresql://",
    ),
    "a URL that cannot be read": (
        {"DATABASE_URL": "postgresql://a:b/c@h/d"},
        "Error: ROSTER_DATABASE_URL: is not a URL; write / : @ in a password as %2F %3A %40",
    ),
    "a short password": (
        {"ROOT_PASSWORD": "short"},
        f"{PASSWORD_LINE}A password must have at least 8 characters.",
    ),
    "a common password": (
        {"ROOT_PASSWORD": "password"},
        f"{PASSWORD_LINE}This is one of the most common passwords.",
    ),
    "a password of the policy": (
        {"ROOT_PASSWORD": PASSWORD, "PASSWORD_MIN_LENGTH": "64"},
        f"{PASSWORD_LINE}A password must have at least 64 characters.",
    ),
    "an email address without a domain": (
        {"ROOT_EMAIL": "nonsense"},
        "Error: ROSTER_ROOT_EMAIL: email is not valid: An email address must have an @-sign.",
    ),
    "a pattern that cannot be read": (
        {"USERNAME_PATTERN": "("},
        "Error: ROSTER_USERNAME_PATTERN: is not a regular expression: missing ), unterminated subpattern at position 0",
    ),
    "lengths that exclude each other": (
        {"USERNAME_MIN_LENGTH": "9", "USERNAME_MAX_LENGTH": "8"},
        "Error: ROSTER_USERNAME_MIN_LENGTH: exceeds ROSTER_USERNAME_MAX_LENGTH",
    ),
}


@pytest.mark.parametrize(("settings", "line"), WRONG.values(), ids=WRONG)
def test_a_wrong_setting_is_reported_in_one_line_before_any_database_starts(
    tmp_path: Path, settings: dict[str, str], line: str
) -> None:
    environment = {f"ROSTER_{name}": value for name, value in settings.items()}
    environment["ROSTER_DATA_DIR"] = str(tmp_path / "data")
    ended = command("serve", environment=environment)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{line}\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("option", ["--port=99999", "--port=-1", "--port=eighty", "--workers=0", "--workers=65"])
def test_a_wrong_option_is_reported_in_one_line_before_any_database_starts(tmp_path: Path, option: str) -> None:
    ended = command("serve", option, environment={"ROSTER_DATA_DIR": str(tmp_path / "data")})
    assert (ended.returncode, ended.stdout) == (2, "")
    assert list(tmp_path.iterdir()) == []
    name = option.partition("=")[0]
    assert name in ended.stderr or f"ROSTER_{name[2:].upper()}" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_option_replaces_the_setting_of_the_environment(tmp_path: Path) -> None:
    with running_service("--data-dir", str(tmp_path / "data"), port="eighty", data_dir="/dev/null/x") as service:
        assert service.execute("{ __typename }") == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"ROSTER_DATABASE_URL": "postgresql://user@127.0.0.1:1/x"},
            "Error: the database cannot be reached: [Errno 111] Connect call failed ('127.0.0.1', 1) "
            "(ROSTER_DATABASE_URL)",
        ),
        ({"ROSTER_DATA_DIR": "/dev/null/x"}, "Error: the database cannot start: /dev/null/x: Not a directory"),
    ],
    ids=["a server that does not run", "a folder that cannot exist"],
)
def test_a_database_that_cannot_be_used_is_reported_in_one_line(settings: dict[str, str], line: str) -> None:
    ended = command("serve", "--port", "0", environment=settings)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", f"{line}\n")


def test_a_port_in_use_is_reported_in_one_line(database_url: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        ended = command("serve", "--port", port, environment={"ROSTER_DATABASE_URL": database_url})
    assert ended.returncode == 2
    assert ended.stderr == f"Error: cannot listen on 127.0.0.1:{port}: it is in use (ROSTER_HOST, ROSTER_PORT)\n"


async def test_a_database_of_a_newer_version_is_rejected(database_url: str) -> None:
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

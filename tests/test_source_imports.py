"""The tables of the five systems, imported by the command: former passwords, repetition, and a kill in the middle."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from service.credentials.passwords import OWN_PREFIX
from service.moving.sources import SOURCES
from tests.conftest import Client
from tests.imports import SMALL_BATCH, Imported, contents, import_files, slow_batches, started
from tests.source_tables import FOLDER, exported

PASSWORD = "correct-horse-battery-42"
SYSTEMS = sorted(SOURCES)
# The table of the users, and the row of one whose values can be repeated
USERS = {
    "calagopus": ("users", 1),
    "eclipanel": ("user", 2),
    "lnbits": ("accounts", 0),
    "openpanel": ("users", 0),
    "pterodactyl": ("users", 1),
}
MANY = 3 * SMALL_BATCH


async def imported(url: str, system: str, folder: Path, *options: str) -> Imported:
    """Import a copy of the system's tables, next to which the report is written."""
    tables = folder / "tables"
    if not tables.exists():
        shutil.copytree(FOLDER / system, tables)
    return await import_files(url, tables, system=system, options=options)


async def sign_in(client: Client, login: str, password: str = PASSWORD) -> Any:
    return await client.mutate("login", {"login": login, "password": password}, "token twoFactorChallenge")


@pytest.mark.parametrize(
    ("system", "login"),
    [
        ("pterodactyl", "grace.hopper"),  # bcrypt of PHP, $2y$
        ("pterodactyl", "zoe@panel.example"),
        ("calagopus", "owner@cal.example"),  # bcrypt of PostgreSQL, $2a$, and a second factor
        ("openpanel", "carol"),  # scrypt of werkzeug
        ("openpanel", "reseller1"),  # PBKDF2 of werkzeug
        ("lnbits", "sat.oshi"),  # bcrypt, $2b$
        ("eclipanel", "st@ecli.example"),
        ("eclipanel", "root@ecli.example"),  # argon2id, and a second factor
    ],
)
async def test_a_user_signs_in_with_the_former_password(
    client: Client, database_url: str, tmp_path: Path, system: str, login: str
) -> None:
    await imported(database_url, system, tmp_path)
    assert (await sign_in(client, login, "correct-horse-battery-43"))["errors"] != []
    found = await sign_in(client, login)
    assert found["errors"] == []
    assert (found["token"] is None) == (login in {"owner@cal.example", "root@ecli.example"})
    [row] = await client.rows(
        "SELECT password_hash FROM credentials JOIN users ON users.id = user_id WHERE $1 IN (username, email)", login
    )
    assert row["password_hash"].startswith(OWN_PREFIX)


@pytest.mark.parametrize(
    ("system", "login"),
    [("calagopus", "gone"), ("openpanel", "xbob"), ("lnbits", "off@ln.example"), ("eclipanel", "mila@ecli.example")],
)
async def test_a_suspended_user_stays_suspended(
    client: Client, database_url: str, tmp_path: Path, system: str, login: str
) -> None:
    await imported(database_url, system, tmp_path)
    query = "mutation ($input: LoginInput!) { login(input: $input) { token } }"
    answer = await client.execute(query, {"input": {"login": login, "password": PASSWORD}})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["USER_SUSPENDED"]
    [row] = await client.rows("SELECT suspended_at FROM users WHERE $1 IN (username, email)", login)
    assert row["suspended_at"] is not None


async def test_a_user_who_is_here_already_is_not_changed(client: Client, database_url: str, tmp_path: Path) -> None:
    before = await client.rows("SELECT * FROM users WHERE username = 'bob'")
    found = await imported(database_url, "openpanel", tmp_path)
    assert found.numbers("user")["collides"] == 1
    assert await client.rows("SELECT * FROM users WHERE username = 'bob'") == before


@pytest.mark.parametrize(
    ("system", "name"), [("openpanel", "stefan"), ("lnbits", "super"), ("eclipanel", "root@ecli.example")]
)
async def test_root_is_given_only_with_the_option(
    client: Client, database_url: str, tmp_path: Path, system: str, name: str
) -> None:
    await imported(database_url, system, tmp_path)
    query = "SELECT roles.name FROM users JOIN roles ON roles.id = role_id WHERE $1 IN (username, email)"
    assert [row["name"] for row in await client.rows(query, name)] == ["USER"]


@pytest.mark.parametrize("system", SYSTEMS)
async def test_a_dry_run_changes_nothing_and_a_second_import_neither(
    client: Client, database_url: str, tmp_path: Path, system: str
) -> None:
    before = await contents(database_url)
    tried = await imported(database_url, system, tmp_path, "--dry-run")
    assert await contents(database_url) == before
    first = await imported(database_url, system, tmp_path)
    after = await contents(database_url)
    assert after != before
    assert [tried.numbers(kind) for kind in ("user", "server", "subuser")] == [
        first.numbers(kind) for kind in ("user", "server", "subuser")
    ]
    second = await imported(database_url, system, tmp_path)
    assert await contents(database_url) == after
    assert "new" not in second.numbers("user")
    assert second.numbers("user")["known"] == first.numbers("user")["new"]


def many(system: str, folder: Path) -> None:
    """Write the system's tables with many users, each with an id, a name, and an address of its own."""
    shutil.copytree(FOLDER / system, folder)
    table, place = USERS[system]
    row = exported(system)[table][place]
    with (folder / f"{table}.jsonl").open("a", encoding="utf-8") as file:
        for number in range(1_000, 1_000 + MANY):
            own: dict[str, Any] = {"username": f"user{number}", "email": f"user{number}@roster.test"}
            if isinstance(row.get("id"), int):
                own["id"] = number
            elif "id" in row:
                own["id"] = f"{number:032x}"
            own |= {"uuid": f"{number:08x}-0000-4000-8000-000000000000", "external_id": None}
            file.write(json.dumps(row | {name: value for name, value in own.items() if name in row}) + "\n")


@pytest.mark.parametrize("system", SYSTEMS)
async def test_an_import_that_was_killed_goes_on(
    client: Client, database_url: str, tmp_path: Path, system: str
) -> None:
    many(system, tmp_path / "tables")
    count = "SELECT count(*) FROM users WHERE email LIKE 'user%@roster.test'"
    async with slow_batches(database_url):
        process = started(database_url, "--from", system, tmp_path / "tables")
        deadline = time.monotonic() + 120
        while (await client.rows(count))[0][0] == 0:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert await asyncio.to_thread(process.wait, 30) == -signal.SIGKILL
    process.communicate()
    killed = (await client.rows(count))[0][0]
    assert 0 < killed < MANY, "it was killed in the middle"
    resumed = await imported(database_url, system, tmp_path)
    assert (await client.rows(count))[0][0] == MANY
    assert resumed.numbers("user")["known"] >= killed
    whole = await contents(database_url)
    await imported(database_url, system, tmp_path)
    assert await contents(database_url) == whole

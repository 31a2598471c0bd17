"""The command `seed`: its rows are valid for the service, and the same in every database."""

# ruff: noqa: S608  (tables and conditions are those of this file)

from __future__ import annotations

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest_asyncio
from iso3166 import countries_by_alpha2

from service.access.permissions import ACCOUNT, SERVER
from service.credentials.ssh_keys import parse_public_key
from service.devices import device_name
from service.identifiers import UsernamePolicy, email_problems, username_problems
from service.seeding.rows import TABLES
from tests.conftest import REPOSITORY, Client, dropped, in_maintenance, named

DAY = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)
USERS = 3_000
COMMAND = ("--users", str(USERS), "--seed", "7", "--as-of", f"{DAY:%Y-%m-%d}")
PASSWORD = "a walnut on every windowsill"
INDEXES = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname"


async def seed(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "service", "seed", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"ROSTER_DATABASE_URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


async def rows(url: str, sql: str, *arguments: Any) -> list[asyncpg.Record]:
    """Return the rows of a statement."""
    connection = await asyncpg.connect(url)
    try:
        return list(await connection.fetch(sql, *arguments))
    finally:
        await connection.close()


async def value(url: str, sql: str, *arguments: Any) -> Any:
    """Return the first value of a statement."""
    return (await rows(url, sql, *arguments))[0][0]


@asynccontextmanager
async def empty_database(server_url: str, name: str) -> AsyncIterator[str]:
    """Create an empty database, and return its URL."""
    name = f"roster_{name}_{os.getpid()}"
    await in_maintenance(server_url, f"CREATE DATABASE {name}")
    try:
        yield named(server_url, name)
    finally:
        await dropped(server_url, name)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def seeded(server_url: str) -> AsyncIterator[tuple[str, str]]:
    """Return a seeded database, which no test changes, and the output of the command."""
    async with empty_database(server_url, "seeded") as url:
        ended = await seed(url, *COMMAND)
        assert (ended.returncode, ended.stderr) == (0, "")
        yield url, ended.stdout


async def test_the_number_of_rows_of_each_table_is_printed_in_one_line(seeded: tuple[str, str]) -> None:
    url, output = seeded
    counts = [f"{await value(url, f'SELECT count(*) FROM {table}')} {table}" for table in TABLES]
    assert output == f"seeded {', '.join(counts)}\n"
    assert f"{USERS} users" in counts


async def test_users_have_realistic_numbers_of_objects(seeded: tuple[str, str]) -> None:
    url, _ = seeded

    async def per_user(count: str) -> float:
        return float(await value(url, f"SELECT ({count}) / CAST($1 AS float)", USERS))

    assert 1.1 < await per_user("SELECT count(*) FROM sessions") < 1.3
    assert 0.4 < await per_user("SELECT count(*) FROM api_keys") < 0.6
    assert 0.6 < await per_user("SELECT count(*) FROM ssh_keys") < 0.8
    assert 0.36 < await per_user("SELECT count(DISTINCT owner_id) FROM servers") < 0.44
    assert 0.2 < await per_user("SELECT count(*) FROM subusers") < 0.4
    assert 0.25 < await per_user("SELECT count(external_id) FROM users") < 0.35
    assert 0.01 < await per_user("SELECT count(suspended_at) FROM users") < 0.02
    assert 0.15 < await per_user("SELECT count(*) FROM sessions WHERE ended_at IS NOT NULL") < 0.4


async def test_a_few_users_are_staff_and_administrators(seeded: tuple[str, str]) -> None:
    found = await rows(seeded[0], "SELECT name, count(*) FROM users JOIN roles ON roles.id = role_id GROUP BY name")
    assert dict(map(tuple, found)) == {"USER": USERS - 30, "STAFF": 25, "ADMIN": 5}


async def test_usernames_and_addresses_pass_the_default_policy(seeded: tuple[str, str]) -> None:
    policy = UsernamePolicy()
    for user in await rows(seeded[0], "SELECT username, email FROM users"):
        assert username_problems(user["username"], policy) == []
        if user["email"] is not None:
            assert email_problems(user["email"]) == (user["email"], [])


async def test_users_come_from_many_countries_and_have_a_language(seeded: tuple[str, str]) -> None:
    found = await rows(seeded[0], "SELECT language, billing_address ->> 'country' AS country, first_name FROM users")
    countries = {user["country"] for user in found}
    assert len(countries) > 15
    assert countries <= countries_by_alpha2.keys()
    assert all(2 <= len(user["language"]) <= 15 for user in found)
    assert any(not user["first_name"].isascii() for user in found)


async def test_the_id_of_a_row_contains_its_time(seeded: tuple[str, str]) -> None:
    url, _ = seeded
    for table in ("users", "sessions", "api_keys", "ssh_keys", "servers", "subusers", "plans", "wallets"):
        found = await rows(url, f"SELECT id, created_at FROM {table} ORDER BY id")
        assert all(row["id"].version == 7 for row in found)
        assert [row["id"].int >> 80 for row in found] == [int(row["created_at"].timestamp() * 1000) for row in found]
        assert [row["created_at"] for row in found] == sorted(row["created_at"] for row in found)


async def test_no_row_is_older_than_its_owner_or_newer_than_the_day(seeded: tuple[str, str]) -> None:
    url, _ = seeded
    first, last = (await rows(url, "SELECT min(created_at), max(created_at) FROM users"))[0]
    assert DAY - dt.timedelta(days=3 * 365) <= first < DAY - dt.timedelta(days=3 * 365 - 5)
    assert DAY - dt.timedelta(days=5) < last < DAY
    for table, owner in (
        ("sessions", "user_id"),
        ("api_keys", "user_id"),
        ("ssh_keys", "user_id"),
        ("servers", "owner_id"),
    ):
        sql = f"SELECT count(*) FROM {table} AS t JOIN users ON users.id = t.{owner}"
        assert await value(url, f"{sql} WHERE t.created_at < users.created_at OR t.created_at > $1", DAY) == 0
    membership = "subusers AS t JOIN users ON users.id = t.user_id JOIN servers ON servers.id = t.server_id"
    too_early = "t.created_at < greatest(users.created_at, servers.created_at)"
    assert await value(url, f"SELECT count(*) FROM {membership} WHERE {too_early} OR t.created_at > $1", DAY) == 0
    assert await value(url, "SELECT count(*) FROM users WHERE last_login_at NOT BETWEEN created_at AND $1", DAY) == 0
    assert await value(url, "SELECT count(*) FROM users WHERE updated_at NOT BETWEEN created_at AND $1", DAY) == 0


async def test_suspended_users_have_no_sessions(seeded: tuple[str, str]) -> None:
    suspended = "suspended_at IS NOT NULL AND (suspended_until IS NULL OR suspended_until > $1)"
    sql = f"SELECT id FROM users WHERE {suspended}"
    assert await rows(seeded[0], sql, DAY)
    assert await rows(seeded[0], f"SELECT FROM sessions WHERE user_id IN ({sql})", DAY) == []


async def test_sessions_have_a_device_and_expire_without_use(seeded: tuple[str, str]) -> None:
    url, _ = seeded
    devices = await rows(url, "SELECT DISTINCT user_agent, device FROM sessions")
    assert len(devices) > 5
    for agent, device in devices:
        assert (agent, device) == (agent, device_name(agent))
    late = "last_seen_at NOT BETWEEN created_at AND idle_expires_at OR idle_expires_at > expires_at"
    assert await value(url, f"SELECT count(*) FROM sessions WHERE {late} OR ended_at < last_seen_at") == 0


async def test_each_session_and_key_has_one_digest(seeded: tuple[str, str]) -> None:
    url, _ = seeded
    for table, owner, reference in (
        ("session_tokens", "sessions", "session_id"),
        ("api_key_secrets", "api_keys", "api_key_id"),
    ):
        assert await value(url, f"SELECT bool_and(octet_length(hash) = 32) FROM {table}") is True
        counted = await rows(url, f"SELECT (SELECT count(*) FROM {table} WHERE {reference} = {owner}.id) FROM {owner}")
        assert {row[0] for row in counted} == {1}


async def test_ssh_keys_have_the_form_that_the_service_stores(seeded: tuple[str, str]) -> None:
    for key in await rows(seeded[0], "SELECT type, fingerprint, public_key FROM ssh_keys"):
        parsed = parse_public_key(key["public_key"])
        assert (parsed.type, parsed.fingerprint, parsed.public_key) == tuple(key)


async def test_permissions_are_of_the_catalogue(seeded: tuple[str, str]) -> None:
    url, _ = seeded
    for row in await rows(url, "SELECT permissions FROM subusers"):
        assert set(row["permissions"]) <= SERVER
        assert "websocket.connect" in row["permissions"]
    for row in await rows(url, "SELECT permissions FROM api_keys"):
        assert set(row["permissions"]) <= ACCOUNT
    assert await rows(url, "SELECT FROM subusers JOIN servers ON servers.id = server_id WHERE owner_id = user_id") == []


async def test_one_event_describes_the_run(seeded: tuple[str, str]) -> None:
    (event,) = await rows(seeded[0], "SELECT * FROM audit_events")
    assert (event["event"], event["actor_id"], event["credential"]) == ("seed", None, "command:seed")
    assert (event["target_type"], event["target_id"], event["owner_id"]) == (None, None, None)
    changes = json.loads(event["changes"])
    assert (changes["seed"]["new"], changes["users"]["new"]) == (7, USERS)


async def test_every_index_exists_again(seeded: tuple[str, str], database_url: str) -> None:
    assert await rows(seeded[0], INDEXES) == await rows(database_url, INDEXES)


async def test_the_same_seed_creates_the_same_rows_in_another_database(
    seeded: tuple[str, str], server_url: str
) -> None:
    async with empty_database(server_url, "twin") as twin:
        assert (await seed(twin, *COMMAND)).returncode == 0
        for table in (*TABLES, "plans"):
            sql = f"SELECT * FROM {table} ORDER BY 1"
            assert await rows(seeded[0], sql) == await rows(twin, sql)


async def test_a_seed_is_rejected_the_second_time_before_anything_is_written(seeded: tuple[str, str]) -> None:
    before = await rows(seeded[0], "SELECT pg_current_xact_id_if_assigned(), count(*) FROM users")
    ended = await seed(seeded[0], "--users", "5", "--seed", "7")
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == "Error: this database was seeded already with seed 7: choose another --seed\n"
    assert await rows(seeded[0], "SELECT pg_current_xact_id_if_assigned(), count(*) FROM users") == before


async def test_names_that_are_taken_are_left_out(database_url: str) -> None:
    await rows(
        database_url,
        """
        WITH taken AS (
          INSERT INTO users (username, email, external_id)
          VALUES ('Anna5', NULL, NULL), ('mail', 'x.y7@example.com', NULL), ('other', NULL, 'whmcs-9')
          RETURNING id
        )
        INSERT INTO servers (name, external_id, owner_id)
        SELECT 'theirs', 'vm-11-1', id FROM taken LIMIT 1
        """,
    )
    seeded_users = "SELECT username FROM users WHERE username ~ '[0-9]$' AND username <> 'Anna5' ORDER BY id"
    ended = await seed(database_url, "--users", "10")
    assert ended.returncode == 0, ended.stderr
    numbers = [int(row[0].lstrip("abcdefghijklmnopqrstuvwxyz_")) for row in await rows(database_url, seeded_users)]
    assert numbers == [1, 2, 3, 4, 6, 8, 10, 12, 13, 14]
    ended = await seed(database_url, "--users", "3", "--seed", "2")
    assert ended.returncode == 0, ended.stderr
    assert await value(database_url, "SELECT count(*) FROM users WHERE username ~ '[a-z_]1[5-7]$'") == 3


async def test_plans_of_the_same_name_are_used_unchanged(database_url: str) -> None:
    await rows(
        database_url,
        """
        INSERT INTO plans (name, tier, is_default) VALUES ('PRO', 'EDUCATIONAL', false), ('Own', 'PAID', true)
        """,
    )
    assert (await seed(database_url, "--users", "400")).returncode == 0
    plans = await rows(database_url, "SELECT name, tier, is_default FROM plans ORDER BY name")
    assert list(map(tuple, plans)) == [
        ("Enterprise", "ENTERPRISE", False),
        ("Free", "FREE", False),
        ("Own", "PAID", True),
        ("PRO", "EDUCATIONAL", False),
        ("Starter", "PAID", False),
    ]
    tiers = await rows(
        database_url, "SELECT DISTINCT users.tier FROM users JOIN plans ON plan_id = plans.id WHERE name = 'PRO'"
    )
    assert [row[0] for row in tiers] == ["EDUCATIONAL"]


async def test_every_user_signs_in_with_the_given_password(client: Client, database_url: str) -> None:
    assert (await seed(database_url, "--users", "20", "--password", PASSWORD)).returncode == 0
    credentials = "FROM credentials JOIN users ON users.id = user_id WHERE username ~ '[0-9]$'"
    found = await rows(database_url, f"SELECT username, password_hash {credentials} ORDER BY users.id")
    assert len(found) == 20
    assert len({row["password_hash"] for row in found}) == 1
    selection = "user { username role { name } plan { name } limits { servers } } "
    login = await client.mutate("login", {"login": found[0]["username"], "password": PASSWORD}, selection)
    assert login["errors"] == []
    assert login["user"]["role"]["name"] == "ADMIN"
    assert login["user"]["plan"]["name"] in {"Free", "Starter", "Pro", "Enterprise"}


async def test_a_weak_password_is_rejected(database_url: str) -> None:
    ended = await seed(database_url, "--users", "1", "--password", "password")
    assert ended.returncode == 2
    assert ended.stderr == "Error: This is one of the most common passwords.\n"
    assert await value(database_url, "SELECT count(*) FROM users WHERE username ~ '[0-9]$'") == 0


async def test_a_history_in_the_future_is_rejected(database_url: str) -> None:
    ended = await seed(database_url, "--as-of", "2999-01-01")
    assert ended.returncode == 2
    assert "must be from 2020-01-01 to" in ended.stderr

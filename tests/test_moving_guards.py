"""Imports: rows that collide with others, that are beyond a limit, and that would give too much."""

from __future__ import annotations

import asyncio
import base64
import re
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import Client, Person
from tests.imports import SSH_KEY, import_files, import_records, user
from tests.test_moving import find


@pytest.mark.parametrize(
    ("field", "value", "what"),
    [
        ("username", "ALICE", "username"),
        ("email", "ALICE@roster.TEST", "email address"),
        ("username", "\uff21LICE", "username"),  # a full-width A
    ],
)
async def test_a_user_whose_name_or_address_is_taken_is_not_taken(  # noqa: PLR0917
    client: Client, database_url: str, alice: Person, tmp_path: Path, field: str, value: str, what: str
) -> None:
    imported = await import_records(database_url, tmp_path, user("x1", username="other") | {field: value}, user("x2"))
    assert imported.numbers("user") == {"read": 2, "new": 1, "collides": 1}
    line = {"table": "user", "key": "x1", "reason": f"The {what} is taken by {alice.id}.", "taken": False}
    assert imported.report[-1] == line


async def test_of_two_rows_with_the_same_name_or_key_the_first_is_taken(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    imported = await import_records(
        database_url,
        tmp_path,
        user("a", email="one@example.org"),
        user("b", email="ONE@example.org"),
        user("c", username="USER_A"),
        user("a", username="another"),
    )
    assert imported.numbers("user") == {"read": 4, "new": 1, "collides": 3}
    [row] = await client.rows("SELECT id FROM users WHERE username = 'user_a'")
    assert imported.reasons("b") == [f"The email address is taken by {row['id']}."]
    assert imported.reasons("a") == ["An earlier row has the same key."]


async def test_an_id_that_another_object_has_is_not_taken(
    client: Client, database_url: str, alice: Person, tmp_path: Path
) -> None:
    imported = await import_records(
        database_url, tmp_path, user("a"), {"type": "server", "key": "s", "owner": "a", "name": "web", "id": alice.id}
    )
    assert imported.reasons("s") == ["Another object has the same id, or the same secret."]


async def test_the_plan_limits_the_number_of_imported_servers(
    client: Client, database_url: str, root: Person, tmp_path: Path
) -> None:
    plan = {"type": "plan", "key": "p", "name": "Two", "limits": {"servers": 2}}
    servers = [
        {"type": "server", "key": f"s{n}", "owner": "a", "name": f"s{n}", "external_id": f"x{n // 2}"} for n in range(5)
    ]
    free = [{"type": "server", "key": f"f{n}", "owner": "b", "name": f"f{n}"} for n in range(5)]
    records = [plan, user("a", plan="p"), user("b", plan="p", limits={"servers": 4}), *servers, *free]
    imported = await import_records(database_url, tmp_path, *records)
    assert imported.numbers("server") == {"read": 10, "new": 6, "collides": 2, "dropped": 2}
    reached = "LIMIT_REACHED: the limits allow no more."
    assert [line["key"] for line in imported.report if line["reason"] == reached] == ["s4", "f4"]
    rows = await client.rows("SELECT name FROM servers ORDER BY name")
    assert [row["name"] for row in rows] == ["f0", "f1", "f2", "f3", "s0", "s2"]


async def test_a_role_root_requires_the_option(client: Client, database_url: str, root: Person, tmp_path: Path) -> None:
    imported = await import_records(database_url, tmp_path, user("boss", role="ROOT"))
    assert imported.reasons("boss") == ["The role ROOT requires --allow-root. The user gets the role USER."]
    assert (await find(client, root, "boss", "role { name }")) == {"role": {"name": "USER"}}
    await import_records(database_url, tmp_path, user("chief", role="ROOT"), options=("--allow-root",))
    assert (await find(client, root, "chief", "role { name }")) == {"role": {"name": "ROOT"}}


async def test_a_role_never_gets_more_than_the_catalogue(client: Client, database_url: str, tmp_path: Path) -> None:
    imported = await import_records(
        database_url,
        tmp_path,
        {
            "type": "role",
            "key": "r",
            "name": "Super",
            "permissions": ["*", "users.read", "control.start", "nodes.read"],
        },
        {"type": "role", "key": "s", "name": "root", "permissions": ["users.delete"]},
        user("ada", role="s"),
    )
    assert imported.numbers("role") == {"read": 2, "new": 1, "collides": 1}
    assert imported.reasons("r") == ["These permissions are not known, and left out: *, control.start, nodes.read."]
    [row] = await client.rows("SELECT permissions FROM roles WHERE name = 'Super'")
    assert row["permissions"] == ["users.read"]
    [row] = await client.rows("SELECT role_id FROM users WHERE username = 'ada'")
    assert row["role_id"].endswith("1"), "a role that was not taken gives USER"
    assert imported.taken("ada") == {True}


async def test_one_row_that_the_database_rejects_stops_no_other(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    # Each number is short in JSON, and has 300 digits as PostgreSQL's jsonb
    huge = {f"n{number}": 1e300 for number in range(200)}
    records = [user(f"u{number}") for number in range(20)]
    records[7] |= {"settings": huge}
    imported = await import_records(database_url, tmp_path, *records)
    assert imported.numbers("user") == {"read": 20, "new": 19, "dropped": 1}
    assert imported.reasons("u7") == ["The database does not accept the row: users_settings_object."]


async def test_the_numbers_of_keys_and_subusers_are_limited_as_by_mutations(
    client: Client, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.moving.batches.BATCH", 7)
    keys = [
        {"type": "ssh-key", "key": f"k{n}", "user": "ada", "name": f"k{n}", "public_key": key(n)} for n in range(53)
    ]
    users = [user(f"member{number}") for number in range(102)]
    server = {"type": "server", "key": "s", "owner": "ada", "name": "web"}
    members = [
        {"type": "subuser", "key": f"m{number}", "server": "s", "user": f"member{number}", "permissions": []}
        for number in range(102)
    ]
    imported = await import_records(database_url, tmp_path, user("ada"), *users, *keys, server, *members)
    assert imported.numbers("ssh-key") == {"read": 53, "new": 50, "dropped": 3}
    assert imported.numbers("subuser") == {"read": 102, "new": 100, "dropped": 2}
    dropped = [line["key"] for line in imported.report if line["reason"].startswith("LIMIT_REACHED")]
    assert sorted(dropped) == ["k50", "k51", "k52", "m100", "m101"]


def key(number: int) -> str:
    """Return an SSH key."""
    blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + bytes([number]) * 32
    return f"ssh-ed25519 {base64.b64encode(blob).decode()}"


async def test_the_owner_of_a_server_and_a_stranger_are_not_its_subusers(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    server = {"type": "server", "key": "s", "owner": "ada", "name": "web"}
    member = {"type": "subuser", "server": "s", "permissions": ["control.start"]}
    imported = await import_records(
        database_url,
        tmp_path,
        user("ada"),
        user("bea"),
        server,
        member | {"key": "m1", "user": "ada"},
        member | {"key": "m2", "user": "cea"},
        member | {"key": "m3", "user": "bea", "until": "2001-01-01T00:00:00Z"},
        member | {"key": "m4", "user": "bea"},
        member | {"key": "m5", "user": "bea"},
    )
    assert imported.numbers("subuser") == {"read": 5, "new": 1, "collides": 1, "dropped": 3}
    assert imported.reasons("m1") == ["The user owns the server."]
    assert imported.reasons("m2") == ["The user cea does not exist, or was not taken."]
    assert imported.reasons("m3") == ["The membership has expired."]
    assert imported.reasons("m5")[0].startswith("The membership is taken by ")


async def test_an_ssh_key_is_taken_once_by_its_user(client: Client, database_url: str, tmp_path: Path) -> None:
    line = {"type": "ssh-key", "user": "ada", "public_key": SSH_KEY}
    imported = await import_records(
        database_url,
        tmp_path,
        user("ada"),
        user("bea"),
        line | {"key": "k1", "name": "a name of more than thirty-one characters"},
        line | {"key": "k2", "name": "other"},
        line | {"key": "k3", "name": "other", "user": "bea"},
        line | {"key": "k4", "name": "dss", "public_key": "ssh-dss AAAA"},
    )
    assert imported.numbers("ssh-key") == {"read": 4, "new": 2, "collides": 1, "dropped": 1}
    assert imported.reasons("k1") == ["name has more than 31 characters and is shortened."]
    assert imported.reasons("k4") == ["DSA keys are too weak. Use an Ed25519 key."]
    [row] = await client.rows("SELECT name FROM ssh_keys WHERE name LIKE 'a name%'")
    assert row["name"] == "a name of more than thirty-one…"


async def test_there_is_one_default_plan(client: Client, database_url: str, root: Person, tmp_path: Path) -> None:
    plan = {"type": "plan", "is_default": True}
    records = [plan | {"key": "p1", "name": "One"}, plan | {"key": "p2", "name": "Two"}]
    imported = await import_records(database_url, tmp_path, *records, user("ada", plan="p2"), user("bea", plan="p3"))
    assert imported.reasons("p2") == ["There is a default plan. This one is not the default."]
    rows = await client.rows("SELECT name FROM plans WHERE is_default")
    assert [row["name"] for row in rows] == ["One"]
    assert (await find(client, root, "ada", "plan { name }"))["plan"] == {"name": "Two"}
    assert imported.reasons("bea") == ["The plan p3 does not exist, or was not taken. It is left out."]


async def test_a_user_who_registers_during_an_import_collides(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("INSERT INTO users (username) VALUES ('ada')")
            running = asyncio.create_task(import_records(database_url, tmp_path, user("ADA"), user("bea")))
            waiting = (
                "SELECT FROM pg_stat_activity WHERE application_name = 'roster import' AND wait_event_type = 'Lock'"
            )
            async with asyncio.timeout(60):
                while not await client.rows(waiting):
                    assert not running.done()
                    await asyncio.sleep(0.05)
    finally:
        await other.close()
    imported = await running
    assert imported.numbers("user") == {"read": 2, "new": 1, "collides": 1}
    assert imported.reasons("ADA")[0].startswith("The username is taken by ")


async def test_a_deleted_user_leaves_no_address_and_is_not_imported_again(
    client: Client, database_url: str, root: Person, tmp_path: Path
) -> None:
    table = tmp_path / "users.csv"
    table.write_text("email,username\ngone@example.org,gone_user\nkept@example.org,kept_user\n", "utf-8")
    await import_files(database_url, table, system="csv")
    gone = await find(client, root, "gone_user", "id")
    assert (await client.mutate("deleteUser", {"id": gone["id"]}, "", by=root))["errors"] == []
    keys = [row["key"] for row in await client.rows("SELECT key FROM imported_rows ORDER BY key")]
    assert [re.sub("[0-9a-f]{64}", "hash", key) for key in keys] == ["kept_user", "sha256:hash"]
    again = await import_files(database_url, table, system="csv")
    assert again.numbers("user") == {"read": 2, "known": 2}

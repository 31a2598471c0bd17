"""Imports: users and what belongs to them, what is rejected, and what a second import changes."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from pathlib import Path
from typing import Any

from tests.conftest import Client, Person
from tests.imports import HASH, PASSWORD, SSH_KEY, code_of, command, contents, import_files, import_records, user, write

FULL = user(
    "grace",
    id="0197d000-0000-4000-8000-00000000000a",
    email="Grace@example.org",
    email_verified=True,
    first_name="Grace",
    last_name="Hopper",
    language="pt-br",
    role="STAFF",
    plan="p1",
    date_of_birth="1906-12-09",
    billing_address={"city": "Arlington", "country": "US"},
    settings={"theme": "dark"},
    limits={"servers": 1},
    external_id="whmcs:7",
    created_at="2020-02-03T04:05:06.5Z",
    last_login_at="2024-01-01T00:00:00Z",
    suspended_at="2024-02-01T00:00:00Z",
    suspended_reason="unpaid invoice",
)
PLAN = {"type": "plan", "key": "p1", "name": "Gold", "tier": "PAID", "limits": {"servers": 3, "disk_mb": 7}}
SHOWN = """id username email emailVerified firstName lastName language tier role { name } plan { name } dateOfBirth
  billingAddress { city country } settings limits { servers diskMb } externalId createdAt lastLoginAt hasPassword
  suspension { reason until at }"""


async def find(client: Client, root: Person, username: str, selection: str = SHOWN) -> Any:
    """Return a user, as root sees it."""
    query = f"query ($name: String!) {{ user(by: {{username: $name}}) {{ {selection} }} }}"
    return (await client.data(query, {"name": username}, by=root))["user"]


async def test_a_user_is_imported_with_everything_that_the_record_has(
    client: Client, database_url: str, root: Person, tmp_path: Path
) -> None:
    imported = await import_records(database_url, tmp_path, PLAN, FULL)
    assert (imported.numbers("plan"), imported.numbers("user")) == ({"read": 1, "new": 1}, {"read": 1, "new": 1})
    assert imported.report == []
    assert await find(client, root, "grace") == {
        "id": "0197d000-0000-4000-8000-00000000000a",
        "username": "grace",
        "email": "Grace@example.org",
        "emailVerified": True,
        "firstName": "Grace",
        "lastName": "Hopper",
        "language": "pt-BR",
        "tier": "PAID",
        "role": {"name": "STAFF"},
        "plan": {"name": "Gold"},
        "dateOfBirth": "1906-12-09",
        "billingAddress": {"city": "Arlington", "country": "US"},
        "settings": {"theme": "dark"},
        "limits": {"servers": 1, "diskMb": 7},
        "externalId": "whmcs:7",
        "createdAt": "2020-02-03T04:05:06.5Z",
        "lastLoginAt": "2024-01-01T00:00:00Z",
        "hasPassword": False,
        "suspension": {"reason": "unpaid invoice", "until": None, "at": "2024-02-01T00:00:00Z"},
    }


async def test_an_imported_user_signs_in_with_the_former_password_and_second_factor(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    secret = "JBSWY3DPEHPK3PXP"  # as short as those of Pterodactyl
    await import_records(
        database_url,
        tmp_path,
        user("ada", password_hash=HASH),
        user("bea", password_hash=HASH, two_factor_secret=secret),
    )
    wrong = await client.mutate("login", {"login": "ada", "password": "another-password"}, "token")
    assert wrong["errors"][0]["code"] == "WRONG_CREDENTIALS"
    right = await client.mutate("login", {"login": "ada", "password": PASSWORD}, "user { username }")
    assert right == {"user": {"username": "ada"}, "errors": []}
    [row] = await client.rows("SELECT password_hash FROM credentials JOIN users ON id = user_id WHERE username = 'ada'")
    assert row["password_hash"].startswith("$argon2id$"), "the password was hashed again"
    first = await client.mutate("login", {"login": "bea", "password": PASSWORD}, "token twoFactorChallenge")
    assert first["token"] is None
    value = {"challenge": first["twoFactorChallenge"], "code": code_of(secret)}
    second = await client.mutate("verifyTwoFactor", value, "user { username twoFactorEnabled }")
    assert second == {"user": {"username": "bea", "twoFactorEnabled": True}, "errors": []}
    assert secret not in json.dumps(await contents(database_url)), "the secret is encrypted"


async def test_every_imported_object_has_an_event_without_secrets(
    client: Client, database_url: str, root: Person, tmp_path: Path
) -> None:
    await import_records(
        database_url,
        tmp_path,
        {"type": "role", "key": "r", "name": "Support", "permissions": ["users.read"]},
        user("ada", password_hash=HASH, two_factor_secret="A" * 32, role="r"),
        {"type": "ssh-key", "key": "k", "user": "ada", "name": "laptop", "public_key": SSH_KEY},
        {"type": "server", "key": "s", "owner": "ada", "name": "web"},
        user("bea"),
        {"type": "subuser", "key": "m", "server": "s", "user": "bea", "permissions": ["control.start"]},
    )
    query = "{ auditEvents(first: 50) { nodes { event credential actorId targetType changes target { id } } } }"
    nodes = (await client.data(query, by=root))["auditEvents"]["nodes"]
    events = [node for node in nodes if node["event"].endswith(".import")]
    assert sorted(event["event"] for event in events) == [
        *("role.import", "server.import", "ssh-key.import", "subuser.import", "user.import", "user.import"),
    ]
    assert {(event["credential"], event["actorId"]) for event in events} == {("command:import", None)}
    assert all(event["target"] is not None for event in events)
    ada = next(event["changes"] for event in events if event["changes"].get("username", {}).get("new") == "ada")
    assert ada["password"] == ada["authenticator"] == {"old": None, "new": "[redacted]"}
    assert HASH not in json.dumps(events)
    ada_row = await find(client, root, "ada", "role { name permissions } sshKeys { nodes { name fingerprint } }")
    assert ada_row["role"] == {"name": "Support", "permissions": ["users.read"]}
    assert ada_row["sshKeys"]["nodes"][0]["fingerprint"].startswith("SHA256:")
    bea = await find(client, root, "bea", "memberships { nodes { permissions server { name owner { username } } } }")
    assert bea["memberships"]["nodes"] == [
        {"permissions": ["control.start", "websocket.connect"], "server": {"name": "web", "owner": {"username": "ada"}}}
    ]


async def test_a_second_import_changes_nothing(client: Client, database_url: str, tmp_path: Path) -> None:
    records = (
        PLAN,
        FULL,
        user("ada", password_hash=HASH, two_factor_secret="A" * 32),
        user("ALICE"),
        {"type": "server", "key": "s", "owner": "ada", "name": "web"},
    )
    first = await import_records(database_url, tmp_path, *records)
    before = await contents(database_url)
    second = await import_records(database_url, tmp_path, *records)
    assert await contents(database_url) == before
    assert first.numbers("user") == {"read": 3, "new": 2, "collides": 1}
    assert second.numbers("user") == {"read": 3, "known": 2, "collides": 1}
    assert (second.numbers("plan"), second.numbers("server")) == ({"read": 1, "known": 1},) * 2
    assert second.report == first.report, "the report is complete each time"


async def test_a_user_who_was_deleted_is_not_imported_again(
    client: Client, database_url: str, root: Person, tmp_path: Path
) -> None:
    await import_records(database_url, tmp_path, user("ada"))
    [row] = await client.rows("SELECT id FROM users WHERE username = 'ada'")
    await client.mutate("deleteUser", {"id": row["id"]}, "deletedId", by=root)
    server = {"type": "server", "key": "s", "owner": "ada", "name": "web"}
    imported = await import_records(database_url, tmp_path, user("ada"), server)
    assert imported.numbers("user") == {"read": 1, "known": 1}
    assert imported.reasons("s") == ["The user ada does not exist, or was not taken."]
    assert await client.rows("SELECT FROM users WHERE username = 'ada'") == []


async def test_a_dry_run_reports_the_same_and_changes_nothing(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    records = [PLAN, FULL, user("alice"), user("ada"), {"type": "server", "key": "s", "owner": "ada", "name": "web"}]
    before = await contents(database_url)
    tried = await import_records(database_url, tmp_path, *records, options=("--dry-run",))
    assert await contents(database_url) == before
    assert tried.output.endswith("nothing was changed: this was a dry run\n")
    imported = await import_records(database_url, tmp_path, *records)
    assert tried.output == imported.output + "nothing was changed: this was a dry run\n"
    assert tried.report == imported.report
    assert imported.numbers("user") == {"read": 3, "new": 2, "collides": 1}


async def test_names_of_different_sources_are_different(client: Client, database_url: str, tmp_path: Path) -> None:
    await import_records(database_url, tmp_path, user("7", username="ada"))
    other = await import_records(database_url, tmp_path, user("7", username="bea"), options=("--name", "second"))
    assert other.numbers("user") == {"read": 1, "new": 1}


async def test_users_come_from_csv(client: Client, database_url: str, root: Person, tmp_path: Path) -> None:
    await client.mutate("createPlan", {"name": "Gold", "tier": "PAID"}, "plan { id }", by=root)
    path = tmp_path / "users.csv"
    path.write_text(
        "\ufeffusername,email,first_name,role,plan,created_at,email_verified,billing_country,password_hash\n"
        f'ada,ada@example.org,"Ada, ""the first""",staff,gold,2020-01-01,yes,AT,{HASH}\n'
        "bea,bea@example.org,,root,none,,,Austria,md5:0123\n"
        ",,Nameless,,,,,,\n"
        "cea,cea@example.org,,,,yesterday,,,\n"
        "dea\n",
        encoding="utf-8",
    )
    imported = await import_files(database_url, path, system="csv")
    assert imported.numbers("user") == {"read": 2, "new": 2}
    assert imported.numbers("table:users.csv") == {"dropped": 3}
    assert [(line["key"], line["reason"]) for line in imported.report if not line["taken"]] == [
        ("line 4", "The row has no username and no email."),
        ("line 5", "created_at has the wrong form."),
        ("line 6", "The row has 1 cells, and the header has 9."),
    ]
    assert imported.reasons("bea") == [
        "The role ROOT requires --allow-root. The user gets the role USER.",
        "The country is not an ISO 3166-1 alpha-2 code. It is left out.",
        "The password hash has a form or a cost that is not supported. The user has no password.",
        "The plan none does not exist, or was not taken. It is left out.",
    ]
    ada = await find(
        client, root, "ada", "firstName role { name } plan { name } tier createdAt emailVerified hasPassword"
    )
    assert ada == {
        "firstName": 'Ada, "the first"',
        "role": {"name": "STAFF"},
        "plan": {"name": "Gold"},
        "tier": "PAID",
        "createdAt": "2020-01-01T00:00:00Z",
        "emailVerified": True,
        "hasPassword": True,
    }
    again = await import_files(database_url, path, system="csv")
    assert again.numbers("user") == {"read": 2, "known": 2}


async def test_times_in_the_future_and_before_1970_are_left_out(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    future = f"{dt.datetime.now(dt.UTC).year + 2}-01-01T00:00:00Z"
    records = [user("a", created_at=future), user("b", created_at="1600-01-01T00:00:00Z", suspended_at=future)]
    imported = await import_records(database_url, tmp_path, *records)
    assert imported.reasons("a") == ["created_at is in the future. It is left out."]
    rows = await client.rows(
        "SELECT username, created_at <= now() AS made, suspended_at <= now() AS suspended FROM users "
        "WHERE username IN ('user_a', 'user_b') ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("user_a", True, None), ("user_b", True, True)]


async def test_only_one_import_runs_at_a_time(client: Client, database_url: str, tmp_path: Path) -> None:
    path = write(tmp_path / "records.jsonl", user("a"))
    async with client.resources.database.transaction() as transaction:
        assert await transaction.run("lock_import")
        ended = await asyncio.to_thread(command, database_url, "import", "--from", "jsonl", path)
        await transaction.connection.execute("SELECT pg_advisory_unlock_all()")
    assert (ended.exit_code, ended.stderr) == (2, "Error: another import is running\n")

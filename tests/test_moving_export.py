"""Export: what is exported and imported into an empty service is exported again as the same bytes."""

# ruff: noqa: ASYNC240  (nothing else runs while a test reads its files)

from __future__ import annotations

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from service.credentials.tokens import digest
from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person, opened_client
from tests.imports import HASH, SSH_KEY, command, empty_database, import_files, import_records, user
from tests.second_factors import with_app, with_passkey


async def export(url: str, path: Path) -> bytes:
    """Export to a file, and return its content."""
    ended = await asyncio.to_thread(command, url, "export", "--output", path)
    assert ended.exit_code == 0, ended.stderr
    assert path.stat().st_mode & 0o777 == 0o600
    assert ended.stdout == ""
    return path.read_bytes()


async def fill(client: Client, root: Person, alice: Person, bob: Person, folder: Path) -> dict[str, Any]:
    """Create objects of every kind by the API; return what must not be in the export, and the id of a server."""
    plan = {
        "name": "Gold",
        "tier": "PAID",
        "isDefault": True,
        "limits": {"servers": 3, "diskMb": 0},
        "description": "ä\nb",
    }
    assert (await client.mutate("createPlan", plan, "plan { id }", by=root))["errors"] == []
    role = {"name": "Support", "permissions": ["users.read", "users.suspend"], "requireTwoFactor": True}
    role = (await client.mutate("createRole", role, "role { id }", by=root))["role"]
    value = {
        "username": "carol",
        "email": "cärol@example.org",
        "firstName": "Carol",
        "language": "de-AT",
        "dateOfBirth": "1990-02-28",
        "billingAddress": {"line1": "Hauptplatz 1", "country": "AT"},
        "externalId": "crm:9",
        "roleId": role["id"],
    }
    assert (await client.mutate("createUser", value, "user { id }", by=root))["errors"] == []
    suspension = {"id": alice.id, "reason": "unpaid", "until": "2090-01-01T00:00:00.123Z"}
    patch = {"patch": {"theme": {"dark": True}, "size": 1.5}}
    assert (await client.mutate("updateSettings", patch, "user { id }", by=alice))["errors"] == []
    key = {"name": "deploy", "permissions": ["account.read"], "allowedIps": ["192.0.2.0/24", "2001:db8::/32"]}
    created = await client.mutate("createApiKey", key, "secret", by=alice)
    await client.mutate("addSshKey", {"name": "laptop", "publicKey": SSH_KEY}, "sshKey { id }", by=alice)
    server = {"name": "web", "ownerId": bob.id, "externalId": "vm-1"}
    server = (await client.mutate("createServer", server, "server { id }", by=root))["server"]
    subuser = {"serverId": server["id"], "email": "alice@roster.test", "permissions": ["control.start"]}
    await client.mutate("createSubuser", subuser | {"until": "2091-01-01T00:00:00Z"}, "subuser { id }", by=bob)
    await client.mutate("createWallet", {"name": "Savings"}, "wallet { id }", by=alice)
    adjustment = {"userId": alice.id, "amountSat": 21, "reason": "top-up"}
    assert (await client.mutate("adjustBalance", adjustment, "newBalanceMsat", by=root))["errors"] == []
    await with_passkey(client, bob)
    app = await with_app(client, bob)
    await client.mutate("suspendUser", suspension, "user { id }", by=root)
    await client.rows("UPDATE users SET limit_overrides = '{\"ports\": 7}' WHERE username = 'bob'")
    return {"server": server["id"], "secrets": [created["secret"], app.secret, *app.codes, PASSWORD, alice.token]}


async def test_what_is_exported_and_imported_elsewhere_is_exported_again_as_the_same_bytes(  # noqa: PLR0917
    client: Client, database_url: str, server_url: str, root: Person, alice: Person, bob: Person, tmp_path: Path
) -> None:
    filled = await fill(client, root, alice, bob, tmp_path)
    await import_records(database_url, tmp_path, user("dora", password_hash=HASH, created_at="2001-02-03T04:05:06Z"))
    first = await export(database_url, tmp_path / "first.jsonl")
    lines = [json.loads(line) for line in first.splitlines()]
    assert [line["type"] for line in lines] == [
        *("plan", "role", *("user",) * 7, "ssh-key", "api-key", "passkey", *("wallet",) * 8, "server", "subuser"),
    ]
    for secret in filled["secrets"]:
        assert secret.encode() not in first
    async with empty_database(server_url, "export") as elsewhere:
        imported = await import_files(elsewhere, tmp_path / "first.jsonl", options=("--allow-root",))
        assert (imported.report, imported.numbers("user")) == ([], {"read": 7, "new": 7})
        assert await export(elsewhere, tmp_path / "second.jsonl") == first
        compressed = await export(elsewhere, tmp_path / "third.jsonl.gz")
        assert gzip.decompress(compressed) == first
        assert await export(elsewhere, tmp_path / "fourth.jsonl.gz") == compressed
        again = await import_files(elsewhere, tmp_path / "third.jsonl.gz", options=("--allow-root",))
        assert again.numbers("user") == {"read": 7, "known": 7}


async def test_credentials_work_where_they_are_imported(  # noqa: PLR0917
    client: Client, database_url: str, server_url: str, root: Person, bob: Person, alice: Person, tmp_path: Path
) -> None:
    key = await client.mutate("createApiKey", {"name": "k", "permissions": ["account.read"]}, "secret", by=alice)
    app = await with_app(client, bob)
    await export(database_url, tmp_path / "first.jsonl")
    async with empty_database(server_url, "credentials") as elsewhere:
        await import_files(elsewhere, tmp_path / "first.jsonl", options=("--allow-root",))
        async with opened_client(Settings(), elsewhere) as other:
            assert (await other.data("{ me { username } }", by=key["secret"]))["me"] == {"username": "alice"}
            login = await other.mutate("login", {"login": "bob", "password": PASSWORD}, "twoFactorChallenge")
            value = {"challenge": login["twoFactorChallenge"], "code": app.codes[0]}
            verified = await other.mutate("verifyTwoFactor", value, "user { username }")
            assert verified == {"user": {"username": "bob"}, "errors": []}
            [row] = await other.rows("SELECT hash FROM api_key_secrets")
            assert row["hash"] == digest(key["secret"])


async def test_without_the_key_of_the_other_service_second_factors_are_left_out(  # noqa: PLR0917
    client: Client, database_url: str, server_url: str, bob: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_app(client, bob)
    await export(database_url, tmp_path / "first.jsonl")
    monkeypatch.setenv("ROSTER_ENCRYPTION_KEYS", "YW5vdGhlci1rZXktb2YtdGhlLXRlc3RzLTMyLWJ5dGU=")
    async with empty_database(server_url, "keys") as elsewhere:
        imported = await import_files(elsewhere, tmp_path / "first.jsonl", options=("--allow-root",))
        assert imported.numbers("user") == {"read": 5, "new": 5}
        [reason] = imported.reasons(bob.id)
        assert reason.startswith("No encryption key fits the two-factor secret")


async def test_an_export_is_as_of_one_moment_and_replaces_its_file_only_when_complete(
    client: Client, database_url: str, tmp_path: Path
) -> None:
    path = tmp_path / "export.jsonl"
    path.write_text("former")
    path.chmod(0o644)
    (tmp_path / "link").write_text("a file of another person")
    await client.rows("ALTER TABLE ssh_keys RENAME TO hidden")
    ended = await asyncio.to_thread(command, database_url, "export", "--output", path)
    assert (ended.exit_code, path.read_text()) == (2, "former")
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []
    await client.rows("ALTER TABLE hidden RENAME TO ssh_keys")
    link = tmp_path / "linked.jsonl"
    link.symlink_to(tmp_path / "link")
    await export(database_url, link)
    assert (tmp_path / "link").read_text() == "a file of another person"

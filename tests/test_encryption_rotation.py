"""The command rotate-encryption."""

from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner
from cryptography.fernet import Fernet
from pydantic import SecretStr

from service.__main__ import main
from service.commands.encryption import rotate
from service.credentials.encryption import Encryption, EncryptionError
from tests.conftest import Client, Person, opened_client
from tests.second_factors import with_app

WRONG_CODE = [("WRONG_CREDENTIALS", ["code"])]
ME = "{ me { twoFactorEnabled } }"
REGENERATE = "mutation ($input: ReauthenticateInput!) { regenerateRecoveryCodes(input: $input) { recoveryCodes } }"


async def test_stored_secrets_are_encrypted_again_with_the_first_key(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    old, new = client.resources.settings.encryption_keys.get_secret_value(), Fernet.generate_key().decode()
    before = await client.rows("SELECT secret FROM two_factor_secrets")
    counts = await rotate(client.resources.database, Encryption(f"{new},{old}"))
    assert counts == {"mails": 1, "signingKeys": 0, "twoFactorSecrets": 1}
    assert await client.rows("SELECT secret FROM two_factor_secrets") != before
    [row] = await client.rows("SELECT secret FROM two_factor_secrets")
    assert Encryption(new).decrypt(row["secret"]).decode() == app.secret
    with pytest.raises(EncryptionError):
        Encryption(old).decrypt(row["secret"])
    [mail] = await client.rows("SELECT content FROM mails")
    assert Encryption(new).decrypt(mail["content"])
    names = await client.rows("SELECT credential, changes FROM audit_events WHERE event = 'encryption.rotate'")
    assert [row["credential"] for row in names] == ["command:rotate-encryption"] * 2


async def test_access_tokens_are_signed_with_the_same_key_when_the_old_encryption_key_is_gone(
    client: Client, alice: Person, database_url: str
) -> None:
    create = "mutation { createAccessToken { accessToken errors { code } } }"
    before = (await client.data(create, by=alice))["createAccessToken"]["accessToken"]
    old, new = client.resources.settings.encryption_keys.get_secret_value(), Fernet.generate_key().decode()
    counts = await rotate(client.resources.database, Encryption(f"{new},{old}"))
    assert counts["signingKeys"] == 1
    settings = client.resources.settings.model_copy(update={"encryption_keys": SecretStr(new)})
    async with opened_client(settings, database_url) as later:
        after = (await later.data(create, by=alice))["createAccessToken"]["accessToken"]
        for token in (before, after):
            assert (await later.data("{ me { id } }", by=token))["me"] == {"id": alice.id}
    assert before.partition(".")[0] == after.partition(".")[0], "the header names the key"


async def test_the_command_reports_a_missing_key_in_one_line(
    client: Client, alice: Person, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_app(client, alice)
    monkeypatch.setenv("ROSTER_DATABASE_URL", database_url)
    monkeypatch.setenv("ROSTER_ENCRYPTION_KEYS", Fernet.generate_key().decode())
    ended = await asyncio.to_thread(CliRunner().invoke, main, ["rotate-encryption"])
    assert (ended.exit_code, ended.output) == (
        2,
        "Error: no encryption key fits: add the key that was used before\n",
    )
    monkeypatch.undo()
    monkeypatch.setenv("ROSTER_DATABASE_URL", database_url)
    ended = await asyncio.to_thread(CliRunner().invoke, main, ["rotate-encryption"])
    assert (ended.exit_code, ended.output) == (0, "encrypted 1 mails, 0 signingKeys, 1 twoFactorSecrets\n")

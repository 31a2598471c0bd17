"""The command `mail`, for installations that send no mail, and for mails that could not be sent."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from tests.conftest import Client, Person
from tests.outbox import SECRET_LINK, store
from tests.processes import command

KEYS = "dGVzdHMtdXNlLXRoaXMta2V5LWFuZC1ub3RoaW5nLWU="
OTHER_KEY = "b3RoZXIta2V5LWZvci10ZXN0cy1hbmQtbm90aGluZy4="


async def run(database_url: str, *arguments: str, keys: str = KEYS) -> tuple[int, str, str]:
    """Return the exit code, the output, and the errors of the command."""
    environment = {"ROSTER_DATABASE_URL": database_url, "ROSTER_ENCRYPTION_KEYS": keys}
    done = await asyncio.to_thread(lambda: command("mail", *arguments, environment=environment))
    return done.returncode, done.stdout, done.stderr


async def test_mail_is_kept_and_shown_without_a_server(client: Client, database_url: str, root: Person) -> None:
    value = {"username": "carol", "email": "carol@roster.test", "sendEmail": True, "language": "de"}
    assert (await client.mutate("createUser", value, "", by=root))["errors"] == []
    [row] = await client.rows("SELECT * FROM mails")
    assert (row["tries"], row["sent_at"]) == (0, None)
    code, listed, _ = await run(database_url)
    assert code == 0
    assert listed.splitlines()[0].split("  ")[::2] == [row["id"], "carol@roster.test"]
    assert "Einladung zu Roster" in listed
    assert "rsto_" not in listed
    code, shown, _ = await run(database_url, "--show", row["id"])
    assert code == 0
    assert shown.startswith("To: carol@roster.test\nSubject: Einladung zu Roster\n\nGuten Tag carol,\n")
    assert "http://localhost:8000/account/invitation#rst" in shown


async def test_the_list_shows_problems_and_leaves_out_what_is_done(client: Client, database_url: str) -> None:
    ids = await store(client, "sent@roster.test", "failed@roster.test", "waits@roster.test")
    await client.rows("UPDATE mails SET sent_at = now(), content = NULL WHERE id = $1", ids[0])
    await client.rows("UPDATE mails SET failed_at = now(), content = NULL WHERE id = $1", ids[1])
    problem = "451 greylisted\x1b[31m\nsecond line"
    await client.rows("UPDATE mails SET tries = 2, problem = $1 WHERE id = $2", problem, ids[2])
    _, listed, _ = await run(database_url)
    assert "waits@roster.test  Invitation to Roster  [try 2: 451 greylisted [31m second line]" in listed
    assert len(listed.splitlines()) == 2
    for mail_id in (*ids[:2], str(uuid.uuid4())):
        code, _, error = await run(database_url, "--show", mail_id)
        assert (code, error) == (2, "Error: there is no mail with this id that has not been sent\n")


async def test_an_empty_database_is_reported_with_the_settings_to_look_at(client: Client, database_url: str) -> None:
    await client.rows("DROP TABLE mails")
    code, _, error = await run(database_url)
    assert code == 2
    assert "is it that of the service (ROSTER_DATA_DIR or ROSTER_DATABASE_URL)?" in error


@pytest.mark.parametrize("show", [False, True])
async def test_without_the_key_the_text_is_not_readable(client: Client, database_url: str, show: bool) -> None:
    [mail_id] = await store(client, "waits@roster.test")
    code, output, error = await run(database_url, *(["--show", mail_id] if show else []), keys=OTHER_KEY)
    assert SECRET_LINK not in output + error
    if show:
        assert (code, error) == (2, "Error: no encryption key fits: add the key that was used before\n")
    else:
        assert "(invitation: no encryption key fits" in output

"""The sender of mail, with real SMTP servers: TLS, passwords, addresses, and the life of the sender."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import pytest
from aiosmtpd.smtp import SMTP

from service.mail import sender as module
from tests.conftest import Client, Person
from tests.outbox import FROM, SECRET_LINK, outbox, sender_for, sending_client, store, until
from tests.smtp import LOGIN, arrived, body, certificate, relay


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trust the certificate of the test's servers."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate() / "cert.pem"))


@pytest.mark.usefixtures("trusted")
async def test_a_mail_leaves_at_once_with_starttls_and_a_password(database_url: str, alice: Person) -> None:
    async with relay(starttls=True, auth=True) as server:
        async with sending_client(database_url, server, login=LOGIN, query="") as client:
            await asyncio.sleep(0.2)  # the sender waits for mail
            created = await client.mutate("createApiKey", {"name": "deploy"}, "secret", by=alice)
            [message] = await arrived(server, seconds=3)  # long before the next poll
            assert created["errors"] == []
            await until(client, "sent_at IS NOT NULL")
            [row] = await outbox(client)
        assert server.signed_in == 1
    assert (row["content"], row["tries"], row["failed_at"], row["problem"]) == (None, 1, None, None)
    assert message["Message-ID"] == f"<{row['id']}@roster.test>"
    assert message["From"] == FROM
    assert message["To"] == "alice@roster.test"
    assert message["Subject"] == "New secret of an API key for your account at Roster Tests"
    assert message["Date"].datetime == row["created_at"].replace(microsecond=0)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert message.get_content_type() == "multipart/alternative"
    assert 'The API key "deploy" of your account was created, or has a new secret.' in body(message)
    assert "192.0.2.1" in body(message)
    assert created["secret"] not in message.as_string()
    assert "<p>Hello alice,</p>" in body(message, "html")


@pytest.mark.usefixtures("trusted")
async def test_a_server_with_tls_from_the_start(client: Client) -> None:
    async with relay(tls=True, auth=True) as server:
        await store(client, "alice@roster.test")
        assert await sender_for(client, server, scheme="smtps", login=LOGIN, query="").send_due()
        assert (len(server.accepted), server.signed_in) == (1, 1)
    assert SECRET_LINK in body(server.accepted[0])
    assert f'href="{SECRET_LINK}"' in body(server.accepted[0], "html")


@pytest.mark.usefixtures("trusted")
async def test_a_wrong_password_is_reported_and_the_mail_is_kept(client: Client) -> None:
    async with relay(starttls=True, auth=True) as server:
        await store(client, "alice@roster.test")
        assert not await sender_for(client, server, login="roster%40relay:wrong", query="").send_due()
    [row] = await outbox(client)
    assert row["problem"] == "535 the server rejects the user or the password"
    assert (row["failed_at"], row["content"] is None) == (None, False)


async def test_without_starttls_nothing_is_sent(client: Client) -> None:
    # CVE-2011-0411: an attacker on the way removes the offer of STARTTLS
    async with relay() as server:
        await store(client, "alice@roster.test")
        assert not await sender_for(client, server, login=LOGIN, query="").send_due()
        assert (server.accepted, server.signed_in, server.connections) == ([], 0, 1)
    [row] = await outbox(client)
    assert "STARTTLS" in row["problem"]
    assert row["failed_at"] is None
    assert 50 < row["wait"].total_seconds() <= 60


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_an_unknown_certificate_is_rejected(client: Client, scheme: str) -> None:
    async with relay(starttls=scheme == "smtp", tls=scheme == "smtps") as server:
        await store(client, "alice@roster.test")
        assert not await sender_for(client, server, scheme=scheme, query="").send_due()
        assert server.accepted == []
    [row] = await outbox(client)
    assert row["content"] is not None
    assert "certificate" in row["problem"].lower()


async def test_addresses_with_other_letters(client: Client) -> None:
    recipients = ("müller@roster.test", "kim@münchen.example")
    async with relay(enable_SMTPUTF8=False) as old:
        await store(client, *recipients)
        await sender_for(client, old).send_due()
        # The domain has a form in ASCII (RFC 5890), the local part has none
        assert [message["To"] for message in old.accepted] == ["kim@xn--mnchen-3ya.example"]
    [failed, _] = await outbox(client)
    assert failed["failed_at"] is not None
    assert "SMTPUTF8" in failed["problem"]
    async with relay(enable_SMTPUTF8=True) as new:
        await store(client, recipients[0])
        await sender_for(client, new).send_due()
        [message] = new.accepted
        assert SECRET_LINK in body(message)


async def test_a_mail_that_cannot_be_decrypted_is_kept_for_the_right_key(client: Client) -> None:
    [mail_id] = await store(client, "alice@roster.test")
    await client.rows("UPDATE mails SET content = 'nonsense' WHERE id = $1", mail_id)
    async with relay() as server:
        assert await sender_for(client, server).send_due()
    [row] = await outbox(client)
    assert row["problem"] == "no encryption key fits: add the key that was used before"
    assert row["content"] == b"nonsense"


async def test_a_mail_that_is_older_than_its_link_is_not_sent(client: Client) -> None:
    await store(client, "alice@roster.test", "bob@roster.test")
    await client.rows(
        "UPDATE mails SET created_at = now() - interval '8 days' WHERE recipient = $1", "alice@roster.test"
    )
    async with relay() as server:
        assert await sender_for(client, server).send_due()
    assert [message["To"] for message in server.accepted] == ["bob@roster.test"]


async def test_a_sender_that_ends_finishes_the_mail_in_progress(client: Client) -> None:
    async with relay() as server:
        started = asyncio.Event()

        async def slow(_server: SMTP, _message: EmailMessage) -> str | None:
            started.set()
            await asyncio.sleep(0.5)
            return None

        server.on_data = slow
        await store(client, *(f"u{number}@roster.test" for number in range(20)))
        sender = sender_for(client, server)
        sender.start()
        await started.wait()
        await sender.close()
    rows = await outbox(client)
    sent, waiting = [row for row in rows if row["sent_at"]], [row for row in rows if not row["sent_at"]]
    assert len(sent) == len(server.accepted) <= module.LANES
    assert {row["tries"] for row in waiting} == {0}


async def test_the_sender_survives_a_database_that_is_away(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.1)
    async with relay() as server:
        sender = sender_for(client, server)
        await client.rows("ALTER TABLE mails RENAME TO lost")
        sender.start()
        await asyncio.sleep(0.3)
        await client.rows("ALTER TABLE lost RENAME TO mails")
        await store(client, "alice@roster.test")
        await arrived(server)
        await sender.close()

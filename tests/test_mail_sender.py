"""The sender of mail, with real SMTP servers: TLS, denials, time-outs, lost connections, and races of senders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any

import asyncpg
import orjson
import pytest
from aiosmtpd.smtp import SMTP

from service.context import Resources
from service.mail import sender as module
from service.mail.outbox import Template
from service.mail.sender import MailSender
from service.resources import mail_sender
from service.settings import Settings
from tests.conftest import Client, Person, opened_client
from tests.processes import running_service
from tests.smtp import LOGIN, Relay, arrived, body, certificate, relay

FROM = "Roster Tests <noreply@roster.test>"
KEYS = "dGVzdHMtdXNlLXRoaXMta2V5LWFuZC1ub3RoaW5nLWU="
SECRET_LINK = "https://roster.test/account/invitation#rsto_a-secret-token"


def settings_for(server: Relay, **url: str) -> Settings:
    """Return settings with the server's URL."""
    return Settings.model_validate({"smtp_url": server.url(**url), "mail_from": FROM})


def sender_for(client: Client, server: Relay, **url: str) -> MailSender:
    """Return a sender, not started, for the outbox of a client that has none."""
    old = client.resources
    resources = Resources(
        settings_for(server, **url), old.database, old.hasher, old.encryption, old.usernames, old.passwords
    )
    found = mail_sender(resources)
    assert found is not None
    return found


async def store(client: Client, *recipients: str, language: str = "en") -> list[str]:
    """Store an invitation to each recipient, and return the ids of the mails."""
    content = client.resources.encryption.encrypt(orjson.dumps({"name": "Alice", "url": SECRET_LINK}))
    return [
        (
            await client.rows(
                "INSERT INTO mails (recipient, template, language, content) VALUES ($1, $2, $3, $4) RETURNING id",
                recipient,
                Template.INVITATION.value,
                language,
                content,
            )
        )[0]["id"]
        for recipient in recipients
    ]


async def outbox(client: Client) -> list[dict[str, Any]]:
    """Return the rows of the outbox, in their order."""
    return [dict(row) for row in await client.rows("SELECT *, next_try_at - now() AS wait FROM mails ORDER BY id")]


async def until(client: Client, condition: str) -> None:
    """Wait until a mail fulfils a condition."""
    async with asyncio.timeout(5):
        while not await client.rows(f"SELECT FROM mails WHERE {condition}"):  # noqa: ASYNC110  (a row changes)
            await asyncio.sleep(0.02)


async def make_due(client: Client) -> None:
    await client.rows("UPDATE mails SET next_try_at = now()")


@asynccontextmanager
async def sending_client(database_url: str, server: Relay, **url: str) -> AsyncIterator[Client]:
    """Return a client of a service that sends mail by a server."""
    async with opened_client(settings_for(server, **url), database_url) as client:
        yield client


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
    assert message["Subject"] == "New API key for your account at Roster Tests"
    assert message["Date"].datetime == row["created_at"].replace(microsecond=0)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] == "en"
    assert message.get_content_type() == "multipart/alternative"
    assert 'The API key "deploy" of your account has a new secret.' in body(message)
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


async def test_a_temporary_rejection_is_tried_ten_times_within_a_day(client: Client) -> None:
    async with relay() as server:
        server.recipients["alice@roster.test"] = "451 4.7.1 greylisted"
        sender = sender_for(client, server)
        await store(client, "alice@roster.test")
        waits = []
        for _ in range(9):
            assert await sender.send_due()
            [row] = await outbox(client)
            assert (row["failed_at"], row["problem"]) == (None, "451 4.7.1 greylisted")
            waits.append(round(row["wait"].total_seconds()))
            assert await sender.send_due()  # it is not due yet
            assert (await outbox(client))[0]["tries"] == len(waits)
            await make_due(client)
        assert waits == sorted(waits)
        assert waits[0] == 60
        assert 20 * 3600 < sum(waits) < 28 * 3600
        assert await sender.send_due()
    [row] = await outbox(client)
    assert row["tries"] == 10
    assert row["failed_at"] is not None
    assert row["content"] is None


async def test_a_mail_is_sent_at_a_later_try(client: Client) -> None:
    async with relay() as server:
        server.recipients["alice@roster.test"] = "450 try later"
        sender = sender_for(client, server)
        [mail_id] = await store(client, "alice@roster.test")
        await sender.send_due()
        del server.recipients["alice@roster.test"]
        await make_due(client)
        await sender.send_due()
    [row] = await outbox(client)
    assert (row["tries"], row["problem"], row["content"]) == (2, None, None)
    assert [message["Message-ID"] for message in server.accepted] == [f"<{mail_id}@roster.test>"]


@pytest.mark.parametrize(
    ("recipient", "on_data", "problem"),
    [
        ("550 5.1.1 no such mailbox", None, "550 5.1.1 no such mailbox"),
        (None, "554 5.7.1 looks like spam", "554 5.7.1 looks like spam"),
    ],
    ids=["recipient", "content"],
)
async def test_a_permanent_rejection_fails_at_once_and_delays_no_other_mail(
    client: Client, recipient: str | None, on_data: str | None, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    async with relay() as server:
        if recipient is not None:
            server.recipients["alice@roster.test"] = recipient

        async def reject(_server: SMTP, message: EmailMessage) -> str | None:
            return on_data if message["To"] == "alice@roster.test" else None

        server.on_data = reject
        await store(client, "alice@roster.test", "bob@roster.test")
        assert await sender_for(client, server).send_due()
    failed, sent = await outbox(client)
    assert (failed["problem"], failed["tries"], failed["content"]) == (problem, 1, None)
    assert failed["failed_at"] is not None
    assert sent["sent_at"] is not None
    assert [message["To"] for message in server.accepted] == ["bob@roster.test"]
    logged = "".join(capsys.readouterr())
    assert problem[:3] in logged
    assert "alice@roster.test" not in logged
    assert "secret-token" not in logged


async def test_a_rejected_sender_is_a_mistake_of_the_operator_and_tried_again(client: Client) -> None:
    async with relay(auth=True) as server:  # MAIL is rejected with 530 without a user
        await store(client, "alice@roster.test")
        await sender_for(client, server).send_due()
    [row] = await outbox(client)
    assert row["problem"].startswith("530")
    assert row["failed_at"] is None


async def test_a_server_that_is_not_there(client: Client) -> None:
    async with relay() as server:
        pass
    await store(client, *(f"u{number}@roster.test" for number in range(20)))
    assert not await sender_for(client, server).send_due()
    rows = await outbox(client)
    assert sum(row["tries"] for row in rows) <= module.LANES, "the other mails keep their tries"


async def test_a_server_that_does_not_answer_delays_no_request(
    database_url: str, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COMMAND_SECONDS", 1.0)

    async def hang(_server: SMTP, _message: EmailMessage) -> str | None:
        await asyncio.sleep(4)
        return "451 too late"

    async with relay() as server, sending_client(database_url, server) as client:
        server.on_data = hang
        await client.mutate("createApiKey", {"name": "deploy"}, "secret", by=alice)
        await until(client, "tries = 1")
        loop, slowest = asyncio.get_running_loop(), 0.0
        while (await outbox(client))[0]["problem"] is None:
            started = loop.time()
            await client.data("{ me { id } }", by=alice)
            slowest = max(slowest, loop.time() - started)
        assert slowest < 0.5
        assert (await outbox(client))[0]["problem"] == "the server did not answer in time"


async def test_a_connection_that_is_cut_after_the_message(client: Client) -> None:
    async with relay() as server:

        async def cut(smtp: SMTP, message: EmailMessage) -> str | None:
            server.accepted.append(message)
            assert isinstance(smtp.transport, asyncio.Transport)
            smtp.transport.abort()
            return "250 never read"

        server.on_data = cut
        sender = sender_for(client, server)
        await store(client, "alice@roster.test")
        assert await sender.send_due()
        [row] = await outbox(client)
        assert (row["sent_at"], row["tries"], row["content"] is None) == (None, 1, False)
        server.on_data = None
        await make_due(client)
        assert await sender.send_due()
    # SMTP cannot tell whether the first one was accepted, so readers get the means to tell that they are the same
    first, second = server.accepted
    assert first["Message-ID"] == second["Message-ID"]
    assert first["Date"] == second["Date"]


async def test_two_senders_send_each_of_a_hundred_mails_exactly_once(database_url: str, client: Client) -> None:
    recipients = [f"u{number}@roster.test" for number in range(100)]
    async with relay() as server, opened_client(Settings(), database_url) as other:
        await store(client, *recipients)
        senders = [sender_for(client, server), sender_for(other, server)]
        await asyncio.gather(*(sender.send_due() for sender in senders for _ in range(2)))
        assert server.connections > module.LANES, "both have sent"
    assert sorted(message["To"] for message in server.accepted) == sorted(recipients)
    rows = await outbox(client)
    assert {(row["tries"], row["content"], row["sent_at"] is None) for row in rows} == {(1, None, False)}


async def test_a_worker_that_is_killed_before_it_records_causes_one_more_mail(
    client: Client, database_url: str, alice: Person
) -> None:
    async with relay() as server:
        loop = asyncio.get_running_loop()
        environment = {"smtp_url": server.url(), "mail_from": FROM, "database_url": database_url}
        service = await loop.run_in_executor(None, lambda: running_service(**environment, encryption_keys=KEYS))
        started = await loop.run_in_executor(None, service.__enter__)
        try:

            async def kill(_server: SMTP, message: EmailMessage) -> str | None:
                started.process.kill()
                server.accepted.append(message)
                return "250 OK"

            server.on_data = kill
            await client.mutate("createApiKey", {"name": "deploy"}, "secret", by=alice)  # this one sends no mail
            [first] = await arrived(server, seconds=module.POLL_SECONDS + 20)
            assert await loop.run_in_executor(None, started.process.wait, 10) == -9
        finally:
            await loop.run_in_executor(None, service.__exit__, None, None, None)
        server.on_data = None
        sender = sender_for(client, server)
        await sender.send_due()
        assert len(server.accepted) == 1, "it is claimed for some minutes"
        await make_due(client)
        await sender.send_due()
        await make_due(client)
        await sender.send_due()
    [row] = await outbox(client)
    assert (row["tries"], row["content"]) == (2, None)
    assert [message["Message-ID"] for message in server.accepted] == [first["Message-ID"]] * 2


async def test_a_sent_mail_is_recorded_although_its_row_is_locked(client: Client, database_url: str) -> None:
    locked = asyncio.Event()
    other = await asyncpg.connect(database_url)
    try:
        async with relay() as server:

            async def lock(_server: SMTP, _message: EmailMessage) -> str | None:
                await other.execute("BEGIN")
                await other.execute("SELECT FROM mails FOR UPDATE")
                locked.set()
                return None

            server.on_data = lock
            await store(client, "alice@roster.test")
            sending = asyncio.create_task(sender_for(client, server).send_due())
            await locked.wait()
            await asyncio.sleep(2.3)  # longer than a statement waits for a lock
            await other.execute("ROLLBACK")
            assert await sending
    finally:
        await other.close()
    [row] = await outbox(client)
    assert row["sent_at"] is not None
    assert len(server.accepted) == 1


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

"""Mails that cannot be sent at once: denials, time-outs, lost connections, killed workers, and races of senders."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage

import asyncpg
import pytest
from aiosmtpd.smtp import SMTP

from service.mail import sender as module
from service.settings import Settings
from tests.conftest import Client, Person, opened_client
from tests.outbox import FROM, make_due, outbox, sender_for, sending_client, store, until
from tests.processes import running_service
from tests.smtp import arrived, relay

KEYS = "dGVzdHMtdXNlLXRoaXMta2V5LWFuZC1ub3RoaW5nLWU="


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

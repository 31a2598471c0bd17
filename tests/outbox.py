"""The outbox in tests: a sender of it, mails in it, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson

from service.mail.outbox import Template
from service.mail.sender import MailSender
from service.resources import mail_sender
from service.settings import Settings
from tests.conftest import Client, opened_client
from tests.smtp import Relay

FROM = "Roster Tests <noreply@roster.test>"
SECRET_LINK = "https://roster.test/account/invitation#rsto_a-secret-token"


def settings_for(server: Relay, **url: str) -> Settings:
    """Return settings with the server's URL."""
    return Settings.model_validate({"smtp_url": server.url(**url), "mail_from": FROM})


def sender_for(client: Client, server: Relay, **url: str) -> MailSender:
    """Return a sender, not started, for the outbox of a client that has none."""
    resources = replace(client.resources, settings=settings_for(server, **url))
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

"""The resources of a worker: opened at its start, closed at its end, with the jobs that run meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from service.access.signing_keys import SigningKeys
from service.clean_up import clean_up_regularly
from service.context import Resources
from service.countries import Countries
from service.credentials.encryption import Encryption, keys_of
from service.credentials.password_policy import PasswordPolicy, password_problems
from service.credentials.passwords import PasswordHasher, cores
from service.database import statements
from service.database.connection import Database
from service.database.servers import ANSWER_SECONDS, LOST
from service.devices import device_name
from service.identifiers import UsernamePolicy
from service.mail.message import Sender
from service.mail.sender import MailSender
from service.settings import Settings
from service.smtp_url import smtp_server
from service.write_limits import WriteLimits


def database_of(settings: Settings, url: str, *, answer_seconds: float = ANSWER_SECONDS) -> Database:
    """Return the database with all statements, not yet connected."""
    return Database(
        url,
        statements.load(),
        readers=settings.readers,
        writers=settings.writers,
        names=settings.prepare,
        answer_seconds=answer_seconds,
    )


def encryption_of(settings: Settings) -> Encryption:
    """Return the encryption with the operator's keys, or with those of the data folder."""
    given = settings.encryption_keys
    return Encryption(keys_of(settings.data_dir) if given is None else given.get_secret_value())


def mail_sender(resources: Resources) -> MailSender | None:
    """Return the sender of mail, not yet started; None without an SMTP server."""
    url = resources.settings.smtp_url
    if url is None:
        return None
    return MailSender(
        smtp_server(url.get_secret_value()),
        Sender.of(resources.settings.mail_from),
        resources.database,
        resources.encryption,
        resources.mail_stored,
    )


def password_policy(settings: Settings) -> PasswordPolicy:
    """Return the operator's rules for passwords."""
    return PasswordPolicy(min_length=settings.password_min_length, min_score=settings.password_min_score)


def username_policy(settings: Settings) -> UsernamePolicy:
    """Return the operator's rules for usernames."""
    return UsernamePolicy(settings.username_min_length, settings.username_max_length, settings.username_pattern)


@asynccontextmanager
async def opened(settings: Settings, url: str) -> AsyncIterator[Resources]:
    """Return the resources of a worker, with its connections."""
    database = database_of(settings, url)
    await database.connect()
    # The first connection for the first request. Without a server, the worker responds with 503 until there is one.
    with suppress(asyncpg.PostgresError, *LOST):
        await database.read("ping")
    hasher = PasswordHasher(settings.hash_threads or max(1, cores() // settings.workers), settings.hash_queue)
    countries = Countries(settings.geoip_file)
    _warm_up(password_policy(settings))
    encryption = encryption_of(settings)
    resources = Resources(
        settings,
        database,
        hasher,
        encryption,
        SigningKeys(database, encryption),
        username_policy(settings),
        password_policy(settings),
        countries,
        WriteLimits(settings.writes_per_hour),
    )
    cleaner = asyncio.create_task(
        clean_up_regularly(database, settings.audit_retention_months, settings.deletion_grace_days, encryption)
    )
    sender = mail_sender(resources)
    if sender is not None:
        sender.start()
    try:
        yield resources
    finally:
        if sender is not None:
            await sender.close()
        cleaner.cancel()
        with suppress(asyncio.CancelledError):
            await cleaner
        hasher.close()
        countries.close()
        await database.close()


def _warm_up(policy: PasswordPolicy) -> None:
    """Load the word lists and patterns that the first login and the first password would load, for 0.3 s."""
    device_name("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
    password_problems("warm-up", [], policy)

"""The sender of every worker: it takes due mails from the outbox, and passes them to the SMTP server.

A mail is claimed in a short transaction, which counts a try and moves the next one ahead by LEASE_SECONDS, and is sent
outside of any transaction. Nothing but the sender waits for the SMTP server. Two workers never send the same mail: rows
that are being claimed are skipped, and claimed ones are not due. A worker that is killed after the server accepted a
mail and before that is recorded causes a second mail, once, because SMTP cannot do both at once. It has the same
Message-ID.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Any

import aiosmtplib
import asyncpg
import structlog

from service.credentials.encryption import Encryption, EncryptionError
from service.database.connection import Database
from service.database.servers import LOST
from service.mail.message import Sender, envelope_address, message_of, text_of
from service.smtp_url import SmtpServer, Tls

POLL_SECONDS = 10.0  # for mails of other workers, and for tries that are due again
LEASE_SECONDS = 300.0
CONNECT_SECONDS = 30.0  # with this for a mail, both are much less than a lease
MAIL_SECONDS = 60.0
COMMAND_SECONDS = 20.0
MAILS_PER_CONNECTION = 50
LANES = 4  # connections to the server, so that a mail that takes long does not delay all others
# Seconds until the next try, after each try but the last: ten within a day
WAITS = (60, 300, 900, 1_800, 3_600, 7_200, 14_400, 21_600, 36_000)
PAUSE_SECONDS = 5.0  # after the server could not be used, twice as long each time
LONGEST_PAUSE = 300.0
RECORD_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)  # a mail must not be sent again because the database restarts
CLOSE_SECONDS = 3.0
PROBLEM_LENGTH = 200
PERMANENT = range(500, 600)  # RFC 5321, section 4.2.1
log = structlog.get_logger("roster.mail")


class UnusableServerError(Exception):
    """The SMTP server cannot be reached, or does not let the service sign in."""


class UnsendableError(Exception):
    """A mail cannot be written, because the recipient is not an address."""


class MailSender:
    """Sends the mail of the outbox until it is closed; `stored` is set when there is new mail."""

    def __init__(
        self, server: SmtpServer, sender: Sender, database: Database, encryption: Encryption, stored: asyncio.Event
    ) -> None:
        self._server = server
        self._from = sender
        self._database = database
        self._encryption = encryption
        self._stored = stored
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to send."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Finish the mails in progress, for at most CLOSE_SECONDS, so that they are not sent twice."""
        self._closing.set()
        self._stored.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_SECONDS)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        failures = 0
        while not self._closing.is_set():
            self._stored.clear()
            failures = 0 if await self._send_due_safely() else failures + 1
            with suppress(TimeoutError):
                if failures:
                    pause = min(PAUSE_SECONDS * 2 ** (failures - 1), LONGEST_PAUSE)
                    await asyncio.wait_for(self._closing.wait(), pause)
                else:
                    await asyncio.wait_for(self._stored.wait(), POLL_SECONDS)

    async def _send_due_safely(self) -> bool:
        try:
            return await self.send_due()
        except Exception as error:  # the next round tries again
            log.warning("the outbox cannot be read", error=type(error).__name__)
            return False

    async def send_due(self) -> bool:
        """Send every mail that is due. Return False if the server or the database could not be used."""
        first = await self._claim()
        if first is None:
            return True
        lanes = await asyncio.gather(
            *(self._send_one_after_another(first if number == 0 else None) for number in range(LANES)),
            return_exceptions=True,
        )
        for result in lanes:
            if isinstance(result, BaseException):
                raise result
        return all(lanes)

    async def _send_one_after_another(self, mail: Any) -> bool:
        """Send mails over one connection until none is due. Return False if the server cannot be used."""
        connection: aiosmtplib.SMTP | None = None
        sent = 0
        try:
            while True:
                mail = mail or (None if self._closing.is_set() else await self._claim())
                if mail is None:
                    return True
                if connection is None or not connection.is_connected or sent >= MAILS_PER_CONNECTION:
                    await _quit(connection)
                    connection, sent = self._connection(), 0
                try:
                    await self._send(connection, mail)
                except Exception as error:
                    connection.close()  # the server may still be at the last command
                    await self._failed(mail, error)
                    if isinstance(error, UnusableServerError):
                        return False
                else:
                    sent += 1
                    await self._record("record_mail_sent", id=mail["id"])
                    log.info("mail sent", mail=mail["id"], template=mail["template"], tries=mail["tries"])
                mail = None
        finally:
            await _quit(connection)

    async def _claim(self) -> Any:
        async with self._database.transaction() as transaction:
            return await transaction.run("claim_mail", lease=LEASE_SECONDS)

    def _connection(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user,
            password=server.password,
            local_hostname=_own_name(),
            timeout=COMMAND_SECONDS,
            use_tls=server.tls is Tls.FROM_THE_START,
            # SECURITY: required, not used if offered: an attacker on the way could remove the offer (CVE-2011-0411)
            start_tls=server.tls is Tls.STARTTLS,
        )

    async def _send(self, connection: aiosmtplib.SMTP, mail: Any) -> None:
        text = text_of(mail, self._encryption, self._from.name)
        try:
            recipient = envelope_address(mail["recipient"])
            message = message_of(self._from, recipient, mail, text)
        except ValueError as error:
            raise UnsendableError("the recipient is not an address") from error
        if not connection.is_connected:
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.connect()
            except (aiosmtplib.SMTPException, OSError, ValueError) as error:
                raise UnusableServerError(_reason(error)) from error
        async with asyncio.timeout(MAIL_SECONDS):
            await connection.send_message(message, sender=self._from.address, recipients=[recipient])

    async def _failed(self, mail: Any, error: Exception) -> None:
        final = is_permanent(error) or mail["tries"] > len(WAITS)
        # SECURITY: the log has no text of the server, which may quote the recipient or the mail
        reason = _code(error) or type(error.__cause__ or error).__name__
        log.warning("mail not sent", mail=mail["id"], template=mail["template"], reason=reason, final=final)
        await self._record(
            "record_mail_failure",
            id=mail["id"],
            problem=_reason(error)[:PROBLEM_LENGTH],
            wait=None if final else float(WAITS[mail["tries"] - 1]),
        )

    async def _record(self, statement: str, **parameters: Any) -> None:
        """Record what happened to a mail, also if the database restarts at the moment."""
        for pause in RECORD_PAUSES:
            try:
                async with self._database.transaction() as transaction:
                    await transaction.run(statement, **parameters)
            except (asyncpg.PostgresError, *LOST, TimeoutError):
                await asyncio.sleep(pause)
            else:
                return
        log.error("what happened to a mail was not recorded", mail=parameters["id"], statement=statement)


def is_permanent(error: Exception) -> bool:
    """Return whether every further try would fail: the server rejects the recipient, or what the mail says."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPDataError):
        return _code(error) in PERMANENT
    # The server cannot transport an address with other letters than ASCII (RFC 6531)
    return isinstance(error, aiosmtplib.SMTPNotSupported | UnsendableError)


def _code(error: Exception) -> int | None:
    """Return the reply code of the server, if there is one."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return error.recipients[0].code
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None


def _reason(error: Exception) -> str:
    """Return what the operator reads about a failed try."""
    match error:
        case UnusableServerError() | UnsendableError() | EncryptionError():
            text = str(error)
        case aiosmtplib.SMTPAuthenticationError():
            text = f"{error.code} the server rejects the user or the password"
        case aiosmtplib.SMTPRecipientsRefused():
            text = f"{error.recipients[0].code} {error.recipients[0].message}"
        case aiosmtplib.SMTPResponseException():
            text = f"{error.code} {error.message}"
        case ssl.SSLCertVerificationError():
            text = f"the certificate of the server is not valid: {error.verify_message}"
        case TimeoutError():
            text = "the server did not answer in time"
        case aiosmtplib.SMTPException():
            text = str(error.message)
        case _:
            text = type(error).__name__
    return text


def _own_name() -> str:
    """Return the name of this machine for EHLO, without a look-up, which could take long."""
    name = socket.gethostname()
    return name if name.isascii() and not any(each.isspace() for each in name) else "localhost"


async def _quit(connection: aiosmtplib.SMTP | None) -> None:
    if connection is not None and connection.is_connected:
        with suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
            await connection.quit(timeout=1)
        connection.close()

"""SMTP servers for tests, on a free port of this machine, with TLS, sign-in, and answers of the test's choice."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

USER, PASSWORD = "roster@relay", "p@ss:word/1"
LOGIN = "roster%40relay:p%40ss%3Aword%2F1"


@dataclass
class Relay:
    """A running SMTP server: `accepted` are the messages, and `connections` counts the clients.

    `recipients` has the answers to RCPT by address, and `on_data` runs before a message is accepted.
    """

    port: int = 0
    accepted: list[EmailMessage] = field(default_factory=list)
    connections: int = 0
    signed_in: int = 0
    recipients: dict[str, str] = field(default_factory=dict)
    on_data: Callable[[SMTP, EmailMessage], Awaitable[str | None]] | None = None

    async def handle_RCPT(  # noqa: N802  (the names of aiosmtpd)
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self.recipients.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.original_content
        assert content is not None
        message = message_from_bytes(content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        answer = None if self.on_data is None else await self.on_data(server, message)
        if answer is None:
            self.accepted.append(message)
        return answer or "250 OK"

    def authenticate(self, _server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        fits = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        self.signed_in += fits
        return AuthResult(success=fits, handled=fits)

    def url(self, scheme: str = "smtp", login: str = "", query: str = "?starttls=never") -> str:
        """Return the URL for the setting."""
        return f"{scheme}://{f'{login}@' if login else ''}127.0.0.1:{self.port}{query}"


@cache
def certificate() -> Path:
    """Return a folder with a certificate for this machine, which is its own CA, and its key."""
    folder = Path(mkdtemp(prefix="roster-smtp-"))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.roster.test")])
    now = dt.datetime.now(dt.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(built.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder


@asynccontextmanager
async def relay(
    *, starttls: bool = False, tls: bool = False, auth: bool = False, **options: Any
) -> AsyncIterator[Relay]:
    """Return a running server, with no encryption, STARTTLS, or TLS from the start; `auth` requires a user."""
    server = Relay()
    context = None
    if starttls or tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate() / "cert.pem", certificate() / "key.pem")
    loop = asyncio.get_running_loop()

    def connection() -> SMTP:
        server.connections += 1
        extra: dict[str, Any] = {"tls_context": context, "require_starttls": True} if starttls else {}
        if auth:
            extra |= {"authenticator": server.authenticate, "auth_required": True, "auth_require_tls": not tls}
        with warnings.catch_warnings(action="ignore", category=UserWarning):  # it knows only of STARTTLS
            return SMTP(server, hostname="relay.roster.test", loop=loop, **extra, **options)

    listener = await loop.create_server(connection, "127.0.0.1", 0, ssl=context if tls else None)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()


async def arrived(server: Relay, number: int = 1, seconds: float = 8) -> list[EmailMessage]:
    """Return the accepted messages, when there are as many as expected."""
    async with asyncio.timeout(seconds):
        while len(server.accepted) < number:  # noqa: ASYNC110  (the server is not part of this loop's tasks)
            await asyncio.sleep(0.02)
    return server.accepted


def body(message: EmailMessage, kind: str = "plain") -> str:
    """Return the text of a message, or its HTML."""
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    return str(part.get_content())

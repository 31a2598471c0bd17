"""The URL of an SMTP server.

`smtp://user:password@host:587` requires STARTTLS, and `smtps://user:password@host:465` has TLS from the start.
`smtp://host:25?starttls=never` does not encrypt, for a server on the same machine.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qs, unquote, urlsplit

SCHEMES = ("smtp", "smtps")
TLS_PORT = 465
SUBMISSION_PORT = 587
HOST = re.compile(r"[A-Za-z0-9._:-]+")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
NOT_A_URL = "is not a URL like smtp://user:password@host:587; write / : @ in a password as %2F %3A %40"


class Tls(Enum):
    """How the connection to the server is encrypted."""

    FROM_THE_START = "from the start"
    STARTTLS = "starttls"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """An SMTP server, and how to sign in."""

    host: str
    port: int
    tls: Tls
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def smtp_server(url: str) -> SmtpServer:
    """Return the server of a URL. Raise ValueError with a sentence that quotes nothing of the URL."""
    try:
        parts = urlsplit(url)
        given = parse_qs(parts.query, strict_parsing=bool(parts.query))
        port = parts.port
    except ValueError:
        raise ValueError(NOT_A_URL) from None
    user = unquote(parts.username or "") or None
    password = unquote(parts.password or "") or None
    if (
        parts.scheme not in SCHEMES
        or not HOST.fullmatch(parts.hostname or "")
        or parts.netloc.count("@") > 1
        or parts.path not in {"", "/"}
        or parts.fragment
        or port == 0
        or CONTROL.search(f"{user}{password}")
    ):
        raise ValueError(NOT_A_URL)
    if (user is None) != (password is None):
        raise ValueError("must have both a user and a password, or neither")
    tls = _tls(parts.scheme, given)
    default = TLS_PORT if tls is Tls.FROM_THE_START else SUBMISSION_PORT
    return SmtpServer(parts.hostname or "", port or default, tls, user, password)


def _tls(scheme: str, given: dict[str, list[str]]) -> Tls:
    """Return the encryption. SECURITY: it is never chosen by what the server offers, because that can be forged."""
    if scheme == "smtps" and not given:
        return Tls.FROM_THE_START
    if scheme == "smtp" and given in ({}, {"starttls": ["required"]}):
        return Tls.STARTTLS
    if scheme == "smtp" and given == {"starttls": ["never"]}:
        return Tls.NEVER
    raise ValueError("allows only the parameter starttls, with the value required or never, and only for smtp://")

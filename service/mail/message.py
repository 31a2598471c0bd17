"""Mails as they are sent: headers, a text, and the same as HTML (RFC 5322, RFC 2046)."""

from __future__ import annotations

from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any, Final

import email_validator
import orjson

from service.credentials.encryption import Encryption
from service.mail.templates import Text, render

SERVICE: Final = "Roster"  # a sender without a name


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends the mail: the name of the service, and an address."""

    name: str
    address: str

    @classmethod
    def of(cls, mail_from: str | None) -> Sender:
        """Return the sender of the setting."""
        name, address = parseaddr(mail_from or "")
        return cls(name or SERVICE, envelope_address(address))


def text_of(mail: Any, encryption: Encryption, service: str) -> Text:
    """Return the text of a row of the outbox; `service` is the name of the sender."""
    values = orjson.loads(encryption.decrypt(mail["content"]))
    return render(mail["template"], mail["language"], mail["recipient"], service, values)


def envelope_address(address: str) -> str:
    """Return an address as every server accepts it, with the domain in ASCII; other local parts stay as they are."""
    if address.isascii():
        return address
    dotted = address.rpartition("@")[2] != "localhost"
    checked = email_validator.validate_email(address, check_deliverability=False, globally_deliverable=dotted)
    return checked.ascii_email or address


def message_of(sender: Sender, recipient: str, mail: Any, text: Text) -> EmailMessage:
    """Return the message of a row of the outbox. Every try gives the same message, so that readers can tell."""
    message = EmailMessage()
    message["From"] = Address(sender.name, addr_spec=sender.address)
    local_part, _, domain = recipient.rpartition("@")
    message["To"] = Address(username=local_part, domain=domain)
    message["Subject"] = text.subject
    message["Date"] = format_datetime(mail["created_at"])
    message["Message-ID"] = f"<{mail['id']}@{sender.address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: vacation programs do not reply
    message.set_content(text.text, cte="quoted-printable")
    message.add_alternative(text.html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = text.language
    return message

"""SSH public keys in the forms of other systems, and their records."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from service import limits
from service.moving.records import SshKeyRecord
from service.moving.sources import values
from service.moving.sources.rows import Row, UniqueNames, records

_PEM: Final = "-----BEGIN PUBLIC KEY-----"
_TYPE = re.compile(rb"[a-z0-9@.-]{1,64}")
_HEX = re.compile(r"(?:\\x)?((?:[0-9a-fA-F]{2})+)")


def line_of_text(value: object) -> str:
    """Return the line of a key in PEM (RFC 7468, section 13), or of a text that is a line already."""
    text = value.strip() if isinstance(value, str) and len(value) <= limits.SSH_PUBLIC_KEY else ""
    if not text:
        raise ValueError("The key is empty or too long.")
    if not text.startswith(_PEM):
        return text
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey):
        raise ValueError("The key is damaged, or of a type that is not supported.")
    try:
        return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    except (ValueError, UnsupportedAlgorithm):  # a curve that SSH does not have
        raise ValueError("The key is of a type that SSH does not have.") from None


def line_of_blob(value: object) -> str:
    """Return the line of a key in SSH's binary form (RFC 4253, section 6.6), given in hexadecimal digits."""
    match = _HEX.fullmatch(value) if isinstance(value, str) and len(value) <= 2 * limits.SSH_PUBLIC_KEY else None
    if match is None:
        raise ValueError("The key is not in hexadecimal digits.")
    blob = bytes.fromhex(match[1])
    kind = blob[4 : 4 + int.from_bytes(blob[:4])]
    if not _TYPE.fullmatch(kind):
        raise ValueError("The key is damaged: it does not begin with its type.")
    return f"{kind.decode()} {base64.b64encode(blob).decode()}"


def ssh_keys(
    found: Iterable[Row], user: str, public_key: str, created: str, line: Callable[[Any], str] = line_of_text
) -> Iterator[SshKeyRecord]:
    """Yield the record of each row. `user`, `public_key`, and `created` are columns; `line` reads the key."""
    unique = UniqueNames()

    def convert(row: Row) -> SshKeyRecord:
        owner, key = row.reference(user), row.required(public_key, line)
        return SshKeyRecord(
            key=row.key,
            user=owner,
            name=row.name("name", unique, default="SSH key", most=limits.KEY_NAME, scope=owner),
            public_key=key,
            created_at=row.value(created, values.moment),
        )

    return records(found, convert)

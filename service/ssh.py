"""Which text is an SSH public key, and what identifies it?

Read is the one line of a `.pub` file (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options): type, base64, comment. Plain
keys are checked by `cryptography`. A certificate (OpenSSH PROTOCOL.certkeys) is taken apart here and its key is checked like
a plain one, because `cryptography` knows neither certificates of security keys nor those signed by one.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

MAX_LENGTH: Final = 16 * 1024
MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16384  # what OpenSSH reads at most

# Each type of key, and how many strings of its blob make up the key.
_KEY_FIELDS: Final = {
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
    "sk-ssh-ed25519@openssh.com": 2,
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
}
# Each type of certificate, and the type of the key in it.
_CERTIFIED: Final = {key.removesuffix("@openssh.com") + "-cert-v01@openssh.com": key for key in _KEY_FIELDS}
TYPES: Final = frozenset(_KEY_FIELDS) | frozenset(_CERTIFIED)

# What follows the key in a certificate: serial, type, key id, principals, valid after, valid before, critical options,
# extensions, reserved, signature key, signature. A number is a width in bytes, None a string.
_CERTIFICATE_TAIL = (8, 4, None, None, 8, 8, None, None, None, None, None)

_FINGERPRINT = re.compile(r"(?:SHA256:)?([A-Za-z0-9+/]{43})=?")


@dataclass(frozen=True)
class SshPublicKey:
    """A public key in its canonical form.

    `fingerprint` is what `ssh-keygen -lf` shows, and `public_key` the line `type base64[ comment]`.
    """

    type: str
    fingerprint: str
    public_key: str
    comment: str


def parse_public_key(text: str) -> SshPublicKey:
    """The public key of one line. Raises ValueError with a sentence for its owner if it is none, or too weak."""
    if len(text) > MAX_LENGTH:
        raise ValueError("A public key is at most 16 KiB long")
    line = text.strip(" \t\r\n")
    _refuse_other_files(line)
    kind, encoded, comment = _split(line)
    try:
        blob = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("The key is not valid base64") from None
    key_kind, key_blob = _key_of(kind, blob)
    _check_key(key_kind, key_blob)
    canonical = f"{kind} {base64.b64encode(blob).decode()}"
    return SshPublicKey(
        type=kind,
        fingerprint=_fingerprint(key_blob),
        public_key=f"{canonical} {comment}" if comment else canonical,
        comment=comment,
    )


def normalise_fingerprint(text: str) -> str | None:
    """`SHA256:` and 43 characters, for a fingerprint given with or without that mark and padding; None for other text."""
    match = _FINGERPRINT.fullmatch(text)
    if match is None:
        return None
    digits = match.group(1)
    # The last of 43 characters carries two bits too many: only one spelling is what a key has.
    canonical = base64.b64encode(base64.b64decode(digits + "=")).decode() == digits + "="
    return f"SHA256:{digits}" if canonical else None


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _refuse_other_files(line: str) -> None:
    if "PRIVATE KEY" in line or line.startswith("PuTTY-User-Key-File"):
        # SECURITY: said plainly, because a private key that was sent anywhere must be replaced.
        raise ValueError("This is a private key, which must not be shared: replace it, and send the public one (.pub)")
    if not line:
        raise ValueError("The public key is empty")
    if "\n" in line or "\r" in line:
        raise ValueError("Expected a single public key on one line, like the content of a .pub file")


def _split(line: str) -> tuple[str, str, str]:
    kind, _, rest = line.replace("\t", " ", 1 if "\t" in line.split(" ", 1)[0] else 0).partition(" ")
    encoded, _, comment = rest.strip().partition(" ")
    return kind, encoded, comment.strip()

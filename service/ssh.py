"""Which text is an SSH public key, and what identifies it?

Read is the one line of a `.pub` file (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options): type, base64, comment.
Keys are checked by `cryptography`. A certificate (OpenSSH PROTOCOL.certkeys) is taken apart here and its key is checked
alone, because `cryptography` knows neither certificates of security keys nor those signed by one. Whether its signature
is good and its signer trusted is for the SSH server to say.
"""

from __future__ import annotations

import base64
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

_BLANK = re.compile(r"[ \t]+")
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
    except ValueError:
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
    """`SHA256:` and 43 characters, from a fingerprint with or without that mark and padding; None for other text."""
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
    """The type, base64 and comment of a line."""
    kind, encoded, comment = [*_BLANK.split(line, maxsplit=2), "", ""][:3]
    if kind not in TYPES:
        if kind.startswith("ssh-dss"):
            raise ValueError("DSA keys are too weak; use an Ed25519 key")
        if not TYPES.isdisjoint(_BLANK.split(line)):
            raise ValueError("Options before the type of the key are not accepted")
        raise ValueError(f"Unknown type of key; known are {', '.join(sorted(_KEY_FIELDS))} and their certificates")
    if not comment.isprintable():
        raise ValueError("The comment of the key must not hold control characters")
    return kind, encoded, comment


def _string(blob: bytes, start: int) -> tuple[bytes, int]:
    """The SSH string (RFC 4251, section 5) at `start` of the blob, and where it ends."""
    end = start + 4 + int.from_bytes(blob[start : start + 4])
    if start + 4 > len(blob) or end > len(blob):
        raise ValueError("The key is damaged: it ends too early")
    return blob[start + 4 : end], end


def _key_of(kind: str, blob: bytes) -> tuple[str, bytes]:
    """The type and blob of the plain key in a blob that may be a certificate."""
    embedded, position = _string(blob, 0)
    if embedded != kind.encode():
        raise ValueError("The key is damaged: its content is of another type than its line says")
    if kind in _KEY_FIELDS:
        return kind, blob
    key_kind = _CERTIFIED[kind]
    _nonce, start = _string(blob, position)
    end = start
    for _ in range(_KEY_FIELDS[key_kind]):
        _, end = _string(blob, end)
    position = end
    for width in _CERTIFICATE_TAIL:
        position = _string(blob, position)[1] if width is None else position + width
    if position != len(blob):
        raise ValueError("The key is damaged: its certificate is followed by other data")
    return key_kind, len(key_kind).to_bytes(4) + key_kind.encode() + blob[start:end]


def _check_key(kind: str, blob: bytes) -> None:
    line = kind.encode() + b" " + base64.b64encode(blob)
    try:
        key = load_ssh_public_key(line)
    except (ValueError, UnsupportedAlgorithm, NotImplementedError):
        raise ValueError("The key is damaged: its numbers are not those of such a key") from None
    if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise ValueError(f"An RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits; this one has {key.key_size}")
    # SECURITY: a number may be written with leading zeros; one key must not have several fingerprints. (`cryptography`
    # gives the keys of security keys without their type, and these hold no such number.)
    if not kind.startswith("sk-") and key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) != line:
        raise ValueError("The key is damaged: its numbers are not in their shortest form")

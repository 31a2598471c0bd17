"""SSH public keys: parsing, checks, and fingerprints.

The input is the one line of a `.pub` file (sshd(8), AUTHORIZED_KEYS FILE FORMAT, without options): type, base64,
comment. Keys are checked by `cryptography`. The key of a certificate (OpenSSH PROTOCOL.certkeys) is extracted and
checked alone, because `cryptography` supports neither certificates of security keys nor certificates signed by one. The
SSH server checks the signature of a certificate and its signer.
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

MIN_RSA_BITS: Final = 2048
MAX_RSA_BITS: Final = 16384  # the largest that OpenSSH accepts

# Each type of key, and the number of strings in its blob that form the key
_KEY_FIELDS: Final = {
    "ecdsa-sha2-nistp256": 2,
    "ecdsa-sha2-nistp384": 2,
    "ecdsa-sha2-nistp521": 2,
    "sk-ecdsa-sha2-nistp256@openssh.com": 3,
    "sk-ssh-ed25519@openssh.com": 2,
    "ssh-ed25519": 1,
    "ssh-rsa": 2,
}
# Each type of certificate, and the type of the key in it
_CERTIFIED: Final = {key.removesuffix("@openssh.com") + "-cert-v01@openssh.com": key for key in _KEY_FIELDS}
TYPES: Final = frozenset(_KEY_FIELDS) | frozenset(_CERTIFIED)

# The fields after the key of a certificate: serial, type, key id, principals, valid after, valid before, critical
# options, extensions, reserved, signature key, signature. A number is a width in bytes, None is a string.
_CERTIFICATE_TAIL = (8, 4, None, None, 8, 8, None, None, None, None, None)

_BLANK = re.compile(r"[ \t]+")
# SECURITY: bidirectional controls, too, could make a comment look like another key
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_FINGERPRINT = re.compile(r"(?:SHA256:)?([A-Za-z0-9+/]{43})=?")


@dataclass(frozen=True)
class SshPublicKey:
    """A public key in its canonical form.

    `fingerprint` is the one that `ssh-keygen -lf` prints, and `public_key` is the line `type base64[ comment]`.
    """

    type: str
    fingerprint: str
    public_key: str
    comment: str


def parse_public_key(text: str) -> SshPublicKey:
    """Return the public key of one line. Raise ValueError, with a message for the user, for any other text."""
    line = text.strip(" \t\r\n")
    _reject_other_files(line)
    kind, encoded, comment = _split(line)
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        raise ValueError("The key is not valid base64.") from None
    key_kind, key_blob = _key_of(kind, blob)
    _check_key(key_kind, key_blob)
    canonical = f"{kind} {base64.b64encode(blob).decode()}"
    return SshPublicKey(
        type=kind,
        fingerprint=_fingerprint(key_blob),
        public_key=f"{canonical} {comment}" if comment else canonical,
        comment=comment,
    )


def normalized_fingerprint(text: str) -> str | None:
    """Return `SHA256:` and 43 characters for a fingerprint with or without this prefix and padding, else None."""
    match = _FINGERPRINT.fullmatch(text)
    if match is None:
        return None
    digits = match.group(1)
    # The last of 43 characters has two unused bits: only one of four spellings is the fingerprint of a key
    canonical = base64.b64encode(base64.b64decode(digits + "=")).decode() == digits + "="
    return f"SHA256:{digits}" if canonical else None


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _reject_other_files(line: str) -> None:
    if "PRIVATE KEY" in line or line.startswith("PuTTY-User-Key-File"):
        # SECURITY: the user must learn this, because a private key that was sent anywhere must be replaced
        raise ValueError(
            "This is a private key, which must never be shared. Replace it, and send the public key (.pub)."
        )
    if not line:
        raise ValueError("The public key is empty.")
    if "\n" in line or "\r" in line:
        raise ValueError("Send a single public key on one line, like the content of a .pub file.")


def _split(line: str) -> tuple[str, str, str]:
    """Return the type, base64, and comment of a line."""
    kind, encoded, comment = [*_BLANK.split(line, maxsplit=2), "", ""][:3]
    if kind not in TYPES:
        if kind.startswith("ssh-dss"):
            raise ValueError("DSA keys are too weak. Use an Ed25519 key.")
        if not TYPES.isdisjoint(_BLANK.split(line)):
            raise ValueError("Options before the type of the key are not supported.")
        known = ", ".join(sorted(_KEY_FIELDS))
        raise ValueError(f"Unknown type of key. Supported are {known}, and their certificates.")
    # ssh-keygen writes any comment: letters of every script, emoji, no-break spaces
    comment = comment.replace("\t", " ").strip()
    if _CONTROL.search(comment):
        raise ValueError("The comment of the key must not contain control characters.")
    return kind, encoded, comment


def _string(blob: bytes, start: int) -> tuple[bytes, int]:
    """Return the SSH string (RFC 4251, section 5) at `start` of the blob, and its end."""
    end = start + 4 + int.from_bytes(blob[start : start + 4])
    if start + 4 > len(blob) or end > len(blob):
        raise ValueError("The key is damaged: it is incomplete.")
    return blob[start + 4 : end], end


def _key_of(kind: str, blob: bytes) -> tuple[str, bytes]:
    """Return the type and blob of the plain key in a blob that may be a certificate."""
    embedded, position = _string(blob, 0)
    if embedded != kind.encode():
        raise ValueError("The key is damaged: its content has another type than its line says.")
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
        raise ValueError("The key is damaged: its certificate is followed by other data.")
    return key_kind, len(key_kind).to_bytes(4) + key_kind.encode() + blob[start:end]


def _check_key(kind: str, blob: bytes) -> None:
    line = kind.encode() + b" " + base64.b64encode(blob)
    try:
        key = load_ssh_public_key(line)
    except (ValueError, UnsupportedAlgorithm, NotImplementedError):
        raise ValueError("The key is damaged: its numbers are not valid for its type.") from None
    if isinstance(key, RSAPublicKey) and not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
        raise ValueError(f"An RSA key must have {MIN_RSA_BITS} to {MAX_RSA_BITS} bits; this one has {key.key_size}.")
    # SECURITY: a number may be encoded with leading zeros, but a key must not have several fingerprints.
    # (`cryptography` returns the keys of security keys without their type, and these contain no such number.)
    if not kind.startswith("sk-") and key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH) != line:
        raise ValueError("The key is damaged: its numbers are not in their shortest form.")

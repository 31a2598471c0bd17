"""Encryption of the secrets that the service itself must read again, such as the secret of a second factor.

Everything else that is secret is stored as a hash. The keys are outside of the database: a dump of it has no usable
secret.
"""

from __future__ import annotations

import base64
import hmac
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

KEY_FILE: Final = "encryption.key"


class EncryptionError(Exception):
    """The keys cannot be used, or do not decrypt what is stored."""


class Encryption:
    """Encrypts with the first key, and decrypts with any of them (AES-128-CBC with HMAC-SHA256, the format Fernet).

    To rotate, put a new key before the others; `rotated` encrypts what is stored again. EncryptionError without a key,
    and for a key that is not 32 bytes in URL-safe base64.
    """

    def __init__(self, keys: str) -> None:
        """`keys` are separated by commas."""
        try:
            given = [key.strip() for key in keys.split(",") if key.strip()]
            fernets = [Fernet(key) for key in given]
        except ValueError:
            raise EncryptionError(
                "ROSTER_ENCRYPTION_KEYS: each key must be 32 random bytes in URL-safe base64, "
                "which `openssl rand -base64 32 | tr +/ -_` prints"
            ) from None
        if not fernets:
            raise EncryptionError("ROSTER_ENCRYPTION_KEYS has no key")
        self._fernet = MultiFernet(fernets)
        # A key of its own for each purpose, as NIST SP 800-108 derives it
        self._digest_keys = [hmac.digest(base64.urlsafe_b64decode(key), b"roster digest", "sha256") for key in given]

    def encrypt(self, content: bytes) -> bytes:
        """Return the content encrypted; it differs at every call."""
        return self._fernet.encrypt(content)

    def decrypt(self, content: bytes) -> bytes:
        """Return what was encrypted. EncryptionError if no key fits, or the content was changed."""
        try:
            return self._fernet.decrypt(content)
        except InvalidToken:
            raise EncryptionError("no encryption key fits: add the key that was used before") from None

    def digests(self, content: bytes) -> list[bytes]:
        """Return the HMAC-SHA256 of the content by each key, the newest first."""
        return [hmac.digest(key, content, "sha256") for key in self._digest_keys]

    def rotated(self, content: bytes) -> bytes:
        """Return what was encrypted, encrypted again by the first key. EncryptionError as for `decrypt`."""
        try:
            return self._fernet.rotate(content)
        except InvalidToken:
            raise EncryptionError("no encryption key fits: add the key that was used before") from None


def keys_of(folder: Path) -> str:
    """Return the keys in a file of the folder. A new key is created at the first call, readable by its owner only."""
    path = folder / KEY_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Created under another name: a second process must find all of it, or nothing
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):
                os.link(file.name, path)
    return ",".join(path.read_text("ascii").split())

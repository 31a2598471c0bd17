"""What does a token of this service look like, and what is kept of it?

A token is `<prefix>_<43 base62 characters of 256 random bits><6 base62 characters of CRC-32>`, the form that secret
scanners know from GitHub: the prefix names the kind, and the checksum over all that stands before it tells a real token
from a look-alike without a query. Base62 digits are `0-9A-Za-z`, the most significant first.
"""

from __future__ import annotations

import hashlib
import secrets
import string
from enum import Enum
from typing import Final
from zlib import crc32

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_BITS: Final = 256
RANDOM_LENGTH: Final = 43
CHECKSUM_LENGTH: Final = 6
VISIBLE_LENGTH: Final = 8

_DIGITS = frozenset(ALPHABET)


class TokenKind(Enum):
    """What a token opens; the value is its prefix, and no prefix begins with another."""

    API_KEY = "rst_"
    SESSION = "rsts_"


# The regular expression to publish for secret scanners; a match is a token when its checksum is right, too.
PATTERN: Final = (
    rf"\b(?:{'|'.join(kind.value for kind in TokenKind)})[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}\b"
)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    return _base62(crc32(text.encode("ascii")), CHECKSUM_LENGTH)


def new_token(kind: TokenKind) -> str:
    """A token that nobody has seen; it is given to its owner once, and only its digest is kept."""
    body = kind.value + _base62(secrets.randbits(RANDOM_BITS), RANDOM_LENGTH)
    return body + _checksum(body)


def kind_of(token: str) -> TokenKind | None:
    """The kind of a well-formed token, or None for any other text, however long or strange."""
    for kind in TokenKind:
        prefix = kind.value
        # The length comes first: whoever sends a megabyte is answered without reading it.
        if len(token) == len(prefix) + RANDOM_LENGTH + CHECKSUM_LENGTH and token.startswith(prefix):
            body, checksum = token[:-CHECKSUM_LENGTH], token[-CHECKSUM_LENGTH:]
            # SECURITY: a plain comparison will do, for the checksum is no secret: anybody can compute it. Whose token
            # it is, if anybody's, is found by its digest, and the time that takes says nothing of its characters.
            if _DIGITS.issuperset(token[len(prefix) :]) and _checksum(body) == checksum:
                return kind
    return None


def digest(token: str) -> bytes:
    """The 32 bytes that are kept of a token and looked up by."""
    # SECURITY: one fast hash is enough, for 256 random bits cannot be guessed: salt and slowness protect weak secrets.
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def visible_prefix(token: str) -> str:
    """What a list may show of a well-formed token, so that its owner recognises it: the prefix and 8 characters.

    209 of the 256 random bits stay unknown. Raises ValueError for any other text.
    """
    kind = kind_of(token)
    if kind is None:
        raise ValueError("not a token")
    return token[: len(kind.value) + VISIBLE_LENGTH]

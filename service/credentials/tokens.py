"""Tokens of sessions, API keys, and links: their format, and the digest that the database stores.

A token is `<prefix>_<43 base62 characters of 256 random bits><6 base62 characters of CRC-32>`, the format that secret
scanners know from GitHub. The prefix names the kind. The checksum covers everything before it, so that a text that only
looks like a token is recognized without a query. Base62 digits are `0-9A-Za-z`, the most significant first.
"""

from __future__ import annotations

import hashlib
import re
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


class TokenKind(Enum):
    """Kind of a token; the value is its prefix. No prefix is the start of another."""

    API_KEY = "rst_"
    ONE_TIME = "rsto_"
    SESSION = "rsts_"


# The regular expression for secret scanners; a match is a token if its checksum is correct
PATTERN: Final = (
    rf"\b(?:{'|'.join(kind.value for kind in TokenKind)})[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}\b"
)


# Two digits at once, for checksums
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_KINDS: Final = {kind.value: kind for kind in TokenKind}
_TOKEN: Final = re.compile(rf"({'|'.join(_KINDS)})[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def _checksum(text: str) -> str:
    rest, last = divmod(crc32(text.encode("ascii")), len(_PAIRS))
    first, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[first] + _PAIRS[middle] + _PAIRS[last]


def new_token(kind: TokenKind) -> str:
    """Return a new token. Its owner receives it once, and only its digest is stored."""
    body = kind.value + _base62(secrets.randbits(RANDOM_BITS), RANDOM_LENGTH)
    return body + _checksum(body)


def kind_of(token: str) -> TokenKind | None:
    """Return the kind of a well-formed token, or None for any other text."""
    found = _TOKEN.fullmatch(token)
    # SECURITY: a plain comparison is enough, because the checksum is public. The token itself is looked up by its
    # digest, and the time of that look-up says nothing about the token.
    if found is None or _checksum(token[:-CHECKSUM_LENGTH]) != token[-CHECKSUM_LENGTH:]:
        return None
    return _KINDS[found[1]]


def digest(token: str) -> bytes:
    """Return the 32 bytes that are stored of a token and used to look it up."""
    # SECURITY: a fast hash without salt is enough, because 256 random bits cannot be guessed
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def visible_prefix(token: str) -> str:
    """Return the start of a token that lists may show, so that its owner recognizes it: the prefix and 8 characters.

    209 of the 256 random bits stay secret. Raise ValueError for any other text.
    """
    kind = kind_of(token)
    if kind is None:
        raise ValueError("not a token")
    return token[: len(kind.value) + VISIBLE_LENGTH]

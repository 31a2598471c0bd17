"""Password hashes that other systems made: bcrypt, argon2, PBKDF2, and scrypt, in the forms of their libraries.

    $2a$ $2b$ $2y$                                    bcrypt
    $argon2id$ $argon2i$                              PHC string format
    $pbkdf2$ $pbkdf2-sha256$ $pbkdf2-sha512$          passlib (rounds), PHC string format (i=)
    pbkdf2_sha1$ pbkdf2_sha256$ pbkdf2_sha512$        Django
    pbkdf2:sha1: pbkdf2:sha256: pbkdf2:sha512:        werkzeug
    $scrypt$ln=,r=,p=                                 PHC string format, passlib
    scrypt:N:r:p                                      werkzeug

SECURITY: a hash whose verification costs more than the ceilings is not supported, because an import could otherwise
make each login take minutes. The ceilings are those of Ory Kratos.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

import argon2
import bcrypt
from argon2.exceptions import InvalidHashError, VerificationError

Verify: TypeAlias = Callable[[bytes], bool]

BCRYPT_LEAST_COST: Final = 4
BCRYPT_COST: Final = 15
BCRYPT_BYTES: Final = 72
ARGON2_MEMORY_KIB: Final = 1_048_576
ARGON2_TIME_COST: Final = 10
ARGON2_PARALLELISM: Final = 16
PBKDF2_ITERATIONS: Final = 10_000_000
SCRYPT_N: Final = 2**17
SCRYPT_R: Final = 8
SCRYPT_P: Final = 10
LONGEST: Final = 1_024  # characters of a stored hash
LEAST_BYTES: Final = 16  # of what is compared
MOST_BYTES: Final = 128

# Not $2x$, which says that the hash was made with an error that makes passwords equal
BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
ARGON2 = re.compile(r"\$argon2(?:id|i)\$(?:v=\d+\$)?m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+")
PBKDF2 = re.compile(
    r"\$pbkdf2(?:-(?P<name>sha1|sha256|sha512))?\$(?:i=)?(?P<rounds>\d{1,9})(?:,l=(?P<size>\d{1,3}))?"
    r"\$(?P<salt>[A-Za-z0-9+/.]*)\$(?P<hash>[A-Za-z0-9+/.]+)"
)
DJANGO_PBKDF2 = re.compile(
    r"pbkdf2_(?P<name>sha1|sha256|sha512)\$(?P<rounds>\d{1,9})\$(?P<salt>[^$]+)\$(?P<hash>[A-Za-z0-9+/]+=*)"
)
WERKZEUG_PBKDF2 = re.compile(
    r"pbkdf2:(?P<name>sha1|sha256|sha512):(?P<rounds>\d{1,9})\$(?P<salt>[^$]+)\$(?P<hash>[0-9a-f]+)"
)
SCRYPT = re.compile(
    r"\$scrypt\$ln=(?P<ln>\d{1,2}),r=(?P<r>\d{1,3}),p=(?P<p>\d{1,3})\$(?P<salt>[A-Za-z0-9+/]*)\$(?P<hash>[A-Za-z0-9+/]+)"
)
WERKZEUG_SCRYPT = re.compile(
    r"scrypt:(?P<n>\d{1,7}):(?P<r>\d{1,3}):(?P<p>\d{1,3})\$(?P<salt>[^$]+)\$(?P<hash>[0-9a-f]+)"
)


def is_supported(stored: str) -> bool:
    """Return whether a hash can be verified at an acceptable cost."""
    return parse(stored) is not None


def parse(stored: str) -> Verify | None:
    """Return the function that compares a password with a hash; None for a form or a cost that is not supported."""
    if len(stored) > LONGEST:
        return None
    for pattern, read in _FORMS:
        match = pattern.fullmatch(stored)
        if match is not None:
            try:
                return read(match)
            except (ValueError, binascii.Error):
                return None
    return None


def _bcrypt(match: re.Match[str]) -> Verify | None:
    if not BCRYPT_LEAST_COST <= int(match["cost"]) <= BCRYPT_COST:
        return None
    return partial(_matches_bcrypt, match[0].encode())


def _matches_bcrypt(stored: bytes, password: bytes) -> bool:
    # The other systems cut a longer password, and so it must be cut here. The new hash after the login counts each byte
    try:
        return bcrypt.checkpw(password[:BCRYPT_BYTES], stored)
    except ValueError:
        return False


def _argon2(match: re.Match[str]) -> Verify | None:
    found = argon2.extract_parameters(match[0])
    expensive = (
        found.memory_cost > ARGON2_MEMORY_KIB
        or found.time_cost > ARGON2_TIME_COST
        or found.parallelism > ARGON2_PARALLELISM
    )
    return None if expensive or found.hash_len < LEAST_BYTES else partial(_matches_argon2, match[0])


def _matches_argon2(stored: str, password: bytes) -> bool:
    try:
        return argon2.PasswordHasher().verify(stored, password)
    except (InvalidHashError, VerificationError):
        return False


def _pbkdf2(match: re.Match[str]) -> Verify | None:
    expected = _base64(match["hash"])
    if match["size"] is not None and int(match["size"]) != len(expected):
        return None
    return _pbkdf2_of(match["name"] or "sha1", int(match["rounds"]), _base64(match["salt"]), expected)


def _django_pbkdf2(match: re.Match[str]) -> Verify | None:
    expected = _base64(match["hash"].rstrip("="))
    return _pbkdf2_of(match["name"], int(match["rounds"]), match["salt"].encode(), expected)


def _werkzeug_pbkdf2(match: re.Match[str]) -> Verify | None:
    expected = bytes.fromhex(match["hash"])
    return _pbkdf2_of(match["name"], int(match["rounds"]), match["salt"].encode(), expected)


def _pbkdf2_of(name: str, rounds: int, salt: bytes, expected: bytes) -> Verify | None:
    blocks = -(-len(expected) // hashlib.new(name, usedforsecurity=False).digest_size)  # each takes all rounds
    if not 1 <= rounds * blocks <= PBKDF2_ITERATIONS or not LEAST_BYTES <= len(expected) <= MOST_BYTES:
        return None
    derive = partial(hashlib.pbkdf2_hmac, name, salt=salt, iterations=rounds, dklen=len(expected))
    return lambda password: hmac.compare_digest(derive(password), expected)


def _scrypt(match: re.Match[str]) -> Verify | None:
    return _scrypt_of(2 ** int(match["ln"]), match, _base64(match["salt"]), _base64(match["hash"]))


def _werkzeug_scrypt(match: re.Match[str]) -> Verify | None:
    return _scrypt_of(int(match["n"]), match, match["salt"].encode(), bytes.fromhex(match["hash"]))


def _scrypt_of(n: int, match: re.Match[str], salt: bytes, expected: bytes) -> Verify | None:
    r, p = int(match["r"]), int(match["p"])
    if not (1 < n <= SCRYPT_N and n & (n - 1) == 0 and 1 <= r <= SCRYPT_R and 1 <= p <= SCRYPT_P):
        return None
    if not LEAST_BYTES <= len(expected) <= MOST_BYTES:
        return None
    memory = 128 * r * (n + p + 2) + 1_048_576
    derive = partial(hashlib.scrypt, salt=salt, n=n, r=r, p=p, maxmem=memory, dklen=len(expected))
    return lambda password: hmac.compare_digest(derive(password), expected)


def _base64(text: str) -> bytes:
    """Return the bytes of base64 without padding; passlib writes a full stop in place of the plus sign."""
    return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4), validate=True)


_FORMS: Final[tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Verify | None]], ...]] = (
    (BCRYPT, _bcrypt),
    (ARGON2, _argon2),
    (PBKDF2, _pbkdf2),
    (DJANGO_PBKDF2, _django_pbkdf2),
    (WERKZEUG_PBKDF2, _werkzeug_pbkdf2),
    (SCRYPT, _scrypt),
    (WERKZEUG_SCRYPT, _werkzeug_scrypt),
)

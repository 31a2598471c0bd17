"""Codes of authenticator apps (TOTP, RFC 6238) and recovery codes.

An app shows six digits that change every 30 seconds. A recovery code replaces an app that was lost.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import Final

import pyotp
from pyotp.exceptions import OTPVerificationError

from service import limits

LONGEST_SECRET: Final = 256  # characters
WINDOW: Final = 1  # time steps before and after the present one, for clocks that differ
ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford's base32: no I, L, O, and U
GROUPS: Final = 4
GROUP_LENGTH: Final = 6
_DIGITS = re.compile("[0-9]{6}")
_SEPARATORS = re.compile(r"[\s-]+")
_LOOKALIKES = str.maketrans("OIL", "011")


class _Totp(pyotp.TOTP):
    """Codes of a secret that may come from another system.

    SECURITY: Pterodactyl makes secrets of 80 bits, and NIST SP 800-63B requires 112. A short one is accepted from an
    import, because without it the account would have no second factor at all. New secrets have 160 bits.
    """

    min_secret_length_bits = 80


def is_secret(text: str) -> bool:
    """Return whether a text is a secret in base32 that codes can be made of."""
    try:
        return len(text) <= LONGEST_SECRET and bool(_Totp(text).byte_secret())
    except ValueError:
        return False


def new_secret() -> str:
    """Return a new secret of 160 random bits in base32, the length that RFC 4226 recommends in section 4."""
    return pyotp.random_base32()


def otpauth_url(secret: str, account: str, issuer: str) -> str:
    """Return the URL that an authenticator app reads from a QR code."""
    return pyotp.TOTP(secret, name=account, issuer=issuer).provisioning_uri()


def without_separators(code: str) -> str:
    """Return a code without the spaces and dashes that people enter."""
    return _SEPARATORS.sub("", code)


def is_totp(code: str) -> bool:
    """Return whether a code without separators has the form of an authenticator app's."""
    return _DIGITS.fullmatch(code) is not None


def matching_step(secret: str, code: str, clock: float) -> int | None:
    """Return the time step that a code is valid for at a time, in seconds since 1970; None for a wrong code."""
    if not is_totp(code):
        return None
    try:
        return _Totp(secret).verify_and_get_timecode(code, for_time=clock, valid_window=WINDOW)
    except OTPVerificationError:
        return None


def new_recovery_codes() -> list[str]:
    """Return new recovery codes of 120 random bits each."""
    length = GROUPS * GROUP_LENGTH
    texts = ["".join(secrets.choice(ALPHABET) for _ in range(length)) for _ in range(limits.RECOVERY_CODES)]
    return ["-".join(text[start : start + GROUP_LENGTH] for start in range(0, length, GROUP_LENGTH)) for text in texts]


def recovery_digest(code: str) -> bytes:
    """Return the 32 bytes that are stored of a recovery code; what looks alike when written by hand counts as equal.

    SECURITY: a fast hash without salt is enough for 112 bits or more (ASVS 6.5.2).
    """
    text = without_separators(code).upper().translate(_LOOKALIKES)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

"""Access tokens: JSON Web Tokens (RFC 9068) of a session, which other services can verify by the public keys.

They are signed with EdDSA (Ed25519) by a key of `access.signing_keys`. SECURITY: this module knows no other algorithm,
so that a token cannot choose one (CVE-2017-11424, CVE-2022-29217; ASVS 5.0, 9.1.2).
"""

from __future__ import annotations

import math
import re
import time
import uuid
from base64 import urlsafe_b64decode
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final

import orjson
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import ClaimsOption, JWTClaimsRegistry

from service import limits

ALGORITHM: Final = "EdDSA"
TYPE: Final = "at+jwt"
CLOCK_SKEW: Final = 5  # seconds by which the clocks of workers may differ
KEPT_TOKENS: Final = 1024
LONGEST: Final = 2048  # characters of a token
# Header, claims, and the 64 bytes of a signature, in base64url without padding; a header begins with {"
_FORM: Final = re.compile(r"(eyJ[A-Za-z0-9_-]{8,400})\.(eyJ[A-Za-z0-9_-]{8,1400})\.[A-Za-z0-9_-]{86}")
_HEADER: Final = frozenset({"alg", "kid", "typ"})


class _EdDSA(type(JWSRegistry.algorithms[ALGORITHM])):  # type: ignore[misc]
    """The algorithm under the name that most libraries know; RFC 9864 gives it a second one."""

    security_warning = None


class _Registry(JWSRegistry):
    """The only algorithm there is."""

    algorithms = {ALGORITHM: _EdDSA()}  # noqa: RUF012


_REGISTRY: Final = _Registry(algorithms=[ALGORITHM])
_REQUIRED: Final = {name: ClaimsOption(essential=True) for name in ("exp", "iat", "jti", "sid", "sub")}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    user_id: str
    session_id: str


@dataclass(frozen=True, eq=False, slots=True)
class VerificationKey:
    """A public key, and the latest expiry of the tokens that it signed; None as long as it signs."""

    key: OKPKey
    until: float | None = None


def signed(key: OKPKey, key_id: str, claims: dict[str, Any]) -> str:
    """Return a token with these claims."""
    return jwt.encode({"alg": ALGORITHM, "kid": key_id, "typ": TYPE}, claims, key, registry=_REGISTRY)


def claims_of(issuer: str, user_id: str, session_id: str, *, audience: str, expires: int) -> dict[str, Any]:
    """Return the claims of a new token."""
    return {
        "iss": issuer,
        "sub": user_id,
        "aud": audience,
        "exp": expires,
        "iat": int(time.time()),
        "jti": uuid.uuid4().hex,
        "client_id": issuer,
        "sid": session_id,
    }


def is_of(token: str, issuer: str) -> bool:
    """Return whether a text has the form of a token and names this issuer, without verification.

    A token of another issuer is for a proxy or another system.
    """
    found = _FORM.fullmatch(token) if len(token) <= LONGEST else None
    return found is not None and _object(found[2]).get("iss") == issuer


def key_id_of(token: str) -> str | None:
    """Return the id of the key in a token's header. None for a header that this service does not write."""
    header = _object(token.partition(".")[0])
    # SECURITY: the type keeps other tokens of the same key apart (RFC 8725, section 3.11; ASVS 5.0, 9.2.2)
    if header.keys() != _HEADER or header["alg"] != ALGORITHM or header["typ"] != TYPE:
        return None
    return header["kid"] if isinstance(header["kid"], str) else None


def verified(token: str, key: VerificationKey, issuer: str) -> Claims | None:
    """Return the claims of a token for this service that is valid now, or None.

    SECURITY: the lifetime is limited here as well, and that of a retired key's tokens to the time of its retirement.
    """
    try:
        claims = _signed_claims(token, key)
        _claims_registry(issuer).validate(claims)
    except JoseError:
        return None
    latest = min(claims["iat"] + limits.ACCESS_TOKEN, math.inf if key.until is None else key.until)
    if claims["aud"] != issuer or claims["exp"] > latest:
        return None
    user_id, session_id = (_uuid(claims[name]) for name in ("sub", "sid"))
    return None if user_id is None or session_id is None else Claims(user_id, session_id)


def _uuid(value: Any) -> str | None:
    try:
        return str(uuid.UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


@lru_cache(KEPT_TOKENS)
def _signed_claims(token: str, key: VerificationKey) -> dict[str, Any]:
    """Return the claims of a token with the right signature. Those are kept, because Ed25519 takes 0.1 ms.

    SECURITY: a signature stays right for ever; whatever else makes a token valid is checked each time.
    """
    return jwt.decode(token, key.key, registry=_REGISTRY).claims


@cache
def _claims_registry(issuer: str) -> JWTClaimsRegistry:
    ours = ClaimsOption(essential=True, value=issuer)
    return JWTClaimsRegistry(lambda: int(time.time()), CLOCK_SKEW, iss=ours, aud=ours, **_REQUIRED)


def _object(segment: str) -> dict[str, Any]:
    """Return the JSON object in a part of a token; it is empty for anything else."""
    try:
        found = orjson.loads(urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}

"""Passkeys (WebAuthn Level 2): the options that a browser needs, and the verification of what it returns.

The challenge is a token that is valid once, as its characters: the caller has to consume it with the verification.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json_dict
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from service import limits

MILLISECONDS: Final = limits.PASSKEY_CEREMONY * 1_000
# SECURITY: an allow list; RS256 is what Windows Hello makes on older hardware
ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
# SECURITY: the device asks for a PIN, a fingerprint, or a face. So a passkey is two factors, what one has and what one
# knows or is, and signs in without a password.
VERIFIED: Final = UserVerificationRequirement.REQUIRED


class PasskeyError(Exception):
    """What an authenticator returned is not valid."""


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """The site that passkeys are made for: its host name, and its origin, such as https://example.com."""

    id: str
    origin: str

    @classmethod
    def of(cls, url: str) -> RelyingParty:
        """Return the site of an address."""
        parts = urlsplit(url)
        return cls(parts.hostname or "localhost", f"{parts.scheme}://{parts.netloc}")


@dataclass(frozen=True, slots=True)
class NewPasskey:
    """What is stored of a registered passkey; the private key never leaves the authenticator."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    transports: list[str]


def registration_options(
    relying_party: RelyingParty,
    challenge: str,
    user_id: str,
    names: tuple[str, str],
    known: Iterable[Mapping[str, Any]],
) -> dict[str, Any]:
    """Return the options of `navigator.credentials.create`.

    `names` are the name to sign in with and the one to show. `known` are credentials that the device must not replace.
    """
    options = webauthn.generate_registration_options(
        rp_id=relying_party.id,
        rp_name=relying_party.id,
        user_id=uuid.UUID(user_id).bytes,
        user_name=names[0],
        user_display_name=names[1],
        challenge=challenge.encode("ascii"),
        timeout=MILLISECONDS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=VERIFIED
        ),
        exclude_credentials=_descriptors(known),
        supported_pub_key_algs=ALGORITHMS,
    )
    return options_to_json_dict(options)


def login_options(relying_party: RelyingParty, challenge: str, known: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the options of `navigator.credentials.get`; without known credentials the device offers its own."""
    options = webauthn.generate_authentication_options(
        rp_id=relying_party.id,
        challenge=challenge.encode("ascii"),
        timeout=MILLISECONDS,
        allow_credentials=_descriptors(known),
        user_verification=VERIFIED,
    )
    return options_to_json_dict(options)


def challenge_of(credential: Any) -> str:
    """Return the challenge that an authenticator has signed, of either ceremony. PasskeyError if there is none."""
    if len(orjson.dumps(credential)) > limits.PASSKEY_CREDENTIAL:
        raise PasskeyError("the credential is too large")
    try:
        data = orjson.loads(base64url_to_bytes(credential["response"]["clientDataJSON"]))
        return base64url_to_bytes(data["challenge"]).decode("ascii")
    except Exception as error:  # the value may have any form
        raise PasskeyError("there is no challenge") from error


def credential_id_of(credential: Any) -> bytes:
    """Return the id of a credential. PasskeyError if there is none."""
    try:
        return base64url_to_bytes(credential["rawId"])
    except Exception as error:  # the value may have any form
        raise PasskeyError("there is no id") from error


def verified_registration(relying_party: RelyingParty, challenge: str, credential: Any) -> NewPasskey:
    """Return the passkey that an authenticator has made for the challenge. PasskeyError if it is not valid."""
    try:
        found = webauthn.verify_registration_response(
            credential=dict(credential),
            expected_challenge=challenge.encode("ascii"),
            expected_rp_id=relying_party.id,
            expected_origin=relying_party.origin,
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
        transports = credential["response"].get("transports") or []
        known = {transport.value for transport in AuthenticatorTransport}
        named = sorted(known.intersection(transports))
    except Exception as error:  # a malformed credential raises errors of many kinds, some not of the package
        raise PasskeyError("the registration is not valid") from error
    return NewPasskey(found.credential_id, found.credential_public_key, found.sign_count, named)


def verified_login(relying_party: RelyingParty, challenge: str, credential: Any, passkey: Any) -> int:
    """Return the authenticator's counter of uses after it has signed the challenge. PasskeyError if it is not valid.

    `passkey` is its row. SECURITY: a counter that does not grow shows a copy of the authenticator (WebAuthn, section
    6.1.1).
    """
    try:
        found = webauthn.verify_authentication_response(
            credential=dict(credential),
            expected_challenge=challenge.encode("ascii"),
            expected_rp_id=relying_party.id,
            expected_origin=relying_party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
        handle = credential["response"].get("userHandle")
        belongs = not handle or base64url_to_bytes(handle) == uuid.UUID(passkey.user_id).bytes
    except Exception as error:  # a malformed credential raises errors of many kinds, some not of the package
        raise PasskeyError("the login is not valid") from error
    if not belongs:
        raise PasskeyError("the passkey belongs to another user")
    return found.new_sign_count


def _descriptors(known: Iterable[Mapping[str, Any]]) -> list[PublicKeyCredentialDescriptor]:
    return [
        PublicKeyCredentialDescriptor(
            id=each["credential_id"], transports=[AuthenticatorTransport(name) for name in each["transports"]]
        )
        for each in known
    ]

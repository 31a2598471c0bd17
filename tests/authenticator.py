"""A software authenticator: it makes passkeys and signs challenges as a device does (WebAuthn Level 2)."""

from __future__ import annotations

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from webauthn.helpers import encode_cbor

ORIGIN = "http://localhost:8000"
USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def encoded(data: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """Return the bytes of base64url without padding."""
    return urlsafe_b64decode(f"{text}===")


def public_key(key: Any) -> dict[int, Any]:
    """Return the public part of a key as COSE writes it (RFC 9053, RFC 8230)."""
    match key:
        case Ed25519PrivateKey():
            return {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes_raw()}
        case rsa.RSAPrivateKey():
            of_rsa = key.public_key().public_numbers()
            return {1: 3, 3: -257, -1: of_rsa.n.to_bytes(key.key_size // 8), -2: of_rsa.e.to_bytes(3)}
        case _:
            numbers = key.public_key().public_numbers()
            algorithm, curve, size = {"secp256r1": (-7, 1, 32), "secp384r1": (-35, 2, 48)}[key.curve.name]
            return {1: 2, 3: algorithm, -1: curve, -2: numbers.x.to_bytes(size), -3: numbers.y.to_bytes(size)}


def signed_by(key: Any, data: bytes) -> bytes:
    """Return the signature of data by a key of any kind."""
    match key:
        case Ed25519PrivateKey():
            return key.sign(data)
        case rsa.RSAPrivateKey():
            return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        case _:
            signature: bytes = key.sign(data, ec.ECDSA(hashes.SHA256()))
            return signature


@dataclass
class Authenticator:
    """A device with one key. `counts` says whether it counts its uses; `verifies` whether it asks for a PIN."""

    origin: str = ORIGIN
    counts: bool = True
    verifies: bool = True
    uses: int = 0
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    user_handle: bytes = b""
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    def create(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what `navigator.credentials.create` returns for the options."""
        self.user_handle = decoded(options["user"]["id"])
        cose = public_key(self.key)
        attested = bytes(16) + len(self.id).to_bytes(2) + self.id + encode_cbor(cose)
        data = self._data(options["rp"]["id"], ATTESTED) + attested
        attestation = encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})
        client_data = self._client_data("webauthn.create", options)
        return self._credential({"clientDataJSON": client_data, "attestationObject": encoded(attestation)})

    def get(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return what `navigator.credentials.get` returns for the options."""
        data = self._data(options["rpId"])
        client_data = self._client_data("webauthn.get", options)
        signed = data + hashlib.sha256(decoded(client_data)).digest()
        signature = signed_by(self.key, signed)
        response = {"authenticatorData": encoded(data), "signature": encoded(signature), "clientDataJSON": client_data}
        return self._credential(response | {"userHandle": encoded(self.user_handle)})

    def _data(self, rp_id: str, flags: int = 0) -> bytes:
        self.uses += self.counts
        flags |= USER_PRESENT | (USER_VERIFIED if self.verifies else 0)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + self.uses.to_bytes(4)

    def _client_data(self, kind: str, options: dict[str, Any]) -> str:
        found = {"type": kind, "challenge": options["challenge"], "origin": self.origin, "crossOrigin": False}
        return encoded(json.dumps(found).encode())

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": encoded(self.id),
            "rawId": encoded(self.id),
            "type": "public-key",
            "clientExtensionResults": {},
            "response": response,
        }

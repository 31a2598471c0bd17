"""Parsing of SSH public keys: the accepted types, their fingerprints, and the messages for other texts."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from service.credentials.ssh_keys import SshPublicKey, normalized_fingerprint, parse_public_key

# Created by OpenSSH 9.2, with the fingerprints of `ssh-keygen -lf`
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQjRFl2ngA57m37nefhDN6jDP747P548c5zttHKM738"
ED25519_FINGERPRINT = "SHA256:+65aEks7vEho9AnnmbHnvkYyNw1F297tJWwmWSqmwh4"
ECDSA = (
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBOdfRjW/umtsiv3o+1Fe41dGxp507Q2UxAfCmVI6"
    "YkAbpb5wWsPrfhMeZzpTYrm/aGomsmh/SpneDp12lweuX5g="
)
ECDSA_FINGERPRINT = "SHA256:ucZJFkaC65SYkxzKeE2EqwLRRefeEzJPeoVK9M/rNjI"


def packed(*parts: bytes) -> bytes:
    """Return SSH strings, one after the other."""
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def line(kind: str, *parts: bytes) -> str:
    """Return a public key of this type that consists of the SSH strings."""
    return f"{kind} {base64.b64encode(packed(kind.encode(), *parts)).decode()}"


def blob(public_key: str) -> bytes:
    """Return the decoded part of a public key."""
    return base64.b64decode(public_key.split(" ")[1])


def fingerprint(encoded_key: bytes) -> str:
    """Return the fingerprint as OpenSSH prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(encoded_key).digest()).decode().rstrip("=")


def rsa_line(bits: int) -> str:
    """Return a new RSA public key."""
    key = rsa.generate_private_key(65537, bits).public_key()
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


POINT = bytes(range(32))
P256 = ec.derive_private_key(7, ec.SECP256R1()).public_key()
P256_POINT = P256.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
PLAIN = {
    "ssh-ed25519": ED25519,
    "ecdsa-sha2-nistp256": ECDSA,
    **{
        f"ecdsa-sha2-nistp{curve.key_size}": ec.derive_private_key(7, curve)
        .public_key()
        .public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
        .decode()
        for curve in (ec.SECP384R1(), ec.SECP521R1())
    },
    "ssh-rsa": rsa_line(2048),
    "sk-ssh-ed25519@openssh.com": line("sk-ssh-ed25519@openssh.com", POINT, b"ssh:"),
    "sk-ecdsa-sha2-nistp256@openssh.com": line(
        "sk-ecdsa-sha2-nistp256@openssh.com", b"nistp256", P256_POINT, b"ssh:work"
    ),
}


def certificate(key_type: str, signer: bytes = blob(ED25519), end: bytes = b"") -> str:
    """Return a user certificate of the key of this type, without a valid signature."""
    kind = key_type.removesuffix("@openssh.com") + "-cert-v01@openssh.com"
    plain = blob(PLAIN[key_type])
    key_fields = plain[4 + int.from_bytes(plain[:4]) :]
    limits = packed(b"id", packed(b"ada")) + (0).to_bytes(8) + (2**64 - 1).to_bytes(8) + packed(b"", b"", b"")
    serial_and_type = (1).to_bytes(8) + (1).to_bytes(4)
    body = packed(kind.encode(), b"nonce") + key_fields + serial_and_type + limits + packed(signer, b"signature") + end
    return f"{kind} {base64.b64encode(body).decode()}"


@pytest.mark.parametrize(
    ("text", "expected"), [(ED25519, ED25519_FINGERPRINT), (ECDSA, ECDSA_FINGERPRINT)], ids=["ed25519", "ecdsa"]
)
def test_the_fingerprint_is_that_of_openssh(text: str, expected: str) -> None:
    assert parse_public_key(text).fingerprint == expected


@pytest.mark.parametrize("kind", PLAIN)
def test_a_key_of_each_type_is_accepted(kind: str) -> None:
    assert parse_public_key(f"{PLAIN[kind]} ada@work") == SshPublicKey(
        type=kind,
        fingerprint=fingerprint(blob(PLAIN[kind])),
        public_key=f"{PLAIN[kind]} ada@work",
        comment="ada@work",
    )


@pytest.mark.parametrize("kind", PLAIN)
def test_a_certificate_of_each_type_has_the_fingerprint_of_its_key(kind: str) -> None:
    text = certificate(kind)
    assert parse_public_key(text) == SshPublicKey(
        type=text.split(" ")[0], fingerprint=fingerprint(blob(PLAIN[kind])), public_key=text, comment=""
    )


def test_a_certificate_may_be_signed_by_a_security_key() -> None:
    text = certificate("ssh-ed25519", signer=blob(PLAIN["sk-ssh-ed25519@openssh.com"]))
    assert parse_public_key(text).fingerprint == ED25519_FINGERPRINT


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        (f"  {ED25519}\r\n", ""),
        (f"\n\t{ED25519} \t\n\n", ""),
        (ED25519.replace(" ", " \t ") + "\tAda  Lovelace at home \n", "Ada  Lovelace at home"),
        (f"{ED25519} Ada\tLovelace\tat home\t", "Ada Lovelace at home"),
        (f"{ED25519} ssh-ed25519 key", "ssh-ed25519 key"),
    ],
)
def test_blanks_around_and_between_the_parts_are_normalized(text: str, comment: str) -> None:
    key = parse_public_key(text)
    assert key.public_key == f"{ED25519} {comment}".rstrip()
    assert key.comment == comment


@pytest.mark.parametrize(
    "comment",
    [
        "Zoë 🔑 日本",
        "Öğüş@Bürogerät",
        "Ирина на работе",
        "مفتاح علي",
        "מפתח של דנה",
        "हिन्दी क्\u200dष",  # with a joiner between letters
        "\u0645\u06cc\u200c\u062e\u0648",  # with a non-joiner between letters
        "👩\u200d💻 👨\u200d👩\u200d👧 ❤\ufe0f 🏳\ufe0f\u200d🌈",
        "e\u0301cole",
        "\u0645\u061c \u05de\u200f a\u200e",  # with direction marks, which change no other text
        "a\u00a0b\u202fc\u3000d",  # no-break and wide spaces
        "x" * 1000,
        "'\"`$(id);|&<>\\%s#",
    ],
)
def test_a_comment_may_have_characters_of_every_script(comment: str) -> None:
    assert parse_public_key(f"{ED25519} {comment}") == SshPublicKey(
        type="ssh-ed25519", fingerprint=ED25519_FINGERPRINT, public_key=f"{ED25519} {comment}", comment=comment
    )


# The C0 and C1 control characters without tab, line feed, and carriage return, which have tests of their own, then line
# and paragraph separator, and the characters that embed, override or isolate a direction
FORBIDDEN = (
    *(set(range(0x20)) - {0x09, 0x0A, 0x0D}),
    *range(0x7F, 0xA0),
    *(0x2028, 0x2029),
    *(*range(0x202A, 0x202F), *range(0x2066, 0x206A)),
    *(0xD800, 0xDFFF),
)


@pytest.mark.parametrize("character", FORBIDDEN, ids=lambda character: f"U+{character:04X}")
def test_a_comment_must_not_have_control_or_bidirectional_characters(character: int) -> None:
    with pytest.raises(ValueError, match=r"^The comment of the key must not contain control characters\.$"):
        parse_public_key(f"{ED25519} a{chr(character)}b")


PRIVATE = ed25519.Ed25519PrivateKey.from_private_bytes(POINT)
PEM = PRIVATE.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
DSA = line("ssh-dss", b"\x01", b"\x01", b"\x01", b"\x01")
UNKNOWN = (
    "Unknown type of key. Supported are ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, ecdsa-sha2-nistp521, "
    "sk-ecdsa-sha2-nistp256@openssh.com, sk-ssh-ed25519@openssh.com, ssh-ed25519, ssh-rsa, and their certificates."
)
WRONG_NUMBERS = "The key is damaged: its numbers are not valid for its type."


@pytest.mark.parametrize(
    "text",
    [
        PRIVATE.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
        for form in (PrivateFormat.OpenSSH, PrivateFormat.PKCS8)
    ]
    + ["PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n", "-----BEGIN RSA PRIVATE KEY-----"],
)
def test_a_private_key_is_rejected_with_the_advice_to_replace_it(text: str) -> None:
    message = "This is a private key, which must never be shared. Replace it, and send the public key (.pub)."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_public_key(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The public key is empty."),
        (" \n", "The public key is empty."),
        (f"{ED25519}\n{ECDSA}", "Send a single public key on one line, like the content of a .pub file."),
        (f"{ED25519}\rcomment", "Send a single public key on one line, like the content of a .pub file."),
        (PEM, "Send a single public key on one line, like the content of a .pub file."),
        (f'command="ls -l",no-pty {ED25519}', "Options before the type of the key are not supported."),
        (f"cert-authority {ED25519}", "Options before the type of the key are not supported."),
        (DSA, "DSA keys are too weak. Use an Ed25519 key."),
        (ED25519.replace("ssh-ed25519", "ssh-dss-cert-v01@openssh.com"), "DSA keys are too weak. Use an Ed25519 key."),
        (ED25519.replace("ssh-ed25519", "ssh-ed448"), UNKNOWN),
        (ED25519.replace("ssh-ed25519", "SSH-ED25519"), UNKNOWN),
        (ED25519.split(" ")[1], UNKNOWN),
        ("hunter2", UNKNOWN),
        (
            ED25519.replace("ssh-ed25519", "ssh-rsa"),
            "The key is damaged: its content has another type than its line says.",
        ),
        ("ssh-ed25519", "The key is damaged: it is incomplete."),
        ("ssh-ed25519 AAAA", "The key is damaged: it is incomplete."),
        ("ssh-ed25519 not*base64", "The key is not valid base64."),
        ("ssh-ed25519 AAAAC3Nza", "The key is not valid base64."),
        ("ssh-ed25519 schlüssel", "The key is not valid base64."),
        (line("ssh-ed25519", POINT[:31]), WRONG_NUMBERS),
        (line("ssh-ed25519", POINT, b"more"), WRONG_NUMBERS),
        (line("ecdsa-sha2-nistp256", b"nistp256", P256_POINT[:-1] + b"\0"), WRONG_NUMBERS),
        (line("ecdsa-sha2-nistp256", b"nistp256", b"\x02" + P256_POINT[1:33]), WRONG_NUMBERS),
        (line("ecdsa-sha2-nistp256", b"nistp384", P256_POINT), WRONG_NUMBERS),
        (rsa_line(1024), "An RSA key must have 2048 to 16384 bits; this one has 1024."),
        (
            line("ssh-rsa", b"\x01\x00\x01", b"\x01" * 2050),
            "An RSA key must have 2048 to 16384 bits; this one has 16393.",
        ),
        (
            line("ssh-rsa", b"\0\x01\x00\x01", b"\x01" * 257),
            "The key is damaged: its numbers are not in their shortest form.",
        ),
        (certificate("ssh-ed25519", end=b"more"), "The key is damaged: its certificate is followed by other data."),
        (certificate("ssh-ed25519")[:-8], "The key is damaged: it is incomplete."),
    ],
)
def test_any_other_text_is_rejected_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        parse_public_key(text)


def test_an_incomplete_certificate_is_rejected() -> None:
    kind, encoded = certificate("ecdsa-sha2-nistp256").split(" ")
    whole = base64.b64decode(encoded)
    for end in range(len(whole)):
        with pytest.raises(ValueError, match=r"^The key is damaged: it is incomplete\.$"):
            parse_public_key(f"{kind} {base64.b64encode(whole[:end]).decode()}")


@pytest.mark.parametrize(
    "text",
    [
        ED25519_FINGERPRINT,
        ED25519_FINGERPRINT + "=",
        ED25519_FINGERPRINT.removeprefix("SHA256:"),
        ED25519_FINGERPRINT.removeprefix("SHA256:") + "=",
    ],
)
def test_a_fingerprint_is_normalized_with_or_without_prefix_and_padding(text: str) -> None:
    assert normalized_fingerprint(text) == ED25519_FINGERPRINT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SHA256:",
        ED25519_FINGERPRINT[:-1],
        ED25519_FINGERPRINT + "A",
        ED25519_FINGERPRINT + "==",
        ED25519_FINGERPRINT + "\n",
        ED25519_FINGERPRINT[:-1] + "5",  # encodes the same bytes
        ED25519_FINGERPRINT.replace("SHA256:", "MD5:"),
        "MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48",
        ED25519_FINGERPRINT.replace("+", "-"),
    ],
)
def test_any_other_text_is_not_a_fingerprint(text: str) -> None:
    assert normalized_fingerprint(text) is None


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs OpenSSH")
@pytest.mark.parametrize("kind", PLAIN)
def test_openssh_prints_the_same_fingerprint_for_the_key_and_its_certificate(kind: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        return subprocess.run(
            ["ssh-keygen", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    (tmp_path / "key.pub").write_text(PLAIN[kind] + "\n")
    run("-q", "-t", "ed25519", "-N", "", "-f", "ca")
    run("-q", "-s", "ca", "-I", "id", "-n", "ada", "-O", "force-command=ls", "key.pub")
    for name in ("key.pub", "key-cert.pub"):
        key = parse_public_key((tmp_path / name).read_text())
        assert run("-l", "-f", name).split(" ")[1] == key.fingerprint

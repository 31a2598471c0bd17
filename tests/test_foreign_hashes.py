"""Imported password hashes: the forms of other systems, their ceilings, and what a login makes of them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable

import argon2
import bcrypt
import pytest

from service.credentials.foreign_hashes import BCRYPT_BYTES, is_supported, parse
from service.credentials.passwords import OWN_PREFIX, PasswordHasher
from tests.conftest import Client, Person

WORD = "correct-horse-battery-42"
SECRET = WORD.encode()
SALT = b"sixteen bytes of"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def bcrypt_hash(prefix: bytes, password: bytes = SECRET) -> str:
    made = bcrypt.hashpw(password, bcrypt.gensalt(4))
    return (prefix + made[len(prefix) :]).decode()


def passlib(name: str, rounds: int = 1_000) -> str:
    adapted = [b64(item).replace("+", ".") for item in (SALT, hashlib.pbkdf2_hmac(name, SECRET, SALT, rounds))]
    return "$".join(["", "pbkdf2" if name == "sha1" else f"pbkdf2-{name}", str(rounds), *adapted])


def phc_pbkdf2(name: str, rounds: int = 1_000) -> str:
    made = hashlib.pbkdf2_hmac(name, SECRET, SALT, rounds)
    return f"$pbkdf2-{name}$i={rounds},l={len(made)}${b64(SALT)}${b64(made)}"


def django(name: str, rounds: int = 1_000) -> str:
    made = base64.b64encode(hashlib.pbkdf2_hmac(name, SECRET, b"salt", rounds)).decode()
    return f"pbkdf2_{name}${rounds}$salt${made}"


def werkzeug_pbkdf2(name: str, rounds: int = 1_000) -> str:
    return f"pbkdf2:{name}:{rounds}$salt${hashlib.pbkdf2_hmac(name, SECRET, b'salt', rounds).hex()}"


def werkzeug_scrypt(n: int = 2**10, r: int = 8, p: int = 1) -> str:
    made = hashlib.scrypt(SECRET, salt=b"salt", n=n, r=r, p=p, maxmem=2**28)
    return f"scrypt:{n}:{r}:{p}$salt${made.hex()}"


def phc_scrypt() -> str:
    made = hashlib.scrypt(SECRET, salt=SALT, n=2**10, r=8, p=1, dklen=32)
    return f"$scrypt$ln=10,r=8,p=1${b64(SALT)}${b64(made)}"


HASHES: dict[str, Callable[[], str]] = {
    "bcrypt 2a": lambda: bcrypt_hash(b"$2a$"),
    "bcrypt 2b": lambda: bcrypt_hash(b"$2b$"),
    "bcrypt 2y": lambda: bcrypt_hash(b"$2y$"),
    "argon2id": lambda: argon2.PasswordHasher(1, 1_024, 2).hash(SECRET),
    "argon2i": lambda: argon2.PasswordHasher(3, 512, 1, 24, 12, type=argon2.Type.I).hash(SECRET),
    "passlib sha1": lambda: passlib("sha1"),
    "passlib sha256": lambda: passlib("sha256"),
    "passlib sha512": lambda: passlib("sha512"),
    "PHC sha256": lambda: phc_pbkdf2("sha256"),
    "PHC sha512": lambda: phc_pbkdf2("sha512"),
    "Django sha1": lambda: django("sha1"),
    "Django sha256": lambda: django("sha256"),
    "werkzeug sha1": lambda: werkzeug_pbkdf2("sha1"),
    "werkzeug sha256": lambda: werkzeug_pbkdf2("sha256"),
    "werkzeug sha512": lambda: werkzeug_pbkdf2("sha512"),
    "werkzeug scrypt": werkzeug_scrypt,
    "PHC scrypt": phc_scrypt,
}


def matches(stored: str, password: bytes) -> bool:
    verify = parse(stored)
    assert verify is not None
    return verify(password)


@pytest.mark.parametrize("form", HASHES)
def test_exactly_the_right_password_matches(form: str) -> None:
    stored = HASHES[form]()
    assert is_supported(stored)
    for wrong in (SECRET[:-1], SECRET + b" ", SECRET.upper(), b"", SECRET + b"\0x"):
        assert not matches(stored, wrong)
    assert matches(stored, SECRET)


@pytest.mark.parametrize(
    ("stored", "password"),
    [
        # RFC 6070: PBKDF2 with SHA-1, 4096 iterations
        ("pbkdf2:sha1:4096$salt$4b007901b765489abead49d926f721d065a429c1", b"password"),
        # RFC 7914, section 11: PBKDF2 with SHA-256
        (
            "pbkdf2:sha256:1$salt$55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
            "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783",
            b"passwd",
        ),
        # RFC 7914, section 12
        (
            "scrypt:1024:8:16$NaCl$fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
            "2eaf30d92e22a3886ff109279d9830dac727afb94a83ee6d8360cbdfa2cc0640",
            b"password",
        ),
        (
            "scrypt:16384:8:1$SodiumChloride$7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2"
            "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887",
            b"pleaseletmein",
        ),
        # crypt_blowfish of Openwall
        ("$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", b"U*U"),
        ("$2b$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", b"U*U*"),
        ("$2y$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", b""),
        # phc-winner-argon2
        (
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            b"password",
        ),
        ("$argon2i$m=65536,t=2,p=1$c29tZXNhbHQ$9sTbSlTio3Biev89thdrlKKiCaYsjjYVJxGAL3swxpQ", b"password"),
    ],
)
def test_published_vectors_match(stored: str, password: bytes) -> None:
    if stored.startswith("scrypt:1024:8:16"):  # beyond the ceiling of p
        assert not is_supported(stored)
        return
    assert matches(stored, password)
    assert not matches(stored, password + b"x")


@pytest.mark.parametrize(
    "stored",
    [
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$16$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "$argon2id$v=19$m=1048577,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=11,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2id$v=19$m=65536,t=2,p=17$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        "$argon2d$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        passlib("sha256").replace("$1000$", "$10000001$"),
        passlib("sha256").replace("$1000$", "$0$"),
        phc_pbkdf2("sha256").replace("l=32", "l=33"),
        f"pbkdf2:sha1:5000001$salt${'ab' * 40}",  # two blocks
        f"pbkdf2:sha256:1000$salt${'ab' * 8}",  # eight bytes are too few to compare
        f"pbkdf2:sha256:1000$salt${'ab' * 129}",
        f"pbkdf2:md5:1000$salt${'ab' * 16}",
        f"scrypt:{2**18}:8:1$salt${'ab' * 64}",
        f"scrypt:32768:9:1$salt${'ab' * 64}",
        f"scrypt:32768:8:11$salt${'ab' * 64}",
        f"scrypt:32767:8:1$salt${'ab' * 64}",
        f"scrypt:1:8:1$salt${'ab' * 64}",
        "$scrypt$ln=18,r=8,p=1$c2FsdA$" + b64(b"x" * 32),
        f"scrypt:32768:8:1$salt${'ab' * 31}a",
        "$1$salt$MD5CRYPT",
        "{SSHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "plain text",
        "",
        "pbkdf2:sha256:1000$salt$" + "ab" * 1_000,
        HASHES["bcrypt 2b"]() + "\n",
    ],
)
async def test_other_forms_and_costs_beyond_the_ceilings_match_no_password(stored: str) -> None:
    assert not is_supported(stored)
    hasher = PasswordHasher(1, 4)
    assert not await hasher.verify(stored, WORD)
    hasher.close()


def test_an_imported_bcrypt_hash_reads_72_bytes_as_its_system_did() -> None:
    long = b"a" * BCRYPT_BYTES
    stored = bcrypt_hash(b"$2y$", long)
    assert matches(stored, long + b"tail")
    assert not matches(stored, long[:-1] + b"b")


async def log_in(client: Client, password: str) -> list[str]:
    payload = await client.mutate("login", {"login": "alice", "password": password}, "token")
    return [error["code"] for error in payload["errors"]]


@pytest.mark.parametrize("form", HASHES)
async def test_a_login_replaces_an_imported_hash_by_argon2id(client: Client, alice: Person, form: str) -> None:
    await client.rows("UPDATE credentials SET password_hash = $2 WHERE user_id = $1", alice.id, HASHES[form]())
    assert await log_in(client, WORD.upper()) == ["WRONG_CREDENTIALS"]
    assert await log_in(client, WORD) == []
    [row] = await client.rows("SELECT password_hash FROM credentials WHERE user_id = $1", alice.id)
    assert row["password_hash"].startswith(OWN_PREFIX)
    assert (await log_in(client, WORD), await log_in(client, WORD + " ")) == ([], ["WRONG_CREDENTIALS"])


async def test_after_the_first_login_every_byte_of_a_long_password_counts(client: Client, alice: Person) -> None:
    # Trap: bcrypt reads 72 bytes, so a password of 100 bytes could be entered with another tail
    password = ("walrus-and-carpenter-" * 5)[:100]
    stored = bcrypt_hash(b"$2y$", password.encode()[:72])
    await client.rows("UPDATE credentials SET password_hash = $2 WHERE user_id = $1", alice.id, stored)
    assert await log_in(client, password) == []
    assert await log_in(client, password[:72]) == ["WRONG_CREDENTIALS"]
    assert await log_in(client, password[:72] + "another tail of it") == ["WRONG_CREDENTIALS"]
    assert await log_in(client, password) == []


async def test_a_wrong_password_of_a_cheap_imported_hash_takes_as_long_as_argon2id() -> None:
    hasher = PasswordHasher(1, 4)
    calls: list[str] = []
    verify = hasher._argon2.verify  # noqa: SLF001

    class Counted:
        def verify(self, stored: str, password: bytes) -> bool:
            calls.append(stored)
            return verify(stored, password)

    hasher._argon2 = Counted()  # type: ignore[assignment]  # noqa: SLF001
    assert not await hasher.verify(werkzeug_pbkdf2("sha256", 1), "wrong")
    assert not await hasher.verify("unsupported", "wrong")
    assert not await hasher.verify(None, "wrong")
    hasher.close()
    assert len(calls) == 3
    assert all(stored.startswith(OWN_PREFIX) for stored in calls)

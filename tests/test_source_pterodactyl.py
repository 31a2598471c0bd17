"""Pterodactyl: its tables, exported by the commands of docs/moving.md from MariaDB with Pterodactyl's schema."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.credentials.ssh_keys import parse_public_key
from service.moving.records import ServerRecord, SshKeyRecord, SubuserRecord, UserRecord
from service.moving.sources.ssh_keys import line_of_text
from tests.source_tables import exported, of, run

TABLES = exported("pterodactyl")
NO_FACTOR = "Until a new second factor is set up, the password alone is enough."


def time(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def test_users_keep_their_uuids_external_ids_and_hashes() -> None:
    records, _reports = run("pterodactyl", TABLES)
    hashes = [row["password"] for row in TABLES["users"]]
    assert of(records, UserRecord) == [
        UserRecord(
            key="1",
            id="0b8f1c52-6a3e-4c0d-9a51-1f2d3c4b5a61",
            username="admin",
            email="admin@panel.example",
            first_name="Ada",
            last_name="Lovelace",
            role="ADMIN",
            created_at=time("2021-03-04 05:06:07"),
            password_hash=hashes[0],
        ),
        UserRecord(
            key="2",
            id="1c9f2d63-7b4f-4d1e-8b62-2a3e4d5c6b72",
            username="grace.hopper",
            email="grace@panel.example",
            first_name="Grace",
            last_name="Hopper",
            language="pt-BR",
            external_id="1001",
            created_at=time("2022-01-02 03:04:05"),
            password_hash=hashes[1],
        ),
        UserRecord(
            key="3",
            id="2da03e74-8c50-4e2f-9c73-3b4f5e6d7c83",
            username="zo-ë",
            email="zoe@panel.example",
            first_name="Zoë 🦊",
            last_name='O\'Neil "Z"',
            language="de",
            external_id="2",
            password_hash=hashes[2],
        ),
        UserRecord(key="4", username="bad", email="not an address"),
    ]


def test_a_number_of_a_user_is_not_an_external_id() -> None:
    """A billing system may have given the number to another customer, as here the 2."""
    records, _reports = run("pterodactyl", TABLES)
    assert [(user.key, user.external_id) for user in of(records, UserRecord)] == [
        *(("1", None), ("2", "1001"), ("3", "2"), ("4", None)),
    ]


def test_what_is_not_taken_is_reported() -> None:
    _records, reports = run("pterodactyl", TABLES)
    assert reports == [
        ("users", "1", f"use_totp: The secret is encrypted with the key of the panel. {NO_FACTOR}", True),
        ("users", "4", "uuid: The value is not a UUID.", True),
        ("users", "4", "password: The form of the hash is not supported. The user must reset the password.", True),
        ("user_ssh_keys", "2", "name: The name is taken or too long, so it was changed.", True),
        ("user_ssh_keys", "3", "name: The name is taken or too long, so it was changed.", True),
        ("user_ssh_keys", "4", "deleted_at: The user deleted this key.", False),
        ("user_ssh_keys", "5", "public_key: The key is damaged, or of a type that is not supported.", False),
        ("user_ssh_keys", "6", "public_key: The key is damaged, or of a type that is not supported.", False),
        *(
            (
                "api_keys",
                key,
                f"An API key of Pterodactyl has another form, and cannot be used here. It belongs to the user {user}.",
                False,
            )
            for key, user in (("1", "2"), ("2", "1"))
        ),
        ("servers", "1", "status: A server cannot be suspended here.", True),
        ("subusers", "1", "permissions: These permissions have no counterpart: file.write.", True),
        ("subusers", "2", "permissions: These permissions have no counterpart: file.write.", True),
        ("subusers", "2", "permissions: The subuser has no permission that exists here.", False),
        ("subusers", "3", "permissions: The subuser has no permission that exists here.", False),
    ]


def test_ssh_keys_become_lines_with_unique_names() -> None:
    records, _reports = run("pterodactyl", TABLES)
    found = of(records, SshKeyRecord)
    assert [(key.key, key.user, key.name) for key in found] == [
        ("1", "2", "laptop"),
        ("2", "2", "Laptop 2"),
        ("3", "2", "the key of the machine in the o"),
    ]
    assert [parse_public_key(key.public_key).type for key in found] == ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-nistp256"]
    assert found[0].created_at == time("2022-02-02 02:02:02")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate().public_key(),
        rsa.generate_private_key(65537, 2048).public_key(),
        ec.generate_private_key(ec.SECP521R1()).public_key(),
    ],
    ids=["ed25519", "rsa", "ecdsa"],
)
def test_a_pem_becomes_the_line_of_the_same_key(key: PublicKeyTypes, newline: str) -> None:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode().replace("\n", newline)
    line = line_of_text(pem)
    assert line == key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    assert line_of_text(line) == line
    assert parse_public_key(line).public_key == line


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP256K1()).public_key(), ed448.Ed448PrivateKey.generate().public_key()],
    ids=["secp256k1", "ed448"],
)
def test_a_type_that_ssh_does_not_have_is_rejected(key: PublicKeyTypes) -> None:
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    with pytest.raises(ValueError, match=r"of a type"):
        line_of_text(pem)


@pytest.mark.parametrize("value", [None, "", 7, "-----BEGIN PUBLIC KEY-----", "x" * 20_000])
def test_what_is_not_a_key_is_rejected(value: Any) -> None:
    with pytest.raises(ValueError, match="key"):
        line_of_text(value)


def test_servers_and_subusers() -> None:
    records, _reports = run("pterodactyl", TABLES)
    assert of(records, ServerRecord) == [
        ServerRecord(
            "1", "2", "Lobby", "3eb14f85-9d61-4f30-8d84-4c506f7e8d94", "order-77", time("2022-05-06 07:08:09")
        ),
        ServerRecord("2", "1", "Überserver", "4fc25096-ae72-4041-9e95-5d61708f9ea5", None, time("2022-05-06 07:08:10")),
    ]
    assert of(records, SubuserRecord) == [
        SubuserRecord(
            "1", "1", "3", ("control.console", "file.read", "websocket.connect"), time("2022-06-07 08:09:10")
        ),
        SubuserRecord("4", "2", "4", ("database.view_password", "user.read")),
    ]


def test_mysql_and_older_mariadb_write_other_forms() -> None:
    """MySQL writes microseconds. MariaDB before 10.5 writes JSON columns as texts."""
    rows = [dict(TABLES["subusers"][0], permissions='["file.read"]', created_at="2022-06-07 08:09:10.000000")]
    records, reports = run("pterodactyl", {"subusers": rows})
    assert (records, reports) == ([SubuserRecord("1", "1", "3", ("file.read",), time("2022-06-07 08:09:10"))], [])

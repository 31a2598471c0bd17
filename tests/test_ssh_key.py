"""SSH keys: what is taken, whom a key finds, and who may take it away."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.conftest import Door, Person

KEY = "id name type fingerprint publicKey createdAt lastUsedAt user { id }"
LISTED = f"{{ me {{ sshKeys {{ totalCount nodes {{ {KEY} }} }} }} }}"
PRIVATE = (
    Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
    Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
)


def public_line(private: Any = None) -> str:
    """`type base64` of a key, a new Ed25519 one by default."""
    key = private or Ed25519PrivateKey.generate()
    line: bytes = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return line.decode()


def fingerprint_of(line: str) -> str:
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def line_whose_fingerprint_holds(*characters: str) -> str:
    """A key whose fingerprint holds what needs escaping in a URL."""
    while True:
        line = public_line()
        if all(character in fingerprint_of(line) for character in characters):
            return line


async def added(door: Door, by: Person | str, line: str, name: str = "laptop") -> str:
    made = await door.change("addSshKey", {"name": name, "publicKey": line}, "sshKey { id }", by=by)
    assert made["errors"] == []
    return str(made["sshKey"]["id"])


def codes(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_key_is_added_listed_renamed_and_deleted(door: Door, alice: Person) -> None:
    line = public_line()
    value = {"name": "laptop", "publicKey": f"  {line} alice@laptop\r\n"}
    made = await door.change("addSshKey", value, f"sshKey {{ {KEY} }}", by=alice)
    key = made["sshKey"]
    assert made == {
        "sshKey": {
            "id": key["id"],
            "name": "laptop",
            "type": "ssh-ed25519",
            "fingerprint": fingerprint_of(line),
            "publicKey": f"{line} alice@laptop",
            "createdAt": key["createdAt"],
            "lastUsedAt": None,
            "user": {"id": alice.id},
        },
        "errors": [],
    }
    assert len(key["fingerprint"]) == 50
    assert await door.data(LISTED, by=alice) == {"me": {"sshKeys": {"totalCount": 1, "nodes": [key]}}}
    renamed = await door.change("renameSshKey", {"id": key["id"], "name": "desktop"}, f"sshKey {{ {KEY} }}", by=alice)
    assert renamed == {"sshKey": key | {"name": "desktop"}, "errors": []}
    same = await door.change("renameSshKey", {"id": key["id"], "name": "desktop"}, f"sshKey {{ {KEY} }}", by=alice)
    assert same == renamed
    deleted = await door.change("deleteSshKey", {"id": key["id"]}, "deletedId", by=alice)
    assert deleted == {"deletedId": key["id"], "errors": []}
    assert await door.data(LISTED, by=alice) == {"me": {"sshKeys": {"totalCount": 0, "nodes": []}}}
    again = await door.change("deleteSshKey", {"id": key["id"]}, "deletedId", by=alice)
    assert codes(again) == [("NOT_FOUND", ["id"])]
    events = await door.rows("SELECT event FROM audit_events WHERE event LIKE 'ssh-key.%' ORDER BY id")
    assert [row["event"] for row in events] == ["ssh-key.create", "ssh-key.rename", "ssh-key.delete"]


@pytest.mark.parametrize(
    ("private", "kind"),
    [
        (rsa.generate_private_key(65537, 2048), "ssh-rsa"),
        (ec.generate_private_key(ec.SECP256R1()), "ecdsa-sha2-nistp256"),
        (ec.generate_private_key(ec.SECP384R1()), "ecdsa-sha2-nistp384"),
        (ec.generate_private_key(ec.SECP521R1()), "ecdsa-sha2-nistp521"),
        (Ed25519PrivateKey.generate(), "ssh-ed25519"),
    ],
)
async def test_every_common_type_is_taken(door: Door, alice: Person, private: Any, kind: str) -> None:
    line = public_line(private)
    value = {"name": "laptop", "publicKey": line}
    made = await door.change("addSshKey", value, "sshKey { type fingerprint publicKey }", by=alice)
    assert made == {"sshKey": {"type": kind, "fingerprint": fingerprint_of(line), "publicKey": line}, "errors": []}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (PRIVATE[0], "INVALID"),
        (PRIVATE[1], "INVALID"),
        ("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none", "INVALID"),
        (f'command="/bin/sh",no-pty {public_line()}', "INVALID"),
        (f"{public_line()}\n{public_line()}", "INVALID"),
        (public_line(rsa.generate_private_key(65537, 1024)), "INVALID"),  # noqa: S505
        ("ssh-dss AAAAB3NzaC1kc3MAAACBAP", "INVALID"),
        ("ssh-ed25519 not/base64!", "INVALID"),
        ("ssh-ed25519 " + public_line().split()[1][:-8], "INVALID"),
        (public_line().replace("ssh-ed25519", "ssh-rsa"), "INVALID"),
        ("ssh-ed25519", "INVALID"),
        ("hello", "INVALID"),
        ("🦔", "INVALID"),
        ("", "REQUIRED"),
        (" \n ", "REQUIRED"),
        ("ssh-ed25519 \x00", "INVALID"),
        ("A" * 16_385, "TOO_LONG"),
    ],
)
async def test_what_is_no_safe_public_key_is_refused(door: Door, alice: Person, text: str, code: str) -> None:
    value = {"name": "laptop", "publicKey": text}
    refused = await door.change("addSshKey", value, "sshKey { id }", by=alice)
    assert (refused["sshKey"], codes(refused)) == (None, [(code, ["publicKey"])])
    assert text not in refused["errors"][0]["message"] or not text
    assert await door.rows("SELECT 1 FROM ssh_keys") == []


async def test_a_private_key_is_said_to_be_burnt_and_is_kept_nowhere(door: Door, alice: Person) -> None:
    refused = await door.change("addSshKey", {"name": "oops", "publicKey": PRIVATE[0]}, "sshKey { id }", by=alice)
    assert "private key" in refused["errors"][0]["message"]
    assert await door.rows("SELECT 1 FROM audit_events WHERE event LIKE 'ssh-key.%'") == []


async def test_a_key_belongs_to_one_person_whatever_its_comment(door: Door, alice: Person, bob: Person) -> None:
    line = public_line()
    await added(door, alice, line)
    for by, name in ((alice, "twice"), (bob, "laptop")):
        taken = await door.change("addSshKey", {"name": name, "publicKey": f"{line} other"}, "sshKey { id }", by=by)
        assert taken == {
            "sshKey": None,
            "errors": [{"code": "TAKEN", "message": "This SSH key is taken", "field": ["publicKey"]}],
        }


async def test_a_name_is_unique_among_ones_own_keys(door: Door, alice: Person, bob: Person) -> None:
    await added(door, alice, public_line())
    other = await added(door, alice, public_line(), "desktop")
    again = await door.change("addSshKey", {"name": "LAPTOP", "publicKey": public_line()}, "", by=alice)
    renamed = await door.change("renameSshKey", {"id": other, "name": "Laptop"}, "", by=alice)
    assert codes(again) == codes(renamed) == [("TAKEN", ["name"])]
    await added(door, bob, public_line())


@pytest.mark.parametrize(
    ("name", "code"), [("", "REQUIRED"), ("  ", "REQUIRED"), ("x" * 32, "TOO_LONG"), ("a\nb", "INVALID")]
)
async def test_a_name_has_its_bounds(door: Door, alice: Person, name: str, code: str) -> None:
    key_id = await added(door, alice, public_line())
    made = await door.change("addSshKey", {"name": name, "publicKey": public_line()}, "", by=alice)
    renamed = await door.change("renameSshKey", {"id": key_id, "name": name}, "", by=alice)
    assert codes(made) == codes(renamed) == [(code, ["name"])]


async def test_foreign_keys_are_not_found(door: Door, admin: Person, alice: Person, bob: Person) -> None:
    key_id = await added(door, bob, public_line())
    renames = [await door.change("renameSshKey", {"id": key_id, "name": "mine"}, "", by=by) for by in (alice, admin)]
    deleted = await door.change("deleteSshKey", {"id": key_id}, "", by=alice)
    assert [codes(payload) for payload in (*renames, deleted)] == [[("NOT_FOUND", ["id"])]] * 3
    document = "query ($id: ID!) { node(id: $id) { id } }"
    assert await door.data(document, {"id": key_id}, by=alice) == {"node": None}
    assert await door.data(document, {"id": key_id}, by=admin) == {"node": {"id": key_id}}


async def test_an_administrator_deletes_keys_of_others_but_not_of_those_above(
    door: Door, root: Person, admin: Person, alice: Person
) -> None:
    key_id = await added(door, alice, public_line())
    deleted = await door.change("deleteSshKey", {"id": key_id}, "deletedId", by=admin)
    assert deleted == {"deletedId": key_id, "errors": []}
    above = await added(door, root, public_line())
    refused = await door.change("deleteSshKey", {"id": above}, "deletedId", by=admin)
    assert (refused["deletedId"], codes(refused)) == (None, [("NOT_ALLOWED", ["id"])])


async def test_a_fingerprint_finds_its_owner_with_and_without_its_mark(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    line = line_whose_fingerprint_holds("/", "+")
    fingerprint = fingerprint_of(line)
    document = "query ($key: String!) { user(by: {sshFingerprint: $key}) { id } }"
    assert await door.data(document, {"key": fingerprint}, by=admin) == {"user": None}
    await added(door, alice, line)
    for spelling in (fingerprint, fingerprint.removeprefix("SHA256:"), f"{fingerprint}="):
        assert await door.data(document, {"key": spelling}, by=admin) == {"user": {"id": alice.id}}
        assert await door.data(document, {"key": spelling}, by=alice) == {"user": {"id": alice.id}}
        assert await door.data(document, {"key": spelling}, by=bob) == {"user": None}
    for other in (fingerprint.lower(), fingerprint[:-1], fingerprint[10:], "SHA256:", "%", "MD5:" + "00:" * 15 + "00"):
        assert await door.data(document, {"key": other}, by=admin) == {"user": None}


async def test_the_fingerprint_of_a_suspended_user_is_still_told_to_be_suspended(
    door: Door, admin: Person, alice: Person
) -> None:
    line = public_line()
    await added(door, alice, line)
    await door.change("suspendUser", {"id": alice.id}, "", by=admin)
    document = "query ($key: String!) { user(by: {sshFingerprint: $key}) { id suspended } }"
    found = await door.data(document, {"key": fingerprint_of(line)}, by=admin)
    assert found == {"user": {"id": alice.id, "suspended": True}}

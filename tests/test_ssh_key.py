"""SSH keys of users: adding, renaming, deleting, and finding a user by a key."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from tests.conftest import Client, Person

KEY = "id name type fingerprint publicKey createdAt lastUsedAt user { id }"
LIST = f"{{ me {{ sshKeys {{ totalCount nodes {{ {KEY} }} }} }} }}"
PRIVATE = (
    Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
    Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
)


def public_line(private: Any = None) -> str:
    """Return the type and the base64 text of a key, by default of a new Ed25519 key."""
    key = private or Ed25519PrivateKey.generate()
    line: bytes = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return line.decode()


def fingerprint_of(line: str) -> str:
    """Return the fingerprint of a public key as OpenSSH prints it."""
    digest = hashlib.sha256(base64.b64decode(line.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def line_with_fingerprint_of(*characters: str) -> str:
    """Return a key with a fingerprint that contains the characters."""
    while True:
        line = public_line()
        if all(character in fingerprint_of(line) for character in characters):
            return line


async def add_key(client: Client, by: Person | str, line: str, name: str = "laptop") -> str:
    """Add a key to a user; return its id."""
    added = await client.mutate("addSshKey", {"name": name, "publicKey": line}, "sshKey { id }", by=by)
    assert added["errors"] == []
    return str(added["sshKey"]["id"])


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_key_is_added_listed_renamed_and_deleted(client: Client, alice: Person) -> None:
    line = public_line()
    value = {"name": "laptop", "publicKey": f"  {line} alice@laptop\r\n"}
    added = await client.mutate("addSshKey", value, f"sshKey {{ {KEY} }}", by=alice)
    key = added["sshKey"]
    assert added == {
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
    assert await client.data(LIST, by=alice) == {"me": {"sshKeys": {"totalCount": 1, "nodes": [key]}}}
    renamed = await client.mutate("renameSshKey", {"id": key["id"], "name": "desktop"}, f"sshKey {{ {KEY} }}", by=alice)
    assert renamed == {"sshKey": key | {"name": "desktop"}, "errors": []}
    same = await client.mutate("renameSshKey", {"id": key["id"], "name": "desktop"}, f"sshKey {{ {KEY} }}", by=alice)
    assert same == renamed
    deleted = await client.mutate("deleteSshKey", {"id": key["id"]}, "deletedId", by=alice)
    assert deleted == {"deletedId": key["id"], "errors": []}
    assert await client.data(LIST, by=alice) == {"me": {"sshKeys": {"totalCount": 0, "nodes": []}}}
    again = await client.mutate("deleteSshKey", {"id": key["id"]}, "deletedId", by=alice)
    assert problems(again) == [("NOT_FOUND", ["id"])]
    events = await client.rows("SELECT event FROM audit_events WHERE event LIKE 'ssh-key.%' ORDER BY id")
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
async def test_every_common_type_of_key_is_accepted(client: Client, alice: Person, private: Any, kind: str) -> None:
    line = public_line(private)
    value = {"name": "laptop", "publicKey": line}
    added = await client.mutate("addSshKey", value, "sshKey { type fingerprint publicKey }", by=alice)
    assert added == {"sshKey": {"type": kind, "fingerprint": fingerprint_of(line), "publicKey": line}, "errors": []}


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
        (" \n ", "INVALID"),
        ("ssh-ed25519 \x00", "INVALID"),
        ("A" * 16_385, "TOO_LONG"),
        (f"{public_line()} {'x' * 16_384}", "TOO_LONG"),
    ],
)
async def test_a_text_that_is_not_a_safe_public_key_is_rejected(
    client: Client, alice: Person, text: str, code: str
) -> None:
    value = {"name": "laptop", "publicKey": text}
    rejected = await client.mutate("addSshKey", value, "sshKey { id }", by=alice)
    assert (rejected["sshKey"], problems(rejected)) == (None, [(code, ["publicKey"])])
    assert text not in rejected["errors"][0]["message"] or not text
    assert await client.rows("SELECT 1 FROM ssh_keys") == []


async def test_a_private_key_is_reported_as_such_and_stored_nowhere(client: Client, alice: Person) -> None:
    rejected = await client.mutate("addSshKey", {"name": "oops", "publicKey": PRIVATE[0]}, "sshKey { id }", by=alice)
    message = "This is a private key, which must never be shared. Replace it, and send the public key (.pub)."
    assert rejected["errors"] == [{"code": "INVALID", "message": message, "field": ["publicKey"]}]
    assert await client.rows("SELECT 1 FROM audit_events WHERE event LIKE 'ssh-key.%'") == []


async def test_a_key_is_unique_among_the_keys_of_a_user(client: Client, alice: Person) -> None:
    line = public_line()
    await add_key(client, alice, line)
    value = {"name": "twice", "publicKey": f"{line} other comment"}
    assert await client.mutate("addSshKey", value, "sshKey { id }", by=alice) == {
        "sshKey": None,
        "errors": [{"code": "TAKEN", "message": "You already have this SSH key.", "field": ["publicKey"]}],
    }


async def test_two_users_may_have_the_same_key_which_then_finds_neither(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    line = public_line()
    lookup = "query ($key: String!) { user(by: {sshFingerprint: $key}) { id } }"
    key = {"key": fingerprint_of(line)}
    await add_key(client, alice, f"{line} alice@laptop")
    assert await client.data(lookup, key, by=admin) == {"user": {"id": alice.id}}
    of_bob = await add_key(client, bob, f"{line} bob@laptop")
    for by in (admin, alice, bob):
        assert await client.data(lookup, key, by=by) == {"user": None}
    for by in (alice, bob):
        keys = (await client.data(LIST, by=by))["me"]["sshKeys"]
        assert (keys["totalCount"], keys["nodes"][0]["user"]) == (1, {"id": by.id})
        assert keys["nodes"][0]["fingerprint"] == fingerprint_of(line)
        assert keys["nodes"][0]["publicKey"] == f"{line} {by.username}@laptop"
    await client.mutate("deleteSshKey", {"id": of_bob}, "deletedId", by=bob)
    assert await client.data(lookup, key, by=admin) == {"user": {"id": alice.id}}


async def test_all_problems_of_an_input_are_reported_at_once(client: Client, alice: Person) -> None:
    line = public_line()
    await add_key(client, alice, line)
    await add_key(client, alice, public_line(), "desktop")
    name_taken = {"code": "TAKEN", "message": "This name of an SSH key is already taken.", "field": ["name"]}
    key_taken = {"code": "TAKEN", "message": "You already have this SSH key.", "field": ["publicKey"]}
    bad_key = {"code": "INVALID", "message": "The key is not valid base64.", "field": ["publicKey"]}
    for name, text, errors in (
        ("DESKTOP", line, [name_taken, key_taken]),
        ("", line, [{"code": "REQUIRED", "message": "name must not be empty.", "field": ["name"]}, key_taken]),
        (
            "x" * 32,
            line,
            [{"code": "TOO_LONG", "message": "name must have at most 31 characters.", "field": ["name"]}, key_taken],
        ),
        (
            "a\x00b",
            line,
            [{"code": "INVALID", "message": "name must not contain control characters.", "field": ["name"]}, key_taken],
        ),
        ("laptop", "ssh-ed25519 not/base64!", [name_taken, bad_key]),
    ):
        rejected = await client.mutate("addSshKey", {"name": name, "publicKey": text}, "sshKey { id }", by=alice)
        assert rejected["sshKey"] is None
        assert sorted(rejected["errors"], key=lambda error: str(error["field"])) == errors
    assert len(await client.rows("SELECT 1 FROM ssh_keys")) == 2


async def test_a_name_is_unique_among_the_keys_of_a_user(client: Client, alice: Person, bob: Person) -> None:
    await add_key(client, alice, public_line())
    other = await add_key(client, alice, public_line(), "desktop")
    again = await client.mutate("addSshKey", {"name": "LAPTOP", "publicKey": public_line()}, "", by=alice)
    renamed = await client.mutate("renameSshKey", {"id": other, "name": "Laptop"}, "", by=alice)
    assert problems(again) == problems(renamed) == [("TAKEN", ["name"])]
    await add_key(client, bob, public_line())


@pytest.mark.parametrize(
    ("name", "code"), [("", "REQUIRED"), (" \n ", "REQUIRED"), ("x" * 32, "TOO_LONG"), ("a\x07b", "INVALID")]
)
async def test_a_wrong_name_is_rejected(client: Client, alice: Person, name: str, code: str) -> None:
    key_id = await add_key(client, alice, public_line())
    added = await client.mutate("addSshKey", {"name": name, "publicKey": public_line()}, "", by=alice)
    renamed = await client.mutate("renameSshKey", {"id": key_id, "name": name}, "", by=alice)
    assert problems(added) == problems(renamed) == [(code, ["name"])]


async def test_keys_of_other_users_are_not_found(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    key_id = await add_key(client, bob, public_line())
    renames = [await client.mutate("renameSshKey", {"id": key_id, "name": "mine"}, "", by=by) for by in (alice, admin)]
    deleted = await client.mutate("deleteSshKey", {"id": key_id}, "", by=alice)
    assert [problems(payload) for payload in (*renames, deleted)] == [[("NOT_FOUND", ["id"])]] * 3
    document = "query ($id: ID!) { node(id: $id) { id } }"
    assert await client.data(document, {"id": key_id}, by=alice) == {"node": None}
    assert await client.data(document, {"id": key_id}, by=admin) == {"node": {"id": key_id}}


async def test_an_administrator_deletes_keys_of_others_but_not_of_stronger_users(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    key_id = await add_key(client, alice, public_line())
    deleted = await client.mutate("deleteSshKey", {"id": key_id}, "deletedId", by=admin)
    assert deleted == {"deletedId": key_id, "errors": []}
    above = await add_key(client, root, public_line())
    rejected = await client.mutate("deleteSshKey", {"id": above}, "deletedId", by=admin)
    assert (rejected["deletedId"], problems(rejected)) == (None, [("NOT_ALLOWED", ["id"])])


async def test_a_fingerprint_finds_its_user_with_and_without_prefix(
    client: Client, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    line = line_with_fingerprint_of("/", "+")
    fingerprint = fingerprint_of(line)
    document = "query ($key: String!) { user(by: {sshFingerprint: $key}) { id } }"
    assert await client.data(document, {"key": fingerprint}, by=admin) == {"user": None}
    await add_key(client, alice, line)
    for spelling in (fingerprint, fingerprint.removeprefix("SHA256:"), f"{fingerprint}="):
        assert await client.data(document, {"key": spelling}, by=admin) == {"user": {"id": alice.id}}
        assert await client.data(document, {"key": spelling}, by=alice) == {"user": {"id": alice.id}}
        for by in (bob, staff):
            assert await client.data(document, {"key": spelling}, by=by) == {"user": None}
    for names, found in ((["account.read"], None), (["account.read", "ssh-keys.read"], {"id": alice.id})):
        value = {"name": names[-1], "permissions": names}
        key = await client.mutate("createApiKey", value, "secret", by=alice)
        assert await client.data(document, {"key": fingerprint}, by=key["secret"]) == {"user": found}
    for other in (fingerprint.lower(), fingerprint[:-1], fingerprint[10:], "SHA256:", "%", "MD5:" + "00:" * 15 + "00"):
        assert await client.data(document, {"key": other}, by=admin) == {"user": None}


async def test_the_fingerprint_of_a_suspended_user_finds_the_user(client: Client, admin: Person, alice: Person) -> None:
    line = public_line()
    await add_key(client, alice, line)
    await client.mutate("suspendUser", {"id": alice.id}, "", by=admin)
    document = "query ($key: String!) { user(by: {sshFingerprint: $key}) { id suspended } }"
    found = await client.data(document, {"key": fingerprint_of(line)}, by=admin)
    assert found == {"user": {"id": alice.id, "suspended": True}}


@pytest.mark.parametrize(
    "limit", [{"expiresAt": "2999-01-01T00:00:00Z"}, {"allowedIps": ["192.0.2.0/24"]}, {"allowedIps": ["0.0.0.0/0"]}]
)
async def test_a_limited_key_cannot_add_ssh_keys(client: Client, alice: Person, limit: dict[str, Any]) -> None:
    permissions = ["ssh-keys.create"]
    limited, rotated, other = [
        await client.mutate("createApiKey", api_key | {"permissions": permissions}, "secret apiKey { id }", by=alice)
        for api_key in ({"name": "limited", **limit}, {"name": "rotated"}, {"name": "other"})
    ]
    # The old secret of a rotated key expires, too
    await client.mutate("rotateApiKey", {"id": rotated["apiKey"]["id"], "graceSeconds": 3600}, "secret", by=alice)
    value = {"name": "laptop", "publicKey": public_line()}
    message = "An API key that expires or is limited to networks cannot add SSH keys."
    for key in (limited, rotated):
        rejected = await client.mutate("addSshKey", value, "sshKey { id }", by=key["secret"])
        assert rejected == {
            "sshKey": None,
            "errors": [{"code": "NOT_ALLOWED", "message": message, "field": None}],
        }
    assert await client.rows("SELECT 1 FROM ssh_keys") == []
    assert problems(await client.mutate("addSshKey", value, "", by=other["secret"])) == []

"""Whatever stands in a field of a mutation on credentials and servers, the answer says what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.conftest import PASSWORD, Door, Person

STRANGE: tuple[Any, ...] = (
    "",
    "   ",
    "x" * 10_000,
    "é" * 10_000,
    "\x00",
    "a\x00b",
    "\ud800",
    "a\udfffb",
    "🦔🦔🦔",
    "\u202e\u2066\ufeff",
    "a\r\nb\tc\x7f\x85\u2028",
    "%s%n{}${jndi}'\";--",
    "0" * 400,
    "9999-12-31T23:59:59.999999999-23:59",
    "1e400",
    "::ffff:0:0/96",
    None,
    True,
    -1,
    2**31,
    2**53,
    1.5,
    [],
    [None],
    {},
    {"x": 1},
)


def public_line() -> str:
    return Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


async def surroundings(door: Door, admin: Person, alice: Person) -> dict[str, Any]:
    """Ids of one thing of each kind, all alice's."""
    key = await door.change("createApiKey", {"name": "deploy"}, "apiKey { id }", by=alice)
    ssh = await door.change("addSshKey", {"name": "laptop", "publicKey": public_line()}, "sshKey { id }", by=alice)
    server = await door.change("createServer", {"name": "box", "ownerId": alice.id}, "server { id }", by=admin)
    value = {"serverId": server["server"]["id"], "email": "bob@roster.test", "permissions": ["user.read"]}
    subuser = await door.change("createSubuser", value, "subuser { id }", by=alice)
    login = await door.change("login", {"login": "alice", "password": PASSWORD}, "session { id }", by=alice)
    return {
        "apiKey": key["apiKey"]["id"],
        "sshKey": ssh["sshKey"]["id"],
        "server": server["server"]["id"],
        "subuser": subuser["subuser"]["id"],
        "session": login["session"]["id"],
        "owner": alice.id,
    }


INPUTS: dict[str, dict[str, Any]] = {
    "login": {"login": "alice", "password": PASSWORD},
    "revokeSession": {"id": "$session"},
    "createApiKey": {
        "name": "other",
        "permissions": ["account.read"],
        "allowedIps": ["192.0.2.0/24"],
        "expiresAt": "2999-01-01T00:00:00Z",
    },
    "updateApiKey": {
        "id": "$apiKey",
        "name": "other",
        "permissions": ["account.read"],
        "allowedIps": ["192.0.2.0/24"],
        "expiresAt": "2999-01-01T00:00:00Z",
    },
    "rotateApiKey": {"id": "$apiKey", "graceSeconds": 5},
    "deleteApiKey": {"id": "$apiKey"},
    "addSshKey": {"name": "other", "publicKey": "ssh-ed25519 AAAA"},
    "renameSshKey": {"id": "$sshKey", "name": "other"},
    "deleteSshKey": {"id": "$sshKey"},
    "createServer": {"name": "other", "ownerId": "$owner", "externalId": "node7/42"},
    "deleteServer": {"id": "$server", "cascade": False},
    "createSubuser": {
        "serverId": "$server",
        "email": "carol@x.test",
        "permissions": ["user.read"],
        "until": "2999-01-01T00:00:00Z",
        "onUnknownEmail": "CREATE",
    },
    "updateSubuser": {"id": "$subuser", "permissions": ["user.read"], "until": "2999-01-01T00:00:00Z"},
    "deleteSubuser": {"id": "$subuser"},
}
BY_ADMIN = {"createServer", "deleteServer"}


async def post(door: Door, mutation: str, value: dict[str, Any], by: Person) -> httpx.Response:
    """Sent as bytes: JSON can spell what no UTF-8 text can hold."""
    document = (
        f"mutation ($input: {mutation[0].upper()}{mutation[1:]}Input!) "
        f"{{ {mutation}(input: $input) {{ errors {{ code message field }} }} }}"
    )
    body = json.dumps({"query": document, "variables": {"input": value}}).encode()
    headers = {"authorization": f"Bearer {by.token}", "content-type": "application/json"}
    return await door.http.post("/graphql", content=body, headers=headers)


@pytest.mark.parametrize("mutation", INPUTS)
async def test_strange_values_are_refused_or_taken_and_break_nothing(
    door: Door, admin: Person, alice: Person, mutation: str
) -> None:
    ids = await surroundings(door, admin, alice)
    base = {
        name: ids[value[1:]] if isinstance(value, str) and value.startswith("$") else value
        for name, value in INPUTS[mutation].items()
    }
    by = admin if mutation in BY_ADMIN else alice
    for field, usual in base.items():
        for strange in STRANGE:
            given = [strange] if isinstance(usual, list) and not isinstance(strange, list) else strange
            response = await post(door, mutation, base | {field: given}, by)
            answer = response.json()
            where = f"{field} = {strange!r:.60}: {response.text:.300}"
            assert response.status_code in {200, 400}, where
            for error in answer.get("errors", []):
                assert error["extensions"]["code"] == "BAD_USER_INPUT", where
            for error in ((answer.get("data") or {}).get(mutation) or {}).get("errors", []):
                assert error["field"] is None or error["field"][0] in base, where
    assert await door.data("{ me { id } }", by=by) == {"me": {"id": by.id}}


@pytest.mark.parametrize("value", [text for text in STRANGE if isinstance(text, str)])
async def test_strange_fingerprints_find_nobody(door: Door, admin: Person, value: str) -> None:
    document = "query ($key: String!) { user(by: {sshFingerprint: $key}) { id } }"
    body = json.dumps({"query": document, "variables": {"key": value}}).encode()
    headers = {"authorization": f"Bearer {admin.token}", "content-type": "application/json"}
    answer = (await door.http.post("/graphql", content=body, headers=headers)).json()
    found = answer.get("data") or {"user": None}
    assert found == {"user": None}
    assert all(error["extensions"]["code"] == "BAD_USER_INPUT" for error in answer.get("errors", []))


async def test_unknown_fields_of_an_input_are_refused(door: Door, admin: Person, alice: Person) -> None:
    await surroundings(door, admin, alice)
    owned = {"userId": alice.id, "prefix": "rst_00000000", "secret": "x", "lastUsedAt": "2020-01-01T00:00:00Z"}
    for field, value in owned.items():
        response = await post(door, "createApiKey", {"name": "other", field: value}, alice)
        [error] = response.json()["errors"]
        assert error["extensions"] == {"code": "BAD_USER_INPUT"}
        assert field in error["message"]

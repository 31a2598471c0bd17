"""Unusual values in the Authorization header, and in the mutations on credentials and servers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from service.credentials.tokens import TokenKind, new_token
from tests.conftest import PASSWORD, Client, Person

UNUSUAL: tuple[Any, ...] = (
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
    """Return a new SSH public key."""
    return Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


async def create_objects(client: Client, admin: Person, alice: Person) -> dict[str, Any]:
    """Create one object of each kind for Alice; return their ids, and the public key of another SSH key."""
    key = await client.mutate("createApiKey", {"name": "deploy"}, "apiKey { id }", by=alice)
    ssh = await client.mutate("addSshKey", {"name": "laptop", "publicKey": public_line()}, "sshKey { id }", by=alice)
    server = await client.mutate("createServer", {"name": "box", "ownerId": alice.id}, "server { id }", by=admin)
    value = {"serverId": server["server"]["id"], "email": "bob@roster.test", "permissions": ["user.read"]}
    subuser = await client.mutate("createSubuser", value, "subuser { id }", by=alice)
    preset = {"name": "guest", "permissions": ["user.read"]}
    made = await client.mutate("createPermissionPreset", preset, "permissionPreset { id }", by=admin)
    login = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "session { id }", by=alice)
    return {
        "apiKey": key["apiKey"]["id"],
        "sshKey": ssh["sshKey"]["id"],
        "server": server["server"]["id"],
        "subuser": subuser["subuser"]["id"],
        "preset": made["permissionPreset"]["id"],
        "session": login["session"]["id"],
        "owner": alice.id,
        "publicKey": public_line(),
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
    "addSshKey": {"name": "other", "publicKey": "$publicKey"},
    "renameSshKey": {"id": "$sshKey", "name": "other"},
    "deleteSshKey": {"id": "$sshKey"},
    "createServer": {"name": "other", "ownerId": "$owner", "externalId": "node7/42"},
    "updateServer": {"id": "$server", "name": "other", "externalId": "node7/42"},
    "transferServer": {"id": "$server", "ownerId": "$owner", "formerOwnerPermissions": ["file.read"]},
    "deleteServer": {"id": "$server", "cascade": False},
    "createPermissionPreset": {"name": "other", "description": "More", "permissions": ["file.read"]},
    "updatePermissionPreset": {"id": "$preset", "name": "other", "description": "More", "permissions": ["file.read"]},
    "deletePermissionPreset": {"id": "$preset"},
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
BY_ADMIN = {
    *("createPermissionPreset", "createServer", "deletePermissionPreset", "deleteServer", "transferServer"),
    *("updatePermissionPreset", "updateServer"),
}


async def post(client: Client, mutation: str, value: dict[str, Any], by: Person) -> httpx.Response:
    """Send a mutation as bytes, because JSON can escape what UTF-8 cannot encode."""
    document = (
        f"mutation ($input: {mutation[0].upper()}{mutation[1:]}Input!) "
        f"{{ {mutation}(input: $input) {{ errors {{ code message field }} }} }}"
    )
    body = json.dumps({"query": document, "variables": {"input": value}}).encode()
    headers = {"authorization": f"Bearer {by.token}", "content-type": "application/json"}
    return await client.http.post("/graphql", content=body, headers=headers)


@pytest.mark.parametrize("mutation", INPUTS)
async def test_unusual_values_are_accepted_or_rejected_without_a_failure(
    client: Client, admin: Person, alice: Person, mutation: str
) -> None:
    ids = await create_objects(client, admin, alice)
    base = {
        name: ids[value[1:]] if isinstance(value, str) and value.startswith("$") else value
        for name, value in INPUTS[mutation].items()
    }
    by = admin if mutation in BY_ADMIN else alice
    for field, usual in base.items():
        for unusual in UNUSUAL:
            given = [unusual] if isinstance(usual, list) and not isinstance(unusual, list) else unusual
            response = await post(client, mutation, base | {field: given}, by)
            answer = response.json()
            where = f"{field} = {unusual!r:.60}: {response.text:.300}"
            assert response.status_code in {200, 400}, where
            # A value that does not fit its type is reported before the mutation runs, any other one in the payload
            assert ("errors" in answer) is ("data" not in answer), where
            for error in answer.get("errors", []):
                assert error["extensions"]["code"] == "BAD_USER_INPUT", where
            for error in ((answer.get("data") or {}).get(mutation) or {}).get("errors", []):
                assert error["field"] is None or error["field"][0] in base, where
    assert await client.data("{ me { id } }", by=by) == {"me": {"id": by.id}}


@pytest.mark.parametrize("value", [text for text in UNUSUAL if isinstance(text, str)])
async def test_unusual_fingerprints_find_no_user(client: Client, admin: Person, value: str) -> None:
    document = "query ($key: String!) { user(by: {sshFingerprint: $key}) { id } }"
    body = json.dumps({"query": document, "variables": {"key": value}}).encode()
    headers = {"authorization": f"Bearer {admin.token}", "content-type": "application/json"}
    answer = (await client.http.post("/graphql", content=body, headers=headers)).json()
    found = answer.get("data") or {"user": None}
    assert found == {"user": None}
    assert all(error["extensions"]["code"] == "BAD_USER_INPUT" for error in answer.get("errors", []))


async def test_unknown_fields_of_an_input_are_rejected(client: Client, admin: Person, alice: Person) -> None:
    await create_objects(client, admin, alice)
    fields = {"userId": alice.id, "prefix": "rst_00000000", "secret": "x", "lastUsedAt": "2020-01-01T00:00:00Z"}
    for field, value in fields.items():
        response = await post(client, "createApiKey", {"name": "other", field: value}, alice)
        [error] = response.json()["errors"]
        message = f"Expected value of type 'CreateApiKeyInput' not to include unknown field '{field}'"
        assert error["extensions"] == {"code": "BAD_USER_INPUT", "problems": [{"path": ["input"], "message": message}]}
        assert error["message"] == f"$input: {message}"


def wrong_checksum() -> str:
    """Return the secret of an API key with a wrong last character."""
    secret = new_token(TokenKind.API_KEY)
    return secret[:-1] + ("0" if secret[-1] != "0" else "1")


async def with_header(client: Client, header: bytes, query: str) -> httpx.Response:
    """Send a query with an Authorization header of any bytes."""
    return await client.http.post("/graphql", json={"query": query}, headers=[(b"authorization", header)])


@pytest.mark.parametrize(
    "header",
    [
        b"Bearer " + wrong_checksum().encode(),
        b"Bearer " + new_token(TokenKind.API_KEY).encode(),
        b"bearer   " + new_token(TokenKind.SESSION).encode(),
        b"Bearer rsts_" + new_token(TokenKind.API_KEY)[4:].encode(),
        b"Bearer " + new_token(TokenKind.API_KEY).encode() + b" b c",
        b"Bearer rst_",
        b"Bearer rst_" + b"\xff\xfe\x80" * 20,
        b"Bearer rst_" + b"A" * 60_000,
        b"Bearer rsts_' OR 1=1 --",
    ],
)
async def test_a_token_that_is_not_valid_is_reported(client: Client, header: bytes) -> None:
    response = await with_header(client, header, "{ me { id } plans { id } }")
    answer = response.json()
    assert (response.status_code, answer["data"]) == (200, {"me": None, "plans": []})
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]) == (["me"], {"code": "UNAUTHENTICATED"})
    assert error["message"] == "The session or API key is not valid. Sign in again."


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer    ",
        b"Basic YWxpY2U6c2VjcmV0",
        b"Token rst_abc",
        b"Basic " + new_token(TokenKind.API_KEY).encode(),
        b"Bearer nonsense",
        b"Bearer RST_" + new_token(TokenKind.API_KEY)[4:].encode(),
        b"Bearer \xf0\x9f\xa6\x94",
        b"Bearer ' OR 1=1 --",
        b"Bearer a b c",
        b"Bearer " + b"A" * 60_000,
        b"\x00",
    ],
)
async def test_a_header_without_a_token_of_this_service_counts_as_absent(client: Client, header: bytes) -> None:
    response = await with_header(client, header, "{ me { id } plans { id } }")
    assert (response.status_code, response.json()) == (200, {"data": {"me": None, "plans": []}})
    denied = (await with_header(client, header, "{ users { totalCount } }")).json()
    assert denied["data"] == {"users": None}
    assert [error["extensions"]["code"] for error in denied["errors"]] == ["UNAUTHENTICATED"]


async def test_an_api_key_has_no_session_and_gets_no_cookie(client: Client, alice: Person) -> None:
    names = ["account.read", "sessions.read", "sessions.delete"]
    key = await client.mutate("createApiKey", {"name": "deploy", "permissions": names}, "secret", by=alice)
    sessions = await client.rows("SELECT count(*) FROM sessions")
    for query in ("{ me { sessions { nodes { current } } } }", "mutation { logout { errors { code message } } }"):
        response = await with_header(client, f"Bearer {key['secret']}".encode(), query)
        assert "errors" not in response.json()
        assert "set-cookie" not in response.headers
    error = {"code": "NOT_ALLOWED", "message": "An API key has no session. Delete the key instead."}
    assert response.json() == {"data": {"logout": {"errors": [error]}}}
    assert await client.rows("SELECT count(*) FROM sessions") == sessions

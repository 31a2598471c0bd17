"""Objects that a caller may not see are answered like objects that do not exist."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.objects import SSH_KEY, Objects, create_objects

TYPES = [
    *("ApiKey", "AuditEvent", "DedicatedIp", "Plan", "PlanPeriod", "Role", "Server", "Session", "SshKey", "Subuser"),
    "User",
]
# Each type as itself; a field that only answers on an object of that very type
AS_ITSELF = " ".join(f"... on {name} {{ is{name}: __typename }}" for name in TYPES)
NODES = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {AS_ITSELF} }} }}"
NODE = f"query ($id: ID!) {{ node(id: $id) {{ {AS_ITSELF} }} }}"
# The mutations that find an object by an id: the type of the object, the name of the id in the input, other fields
BY_ID: dict[str, tuple[str, str, dict[str, Any]]] = {
    "assignDedicatedIp": ("User", "userId", {"address": "198.51.100.8"}),
    "changePlan": ("User", "userId", {"planName": "Small"}),
    "createServer": ("User", "ownerId", {"name": "x"}),
    "createSubuser": ("Server", "serverId", {"email": "x@roster.test", "permissions": ["file.read"]}),
    "deleteApiKey": ("ApiKey", "id", {}),
    "deletePlan": ("Plan", "id", {}),
    "deleteRole": ("Role", "id", {}),
    "deleteServer": ("Server", "id", {}),
    "deleteSshKey": ("SshKey", "id", {}),
    "deleteSubuser": ("Subuser", "id", {}),
    "deleteUser": ("User", "id", {}),
    "renameSshKey": ("SshKey", "id", {"name": "x"}),
    "revokeSession": ("Session", "id", {}),
    "rotateApiKey": ("ApiKey", "id", {}),
    "setPassword": ("User", "userId", {"password": "another-horse-battery-43"}),
    "suspendUser": ("User", "id", {}),
    "unsuspendUser": ("User", "id", {}),
    "updateApiKey": ("ApiKey", "id", {"name": "x"}),
    "updatePlan": ("Plan", "id", {"name": "x"}),
    "updateRole": ("Role", "id", {"name": "x"}),
    "updateSubuser": ("Subuser", "id", {"permissions": ["file.read"]}),
    "updateUser": ("User", "id", {"firstName": "x"}),
}


@pytest.fixture
async def objects(client: Client, people: dict[str, Person]) -> Objects:
    """Create the objects of Alice."""
    return await create_objects(client, people)


async def test_an_id_finds_only_the_object_of_its_own_type(client: Client, root: Person, objects: Objects) -> None:
    for name in TYPES:
        shown = {"node": {f"is{name}": name}}
        assert await client.data(NODE, {"id": objects.ids[name]}, by=root) == shown
        assert await client.data(NODE, {"id": objects.ids[name].replace("-", "").upper()}, by=root) == shown


async def test_objects_are_in_the_order_of_their_ids(client: Client, root: Person, objects: Objects) -> None:
    ids = [*(objects.ids[name] for name in TYPES), str(uuid.uuid4()), objects.ids["User"]]
    expected = [*({f"is{name}": name} for name in TYPES), None, {"isUser": "User"}]
    assert await client.data(NODES, {"ids": ids}, by=root) == {"nodes": expected}


async def test_the_look_up_of_one_type_finds_no_other_type(client: Client, root: Person, objects: Objects) -> None:
    document = "query ($id: ID!) { user(by: {id: $id}) { __typename } server(id: $id) { __typename } }"
    for name in TYPES:
        found = await client.data(document, {"id": objects.ids[name]}, by=root)
        assert found == {
            "user": {"__typename": "User"} if name == "User" else None,
            "server": {"__typename": "Server"} if name == "Server" else None,
        }


async def test_no_mutation_changes_an_object_of_another_type(client: Client, root: Person, objects: Objects) -> None:
    events = "{ auditEvents { totalCount } }"
    before = await client.data(events, by=root)
    for field, (own_type, key, further) in BY_ID.items():
        for name in TYPES:
            if name != own_type:
                payload = await client.mutate(field, {key: objects.ids[name], **further}, "__typename", by=root)
                found = [(error["code"], error["field"]) for error in payload["errors"]]
                assert found == [("NOT_FOUND", [key])], (field, name)
    assert await client.data(events, by=root) == before


async def test_a_hidden_object_is_answered_like_a_missing_one(client: Client, bob: Person, objects: Objects) -> None:
    hidden = [name for name in TYPES if name != "Plan"]
    nothing = await client.execute(NODE, {"id": str(uuid.uuid4())}, by=bob)
    assert nothing == {"data": {"node": None}}
    for name in hidden:
        assert await client.execute(NODE, {"id": objects.ids[name]}, by=bob) == nothing, name
    assert await client.execute(NODES, {"ids": [objects.ids[name] for name in hidden]}, by=bob) == {
        "data": {"nodes": [None] * len(hidden)}
    }
    server = await client.execute("query ($id: ID!) { server(id: $id) { id } }", {"id": objects.ids["Server"]}, by=bob)
    assert server == {"data": {"server": None}}


async def test_a_look_up_requires_what_reading_its_key_requires(
    client: Client, root: Person, staff: Person, bob: Person, objects: Objects
) -> None:
    document = "query ($by: UserBy!) { user(by: $by) { id } }"
    fingerprint = await fingerprint_of(client, objects)
    alice, missing = {"user": {"id": objects.ids["User"]}}, {"user": None}
    account_key, users_key = objects.callers["owner-key"], objects.callers["admin-key"]
    owner = objects.callers["owner"]
    # Each key that exists, one that does not, and the callers who find Alice by it
    for existing, unknown, finders in (
        ({"id": objects.ids["User"]}, {"id": str(uuid.uuid4())}, {owner, account_key, users_key, staff.token}),
        ({"username": "ALICE"}, {"username": "unknown"}, {owner, account_key, users_key, staff.token}),
        (
            {"email": "alice@roster.test"},
            {"email": "unknown@roster.test"},
            {owner, account_key, users_key, staff.token},
        ),
        ({"externalId": "panel-7"}, {"externalId": "panel-8"}, {users_key, staff.token}),
        ({"sshFingerprint": fingerprint}, {"sshFingerprint": "SHA256:" + "A" * 43}, {owner}),
    ):
        for caller in (owner, account_key, users_key, staff.token, bob.token, root.token):
            found = await client.execute(document, {"by": existing}, by=caller)
            assert found == {"data": alice if caller in finders | {root.token} else missing}, (existing, caller)
            assert await client.execute(document, {"by": unknown}, by=caller) == {"data": missing}


async def fingerprint_of(client: Client, objects: Objects) -> str:
    document = "query ($id: ID!) { node(id: $id) { ... on SshKey { fingerprint publicKey } } }"
    key = (await client.data(document, {"id": objects.ids["SshKey"]}, by=objects.callers["owner"]))["node"]
    assert key["publicKey"].startswith(SSH_KEY)
    return str(key["fingerprint"])


async def test_a_mutation_answers_the_id_of_a_hidden_object_like_a_missing_one(
    client: Client, bob: Person, objects: Objects
) -> None:
    own: dict[str, tuple[str, dict[str, Any]]] = {
        "deleteApiKey": ("ApiKey", {}),
        "deleteSshKey": ("SshKey", {}),
        "deleteSubuser": ("Subuser", {}),
        "renameSshKey": ("SshKey", {"name": "mine"}),
        "revokeSession": ("Session", {}),
        "rotateApiKey": ("ApiKey", {}),
        "updateApiKey": ("ApiKey", {"name": "mine"}),
        "updateSubuser": ("Subuser", {"permissions": ["file.read"]}),
    }
    for field, (name, further) in own.items():
        real = await client.mutate(field, {"id": objects.ids[name], **further}, "__typename", by=bob)
        unknown = await client.mutate(field, {"id": str(uuid.uuid4()), **further}, "__typename", by=bob)
        assert real == unknown, field
        assert [error["code"] for error in real["errors"]] == ["NOT_FOUND"], field


async def test_an_api_key_sees_only_what_it_lists(client: Client, objects: Objects) -> None:
    ids = [objects.ids[name] for name in TYPES]
    seen = (await client.data(NODES, {"ids": ids}, by=objects.callers["owner-key"]))["nodes"]
    assert [next(iter(item.values())) for item in seen if item] == ["DedicatedIp", "Plan", "PlanPeriod", "Role", "User"]


async def test_more_than_a_hundred_ids_are_rejected(client: Client, alice: Person) -> None:
    answer = await client.execute(NODES, {"ids": [str(uuid.uuid4()) for _ in range(101)]}, by=alice)
    assert answer["data"] is None
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "BAD_USER_INPUT", "argument": "ids"}]


@pytest.mark.parametrize("text", ["", "1", "alice", "00000000-0000-0000-0000-00000000000g", "{}"])
async def test_a_malformed_id_is_rejected(client: Client, alice: Person, text: str) -> None:
    answer = await client.execute(NODE, {"id": text}, by=alice)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]
    assert "data" not in answer

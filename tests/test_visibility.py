"""What a caller may not see is answered like what is not there."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.conftest import Door, Person
from tests.estate import SSH_KEY, Estate, settle

TYPES = ["ApiKey", "AuditEvent", "Plan", "Role", "Server", "Session", "SshKey", "Subuser", "User"]
# Each type as itself; a field that only answers on an object of that very type
AS_ITSELF = " ".join(f"... on {name} {{ is{name}: __typename }}" for name in TYPES)
NODES = f"query ($ids: [ID!]!) {{ nodes(ids: $ids) {{ {AS_ITSELF} }} }}"
NODE = f"query ($id: ID!) {{ node(id: $id) {{ {AS_ITSELF} }} }}"
# The mutations that go to an object by its id, and where in their input it stands
BY_ID: dict[str, tuple[str, str, dict[str, Any]]] = {
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
async def estate(door: Door, people: dict[str, Person]) -> Estate:
    return await settle(door, people)


async def test_an_id_gives_an_object_of_its_own_type_only(door: Door, root: Person, estate: Estate) -> None:
    for name in TYPES:
        shown = {"node": {f"is{name}": name}}
        assert await door.data(NODE, {"id": estate.ids[name]}, by=root) == shown
        assert await door.data(NODE, {"id": estate.ids[name].replace("-", "").upper()}, by=root) == shown


async def test_objects_come_in_the_order_of_their_ids(door: Door, root: Person, estate: Estate) -> None:
    ids = [*(estate.ids[name] for name in TYPES), str(uuid.uuid4()), estate.ids["User"]]
    expected = [*({f"is{name}": name} for name in TYPES), None, {"isUser": "User"}]
    assert await door.data(NODES, {"ids": ids}, by=root) == {"nodes": expected}


async def test_the_look_up_of_one_type_finds_no_other(door: Door, root: Person, estate: Estate) -> None:
    document = "query ($id: ID!) { user(by: {id: $id}) { __typename } server(id: $id) { __typename } }"
    for name in TYPES:
        found = await door.data(document, {"id": estate.ids[name]}, by=root)
        assert found == {
            "user": {"__typename": "User"} if name == "User" else None,
            "server": {"__typename": "Server"} if name == "Server" else None,
        }


async def test_no_mutation_touches_an_object_of_another_type(door: Door, root: Person, estate: Estate) -> None:
    events = "{ auditEvents { totalCount } }"
    before = await door.data(events, by=root)
    for field, (own_type, key, further) in BY_ID.items():
        for name in TYPES:
            if name != own_type:
                payload = await door.change(field, {key: estate.ids[name], **further}, "__typename", by=root)
                told = [(error["code"], error["field"]) for error in payload["errors"]]
                assert told == [("NOT_FOUND", [key])], (field, name)
    assert await door.data(events, by=root) == before


async def test_what_a_stranger_may_not_see_is_answered_like_what_is_not_there(
    door: Door, bob: Person, estate: Estate
) -> None:
    hidden = [name for name in TYPES if name != "Plan"]
    nothing = await door.ask(NODE, {"id": str(uuid.uuid4())}, by=bob)
    assert nothing == {"data": {"node": None}}
    for name in hidden:
        assert await door.ask(NODE, {"id": estate.ids[name]}, by=bob) == nothing, name
    assert await door.ask(NODES, {"ids": [estate.ids[name] for name in hidden]}, by=bob) == {
        "data": {"nodes": [None] * len(hidden)}
    }
    server = await door.ask("query ($id: ID!) { server(id: $id) { id } }", {"id": estate.ids["Server"]}, by=bob)
    assert server == {"data": {"server": None}}


async def test_no_key_shows_a_stranger_whether_somebody_has_it(door: Door, bob: Person, estate: Estate) -> None:
    document = "query ($by: UserBy!) { user(by: $by) { id } }"
    fingerprint = "SHA256:" + "A" * 43
    for taken, free in (
        ({"id": estate.ids["User"]}, {"id": str(uuid.uuid4())}),
        ({"username": "ALICE"}, {"username": "nobody"}),
        ({"email": "alice@roster.test"}, {"email": "nobody@roster.test"}),
        ({"externalId": "panel-7"}, {"externalId": "panel-8"}),
        ({"sshFingerprint": await fingerprint_of(door, estate)}, {"sshFingerprint": fingerprint}),
    ):
        assert await door.ask(document, {"by": taken}, by=bob) == {"data": {"user": None}}
        assert await door.ask(document, {"by": free}, by=bob) == {"data": {"user": None}}
        found = await door.ask(document, {"by": taken}, by=estate.callers["owner"])
        assert found == {"data": {"user": {"id": estate.ids["User"]}}}


async def fingerprint_of(door: Door, estate: Estate) -> str:
    document = "query ($id: ID!) { node(id: $id) { ... on SshKey { fingerprint publicKey } } }"
    key = (await door.data(document, {"id": estate.ids["SshKey"]}, by=estate.callers["owner"]))["node"]
    assert key["publicKey"].startswith(SSH_KEY)
    return str(key["fingerprint"])


async def test_a_stranger_who_guesses_an_id_is_told_that_there_is_nothing(
    door: Door, bob: Person, estate: Estate
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
        real = await door.change(field, {"id": estate.ids[name], **further}, "__typename", by=bob)
        made_up = await door.change(field, {"id": str(uuid.uuid4()), **further}, "__typename", by=bob)
        assert real == made_up, field
        assert [error["code"] for error in real["errors"]] == ["NOT_FOUND"], field


async def test_a_key_sees_no_more_than_it_lists(door: Door, estate: Estate) -> None:
    ids = [estate.ids[name] for name in TYPES]
    seen = (await door.data(NODES, {"ids": ids}, by=estate.callers["owner-key"]))["nodes"]
    assert [next(iter(item.values())) for item in seen if item] == ["Plan", "Role", "User"]


async def test_more_than_a_hundred_ids_are_refused(door: Door, alice: Person) -> None:
    answer = await door.ask(NODES, {"ids": [str(uuid.uuid4()) for _ in range(101)]}, by=alice)
    assert answer["data"] is None
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "BAD_USER_INPUT", "argument": "ids"}]


@pytest.mark.parametrize("text", ["", "1", "alice", "00000000-0000-0000-0000-00000000000g", "{}"])
async def test_what_is_no_id_is_refused(door: Door, alice: Person, text: str) -> None:
    answer = await door.ask(NODE, {"id": text}, by=alice)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]
    assert "data" not in answer

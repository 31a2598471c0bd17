"""API keys never hold, make or touch more than their owner holds and they list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Door, Person

EVERY_KEY_RIGHT = ["api-keys.create", "api-keys.update", "api-keys.delete", "api-keys.read"]
USERS = "{ users(first: 1) { totalCount } }"
SERVER = "query ($id: ID!) { server(id: $id) { id name } }"


async def new_key(door: Door, by: Person | str, *permissions: str, name: str = "k", **value: Any) -> tuple[str, str]:
    """The secret and the id of a new key."""
    value |= {"name": name, "permissions": [*permissions]}
    made = await door.change("createApiKey", value, "secret apiKey { id }", by=by)
    assert made["errors"] == []
    return made["secret"], made["apiKey"]["id"]


async def new_server(door: Door, by: Person, owner: Person) -> str:
    made = await door.change("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=by)
    return str(made["server"]["id"])


async def give_role(door: Door, by: Person, user: Person, role: str) -> None:
    [row] = await door.rows("SELECT id FROM roles WHERE name = $1", role)
    changed = await door.change("updateUser", {"id": user.id, "roleId": row["id"]}, "user { id }", by=by)
    assert changed["errors"] == []


def codes(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_key_without_permissions_reads_public_fields_only(door: Door, alice: Person) -> None:
    secret, _ = await new_key(door, alice)
    answer = await door.ask("{ me { id username email apiKeys { totalCount } } plans { id } }", by=secret)
    assert answer["data"] == {"me": {"id": alice.id, "username": "alice", "email": None, "apiKeys": None}, "plans": []}
    assert [(error["path"], error["extensions"]) for error in answer["errors"]] == [
        (["me", "email"], {"code": "FORBIDDEN", "permission": "account.read"}),
        (["me", "apiKeys"], {"code": "FORBIDDEN", "permission": "api-keys.read"}),
    ]


async def test_a_key_holds_what_it_lists_of_what_its_owner_holds(door: Door, admin: Person, alice: Person) -> None:
    secret, _ = await new_key(door, admin, "users.read")
    assert await door.data(USERS, by=secret) == {"users": {"totalCount": 5}}
    document = "mutation ($input: SuspendUserInput!) { suspendUser(input: $input) { errors { code } } }"
    answer = await door.ask(document, {"input": {"id": alice.id}}, by=secret)
    assert (answer["data"], answer["errors"][0]["extensions"]) == (
        None,
        {"code": "FORBIDDEN", "permission": "users.suspend"},
    )


async def test_a_key_loses_what_its_owner_loses_at_the_next_request(door: Door, root: Person, admin: Person) -> None:
    secret, _ = await new_key(door, admin, "users.read", "servers.read")
    theirs = await new_server(door, root, root)
    assert await door.data(USERS, by=secret) == {"users": {"totalCount": 5}}
    assert (await door.data(SERVER, {"id": theirs}, by=secret))["server"] is not None
    await give_role(door, root, admin, "USER")
    answer = await door.ask(USERS, by=secret)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == ({"users": None}, "FORBIDDEN")
    assert await door.data(SERVER, {"id": theirs}, by=secret) == {"server": None}
    await give_role(door, root, admin, "STAFF")
    assert await door.data(USERS, by=secret) == {"users": {"totalCount": 5}}


async def test_a_key_loses_what_its_owners_role_loses_at_the_next_request(
    door: Door, root: Person, alice: Person
) -> None:
    role = await door.change("createRole", {"name": "desk", "permissions": ["users.read"]}, "role { id }", by=root)
    await give_role(door, root, alice, "desk")
    secret, _ = await new_key(door, alice, "users.read")
    assert await door.data(USERS, by=secret) == {"users": {"totalCount": 5}}
    await door.change("updateRole", {"id": role["role"]["id"], "permissions": []}, "", by=root)
    assert (await door.ask(USERS, by=secret))["data"] == {"users": None}


async def test_servers_read_opens_a_users_own_servers_and_an_administrators_all(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    own, foreign = await new_server(door, admin, alice), await new_server(door, admin, bob)
    plain, _ = await new_key(door, alice, "servers.read")
    wide, _ = await new_key(door, admin, "servers.read")
    none, _ = await new_key(door, alice, "account.read", name="none")
    assert await door.data(SERVER, {"id": own}, by=plain) == {"server": {"id": own, "name": "box"}}
    assert await door.data(SERVER, {"id": foreign}, by=plain) == {"server": None}
    assert (await door.ask("{ servers { totalCount } }", by=plain))["data"] == {"servers": None}
    for server_id in (own, foreign):
        assert await door.data(SERVER, {"id": server_id}, by=wide) == {"server": {"id": server_id, "name": "box"}}
    assert await door.data("{ servers { totalCount } }", by=wide) == {"servers": {"totalCount": 2}}
    assert (await door.ask(SERVER, {"id": own}, by=none))["data"] == {"server": None}


@pytest.mark.parametrize("owner", ["admin", "root"])
async def test_a_narrow_key_of_a_full_administrator_promotes_nobody(
    door: Door, owner: str, alice: Person, request: pytest.FixtureRequest
) -> None:
    by: Person = request.getfixturevalue(owner)
    secret, _ = await new_key(door, by, "users.update", "users.create", "users.read")
    promoted = await door.change("updateUser", {"id": alice.id, "isAdmin": True}, "user { id }", by=secret)
    made = await door.change("createUser", {"username": "mallory", "roleName": "STAFF"}, "user { id }", by=secret)
    assert (codes(promoted), codes(made)) == ([("NOT_ALLOWED", ["isAdmin"])], [("NOT_ALLOWED", ["roleName"])])
    assert await door.rows("SELECT 1 FROM users WHERE username = 'mallory'") == []
    above = await door.change("updateUser", {"id": by.id, "firstName": "Eve"}, "user { id }", by=secret)
    assert codes(above) == [("NOT_ALLOWED", ["id"])], "the key is below its own owner"


async def test_a_key_of_root_that_lists_everything_is_not_root(door: Door, root: Person, admin: Person) -> None:
    catalogue = await door.data("{ permissionCatalog { name } }", by=root)
    names = {entry["name"] for entry in catalogue["permissionCatalog"]}
    secret, _ = await new_key(door, root, *names)
    changed = await door.change("updateUser", {"id": admin.id, "firstName": "Adam"}, "user { firstName }", by=secret)
    assert changed == {"user": {"firstName": "Adam"}, "errors": []}
    refused = await door.change("setPassword", {"userId": root.id, "password": "a-stolen-root-2841"}, "", by=secret)
    assert codes(refused) == [("NOT_ALLOWED", ["userId"])]
    promoted = await door.change("createUser", {"username": "mallory", "roleName": "ROOT"}, "user { id }", by=secret)
    assert codes(promoted) == [("NOT_ALLOWED", ["roleName"])]


async def test_a_key_makes_keys_within_its_scope_only(door: Door, admin: Person) -> None:
    maker, _ = await new_key(door, admin, "api-keys.create", "users.read", "control.console")
    made = await door.change("createApiKey", {"name": "child", "permissions": ["users.read"]}, "secret", by=maker)
    assert await door.data(USERS, by=made["secret"]) == {"users": {"totalCount": 5}}
    beyond = {"name": "wide", "permissions": ["users.read", "users.update", "control.start", "account.read"]}
    refused = await door.change("createApiKey", beyond, "secret", by=maker)
    assert (refused["secret"], codes(refused)) == (
        None,
        [
            ("NOT_ALLOWED", ["permissions", "1"]),
            ("NOT_ALLOWED", ["permissions", "2"]),
            ("NOT_ALLOWED", ["permissions", "3"]),
        ],
    )
    grandchild = {"name": "grandchild", "permissions": ["control.console"]}
    assert codes(await door.change("createApiKey", grandchild, "", by=maker)) == []


async def test_a_key_widens_neither_itself_nor_another(door: Door, alice: Person) -> None:
    secret, own = await new_key(door, alice, *EVERY_KEY_RIGHT)
    _, other = await new_key(door, alice, "api-keys.read", name="other")
    for key_id in (own, other):
        wider = {"id": key_id, "permissions": [*EVERY_KEY_RIGHT, "account.password"]}
        refused = await door.change("updateApiKey", wider, "apiKey { id }", by=secret)
        assert codes(refused) == [("NOT_ALLOWED", ["permissions", "4"])]
    narrower = await door.change(
        "updateApiKey", {"id": own, "permissions": ["api-keys.read"]}, "apiKey { permissions }", by=secret
    )
    assert narrower == {"apiKey": {"permissions": ["api-keys.read"]}, "errors": []}
    document = "mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { errors { code } } }"
    answer = await door.ask(document, {"input": {"id": own, "permissions": EVERY_KEY_RIGHT}}, by=secret)
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN", "what it gave up it does not get back"


async def test_a_key_does_not_touch_a_stronger_one_of_its_owner(door: Door, alice: Person) -> None:
    weak, _ = await new_key(door, alice, *EVERY_KEY_RIGHT)
    strong_secret, strong = await new_key(door, alice, *EVERY_KEY_RIGHT, "account.email", name="strong")
    for field, value in (
        ("rotateApiKey", {"id": strong}),
        ("deleteApiKey", {"id": strong}),
        ("updateApiKey", {"id": strong, "name": "mine"}),
        ("updateApiKey", {"id": strong, "permissions": []}),
    ):
        assert codes(await door.change(field, value, "", by=weak)) == [("NOT_ALLOWED", ["id"])]
    assert await door.data("{ me { id } }", by=strong_secret) == {"me": {"id": alice.id}}
    _, equal = await new_key(door, alice, *EVERY_KEY_RIGHT, name="equal")
    assert codes(await door.change("rotateApiKey", {"id": equal}, "", by=weak)) == []
    assert codes(await door.change("deleteApiKey", {"id": equal}, "", by=weak)) == []


@pytest.mark.parametrize(
    ("bound", "beyond", "within"),
    [
        (
            {"expiresAt": "2998-01-01T00:00:00Z"},
            [{}, {"expiresAt": "2998-01-01T00:00:01Z"}],
            [{"expiresAt": "2998-01-01T00:00:00Z"}, {"expiresAt": "2997-01-01T00:00:00Z"}],
        ),
        (
            {"allowedIps": ["192.0.2.0/24", "2001:db8::/32"]},
            [{}, {"allowedIps": []}, {"allowedIps": ["192.0.2.0/23"]}, {"allowedIps": ["192.0.2.1", "::/0"]}],
            [{"allowedIps": ["192.0.2.128/25"]}, {"allowedIps": ["2001:db8:1::/48", "192.0.2.1"]}],
        ),
    ],
)
async def test_a_bounded_key_makes_and_takes_over_no_unbounded_one(
    door: Door, alice: Person, bound: dict[str, Any], beyond: list[dict[str, Any]], within: list[dict[str, Any]]
) -> None:
    secret, own = await new_key(door, alice, *EVERY_KEY_RIGHT, **bound)
    [field] = bound
    for number, value in enumerate(beyond):
        refused = await door.change("createApiKey", {"name": f"child {number}", **value}, "secret", by=secret)
        assert (refused["secret"], codes(refused)) == (None, [("NOT_ALLOWED", [field])])
        changed = await door.change("updateApiKey", {"id": own, field: value.get(field)}, "", by=secret)
        assert codes(changed) == [("NOT_ALLOWED", [field])]
    _, unbounded = await new_key(door, alice, name="unbounded")
    taken = await door.change("rotateApiKey", {"id": unbounded, "graceSeconds": 60}, "secret", by=secret)
    assert (taken["secret"], codes(taken)) == (None, [("NOT_ALLOWED", ["id"])])
    for number, value in enumerate(within):
        made = await door.change("createApiKey", {"name": f"fine {number}", **value}, "", by=secret)
        assert made == {"errors": []}


async def test_foreign_keys_are_not_found(door: Door, admin: Person, alice: Person, bob: Person) -> None:
    secret, key_id = await new_key(door, bob, "account.read")
    unknown = "01900000-0000-7000-8000-000000000000"
    for by, fields in (
        (alice, ("updateApiKey", "rotateApiKey", "deleteApiKey")),
        (admin, ("updateApiKey", "rotateApiKey")),
    ):
        for field in fields:
            answers = [await door.change(field, {"id": one}, "", by=by) for one in (key_id, unknown, bob.id)]
            assert answers == [{"errors": answers[0]["errors"]}] * 3
            assert codes(answers[0]) == [("NOT_FOUND", ["id"])]
    assert await door.data("{ me { email } }", by=secret) == {"me": {"email": "bob@roster.test"}}


async def test_an_administrator_deletes_the_keys_of_others_but_not_of_those_above(
    door: Door, root: Person, admin: Person, alice: Person
) -> None:
    sweeper, _ = await new_key(door, admin, "users.credentials", name="sweeper")
    deleters: list[Person | str] = [admin, sweeper]
    for number, by in enumerate(deleters):
        secret, key_id = await new_key(door, alice, "account.read", name=f"leaked {number}")
        deleted = await door.change("deleteApiKey", {"id": key_id}, "deletedId", by=by)
        assert deleted == {"deletedId": key_id, "errors": []}
        assert (await door.ask("{ me { id } }", by=secret))["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    _, strong = await new_key(door, root, "account.read")
    _, equal = await new_key(door, admin, "account.read", name="equal")
    refusals: list[tuple[str, Person | str]] = [(strong, admin), (strong, sweeper), (equal, sweeper)]
    for key_id, by in refusals:
        refused = await door.change("deleteApiKey", {"id": key_id}, "deletedId", by=by)
        assert (refused["deletedId"], codes(refused)) == (None, [("NOT_ALLOWED", ["id"])])


async def test_a_key_holds_on_a_server_what_it_lists(door: Door, admin: Person, alice: Person, bob: Person) -> None:
    server_id = await new_server(door, admin, alice)
    document = "query ($id: ID!) { server(id: $id) { myPermissions } }"
    owner, _ = await new_key(door, alice, "servers.read", "control.start", "user.read")
    assert await door.data(document, {"id": server_id}, by=owner) == {
        "server": {"myPermissions": ["control.start", "user.read"]}
    }
    invitation = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["control.start", "file.read"]}
    await door.change("createSubuser", invitation, "", by=alice)
    member, _ = await new_key(door, bob, "servers.read", "file.read", "control.stop")
    assert await door.data(document, {"id": server_id}, by=member) == {"server": {"myPermissions": ["file.read"]}}

"""API keys never have, create, or change more than their owner has and they list."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, Person

KEY_PERMISSIONS = ["api-keys.create", "api-keys.update", "api-keys.delete", "api-keys.read"]
USERS = "{ users(first: 1) { totalCount } }"
SERVER = "query ($id: ID!) { server(id: $id) { id name } }"


async def new_key(
    client: Client, by: Person | str, *permissions: str, name: str = "k", **value: Any
) -> tuple[str, str]:
    """Return the secret and the id of a new key."""
    value |= {"name": name, "permissions": [*permissions]}
    created = await client.mutate("createApiKey", value, "secret apiKey { id }", by=by)
    assert created["errors"] == []
    return created["secret"], created["apiKey"]["id"]


async def new_server(client: Client, by: Person, owner: Person) -> str:
    """Return the id of a new server."""
    created = await client.mutate("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=by)
    return str(created["server"]["id"])


async def give_role(client: Client, by: Person, user: Person, role: str) -> None:
    """Give a user a role by its name."""
    [row] = await client.rows("SELECT id FROM roles WHERE name = $1", role)
    changed = await client.mutate("updateUser", {"id": user.id, "roleId": row["id"]}, "user { id }", by=by)
    assert changed["errors"] == []


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def test_a_key_without_permissions_reads_public_fields_only(client: Client, alice: Person) -> None:
    secret, _ = await new_key(client, alice)
    answer = await client.execute("{ me { id username email apiKeys { totalCount } } plans { id } }", by=secret)
    assert answer["data"] == {"me": {"id": alice.id, "username": "alice", "email": None, "apiKeys": None}, "plans": []}
    assert [(error["path"], error["extensions"]) for error in answer["errors"]] == [
        (["me", "email"], {"code": "FORBIDDEN", "permission": "account.read"}),
        (["me", "apiKeys"], {"code": "FORBIDDEN", "permission": "api-keys.read"}),
    ]


async def test_a_key_has_the_permissions_that_it_lists_and_its_owner_holds(
    client: Client, admin: Person, alice: Person
) -> None:
    secret, _ = await new_key(client, admin, "users.read")
    assert await client.data(USERS, by=secret) == {"users": {"totalCount": 5}}
    document = "mutation ($input: SuspendUserInput!) { suspendUser(input: $input) { errors { code } } }"
    answer = await client.execute(document, {"input": {"id": alice.id}}, by=secret)
    assert (answer["data"], answer["errors"][0]["extensions"]) == (
        None,
        {"code": "FORBIDDEN", "permission": "users.suspend"},
    )


async def test_a_key_loses_what_its_owner_loses_at_the_next_request(
    client: Client, root: Person, admin: Person
) -> None:
    secret, _ = await new_key(client, admin, "users.read", "servers.read")
    server_id = await new_server(client, root, root)
    assert await client.data(USERS, by=secret) == {"users": {"totalCount": 5}}
    assert (await client.data(SERVER, {"id": server_id}, by=secret))["server"] is not None
    await give_role(client, root, admin, "USER")
    answer = await client.execute(USERS, by=secret)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == ({"users": None}, "FORBIDDEN")
    assert await client.data(SERVER, {"id": server_id}, by=secret) == {"server": None}
    await give_role(client, root, admin, "STAFF")
    assert await client.data(USERS, by=secret) == {"users": {"totalCount": 5}}


async def test_a_key_loses_what_its_owners_role_loses_at_the_next_request(
    client: Client, root: Person, alice: Person
) -> None:
    role = await client.mutate("createRole", {"name": "desk", "permissions": ["users.read"]}, "role { id }", by=root)
    await give_role(client, root, alice, "desk")
    secret, _ = await new_key(client, alice, "users.read")
    assert await client.data(USERS, by=secret) == {"users": {"totalCount": 5}}
    await client.mutate("updateRole", {"id": role["role"]["id"], "permissions": []}, "", by=root)
    assert (await client.execute(USERS, by=secret))["data"] == {"users": None}


async def test_servers_read_covers_ones_own_servers_and_all_for_administrators(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    own, foreign = await new_server(client, admin, alice), await new_server(client, admin, bob)
    plain, _ = await new_key(client, alice, "servers.read")
    wide, _ = await new_key(client, admin, "servers.read")
    none, _ = await new_key(client, alice, "account.read", name="none")
    assert await client.data(SERVER, {"id": own}, by=plain) == {"server": {"id": own, "name": "box"}}
    assert await client.data(SERVER, {"id": foreign}, by=plain) == {"server": None}
    assert (await client.execute("{ servers { totalCount } }", by=plain))["data"] == {"servers": None}
    for server_id in (own, foreign):
        assert await client.data(SERVER, {"id": server_id}, by=wide) == {"server": {"id": server_id, "name": "box"}}
    assert await client.data("{ servers { totalCount } }", by=wide) == {"servers": {"totalCount": 2}}
    assert (await client.execute(SERVER, {"id": own}, by=none))["data"] == {"server": None}


@pytest.mark.parametrize("owner", ["admin", "root"])
async def test_a_narrow_key_of_an_administrator_promotes_no_user(
    client: Client, owner: str, alice: Person, request: pytest.FixtureRequest
) -> None:
    by: Person = request.getfixturevalue(owner)
    secret, _ = await new_key(client, by, "users.update", "users.create", "users.read")
    promoted = await client.mutate("updateUser", {"id": alice.id, "isAdmin": True}, "user { id }", by=secret)
    created = await client.mutate("createUser", {"username": "mallory", "roleName": "STAFF"}, "user { id }", by=secret)
    assert (problems(promoted), problems(created)) == ([("NOT_ALLOWED", ["isAdmin"])], [("NOT_ALLOWED", ["roleName"])])
    assert await client.rows("SELECT 1 FROM users WHERE username = 'mallory'") == []
    above = await client.mutate("updateUser", {"id": by.id, "firstName": "Eve"}, "user { id }", by=secret)
    assert problems(above) == [("NOT_ALLOWED", ["id"])], "the key is below its own owner"


async def test_a_key_of_root_that_lists_everything_is_not_root(client: Client, root: Person, admin: Person) -> None:
    catalogue = await client.data("{ permissionCatalog { name } }", by=root)
    names = {entry["name"] for entry in catalogue["permissionCatalog"]}
    secret, _ = await new_key(client, root, *names)
    changed = await client.mutate("updateUser", {"id": admin.id, "firstName": "Adam"}, "user { firstName }", by=secret)
    assert changed == {"user": {"firstName": "Adam"}, "errors": []}
    rejected = await client.mutate("setPassword", {"userId": root.id, "password": "a-stolen-root-2841"}, "", by=secret)
    assert problems(rejected) == [("NOT_ALLOWED", ["userId"])]
    promoted = await client.mutate("createUser", {"username": "mallory", "roleName": "ROOT"}, "user { id }", by=secret)
    assert problems(promoted) == [("NOT_ALLOWED", ["roleName"])]


async def test_a_key_creates_keys_within_its_own_permissions_only(client: Client, admin: Person) -> None:
    parent, _ = await new_key(client, admin, "api-keys.create", "users.read", "control.console")
    created = await client.mutate("createApiKey", {"name": "child", "permissions": ["users.read"]}, "secret", by=parent)
    assert await client.data(USERS, by=created["secret"]) == {"users": {"totalCount": 5}}
    beyond = {"name": "wide", "permissions": ["users.read", "users.update", "control.start", "account.read"]}
    rejected = await client.mutate("createApiKey", beyond, "secret", by=parent)
    assert (rejected["secret"], problems(rejected)) == (
        None,
        [
            ("NOT_ALLOWED", ["permissions", "1"]),
            ("NOT_ALLOWED", ["permissions", "2"]),
            ("NOT_ALLOWED", ["permissions", "3"]),
        ],
    )
    grandchild = {"name": "grandchild", "permissions": ["control.console"]}
    assert problems(await client.mutate("createApiKey", grandchild, "", by=parent)) == []


async def test_a_key_adds_no_permissions_to_itself_or_another_key(client: Client, alice: Person) -> None:
    secret, own = await new_key(client, alice, *KEY_PERMISSIONS)
    _, other = await new_key(client, alice, "api-keys.read", name="other")
    for key_id in (own, other):
        wider = {"id": key_id, "permissions": [*KEY_PERMISSIONS, "account.password"]}
        rejected = await client.mutate("updateApiKey", wider, "apiKey { id }", by=secret)
        assert problems(rejected) == [("NOT_ALLOWED", ["permissions", "4"])]
    narrower = await client.mutate(
        "updateApiKey", {"id": own, "permissions": ["api-keys.read"]}, "apiKey { permissions }", by=secret
    )
    assert narrower == {"apiKey": {"permissions": ["api-keys.read"]}, "errors": []}
    document = "mutation ($input: UpdateApiKeyInput!) { updateApiKey(input: $input) { errors { code } } }"
    answer = await client.execute(document, {"input": {"id": own, "permissions": KEY_PERMISSIONS}}, by=secret)
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN", "a removed permission stays removed"


async def test_a_key_cannot_change_a_stronger_key_of_its_owner(client: Client, alice: Person) -> None:
    weak, _ = await new_key(client, alice, *KEY_PERMISSIONS)
    strong_secret, strong = await new_key(client, alice, *KEY_PERMISSIONS, "account.password", name="strong")
    for field, value in (
        ("rotateApiKey", {"id": strong}),
        ("deleteApiKey", {"id": strong}),
        ("updateApiKey", {"id": strong, "name": "mine"}),
        ("updateApiKey", {"id": strong, "permissions": []}),
    ):
        assert problems(await client.mutate(field, value, "", by=weak)) == [("NOT_ALLOWED", ["id"])]
    assert await client.data("{ me { id } }", by=strong_secret) == {"me": {"id": alice.id}}
    _, equal = await new_key(client, alice, *KEY_PERMISSIONS, name="equal")
    assert problems(await client.mutate("rotateApiKey", {"id": equal}, "", by=weak)) == []
    assert problems(await client.mutate("deleteApiKey", {"id": equal}, "", by=weak)) == []


@pytest.mark.parametrize(
    ("limit", "beyond", "within"),
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
async def test_a_limited_key_cannot_create_or_take_over_a_less_limited_one(
    client: Client, alice: Person, limit: dict[str, Any], beyond: list[dict[str, Any]], within: list[dict[str, Any]]
) -> None:
    secret, own = await new_key(client, alice, *KEY_PERMISSIONS, **limit)
    [field] = limit
    for number, value in enumerate(beyond):
        rejected = await client.mutate("createApiKey", {"name": f"child {number}", **value}, "secret", by=secret)
        assert (rejected["secret"], problems(rejected)) == (None, [("NOT_ALLOWED", [field])])
        changed = await client.mutate("updateApiKey", {"id": own, field: value.get(field)}, "", by=secret)
        assert problems(changed) == [("NOT_ALLOWED", [field])]
    _, unlimited = await new_key(client, alice, name="unlimited")
    taken = await client.mutate("rotateApiKey", {"id": unlimited, "graceSeconds": 60}, "secret", by=secret)
    assert (taken["secret"], problems(taken)) == (None, [("NOT_ALLOWED", ["id"])])
    for number, value in enumerate(within):
        created = await client.mutate("createApiKey", {"name": f"fine {number}", **value}, "", by=secret)
        assert created == {"errors": []}


async def test_a_rotated_secret_cannot_change_keys(client: Client, alice: Person) -> None:
    old, own = await new_key(client, alice, *KEY_PERMISSIONS)
    _, other = await new_key(client, alice, name="other")
    rotated = await client.mutate("rotateApiKey", {"id": own, "graceSeconds": 3600}, "secret", by=alice)
    rejection = {
        "errors": [{"code": "NOT_ALLOWED", "message": "This secret was rotated. Use the new one.", "field": None}]
    }
    calls: list[tuple[str, dict[str, Any]]] = [
        ("createApiKey", {"name": "child"}),
        ("updateApiKey", {"id": own, "expiresAt": None}),
        ("rotateApiKey", {"id": own, "graceSeconds": 3600}),
        ("rotateApiKey", {"id": other}),
        ("deleteApiKey", {"id": other}),
    ]
    for field, value in calls:
        assert await client.mutate(field, value, "", by=old) == rejection
    for field, value in calls:
        assert await client.mutate(field, value, "", by=rotated["secret"]) == {"errors": []}
        if (field, value) == calls[2]:
            break


async def test_keys_of_other_users_are_not_found(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    secret, key_id = await new_key(client, bob, "account.read")
    unknown = "01900000-0000-7000-8000-000000000000"
    for by, fields in (
        (alice, ("updateApiKey", "rotateApiKey", "deleteApiKey")),
        (admin, ("updateApiKey", "rotateApiKey")),
    ):
        for field in fields:
            answers = [await client.mutate(field, {"id": one}, "", by=by) for one in (key_id, unknown, bob.id)]
            assert answers == [{"errors": answers[0]["errors"]}] * 3
            assert problems(answers[0]) == [("NOT_FOUND", ["id"])]
    assert await client.data("{ me { email } }", by=secret) == {"me": {"email": "bob@roster.test"}}


async def test_an_administrator_deletes_keys_of_others_but_not_of_stronger_users(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    cleaner, _ = await new_key(client, admin, "users.credentials", name="cleaner")
    deleters: list[Person | str] = [admin, cleaner]
    for number, by in enumerate(deleters):
        secret, key_id = await new_key(client, alice, "account.read", name=f"leaked {number}")
        deleted = await client.mutate("deleteApiKey", {"id": key_id}, "deletedId", by=by)
        assert deleted == {"deletedId": key_id, "errors": []}
        assert (await client.execute("{ me { id } }", by=secret))["errors"][0]["extensions"] == {
            "code": "UNAUTHENTICATED"
        }
    _, strong = await new_key(client, root, "account.read")
    _, equal = await new_key(client, admin, "account.read", name="equal")
    attempts: list[tuple[str, Person | str]] = [(strong, admin), (strong, cleaner), (equal, cleaner)]
    for key_id, by in attempts:
        rejected = await client.mutate("deleteApiKey", {"id": key_id}, "deletedId", by=by)
        assert (rejected["deletedId"], problems(rejected)) == (None, [("NOT_ALLOWED", ["id"])])


async def test_a_key_has_the_server_permissions_that_it_lists(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    document = "query ($id: ID!) { server(id: $id) { myPermissions } }"
    owner, _ = await new_key(client, alice, "servers.read", "control.start", "user.read")
    assert await client.data(document, {"id": server_id}, by=owner) == {
        "server": {"myPermissions": ["control.start", "user.read"]}
    }
    invitation = {"serverId": server_id, "email": "bob@roster.test", "permissions": ["control.start", "file.read"]}
    await client.mutate("createSubuser", invitation, "", by=alice)
    member, _ = await new_key(client, bob, "servers.read", "file.read", "control.stop")
    assert await client.data(document, {"id": server_id}, by=member) == {"server": {"myPermissions": ["file.read"]}}


async def test_an_api_key_of_a_subuser_with_servers_read_reads_the_shared_server(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    created = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    server = created["server"]["id"]
    value = {"serverId": server, "email": "bob@roster.test", "permissions": ["control.console"]}
    assert (await client.mutate("createSubuser", value, "subuser { id }", by=alice))["errors"] == []
    key = await client.mutate("createApiKey", {"name": "k", "permissions": ["servers.read"]}, "secret", by=bob)
    found = await client.data(f'{{ server(id: "{server}") {{ id myPermissions }} }}', by=key["secret"])
    assert found == {"server": {"id": server, "myPermissions": []}}

"""No caller changes, suspends, or deletes a stronger user, or grants more than their own permissions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import PASSWORD, Client, Person

# Each mutation on a user, the field that names the target, and the rest of an input that changes something
ON_USERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "updateUser": ("users.update", "id", {"firstName": "X"}),
    "deleteUser": ("users.delete", "id", {}),
    "suspendUser": ("users.suspend", "id", {"reason": "x"}),
    "unsuspendUser": ("users.suspend", "id", {}),
    "setPassword": ("users.password", "userId", {"password": "a-quite-unusual-walrus-77"}),
    "changePlan": ("users.plan", "userId", {"planName": "gold"}),
}
TABLES = ("users", "credentials", "roles", "plans", "audit_events")


async def role(client: Client, by: Person, name: str, *permissions: str) -> str:
    """Return the id of a new role."""
    value = {"name": name, "permissions": permissions}
    return str((await client.mutate("createRole", value, "role { id }", by=by))["role"]["id"])


async def give(client: Client, by: Person, person: Person, role_id: str) -> None:
    """Give a user a role, which is in force from the next request on."""
    assert (await client.mutate("updateUser", {"id": person.id, "roleId": role_id}, "", by=by))["errors"] == []


async def key(client: Client, by: Person, *permissions: str, name: str = "narrow", **value: Any) -> str:
    """Return the secret of a new API key."""
    value |= {"name": name, "permissions": permissions}
    payload = await client.mutate("createApiKey", value, "secret", by=by)
    return str(payload["secret"])


async def contents(client: Client) -> list[list[str]]:
    """Return whole tables as text."""
    queries = [f"SELECT t::text FROM {table} t ORDER BY 1" for table in TABLES]  # noqa: S608
    return [[row[0] for row in await client.rows(query)] for query in queries]


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


@pytest.mark.parametrize("target", ["stronger", "other", "equal", "weaker"])
@pytest.mark.parametrize("field", ON_USERS)
async def test_a_permission_applies_only_to_users_who_are_not_stronger(
    client: Client, root: Person, alice: Person, bob: Person, *, field: str, target: str
) -> None:
    permission, name, value = ON_USERS[field]
    await client.mutate("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    roles = {
        "stronger": await role(client, root, "stronger", permission, "audit.read"),
        "other": await role(client, root, "other", "audit.read"),
        "equal": await role(client, root, "equal", permission),
        "weaker": await role(client, root, "weaker"),
    }
    await give(client, root, alice, roles["equal"])
    await give(client, root, bob, roles[target])
    if field == "unsuspendUser":
        await client.mutate("suspendUser", {"id": bob.id}, "user { id }", by=root)
    before = await contents(client)
    payload = await client.mutate(field, {name: bob.id} | value, "__typename", by=alice)
    if target in {"equal", "weaker"}:
        assert payload["errors"] == []
        assert await contents(client) != before
    else:
        assert problems(payload) == [("NOT_ALLOWED", [name])]
        assert payload["errors"][0]["message"] == "This user holds permissions that you do not hold."
        assert await contents(client) == before


async def test_missing_permissions_are_named_only_to_callers_who_may_read_roles(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    names = ("users.update", "roles.create", "roles.update")
    stronger = await role(client, root, "stronger", *names, "audit.read", "users.delete")
    await give(client, root, bob, stronger)
    calls: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("updateUser", {"id": bob.id, "firstName": "X"}, "This user holds permissions that you do not hold"),
        ("updateUser", {"id": alice.id, "roleId": stronger}, "This requires permissions that you do not hold"),
        (
            "createRole",
            {"name": "x", "permissions": ["users.delete", "audit.read"]},
            "This requires permissions that you do not hold",
        ),
        ("updateRole", {"id": stronger, "name": "x"}, "This role has permissions that you do not hold"),
    )
    for further, named in ((("roles.read",), ": audit.read, users.delete"), ((), "")):
        own = await role(client, root, f"own {len(further)}", *names, *further)
        await give(client, root, alice, own)
        for field, value, message in calls:
            payload = await client.mutate(field, value, "", by=alice)
            assert [error["message"] for error in payload["errors"]] == [f"{message}{named}."]


async def test_only_root_changes_root(client: Client, root: Person, admin: Person) -> None:
    await client.mutate("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    groot = {"username": "groot", "roleName": "ROOT"}
    root_id = (await client.mutate("createUser", groot, "user { id }", by=root))["user"]["id"]
    for field in ("updateUser", "setPassword", "changePlan", "suspendUser", "unsuspendUser", "deleteUser"):
        _, name, value = ON_USERS[field]
        before = await contents(client)
        rejected = await client.mutate(field, {name: root_id} | value, "__typename", by=admin)
        assert problems(rejected) == [("NOT_ALLOWED", [name])]
        assert await contents(client) == before
        assert (await client.mutate(field, {name: root_id} | value, "__typename", by=root))["errors"] == []


@pytest.mark.parametrize("owner", ["root", "adam"])
async def test_a_narrow_key_does_not_have_the_role_of_its_owner(
    client: Client, people: dict[str, Person], root: Person, alice: Person, owner: str
) -> None:
    await client.mutate("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    other_admin = {"username": "eve", "isAdmin": True}
    admin_id = (await client.mutate("createUser", other_admin, "user { id }", by=root))["user"]["id"]
    for field in ("updateUser", "setPassword", "changePlan", "suspendUser", "unsuspendUser", "deleteUser"):
        permission, name, value = ON_USERS[field]
        secret = await key(client, people[owner], permission, name=field)
        for target in (admin_id, people["root"].id, people["adam"].id):
            payload = await client.mutate(field, {name: target} | value, "__typename", by=secret)
            assert problems(payload) == [("NOT_ALLOWED", [name])]
        assert (await client.mutate(field, {name: alice.id} | value, "__typename", by=secret))["errors"] == []


@pytest.mark.parametrize("owner", ["root", "adam"])
async def test_a_narrow_key_promotes_no_user(
    client: Client, people: dict[str, Person], root: Person, alice: Person, owner: str
) -> None:
    staff_role = "00000000-0000-7000-8000-000000000002"
    secret = await key(client, people[owner], "users.update", "users.create")
    for value in ({"isAdmin": True}, {"roleId": staff_role}):
        (field,) = value
        payload = await client.mutate("updateUser", {"id": alice.id} | value, "user { id }", by=secret)
        assert problems(payload) == [("NOT_ALLOWED", [field])]
    for value in ({"isAdmin": True}, {"roleId": staff_role}, {"roleName": "root"}, {"roleName": "STAFF"}):
        (field,) = value
        payload = await client.mutate("createUser", {"username": "eve"} | value, "user { id }", by=secret)
        assert problems(payload) == [("NOT_ALLOWED", [field])]
    plain = await client.mutate("createUser", {"username": "eve", "roleName": "USER"}, "user { id }", by=secret)
    assert plain["errors"] == []


async def test_a_role_above_the_caller_cannot_be_granted_changed_or_deleted(
    client: Client, root: Person, alice: Person
) -> None:
    names = ("roles.create", "roles.delete", "roles.update", "users.create", "users.update")
    own = await role(client, root, "own", *names)
    above = await role(client, root, "above", *names, "users.delete")
    below = await role(client, root, "below", "roles.create")
    await give(client, root, alice, own)
    before = await contents(client)
    for field, value, path in (
        ("createUser", {"username": "eve", "roleId": above}, ["roleId"]),
        ("createUser", {"username": "eve", "roleName": "ABOVE"}, ["roleName"]),
        ("createUser", {"username": "eve", "isAdmin": True}, ["isAdmin"]),
        ("updateUser", {"id": alice.id, "roleId": above}, ["roleId"]),
        ("updateUser", {"id": alice.id, "isAdmin": True}, ["isAdmin"]),
        ("createRole", {"name": "new", "permissions": ["users.delete"]}, ["permissions"]),
        ("updateRole", {"id": own, "permissions": [*names, "users.delete"]}, ["permissions"]),
        ("updateRole", {"id": below, "permissions": ["users.delete"]}, ["permissions"]),
        ("updateRole", {"id": above, "permissions": []}, ["id"]),
        ("updateRole", {"id": above, "name": "mine"}, ["id"]),
        ("deleteRole", {"id": above}, ["id"]),
    ):
        payload = await client.mutate(field, value, "__typename", by=alice)
        assert problems(payload) == [("NOT_ALLOWED", path)]
    assert await contents(client) == before
    for field, value in (
        ("createUser", {"username": "eve", "roleId": below}),
        ("updateRole", {"id": below, "permissions": ["roles.update"]}),
        ("createRole", {"name": "new", "permissions": ["roles.delete"]}),
        ("updateUser", {"id": alice.id, "roleId": below}),
    ):
        assert (await client.mutate(field, value, "__typename", by=alice))["errors"] == []


async def test_users_update_alone_does_not_allow_setting_a_password(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await give(client, root, alice, await role(client, root, "editors", "users.update"))
    for password in ("a-quite-unusual-walrus-77", None):
        value = {"id": bob.id, "password": password}
        payload = await client.mutate("updateUser", value, "user { id }", by=alice)
        assert problems(payload) == [("NOT_ALLOWED", ["password"])]
    assert await client.data("{ me { username } }", by=bob) == {"me": {"username": "bob"}}
    await give(client, root, alice, await role(client, root, "helpers", "users.update", "users.password"))
    value = {"id": bob.id, "password": "a-quite-unusual-walrus-77"}
    assert (await client.mutate("updateUser", value, "user { id }", by=alice))["errors"] == []


@pytest.mark.parametrize("limit", [{"expiresAt": "2999-01-01T00:00:00Z"}, {"allowedIps": ["192.0.2.0/24"]}])
async def test_a_limited_key_cannot_grant_admin_permissions(
    client: Client, root: Person, alice: Person, bob: Person, limit: dict[str, Any]
) -> None:
    names = ("roles.create", "roles.update", "users.create", "users.password", "users.update")
    secret = await key(client, root, *names, **limit)
    helper = await role(client, root, "helper", "users.update")
    empty = await role(client, root, "empty")
    await give(client, root, bob, helper)
    password = "a-quite-unusual-walrus-77"
    grants, sets = (
        f"An API key that expires or is limited to networks cannot {action}."
        for action in ("grant admin permissions", "set passwords")
    )
    before = await contents(client)
    for field, value, path in (
        ("createUser", {"username": "eve", "roleId": helper}, "roleId"),
        ("createUser", {"username": "eve", "roleName": "HELPER"}, "roleName"),
        ("updateUser", {"id": alice.id, "roleId": helper}, "roleId"),
        ("updateUser", {"id": bob.id, "password": password}, "password"),
        ("setPassword", {"userId": bob.id, "password": password}, "userId"),
        ("setPassword", {"userId": alice.id, "password": password}, "userId"),
        ("createRole", {"name": "new", "permissions": ["users.update"]}, "permissions"),
        ("updateRole", {"id": empty, "permissions": ["users.update"]}, "permissions"),
    ):
        payload = await client.mutate(field, value, "", by=secret)
        message = sets if "password" in value else grants
        assert payload["errors"] == [{"code": "NOT_ALLOWED", "message": message, "field": [path]}]
    assert await contents(client) == before
    for field, value in (
        ("createUser", {"username": "eve", "roleId": empty}),
        ("updateUser", {"id": bob.id, "firstName": "Bob"}),
        ("createRole", {"name": "new", "permissions": []}),
        ("updateRole", {"id": helper, "permissions": []}),
    ):
        assert await client.mutate(field, value, "", by=secret) == {"errors": []}


async def test_an_administrator_cannot_create_a_root(client: Client, admin: Person, alice: Person) -> None:
    root_role = "00000000-0000-7000-8000-000000000004"
    for field, value in (
        ("createUser", {"username": "eve", "roleName": "ROOT"}),
        ("createUser", {"username": "eve", "roleId": root_role}),
        ("updateUser", {"id": alice.id, "roleId": root_role}),
        ("updateUser", {"id": admin.id, "roleId": root_role}),
    ):
        payload = await client.mutate(field, value, "user { id }", by=admin)
        assert [error["code"] for error in payload["errors"]] == ["NOT_ALLOWED"]


async def test_the_last_root_stays_root(client: Client, root: Person) -> None:
    before = await contents(client)
    for field, value in (
        ("deleteUser", {"id": root.id}),
        ("suspendUser", {"id": root.id}),
        ("updateUser", {"id": root.id, "isAdmin": False}),
        ("updateUser", {"id": root.id, "roleId": None}),
        ("updateUser", {"id": root.id, "roleId": "00000000-0000-7000-8000-000000000003"}),
    ):
        payload = await client.mutate(field, value, "__typename", by=root)
        assert [error["code"] for error in payload["errors"]] == ["NOT_ALLOWED"]
    assert await contents(client) == before
    suspended = {"username": "groot", "roleName": "ROOT", "password": PASSWORD}
    other = (await client.mutate("createUser", suspended, "user { id }", by=root))["user"]["id"]
    await client.mutate("suspendUser", {"id": other}, "user { id }", by=root)
    demoted = {"id": root.id, "isAdmin": False}
    assert (await client.mutate("updateUser", demoted, "user { id }", by=root))["errors"][0]["code"] == "NOT_ALLOWED"
    await client.mutate("unsuspendUser", {"id": other}, "user { id }", by=root)
    assert (await client.mutate("updateUser", demoted, "user { isAdmin }", by=root)) == {
        "user": {"isAdmin": False},
        "errors": [],
    }


async def test_nothing_is_changed_without_the_permission(client: Client, alice: Person, bob: Person) -> None:
    before = await contents(client)
    for field, value, permission in (
        *((field, {name: bob.id} | value, permission) for field, (permission, name, value) in ON_USERS.items()),
        ("createUser", {"username": "eve"}, "users.create"),
        ("createRole", {"name": "r", "permissions": []}, "roles.create"),
        ("updateRole", {"id": bob.id}, "roles.update"),
        ("deleteRole", {"id": bob.id}, "roles.delete"),
        ("createPlan", {"name": "p", "tier": "FREE"}, "plans.create"),
        ("updatePlan", {"id": bob.id}, "plans.update"),
        ("deletePlan", {"id": bob.id}, "plans.delete"),
    ):
        input_type = "UserIdInput" if field == "unsuspendUser" else f"{field[0].upper()}{field[1:]}Input"
        document = f"mutation ($input: {input_type}!) {{ {field}(input: $input) {{ errors {{ code }} }} }}"
        answers = [await client.execute(document, {"input": value}, by=by) for by in (alice, None)]
        assert [answer["errors"][0]["extensions"] for answer in answers] == [
            {"code": "FORBIDDEN", "permission": permission},
            {"code": "UNAUTHENTICATED"},
        ]
    assert await contents(client) == before

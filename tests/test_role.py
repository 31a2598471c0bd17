"""Roles: the four built-in roles, and roles that operators create from admin permissions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, Person

ROLE = "role { name description builtin permissions requireTwoFactor }"
BUILTIN = {
    name: f"00000000-0000-7000-8000-00000000000{n}" for n, name in enumerate(("USER", "STAFF", "ADMIN", "ROOT"), 1)
}
UNKNOWN = "00000000-0000-7000-8000-00000000ffff"
OF_STAFF = ["audit.read", "roles.read", "servers.read", "users.read", "users.sessions", "users.suspend"]


async def create_role(client: Client, by: Person, **value: Any) -> str:
    """Create a role, and return the id."""
    payload = await client.mutate("createRole", {"name": "helpers", "permissions": []} | value, "role { id }", by=by)
    assert payload["errors"] == []
    return str(payload["role"]["id"])


async def admin_permissions(client: Client) -> list[str]:
    """Return the permissions of the catalogue that a role can have."""
    found = await client.data("{ permissionCatalog(kind: ADMIN) { name } }")
    return sorted(entry["name"] for entry in found["permissionCatalog"])


async def test_four_roles_are_built_in(client: Client, staff: Person) -> None:
    found = await client.data("{ roles { id name builtin permissions requireTwoFactor } }", by=staff)
    everything = await admin_permissions(client)
    held = {"USER": [], "STAFF": OF_STAFF, "ADMIN": everything, "ROOT": everything}
    assert found["roles"] == [
        {"id": BUILTIN[name], "name": name, "builtin": True, "permissions": held[name], "requireTwoFactor": False}
        for name in BUILTIN
    ]


@pytest.mark.parametrize(("name", "admin"), [("USER", False), ("STAFF", False), ("ADMIN", True), ("ROOT", True)])
async def test_a_user_shows_the_permissions_of_the_role(
    client: Client, root: Person, name: str, *, admin: bool
) -> None:
    value = {"username": "carol", "roleName": name.lower()}
    payload = await client.mutate("createUser", value, "user { role { id name } isAdmin permissions }", by=root)
    user = payload["user"]
    assert (user["role"], user["isAdmin"]) == ({"id": BUILTIN[name], "name": name}, admin)
    account = {
        entry["name"]
        for entry in (await client.data("{ permissionCatalog(kind: ACCOUNT) { name } }"))["permissionCatalog"]
    }
    held = {"USER": [], "STAFF": OF_STAFF}.get(name, await admin_permissions(client))
    assert user["permissions"] == sorted({*held, *account})


async def test_is_admin_grants_and_withdraws_the_built_in_role(client: Client, root: Person, alice: Person) -> None:
    custom = await create_role(client, root)
    selection = "user { role { name } isAdmin }"
    for value, name, is_admin in (
        ({"isAdmin": True}, "ADMIN", True),
        ({"isAdmin": True}, "ADMIN", True),
        ({"isAdmin": False}, "USER", False),
        ({"roleId": custom}, "helpers", False),
        ({"isAdmin": False}, "helpers", False),
        ({"roleId": BUILTIN["STAFF"]}, "STAFF", False),
        ({"roleId": BUILTIN["ROOT"]}, "ROOT", True),
        ({"isAdmin": True}, "ROOT", True),
        ({"isAdmin": None}, "ROOT", True),
        ({"isAdmin": False}, "USER", False),
    ):
        payload = await client.mutate("updateUser", {"id": alice.id} | value, selection, by=root)
        assert payload == {"user": {"role": {"name": name}, "isAdmin": is_admin}, "errors": []}


async def test_a_role_is_created_changed_and_deleted(client: Client, admin: Person) -> None:
    value = {"name": "Helpers", "description": "First\nline", "permissions": ["users.read", "audit.read", "users.read"]}
    payload = await client.mutate("createRole", value | {"requireTwoFactor": False}, f"{ROLE[:-1]} id }}", by=admin)
    role_id = payload["role"].pop("id")
    expected = value | {"permissions": ["audit.read", "users.read"], "requireTwoFactor": False, "builtin": False}
    assert payload == {"role": expected, "errors": []}
    change = {"id": role_id, "name": "Supporters", "permissions": ["users.suspend"]}
    changed = await client.mutate("updateRole", change, ROLE, by=admin)
    assert changed == {"role": expected | {"name": "Supporters", "permissions": ["users.suspend"]}, "errors": []}
    found = await client.data("query ($id: ID!) { node(id: $id) { ... on Role { name } } }", {"id": role_id}, by=admin)
    assert found == {"node": {"name": "Supporters"}}
    deleted = await client.mutate("deleteRole", {"id": role_id}, "deletedId", by=admin)
    assert deleted == {"deletedId": role_id, "errors": []}
    assert [role["name"] for role in (await client.data("{ roles { name } }", by=admin))["roles"]] == list(BUILTIN)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"description": None}, {"description": None}),
        ({"description": ""}, {"description": None}),
        ({"permissions": None}, {"permissions": []}),
        ({"permissions": []}, {"permissions": []}),
        ({"requireTwoFactor": False}, {"requireTwoFactor": False}),
    ],
)
async def test_null_clears_one_field_and_absent_keeps_the_others(
    client: Client, admin: Person, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    value = {"name": "helpers", "description": "d", "permissions": ["users.read"], "requireTwoFactor": False}
    role_id = await create_role(client, admin, **value)
    payload = await client.mutate("updateRole", {"id": role_id} | change, ROLE, by=admin)
    assert payload == {"role": value | {"builtin": False} | expected, "errors": []}


async def test_a_wrong_value_is_reported_with_its_field(client: Client, admin: Person) -> None:
    await create_role(client, admin)
    other = await create_role(client, admin, name="others")
    table: list[tuple[dict[str, Any], list[tuple[str, list[str]]]]] = [
        ({"name": ""}, [("REQUIRED", ["name"])]),
        ({"name": "\t \n"}, [("REQUIRED", ["name"])]),
        ({"name": "x" * 256}, [("TOO_LONG", ["name"])]),
        ({"name": "a\u0085b"}, [("INVALID", ["name"])]),
        ({"name": "HELPERS"}, [("TAKEN", ["name"])]),
        ({"name": "root"}, [("TAKEN", ["name"])]),
        ({"description": "x" * 1025, "name": ""}, [("REQUIRED", ["name"]), ("TOO_LONG", ["description"])]),
        ({"permissions": ["users.read"] * 201}, [("TOO_LONG", ["permissions"])]),
        (
            {"permissions": ["users.read", "account.read", "control.start"], "name": "a\u202eb"},
            [("INVALID", ["name"]), ("INVALID", ["permissions", "1"]), ("INVALID", ["permissions", "2"])],
        ),
        ({"name": "a\u200db", "description": "\u200b"}, [("INVALID", ["name"]), ("INVALID", ["description"])]),
    ]
    for change, expected in table:
        for field, value in (
            ("createRole", {"name": "third", "permissions": []} | change),
            ("updateRole", {"id": other} | change),
        ):
            payload = await client.mutate(field, value, "role { id }", by=admin)
            assert payload["role"] is None
            assert [(error["code"], error["field"]) for error in payload["errors"]] == expected
    assert len((await client.data("{ roles { id } }", by=admin))["roles"]) == 6


async def test_an_unknown_permission_rejects_the_request(client: Client, root: Person) -> None:
    document = "mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } } }"
    for name in (
        "users.raed",
        "*",
        "users.*",
        "",
        "USERS.READ",
        " users.read",
        "\u202eusers.read",
        "users.undelete",
    ):
        value = {"name": "helpers", "permissions": ["users.read", name]}
        answer = await client.execute(document, {"input": value}, by=root)
        assert "data" not in answer
        message = "Unknown permission; permissionCatalog lists all of them."
        problem = {"path": ["input", "permissions", 1], "message": message}
        assert [error["extensions"] for error in answer["errors"]] == [
            {"code": "BAD_USER_INPUT", "problems": [problem]}
        ]


async def test_a_role_may_require_a_second_factor(client: Client, root: Person) -> None:
    value = {"name": "guarded", "permissions": [], "requireTwoFactor": True}
    role = (await client.mutate("createRole", value, "role { id requireTwoFactor }", by=root))["role"]
    assert role["requireTwoFactor"] is True
    payload = await client.mutate("updateRole", {"id": role["id"], "name": "x"}, "role { requireTwoFactor }", by=root)
    assert payload == {"role": {"requireTwoFactor": True}, "errors": []}
    value = {"id": role["id"], "requireTwoFactor": False}
    payload = await client.mutate("updateRole", value, "role { requireTwoFactor }", by=root)
    assert payload == {"role": {"requireTwoFactor": False}, "errors": []}
    listed = await client.data("{ roles { name requireTwoFactor } }", by=root)
    assert listed["roles"] == [{"name": name, "requireTwoFactor": False} for name in (*BUILTIN, "x")]


@pytest.mark.parametrize("name", ["name", "requireTwoFactor"])
async def test_what_a_role_must_have_cannot_be_removed(client: Client, admin: Person, name: str) -> None:
    value = {"id": await create_role(client, admin), name: None}
    payload = await client.mutate("updateRole", value, "role { id }", by=admin)
    error = {"code": "REQUIRED", "message": f"{name} cannot be removed.", "field": [name]}
    assert payload == {"role": None, "errors": [error]}


@pytest.mark.parametrize("name", BUILTIN)
async def test_a_built_in_role_is_neither_changed_nor_deleted(client: Client, root: Person, name: str) -> None:
    for field, value in (
        ("updateRole", {"id": BUILTIN[name], "description": "x"}),
        ("updateRole", {"id": BUILTIN[name], "permissions": []}),
        ("deleteRole", {"id": BUILTIN[name]}),
    ):
        payload = await client.mutate(field, value, "__typename", by=root)
        error = {"code": "NOT_ALLOWED", "message": "Built-in roles cannot be changed.", "field": ["id"]}
        assert payload["errors"] == [error]


async def test_a_role_that_does_not_exist_is_not_found(client: Client, admin: Person, bob: Person) -> None:
    for field, value, path in (
        ("updateRole", {"id": UNKNOWN, "name": "x"}, ["id"]),
        ("deleteRole", {"id": UNKNOWN}, ["id"]),
        ("deleteRole", {"id": bob.id}, ["id"]),
        ("createUser", {"username": "carol", "roleId": UNKNOWN}, ["roleId"]),
        ("createUser", {"username": "carol", "roleName": "STAF_"}, ["roleName"]),
        ("updateUser", {"id": bob.id, "roleId": UNKNOWN}, ["roleId"]),
        ("updateUser", {"id": bob.id, "roleName": "STAF_"}, ["roleName"]),
    ):
        payload = await client.mutate(field, value, "__typename", by=admin)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_FOUND", path)]


async def test_a_role_is_given_by_one_key_only(client: Client, admin: Person, bob: Person) -> None:
    for name, value, field in (
        ("createUser", {"username": "carol", "roleId": BUILTIN["STAFF"], "roleName": "STAFF"}, "roleName"),
        ("createUser", {"username": "carol", "roleName": "STAFF", "isAdmin": True}, "isAdmin"),
        ("updateUser", {"id": bob.id, "roleId": None, "isAdmin": True}, "isAdmin"),
        ("updateUser", {"id": bob.id, "roleId": BUILTIN["STAFF"], "roleName": "STAFF"}, "roleName"),
        ("updateUser", {"id": bob.id, "roleName": None, "isAdmin": False}, "isAdmin"),
    ):
        payload = await client.mutate(name, value, "user { id }", by=admin)
        message = "Give only one of roleId, roleName, and isAdmin."
        assert payload == {"user": None, "errors": [{"code": "INVALID", "message": message, "field": [field]}]}


async def test_update_user_changes_the_role_by_its_name(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    await create_role(client, root, name="Help Desk", permissions=["users.read"])
    selection = "user { role { name } isAdmin tier }"
    for name, role, is_admin in (
        ("staff", "STAFF", False),
        (" HELP\u00a0 desk\t", "Help Desk", False),
        ("Admin", "ADMIN", True),
        (None, "USER", False),
    ):
        payload = await client.mutate("updateUser", {"id": bob.id, "roleName": name}, selection, by=admin)
        assert payload == {"user": {"role": {"name": role}, "isAdmin": is_admin, "tier": "FREE"}, "errors": []}
    payload = await client.mutate("updateUser", {"id": bob.id, "roleName": "root"}, selection, by=admin)
    assert payload["user"] is None
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", ["roleName"])]
    error = {"code": "NOT_ALLOWED", "message": "There would be no other root account.", "field": ["roleName"]}
    for name in ("USER", None):
        payload = await client.mutate("updateUser", {"id": root.id, "roleName": name}, "user { id }", by=root)
        assert payload == {"user": None, "errors": [error]}


async def test_a_role_is_not_deleted_while_a_user_has_it(client: Client, admin: Person, bob: Person) -> None:
    role_id = await create_role(client, admin)
    await client.mutate("updateUser", {"id": bob.id, "roleId": role_id}, "user { id }", by=admin)
    rejected = await client.mutate("deleteRole", {"id": role_id}, "deletedId", by=admin)
    error = {"code": "IN_USE", "message": "Users have this role.", "field": ["id"]}
    assert rejected == {"deletedId": None, "errors": [error]}
    await client.mutate("updateUser", {"id": bob.id, "roleId": None}, "user { id }", by=admin)
    assert (await client.mutate("deleteRole", {"id": role_id}, "deletedId", by=admin))["errors"] == []


async def test_a_changed_role_applies_from_the_next_request_on(client: Client, admin: Person, bob: Person) -> None:
    role_id = await create_role(client, admin, permissions=["users.read"])
    listed = "{ users { totalCount } }"
    assert (await client.execute(listed, by=bob))["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    await client.mutate("updateUser", {"id": bob.id, "roleId": role_id}, "user { id }", by=admin)
    assert await client.data(listed, by=bob) == {"users": {"totalCount": 5}}
    await client.mutate("updateRole", {"id": role_id, "permissions": []}, "role { id }", by=admin)
    assert (await client.execute(listed, by=bob))["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_user_sees_their_own_role_and_no_other(client: Client, alice: Person) -> None:
    assert await client.data("{ me { role { name permissions } } }", by=alice) == {
        "me": {"role": {"name": "USER", "permissions": []}}
    }
    node = "query ($id: ID!) { node(id: $id) { ... on Role { name } } }"
    assert await client.data(node, {"id": BUILTIN["USER"]}, by=alice) == {"node": {"name": "USER"}}
    assert await client.data(node, {"id": BUILTIN["ADMIN"]}, by=alice) == {"node": None}

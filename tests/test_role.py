"""Roles: the built-in four, and those that an operator makes of admin permissions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Door, Person

ROLE = "role { name description builtin permissions requireTwoFactor }"
BUILTIN = {
    name: f"00000000-0000-7000-8000-00000000000{n}" for n, name in enumerate(("USER", "STAFF", "ADMIN", "ROOT"), 1)
}
NOWHERE = "00000000-0000-7000-8000-00000000ffff"
STAFF_HOLDS = ["audit.read", "ips.read", "roles.read", "servers.read", "users.read", "users.sessions", "users.suspend"]


async def made(door: Door, by: Person, **value: Any) -> str:
    """The id of a new role."""
    payload = await door.change("createRole", {"name": "helpers", "permissions": []} | value, "role { id }", by=by)
    assert payload["errors"] == []
    return str(payload["role"]["id"])


async def admin_permissions(door: Door) -> list[str]:
    """Every name of the catalogue that a role can hold."""
    found = await door.data("{ permissionCatalog(kind: ADMIN) { name } }")
    return sorted(entry["name"] for entry in found["permissionCatalog"])


async def test_four_roles_are_built_in(door: Door, staff: Person) -> None:
    found = await door.data("{ roles { id name builtin permissions requireTwoFactor } }", by=staff)
    everything = await admin_permissions(door)
    held = {"USER": [], "STAFF": STAFF_HOLDS, "ADMIN": everything, "ROOT": everything}
    assert found["roles"] == [
        {"id": BUILTIN[name], "name": name, "builtin": True, "permissions": held[name], "requireTwoFactor": False}
        for name in BUILTIN
    ]


@pytest.mark.parametrize(("name", "admin"), [("USER", False), ("STAFF", False), ("ADMIN", True), ("ROOT", True)])
async def test_an_account_shows_what_its_role_makes_of_it(door: Door, root: Person, name: str, *, admin: bool) -> None:
    value = {"username": "carol", "roleName": name.lower()}
    payload = await door.change("createUser", value, "user { role { id name } isAdmin permissions }", by=root)
    user = payload["user"]
    assert (user["role"], user["isAdmin"]) == ({"id": BUILTIN[name], "name": name}, admin)
    account = {
        entry["name"]
        for entry in (await door.data("{ permissionCatalog(kind: ACCOUNT) { name } }"))["permissionCatalog"]
    }
    held = {"USER": [], "STAFF": STAFF_HOLDS}.get(name, await admin_permissions(door))
    assert user["permissions"] == sorted({*held, *account})


async def test_is_admin_gives_and_takes_the_built_in_role(door: Door, root: Person, alice: Person) -> None:
    custom = await made(door, root)
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
        ({"isAdmin": None}, "USER", False),
    ):
        payload = await door.change("updateUser", {"id": alice.id} | value, selection, by=root)
        assert payload == {"user": {"role": {"name": name}, "isAdmin": is_admin}, "errors": []}


async def test_a_role_is_created_changed_and_deleted(door: Door, admin: Person) -> None:
    value = {"name": "Helpers", "description": "First\nline", "permissions": ["users.read", "audit.read", "users.read"]}
    payload = await door.change("createRole", value | {"requireTwoFactor": True}, f"{ROLE[:-1]} id }}", by=admin)
    role_id = payload["role"].pop("id")
    expected = value | {"permissions": ["audit.read", "users.read"], "requireTwoFactor": True, "builtin": False}
    assert payload == {"role": expected, "errors": []}
    change = {"id": role_id, "name": "Supporters", "permissions": ["users.suspend"]}
    changed = await door.change("updateRole", change, ROLE, by=admin)
    assert changed == {"role": expected | {"name": "Supporters", "permissions": ["users.suspend"]}, "errors": []}
    found = await door.data("query ($id: ID!) { node(id: $id) { ... on Role { name } } }", {"id": role_id}, by=admin)
    assert found == {"node": {"name": "Supporters"}}
    gone = await door.change("deleteRole", {"id": role_id}, "deletedId", by=admin)
    assert gone == {"deletedId": role_id, "errors": []}
    assert [role["name"] for role in (await door.data("{ roles { name } }", by=admin))["roles"]] == list(BUILTIN)


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
    door: Door, admin: Person, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    value = {"name": "helpers", "description": "d", "permissions": ["users.read"], "requireTwoFactor": True}
    role_id = await made(door, admin, **value)
    payload = await door.change("updateRole", {"id": role_id} | change, ROLE, by=admin)
    assert payload == {"role": value | {"builtin": False} | expected, "errors": []}


async def test_a_wrong_input_is_refused_with_its_field(door: Door, admin: Person) -> None:
    await made(door, admin)
    other = await made(door, admin, name="others")
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
            {"permissions": ["users.read", "account.read", "control.start"]},
            [("INVALID", ["permissions", "1"]), ("INVALID", ["permissions", "2"])],
        ),
    ]
    for change, expected in table:
        for field, value in (
            ("createRole", {"name": "third", "permissions": []} | change),
            ("updateRole", {"id": other} | change),
        ):
            payload = await door.change(field, value, "role { id }", by=admin)
            assert payload["role"] is None
            assert [(error["code"], error["field"]) for error in payload["errors"]] == expected
    assert len((await door.data("{ roles { id } }", by=admin))["roles"]) == 6


async def test_an_unknown_permission_is_refused(door: Door, root: Person) -> None:
    document = "mutation ($input: CreateRoleInput!) { createRole(input: $input) { role { id } } }"
    for name in ("users.raed", "*", "users.*", "", "USERS.READ", " users.read", "\u202eusers.read"):
        answer = await door.ask(document, {"input": {"name": "helpers", "permissions": [name]}}, by=root)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert "data" not in answer


@pytest.mark.parametrize("name", ["name", "requireTwoFactor"])
async def test_what_a_role_must_have_is_not_cleared(door: Door, admin: Person, name: str) -> None:
    value = {"id": await made(door, admin), name: None}
    payload = await door.change("updateRole", value, "role { id }", by=admin)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("REQUIRED", [name])]


@pytest.mark.parametrize("name", BUILTIN)
async def test_a_built_in_role_is_neither_changed_nor_deleted(door: Door, root: Person, name: str) -> None:
    for field, value in (
        ("updateRole", {"id": BUILTIN[name], "description": "x"}),
        ("updateRole", {"id": BUILTIN[name], "permissions": []}),
        ("deleteRole", {"id": BUILTIN[name]}),
    ):
        payload = await door.change(field, value, "__typename", by=root)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", ["id"])]


async def test_a_role_that_is_not_there_is_not_found(door: Door, admin: Person, bob: Person) -> None:
    for field, value, path in (
        ("updateRole", {"id": NOWHERE, "name": "x"}, ["id"]),
        ("deleteRole", {"id": NOWHERE}, ["id"]),
        ("deleteRole", {"id": bob.id}, ["id"]),
        ("createUser", {"username": "carol", "roleId": NOWHERE}, ["roleId"]),
        ("createUser", {"username": "carol", "roleName": "STAF_"}, ["roleName"]),
        ("updateUser", {"id": bob.id, "roleId": NOWHERE}, ["roleId"]),
    ):
        payload = await door.change(field, value, "__typename", by=admin)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_FOUND", path)]


async def test_a_role_is_asked_for_in_one_way_only(door: Door, admin: Person, bob: Person) -> None:
    for field, value in (
        ("createUser", {"username": "carol", "roleId": BUILTIN["STAFF"], "roleName": "STAFF"}),
        ("createUser", {"username": "carol", "roleName": "STAFF", "isAdmin": True}),
        ("updateUser", {"id": bob.id, "roleId": None, "isAdmin": True}),
    ):
        payload = await door.change(field, value, "user { id }", by=admin)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("INVALID", ["roleId"])]


async def test_a_role_is_not_deleted_while_somebody_has_it(door: Door, admin: Person, bob: Person) -> None:
    role_id = await made(door, admin)
    await door.change("updateUser", {"id": bob.id, "roleId": role_id}, "user { id }", by=admin)
    refused = await door.change("deleteRole", {"id": role_id}, "deletedId", by=admin)
    assert refused["deletedId"] is None
    assert [(error["code"], error["field"]) for error in refused["errors"]] == [("IN_USE", ["id"])]
    await door.change("updateUser", {"id": bob.id, "roleId": None}, "user { id }", by=admin)
    assert (await door.change("deleteRole", {"id": role_id}, "deletedId", by=admin))["errors"] == []


async def test_a_changed_role_counts_from_the_next_request_on(door: Door, admin: Person, bob: Person) -> None:
    role_id = await made(door, admin, permissions=["users.read"])
    listed = "{ users { totalCount } }"
    assert (await door.ask(listed, by=bob))["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    await door.change("updateUser", {"id": bob.id, "roleId": role_id}, "user { id }", by=admin)
    assert await door.data(listed, by=bob) == {"users": {"totalCount": 5}}
    await door.change("updateRole", {"id": role_id, "permissions": []}, "role { id }", by=admin)
    assert (await door.ask(listed, by=bob))["errors"][0]["extensions"]["code"] == "FORBIDDEN"


async def test_a_person_sees_their_own_role_and_no_other(door: Door, alice: Person) -> None:
    assert await door.data("{ me { role { name permissions } } }", by=alice) == {
        "me": {"role": {"name": "USER", "permissions": []}}
    }
    node = "query ($id: ID!) { node(id: $id) { ... on Role { name } } }"
    assert await door.data(node, {"id": BUILTIN["USER"]}, by=alice) == {"node": {"name": "USER"}}
    assert await door.data(node, {"id": BUILTIN["ADMIN"]}, by=alice) == {"node": None}

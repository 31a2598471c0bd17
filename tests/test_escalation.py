"""Nobody changes, suspends, deletes or grants above what they hold, whatever the way they come in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import PASSWORD, Door, Person

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


async def role(door: Door, by: Person, name: str, *permissions: str) -> str:
    """The id of a new role."""
    value = {"name": name, "permissions": permissions}
    return str((await door.change("createRole", value, "role { id }", by=by))["role"]["id"])


async def give(door: Door, by: Person, person: Person, role_id: str) -> None:
    """Gives a role; whoever is signed in holds it from the next request on."""
    assert (await door.change("updateUser", {"id": person.id, "roleId": role_id}, "user { id }", by=by))["errors"] == []


async def key(door: Door, by: Person, *permissions: str, name: str = "narrow") -> str:
    """The secret of a new API key."""
    payload = await door.change("createApiKey", {"name": name, "permissions": permissions}, "secret", by=by)
    return str(payload["secret"])


async def contents(door: Door) -> list[list[str]]:
    """Whole tables, as text."""
    return [[row[0] for row in await door.rows(f"SELECT t::text FROM {t} t ORDER BY 1")] for t in TABLES]  # noqa: S608


@pytest.mark.parametrize("target", ["stronger", "other", "equal", "weaker"])
@pytest.mark.parametrize("field", ON_USERS)
async def test_a_permission_reaches_only_those_who_hold_no_more(
    door: Door, root: Person, alice: Person, bob: Person, *, field: str, target: str
) -> None:
    permission, name, value = ON_USERS[field]
    await door.change("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    roles = {
        "stronger": await role(door, root, "stronger", permission, "audit.read"),
        "other": await role(door, root, "other", "audit.read"),
        "equal": await role(door, root, "equal", permission),
        "weaker": await role(door, root, "weaker"),
    }
    await give(door, root, alice, roles["equal"])
    await give(door, root, bob, roles[target])
    if field == "unsuspendUser":
        await door.change("suspendUser", {"id": bob.id}, "user { id }", by=root)
    before = await contents(door)
    payload = await door.change(field, {name: bob.id} | value, "__typename", by=alice)
    if target in {"equal", "weaker"}:
        assert payload["errors"] == []
        assert await contents(door) != before
    else:
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", [name])]
        assert "audit.read" in payload["errors"][0]["message"]
        assert await contents(door) == before


async def test_only_root_touches_root(door: Door, root: Person, admin: Person) -> None:
    await door.change("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    groot = {"username": "groot", "roleName": "ROOT"}
    root_id = (await door.change("createUser", groot, "user { id }", by=root))["user"]["id"]
    for field in ("updateUser", "setPassword", "changePlan", "suspendUser", "unsuspendUser", "deleteUser"):
        _, name, value = ON_USERS[field]
        before = await contents(door)
        refused = await door.change(field, {name: root_id} | value, "__typename", by=admin)
        assert [(error["code"], error["field"]) for error in refused["errors"]] == [("NOT_ALLOWED", [name])]
        assert await contents(door) == before
        assert (await door.change(field, {name: root_id} | value, "__typename", by=root))["errors"] == []


@pytest.mark.parametrize("owner", ["root", "adam"])
async def test_a_narrow_key_does_not_lend_the_role_of_its_owner(
    door: Door, people: dict[str, Person], root: Person, alice: Person, owner: str
) -> None:
    await door.change("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    other_admin = {"username": "eve", "isAdmin": True}
    admin_id = (await door.change("createUser", other_admin, "user { id }", by=root))["user"]["id"]
    for field in ("updateUser", "setPassword", "changePlan", "suspendUser", "unsuspendUser", "deleteUser"):
        permission, name, value = ON_USERS[field]
        secret = await key(door, people[owner], permission, name=field)
        for target in (admin_id, people["root"].id, people["adam"].id):
            payload = await door.change(field, {name: target} | value, "__typename", by=secret)
            assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", [name])]
        assert (await door.change(field, {name: alice.id} | value, "__typename", by=secret))["errors"] == []


@pytest.mark.parametrize("owner", ["root", "adam"])
async def test_a_narrow_key_promotes_nobody(
    door: Door, people: dict[str, Person], root: Person, alice: Person, owner: str
) -> None:
    staff_role = "00000000-0000-7000-8000-000000000002"
    secret = await key(door, people[owner], "users.update", "users.create")
    for value in ({"isAdmin": True}, {"roleId": staff_role}):
        (field,) = value
        payload = await door.change("updateUser", {"id": alice.id} | value, "user { id }", by=secret)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", [field])]
    for value in ({"isAdmin": True}, {"roleId": staff_role}, {"roleName": "root"}, {"roleName": "STAFF"}):
        (field,) = value
        payload = await door.change("createUser", {"username": "eve"} | value, "user { id }", by=secret)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", [field])]
    plain = await door.change("createUser", {"username": "eve", "roleName": "USER"}, "user { id }", by=secret)
    assert plain["errors"] == []


async def test_a_role_above_the_caller_is_not_given_changed_or_deleted(door: Door, root: Person, alice: Person) -> None:
    names = ("roles.create", "roles.delete", "roles.update", "users.create", "users.update")
    own = await role(door, root, "own", *names)
    above = await role(door, root, "above", *names, "users.delete")
    below = await role(door, root, "below", "roles.create")
    await give(door, root, alice, own)
    before = await contents(door)
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
        payload = await door.change(field, value, "__typename", by=alice)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", path)]
    assert await contents(door) == before
    for field, value in (
        ("createUser", {"username": "eve", "roleId": below}),
        ("updateRole", {"id": below, "permissions": ["roles.update"]}),
        ("createRole", {"name": "new", "permissions": ["roles.delete"]}),
        ("updateUser", {"id": alice.id, "roleId": below}),
    ):
        assert (await door.change(field, value, "__typename", by=alice))["errors"] == []


async def test_a_password_is_not_set_by_who_may_only_change_accounts(
    door: Door, root: Person, alice: Person, bob: Person
) -> None:
    await give(door, root, alice, await role(door, root, "editors", "users.update"))
    for password in ("a-quite-unusual-walrus-77", None):
        value = {"id": bob.id, "password": password}
        payload = await door.change("updateUser", value, "user { id }", by=alice)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", ["password"])]
    assert await door.data("{ me { username } }", by=bob) == {"me": {"username": "bob"}}
    await give(door, root, alice, await role(door, root, "helpers", "users.update", "users.password"))
    value = {"id": bob.id, "password": "a-quite-unusual-walrus-77"}
    assert (await door.change("updateUser", value, "user { id }", by=alice))["errors"] == []


async def test_an_administrator_does_not_make_a_root(door: Door, admin: Person, alice: Person) -> None:
    root_role = "00000000-0000-7000-8000-000000000004"
    for field, value in (
        ("createUser", {"username": "eve", "roleName": "ROOT"}),
        ("createUser", {"username": "eve", "roleId": root_role}),
        ("updateUser", {"id": alice.id, "roleId": root_role}),
        ("updateUser", {"id": admin.id, "roleId": root_role}),
    ):
        payload = await door.change(field, value, "user { id }", by=admin)
        assert [error["code"] for error in payload["errors"]] == ["NOT_ALLOWED"]


async def test_the_last_root_stays_root(door: Door, root: Person) -> None:
    before = await contents(door)
    for field, value in (
        ("deleteUser", {"id": root.id}),
        ("suspendUser", {"id": root.id}),
        ("updateUser", {"id": root.id, "isAdmin": False}),
        ("updateUser", {"id": root.id, "roleId": None}),
        ("updateUser", {"id": root.id, "roleId": "00000000-0000-7000-8000-000000000003"}),
    ):
        payload = await door.change(field, value, "__typename", by=root)
        assert [error["code"] for error in payload["errors"]] == ["NOT_ALLOWED"]
    assert await contents(door) == before
    suspended = {"username": "groot", "roleName": "ROOT", "password": PASSWORD}
    other = (await door.change("createUser", suspended, "user { id }", by=root))["user"]["id"]
    await door.change("suspendUser", {"id": other}, "user { id }", by=root)
    demoted = {"id": root.id, "isAdmin": False}
    assert (await door.change("updateUser", demoted, "user { id }", by=root))["errors"][0]["code"] == "NOT_ALLOWED"
    await door.change("unsuspendUser", {"id": other}, "user { id }", by=root)
    assert (await door.change("updateUser", demoted, "user { isAdmin }", by=root)) == {
        "user": {"isAdmin": False},
        "errors": [],
    }


async def test_without_the_permission_nothing_is_done(door: Door, alice: Person, bob: Person) -> None:
    before = await contents(door)
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
        answers = [await door.ask(document, {"input": value}, by=by) for by in (alice, None)]
        assert [answer["errors"][0]["extensions"] for answer in answers] == [
            {"code": "FORBIDDEN", "permission": permission},
            {"code": "UNAUTHENTICATED"},
        ]
    assert await contents(door) == before

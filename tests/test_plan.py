"""Plans: creation, changes, deletion, the default plan, and the plan of a user."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, Person

LIMITS = (
    *("memoryMb", "diskMb", "cpuPercent", "servers", "databases"),
    *("backups", "websites", "domains", "emails", "ports"),
)
PLAN = f"plan {{ name description tier isDefault limits {{ {' '.join(LIMITS)} }} }}"
UNLIMITED = dict.fromkeys(LIMITS)
UNKNOWN = "00000000-0000-7000-8000-00000000ffff"


async def create_plan(client: Client, by: Person, **value: Any) -> str:
    """Create a plan, and return the id."""
    payload = await client.mutate("createPlan", {"name": "gold", "tier": "PAID"} | value, "plan { id }", by=by)
    assert payload["errors"] == []
    return str(payload["plan"]["id"])


async def test_a_plan_is_created_listed_changed_and_deleted(client: Client, admin: Person) -> None:
    limits = {name: number for number, name in enumerate(LIMITS)}
    value = {"name": "Gold", "description": "All\nof it", "tier": "ENTERPRISE", "isDefault": True, "limits": limits}
    payload = await client.mutate("createPlan", value, f"{PLAN[:-1]} id }}", by=admin)
    plan_id = payload["plan"].pop("id")
    assert payload == {"plan": value, "errors": []}
    # Plans are public, because price lists need them
    assert await client.data(f"{{ plans {{ {PLAN[7:-1]} }} }}") == {"plans": [value]}
    change = {
        "id": plan_id,
        "name": "Silver",
        "tier": "PAID",
        "isDefault": False,
        "limits": {"ports": None, "servers": 9},
    }
    changed = await client.mutate("updatePlan", change, PLAN, by=admin)
    assert changed == {
        "plan": value
        | {"name": "Silver", "tier": "PAID", "isDefault": False, "limits": limits | {"ports": None, "servers": 9}},
        "errors": [],
    }
    deleted = await client.mutate("deletePlan", {"id": plan_id}, "deletedId", by=admin)
    assert deleted == {"deletedId": plan_id, "errors": []}
    assert await client.data("{ plans { id } }") == {"plans": []}


async def test_a_new_plan_needs_only_a_name_and_a_tier(client: Client, admin: Person) -> None:
    expected = {"name": "gold", "description": None, "tier": "FREE", "isDefault": False, "limits": UNLIMITED}
    payload = await client.mutate("createPlan", {"name": "gold", "tier": "FREE"}, PLAN, by=admin)
    assert payload == {"plan": expected, "errors": []}
    nulls = {"name": "silver", "tier": "FREE", "description": None, "isDefault": None, "limits": None}
    payload = await client.mutate("createPlan", nulls, PLAN, by=admin)
    assert payload == {"plan": expected | {"name": "silver"}, "errors": []}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, {}),
        ({"description": None}, {"description": None}),
        ({"description": ""}, {"description": None}),
        ({"limits": None}, {"limits": UNLIMITED}),
        ({"limits": {}}, {}),
        ({"limits": {"ports": None}}, {"limits": UNLIMITED | {"servers": 0}}),
        ({"tier": "FREE"}, {"tier": "FREE"}),
        ({"isDefault": False}, {"isDefault": False}),
    ],
)
async def test_null_clears_one_field_and_absent_keeps_the_others(
    client: Client, admin: Person, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    limits = {"ports": 3, "servers": 0}
    plan_id = await create_plan(client, admin, description="d", isDefault=True, limits=limits)
    before = {"name": "gold", "description": "d", "tier": "PAID", "isDefault": True, "limits": UNLIMITED | limits}
    payload = await client.mutate("updatePlan", {"id": plan_id} | change, PLAN, by=admin)
    assert payload == {"plan": before | expected, "errors": []}


async def test_a_wrong_value_is_reported_with_its_field(client: Client, admin: Person) -> None:
    await create_plan(client, admin)
    silver = await create_plan(client, admin, name="silver")
    table: list[tuple[dict[str, Any], list[tuple[str, list[str]]]]] = [
        ({"name": "", "limits": {"ports": -1}}, [("REQUIRED", ["name"]), ("INVALID", ["limits", "ports"])]),
        ({"name": " \t\u00a0\n"}, [("REQUIRED", ["name"])]),
        ({"name": "x" * 256}, [("TOO_LONG", ["name"])]),
        ({"name": "a\x1bb"}, [("INVALID", ["name"])]),
        ({"name": "a\u202eb", "description": "\u200b"}, [("INVALID", ["name"]), ("INVALID", ["description"])]),
        ({"name": "GOLD"}, [("TAKEN", ["name"])]),
        ({"description": "x" * 1025}, [("TOO_LONG", ["description"])]),
        ({"description": "\x00"}, [("INVALID", ["description"])]),
        *(({"limits": {name: -1}}, [("INVALID", ["limits", name])]) for name in LIMITS),
    ]
    for change, expected in table:
        for field, value in (
            ("createPlan", {"name": "bronze", "tier": "FREE"} | change),
            ("updatePlan", {"id": silver} | change),
        ):
            payload = await client.mutate(field, value, "plan { id }", by=admin)
            assert payload["plan"] is None
            assert [(error["code"], error["field"]) for error in payload["errors"]] == expected
    assert [plan["name"] for plan in (await client.data("{ plans { name } }"))["plans"]] == ["gold", "silver"]


@pytest.mark.parametrize("name", ["name", "tier", "isDefault"])
async def test_what_a_plan_must_have_cannot_be_removed(client: Client, admin: Person, name: str) -> None:
    value = {"id": await create_plan(client, admin), name: None}
    payload = await client.mutate("updatePlan", value, "plan { id }", by=admin)
    error = {"code": "REQUIRED", "message": f"{name} cannot be removed.", "field": [name]}
    assert payload == {"plan": None, "errors": [error]}


async def test_a_description_may_have_lines(client: Client, admin: Person) -> None:
    plan_id = await create_plan(client, admin)
    for given, stored in (
        ("  First \t line\n\nSecond\u00a0line \n", "First line\n\nSecond line"),
        ("First\r\nSecond\rThird\u2028Fourth", "First\nSecond\nThird\nFourth"),
        ("Cafe\u0301 \U0001f469\u200d\U0001f467", "Café \U0001f469\u200d\U0001f467"),
        (" \n ", None),
    ):
        value = {"id": plan_id, "description": given}
        payload = await client.mutate("updatePlan", value, "plan { description }", by=admin)
        assert (given, payload) == (given, {"plan": {"description": stored}, "errors": []})


async def test_a_plan_that_does_not_exist_is_not_found(client: Client, admin: Person, bob: Person) -> None:
    for field, value, path in (
        ("updatePlan", {"id": UNKNOWN, "name": "x"}, ["id"]),
        ("updatePlan", {"id": bob.id, "name": "x"}, ["id"]),
        ("deletePlan", {"id": UNKNOWN}, ["id"]),
        ("changePlan", {"userId": bob.id, "planId": UNKNOWN}, ["planId"]),
        ("changePlan", {"userId": bob.id, "planName": "gol"}, ["planName"]),
        ("changePlan", {"userId": UNKNOWN, "planName": "gold"}, ["userId"]),
        ("createUser", {"username": "carol", "planId": UNKNOWN}, ["planId"]),
        ("createUser", {"username": "carol", "planName": "gol%"}, ["planName"]),
        ("updateUser", {"id": bob.id, "planId": UNKNOWN}, ["planId"]),
        ("updateUser", {"id": bob.id, "planName": "gol_"}, ["planName"]),
    ):
        payload = await client.mutate(field, value, "__typename", by=admin)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_FOUND", path)]


@pytest.mark.parametrize("name", ["planId", "planName"])
async def test_a_user_gets_a_plan_by_its_id_or_its_name(client: Client, admin: Person, bob: Person, name: str) -> None:
    plan_id = await create_plan(client, admin, limits={"ports": 3})
    selection = "user { plan { id name } tier limits { ports servers } version }"
    value = {"userId": bob.id, name: plan_id if name == "planId" else "GOLD"}
    payload = await client.mutate("changePlan", value, selection, by=admin)
    expected = {
        "plan": {"id": plan_id, "name": "gold"},
        "tier": "PAID",
        "limits": {"ports": 3, "servers": None},
        "version": 2,
    }
    assert payload == {"user": expected, "errors": []}
    await client.mutate("updatePlan", {"id": plan_id, "limits": {"servers": 1}}, "plan { id }", by=admin)
    own = await client.data("{ me { limits { ports servers } } }", by=bob)
    assert own == {"me": {"limits": {"ports": 3, "servers": 1}}}


@pytest.mark.parametrize(
    ("value", "field", "code", "message"),
    [
        ({}, "planId", "REQUIRED", "Give planId or planName."),
        ({"planId": None}, "planId", "REQUIRED", "Give planId or planName."),
        ({"planName": None}, "planId", "REQUIRED", "Give planId or planName."),
        ({"planId": UNKNOWN, "planName": "gold"}, "planName", "INVALID", "Give only one of planId and planName."),
    ],
)
async def test_a_plan_is_given_by_exactly_one_key(
    client: Client, admin: Person, bob: Person, *, value: dict[str, Any], field: str, code: str, message: str
) -> None:
    await create_plan(client, admin)
    payload = await client.mutate("changePlan", {"userId": bob.id} | value, "user { id }", by=admin)
    assert payload == {"user": None, "errors": [{"code": code, "message": message, "field": [field]}]}


async def test_update_user_changes_the_plan_and_the_tier(client: Client, admin: Person, bob: Person) -> None:
    gold, selection = await create_plan(client, admin), "user { plan { name } tier firstName }"
    await create_plan(client, admin, name="school", tier="EDUCATIONAL")
    for change, plan, tier in (
        ({"planId": gold}, "gold", "PAID"),
        ({"planName": " SCHOOL\u00a0"}, "school", "EDUCATIONAL"),
        ({"planName": "gold", "tier": "ENTERPRISE"}, "gold", "ENTERPRISE"),
        ({"tier": None}, "gold", "ENTERPRISE"),
        ({"planId": None}, None, "ENTERPRISE"),
        ({"planId": None, "planName": "school"}, "school", "EDUCATIONAL"),
        ({"planName": None, "tier": "FREE"}, None, "FREE"),
        ({"planId": gold, "planName": None}, "gold", "PAID"),
        ({}, "gold", "PAID"),
    ):
        payload = await client.mutate("updateUser", {"id": bob.id, "firstName": "B"} | change, selection, by=admin)
        user = {"plan": plan and {"name": plan}, "tier": tier, "firstName": "B"}
        assert (change, payload) == (change, {"user": user, "errors": []})
    both = {"id": bob.id, "planId": gold, "planName": "gold", "language": "english"}
    payload = await client.mutate("updateUser", both, "user { id }", by=admin)
    found = [(error["code"], error["field"]) for error in payload["errors"]]
    assert found == [("INVALID", ["language"]), ("INVALID", ["planName"])]


@pytest.mark.parametrize("credential", ["session", "API key"])
async def test_a_plan_of_update_user_requires_the_permission_for_plans(
    client: Client, root: Person, alice: Person, bob: Person, credential: str
) -> None:
    plan_id = await create_plan(client, root)
    held = ["users.update", "users.read", *(["users.plan"] if credential == "API key" else [])]
    role = {"name": "helpers", "permissions": held}
    role_id = (await client.mutate("createRole", role, "role { id }", by=root))["role"]["id"]
    await client.mutate("updateUser", {"id": alice.id, "roleId": role_id}, "user { id }", by=root)

    async def caller(*permissions: str) -> str:
        """Return a credential of Alice with these permissions."""
        if credential == "API key":
            key = {"name": f"k{len(permissions)}", "permissions": [*permissions]}
            return str((await client.mutate("createApiKey", key, "secret", by=alice))["secret"])
        await client.mutate("updateRole", {"id": role_id, "permissions": [*permissions]}, "role { id }", by=root)
        return alice.token

    by = await caller("users.update", "users.read")
    message = "This requires the permission users.plan."
    for name, value in (("planId", plan_id), ("planId", None), ("planName", "gold"), ("planName", "unknown")):
        change = {"id": bob.id, "firstName": "B", name: value}
        payload = await client.mutate("updateUser", change, "user { id }", by=by)
        error = {"code": "NOT_ALLOWED", "message": message, "field": [name]}
        assert payload == {"user": None, "errors": [error]}
    selection = "user { plan { name } firstName }"
    payload = await client.mutate("updateUser", {"id": bob.id, "firstName": "B"}, selection, by=by)
    assert payload == {"user": {"plan": None, "firstName": "B"}, "errors": []}
    by = await caller("users.update", "users.read", "users.plan")
    payload = await client.mutate("updateUser", {"id": bob.id, "planName": "gold"}, selection, by=by)
    assert payload == {"user": {"plan": {"name": "gold"}, "firstName": "B"}, "errors": []}


async def test_a_new_user_gets_the_default_plan_or_the_given_one(client: Client, admin: Person) -> None:
    await create_plan(client, admin, isDefault=True)
    await create_plan(client, admin, name="school", tier="EDUCATIONAL")
    for username, value, plan, tier in (
        ("user1", {}, "gold", "PAID"),
        ("user2", {"planName": "school"}, "school", "EDUCATIONAL"),
        ("user3", {"planName": "school", "tier": "FREE"}, "school", "FREE"),
        ("user4", {"planId": None, "planName": None}, "gold", "PAID"),
    ):
        payload = await client.mutate(
            "createUser", {"username": username} | value, "user { plan { name } tier }", by=admin
        )
        assert payload == {"user": {"plan": {"name": plan}, "tier": tier}, "errors": []}
    both = {"username": "user5", "planName": "school", "planId": UNKNOWN}
    payload = await client.mutate("createUser", both, "user { id }", by=admin)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("INVALID", ["planName"])]


async def test_one_plan_is_the_default(client: Client, admin: Person) -> None:
    gold = await create_plan(client, admin, isDefault=True)
    await create_plan(client, admin, name="silver", isDefault=True)
    listed = "{ plans { name isDefault } }"
    silver_now = [{"name": "gold", "isDefault": False}, {"name": "silver", "isDefault": True}]
    assert await client.data(listed) == {"plans": silver_now}
    for _ in range(2):
        await client.mutate("updatePlan", {"id": gold, "isDefault": True}, "plan { id }", by=admin)
        gold_now = [{"name": "gold", "isDefault": True}, {"name": "silver", "isDefault": False}]
        assert await client.data(listed) == {"plans": gold_now}


async def test_a_plan_is_not_deleted_while_a_user_has_it(
    client: Client, admin: Person, root: Person, bob: Person
) -> None:
    plan_id = await create_plan(client, admin)
    await client.mutate("changePlan", {"userId": bob.id, "planId": plan_id}, "user { id }", by=admin)
    rejected = await client.mutate("deletePlan", {"id": plan_id}, "deletedId", by=admin)
    error = {"code": "IN_USE", "message": "Users have this plan.", "field": ["id"]}
    assert rejected == {"deletedId": None, "errors": [error]}
    users = "query ($id: ID!) { node(id: $id) { ... on Plan { name users { nodes { username } totalCount } } } }"
    found = await client.data(users, {"id": plan_id}, by=admin)
    assert found == {"node": {"name": "gold", "users": {"nodes": [{"username": "bob"}], "totalCount": 1}}}
    await client.mutate("deleteUser", {"id": bob.id}, "deletedId", by=root)
    assert (await client.mutate("deletePlan", {"id": plan_id}, "deletedId", by=admin))["deletedId"] == plan_id

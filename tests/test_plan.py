"""Plans: what accounts get, which one new accounts get, and who has which."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Door, Person

LIMITS = (
    "memoryMb",
    "diskMb",
    "cpuPercent",
    "servers",
    "databases",
    "backups",
    "websites",
    "domains",
    "emails",
    "ports",
)
PLAN = f"plan {{ name description tier isDefault limits {{ {' '.join(LIMITS)} }} }}"
UNLIMITED = dict.fromkeys(LIMITS)
NOWHERE = "00000000-0000-7000-8000-00000000ffff"


async def made(door: Door, by: Person, **value: Any) -> str:
    """The id of a new plan."""
    payload = await door.change("createPlan", {"name": "gold", "tier": "PAID"} | value, "plan { id }", by=by)
    assert payload["errors"] == []
    return str(payload["plan"]["id"])


async def test_a_plan_is_created_listed_changed_and_deleted(door: Door, admin: Person) -> None:
    limits = {name: number for number, name in enumerate(LIMITS)}
    value = {"name": "Gold", "description": "All\nof it", "tier": "ENTERPRISE", "isDefault": True, "limits": limits}
    payload = await door.change("createPlan", value, f"{PLAN[:-1]} id }}", by=admin)
    plan_id = payload["plan"].pop("id")
    assert payload == {"plan": value, "errors": []}
    # Plans are open to everybody, for a price list needs them
    assert await door.data(f"{{ plans {{ {PLAN[7:-1]} }} }}") == {"plans": [value]}
    change = {
        "id": plan_id,
        "name": "Silver",
        "tier": "PAID",
        "isDefault": False,
        "limits": {"ports": None, "servers": 9},
    }
    changed = await door.change("updatePlan", change, PLAN, by=admin)
    assert changed == {
        "plan": value
        | {"name": "Silver", "tier": "PAID", "isDefault": False, "limits": limits | {"ports": None, "servers": 9}},
        "errors": [],
    }
    gone = await door.change("deletePlan", {"id": plan_id}, "deletedId", by=admin)
    assert gone == {"deletedId": plan_id, "errors": []}
    assert await door.data("{ plans { id } }") == {"plans": []}


async def test_a_name_and_a_tier_are_all_that_a_plan_needs(door: Door, admin: Person) -> None:
    expected = {"name": "gold", "description": None, "tier": "FREE", "isDefault": False, "limits": UNLIMITED}
    payload = await door.change("createPlan", {"name": "gold", "tier": "FREE"}, PLAN, by=admin)
    assert payload == {"plan": expected, "errors": []}
    nulls = {"name": "silver", "tier": "FREE", "description": None, "isDefault": None, "limits": None}
    payload = await door.change("createPlan", nulls, PLAN, by=admin)
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
    door: Door, admin: Person, change: dict[str, Any], expected: dict[str, Any]
) -> None:
    limits = {"ports": 3, "servers": 0}
    plan_id = await made(door, admin, description="d", isDefault=True, limits=limits)
    before = {"name": "gold", "description": "d", "tier": "PAID", "isDefault": True, "limits": UNLIMITED | limits}
    payload = await door.change("updatePlan", {"id": plan_id} | change, PLAN, by=admin)
    assert payload == {"plan": before | expected, "errors": []}


async def test_a_wrong_input_is_refused_with_its_field(door: Door, admin: Person) -> None:
    await made(door, admin)
    silver = await made(door, admin, name="silver")
    table: list[tuple[dict[str, Any], list[tuple[str, list[str]]]]] = [
        ({"name": "", "limits": {"ports": -1}}, [("REQUIRED", ["name"]), ("INVALID", ["limits", "ports"])]),
        ({"name": " "}, [("REQUIRED", ["name"])]),
        ({"name": "x" * 256}, [("TOO_LONG", ["name"])]),
        ({"name": "a\nb"}, [("INVALID", ["name"])]),
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
            payload = await door.change(field, value, "plan { id }", by=admin)
            assert payload["plan"] is None
            assert [(error["code"], error["field"]) for error in payload["errors"]] == expected
    assert [plan["name"] for plan in (await door.data("{ plans { name } }"))["plans"]] == ["gold", "silver"]


@pytest.mark.parametrize("name", ["name", "tier", "isDefault"])
async def test_what_a_plan_must_have_is_not_cleared(door: Door, admin: Person, name: str) -> None:
    value = {"id": await made(door, admin), name: None}
    payload = await door.change("updatePlan", value, "plan { id }", by=admin)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("REQUIRED", [name])]


async def test_a_plan_that_is_not_there_is_not_found(door: Door, admin: Person, bob: Person) -> None:
    for field, value, path in (
        ("updatePlan", {"id": NOWHERE, "name": "x"}, ["id"]),
        ("updatePlan", {"id": bob.id, "name": "x"}, ["id"]),
        ("deletePlan", {"id": NOWHERE}, ["id"]),
        ("changePlan", {"userId": bob.id, "planId": NOWHERE}, ["planId"]),
        ("changePlan", {"userId": bob.id, "planName": "gol"}, ["planName"]),
        ("changePlan", {"userId": NOWHERE, "planName": "gold"}, ["userId"]),
        ("createUser", {"username": "carol", "planId": NOWHERE}, ["planId"]),
        ("createUser", {"username": "carol", "planName": "gol%"}, ["planName"]),
    ):
        payload = await door.change(field, value, "__typename", by=admin)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_FOUND", path)]


@pytest.mark.parametrize("way", ["planId", "planName"])
async def test_a_user_is_moved_to_a_plan_by_its_id_or_name(door: Door, admin: Person, bob: Person, way: str) -> None:
    plan_id = await made(door, admin, limits={"ports": 3})
    selection = "user { plan { id name } tier limits { ports servers } version }"
    value = {"userId": bob.id, way: plan_id if way == "planId" else "GOLD"}
    payload = await door.change("changePlan", value, selection, by=admin)
    expected = {
        "plan": {"id": plan_id, "name": "gold"},
        "tier": "PAID",
        "limits": {"ports": 3, "servers": None},
        "version": 2,
    }
    assert payload == {"user": expected, "errors": []}
    await door.change("updatePlan", {"id": plan_id, "limits": {"servers": 1}}, "plan { id }", by=admin)
    own = await door.data("{ me { limits { ports servers } } }", by=bob)
    assert own == {"me": {"limits": {"ports": 3, "servers": 1}}}


@pytest.mark.parametrize("value", [{}, {"planId": None}, {"planName": None}, {"planId": NOWHERE, "planName": "gold"}])
async def test_a_plan_is_named_in_exactly_one_way(
    door: Door, admin: Person, bob: Person, value: dict[str, Any]
) -> None:
    await made(door, admin)
    payload = await door.change("changePlan", {"userId": bob.id} | value, "user { id }", by=admin)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("INVALID", ["planId"])]


async def test_a_new_account_gets_the_default_plan_unless_told_another(door: Door, admin: Person) -> None:
    await made(door, admin, isDefault=True)
    await made(door, admin, name="school", tier="EDUCATIONAL")
    for username, value, plan, tier in (
        ("user1", {}, "gold", "PAID"),
        ("user2", {"planName": "school"}, "school", "EDUCATIONAL"),
        ("user3", {"planName": "school", "tier": "FREE"}, "school", "FREE"),
        ("user4", {"planId": None, "planName": None}, "gold", "PAID"),
    ):
        payload = await door.change(
            "createUser", {"username": username} | value, "user { plan { name } tier }", by=admin
        )
        assert payload == {"user": {"plan": {"name": plan}, "tier": tier}, "errors": []}
    both = {"username": "user5", "planName": "school", "planId": NOWHERE}
    payload = await door.change("createUser", both, "user { id }", by=admin)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("INVALID", ["planId"])]


async def test_one_plan_is_the_default_one(door: Door, admin: Person) -> None:
    gold = await made(door, admin, isDefault=True)
    await made(door, admin, name="silver", isDefault=True)
    listed = "{ plans { name isDefault } }"
    silver_now = [{"name": "gold", "isDefault": False}, {"name": "silver", "isDefault": True}]
    assert await door.data(listed) == {"plans": silver_now}
    for _ in range(2):
        await door.change("updatePlan", {"id": gold, "isDefault": True}, "plan { id }", by=admin)
        gold_now = [{"name": "gold", "isDefault": True}, {"name": "silver", "isDefault": False}]
        assert await door.data(listed) == {"plans": gold_now}


async def test_a_plan_is_not_deleted_while_somebody_has_it(
    door: Door, admin: Person, root: Person, bob: Person
) -> None:
    plan_id = await made(door, admin)
    await door.change("changePlan", {"userId": bob.id, "planId": plan_id}, "user { id }", by=admin)
    refused = await door.change("deletePlan", {"id": plan_id}, "deletedId", by=admin)
    assert refused["deletedId"] is None
    assert [(error["code"], error["field"]) for error in refused["errors"]] == [("IN_USE", ["id"])]
    users = "query ($id: ID!) { node(id: $id) { ... on Plan { name users { nodes { username } totalCount } } } }"
    found = await door.data(users, {"id": plan_id}, by=admin)
    assert found == {"node": {"name": "gold", "users": {"nodes": [{"username": "bob"}], "totalCount": 1}}}
    await door.change("deleteUser", {"id": bob.id}, "deletedId", by=root)
    assert (await door.change("deletePlan", {"id": plan_id}, "deletedId", by=admin))["deletedId"] == plan_id

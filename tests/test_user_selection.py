"""Which users a mutation on many of them selects: by ids, or by a filter and the number that is expected to match."""

from __future__ import annotations

from typing import Any

import pytest

from service import limits
from tests.conftest import Client, Person
from tests.many_users import (
    FIELDS,
    UNKNOWN,
    create_gold,
    create_users,
    events,
    give_role,
    many,
    outcomes,
    problems,
    state,
)

SELECTIONS: list[tuple[dict[str, Any], list[tuple[str, list[str]]]]] = [
    ({}, [("REQUIRED", ["ids"])]),
    ({"ids": None, "filter": None, "search": "  "}, [("REQUIRED", ["ids"])]),
    ({"ids": []}, [("REQUIRED", ["ids"])]),
    ({"ids": [UNKNOWN] * 101}, [("TOO_LONG", ["ids"])]),
    ({"ids": [UNKNOWN], "filter": {}, "expectedCount": 1}, [("INVALID", ["filter"])]),
    ({"ids": [UNKNOWN], "search": "x", "expectedCount": 1}, [("INVALID", ["search"])]),
    ({"filter": {}}, [("REQUIRED", ["expectedCount"])]),
    ({"search": "x"}, [("REQUIRED", ["expectedCount"])]),
    ({"filter": {}, "expectedCount": -1}, [("INVALID", ["expectedCount"])]),
    ({"filter": {"ids": [UNKNOWN] * 101}, "expectedCount": 1}, [("TOO_LONG", ["filter", "ids"])]),
    ({"search": "x" * 129, "expectedCount": 1}, [("TOO_LONG", ["search"])]),
    ({"ids": [UNKNOWN, UNKNOWN], "expectedCount": 2}, [("EXPECTED_COUNT_MISMATCH", ["expectedCount"])]),
    ({"filter": {}, "expectedCount": 2_147_483_647}, [("EXPECTED_COUNT_MISMATCH", ["expectedCount"])]),
]


@pytest.mark.parametrize(("selection", "found"), SELECTIONS)
async def test_a_selection_that_is_not_clear_changes_nothing(
    client: Client, root: Person, selection: dict[str, Any], found: list[Any]
) -> None:
    await create_gold(client, root)
    before = await state(client)
    for each in FIELDS:
        assert (each, problems(await many(client, each, FIELDS[each] | selection, root))) == (each, found)
    assert await state(client) == before


async def test_all_problems_of_an_input_are_reported_at_once(client: Client, alice: Person, root: Person) -> None:
    await give_role(client, root, alice, "limited", "users.suspend", "users.plan", "users.update")
    value = {"ids": [], "filter": {}, "reason": "x" * 1_025, "until": "2001-01-01T00:00:00Z"}
    assert sorted(problems(await many(client, "suspendUsers", value, alice))) == [
        ("INVALID", ["filter"]),
        ("INVALID", ["until"]),
        ("NOT_ALLOWED", ["filter"]),
        ("REQUIRED", ["expectedCount"]),
        ("REQUIRED", ["ids"]),
        ("TOO_LONG", ["reason"]),
    ]
    for each, name in (("changePlans", "planId"), ("setRoles", "roleId")):
        assert problems(await many(client, each, {}, alice)) == [("REQUIRED", [name]), ("REQUIRED", ["ids"])]
    unknown = {"planName": "platinum"}
    assert problems(await many(client, "changePlans", unknown, alice)) == [
        ("NOT_FOUND", ["planName"]),
        ("REQUIRED", ["ids"]),
    ]


async def test_a_filter_selects_what_the_list_shows(client: Client, admin: Person) -> None:
    ids = await create_users(client, 12)
    gold = await create_gold(client, admin)
    assert outcomes(await many(client, "changePlans", {"ids": ids[:6], "planId": gold}, admin)) == ["done"] * 6
    await client.rows("UPDATE users SET suspended_at = now() WHERE id = $1", ids[5])
    given: dict[str, Any] = {"filter": {"planId": [gold], "tier": ["PAID", "FREE"], "suspended": False}}
    document = """query ($filter: UserFilter, $search: String) {
      users(filter: $filter, search: $search) { totalCount nodes { id } } }"""
    for selection, expected in (
        (given, ids[4::-1]),
        (given | {"search": "MANY00"}, ids[4::-1]),
        ({"search": "Y01"}, 3),
    ):
        users = (await client.data(document, selection, by=admin))["users"]
        wrong = await many(client, "suspendUsers", selection | {"expectedCount": users["totalCount"] + 1}, admin)
        assert problems(wrong) == [("EXPECTED_COUNT_MISMATCH", ["expectedCount"])]
        assert wrong["errors"][0]["message"] == f"{users['totalCount']} users match."
        payload = await many(client, "suspendUsers", selection | {"expectedCount": users["totalCount"]}, admin)
        assert outcomes(payload) == ["done"] * users["totalCount"]
        assert payload["changed"] == [user["id"] for user in users["nodes"]]
        assert payload["changed"] == expected or len(payload["changed"]) == expected
        assert outcomes(await many(client, "unsuspendUsers", {"ids": payload["changed"]}, admin)) == ["done"] * len(
            payload["changed"]
        )
    assert outcomes(await many(client, "deleteUsers", {"search": "nothing", "expectedCount": 0}, admin)) == []


async def test_a_hundred_users_are_changed_and_one_more_is_too_many(client: Client, root: Person) -> None:
    ids = await create_users(client, limits.USERS_AT_ONCE + 1)
    over = {"search": "many", "expectedCount": limits.USERS_AT_ONCE + 1}
    for field in ("suspendUsers", "deleteUsers"):
        assert problems(await many(client, field, over, root)) == [("LIMIT_REACHED", ["search"])]
    payload = await many(client, "suspendUsers", {"ids": ids[1:]}, root)
    assert outcomes(payload) == ["done"] * 100
    assert [target for _, target in await events(client, "user.suspend")] == ids[1:]
    payload = await many(client, "deleteUsers", {"filter": {"suspended": True}, "expectedCount": 100}, root)
    assert outcomes(payload) == ["done"] * 100
    assert [target for _, target in await events(client, "user.delete")] == ids[:0:-1]

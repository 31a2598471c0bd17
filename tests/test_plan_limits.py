"""Limits of plans on servers: under parallel requests, while a plan is changed, and when a user gets a smaller plan."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.outcomes import outcome

OVER = "The user has more servers than this plan allows; changePlan gives it with allowOverLimit."


async def create_plan(client: Client, by: Person, name: str, servers: int | None) -> str:
    """Create a plan with a limit on servers, and return the id."""
    value = {"name": name, "tier": "PAID", "limits": {"servers": servers}}
    payload = await client.mutate("createPlan", value, "plan { id }", by=by)
    assert payload["errors"] == []
    return str(payload["plan"]["id"])


async def fill(client: Client, owner: Person, number: int) -> None:
    """Give a user servers."""
    await client.rows(
        "INSERT INTO servers (name, owner_id) SELECT 's' || n, $1 FROM generate_series(1, $2) AS n", owner.id, number
    )


async def servers_of(client: Client, owner: Person) -> int:
    """Return the number of a user's servers."""
    return len(await client.rows("SELECT 1 FROM servers WHERE owner_id = $1", owner.id))


async def test_twenty_parallel_requests_do_not_exceed_the_limit_of_the_plan(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    plan = await create_plan(client, admin, "small", 3)
    await client.mutate("changePlan", {"userId": alice.id, "planId": plan}, "", by=admin)
    value = {"name": "box", "ownerId": alice.id}
    found = await asyncio.gather(*(outcome(client, "createServer", value, by) for by in (root, admin) * 10))
    assert Counter(found) == {"done": 3, "LIMIT_REACHED": 17}
    assert await servers_of(client, alice) == 3


@pytest.mark.parametrize("way", ["updatePlan", "changePlan", "updateUser"])
async def test_no_server_is_created_after_the_limit_was_lowered(
    client: Client, root: Person, admin: Person, alice: Person, way: str
) -> None:
    plan, smaller = await create_plan(client, admin, "large", 50), await create_plan(client, admin, "small", 2)
    await client.mutate("changePlan", {"userId": alice.id, "planId": plan}, "", by=admin)
    lowering: dict[str, dict[str, Any]] = {
        "updatePlan": {"id": plan, "limits": {"servers": 2}},
        "changePlan": {"userId": alice.id, "planId": smaller, "allowOverLimit": True},
        "updateUser": {"id": alice.id, "limits": {"servers": 2}},
    }
    counts: list[int] = []

    async def lower() -> None:
        await asyncio.sleep(0.02)
        assert await outcome(client, way, lowering[way], root) == "done"
        # What was committed with the old limit is counted; nothing may be added to it
        counts.append(await servers_of(client, alice))

    value = {"name": "box", "ownerId": alice.id}
    creating = [outcome(client, "createServer", value, (root, admin)[n % 2]) for n in range(20)]
    found = (await asyncio.gather(lower(), *creating))[1:]
    assert set(found) <= {"done", "LIMIT_REACHED"}
    present = await servers_of(client, alice)
    assert present == Counter(found)["done"]
    # At most 2, unless there were more when the limit was lowered
    assert present == max(counts[0], min(present, 2))
    assert await outcome(client, "createServer", value, root) == ("LIMIT_REACHED" if present >= 2 else "done")


async def test_a_smaller_plan_is_given_only_if_the_caller_allows_it(
    client: Client, admin: Person, alice: Person
) -> None:
    small, large = await create_plan(client, admin, "small", 1), await create_plan(client, admin, "large", 5)
    await client.mutate("changePlan", {"userId": alice.id, "planId": large}, "", by=admin)
    await fill(client, alice, 2)
    shown = "user { plan { name } limits { servers } tier }"
    for value, field in (({"planId": small}, "planId"), ({"planName": "small"}, "planName")):
        for allowed in ({}, {"allowOverLimit": False}, {"allowOverLimit": None}):
            payload = await client.mutate("changePlan", {"userId": alice.id} | value | allowed, shown, by=admin)
            error = {"code": "LIMIT_REACHED", "message": OVER, "field": [field]}
            assert payload == {"user": None, "errors": [error]}
        payload = await client.mutate("updateUser", {"id": alice.id} | value, shown, by=admin)
        assert payload == {"user": None, "errors": [{"code": "LIMIT_REACHED", "message": OVER, "field": [field]}]}
    # Everything is as before
    assert (await client.data("{ me { plan { name } } }", by=alice))["me"]["plan"] == {"name": "large"}
    given = {"userId": alice.id, "planId": small, "allowOverLimit": True}
    payload = await client.mutate("changePlan", given, shown, by=admin)
    user = {"plan": {"name": "small"}, "limits": {"servers": 1}, "tier": "PAID"}
    assert payload == {"user": user, "errors": []}
    assert await servers_of(client, alice) == 2
    assert await outcome(client, "createServer", {"name": "box", "ownerId": alice.id}, admin) == "LIMIT_REACHED"
    # The same plan again, and one without a limit, change nothing for the worse
    assert await outcome(client, "changePlan", {"userId": alice.id, "planId": small}, admin) == "done"
    assert await outcome(client, "updateUser", {"id": alice.id, "planName": "small"}, admin) == "done"
    assert await outcome(client, "updateUser", {"id": alice.id, "planId": None}, admin) == "done"


async def test_the_users_own_limit_counts_when_the_plan_changes(client: Client, admin: Person, alice: Person) -> None:
    await create_plan(client, admin, "small", 1)
    await create_plan(client, admin, "open", None)
    await fill(client, alice, 2)
    exactly = {"id": alice.id, "planName": "small", "limits": {"servers": 2}}
    assert await outcome(client, "updateUser", exactly | {"limits": {"servers": 1}}, admin) == "LIMIT_REACHED"
    assert await outcome(client, "updateUser", exactly, admin) == "done"
    assert await outcome(client, "changePlan", {"userId": alice.id, "planName": "open"}, admin) == "done"
    assert await outcome(client, "changePlan", {"userId": alice.id, "planName": "small"}, admin) == "done"
    assert await outcome(client, "updateUser", {"id": alice.id, "limits": None}, admin) == "done"
    assert await outcome(client, "changePlan", {"userId": alice.id, "planName": "open"}, admin) == "done"
    assert await outcome(client, "changePlan", {"userId": alice.id, "planName": "small"}, admin) == "LIMIT_REACHED"


async def test_a_plan_and_a_server_at_the_same_moment_do_not_exceed_the_limit(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    plan = await create_plan(client, admin, "small", 1)
    await fill(client, alice, 1)
    calls: list[tuple[str, dict[str, Any]]] = [
        *[("createServer", {"name": "box", "ownerId": alice.id})] * 2,
        ("changePlan", {"userId": alice.id, "planId": plan}),
    ] * 4
    found = await asyncio.gather(
        *(outcome(client, field, value, (root, admin)[n % 2]) for n, (field, value) in enumerate(calls))
    )
    given = {code for (field, _), code in zip(calls, found, strict=True) if field == "changePlan"}
    present = await servers_of(client, alice)
    # Either the plan came first, and there is one server, or a server did, and the plan was not given
    assert (given, present) in (({"done"}, 1), ({"LIMIT_REACHED"}, 9))


async def test_a_plan_is_deleted_or_given_but_not_both(client: Client, root: Person, admin: Person) -> None:
    for number in range(4):
        plan = await create_plan(client, admin, f"plan{number}", None)
        person = (await client.rows("INSERT INTO users (username) VALUES ($1) RETURNING id", f"racer{number}"))[0]["id"]
        name = f"made{number}"
        calls: list[tuple[str, dict[str, Any]]] = [
            ("changePlan", {"userId": person, "planId": plan}),
            ("updateUser", {"id": person, "planId": plan}),
            ("createUser", {"username": name, "planId": plan}),
        ]
        calls.insert(number % 4, ("deletePlan", {"id": plan}))
        found = await asyncio.gather(
            *(outcome(client, field, value, (root, admin)[n % 2]) for n, (field, value) in enumerate(calls))
        )
        codes = {field: code for (field, _), code in zip(calls, found, strict=True)}
        deleted = codes.pop("deletePlan")
        having = len(await client.rows("SELECT 1 FROM users WHERE plan_id = $1", plan))
        assert (deleted, bool(having)) in (("done", False), ("IN_USE", True))
        assert set(codes.values()) == ({"NOT_FOUND"} if deleted == "done" else {"done"})

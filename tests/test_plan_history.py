"""The history of the plan of a user: every way to change a plan is in it, with the time and who did it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

from tests.conftest import Client, Person
from tests.links import last_mail, registered, verify
from tests.outcomes import outcome

HISTORY = """query ($id: ID!) { user(by: {id: $id}) { plan { name } planHistory(first: 100) { totalCount nodes {
  plan { name } planId planName startedAt endedAt changedBy { username } user { id } } } } }"""


async def create_plan(client: Client, by: Person, name: str, **value: Any) -> str:
    """Create a plan, and return the id."""
    payload = await client.mutate("createPlan", {"name": name, "tier": "PAID"} | value, "plan { id }", by=by)
    assert payload["errors"] == []
    return str(payload["plan"]["id"])


async def history(client: Client, by: Person, user_id: str) -> list[dict[str, Any]]:
    """Return the periods of a user, newest first, after checking that they follow each other."""
    user = (await client.data(HISTORY, {"id": user_id}, by=by))["user"]
    found: list[dict[str, Any]] = user["planHistory"]["nodes"]
    assert user["planHistory"]["totalCount"] == len(found)
    for later, earlier in pairwise(found):
        assert earlier["endedAt"] == later["startedAt"]
        assert earlier["startedAt"] < earlier["endedAt"]
    assert [period["endedAt"] for period in found[:1]] in ([None], [])
    assert (found[0]["planName"] if found else None) == (user["plan"] or {}).get("name")
    assert {period["user"]["id"] for period in found} <= {user_id}
    return found


def steps(found: list[dict[str, Any]]) -> list[tuple[str | None, str | None]]:
    """Return the plan and the author of each period, oldest first."""
    return [(each["planName"], each["changedBy"] and each["changedBy"]["username"]) for each in reversed(found)]


async def done(client: Client, field: str, value: dict[str, Any], by: Person | None) -> dict[str, Any]:
    """Return the payload of a mutation that must succeed."""
    payload = await client.mutate(field, value, "user { id }", by=by)
    assert payload["errors"] == []
    return payload


async def test_every_way_to_change_a_plan_is_in_the_history(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    gold, silver = await create_plan(client, admin, "gold"), await create_plan(client, admin, "silver")
    assert await history(client, root, alice.id) == []
    for field, value in (
        ("changePlan", {"userId": alice.id, "planId": gold}),
        ("changePlan", {"userId": alice.id, "planId": gold}),  # no change
        ("updateUser", {"id": alice.id, "planName": "silver"}),
        ("updateUser", {"id": alice.id, "firstName": "Alice"}),
        ("updateUser", {"id": alice.id, "planId": None}),
        ("updateUser", {"id": alice.id, "planName": None}),
    ):
        await done(client, field, value, admin)
    await done(client, "changePlan", {"userId": alice.id, "planName": "Gold"}, root)
    found = await history(client, root, alice.id)
    assert steps(found) == [("gold", "adam"), ("silver", "adam"), (None, "adam"), ("gold", "root")]
    assert [each["planId"] for each in reversed(found)] == [gold, silver, None, gold]
    assert [each["plan"] and each["plan"]["name"] for each in reversed(found)] == ["gold", "silver", None, "gold"]


async def test_a_new_user_has_the_first_period(client: Client, root: Person, admin: Person, alice: Person) -> None:
    await create_plan(client, admin, "silver")
    none = await done(client, "createUser", {"username": "user0"}, admin)
    assert await history(client, root, none["user"]["id"]) == []
    await create_plan(client, admin, "gold", isDefault=True)
    for name, value, plan in (("user1", {}, "gold"), ("user2", {"planName": "silver"}, "silver")):
        made = await done(client, "createUser", {"username": name} | value, admin)
        assert steps(await history(client, root, made["user"]["id"])) == [(plan, "adam")]
    server = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=admin)
    invitation = {"serverId": server["server"]["id"], "email": "new@roster.test", "permissions": ["file.read"]}
    made = await client.mutate("createSubuser", invitation, "subuser { user { id } }", by=alice)
    assert steps(await history(client, root, made["subuser"]["user"]["id"])) == [("gold", "alice")]
    # A registration has no author
    assert await registered(client, email="self@roster.test") == []
    made = await verify(client, (await last_mail(client, "self@roster.test")).token)
    assert steps(await history(client, root, made["user"]["id"])) == [("gold", None)]


async def test_a_change_outside_of_a_mutation_has_no_author_of_an_earlier_one(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    gold, silver = await create_plan(client, admin, "gold"), await create_plan(client, admin, "silver")
    # Each connection has served a change of Adam
    value = {"userId": alice.id, "planId": gold}
    assert set(await asyncio.gather(*(outcome(client, "changePlan", value, admin) for _ in range(20)))) == {"done"}
    for plan in (silver, gold) * 8:
        await client.rows("UPDATE users SET plan_id = $2 WHERE id = $1", alice.id, plan)
        async with client.resources.database.transaction() as transaction:
            await transaction.run("change_plan", id=alice.id, plan_id=silver if plan == gold else gold)
    found = steps(await history(client, root, alice.id))
    assert (found[0], {author for _, author in found[1:]}) == (("gold", "adam"), {None})


async def test_a_rejected_change_is_not_in_the_history(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    gold = await create_plan(client, admin, "gold")
    for field, value, by in (
        ("changePlan", {"userId": root.id, "planId": gold}, admin),
        ("updateUser", {"id": bob.id, "planId": gold, "version": 99}, admin),
        ("updateUser", {"id": bob.id, "planId": gold, "email": "alice@roster.test"}, admin),
    ):
        payload = await client.mutate(field, value, "user { id }", by=by)
        assert payload["errors"], field
    assert await client.rows("SELECT 1 FROM plan_periods") == []


async def test_the_history_outlives_the_plan_and_its_author_but_not_its_user(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    gold = await create_plan(client, admin, "gold")
    await done(client, "changePlan", {"userId": alice.id, "planId": gold}, admin)
    await done(client, "updateUser", {"id": alice.id, "planId": None}, admin)
    assert (await client.mutate("updatePlan", {"id": gold, "name": "platinum"}, "", by=root))["errors"] == []
    [_, period] = await history(client, root, alice.id)
    assert (period["planName"], period["plan"]) == ("gold", {"name": "platinum"})
    for field, deleted in (("deletePlan", gold), ("deleteUser", admin.id)):
        assert (await client.mutate(field, {"id": deleted}, "", by=root))["errors"] == []
    [_, period] = await history(client, root, alice.id)
    assert (period["planName"], period["planId"], period["plan"], period["changedBy"]) == ("gold", gold, None, None)
    await client.mutate("deleteUser", {"id": alice.id}, "", by=root)
    assert await client.rows("SELECT 1 FROM plan_periods") == []


async def test_parallel_changes_give_periods_that_follow_each_other(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    plans = [await create_plan(client, admin, f"plan{number}") for number in range(4)]
    changes = [({"userId": alice.id, "planId": plans[n % 4]}, (root, admin)[n // 4 % 2]) for n in range(24)]
    codes = await asyncio.gather(*(outcome(client, "changePlan", value, by) for value, by in changes))
    assert set(codes) == {"done"}
    found = await history(client, root, alice.id)
    events = await client.rows("SELECT 1 FROM audit_events WHERE event = 'user.plan'")
    assert len(found) == len(events) > 0
    assert [pair for pair in pairwise(each["planId"] for each in found) if pair[0] == pair[1]] == []


async def test_who_may_read_a_history(  # noqa: PLR0917
    client: Client, root: Person, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    gold = await create_plan(client, admin, "gold")
    await done(client, "changePlan", {"userId": alice.id, "planId": gold}, admin)
    [row] = await client.rows("SELECT id FROM plan_periods")

    async def key(by: Person, *permissions: str) -> str:
        value = {"name": permissions[0], "permissions": permissions}
        return str((await client.mutate("createApiKey", value, "secret", by=by))["secret"])

    by_node = "query ($id: ID!) { node(id: $id) { ... on PlanPeriod { planName } } }"
    by_user = "query ($id: ID!) { user(by: {id: $id}) { planHistory { nodes { planName } } } }"
    callers: list[tuple[Person | str | None, bool]] = [
        *((alice, True), (staff, True), (root, True)),
        *((await key(alice, "account.read"), True), (await key(staff, "users.read"), True)),
        *((bob, False), (await key(alice, "servers.read"), False), (await key(bob, "account.read"), False)),
        *((await key(admin, "users.plan"), False), (None, False)),
    ]
    for by, seen in callers:
        answer = await client.execute(by_node, {"id": row["id"]}, by=by)
        assert answer["data"] == {"node": {"planName": "gold"} if seen else None}
        answer = await client.execute(by_user, {"id": alice.id}, by=by)
        shown = (answer["data"]["user"] or {}).get("planHistory")
        assert shown == ({"nodes": [{"planName": "gold"}]} if seen else None)
    before = client.reads
    await client.data("{ users { nodes { planHistory { nodes { plan { name } changedBy { username } } } } } }", by=root)
    assert client.reads - before == 5  # the actor, users, their periods, plans, and authors


async def test_planless_users_vanish_from_no_list(client: Client, root: Person, admin: Person, alice: Person) -> None:
    gold = await create_plan(client, admin, "gold")
    await done(client, "changePlan", {"userId": alice.id, "planId": gold}, admin)
    document = "query ($f: UserFilter) { users(filter: $f, orderBy: USERNAME_ASC) { totalCount nodes { username } } }"
    for given, expected in (
        (None, ["adam", "alice", "bob", "root", "stella"]),
        ({"hasPlan": False}, ["adam", "bob", "root", "stella"]),
        ({"hasPlan": True}, ["alice"]),
    ):
        found = (await client.data(document, {"f": given}, by=root))["users"]
        assert found == {"totalCount": len(expected), "nodes": [{"username": name} for name in expected]}
    shown = '{ users(search: "bob") { nodes { username plan { name } limits { servers } } } }'
    nodes = (await client.data(shown, by=root))["users"]["nodes"]
    assert nodes == [{"username": "bob", "plan": None, "limits": {"servers": None}}]

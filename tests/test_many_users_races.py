"""Mutations on many users at the same moment as others: each user is changed once, and nothing deadlocks."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import asyncpg
import pytest

from tests.conftest import Client, Person
from tests.many_users import create_gold, create_users, events, many, outcomes
from tests.test_user_races import second_root

WAITING = """SELECT count(*) FROM pg_stat_activity
  WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"""


async def waiting(connection: asyncpg.Connection[Any], number: int) -> None:
    """Wait until this number of statements wait for locks; the connection is in no transaction."""
    async with asyncio.timeout(10):
        while await connection.fetchval(WAITING) < number:
            await connection.execute("SELECT pg_sleep(0.005)")


async def test_overlapping_mutations_in_opposite_orders_change_every_user_in_both(
    client: Client, root: Person, admin: Person
) -> None:
    ids = await create_users(client, 20)
    one, other, third = await asyncio.gather(
        many(client, "suspendUsers", {"ids": ids, "reason": "one"}, root),
        many(client, "suspendUsers", {"ids": ids[::-1], "reason": "other"}, admin),
        many(client, "setRoles", {"ids": ids[10:] + ids[:10], "roleName": "STAFF"}, root),
    )
    assert [outcomes(payload) for payload in (one, other, third)] == [["done"] * 20] * 3
    found = Counter(await events(client, "user.suspend"))
    assert found == {("user.suspend", each): 2 for each in ids}
    assert Counter(await events(client, "user.update"))["user.update", ids[0]] == 1


async def test_each_user_is_deleted_once(client: Client, root: Person, admin: Person) -> None:
    ids = await create_users(client, 12)
    one, other, *single = await asyncio.gather(
        many(client, "deleteUsers", {"ids": ids}, root),
        many(client, "deleteUsers", {"ids": ids[::-1]}, admin),
        *(client.mutate("deleteUser", {"id": each}, "deletedId", by=root) for each in ids[4:8]),
    )
    found = [outcomes(one), outcomes(other)[::-1]]
    for number, each in enumerate(ids):
        results = [payload[number] for payload in found]
        if 4 <= number < 8:
            errors = single[number - 4]["errors"]
            results.append((errors[0]["code"], "") if errors else "done")
        missing = [result for result in results if result != "done"]
        assert (results.count("done"), {code for code, _ in missing}) == (1, {"NOT_FOUND"}), each
    assert sorted(await events(client, "user.delete")) == [("user.delete", each) for each in sorted(ids)]
    assert await client.rows("SELECT FROM users WHERE username LIKE 'many%'") == []


async def test_a_user_who_begins_to_match_is_counted_or_left_as_it_is(client: Client, root: Person) -> None:
    ids = await create_users(client, 4)
    gold = await create_gold(client, root)
    await many(client, "changePlans", {"ids": ids[:3], "planId": gold}, root)
    value = {"filter": {"planId": [gold]}, "expectedCount": 3}
    payload, joined = await asyncio.gather(
        many(client, "suspendUsers", value, root),
        client.mutate("changePlan", {"userId": ids[3], "planId": gold}, "user { id }", by=root),
    )
    assert joined["errors"] == []
    rows = await client.rows("SELECT id FROM users WHERE suspended_at IS NOT NULL")
    if payload["errors"]:
        error = payload["errors"][0]
        assert (error["code"], error["message"]) == ("EXPECTED_COUNT_MISMATCH", "4 users match.")
        assert rows == []
    else:
        assert outcomes(payload) == ["done"] * 3
        assert {row["id"] for row in rows} == set(ids[:3])


async def test_a_user_who_changed_since_the_filter_matched_is_left_as_it_is(
    client: Client, root: Person, database_url: str
) -> None:
    ids = await create_users(client, 4)
    gold = await create_gold(client, root)
    await many(client, "changePlans", {"ids": ids[:3], "planId": gold}, root)
    other, watching = await asyncio.gather(*(asyncpg.connect(database_url) for _ in range(2)))
    async with asyncio.timeout(10):
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", ids[2])  # the newest comes first
        value = {"filter": {"planId": [gold]}, "expectedCount": 3}
        changing = asyncio.create_task(many(client, "deleteUsers", value, root))
        await waiting(watching, 1)
        # Meanwhile one user no longer matches, and another one begins to
        await watching.execute("UPDATE users SET plan_id = NULL WHERE id = $1", ids[1])
        await watching.execute("UPDATE users SET plan_id = $2 WHERE id = $1", ids[3], gold)
        await transaction.rollback()
        payload = await changing
    await asyncio.gather(other.close(), watching.close())
    assert outcomes(payload) == ["done", ("VERSION_MISMATCH", "filter"), "done"]
    assert [target for _, target in await events(client, "user.delete")] == [ids[2], ids[0]]


async def test_a_user_gets_a_server_or_is_deleted(client: Client, root: Person) -> None:
    ids = await create_users(client, 6)
    payload, *servers = await asyncio.gather(
        many(client, "deleteUsers", {"ids": ids}, root),
        *(client.mutate("createServer", {"name": "box", "ownerId": each}, "server { id }", by=root) for each in ids),
    )
    for result, server in zip(outcomes(payload), servers, strict=True):
        assert (result == "done") is bool(server["errors"]), (result, server)
    left = {row["id"] for row in await client.rows("SELECT id FROM users WHERE username LIKE 'many%'")}
    assert left == {row["owner_id"] for row in await client.rows("SELECT owner_id FROM servers")}


async def test_a_plan_is_deleted_or_in_use(client: Client, root: Person) -> None:
    ids = await create_users(client, 6)
    for number in range(3):
        gold = (await client.mutate("createPlan", {"name": f"p{number}", "tier": "PAID"}, "plan { id }", by=root))[
            "plan"
        ]
        payload, deletion = await asyncio.gather(
            many(client, "changePlans", {"ids": ids, "planId": gold["id"]}, root),
            client.mutate("deletePlan", {"id": gold["id"]}, "deletedId", by=root),
        )
        users = await client.rows("SELECT id FROM users WHERE plan_id = $1", gold["id"])
        if deletion["errors"]:
            assert [error["code"] for error in deletion["errors"]] == ["IN_USE"]
            assert len(users) == 6
        else:
            assert users == []
            codes = [error["code"] for error in payload["errors"]] or [outcome[0] for outcome in outcomes(payload)]
            # IN_USE is the answer of the foreign key, if the change waited for the deletion
            assert set(codes) <= {"NOT_FOUND", "IN_USE"}


async def test_a_plan_that_is_deleted_before_the_first_change_is_reported_once(
    client: Client, root: Person, database_url: str
) -> None:
    ids = await create_users(client, 2)
    gold = await create_gold(client, root)
    other, watching = await asyncio.gather(*(asyncpg.connect(database_url) for _ in range(2)))
    async with asyncio.timeout(10):
        transaction = other.transaction()
        await transaction.start()
        await other.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", ids[0])
        changing = asyncio.create_task(many(client, "changePlans", {"ids": ids, "planId": gold}, root))
        await waiting(watching, 1)
        await watching.execute("DELETE FROM plans WHERE id = $1", gold)
        await transaction.rollback()
        payload = await changing
    await asyncio.gather(other.close(), watching.close())
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_FOUND", ["planId"])]


@pytest.mark.parametrize("field", ["deleteUsers", "suspendUsers", "setRoles"])
async def test_two_root_users_cannot_remove_each_other(client: Client, root: Person, field: str) -> None:
    other = await second_root(client, root)
    value = {"roleName": "USER"} if field == "setRoles" else {}
    answers = await asyncio.gather(
        *(
            client.execute(
                f"mutation ($input: {field[0].upper()}{field[1:]}Input!) {{ {field}(input: $input) "
                "{ results { errors { code } } errors { code } } }",
                {"input": value | {"ids": [target.id]}},
                by=caller,
            )
            for caller, target in ((root, other), (other, root))
        )
    )
    done = [
        answer
        for answer in answers
        if (answer["data"] or {}).get(field) and answer["data"][field]["results"] == [{"errors": []}]
    ]
    assert len(done) == 1
    remaining = await client.rows(
        "SELECT users.id FROM users JOIN roles ON roles.id = role_id WHERE name = 'ROOT' AND suspended_at IS NULL"
    )
    assert len(remaining) == 1

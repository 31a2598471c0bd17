"""Dedicated IP addresses under parallel requests: one user an address, and no request fails for another reason."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from tests.conftest import Client, Person
from tests.outcomes import outcome

ADDRESS = "198.51.100.7"


async def users(client: Client, number: int) -> list[str]:
    """Return the ids of new users."""
    rows = await client.rows(
        "INSERT INTO users (username) SELECT 'racer' || n FROM generate_series(1, $1) AS n RETURNING id", number
    )
    return [row["id"] for row in rows]


async def assign(client: Client, by: Person, user_id: str, address: str = ADDRESS) -> str:
    """Return the code of the answer to an assignment, or done."""
    return await outcome(client, "assignDedicatedIp", {"userId": user_id, "address": address}, by)


async def test_one_of_twenty_users_gets_an_address(client: Client, root: Person, admin: Person) -> None:
    people = await users(client, 20)
    # A new address, and a released one
    for _ in range(2):
        found = await asyncio.gather(*(assign(client, (root, admin)[n % 2], each) for n, each in enumerate(people)))
        assert Counter(found) == {"done": 1, "TAKEN": 19}
        [row] = await client.rows("SELECT user_id FROM dedicated_ips")
        assert row["user_id"] == people[found.index("done")]
        assert await outcome(client, "releaseDedicatedIp", {"address": ADDRESS}, root) == "done"
    events = await client.rows("SELECT event FROM audit_events WHERE event LIKE 'dedicated-ip.%' ORDER BY id")
    assert [row["event"] for row in events] == ["dedicated-ip.assign", "dedicated-ip.release"] * 2


async def test_a_user_gets_an_address_once(client: Client, root: Person, admin: Person, alice: Person) -> None:
    found = await asyncio.gather(*(assign(client, by, alice.id) for by in (root, admin) * 10))
    assert Counter(found) == {"done": 1, "ALREADY_DONE": 19}


async def test_two_forms_of_an_address_are_one(client: Client, root: Person) -> None:
    people = await users(client, 20)
    forms = (ADDRESS, f"::ffff:{ADDRESS}")
    found = await asyncio.gather(*(assign(client, root, each, forms[n % 2]) for n, each in enumerate(people)))
    assert Counter(found) == {"done": 1, "TAKEN": 19}


async def test_a_release_is_done_once(client: Client, root: Person, admin: Person, alice: Person) -> None:
    assert await assign(client, root, alice.id) == "done"
    value = {"address": ADDRESS}
    found = await asyncio.gather(*(outcome(client, "releaseDedicatedIp", value, by) for by in (root, admin) * 10))
    assert Counter(found) == {"done": 1, "ALREADY_DONE": 19}


async def test_assignments_releases_and_deletions_leave_one_owner_and_a_complete_log(
    client: Client, root: Person, admin: Person
) -> None:
    people = await users(client, 8)
    calls: list[tuple[str, dict[str, Any]]] = []
    for number, person in enumerate(people):
        calls += [
            ("assignDedicatedIp", {"userId": person, "address": ADDRESS}),
            ("releaseDedicatedIp", {"address": ADDRESS}),
        ]
        if number % 2:
            calls.append(("deleteUser", {"id": person}))
    found = await asyncio.gather(
        *(outcome(client, field, value, (root, admin)[n % 2]) for n, (field, value) in enumerate(calls))
    )
    # A user may be deleted before the assignment, and an address may be released before it is assigned
    assert set(found) <= {"done", "TAKEN", "NOT_FOUND", "ALREADY_DONE", "CONFLICT"}
    assert [code for (field, _), code in zip(calls, found, strict=True) if field == "deleteUser"] == ["done"] * 4
    rows = await client.rows("SELECT user_id, assigned_at FROM dedicated_ips")
    assert len(rows) <= 1
    for row in rows:
        assert (row["user_id"] is None) is (row["assigned_at"] is None)
        assert row["user_id"] is None or row["user_id"] in people
    # Every gain of the address has its loss in the log, by a release or by the deletion of the user
    events = await client.rows("SELECT event, changes FROM audit_events ORDER BY id")
    gained = sum(row["event"] == "dedicated-ip.assign" for row in events)
    lost = sum(
        row["event"] == "dedicated-ip.release"
        or (row["event"] == "user.delete" and row["changes"].get("dedicatedIps") is not None)
        for row in events
    )
    assert gained - lost == sum(row["user_id"] is not None for row in rows)
    done = Counter(field for (field, _), code in zip(calls, found, strict=True) if code == "done")
    assert gained == done["assignDedicatedIp"]

"""Changes at the same moment: one of them succeeds, and the others report why they could not."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.conftest import PASSWORD, Client, Person


def _outcome(payload: dict[str, Any]) -> str:
    for error in payload["errors"]:
        return " ".join([error["code"], *(error["field"] or [])])
    return "done"


async def outcomes(*changes: Any) -> Counter[str]:
    """Return the number of each outcome: "done", or the code and field of the first error."""
    return Counter(map(_outcome, await asyncio.gather(*changes)))


async def outcomes_at_once(client: Client, *changes: Any) -> Counter[str]:
    """Return the outcomes of changes that all wait for a lock on the users before any of them continues."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10), client.resources.database.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM users FOR UPDATE")
        found = asyncio.gather(*changes)
        while len(await connection.fetch(waiting)) < len(changes):
            # Otherwise a transaction reads the same statistics again
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)
    return Counter(map(_outcome, await found))


async def second_root(client: Client, root: Person) -> Person:
    """Create another root user, and sign it in."""
    value = {"username": "second", "password": PASSWORD, "roleName": "ROOT"}
    assert (await client.mutate("createUser", value, "user { id }", by=root))["errors"] == []
    login = await client.mutate("login", {"login": "second", "password": PASSWORD}, "token user { id }")
    return Person(login["user"]["id"], "second", login["token"])


async def test_a_thousand_requests_with_one_username_create_one_user(client: Client, root: Person) -> None:
    value = {"username": "carol"}
    found = await outcomes(*(client.mutate("createUser", value, "user { id }", by=root) for _ in range(1_000)))
    assert found == {"done": 1, "TAKEN username": 999}
    users = await client.rows("SELECT id FROM users WHERE lower(username) = 'carol'")
    events = await client.rows("SELECT id FROM audit_events WHERE changes->'username'->>'new' = 'carol'")
    assert (len(users), len(events)) == (1, 1)


@pytest.mark.parametrize(("field", "value"), [("email", "Carol@x.test"), ("externalId", "crm-7")])
async def test_requests_with_one_address_or_external_id_create_one_user(
    client: Client, root: Person, field: str, value: str
) -> None:
    inputs: list[dict[str, Any]] = [{"username": f"carol_{number}", field: value} for number in range(100)]
    found = await outcomes(*(client.mutate("createUser", item, "user { id }", by=root) for item in inputs))
    assert found == {"done": 1, f"TAKEN {field}": 99}
    assert len(await client.rows("SELECT id FROM users WHERE username LIKE 'carol%'")) == 1


async def test_one_of_several_users_gets_a_username(client: Client, root: Person, alice: Person, bob: Person) -> None:
    found = await outcomes(
        *(client.mutate("updateUser", {"id": p.id, "username": "carol"}, "user { id }", by=root) for p in (alice, bob)),
        client.mutate("updateProfile", {"username": "CAROL"}, "user { id }", by=root),
        client.mutate("createUser", {"username": "Carol"}, "user { id }", by=root),
    )
    assert found == {"done": 1, "TAKEN username": 3}


async def test_exactly_one_change_of_a_version_succeeds(client: Client, root: Person, bob: Person) -> None:
    for version in range(1, 6):
        values = [{"id": bob.id, "firstName": f"B{version}{number}", "version": version} for number in range(4)]
        found = await outcomes_at_once(
            client,
            *(client.mutate("updateUser", value, "user { id }", by=root) for value in values),
            client.mutate("updateProfile", {"lastName": f"B{version}", "version": version}, "user { id }", by=bob),
        )
        assert found == {"done": 1, "VERSION_MISMATCH version": 4}
    (row,) = await client.rows("SELECT version FROM users WHERE id = $1", bob.id)
    assert row["version"] == 6


async def test_a_change_that_comes_too_late_shows_the_user_as_it_is_now(
    client: Client, root: Person, bob: Person
) -> None:
    values = [{"id": bob.id, "firstName": f"B{number}", "version": 1} for number in range(10)]
    selection = "user { firstName version }"
    payloads = await asyncio.gather(*(client.mutate("updateUser", value, selection, by=root) for value in values))
    [successful] = [payload["user"] for payload in payloads if not payload["errors"]]
    assert successful["version"] == 2
    assert [payload["user"] for payload in payloads] == [successful] * 10


@pytest.mark.parametrize(
    ("field", "change"),
    [("deleteUser", {}), ("updateUser", {"isAdmin": False}), ("suspendUser", {"reason": "abuse"})],
)
async def test_two_root_users_cannot_remove_each_other(
    client: Client, root: Person, field: str, change: dict[str, Any]
) -> None:
    other = await second_root(client, root)
    found = await outcomes_at_once(
        client,
        client.mutate(field, {"id": other.id} | change, "__typename", by=root),
        client.mutate(field, {"id": root.id} | change, "__typename", by=other),
    )
    assert found == {"done": 1, "NOT_ALLOWED isAdmin" if change == {"isAdmin": False} else "NOT_ALLOWED id": 1}
    remaining = await client.rows(
        "SELECT users.id FROM users JOIN roles ON roles.id = role_id WHERE name = 'ROOT' AND suspended_at IS NULL"
    )
    assert len(remaining) == 1


async def test_a_role_cannot_be_granted_and_deleted_at_once(client: Client, root: Person, bob: Person) -> None:
    for number in range(10):
        role = await client.mutate("createRole", {"name": f"r{number}", "permissions": []}, "role { id }", by=root)
        role_id = role["role"]["id"]
        found = await outcomes(
            client.mutate("updateUser", {"id": bob.id, "roleId": role_id}, "user { id }", by=root),
            client.mutate("deleteRole", {"id": role_id}, "deletedId", by=root),
            client.mutate("updateUser", {"id": bob.id, "lastName": f"B{number}"}, "user { id }", by=root),
        )
        assert found in ({"done": 2, "IN_USE id": 1}, {"done": 2, "NOT_FOUND roleId": 1})


async def test_a_role_is_withdrawn_and_deleted_without_a_deadlock(client: Client, root: Person, bob: Person) -> None:
    for number in range(10):
        role = await client.mutate("createRole", {"name": f"r{number}", "permissions": []}, "role { id }", by=root)
        role_id = role["role"]["id"]
        await client.mutate("updateUser", {"id": bob.id, "roleId": role_id}, "user { id }", by=root)
        found = await outcomes_at_once(
            client,
            client.mutate("updateUser", {"id": bob.id, "roleId": None}, "user { id }", by=root),
            client.mutate("deleteRole", {"id": role_id}, "deletedId", by=root),
        )
        assert found in ({"done": 2}, {"done": 1, "IN_USE id": 1})


async def test_a_plan_cannot_be_assigned_and_deleted_at_once(client: Client, root: Person, bob: Person) -> None:
    for number in range(10):
        plan = await client.mutate("createPlan", {"name": f"p{number}", "tier": "FREE"}, "plan { id }", by=root)
        plan_id = plan["plan"]["id"]
        found = await outcomes(
            client.mutate("changePlan", {"userId": bob.id, "planId": plan_id}, "user { id }", by=root),
            client.mutate("deletePlan", {"id": plan_id}, "deletedId", by=root),
            client.mutate("changePlan", {"userId": bob.id, "planId": plan_id}, "user { id }", by=root),
        )
        assert found in ({"done": 2, "IN_USE id": 1}, {"done": 1, "NOT_FOUND planId": 2})


async def test_at_most_one_plan_becomes_the_default(client: Client, root: Person) -> None:
    values = [{"name": f"p{number}", "tier": "FREE", "isDefault": True} for number in range(20)]
    found = await outcomes(*(client.mutate("createPlan", value, "plan { id }", by=root) for value in values))
    assert found["done"] >= 1
    assert found["done"] + found["CONFLICT isDefault"] == 20
    assert len(await client.rows("SELECT id FROM plans WHERE is_default")) == 1


async def test_a_user_is_deleted_once(client: Client, root: Person, bob: Person) -> None:
    found = await outcomes(*(client.mutate("deleteUser", {"id": bob.id}, "deletedId", by=root) for _ in range(20)))
    assert found == {"done": 1, "NOT_FOUND id": 19}


async def test_a_server_always_has_an_owner(client: Client, root: Person) -> None:
    for number in range(10):
        created = await client.mutate("createUser", {"username": f"carol_{number}"}, "user { id }", by=root)
        user_id = created["user"]["id"]
        found = await outcomes(
            client.mutate("createServer", {"name": "s", "ownerId": user_id}, "server { id }", by=root),
            client.mutate("deleteUser", {"id": user_id}, "deletedId", by=root),
        )
        assert found in ({"done": 1, "IN_USE id": 1}, {"done": 1, "NOT_FOUND ownerId": 1})


async def test_a_password_is_set_while_the_user_is_changed_and_suspended(
    client: Client, root: Person, bob: Person
) -> None:
    for number in range(5):
        found = await outcomes(
            client.mutate("setPassword", {"userId": bob.id, "password": f"{PASSWORD}{number}"}, "user { id }", by=root),
            client.mutate("updateUser", {"id": bob.id, "firstName": f"B{number}"}, "user { id }", by=root),
            client.mutate("suspendUser", {"id": bob.id, "reason": f"{number}"}, "user { id }", by=root),
        )
        assert found == {"done": 3}
    (row,) = await client.rows("SELECT first_name, suspended_reason FROM users WHERE id = $1", bob.id)
    assert (row["first_name"], row["suspended_reason"]) == ("B4", "4")


@pytest.mark.parametrize(
    ("field", "value"),
    [("suspendUser", {"id": "$bob"}), ("setPassword", {"userId": "$bob", "password": f"{PASSWORD}-other"})],
)
async def test_no_session_outlives_a_suspension_or_a_new_password(
    client: Client, root: Person, bob: Person, field: str, value: dict[str, str]
) -> None:
    login = f'mutation {{ login(input: {{login: "bob", password: "{PASSWORD}"}}) {{ token errors {{ code }} }} }}'
    value = {name: bob.id if item == "$bob" else item for name, item in value.items()}
    logins = [asyncio.create_task(client.execute(login)) for _ in range(20)]
    # Some of them have succeeded by then
    await asyncio.wait(logins, return_when=asyncio.FIRST_COMPLETED)
    assert (await client.mutate(field, value, "user { id }", by=root))["errors"] == []
    answers = await asyncio.gather(*logins)
    codes = {error["extensions"]["code"] for answer in answers for error in answer.get("errors", [])}
    assert codes <= {"USER_SUSPENDED", "RATE_LIMITED"}
    assert await client.rows("SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL", bob.id) == []

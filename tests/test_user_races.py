"""Changes at the same moment: one of them wins, the others are told why not, and nothing is ever INTERNAL."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.conftest import PASSWORD, Door, Person


def _outcome(payload: dict[str, Any]) -> str:
    for error in payload["errors"]:
        return " ".join([error["code"], *(error["field"] or [])])
    return "done"


async def outcomes(*changes: Any) -> Counter[str]:
    """How often each outcome came: "done", or the code and field of the refusal."""
    return Counter(map(_outcome, await asyncio.gather(*changes)))


async def outcomes_at_once(door: Door, *changes: Any) -> Counter[str]:
    """The outcomes of changes of which each had begun before another went on: they all wait for one lock on users."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10), door.house.database.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM users FOR UPDATE")
        found = asyncio.gather(*changes)
        while len(await connection.fetch(waiting)) < len(changes):
            # The statistics of a transaction stand still otherwise
            await connection.execute("SELECT pg_stat_clear_snapshot()")
            await asyncio.sleep(0.01)
    return Counter(map(_outcome, await found))


async def second_root(door: Door, root: Person) -> Person:
    """Another root account, signed in."""
    value = {"username": "groot", "password": PASSWORD, "roleName": "ROOT"}
    assert (await door.change("createUser", value, "user { id }", by=root))["errors"] == []
    login = await door.change("login", {"login": "groot", "password": PASSWORD}, "token user { id }")
    return Person(login["user"]["id"], "groot", login["token"])


async def test_a_thousand_accounts_of_one_name_become_one(door: Door, root: Person) -> None:
    value = {"username": "carol"}
    found = await outcomes(*(door.change("createUser", value, "user { id }", by=root) for _ in range(1_000)))
    assert found == {"done": 1, "TAKEN username": 999}
    rows = await door.rows("SELECT count(*) AS made FROM users WHERE lower(username) = 'carol'")
    events = await door.rows("SELECT count(*) AS told FROM audit_events WHERE changes->'username'->>'new' = 'carol'")
    assert (rows[0]["made"], events[0]["told"]) == (1, 1)


@pytest.mark.parametrize(("field", "value"), [("email", "Carol@x.test"), ("externalId", "crm-7")])
async def test_accounts_of_one_address_or_external_id_become_one(
    door: Door, root: Person, field: str, value: str
) -> None:
    inputs: list[dict[str, Any]] = [{"username": f"carol_{number}", field: value} for number in range(100)]
    found = await outcomes(*(door.change("createUser", item, "user { id }", by=root) for item in inputs))
    assert found == {"done": 1, f"TAKEN {field}": 99}
    assert len(await door.rows("SELECT id FROM users WHERE username LIKE 'carol%'")) == 1


async def test_accounts_that_take_one_name_at_once_get_it_once(
    door: Door, root: Person, alice: Person, bob: Person
) -> None:
    found = await outcomes(
        *(door.change("updateUser", {"id": p.id, "username": "carol"}, "user { id }", by=root) for p in (alice, bob)),
        door.change("updateProfile", {"username": "CAROL"}, "user { id }", by=root),
        door.change("createUser", {"username": "Carol"}, "user { id }", by=root),
    )
    assert found == {"done": 1, "TAKEN username": 3}


async def test_of_changes_to_one_version_exactly_one_wins(door: Door, root: Person, bob: Person) -> None:
    for version in range(1, 6):
        values = [{"id": bob.id, "firstName": f"B{version}{number}", "version": version} for number in range(4)]
        found = await outcomes_at_once(
            door,
            *(door.change("updateUser", value, "user { id }", by=root) for value in values),
            door.change("updateProfile", {"lastName": f"B{version}", "version": version}, "user { id }", by=bob),
        )
        assert found == {"done": 1, "VERSION_MISMATCH version": 4}
    (row,) = await door.rows("SELECT version FROM users WHERE id = $1", bob.id)
    assert row["version"] == 6


@pytest.mark.parametrize(
    ("field", "change"),
    [("deleteUser", {}), ("updateUser", {"isAdmin": False}), ("suspendUser", {"reason": "mutiny"})],
)
async def test_two_roots_who_remove_each_other_leave_one(
    door: Door, root: Person, field: str, change: dict[str, Any]
) -> None:
    other = await second_root(door, root)
    found = await outcomes_at_once(
        door,
        door.change(field, {"id": other.id} | change, "__typename", by=root),
        door.change(field, {"id": root.id} | change, "__typename", by=other),
    )
    assert found == {"done": 1, "NOT_ALLOWED isAdmin" if change == {"isAdmin": False} else "NOT_ALLOWED id": 1}
    left = await door.rows(
        "SELECT users.id FROM users JOIN roles ON roles.id = role_id WHERE name = 'ROOT' AND suspended_at IS NULL"
    )
    assert len(left) == 1


async def test_a_role_is_given_or_deleted_but_never_both(door: Door, root: Person, bob: Person) -> None:
    for number in range(10):
        role = await door.change("createRole", {"name": f"r{number}", "permissions": []}, "role { id }", by=root)
        role_id = role["role"]["id"]
        found = await outcomes(
            door.change("updateUser", {"id": bob.id, "roleId": role_id}, "user { id }", by=root),
            door.change("deleteRole", {"id": role_id}, "deletedId", by=root),
            door.change("updateUser", {"id": bob.id, "lastName": f"B{number}"}, "user { id }", by=root),
        )
        assert found in ({"done": 2, "IN_USE id": 1}, {"done": 2, "NOT_FOUND roleId": 1})


async def test_a_role_is_taken_back_and_deleted_without_a_deadlock(door: Door, root: Person, bob: Person) -> None:
    for number in range(10):
        role = await door.change("createRole", {"name": f"r{number}", "permissions": []}, "role { id }", by=root)
        role_id = role["role"]["id"]
        await door.change("updateUser", {"id": bob.id, "roleId": role_id}, "user { id }", by=root)
        found = await outcomes_at_once(
            door,
            door.change("updateUser", {"id": bob.id, "roleId": None}, "user { id }", by=root),
            door.change("deleteRole", {"id": role_id}, "deletedId", by=root),
        )
        assert found in ({"done": 2}, {"done": 1, "IN_USE id": 1})


async def test_a_plan_is_given_or_deleted_but_never_both(door: Door, root: Person, bob: Person) -> None:
    for number in range(10):
        plan = await door.change("createPlan", {"name": f"p{number}", "tier": "FREE"}, "plan { id }", by=root)
        plan_id = plan["plan"]["id"]
        found = await outcomes(
            door.change("changePlan", {"userId": bob.id, "planId": plan_id}, "user { id }", by=root),
            door.change("deletePlan", {"id": plan_id}, "deletedId", by=root),
            door.change("changePlan", {"userId": bob.id, "planId": plan_id}, "user { id }", by=root),
        )
        assert found in ({"done": 2, "IN_USE id": 1}, {"done": 1, "NOT_FOUND planId": 2})


async def test_one_plan_at_most_becomes_the_default(door: Door, root: Person) -> None:
    values = [{"name": f"p{number}", "tier": "FREE", "isDefault": True} for number in range(20)]
    found = await outcomes(*(door.change("createPlan", value, "plan { id }", by=root) for value in values))
    assert found["done"] >= 1
    assert found["done"] + found["CONFLICT isDefault"] == 20
    assert len(await door.rows("SELECT id FROM plans WHERE is_default")) == 1


async def test_an_account_is_deleted_once(door: Door, root: Person, bob: Person) -> None:
    found = await outcomes(*(door.change("deleteUser", {"id": bob.id}, "deletedId", by=root) for _ in range(20)))
    assert found == {"done": 1, "NOT_FOUND id": 19}


async def test_a_server_is_never_left_without_its_owner(door: Door, root: Person) -> None:
    for number in range(10):
        made = await door.change("createUser", {"username": f"carol_{number}"}, "user { id }", by=root)
        user_id = made["user"]["id"]
        found = await outcomes(
            door.change("createServer", {"name": "s", "ownerId": user_id}, "server { id }", by=root),
            door.change("deleteUser", {"id": user_id}, "deletedId", by=root),
        )
        assert found in ({"done": 1, "IN_USE id": 1}, {"done": 1, "NOT_FOUND ownerId": 1})


async def test_a_password_is_set_while_the_account_is_changed_and_suspended(
    door: Door, root: Person, bob: Person
) -> None:
    for number in range(5):
        found = await outcomes(
            door.change("setPassword", {"userId": bob.id, "password": f"{PASSWORD}{number}"}, "user { id }", by=root),
            door.change("updateUser", {"id": bob.id, "firstName": f"B{number}"}, "user { id }", by=root),
            door.change("suspendUser", {"id": bob.id, "reason": f"{number}"}, "user { id }", by=root),
        )
        assert found == {"done": 3}
    (row,) = await door.rows("SELECT first_name, suspended_reason FROM users WHERE id = $1", bob.id)
    assert (row["first_name"], row["suspended_reason"]) == ("B4", "4")


@pytest.mark.parametrize(
    ("field", "value"),
    [("suspendUser", {"id": "$bob"}), ("setPassword", {"userId": "$bob", "password": f"{PASSWORD}-another"})],
)
async def test_no_login_slips_past_a_suspension_or_a_new_password(
    door: Door, root: Person, bob: Person, field: str, value: dict[str, str]
) -> None:
    login = f'mutation {{ login(input: {{login: "bob", password: "{PASSWORD}"}}) {{ token errors {{ code }} }} }}'
    value = {name: bob.id if item == "$bob" else item for name, item in value.items()}
    logins = [asyncio.create_task(door.ask(login)) for _ in range(20)]
    # Some of them are through by then
    await asyncio.wait(logins, return_when=asyncio.FIRST_COMPLETED)
    assert (await door.change(field, value, "user { id }", by=root))["errors"] == []
    answers = await asyncio.gather(*logins)
    codes = {error["extensions"]["code"] for answer in answers for error in answer.get("errors", [])}
    assert codes <= {"USER_SUSPENDED"}
    assert await door.rows("SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL", bob.id) == []

"""Changes of many users at once: each does what the mutation on one user does, and reports each user."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, Person
from tests.many_users import (
    FIELDS,
    UNKNOWN,
    create_gold,
    create_users,
    events,
    give_role,
    key,
    many,
    outcomes,
    problems,
    state,
)
from tests.sessions import impersonated, login

# The mutation on one user, and the field that names the user
ONE = {
    "suspendUsers": ("suspendUser", "id"),
    "unsuspendUsers": ("unsuspendUser", "id"),
    "deleteUsers": ("deleteUser", "id"),
    "changePlans": ("changePlan", "userId"),
    "setRoles": ("updateUser", "id"),
}
PERMISSIONS = {
    "suspendUsers": "users.suspend",
    "unsuspendUsers": "users.suspend",
    "deleteUsers": "users.delete",
    "changePlans": "users.plan",
    "setRoles": "users.update",
}


@pytest.fixture(params=FIELDS)
def field(request: pytest.FixtureRequest) -> str:
    """Return each of the mutations."""
    return str(request.param)


async def prepare(client: Client, root: Person, field: str) -> dict[str, Any]:
    """Create what the mutation needs, and return the rest of its input."""
    if field == "changePlans":
        await create_gold(client, root)
    if field == "unsuspendUsers":
        await client.rows("UPDATE users SET suspended_at = now() WHERE username NOT IN ('root', 'adam', 'stella')")
    return FIELDS[field]


async def test_every_user_is_changed_as_by_the_mutation_on_one(
    client: Client, root: Person, admin: Person, field: str
) -> None:
    ids = await create_users(client, 4)
    value = await prepare(client, root, field)
    one, name = ONE[field]
    assert (await client.mutate(one, {name: ids[0]} | value, "__typename", by=admin))["errors"] == []
    before = len(await events(client))
    payload = await many(client, field, {"ids": [ids[3], ids[1]]} | value, admin)
    assert outcomes(payload) == ["done", "done"]
    assert [result["userId"] for result in payload["results"]] == [ids[3], ids[1]]
    single, *others = (await client.rows("SELECT * FROM audit_events ORDER BY id"))[before - 1 :]
    assert [each["target_id"] for each in others] == [ids[3], ids[1]]
    differing = {"id", "created_at", "request_id", "target_id", "owner_id", "changes"}
    for each in others:
        assert {n: v for n, v in each.items() if n not in differing} == {
            n: v for n, v in single.items() if n not in differing
        }
        assert each["changes"].keys() == single["changes"].keys()
        plain = single["changes"].keys() - {"username", "suspension", "suspendedAt", "wallets"}
        assert {name: each["changes"][name] for name in plain} == {name: single["changes"][name] for name in plain}
    left = await client.rows("SELECT * FROM users WHERE id = ANY($1::uuid[])", [ids[0], ids[1], ids[3]])
    columns = ("tier", "plan_id", "role_id", "suspended_reason", "suspended_by", "version")
    assert len({tuple(row[column] for column in columns) for row in left}) == (0 if field == "deleteUsers" else 1)
    [other] = await client.rows("SELECT version FROM users WHERE id = $1", ids[2])
    assert other["version"] == (2 if field == "unsuspendUsers" else 1)


async def test_a_user_who_cannot_be_changed_stops_no_other_one(
    client: Client, root: Person, admin: Person, field: str
) -> None:
    ids = await create_users(client, 2)
    value = await prepare(client, root, field)
    payload = await many(client, field, {"ids": [UNKNOWN, ids[0], root.id, ids[1], ids[0]]} | value, admin)
    assert outcomes(payload) == [("NOT_FOUND", "ids.0"), "done", ("NOT_ALLOWED", "ids.2"), "done"]
    assert [message["message"] for message in payload["results"][2]["errors"]] == [
        "This user holds permissions that you do not hold: *."
    ]
    assert {target for _, target in (await events(client))[-2:]} == set(ids)


@pytest.mark.parametrize("own", ["suspendUsers", "deleteUsers", "setRoles"])
async def test_callers_never_change_themselves(client: Client, admin: Person, bob: Person, own: str) -> None:
    payload = await many(client, own, {"ids": [admin.id, bob.id]} | FIELDS[own], admin)
    assert outcomes(payload) == [("NOT_ALLOWED", "ids.0"), "done"]
    assert "own" in payload["results"][0]["errors"][0]["message"] or own == "suspendUsers"


async def test_a_filter_that_matches_the_caller_leaves_the_caller_as_it_is(client: Client, admin: Person) -> None:
    payload = await many(client, "setRoles", {"filter": {}, "expectedCount": 5, "roleName": "USER"}, admin)
    assert sorted(map(str, outcomes(payload))) == ["('NOT_ALLOWED', 'filter')"] * 2 + ["done"] * 3
    rows = await client.rows(
        "SELECT username FROM users JOIN roles ON roles.id = role_id WHERE name IN ('ROOT', 'ADMIN') ORDER BY 1"
    )
    assert [row["username"] for row in rows] == ["adam", "root"]


async def test_the_last_root_who_can_sign_in_stays(client: Client, root: Person, alice: Person, bob: Person) -> None:
    assert (await client.mutate("updateUser", {"id": bob.id, "roleName": "ROOT"}, "", by=root))["errors"] == []
    await client.rows("DELETE FROM credentials WHERE user_id = $1", root.id)
    for removal, path in (("suspendUsers", "ids.0"), ("setRoles", "roleName"), ("deleteUsers", "ids.0")):
        value = {"ids": [bob.id, alice.id]} | FIELDS[removal]
        assert outcomes(await many(client, removal, value, root)) == [("NOT_ALLOWED", path), "done"]


async def test_owners_of_servers_are_deleted_only_with_cascade(
    client: Client, root: Person, admin: Person, alice: Person, bob: Person
) -> None:
    await client.mutate("createServer", {"name": "box", "ownerId": alice.id}, "server { id }", by=root)
    payload = await many(client, "deleteUsers", {"ids": [alice.id, bob.id]}, admin)
    assert outcomes(payload) == [("IN_USE", "ids.0"), "done"]
    payload = await many(client, "deleteUsers", {"ids": [bob.id, alice.id], "cascade": True}, admin)
    assert outcomes(payload) == [("NOT_FOUND", "ids.0"), "done"]
    assert await client.rows("SELECT FROM servers") == []


async def test_cascade_requires_what_the_deletion_of_a_server_requires(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await give_role(client, root, alice, "deleter", "users.delete")
    before = await state(client)
    payload = await many(client, "deleteUsers", {"ids": [UNKNOWN, bob.id], "cascade": True}, alice)
    assert problems(payload) == [("NOT_ALLOWED", ["cascade"])]
    assert await state(client) == before


async def test_a_session_must_be_recent_to_delete_users(client: Client, admin: Person, bob: Person) -> None:
    secret = await key(client, admin, "users.delete")
    await client.rows("UPDATE sessions SET authenticated_at = now() - interval '1 hour'")
    document = "mutation ($ids: [ID!]) { deleteUsers(input: {ids: $ids}) { deletedIds errors { code } } }"
    answer = await client.execute(document, {"ids": [bob.id]}, by=admin)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == ({"deleteUsers": None}, "REAUTH_REQUIRED")
    assert outcomes(await many(client, "deleteUsers", {"ids": [bob.id]}, secret)) == ["done"]


async def test_a_person_who_acts_as_another_user_deletes_no_users(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    opener, _ = await login(client, "root")
    token = await impersonated(client, opener, admin)
    document = "mutation ($ids: [ID!]) { deleteUsers(input: {ids: $ids}) { deletedIds errors { code } } }"
    answer = await client.execute(document, {"ids": [bob.id]}, by=token)
    assert (answer["data"], answer["errors"][0]["extensions"]["code"]) == ({"deleteUsers": None}, "FORBIDDEN")
    assert outcomes(await many(client, "suspendUsers", {"ids": [bob.id, root.id]}, token)) == [
        "done",
        ("NOT_ALLOWED", "ids.1"),
    ]
    [row] = await client.rows("SELECT actor_id, impersonator_id FROM audit_events ORDER BY id DESC LIMIT 1")
    assert (row["actor_id"], row["impersonator_id"]) == (admin.id, root.id)


async def test_an_api_key_does_what_it_lists_and_no_more(client: Client, admin: Person, bob: Person) -> None:
    secret = await key(client, admin, "users.suspend")
    for other in FIELDS.keys() - {"suspendUsers", "unsuspendUsers"}:
        document = f"mutation ($ids: [ID!]) {{ {other}(input: {{ids: $ids}}) {{ errors {{ code }} }} }}"
        answer = await client.execute(document, {"ids": [bob.id]}, by=secret)
        extensions = {"code": "FORBIDDEN", "permission": PERMISSIONS[other]}
        assert (answer["data"], answer["errors"][0]["extensions"]) == (None, extensions)
    assert outcomes(await many(client, "suspendUsers", {"ids": [bob.id]}, secret)) == ["done"]
    # The same permission opens no filter: its number of users would tell what the key may not read
    for selection in ({"filter": {"suspended": True}}, {"search": "bob"}):
        payload = await many(client, "unsuspendUsers", selection | {"expectedCount": 1}, secret)
        assert problems(payload) == [("NOT_ALLOWED", list(selection))]


async def test_a_key_grants_no_role_with_more_than_it_lists(client: Client, admin: Person, bob: Person) -> None:
    secret = await key(client, admin, "users.update", "users.read")
    payload = await many(client, "setRoles", {"ids": [bob.id], "roleName": "STAFF"}, secret)
    assert problems(payload) == [("NOT_ALLOWED", ["roleName"])]
    assert outcomes(await many(client, "setRoles", {"ids": [bob.id], "isAdmin": False}, secret)) == ["done"]


async def test_plans_and_roles_are_judged_as_for_one_user(client: Client, root: Person, bob: Person) -> None:
    gold = await create_gold(client, root)
    for each, value, found in (
        ("changePlans", {"planId": UNKNOWN}, ("NOT_FOUND", ["planId"])),
        ("changePlans", {"planId": gold, "planName": "gold"}, ("INVALID", ["planName"])),
        ("setRoles", {"roleId": UNKNOWN}, ("NOT_FOUND", ["roleId"])),
        ("setRoles", {"roleName": "nothing"}, ("NOT_FOUND", ["roleName"])),
        ("setRoles", {"roleName": "STAFF", "isAdmin": True}, ("INVALID", ["isAdmin"])),
    ):
        assert problems(await many(client, each, {"ids": [UNKNOWN, bob.id]} | value, root)) == [found]
    assert outcomes(await many(client, "changePlans", {"ids": [bob.id], "planId": gold}, root)) == ["done"]
    [row] = await client.rows("SELECT tier, plan_id FROM users WHERE id = $1", bob.id)
    assert (row["tier"], row["plan_id"]) == ("PAID", gold)


async def test_what_is_repeated_changes_nothing_more(client: Client, admin: Person) -> None:
    ids = await create_users(client, 3)
    await create_gold(client, admin)
    await many(client, "suspendUsers", {"ids": ids[:2]}, admin)
    found = [outcomes(await many(client, "unsuspendUsers", {"ids": ids}, admin)) for _ in range(2)]
    assert found[0] == ["done", "done", ("ALREADY_DONE", "ids.2")]
    assert found[1] == [("ALREADY_DONE", f"ids.{number}") for number in range(3)]
    for field in ("changePlans", "setRoles"):
        assert outcomes(await many(client, field, {"ids": ids} | FIELDS[field], admin)) == ["done"] * 3
        before = await events(client)
        assert outcomes(await many(client, field, {"ids": ids} | FIELDS[field], admin)) == ["done"] * 3
        assert await events(client) == before
    found = [outcomes(await many(client, "deleteUsers", {"ids": ids}, admin)) for _ in range(2)]
    assert found == [["done"] * 3, [("NOT_FOUND", f"ids.{number}") for number in range(3)]]


async def test_sessions_of_every_suspended_user_end(client: Client, staff: Person, alice: Person, bob: Person) -> None:
    assert outcomes(await many(client, "suspendUsers", {"ids": [alice.id, bob.id]}, staff)) == ["done"] * 2
    for person in (alice, bob):
        answer = await client.execute("{ me { id } }", by=person)
        assert [error["extensions"]["code"] for error in answer["errors"]] == ["USER_SUSPENDED"]


async def test_the_fields_of_changed_users_can_be_read(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    selection = "users { username suspension { reason by { username } } sessions { nodes { id } } role { name } }"
    value = {"ids": [alice.id, bob.id], "reason": "abuse"}
    payload = await client.mutate("suspendUsers", value, selection, by=admin)
    suspension = {"reason": "abuse", "by": {"username": "adam"}}
    rest = {"suspension": suspension, "sessions": {"nodes": []}, "role": {"name": "USER"}}
    assert payload["users"] == [{"username": name} | rest for name in ("alice", "bob")]

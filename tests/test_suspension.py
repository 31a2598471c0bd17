"""Suspension: it bites on the next request, whatever the credential, and lifts itself at its end."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.conftest import PASSWORD, Door, Person

STATE = "user { suspended suspension { reason at until by { username } } }"
OVER = "UPDATE users SET suspended_at = now() - interval '1 hour', suspended_until = now() - interval '1 second'"
LOGIN = "mutation ($login: String!, $password: String!) { login(input: {login: $login, password: $password}) "
LOGIN += "{ user { id } token errors { code field } } }"


async def key_of(door: Door, person: Person) -> str:
    """The secret of a new API key that may read its owner's account."""
    value = {"name": "key", "permissions": ["account.read", "account.update"]}
    return str((await door.change("createApiKey", value, "secret", by=person))["secret"])


async def code(door: Door, query: str, by: Person | str) -> str | None:
    """The code of the first top-level error; None where there is none."""
    answer = await door.ask(query, by=by)
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


async def test_sessions_and_keys_end_with_the_next_request(door: Door, staff: Person, bob: Person) -> None:
    secret = await key_of(door, bob)
    other = await door.change("login", {"login": "bob", "password": PASSWORD}, "token")
    credentials = (bob.token, other["token"], secret)
    assert [await code(door, "{ me { id } }", by) for by in credentials] == [None, None, None]
    payload = await door.change("suspendUser", {"id": bob.id, "reason": "spam"}, STATE, by=staff)
    at = payload["user"]["suspension"]["at"]
    assert payload == {
        "user": {
            "suspended": True,
            "suspension": {"reason": "spam", "at": at, "until": None, "by": {"username": "stella"}},
        },
        "errors": [],
    }
    for query in (
        "{ me { id } }",
        f'{{ user(by: {{id: "{bob.id}"}}) {{ email }} }}',
        "mutation { logout { __typename } }",
    ):
        assert [await code(door, query, by) for by in credentials] == ["USER_SUSPENDED"] * 3
    assert (
        await code(door, 'mutation { updateProfile(input: {firstName: "B"}) { user { id } } }', secret)
        == "USER_SUSPENDED"
    )
    sessions = await door.rows("SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL", bob.id)
    assert sessions == []


async def test_a_login_is_told_of_the_suspension_by_the_right_password_only(
    door: Door, staff: Person, bob: Person
) -> None:
    await door.change("suspendUser", {"id": bob.id}, "user { id }", by=staff)
    for login in ("bob", "BOB", "bob@roster.test"):
        right = await door.ask(LOGIN, {"login": login, "password": PASSWORD})
        assert (right["data"], right["errors"][0]["extensions"]["code"]) == (None, "USER_SUSPENDED")
        wrong = await door.data(LOGIN, {"login": login, "password": f"{PASSWORD}!"})
        error = {"code": "WRONG_CREDENTIALS", "field": None}
        assert wrong == {"login": {"user": None, "token": None, "errors": [error]}}


async def test_lifting_it_brings_keys_back_but_no_sessions(door: Door, staff: Person, bob: Person) -> None:
    secret = await key_of(door, bob)
    await door.change("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=staff)
    payload = await door.change("unsuspendUser", {"id": bob.id}, STATE, by=staff)
    assert payload == {"user": {"suspended": False, "suspension": None}, "errors": []}
    assert await door.data("{ me { username } }", by=secret) == {"me": {"username": "bob"}}
    assert await code(door, "{ me { id } }", bob) == "UNAUTHENTICATED"
    login = await door.change("login", {"login": "bob", "password": PASSWORD}, "user { username }")
    assert login == {"user": {"username": "bob"}, "errors": []}


async def test_it_lifts_itself_at_its_end(door: Door, staff: Person, root: Person, bob: Person) -> None:
    secret = await key_of(door, bob)
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).replace(microsecond=0)
    payload = await door.change("suspendUser", {"id": bob.id, "until": until.isoformat()}, STATE, by=staff)
    assert payload["user"]["suspension"]["until"] == until.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await code(door, "{ me { id } }", secret) == "USER_SUSPENDED"
    await door.rows(f"{OVER} WHERE id = $1", bob.id)
    own = await door.data("{ me { username suspended suspension { reason } } }", by=secret)
    assert own == {"me": {"username": "bob", "suspended": False, "suspension": None}}
    assert await code(door, "{ me { id } }", bob) == "UNAUTHENTICATED"
    assert (await door.change("login", {"login": "bob", "password": PASSWORD}, "token"))["errors"] == []
    listed = "query ($suspended: Boolean) { users(filter: {suspended: $suspended}) { nodes { username } totalCount } }"
    assert await door.data(listed, {"suspended": True}, by=root) == {"users": {"nodes": [], "totalCount": 0}}
    again = await door.change("unsuspendUser", {"id": bob.id}, "user { id }", by=staff)
    assert [(error["code"], error["field"]) for error in again["errors"]] == [("ALREADY_DONE", ["id"])]
    anew = await door.change("suspendUser", {"id": bob.id, "reason": "again"}, STATE, by=root)
    suspension = anew["user"]["suspension"]
    assert (suspension["reason"], suspension["until"], suspension["by"]) == ("again", None, {"username": "root"})
    assert dt.datetime.fromisoformat(suspension["at"]) > dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)


async def test_a_second_suspension_changes_the_terms_and_keeps_the_start(
    door: Door, staff: Person, root: Person, bob: Person
) -> None:
    first = await door.change("suspendUser", {"id": bob.id, "reason": "spam"}, STATE, by=staff)
    value = {"id": bob.id, "reason": "fraud", "until": "2999-01-01T00:00:00Z"}
    second = await door.change("suspendUser", value, STATE, by=root)
    assert second["user"]["suspension"] == {
        "reason": "fraud",
        "at": first["user"]["suspension"]["at"],
        "until": "2999-01-01T00:00:00Z",
        "by": {"username": "root"},
    }


async def test_only_the_one_of_that_name_is_suspended(door: Door, root: Person, bob: Person) -> None:
    for username in ("xbob", "bobx", "x_bob"):
        await door.change("createUser", {"username": username, "password": PASSWORD}, "user { id }", by=root)
    await door.change("suspendUser", {"id": bob.id}, "user { id }", by=root)
    found = await door.data("{ users(filter: {suspended: true}) { nodes { username } totalCount } }", by=root)
    assert found == {"users": {"nodes": [{"username": "bob"}], "totalCount": 1}}
    login = await door.change("login", {"login": "xbob", "password": PASSWORD}, "user { username suspended }")
    assert login == {"user": {"username": "xbob", "suspended": False}, "errors": []}


async def test_the_name_of_a_suspended_account_stays_taken(door: Door, root: Person, bob: Person) -> None:
    await door.change("suspendUser", {"id": bob.id}, "user { id }", by=root)
    payload = await door.change("createUser", {"username": "BOB"}, "user { id }", by=root)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("TAKEN", ["username"])]


async def test_a_suspended_account_can_be_changed_and_deleted(door: Door, root: Person, bob: Person) -> None:
    await door.change("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=root)
    changed = await door.change(
        "updateUser", {"id": bob.id, "firstName": "Bob"}, "user { suspended firstName }", by=root
    )
    assert changed == {"user": {"suspended": True, "firstName": "Bob"}, "errors": []}
    password = {"userId": bob.id, "password": "a-quite-unusual-walrus-77"}
    assert (await door.change("setPassword", password, "user { suspended }", by=root))["user"] == {"suspended": True}
    assert (await door.change("deleteUser", {"id": bob.id}, "deletedId", by=root))["errors"] == []


async def test_a_suspension_outlives_the_account_that_made_it(door: Door, root: Person, bob: Person) -> None:
    helper = {"username": "helper", "password": PASSWORD, "roleName": "STAFF"}
    helper_id = (await door.change("createUser", helper, "user { id }", by=root))["user"]["id"]
    token = (await door.change("login", {"login": "helper", "password": PASSWORD}, "token"))["token"]
    await door.change("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=token)
    assert (await door.change("deleteUser", {"id": helper_id}, "deletedId", by=root))["errors"] == []
    found = await door.data(
        "query ($id: ID!) { user(by: {id: $id}) { suspension { reason by { id } } } }", {"id": bob.id}, by=root
    )
    assert found == {"user": {"suspension": {"reason": "spam", "by": None}}}


@pytest.mark.parametrize(
    ("field", "change", "expected"),
    [
        ("suspendUser", {"until": "2001-01-01T00:00:00Z"}, ("INVALID", ["until"])),
        ("suspendUser", {"reason": ""}, ("REQUIRED", ["reason"])),
        ("suspendUser", {"reason": "x" * 1025}, ("TOO_LONG", ["reason"])),
        ("suspendUser", {"id": "00000000-0000-7000-8000-00000000ffff"}, ("NOT_FOUND", ["id"])),
        ("unsuspendUser", {"id": "00000000-0000-7000-8000-00000000ffff"}, ("NOT_FOUND", ["id"])),
        ("unsuspendUser", {}, ("ALREADY_DONE", ["id"])),
    ],
)
async def test_a_wrong_input_is_refused_with_its_field(
    door: Door, staff: Person, bob: Person, *, field: str, change: dict[str, Any], expected: tuple[str, list[str]]
) -> None:
    payload = await door.change(field, {"id": bob.id} | change, "user { id }", by=staff)
    assert payload["user"] is None
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [expected]
    assert await door.data("{ me { suspended } }", by=bob) == {"me": {"suspended": False}}


async def test_the_longest_reason_and_a_null_end_are_accepted(door: Door, staff: Person, bob: Person) -> None:
    value = {"id": bob.id, "reason": "ß" * 1024, "until": None}
    payload = await door.change("suspendUser", value, "user { suspension { reason until } }", by=staff)
    assert payload == {"user": {"suspension": {"reason": "ß" * 1024, "until": None}}, "errors": []}


async def test_nobody_suspends_themselves(door: Door, staff: Person) -> None:
    payload = await door.change("suspendUser", {"id": staff.id}, "user { id }", by=staff)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", ["id"])]
    assert await door.data("{ me { suspended } }", by=staff) == {"me": {"suspended": False}}

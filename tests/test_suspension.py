"""Suspension: it takes effect with the next request of every credential, and ends by itself at its end."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from tests.conftest import PASSWORD, Client, Person

UNKNOWN = "00000000-0000-7000-8000-00000000ffff"
STATE = "user { suspended suspension { reason at until by { username } } }"
ENDED = "UPDATE users SET suspended_at = now() - interval '1 hour', suspended_until = now() - interval '1 second'"
LOGIN = "mutation ($login: String!, $password: String!) { login(input: {login: $login, password: $password}) "
LOGIN += "{ user { id } token errors { code field } } }"


async def create_key(client: Client, person: Person) -> str:
    """Create an API key for the account of a user, and return its secret."""
    value = {"name": "key", "permissions": ["account.read", "account.update"]}
    return str((await client.mutate("createApiKey", value, "secret", by=person))["secret"])


async def code(client: Client, query: str, by: Person | str) -> str | None:
    """Return the code of the first top-level error, or None if there is none."""
    answer = await client.execute(query, by=by)
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


async def test_sessions_and_keys_end_with_the_next_request(client: Client, staff: Person, bob: Person) -> None:
    secret = await create_key(client, bob)
    other = await client.mutate("login", {"login": "bob", "password": PASSWORD}, "token")
    credentials = (bob.token, other["token"], secret)
    assert [await code(client, "{ me { id } }", by) for by in credentials] == [None, None, None]
    payload = await client.mutate("suspendUser", {"id": bob.id, "reason": "spam"}, STATE, by=staff)
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
        assert [await code(client, query, by) for by in credentials] == ["USER_SUSPENDED"] * 3
    assert (
        await code(client, 'mutation { updateProfile(input: {firstName: "B"}) { user { id } } }', secret)
        == "USER_SUSPENDED"
    )
    sessions = await client.rows("SELECT id FROM sessions WHERE user_id = $1 AND ended_at IS NULL", bob.id)
    assert sessions == []


async def test_a_login_reports_the_suspension_only_for_the_right_password(
    client: Client, staff: Person, bob: Person
) -> None:
    await client.mutate("suspendUser", {"id": bob.id}, "user { id }", by=staff)
    for login in ("bob", "BOB", "bob@roster.test"):
        right = await client.execute(LOGIN, {"login": login, "password": PASSWORD})
        assert right["data"] == {"login": None}
        assert [error["extensions"]["code"] for error in right["errors"]] == ["USER_SUSPENDED"]
        wrong = await client.data(LOGIN, {"login": login, "password": f"{PASSWORD}!"})
        error = {"code": "WRONG_CREDENTIALS", "field": None}
        assert wrong == {"login": {"user": None, "token": None, "errors": [error]}}


async def test_keys_are_valid_after_the_suspension_but_sessions_stay_ended(
    client: Client, staff: Person, bob: Person
) -> None:
    secret = await create_key(client, bob)
    await client.mutate("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=staff)
    payload = await client.mutate("unsuspendUser", {"id": bob.id}, STATE, by=staff)
    assert payload == {"user": {"suspended": False, "suspension": None}, "errors": []}
    assert await client.data("{ me { username } }", by=secret) == {"me": {"username": "bob"}}
    assert await code(client, "{ me { id } }", bob) == "UNAUTHENTICATED"
    login = await client.mutate("login", {"login": "bob", "password": PASSWORD}, "user { username }")
    assert login == {"user": {"username": "bob"}, "errors": []}


async def test_a_suspension_ends_by_itself_at_its_end(client: Client, staff: Person, root: Person, bob: Person) -> None:
    secret = await create_key(client, bob)
    until = (dt.datetime.now(dt.UTC) + dt.timedelta(days=1)).replace(microsecond=0)
    payload = await client.mutate("suspendUser", {"id": bob.id, "until": until.isoformat()}, STATE, by=staff)
    assert payload["user"]["suspension"]["until"] == until.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert await code(client, "{ me { id } }", secret) == "USER_SUSPENDED"
    await client.rows(f"{ENDED} WHERE id = $1", bob.id)
    own = await client.data("{ me { username suspended suspension { reason } } }", by=secret)
    assert own == {"me": {"username": "bob", "suspended": False, "suspension": None}}
    assert await code(client, "{ me { id } }", bob) == "UNAUTHENTICATED"
    assert (await client.mutate("login", {"login": "bob", "password": PASSWORD}, "token"))["errors"] == []
    listed = "query ($suspended: Boolean) { users(filter: {suspended: $suspended}) { nodes { username } totalCount } }"
    assert await client.data(listed, {"suspended": True}, by=root) == {"users": {"nodes": [], "totalCount": 0}}
    again = await client.mutate("unsuspendUser", {"id": bob.id}, "user { id }", by=staff)
    assert [(error["code"], error["field"]) for error in again["errors"]] == [("ALREADY_DONE", ["id"])]
    second = await client.mutate("suspendUser", {"id": bob.id, "reason": "again"}, STATE, by=root)
    suspension = second["user"]["suspension"]
    assert (suspension["reason"], suspension["until"], suspension["by"]) == ("again", None, {"username": "root"})
    assert dt.datetime.fromisoformat(suspension["at"]) > dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1)


async def test_a_second_suspension_changes_the_terms_and_keeps_the_start(
    client: Client, staff: Person, root: Person, bob: Person
) -> None:
    first = await client.mutate("suspendUser", {"id": bob.id, "reason": "spam"}, STATE, by=staff)
    value = {"id": bob.id, "reason": "fraud", "until": "2999-01-01T00:00:00Z"}
    second = await client.mutate("suspendUser", value, STATE, by=root)
    assert second["user"]["suspension"] == {
        "reason": "fraud",
        "at": first["user"]["suspension"]["at"],
        "until": "2999-01-01T00:00:00Z",
        "by": {"username": "root"},
    }


async def test_only_the_user_of_that_name_is_suspended(client: Client, root: Person, bob: Person) -> None:
    for username in ("xbob", "bobx", "x_bob"):
        await client.mutate("createUser", {"username": username, "password": PASSWORD}, "user { id }", by=root)
    await client.mutate("suspendUser", {"id": bob.id}, "user { id }", by=root)
    found = await client.data("{ users(filter: {suspended: true}) { nodes { username } totalCount } }", by=root)
    assert found == {"users": {"nodes": [{"username": "bob"}], "totalCount": 1}}
    login = await client.mutate("login", {"login": "xbob", "password": PASSWORD}, "user { username suspended }")
    assert login == {"user": {"username": "xbob", "suspended": False}, "errors": []}


async def test_the_username_of_a_suspended_user_stays_taken(client: Client, root: Person, bob: Person) -> None:
    await client.mutate("suspendUser", {"id": bob.id}, "user { id }", by=root)
    payload = await client.mutate("createUser", {"username": "BOB"}, "user { id }", by=root)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("TAKEN", ["username"])]


async def test_a_suspended_user_can_be_changed_and_deleted(client: Client, root: Person, bob: Person) -> None:
    await client.mutate("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=root)
    changed = await client.mutate(
        "updateUser", {"id": bob.id, "firstName": "Bob"}, "user { suspended firstName }", by=root
    )
    assert changed == {"user": {"suspended": True, "firstName": "Bob"}, "errors": []}
    password = {"userId": bob.id, "password": "a-quite-unusual-walrus-77"}
    assert (await client.mutate("setPassword", password, "user { suspended }", by=root))["user"] == {"suspended": True}
    assert (await client.mutate("deleteUser", {"id": bob.id}, "deletedId", by=root))["errors"] == []


async def test_a_suspension_outlives_the_user_who_made_it(client: Client, root: Person, bob: Person) -> None:
    helper = {"username": "helper", "password": PASSWORD, "roleName": "STAFF"}
    helper_id = (await client.mutate("createUser", helper, "user { id }", by=root))["user"]["id"]
    token = (await client.mutate("login", {"login": "helper", "password": PASSWORD}, "token"))["token"]
    await client.mutate("suspendUser", {"id": bob.id, "reason": "spam"}, "user { id }", by=token)
    assert (await client.mutate("deleteUser", {"id": helper_id}, "deletedId", by=root))["errors"] == []
    found = await client.data(
        "query ($id: ID!) { user(by: {id: $id}) { suspension { reason by { id } } } }", {"id": bob.id}, by=root
    )
    assert found == {"user": {"suspension": {"reason": "spam", "by": None}}}


@pytest.mark.parametrize(
    ("field", "change", "expected"),
    [
        ("suspendUser", {"until": "2001-01-01T00:00:00Z"}, [("INVALID", "until", "until must be in the future.")]),
        ("suspendUser", {"reason": ""}, [("REQUIRED", "reason", "reason must not be empty.")]),
        ("suspendUser", {"reason": " \n\t"}, [("REQUIRED", "reason", "reason must not be empty.")]),
        ("suspendUser", {"reason": "x" * 1025}, [("TOO_LONG", "reason", "reason must have at most 1024 characters.")]),
        (
            "suspendUser",
            {"reason": "a\u202eb", "until": "2001-01-01T00:00:00Z"},
            [
                ("INVALID", "reason", "reason must not contain invisible characters."),
                ("INVALID", "until", "until must be in the future."),
            ],
        ),
        ("suspendUser", {"id": UNKNOWN}, [("NOT_FOUND", "id", "This object does not exist.")]),
        ("unsuspendUser", {"id": UNKNOWN}, [("NOT_FOUND", "id", "This object does not exist.")]),
        ("unsuspendUser", {}, [("ALREADY_DONE", "id", "This user is not suspended.")]),
    ],
)
async def test_a_wrong_value_is_reported_with_its_field(
    client: Client,
    staff: Person,
    bob: Person,
    *,
    field: str,
    change: dict[str, Any],
    expected: list[tuple[str, str, str]],
) -> None:
    payload = await client.mutate(field, {"id": bob.id} | change, "user { id }", by=staff)
    errors = [{"code": code, "message": message, "field": [path]} for code, path, message in expected]
    assert payload == {"user": None, "errors": errors}
    assert await client.data("{ me { suspended } }", by=bob) == {"me": {"suspended": False}}


async def test_the_longest_reason_and_a_null_end_are_accepted(client: Client, staff: Person, bob: Person) -> None:
    value = {"id": bob.id, "reason": "ß" * 1024, "until": None}
    payload = await client.mutate("suspendUser", value, "user { suspension { reason until } }", by=staff)
    assert payload == {"user": {"suspension": {"reason": "ß" * 1024, "until": None}}, "errors": []}
    value = {"id": bob.id, "reason": "  First \u00a0 line\nCafe\u0301 \n"}
    payload = await client.mutate("suspendUser", value, "user { suspension { reason until } }", by=staff)
    assert payload == {"user": {"suspension": {"reason": "First line\nCafé", "until": None}}, "errors": []}


async def test_a_user_cannot_suspend_themselves(client: Client, staff: Person) -> None:
    payload = await client.mutate("suspendUser", {"id": staff.id}, "user { id }", by=staff)
    error = {"code": "NOT_ALLOWED", "message": "You cannot suspend yourself.", "field": ["id"]}
    assert payload == {"user": None, "errors": [error]}
    assert await client.data("{ me { suspended } }", by=staff) == {"me": {"suspended": False}}

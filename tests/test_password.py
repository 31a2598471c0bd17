"""Passwords: one's own, those that administrators set, and which passwords an API key with limits may set."""

from __future__ import annotations

from typing import Any

import pytest

from service.access.permissions import ADMIN
from tests.conftest import PASSWORD, Client, Person

NEW = "a-quite-unusual-walrus-77"
UNKNOWN_ID = "00000000-0000-7000-8000-00000000ffff"
ADMIN_ROLE = "00000000-0000-7000-8000-000000000003"
MUTATIONS = ["createUser", "updateUser", "setPassword", "changePassword"]
USE_CHANGE_PASSWORD = "Use changePassword to change your own password."
GRANTS = "An API key that expires or is limited to networks cannot grant admin permissions."
SETS = "An API key that expires or is limited to networks cannot set passwords."


async def signs_in(client: Client, login: str, password: str) -> bool:
    """Return whether the password is the right one."""
    payload = await client.mutate("login", {"login": login, "password": password}, "user { id }")
    assert [error["code"] for error in payload["errors"]] in ([], ["WRONG_CREDENTIALS"])
    return not payload["errors"]


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def problem_of(client: Client, root: Person, bob: Person, *, field: str, password: str) -> Any:
    """Return the code and the field of the problem of a new password, by any of the mutations that take one."""
    values: dict[str, tuple[dict[str, Any], Person]] = {
        "createUser": ({"username": "carol", "password": password}, root),
        "updateUser": ({"id": bob.id, "password": password}, root),
        "setPassword": ({"userId": bob.id, "password": password}, root),
        "changePassword": ({"currentPassword": PASSWORD, "newPassword": password}, bob),
    }
    value, by = values[field]
    payload = await client.mutate(field, value, "user { id hasPassword }", by=by)
    if not payload["errors"]:
        assert payload["user"]["hasPassword"] is True
        return None
    (problem,) = problems(payload)
    return problem


@pytest.mark.parametrize("field", MUTATIONS)
async def test_every_mutation_has_the_same_policy(client: Client, root: Person, bob: Person, field: str) -> None:
    path = ["newPassword"] if field == "changePassword" else ["password"]
    for password, code in (
        ("", "REQUIRED"),
        ("        ", "WEAK_PASSWORD"),
        ("walr-77", "TOO_SHORT"),
        ("x" * 513, "TOO_LONG"),
        ("x" * 10_000, "TOO_LONG"),
        ("12345678", "WEAK_PASSWORD"),
        ("PassWord", "WEAK_PASSWORD"),
        ("password123", "WEAK_PASSWORD"),
        ("aaaaaaaaaaaaaaaa", "WEAK_PASSWORD"),
        ("a-quite\x00unusual-walrus", "INVALID"),
    ):
        assert await problem_of(client, root, bob, field=field, password=password) == (code, path)


@pytest.mark.parametrize("field", MUTATIONS)
async def test_every_mutation_takes_a_password_unchanged(client: Client, root: Person, bob: Person, field: str) -> None:
    password = "  spaces all around  "
    assert await problem_of(client, root, bob, field=field, password=password) is None
    login = "carol" if field == "createUser" else "bob"
    assert [await signs_in(client, login, item) for item in (password, password.strip())] == [True, False]


async def test_a_password_may_have_any_characters(client: Client, root: Person, bob: Person) -> None:
    for password in ("x9$kLm2!", "пароль-моржа-77", "🦊🦭🐻🦉🐝🦀🐙🦔", "two\nlines-of-walrus", ("walrus " * 74)[:512]):
        assert await problem_of(client, root, bob, field="setPassword", password=password) is None
        assert await signs_in(client, "bob", password)
        for other in (password[1:], password[:-1], f"{password[:-1]}?"):
            assert not await signs_in(client, "bob", other)


async def test_a_long_password_counts_to_its_end(client: Client, root: Person, bob: Person) -> None:
    head = "walrus-and-carpenter-" * 4  # 84 bytes, more than the 72 that bcrypt reads
    password = f"{head}0123456789abcdef"
    assert len(password.encode()) == 100
    await client.mutate("setPassword", {"userId": bob.id, "password": password}, "user { id }", by=root)
    assert await signs_in(client, "bob", password)
    assert not await signs_in(client, "bob", password[:72])
    assert not await signs_in(client, "bob", f"{head}0123456789abcdeX")


@pytest.mark.parametrize(
    "password",
    ["bobadillo", "Bobadillo1", "bobadillo@x.test", "Roberta99", "vanderbilt1", "captain!!", "captainRoberta"],
)
async def test_a_password_of_the_users_own_names_is_weak(client: Client, root: Person, password: str) -> None:
    names = {"email": "bobadillo@x.test", "firstName": "Roberta", "lastName": "Vanderbilt", "displayName": "Captain"}
    person = {"username": "bobadillo"} | names
    weak = [("WEAK_PASSWORD", ["password"])]
    payload = await client.mutate("createUser", person | {"password": password}, "user { id }", by=root)
    assert problems(payload) == weak
    user_id = (await client.mutate("createUser", person | {"password": PASSWORD}, "user { id }", by=root))["user"]["id"]
    for field, value in (
        ("updateUser", {"id": user_id, "password": password}),
        ("setPassword", {"userId": user_id, "password": password}),
    ):
        assert problems(await client.mutate(field, value, "user { id }", by=root)) == weak
    token = (await client.mutate("login", {"login": "bobadillo", "password": PASSWORD}, "token"))["token"]
    own = {"currentPassword": PASSWORD, "newPassword": password}
    payload = await client.mutate("changePassword", own, "user { id }", by=token)
    assert problems(payload) == [("WEAK_PASSWORD", ["newPassword"])]


async def test_a_password_of_a_name_in_the_same_input_is_weak(client: Client, root: Person, bob: Person) -> None:
    value = {"id": bob.id, "firstName": "Esmeralda", "password": "Esmeralda1"}
    payload = await client.mutate("updateUser", value, "user { id }", by=root)
    assert problems(payload) == [("WEAK_PASSWORD", ["password"])]


@pytest.mark.parametrize("field", ["updateUser", "setPassword"])
async def test_a_new_password_ends_the_sessions_and_keeps_the_api_keys(
    client: Client, root: Person, bob: Person, field: str
) -> None:
    key = {"name": "k", "permissions": ["account.read"]}
    secret = (await client.mutate("createApiKey", key, "secret", by=bob))["secret"]
    other = (await client.mutate("login", {"login": "bob", "password": PASSWORD}, "token"))["token"]
    value = {"userId" if field == "setPassword" else "id": bob.id, "password": NEW}
    assert (await client.mutate(field, value, "user { hasPassword }", by=root))["user"] == {"hasPassword": True}
    for token in (bob.token, other):
        answer = await client.execute("{ me { id } }", by=token)
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await client.data("{ me { username } }", by=secret) == {"me": {"username": "bob"}}
    assert [await signs_in(client, "bob", password) for password in (PASSWORD, NEW)] == [False, True]


async def test_change_password_keeps_the_session_of_the_request(client: Client, bob: Person) -> None:
    other = (await client.mutate("login", {"login": "bob", "password": PASSWORD}, "token"))["token"]
    value = {"currentPassword": PASSWORD, "newPassword": NEW}
    payload = await client.mutate("changePassword", value, "user { username hasPassword }", by=bob)
    assert payload == {"user": {"username": "bob", "hasPassword": True}, "errors": []}
    assert await client.data("{ me { username } }", by=bob) == {"me": {"username": "bob"}}
    assert (await client.execute("{ me { id } }", by=other))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert [await signs_in(client, "bob", password) for password in (PASSWORD, NEW)] == [False, True]


@pytest.mark.parametrize("current", ["wrong-horse-battery-42", PASSWORD.upper(), f"{PASSWORD} ", PASSWORD[:-1]])
async def test_change_password_requires_the_current_password(client: Client, bob: Person, current: str) -> None:
    value = {"currentPassword": current, "newPassword": NEW}
    payload = await client.mutate("changePassword", value, "user { id }", by=bob)
    error = {"code": "WRONG_CREDENTIALS", "message": "currentPassword is wrong.", "field": ["currentPassword"]}
    assert payload == {"user": None, "errors": [error]}
    assert [await signs_in(client, "bob", password) for password in (PASSWORD, NEW)] == [True, False]


async def test_a_user_without_a_password_has_no_current_password(client: Client, root: Person, bob: Person) -> None:
    key = {"name": "k", "permissions": ["account.read", "account.password"]}
    secret = (await client.mutate("createApiKey", key, "secret", by=bob))["secret"]
    removed = await client.mutate("updateUser", {"id": bob.id, "password": None}, "user { hasPassword }", by=root)
    assert removed == {"user": {"hasPassword": False}, "errors": []}
    assert (await client.execute("{ me { id } }", by=bob))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert not await signs_in(client, "bob", PASSWORD)
    value = {"currentPassword": PASSWORD, "newPassword": NEW}
    payload = await client.mutate("changePassword", value, "user { id }", by=secret)
    assert problems(payload) == [("NOT_ALLOWED", ["currentPassword"])]


async def test_a_second_removal_of_a_password_changes_nothing(client: Client, root: Person, bob: Person) -> None:
    for _ in range(2):
        await client.mutate("updateUser", {"id": bob.id, "password": None}, "user { id }", by=root)
    events = await client.rows("SELECT changes FROM audit_events WHERE event = 'user.update'")
    assert [event["changes"] for event in events] == [{"password": {"old": "[redacted]", "new": "[redacted]"}}]


async def test_set_password_reports_an_unknown_user(client: Client, root: Person) -> None:
    payload = await client.mutate("setPassword", {"userId": UNKNOWN_ID, "password": NEW}, "user { id }", by=root)
    assert problems(payload) == [("NOT_FOUND", ["userId"])]


async def own_password_calls(client: Client, person: Person, token: str) -> list[dict[str, Any]]:
    """Return the payloads of setPassword and updateUser on the caller's own account, by alias and in a batch."""
    user_id, quoted = f'"{person.id}"', f'"{NEW}"'
    calls = (
        f"setPassword(input: {{userId: {user_id}, password: {quoted}}}) {{ user {{ id }} errors {{ code message }} }}",
        f"updateUser(input: {{id: {user_id}, password: {quoted}}}) {{ user {{ id }} errors {{ code message }} }}",
        f"updateUser(input: {{id: {user_id}, password: null}}) {{ user {{ id }} errors {{ code message }} }}",
    )
    aliases = " ".join(f"a{number}: {call}" for number, call in enumerate(calls))
    batch = [{"query": f"mutation {{ {call} }}"} for call in (*calls, aliases)]
    response = await client.http.post("/graphql", json=batch, headers={"authorization": f"Bearer {token}"})
    return [payload for answer in response.json() for payload in answer["data"].values()]


@pytest.mark.parametrize("credential", ["session", "API key"])
@pytest.mark.parametrize("name", ["root", "adam"])
async def test_administrators_cannot_set_their_own_password(
    client: Client, people: dict[str, Person], name: str, credential: str
) -> None:
    person, token = people[name], people[name].token
    if credential == "API key":
        value = {"name": "all", "permissions": sorted(ADMIN)}
        token = (await client.mutate("createApiKey", value, "secret", by=person))["secret"]
    events = await client.rows("SELECT count(*) FROM audit_events")
    payloads = await own_password_calls(client, person, token)
    # An API key never holds all permissions of the role ROOT
    message = USE_CHANGE_PASSWORD if (name, credential) != ("root", "API key") else "hold"
    assert len(payloads) == 6
    for payload in payloads:
        assert (payload["user"], [error["code"] for error in payload["errors"]]) == (None, ["NOT_ALLOWED"])
        assert message in payload["errors"][0]["message"]
    assert await client.rows("SELECT count(*) FROM audit_events") == events
    assert [await signs_in(client, name, password) for password in (PASSWORD, NEW)] == [True, False]


async def new_key(client: Client, by: Person, name: str, **limits: Any) -> tuple[str, str]:
    """Return the secret and the id of an API key that lists every admin permission."""
    value = {"name": name, "permissions": sorted(ADMIN), **limits}
    payload = await client.mutate("createApiKey", value, "secret apiKey { id }", by=by)
    assert payload["errors"] == []
    return payload["secret"], payload["apiKey"]["id"]


async def limited_keys(client: Client, by: Person) -> list[str]:
    """Return secrets of API keys with limits: an expiry, a network, and the grace period of a rotated key."""
    expiring, _ = await new_key(client, by, "expiring", expiresAt="2999-01-01T00:00:00Z")
    in_network, _ = await new_key(client, by, "in network", allowedIps=["192.0.2.0/24"])
    rotated, rotated_id = await new_key(client, by, "rotated")
    await client.mutate("rotateApiKey", {"id": rotated_id, "graceSeconds": 600}, "secret", by=by)
    return [expiring, in_network, rotated]


async def create_desk(client: Client, root: Person) -> dict[str, str]:
    """Create the role desk, and Carol, who has it; return their ids."""
    role = await client.mutate("createRole", {"name": "desk", "permissions": ["users.read"]}, "role { id }", by=root)
    value = {"username": "carol", "password": PASSWORD, "roleName": "desk"}
    carol = await client.mutate("createUser", value, "user { id }", by=root)
    return {"DESK": role["role"]["id"], "CAROL": carol["user"]["id"]}


async def state(client: Client) -> list[Any]:
    """Return what the mutations of an API key without limits change."""
    selected = (
        "id, role_id, version FROM users",
        "id, permissions FROM roles",
        "user_id, password_hash FROM credentials",
        "count(*) FROM audit_events",
    )
    return [await client.rows(f"SELECT {columns} ORDER BY 1") for columns in selected]


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("setPassword", {"userId": "CAROL", "password": NEW}, "userId"),
        ("updateUser", {"id": "CAROL", "password": NEW}, "password"),
        ("updateUser", {"id": "CAROL", "password": None}, "password"),
        ("updateUser", {"id": "BOB", "roleId": "DESK"}, "roleId"),
        ("updateUser", {"id": "BOB", "roleName": "DESK"}, "roleName"),
        ("updateUser", {"id": "BOB", "isAdmin": True}, "isAdmin"),
        ("createUser", {"username": "dave", "roleId": ADMIN_ROLE}, "roleId"),
        ("createUser", {"username": "dave", "roleName": "desk"}, "roleName"),
        ("createUser", {"username": "dave", "password": NEW}, "password"),
        ("setPassword", {"userId": "BOB", "password": NEW}, "userId"),
        ("createUser", {"username": "dave", "isAdmin": True}, "isAdmin"),
        ("createRole", {"name": "second", "permissions": ["users.read"]}, "permissions"),
        ("updateRole", {"id": "DESK", "permissions": ["users.read", "plans.create"]}, "permissions"),
    ],
)
async def test_only_an_api_key_without_limits_grants_admin_permissions_and_sets_passwords(
    client: Client, root: Person, admin: Person, bob: Person, *, field: str, value: dict[str, Any], problem: str
) -> None:
    ids = await create_desk(client, root) | {"BOB": bob.id}
    value = {name: ids.get(str(item), item) if name != "roleName" else item for name, item in value.items()}
    created = "role" if "Role" in field else "user"
    secrets = await limited_keys(client, admin)
    unlimited, _ = await new_key(client, admin, "unlimited")
    before = await state(client)
    for secret in secrets:
        error = {"code": "NOT_ALLOWED", "message": SETS if "password" in value else GRANTS, "field": [problem]}
        assert await client.mutate(field, value, f"{created} {{ id }}", by=secret) == {created: None, "errors": [error]}
    assert await state(client) == before
    payload = await client.mutate(field, value, f"{created} {{ id }}", by=unlimited)
    assert (payload["errors"], payload[created] is None) == ([], False)
    assert await state(client) != before


async def test_an_api_key_with_limits_changes_users_without_admin_permissions(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    ids = await create_desk(client, root)
    for number, secret in enumerate(await limited_keys(client, admin)):
        for field, value in (
            ("createUser", {"username": f"dave{number}"}),
            ("createRole", {"name": f"empty {number}", "permissions": []}),
            ("updateRole", {"id": ids["DESK"], "permissions": []}),
            ("updateUser", {"id": ids["CAROL"], "roleId": None}),
        ):
            created = "role" if "Role" in field else "user"
            payload = await client.mutate(field, value, f"{created} {{ id }}", by=secret)
            assert (payload["errors"], payload[created] is None) == ([], False)

"""Passwords: one's own, those that administrators set, and what setting one ends."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import PASSWORD, Door, Person

NEW = "a-quite-unusual-walrus-77"
NOWHERE = "00000000-0000-7000-8000-00000000ffff"
SET_DIRECTLY = ["createUser", "updateUser", "setPassword", "changePassword"]


async def signs_in(door: Door, login: str, password: str) -> bool:
    """Whether the password is the right one."""
    payload = await door.change("login", {"login": login, "password": password}, "user { id }")
    assert [error["code"] for error in payload["errors"]] in ([], ["WRONG_CREDENTIALS"])
    return not payload["errors"]


async def tried(door: Door, root: Person, bob: Person, *, field: str, password: str) -> tuple[str, list[str]] | None:
    """The code and field of the refusal of a new password, by any of the mutations that take one."""
    values: dict[str, tuple[dict[str, Any], Person]] = {
        "createUser": ({"username": "carol", "password": password}, root),
        "updateUser": ({"id": bob.id, "password": password}, root),
        "setPassword": ({"userId": bob.id, "password": password}, root),
        "changePassword": ({"currentPassword": PASSWORD, "newPassword": password}, bob),
    }
    value, by = values[field]
    payload = await door.change(field, value, "user { id hasPassword }", by=by)
    if not payload["errors"]:
        assert payload["user"]["hasPassword"] is True
        return None
    (error,) = payload["errors"]
    return error["code"], error["field"]


@pytest.mark.parametrize("field", SET_DIRECTLY)
async def test_every_way_to_a_password_has_the_same_policy(door: Door, root: Person, bob: Person, field: str) -> None:
    path = ["newPassword"] if field == "changePassword" else ["password"]
    for password, code in (
        ("", "REQUIRED"),
        ("        ", "REQUIRED"),
        ("walr-77", "TOO_SHORT"),
        ("x" * 513, "TOO_LONG"),
        ("x" * 10_000, "TOO_LONG"),
        ("12345678", "WEAK_PASSWORD"),
        ("PassWord", "WEAK_PASSWORD"),
        ("password123", "WEAK_PASSWORD"),
        ("aaaaaaaaaaaaaaaa", "WEAK_PASSWORD"),
        ("a-quite\x00unusual-walrus", "INVALID"),
    ):
        assert await tried(door, root, bob, field=field, password=password) == (code, path)


@pytest.mark.parametrize("field", SET_DIRECTLY)
async def test_every_way_to_a_password_takes_it_as_it_is(door: Door, root: Person, bob: Person, field: str) -> None:
    password = "  spaces all around  "
    assert await tried(door, root, bob, field=field, password=password) is None
    login = "carol" if field == "createUser" else "bob"
    assert [await signs_in(door, login, item) for item in (password, password.strip())] == [True, False]


async def test_all_characters_make_good_passwords(door: Door, root: Person, bob: Person) -> None:
    for password in ("x9$kLm2!", "пароль-моржа-77", "🦊🦭🐻🦉🐝🦀🐙🦔", "two\nlines-of-walrus", ("walrus " * 74)[:512]):
        assert await tried(door, root, bob, field="setPassword", password=password) is None
        assert await signs_in(door, "bob", password)
        for other in (password[1:], password[:-1], f"{password[:-1]}?"):
            assert not await signs_in(door, "bob", other)


async def test_a_long_password_counts_to_its_end(door: Door, root: Person, bob: Person) -> None:
    head = "walrus-and-carpenter-" * 4  # 84 bytes, more than the 72 that bcrypt reads
    password = f"{head}0123456789abcdef"
    assert len(password.encode()) == 100
    await door.change("setPassword", {"userId": bob.id, "password": password}, "user { id }", by=root)
    assert await signs_in(door, "bob", password)
    assert not await signs_in(door, "bob", password[:72])
    assert not await signs_in(door, "bob", f"{head}0123456789abcdeX")


@pytest.mark.parametrize(
    "password",
    ["bobadillo", "Bobadillo1", "bobadillo@x.test", "Roberta99", "vanderbilt1", "captain!!", "captainRoberta"],
)
async def test_a_password_of_ones_own_names_is_weak(door: Door, root: Person, password: str) -> None:
    names = {"email": "bobadillo@x.test", "firstName": "Roberta", "lastName": "Vanderbilt", "displayName": "Captain"}
    person = {"username": "bobadillo"} | names
    weak = [("WEAK_PASSWORD", ["password"])]
    refused = await door.change("createUser", person | {"password": password}, "user { id }", by=root)
    assert [(error["code"], error["field"]) for error in refused["errors"]] == weak
    user_id = (await door.change("createUser", person | {"password": PASSWORD}, "user { id }", by=root))["user"]["id"]
    for field, value in (
        ("updateUser", {"id": user_id, "password": password}),
        ("setPassword", {"userId": user_id, "password": password}),
    ):
        refused = await door.change(field, value, "user { id }", by=root)
        assert [(error["code"], error["field"]) for error in refused["errors"]] == weak
    token = (await door.change("login", {"login": "bobadillo", "password": PASSWORD}, "token"))["token"]
    own = {"currentPassword": PASSWORD, "newPassword": password}
    refused = await door.change("changePassword", own, "user { id }", by=token)
    assert [(error["code"], error["field"]) for error in refused["errors"]] == [("WEAK_PASSWORD", ["newPassword"])]


async def test_a_password_of_the_name_that_is_given_with_it_is_weak(door: Door, root: Person, bob: Person) -> None:
    value = {"id": bob.id, "firstName": "Esmeralda", "password": "Esmeralda1"}
    payload = await door.change("updateUser", value, "user { id }", by=root)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("WEAK_PASSWORD", ["password"])]


@pytest.mark.parametrize("field", ["updateUser", "setPassword"])
async def test_a_password_that_is_set_ends_the_sessions_and_keeps_the_keys(
    door: Door, root: Person, bob: Person, field: str
) -> None:
    key = {"name": "k", "permissions": ["account.read"]}
    secret = (await door.change("createApiKey", key, "secret", by=bob))["secret"]
    other = (await door.change("login", {"login": "bob", "password": PASSWORD}, "token"))["token"]
    value = {"userId" if field == "setPassword" else "id": bob.id, "password": NEW}
    assert (await door.change(field, value, "user { hasPassword }", by=root))["user"] == {"hasPassword": True}
    for token in (bob.token, other):
        answer = await door.ask("{ me { id } }", by=token)
        assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert await door.data("{ me { username } }", by=secret) == {"me": {"username": "bob"}}
    assert [await signs_in(door, "bob", password) for password in (PASSWORD, NEW)] == [False, True]


async def test_a_change_of_ones_own_keeps_the_session_that_asked(door: Door, bob: Person) -> None:
    other = (await door.change("login", {"login": "bob", "password": PASSWORD}, "token"))["token"]
    value = {"currentPassword": PASSWORD, "newPassword": NEW}
    payload = await door.change("changePassword", value, "user { username hasPassword }", by=bob)
    assert payload == {"user": {"username": "bob", "hasPassword": True}, "errors": []}
    assert await door.data("{ me { username } }", by=bob) == {"me": {"username": "bob"}}
    assert (await door.ask("{ me { id } }", by=other))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert [await signs_in(door, "bob", password) for password in (PASSWORD, NEW)] == [False, True]


@pytest.mark.parametrize("current", ["wrong-horse-battery-42", PASSWORD.upper(), f"{PASSWORD} ", PASSWORD[:-1]])
async def test_a_change_needs_the_current_password(door: Door, bob: Person, current: str) -> None:
    value = {"currentPassword": current, "newPassword": NEW}
    payload = await door.change("changePassword", value, "user { id }", by=bob)
    assert payload["user"] is None
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [
        ("WRONG_CREDENTIALS", ["currentPassword"])
    ]
    assert [await signs_in(door, "bob", password) for password in (PASSWORD, NEW)] == [True, False]


async def test_an_account_without_a_password_takes_none_as_its_current_one(
    door: Door, root: Person, bob: Person
) -> None:
    key = {"name": "k", "permissions": ["account.read", "account.password"]}
    secret = (await door.change("createApiKey", key, "secret", by=bob))["secret"]
    removed = await door.change("updateUser", {"id": bob.id, "password": None}, "user { hasPassword }", by=root)
    assert removed == {"user": {"hasPassword": False}, "errors": []}
    assert (await door.ask("{ me { id } }", by=bob))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert not await signs_in(door, "bob", PASSWORD)
    value = {"currentPassword": PASSWORD, "newPassword": NEW}
    payload = await door.change("changePassword", value, "user { id }", by=secret)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [
        ("WRONG_CREDENTIALS", ["currentPassword"])
    ]


async def test_removing_a_password_twice_is_one_change(door: Door, root: Person, bob: Person) -> None:
    events = "SELECT count(*) AS told FROM audit_events WHERE event = 'user.update'"
    for _ in range(2):
        await door.change("updateUser", {"id": bob.id, "password": None}, "user { id }", by=root)
    assert (await door.rows(events))[0]["told"] == 1


async def test_a_password_for_nobody_is_refused(door: Door, root: Person) -> None:
    payload = await door.change("setPassword", {"userId": NOWHERE, "password": NEW}, "user { id }", by=root)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_FOUND", ["userId"])]


@pytest.mark.parametrize("password", ["12345678", "walr-77", NEW])
async def test_no_answer_repeats_a_password(door: Door, root: Person, bob: Person, password: str) -> None:
    for field, value, by in (
        ("changePassword", {"currentPassword": PASSWORD, "newPassword": password}, bob),
        ("createUser", {"username": "carol", "password": password}, root),
        ("updateUser", {"id": bob.id, "password": password}, root),
        ("setPassword", {"userId": root.id, "password": password}, root),
        ("login", {"login": "carol", "password": password}, root),
    ):
        answer = f"{field}(input: $input) {{ user {{ id }} errors {{ code message }} }}"
        response = await door.http.post(
            "/graphql",
            json={
                "query": f"mutation ($input: {field[0].upper()}{field[1:]}Input!) {{ {answer} }}",
                "variables": {"input": value},
            },
            headers={"authorization": f"Bearer {by.token}"},
        )
        assert response.status_code == 200
        for secret in (password, PASSWORD, "argon2"):
            assert secret not in response.text


async def test_only_a_slow_salted_hash_of_a_password_is_kept(door: Door, root: Person) -> None:
    for username in ("carol", "dave"):
        await door.change("createUser", {"username": username, "password": NEW}, "user { id }", by=root)
    rows = await door.rows(
        "SELECT password_hash FROM credentials JOIN users ON users.id = user_id WHERE username IN ('carol', 'dave')"
    )
    hashes = {row["password_hash"] for row in rows}
    assert len(hashes) == 2
    assert all(item.startswith("$argon2id$v=19$m=19456,t=2,p=1$") for item in hashes)

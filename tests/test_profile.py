"""One's own profile and settings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Client, Person

PROFILE = """user {
  username firstName lastName displayName language dateOfBirth email tier role { name } version
  billingAddress { line1 line2 company city state postalCode country }
}"""
NO_ADDRESS = dict.fromkeys(("line1", "line2", "company", "city", "state", "postalCode", "country"))


async def settings(client: Client, by: Person, patch: Any) -> Any:
    """Apply a merge patch, and return the settings."""
    payload = await client.mutate("updateSettings", {"patch": patch}, "user { settings }", by=by)
    assert payload["errors"] == []
    return payload["user"]["settings"]


async def test_a_person_changes_their_own_profile(client: Client, bob: Person) -> None:
    address = {"line1": "1 Way", "city": "Graz", "postalCode": "8010", "country": "AT"}
    value = {"username": "Bobby", "firstName": "Bob", "lastName": "Sharp", "displayName": "B.", "language": "de-AT"}
    value |= {"dateOfBirth": "1990-02-28"}
    payload = await client.mutate("updateProfile", value | {"billingAddress": address, "version": 1}, PROFILE, by=bob)
    assert payload == {
        "user": value
        | {"email": "bob@roster.test", "tier": "FREE", "role": {"name": "USER"}, "version": 2}
        | {"billingAddress": NO_ADDRESS | address},
        "errors": [],
    }
    login = await client.mutate(
        "login", {"login": "bobby", "password": "correct-horse-battery-42"}, "user { username }"
    )
    assert login == {"user": {"username": "Bobby"}, "errors": []}


@pytest.mark.parametrize(
    ("cleared", "expected"),
    [
        ({}, {"version": 2}),
        ({"version": None}, {"version": 2}),
        ({"firstName": None}, {"firstName": None}),
        ({"lastName": None}, {"lastName": None}),
        ({"displayName": None}, {"displayName": "Bob Sharp"}),
        ({"language": None}, {"language": "en"}),
        ({"dateOfBirth": None}, {"dateOfBirth": None}),
        ({"billingAddress": None}, {"billingAddress": NO_ADDRESS}),
        ({"billingAddress": {}}, {"version": 2}),
        ({"billingAddress": {"line1": None}}, {"billingAddress": NO_ADDRESS | {"country": "AT"}}),
        (
            {"billingAddress": {"country": "DE", "state": "BY"}},
            {"billingAddress": NO_ADDRESS | {"line1": "1 Way", "country": "DE", "state": "BY"}},
        ),
    ],
)
async def test_null_clears_one_field_and_absent_keeps_the_others(
    client: Client, bob: Person, cleared: dict[str, Any], expected: dict[str, Any]
) -> None:
    address = {"line1": "1 Way", "country": "AT"}
    value = {
        "firstName": "Bob",
        "lastName": "Sharp",
        "displayName": "B.",
        "language": "de",
        "dateOfBirth": "1990-02-28",
    }
    before = await client.mutate("updateProfile", value | {"billingAddress": address}, PROFILE, by=bob)
    payload = await client.mutate("updateProfile", cleared, PROFILE, by=bob)
    assert payload == {"user": before["user"] | {"version": 3} | expected, "errors": []}


async def test_a_profile_is_changed_with_its_current_version_only(client: Client, bob: Person) -> None:
    current, first_name = 1, None
    for version in (0, 2, -1, 1, 1, 2, None, 3, 4):
        value = {"firstName": f"B{version}", "version": version}
        payload = await client.mutate("updateProfile", value, "user { username firstName version }", by=bob)
        if version in {current, None}:
            current, first_name = current + 1, value["firstName"]
            errors = []
        else:
            message = "The user was changed in the meantime."
            errors = [{"code": "VERSION_MISMATCH", "message": message, "field": ["version"]}]
        user = {"username": "bob", "firstName": first_name, "version": current}
        assert payload == {"user": user, "errors": errors}


async def test_every_problem_of_a_profile_is_reported_at_once(client: Client, bob: Person) -> None:
    value: dict[str, Any] = {
        "username": "ALICE",
        "firstName": "a\u202eb",
        "language": "english",
        "dateOfBirth": "2999-01-01",
    }
    value |= {"lastName": "x" * 256, "billingAddress": {"city": " ", "postalCode": "x" * 21}}
    payload = await client.mutate("updateProfile", value, "user { id }", by=bob)
    assert payload["user"] is None
    assert [(error["code"], ".".join(error["field"]), error["message"]) for error in payload["errors"]] == [
        ("INVALID", "firstName", "firstName must not contain invisible characters."),
        ("TOO_LONG", "lastName", "lastName must have at most 255 characters."),
        ("REQUIRED", "billingAddress.city", "city must not be empty."),
        ("TOO_LONG", "billingAddress.postalCode", "postalCode must have at most 20 characters."),
        ("INVALID", "language", "language must be a BCP 47 language tag, such as en or pt-BR."),
        ("INVALID", "dateOfBirth", "dateOfBirth must be in the past."),
        ("TAKEN", "username", "This username is already taken."),
    ]
    own = await client.data("{ me { username firstName language version } }", by=bob)
    assert own == {"me": {"username": "bob", "firstName": None, "language": "en", "version": 1}}


async def test_one_problem_does_not_hide_a_taken_username(client: Client, bob: Person) -> None:
    for value, code, path in (
        ({"firstName": "x" * 256}, "TOO_LONG", ["firstName"]),
        ({"language": "english"}, "INVALID", ["language"]),
        ({"billingAddress": {"line1": ""}}, "REQUIRED", ["billingAddress", "line1"]),
    ):
        payload = await client.mutate("updateProfile", {"username": "alice"} | value, "user { id }", by=bob)
        found = [(error["code"], error["field"]) for error in payload["errors"]]
        assert found == [(code, path), ("TAKEN", ["username"])]


@pytest.mark.parametrize(
    "name", ["email", "role", "roleId", "isAdmin", "tier", "externalId", "emailVerified", "limits"]
)
async def test_a_profile_has_no_field_that_only_administrators_change(client: Client, bob: Person, name: str) -> None:
    document = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { user { id } } }"
    answer = await client.execute(document, {"input": {name: None}}, by=bob)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert "data" not in answer


async def test_a_key_changes_the_profile_if_it_lists_the_permission(client: Client, bob: Person) -> None:
    document = "mutation ($name: String) { updateProfile(input: {firstName: $name}) { user { id } errors { code } } }"
    for permissions, code in ((["account.read"], "FORBIDDEN"), (["account.read", "account.update"], None)):
        key = {"name": f"k{len(permissions)}", "permissions": permissions}
        secret = (await client.mutate("createApiKey", key, "secret", by=bob))["secret"]
        answer = await client.execute(document, {"name": "Bob"}, by=secret)
        assert [error["extensions"]["code"] for error in answer.get("errors", [])] == [code] * (code is not None)
    assert await client.data("{ me { firstName } }", by=bob) == {"me": {"firstName": "Bob"}}


@pytest.mark.parametrize("change", ['updateProfile(input: {firstName: "B"})', "updateSettings(input: {patch: {a: 1}})"])
async def test_an_anonymous_client_changes_no_profile(client: Client, change: str) -> None:
    answer = await client.execute(f"mutation {{ {change} {{ user {{ id }} }} }}")
    assert answer["data"] is None
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "UNAUTHENTICATED"}]


# RFC 7396, appendix A, where both documents are objects; (target, patch, result)
MERGES: list[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ({"a": "foo"}, {"a": {"b": "c"}}, {"a": {"b": "c"}}),
    ({"a": 1}, {}, {"a": 1}),
    ({}, {"a": [None, {"b": None}]}, {"a": [None, {"b": None}]}),
    (
        {},
        {"theme": "dark", "ünïcode 🦊": "שלום", "n": 1.5, "t": True},
        {"theme": "dark", "ünïcode 🦊": "שלום", "n": 1.5, "t": True},
    ),
    ({}, {"": {" ": 0}, "a.b": "$"}, {"": {" ": 0}, "a.b": "$"}),
]


async def test_settings_are_merged_by_rfc_7396(client: Client, bob: Person) -> None:
    for target, patch, result in MERGES:
        current = (await client.data("{ me { settings } }", by=bob))["me"]["settings"]
        assert await settings(client, bob, dict.fromkeys(current)) == {}
        assert await settings(client, bob, target) == target
        assert await settings(client, bob, patch) == result
        assert (await client.data("{ me { settings } }", by=bob)) == {"me": {"settings": result}}


async def test_settings_in_literals_of_the_document_are_merged_too(client: Client, bob: Person) -> None:
    document = 'mutation { updateSettings(input: {patch: {theme: "dark", list: [1, null], gone: null}}) '
    answer = await client.data(document + "{ user { settings } errors { code } } }", by=bob)
    assert answer == {"updateSettings": {"user": {"settings": {"theme": "dark", "list": [1, None]}}, "errors": []}}


@pytest.mark.parametrize("patch", [1, "text", True, [], [{"theme": "dark"}]])
async def test_a_patch_must_be_an_object(client: Client, bob: Person, patch: Any) -> None:
    payload = await client.mutate("updateSettings", {"patch": patch}, "user { id }", by=bob)
    error = {"code": "INVALID", "message": "patch must be an object.", "field": ["patch"]}
    assert payload == {"user": None, "errors": [error]}


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"text": "x" * 17_000}, "Settings must not exceed 16 KiB."),
        ({f"member {number}": number for number in range(257)}, "Settings must have at most 256 members."),
        ({"list": list(range(9_000))}, "Settings must not exceed 16 KiB."),
        ({"numbers": [1e308] * 60}, "Settings must not exceed 16 KiB."),
    ],
)
async def test_settings_have_a_largest_size(client: Client, bob: Person, patch: Any, message: str) -> None:
    await settings(client, bob, {"theme": "dark"})
    payload = await client.mutate("updateSettings", {"patch": patch}, "user { id }", by=bob)
    error = {"code": "TOO_LONG", "message": message, "field": ["patch"]}
    assert payload == {"user": None, "errors": [error]}
    assert await client.data("{ me { settings } }", by=bob) == {"me": {"settings": {"theme": "dark"}}}


async def test_settings_may_grow_to_their_limits(client: Client, bob: Person) -> None:
    members = {f"{number}": "x" * 50 for number in range(256)}
    assert await settings(client, bob, members) == members
    deep: Any = "end"
    for _ in range(15):
        deep = {"d": deep}
    assert await settings(client, bob, dict.fromkeys(members) | {"deep": deep}) == {"deep": deep}


async def test_numbers_in_settings_keep_their_value(client: Client, bob: Person) -> None:
    numbers = [0, -1, 9007199254740991, -9007199254740991, 0.1, 1e-7, 1.5e300, 12345678.875]
    assert await settings(client, bob, {"numbers": numbers}) == {"numbers": numbers}

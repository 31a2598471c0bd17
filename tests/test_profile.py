"""One's own account: profile and settings."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Door, Person

PROFILE = """user {
  username firstName lastName displayName language dateOfBirth email tier role { name } version
  billingAddress { line1 line2 company city state postalCode country }
}"""
NO_ADDRESS = dict.fromkeys(("line1", "line2", "company", "city", "state", "postalCode", "country"))


async def settings(door: Door, by: Person, patch: Any) -> Any:
    """The settings after a merge patch."""
    payload = await door.change("updateSettings", {"patch": patch}, "user { settings }", by=by)
    assert payload["errors"] == []
    return payload["user"]["settings"]


async def test_a_person_changes_their_own_profile(door: Door, bob: Person) -> None:
    address = {"line1": "1 Way", "city": "Graz", "postalCode": "8010", "country": "AT"}
    value = {"username": "Bobby", "firstName": "Bob", "lastName": "Sharp", "displayName": "B.", "language": "de-AT"}
    value |= {"dateOfBirth": "1990-02-28"}
    payload = await door.change("updateProfile", value | {"billingAddress": address, "version": 1}, PROFILE, by=bob)
    assert payload == {
        "user": value
        | {"email": "bob@roster.test", "tier": "FREE", "role": {"name": "USER"}, "version": 2}
        | {"billingAddress": NO_ADDRESS | address},
        "errors": [],
    }
    login = await door.change("login", {"login": "bobby", "password": "correct-horse-battery-42"}, "user { username }")
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
    door: Door, bob: Person, cleared: dict[str, Any], expected: dict[str, Any]
) -> None:
    address = {"line1": "1 Way", "country": "AT"}
    value = {
        "firstName": "Bob",
        "lastName": "Sharp",
        "displayName": "B.",
        "language": "de",
        "dateOfBirth": "1990-02-28",
    }
    before = await door.change("updateProfile", value | {"billingAddress": address}, PROFILE, by=bob)
    payload = await door.change("updateProfile", cleared, PROFILE, by=bob)
    assert payload == {"user": before["user"] | {"version": 3} | expected, "errors": []}


async def test_a_profile_is_changed_with_its_current_version_only(door: Door, bob: Person) -> None:
    for version, errors in ((0, 1), (2, 1), (-1, 1), (1, 0), (1, 1), (2, 0)):
        value = {"firstName": f"B{version}{errors}", "version": version}
        payload = await door.change("updateProfile", value, "user { id }", by=bob)
        expected = [("VERSION_MISMATCH", ["version"])] * errors
        assert [(error["code"], error["field"]) for error in payload["errors"]] == expected


@pytest.mark.parametrize(
    "name", ["email", "role", "roleId", "isAdmin", "tier", "externalId", "emailVerified", "limits"]
)
async def test_what_only_administrators_change_is_no_part_of_a_profile(door: Door, bob: Person, name: str) -> None:
    document = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { user { id } } }"
    answer = await door.ask(document, {"input": {name: None}}, by=bob)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert "data" not in answer


async def test_a_key_changes_the_profile_when_it_lists_that(door: Door, bob: Person) -> None:
    document = "mutation ($name: String) { updateProfile(input: {firstName: $name}) { user { id } errors { code } } }"
    for permissions, code in ((["account.read"], "FORBIDDEN"), (["account.read", "account.update"], None)):
        key = {"name": f"k{len(permissions)}", "permissions": permissions}
        secret = (await door.change("createApiKey", key, "secret", by=bob))["secret"]
        answer = await door.ask(document, {"name": "Bob"}, by=secret)
        assert [error["extensions"]["code"] for error in answer.get("errors", [])] == [code] * (code is not None)
    assert await door.data("{ me { firstName } }", by=bob) == {"me": {"firstName": "Bob"}}


@pytest.mark.parametrize("change", ['updateProfile(input: {firstName: "B"})', "updateSettings(input: {patch: {a: 1}})"])
async def test_nobody_changes_a_profile_without_signing_in(door: Door, change: str) -> None:
    answer = await door.ask(f"mutation {{ {change} {{ user {{ id }} }} }}")
    assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


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


async def test_settings_are_merged_as_rfc_7396_says(door: Door, bob: Person) -> None:
    for target, patch, result in MERGES:
        current = (await door.data("{ me { settings } }", by=bob))["me"]["settings"]
        assert await settings(door, bob, dict.fromkeys(current)) == {}
        assert await settings(door, bob, target) == target
        assert await settings(door, bob, patch) == result
        assert (await door.data("{ me { settings } }", by=bob)) == {"me": {"settings": result}}


async def test_settings_written_into_the_document_are_merged_too(door: Door, bob: Person) -> None:
    document = 'mutation { updateSettings(input: {patch: {theme: "dark", list: [1, null], gone: null}}) '
    answer = await door.data(document + "{ user { settings } errors { code } } }", by=bob)
    assert answer == {"updateSettings": {"user": {"settings": {"theme": "dark", "list": [1, None]}}, "errors": []}}


@pytest.mark.parametrize("patch", [1, "text", True, [], [{"theme": "dark"}]])
async def test_a_patch_that_is_no_object_is_refused(door: Door, bob: Person, patch: Any) -> None:
    payload = await door.change("updateSettings", {"patch": patch}, "user { id }", by=bob)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("INVALID", ["patch"])]


@pytest.mark.parametrize(
    "patch",
    [
        {"text": "x" * 17_000},
        {f"member {number}": number for number in range(257)},
        {"list": list(range(9_000))},
        {"numbers": [1e308] * 60},
    ],
)
async def test_settings_stay_small(door: Door, bob: Person, patch: Any) -> None:
    await settings(door, bob, {"theme": "dark"})
    payload = await door.change("updateSettings", {"patch": patch}, "user { id }", by=bob)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("TOO_LONG", ["patch"])]
    assert await door.data("{ me { settings } }", by=bob) == {"me": {"settings": {"theme": "dark"}}}


async def test_settings_may_grow_to_their_limits(door: Door, bob: Person) -> None:
    members = {f"{number}": "x" * 50 for number in range(256)}
    assert await settings(door, bob, members) == members
    deep: Any = "end"
    for _ in range(15):
        deep = {"d": deep}
    assert await settings(door, bob, dict.fromkeys(members) | {"deep": deep}) == {"deep": deep}


async def test_numbers_in_settings_come_back_as_they_went_in(door: Door, bob: Person) -> None:
    numbers = [0, -1, 9007199254740991, -9007199254740991, 0.1, 1e-7, 1.5e300, 12345678.875]
    assert await settings(door, bob, {"numbers": numbers}) == {"numbers": numbers}

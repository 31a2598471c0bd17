"""Limits of every input field of a user, the code and path of each problem, and inputs that are meant to do harm."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from tests.conftest import PASSWORD, Client, Person

TODAY = dt.datetime.now(dt.UTC).date()
LIMITS = (
    *("memoryMb", "diskMb", "cpuPercent", "servers", "databases"),
    *("backups", "websites", "domains", "emails", "ports"),
)
ADDRESS = {"line1": 256, "line2": 256, "company": 128, "city": 128, "state": 64, "postalCode": 20}
PROFILE = {"username", "firstName", "lastName", "displayName", "language", "dateOfBirth", "billingAddress"}
NAMES = ("firstName", "lastName", "displayName")
LONGEST_EMAIL = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 56}.test"


async def problems(client: Client, root: Person, bob: Person, value: dict[str, Any]) -> list[list[tuple[str, str]]]:
    """Return the codes and dotted paths of the errors of each mutation that has these fields."""
    calls = [("updateUser", {"id": bob.id} | value, root)]
    if "limits" not in value:
        calls.append(("createUser", {"username": "carol"} | value, root))
    if PROFILE.issuperset(value):
        calls.append(("updateProfile", value, bob))
    payloads = [await client.mutate(field, item, "user { id }", by=by) for field, item, by in calls]
    assert [payload["user"] for payload in payloads if payload["errors"]] == [None] * sum(
        bool(payload["errors"]) for payload in payloads
    )
    return [[(error["code"], ".".join(error["field"])) for error in payload["errors"]] for payload in payloads]


WRONG: dict[str, list[tuple[Any, str]]] = {
    "username": [
        *(("", "REQUIRED"), ("   ", "INVALID"), ("ab", "TOO_SHORT"), ("a" * 16, "TOO_LONG"), ("a" * 192, "TOO_LONG")),
        *(("two words", "INVALID"), ("bob-by", "INVALID"), ("müller", "INVALID"), ("bob\u202e", "INVALID")),
        *(("carol ", "INVALID"), ("bob\x00", "INVALID"), ("\uff43arol", "INVALID"), ("\u212aelvin", "INVALID")),
        *(("admin", "NOT_ALLOWED"), ("RooT", "NOT_ALLOWED"), ("ALICE", "TAKEN")),
    ],
    "email": [
        *(("", "REQUIRED"), ("ab", "TOO_SHORT"), (f"a{LONGEST_EMAIL}", "TOO_LONG"), ("carol", "INVALID")),
        *(("a@b@x.test", "INVALID"), ("a b@x.test", "INVALID"), (" a@x.test", "INVALID"), ("ada@gmail", "INVALID")),
        *((f"{'a' * 65}@x.test", "INVALID"), ("ada\x00@x.test", "INVALID"), ("ALICE@Roster.test", "TAKEN")),
        *(("\uff41da@x.test", "INVALID"), ("\u0130@x.test", "INVALID"), ("ada\u202e@x.test", "INVALID")),
    ],
    "externalId": [
        *(("", "REQUIRED"), ("x" * 256, "TOO_LONG"), ("crm\x007", "INVALID"), ("crm\u200b7", "INVALID")),
        *(("crm-1", "TAKEN"), (" crm-1\u00a0", "TAKEN")),
    ],
    "roleName": [("", "REQUIRED"), ("x" * 256, "TOO_LONG"), ("a\x00b", "INVALID"), ("STAF_", "NOT_FOUND")],
    "planName": [("", "REQUIRED"), ("x" * 256, "TOO_LONG"), ("a\x00b", "INVALID"), ("gol%", "NOT_FOUND")],
    "language": [
        *(("", "REQUIRED"), ("e", "TOO_SHORT"), ("en-" + "x" * 13, "TOO_LONG")),
        *(("english", "INVALID"), ("en_US", "INVALID"), ("12", "INVALID")),
    ],
    "dateOfBirth": [
        ((TODAY + dt.timedelta(days=2)).isoformat(), "INVALID"),
        (f"{TODAY.year - 123}-12-31", "INVALID"),
    ],
    **{
        name: [("", "REQUIRED"), (" \t\n", "REQUIRED"), ("x" * 256, "TOO_LONG"), ("a\x1bb", "INVALID")]
        for name in NAMES
    },
    "billingAddress": [
        *(({name: ""}, "REQUIRED") for name in ADDRESS),
        *(({name: "x" * (most + 1)}, "TOO_LONG") for name, most in ADDRESS.items()),
        *(({name: "a\x1bb"}, "INVALID") for name in ADDRESS),
        *(({name: "a\u202eb"}, "INVALID") for name in ADDRESS),
    ],
    "limits": [({name: -1}, "INVALID") for name in LIMITS],
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_value_is_reported_with_its_field(
    client: Client, root: Person, alice: Person, bob: Person, name: str
) -> None:
    await client.mutate("updateUser", {"id": alice.id, "externalId": "crm-1"}, "user { id }", by=root)
    found = [(value, await problems(client, root, bob, {name: value})) for value, _ in WRONG[name]]
    expected = [
        (value, [(code, ".".join([name, *(value if isinstance(value, dict) else [])]))]) for value, code in WRONG[name]
    ]
    assert found == [(value, [errors] * len(found[0][1])) for value, errors in expected]
    changed = await client.rows("SELECT username FROM users WHERE version > 1 OR username = 'carol'")
    assert [row["username"] for row in changed] == ["alice"]


async def test_a_value_at_its_limit_is_stored(client: Client, root: Person, bob: Person) -> None:
    for value in (
        {"username": "a_1"},
        {"username": "A" * 15},
        {"email": "a@b.test"},
        {"email": LONGEST_EMAIL},
        {"email": "müller@bücher.test"},
        {"externalId": "x" * 255},
        {"language": "de"},
        {"language": "zh-Hant-TW"},
        {"dateOfBirth": TODAY.isoformat()},
        {"dateOfBirth": f"{TODAY.year - 122}-01-01"},
        dict.fromkeys(NAMES, "ß" * 255),
        {"firstName": "J", "lastName": "李", "displayName": "🦊"},
        {"billingAddress": {name: "x" * most for name, most in ADDRESS.items()} | {"country": "GB"}},
        {"limits": dict.fromkeys(LIMITS, 2_147_483_647)},
        {"limits": dict.fromkeys(LIMITS, 0)},
    ):
        fields = (f"{n} {{ {' '.join(item)} }}" if isinstance(item, dict) else n for n, item in value.items())
        payload = await client.mutate("updateUser", {"id": bob.id} | value, f"user {{ {' '.join(fields)} }}", by=root)
        assert payload == {"user": value, "errors": []}


async def test_every_problem_of_an_input_is_reported_at_once(client: Client, root: Person, bob: Person) -> None:
    value = {"username": "", "firstName": "x" * 256, "billingAddress": {"city": "", "state": "x" * 65}}
    expected = [("TOO_LONG", "firstName"), ("REQUIRED", "billingAddress.city")]
    expected += [("TOO_LONG", "billingAddress.state"), ("REQUIRED", "username")]
    assert await problems(client, root, bob, value) == [expected] * 3
    policy = {"username": "x", "language": "english", "dateOfBirth": f"{TODAY.year + 1}-01-01"}
    expected = [("TOO_SHORT", "username"), ("INVALID", "language"), ("INVALID", "dateOfBirth")]
    assert await problems(client, root, bob, policy) == [expected] * 3


async def test_limits_policies_and_taken_values_are_reported_together(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await client.mutate("updateUser", {"id": alice.id, "externalId": "crm-1"}, "user { id }", by=root)
    before = await client.rows("SELECT t::text FROM users t ORDER BY id")
    value = {"username": "ALICE", "email": "Alice@roster.test", "externalId": "crm-1", "language": "english"}
    value |= {"password": "12345678", "roleName": "none", "planName": "none", "firstName": "\u202e"}
    expected = [
        ("INVALID", "firstName", "firstName must not contain invisible characters."),
        ("INVALID", "language", "language must be a BCP 47 language tag, such as en or pt-BR."),
        ("WEAK_PASSWORD", "password", "This is one of the most common passwords."),
        ("TAKEN", "username", "This username is already taken."),
        ("TAKEN", "email", "This email address is already taken."),
        ("TAKEN", "externalId", "This external id is already taken."),
        ("NOT_FOUND", "roleName", "This role does not exist."),
        ("NOT_FOUND", "planName", "This plan does not exist."),
    ]
    for field, item in (("createUser", {}), ("updateUser", {"id": bob.id})):
        payload = await client.mutate(field, value | item, "user { id }", by=root)
        assert payload["user"] is None
        found = [(error["code"], ".".join(error["field"]), error["message"]) for error in payload["errors"]]
        assert sorted(found) == sorted(expected)
    assert await client.rows("SELECT t::text FROM users t ORDER BY id") == before


async def test_a_username_cannot_be_removed(client: Client, root: Person, bob: Person) -> None:
    for field, value, by in (
        ("updateUser", {"id": bob.id, "username": None}, root),
        ("updateProfile", {"username": None}, bob),
    ):
        payload = await client.mutate(field, value, "user { id }", by=by)
        error = {"code": "REQUIRED", "message": "username cannot be removed.", "field": ["username"]}
        assert payload == {"user": None, "errors": [error]}


async def test_a_username_and_an_address_may_change_their_case(client: Client, root: Person, bob: Person) -> None:
    value = {"id": bob.id, "username": "BOB", "email": "Bob@roster.test"}
    payload = await client.mutate("updateUser", value, "user { username email }", by=root)
    assert payload == {"user": {"username": "BOB", "email": "Bob@roster.test"}, "errors": []}


async def test_a_value_that_does_not_fit_its_scalar_rejects_the_request(client: Client, root: Person) -> None:
    document = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }"
    changes: list[dict[str, Any]] = [
        *({"billingAddress": {"country": country}} for country in ("Austria", "at", "XX", "A", "", "AUT", "UK", 40)),
        *({"dateOfBirth": date} for date in ("28.02.1990", "1990-02-30", "1990-2-3", "", 0, "1990-02-28T00:00:00Z")),
        *({"roleId": item} for item in ("", "ADMIN", "1", 3, "{}")),
        *({"tier": tier} for tier in ("GOLD", "free", "", 1)),
        *({"isAdmin": item} for item in ("true", 1)),
        *({"username": item} for item in (None, 7, ["carol"])),
    ]
    unknown: list[dict[str, Any]] = [{"emailVerified": True}, {"createdAt": "x"}, {"settings": {}}, {"version": 1}]
    for change in (*changes, *unknown):
        answer = await client.execute(document, {"input": {"username": "carol"} | change}, by=root)
        assert "data" not in answer
        [error] = answer["errors"]
        path = (
            ["input"] if change in unknown else ["input", *change, *(["country"] if "billingAddress" in change else [])]
        )
        assert (change, error["extensions"]["code"]) == (change, "BAD_USER_INPUT")
        assert [problem["path"] for problem in error["extensions"]["problems"]] == [path], change
    assert await client.data('{ user(by: {username: "carol"}) { id } }', by=root) == {"user": None}


HOSTILE = (
    *("", "   ", "x" * 10_000, "\x00", "a\x00b", "\ud800", "a\udfffb", "\u202e\u200fevil\u202c", "\u200b\ufeff"),
    *("🦊🦭 family", "\uffff", "\r\n", "'; DROP TABLE users; --", "%_\\", "${x}", "null"),
    *("\u0130\u0131ﬀ", "e\u0301" * 100),
)
TEXTS = {"String", "ID", "Date", "DateTime", "CountryCode", "Permission"}
SHAPE = "kind name ofType { kind name ofType { kind name ofType { kind name } } }"


async def texts(client: Client, input_type: str) -> list[list[str]]:
    """Return the paths of the fields of an input type that take text, also of nested ones; `[]` ends that of a list."""
    document = f"query ($name: String!) {{ __type(name: $name) {{ inputFields {{ name type {{ {SHAPE} }} }} }} }}"
    found: list[list[str]] = []
    for field in (await client.data(document, {"name": input_type}))["__type"]["inputFields"]:
        inner, tail = field["type"], [field["name"]]
        while inner["kind"] in {"NON_NULL", "LIST"}:
            tail += ["[]"] * (inner["kind"] == "LIST")
            inner = inner["ofType"]
        if inner["kind"] == "INPUT_OBJECT":
            found += [[*tail, *path] for path in await texts(client, inner["name"])]
        elif inner["name"] in TEXTS:
            found.append(tail)
    return found


def placed(value: dict[str, Any], path: list[str], text: str) -> dict[str, Any]:
    """Return the input with a text at the path."""
    name, *rest = path
    if rest == ["[]"]:
        return value | {name: [text]}
    return value | {name: placed({}, rest, text) if rest else text}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("createUser", {"username": "carol"}),
        ("updateUser", {"id": "$bob"}),
        ("deleteUser", {"id": "$bob"}),
        ("suspendUser", {"id": "$bob"}),
        ("unsuspendUser", {"id": "$bob"}),
        ("changePlan", {"userId": "$bob", "planName": "gold"}),
        ("setPassword", {"userId": "$bob", "password": "12345678"}),
        ("createRole", {"name": "others", "permissions": []}),
        ("updateRole", {"id": "$role"}),
        ("deleteRole", {"id": "$role"}),
        ("createPlan", {"name": "silver", "tier": "PAID"}),
        ("updatePlan", {"id": "$plan"}),
        ("deletePlan", {"id": "$plan"}),
        ("updateProfile", {}),
        ("updateSettings", {"patch": {}}),
        ("changePassword", {"currentPassword": PASSWORD, "newPassword": "12345678"}),
    ],
)
async def test_no_text_makes_the_service_fail(
    client: Client, root: Person, bob: Person, field: str, value: dict[str, Any]
) -> None:
    input_type = "UserIdInput" if field == "unsuspendUser" else f"{field[0].upper()}{field[1:]}Input"
    document = f"mutation ($input: {input_type}!) {{ {field}(input: $input) {{ errors {{ code message field }} }} }}"
    role = await client.mutate("createRole", {"name": "helpers", "permissions": []}, "role { id }", by=root)
    plan = await client.mutate("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    ids = {"$bob": bob.id, "$role": role["role"]["id"], "$plan": plan["plan"]["id"]}
    value = {name: ids.get(str(item), item) for name, item in value.items()}
    paths = (
        [["patch", "text"], ["patch", "list", "[]"]] if field == "updateSettings" else await texts(client, input_type)
    )
    assert paths
    wrong = []
    for path in paths:
        for text in HOSTILE:
            # Escapes keep unpaired surrogates, which have no UTF-8 form
            body = json.dumps({"query": document, "variables": {"input": placed(value, path, text)}}, ensure_ascii=True)
            headers = {"authorization": f"Bearer {root.token}", "content-type": "application/json"}
            await client.rows("DELETE FROM attempts")
            response = await client.http.post("/graphql", content=body, headers=headers)
            answer = response.json()
            # A text that does not fit its scalar rejects the request; any other problem belongs to the payload
            codes = {error["extensions"]["code"] for error in answer.get("errors", [])}
            if response.status_code not in {200, 400} or codes != (
                {"BAD_USER_INPUT"} if "data" not in answer else set()
            ):
                wrong.append((path, text, response.status_code, answer))
    assert wrong == []

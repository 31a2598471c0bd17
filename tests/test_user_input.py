"""Limits of every input field of an account, the code and path of each refusal, and inputs that nobody means well."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from tests.conftest import PASSWORD, Door, Person

TODAY = dt.datetime.now(dt.UTC).date()
LIMITS = (
    "memoryMb",
    "diskMb",
    "cpuPercent",
    "servers",
    "databases",
    "backups",
    "websites",
    "domains",
    "emails",
    "ports",
)
ADDRESS = {"line1": 256, "line2": 256, "company": 128, "city": 128, "state": 64, "postalCode": 20}
PROFILE = {"username", "firstName", "lastName", "displayName", "language", "dateOfBirth", "billingAddress"}
NAMES = ("firstName", "lastName", "displayName")
LONGEST_EMAIL = f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 56}.test"


async def refusals(door: Door, root: Person, bob: Person, value: dict[str, Any]) -> list[list[tuple[str, str]]]:
    """The codes and dotted paths with which each mutation that has these fields refuses them."""
    tries = [("updateUser", {"id": bob.id} | value, root)]
    if "limits" not in value:
        tries.append(("createUser", {"username": "carol"} | value, root))
    if PROFILE.issuperset(value):
        tries.append(("updateProfile", value, bob))
    payloads = [await door.change(field, item, "user { id }", by=by) for field, item, by in tries]
    assert [payload["user"] for payload in payloads if payload["errors"]] == [None] * sum(
        bool(payload["errors"]) for payload in payloads
    )
    return [[(error["code"], ".".join(error["field"])) for error in payload["errors"]] for payload in payloads]


WRONG: dict[str, list[tuple[Any, str]]] = {
    "username": [
        *(("", "REQUIRED"), ("   ", "REQUIRED"), ("ab", "TOO_SHORT"), ("a" * 16, "TOO_LONG"), ("a" * 192, "TOO_LONG")),
        *(("two words", "INVALID"), ("bob-by", "INVALID"), ("müller", "INVALID"), ("bob\u202e", "INVALID")),
        *(("admin", "NOT_ALLOWED"), ("RooT", "NOT_ALLOWED"), ("ALICE", "TAKEN")),
    ],
    "email": [
        *(("", "REQUIRED"), ("ab", "TOO_SHORT"), (f"a{LONGEST_EMAIL}", "TOO_LONG"), ("nobody", "INVALID")),
        *(("a@b@x.test", "INVALID"), ("a b@x.test", "INVALID"), (" a@x.test", "INVALID"), ("ada@gmail", "INVALID")),
        *((f"{'a' * 65}@x.test", "INVALID"), ("ALICE@Roster.test", "TAKEN")),
    ],
    "externalId": [("", "REQUIRED"), ("x" * 256, "TOO_LONG"), ("crm\x007", "INVALID"), ("crm-1", "TAKEN")],
    "language": [
        *(("", "REQUIRED"), ("e", "TOO_SHORT"), ("en-" + "x" * 13, "TOO_LONG")),
        *(("english", "INVALID"), ("en_US", "INVALID"), ("12", "INVALID")),
    ],
    "dateOfBirth": [
        ((TODAY + dt.timedelta(days=2)).isoformat(), "INVALID"),
        (f"{TODAY.year - 123}-12-31", "INVALID"),
    ],
    **{name: [("", "REQUIRED"), ("x" * 256, "TOO_LONG"), ("a\nb", "INVALID")] for name in NAMES},
    "billingAddress": [
        *(({name: ""}, "REQUIRED") for name in ADDRESS),
        *(({name: "x" * (most + 1)}, "TOO_LONG") for name, most in ADDRESS.items()),
        *(({name: "a\tb"}, "INVALID") for name in ADDRESS),
    ],
    "limits": [({name: -1}, "INVALID") for name in LIMITS],
}


@pytest.mark.parametrize("name", WRONG)
async def test_a_wrong_value_is_refused_with_its_field(
    door: Door, root: Person, alice: Person, bob: Person, name: str
) -> None:
    await door.change("updateUser", {"id": alice.id, "externalId": "crm-1"}, "user { id }", by=root)
    for value, code in WRONG[name]:
        path = ".".join([name, *value]) if isinstance(value, dict) else name
        found = await refusals(door, root, bob, {name: value})
        assert (value, found) == (value, [[(code, path)]] * len(found))
    changed = await door.rows("SELECT username FROM users WHERE version > 1 OR username = 'carol'")
    assert [row["username"] for row in changed] == ["alice"]


async def test_a_value_at_its_limit_is_kept(door: Door, root: Person, bob: Person) -> None:
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
        payload = await door.change("updateUser", {"id": bob.id} | value, f"user {{ {' '.join(fields)} }}", by=root)
        assert payload == {"user": value, "errors": []}


async def test_every_problem_is_told_at_once(door: Door, root: Person, bob: Person) -> None:
    value = {"username": "", "firstName": "x" * 256, "billingAddress": {"city": "", "state": "x" * 65}}
    expected = [("REQUIRED", "username"), ("TOO_LONG", "firstName")]
    expected += [("REQUIRED", "billingAddress.city"), ("TOO_LONG", "billingAddress.state")]
    assert await refusals(door, root, bob, value) == [expected] * 3
    policy = {"username": "x", "language": "english", "dateOfBirth": f"{TODAY.year + 1}-01-01"}
    expected = [("TOO_SHORT", "username"), ("INVALID", "language"), ("INVALID", "dateOfBirth")]
    assert await refusals(door, root, bob, policy) == [expected] * 3


async def test_a_username_cannot_be_removed(door: Door, root: Person, bob: Person) -> None:
    for field, value, by in (
        ("updateUser", {"id": bob.id, "username": None}, root),
        ("updateProfile", {"username": None}, bob),
    ):
        payload = await door.change(field, value, "user { id }", by=by)
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("REQUIRED", ["username"])]


async def test_a_name_of_ones_own_may_change_its_case(door: Door, root: Person, bob: Person) -> None:
    value = {"id": bob.id, "username": "BOB", "email": "Bob@roster.test"}
    payload = await door.change("updateUser", value, "user { username email }", by=root)
    assert payload == {"user": {"username": "BOB", "email": "Bob@roster.test"}, "errors": []}


async def test_what_does_not_fit_its_type_is_refused_as_a_whole(door: Door, root: Person) -> None:
    document = "mutation ($input: CreateUserInput!) { createUser(input: $input) { user { id } } }"
    changes: list[dict[str, Any]] = [
        *({"billingAddress": {"country": country}} for country in ("Austria", "at", "XX", "A", "", "AUT", "UK", 40)),
        *({"dateOfBirth": date} for date in ("28.02.1990", "1990-02-30", "1990-2-3", "", 0, "1990-02-28T00:00:00Z")),
        *({"roleId": item} for item in ("", "ADMIN", "1", 3, "{}")),
        *({"tier": tier} for tier in ("GOLD", "free", "", 1)),
        *({"isAdmin": item} for item in ("true", 1)),
        *({"username": item} for item in (None, 7, ["carol"])),
        *({"emailVerified": True}, {"createdAt": "2020-01-01T00:00:00Z"}, {"settings": {}}, {"id": root.id}),
    ]
    for change in changes:
        answer = await door.ask(document, {"input": {"username": "carol"} | change}, by=root)
        codes = [error["extensions"]["code"] for error in answer["errors"]]
        assert (change, "data" in answer, set(codes)) == (change, False, {"BAD_USER_INPUT"})
    assert await door.data('{ user(by: {username: "carol"}) { id } }', by=root) == {"user": None}


NASTY = (
    *("", "   ", "x" * 10_000, "\x00", "a\x00b", "\ud800", "a\udfffb", "\u202e\u200fevil\u202c", "\u200b\ufeff"),
    *(
        "🦊🦭 family",
        "\uffff",
        "\r\n",
        "'; DROP TABLE users; --",
        "%_\\",
        "${x}",
        "null",
        "\u0130\u0131ﬀ",
        "e\u0301" * 100,
    ),
)
TEXTS = {"String", "ID", "Date", "DateTime", "CountryCode", "Permission"}
SHAPE = "kind name ofType { kind name ofType { kind name ofType { kind name } } }"


async def texts(door: Door, input_type: str) -> list[list[str]]:
    """The paths of all fields of an input type that take text, nested ones too; a list is a path that ends in `[]`."""
    document = f"query ($name: String!) {{ __type(name: $name) {{ inputFields {{ name type {{ {SHAPE} }} }} }} }}"
    found: list[list[str]] = []
    for field in (await door.data(document, {"name": input_type}))["__type"]["inputFields"]:
        inner, tail = field["type"], [field["name"]]
        while inner["kind"] in {"NON_NULL", "LIST"}:
            tail += ["[]"] * (inner["kind"] == "LIST")
            inner = inner["ofType"]
        if inner["kind"] == "INPUT_OBJECT":
            found += [[*tail, *path] for path in await texts(door, inner["name"])]
        elif inner["name"] in TEXTS:
            found.append(tail)
    return found


def placed(value: dict[str, Any], path: list[str], text: str) -> dict[str, Any]:
    """The input with a text at the path."""
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
    door: Door, root: Person, bob: Person, field: str, value: dict[str, Any]
) -> None:
    input_type = "UserIdInput" if field == "unsuspendUser" else f"{field[0].upper()}{field[1:]}Input"
    document = f"mutation ($input: {input_type}!) {{ {field}(input: $input) {{ errors {{ code message field }} }} }}"
    role = await door.change("createRole", {"name": "helpers", "permissions": []}, "role { id }", by=root)
    plan = await door.change("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    ids = {"$bob": bob.id, "$role": role["role"]["id"], "$plan": plan["plan"]["id"]}
    value = {name: ids.get(str(item), item) for name, item in value.items()}
    paths = [["patch", "text"], ["patch", "list", "[]"]] if field == "updateSettings" else await texts(door, input_type)
    assert paths
    for path in paths:
        for text in NASTY:
            # Escapes keep lone surrogates, which no UTF-8 can carry
            body = json.dumps({"query": document, "variables": {"input": placed(value, path, text)}}, ensure_ascii=True)
            headers = {"authorization": f"Bearer {root.token}", "content-type": "application/json"}
            response = await door.http.post("/graphql", content=body, headers=headers)
            codes = {error["extensions"]["code"] for error in response.json().get("errors", [])}
            assert (path, text, response.status_code in {200, 400}, codes - {"BAD_USER_INPUT"}) == (
                path,
                text,
                True,
                set(),
            )


async def test_a_mail_that_nobody_would_send_is_not_promised(door: Door, root: Person) -> None:
    document = "mutation ($i: CreateUserInput!) { createUser(input: $i) { user { id } } }"
    answer = await door.ask(document, {"i": {"username": "carol", "sendEmail": True}}, by=root)
    assert answer["errors"][0]["extensions"]["code"] == "FEATURE_DISABLED"
    assert await door.rows("SELECT id FROM users WHERE username = 'carol'") == []

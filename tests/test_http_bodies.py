"""Bodies of every kind: each gets an answer with a code, and none a 500."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import Door, Person
from tests.lasting import lasting_door

JSON = {"content-type": "application/json", "accept": "application/graphql-response+json"}
DEEP = "[" * 100_000 + "]" * 100_000
NOT_JSON = {
    "nothing": b"",
    "spaces": b"   ",
    "no JSON": b"query { me { id } }",
    "cut short": b'{"query": "{ me',
    "not a number": b"NaN",
    "member not a number": b'{"query": "{ __typename }", "variables": {"a": NaN}}',
    "infinity": b'{"query": "{ __typename }", "variables": {"a": -Infinity}}',
    "byte order mark": b'\xef\xbb\xbf{"query": "{ __typename }"}',
    "invalid UTF-8": b'{"query": "{ \xff }"}',
    "UTF-16": '{"query": "{ __typename }"}'.encode("utf-16"),
    "lone surrogate in the query": b'{"query": "{ __typename } # \\ud800"}',
    "lone surrogate in a variable": b'{"query": "{ __typename }", "variables": {"a": "\\udfff"}}',
    "lone surrogate in a name": b'{"query": "{ __typename }", "variables": {"\\ud800": 1}}',
    "5,000 digits": b"9" * 5_000,
    "5,000 digits in a variable": b'{"query": "{ __typename }", "variables": {"a": ' + b"9" * 5_000 + b"}}",
    "100,000 brackets": DEEP.encode(),
    "100,000 brackets in a variable": b'{"query": "{ __typename }", "variables": {"a": ' + DEEP.encode() + b"}}",
    "100,000 open brackets": b"[" * 100_000,
}
NO_REQUEST = {
    "text": '"x"',
    "number": "1",
    "null": "null",
    "true": "true",
    "no member": "{}",
    "null query": '{"query": null}',
    "empty query": '{"query": ""}',
    "blank query": '{"query": " \\n "}',
    "number as query": '{"query": 7}',
    "list as query": '{"query": ["{ __typename }"]}',
    "text as variables": '{"query": "{ __typename }", "variables": "{}"}',
    "list as variables": '{"query": "{ __typename }", "variables": []}',
    "true as variables": '{"query": "{ __typename }", "variables": true}',
    "number as operationName": '{"query": "{ __typename }", "operationName": 1}',
    "object as operationName": '{"query": "{ __typename }", "operationName": {}}',
    "list as extensions": '{"query": "{ __typename }", "extensions": [1]}',
    "text as extensions": '{"query": "{ __typename }", "extensions": "x"}',
    "empty batch": "[]",
    "batch of a number": "[1]",
    "batch of null": "[null]",
    "batch of batches": "[[{}]]",
    "batch with a text": '[{"query": "{ __typename }"}, "x"]',
}
DOCUMENTS = {
    "syntax": "{",
    "control character": "{ \x00 }",
    "NUL behind the document": "{ __typename } \x00",
    "lone surrogate in a literal": '{ __type(name: "\\uD800") { name } }',
    "only a fragment": "fragment F on User { id }",
    "only types": "type T { a: Int }",
    "subscription": "subscription { me { id } }",
    "several operations": "query A { __typename } query B { __typename }",
    "the same name twice": "query A { __typename } query A { __typename }",
    "unknown field": "{ nope }",
    "unknown argument": "{ me(a: 1) { id } }",
    "unknown type": "query ($a: Nope) { __typename }",
    "unknown directive": "{ __typename @nope }",
    "unknown fragment": "{ me { ...F } }",
    "fragment that holds itself": "{ me { ...F } } fragment F on User { ...F }",
    "no selection": "{ me }",
    "selection of a leaf": "{ __typename { a } }",
    "missing variable": "query ($id: ID!) { node(id: $id) { id } }",
    "undeclared variable": "{ node(id: $id) { id } }",
    "huge integer": "{ users(first: 99999999999999999999) { totalCount } }",
    "integer of 5,000 digits": "{ users(first: " + "9" * 5_000 + ") { totalCount } }",
    "unknown key of a user": '{ user(by: {name: "a"}) { id } }',
    "number as a text": "{ user(by: {username: 1}) { id } }",
    "null as a filter's type": "{ users(filter: {suspended: 1}) { totalCount } }",
    "name as a time": "{ users(filter: {createdAfter: yesterday}) { totalCount } }",
    "unknown name of an enum": "{ users(orderBy: AGE) { totalCount } }",
}


@pytest_asyncio.fixture(scope="module")
async def door(server_url: str, people: dict[str, Person]) -> AsyncIterator[Door]:
    """One door for all: nothing here changes anything."""
    assert people
    async with lasting_door(server_url) as opened:
        yield opened


def codes(answer: Any) -> list[str]:
    assert set(answer) == {"errors"}, "a request that has no result has no `data`"
    return [error["extensions"]["code"] for error in answer["errors"]]


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_a_body_that_is_no_json_is_refused(door: Door, body: bytes) -> None:
    response = await door.http.post("/graphql", content=body, headers=JSON)
    assert (response.status_code, response.json()) == (
        400,
        {"errors": [{"message": "The body is no JSON", "extensions": {"code": "BAD_USER_INPUT"}}]},
    )


@pytest.mark.parametrize("body", NO_REQUEST.values(), ids=NO_REQUEST)
async def test_json_that_is_no_request_is_refused(door: Door, body: str) -> None:
    response = await door.http.post("/graphql", content=body, headers=JSON)
    expected = "QUERY_TOO_COMPLEX" if body == "[]" else "BAD_USER_INPUT"
    assert (response.status_code, codes(response.json())) == (400, [expected])


@pytest.mark.parametrize("query", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document_that_means_nothing_is_refused(door: Door, query: str, root: Person) -> None:
    headers = JSON | {"authorization": f"Bearer {root.token}"}
    response = await door.http.post("/graphql", content=json.dumps({"query": query}), headers=headers)
    assert response.status_code == 400
    assert set(codes(response.json())) == {"BAD_USER_INPUT"}


KEYS = {"none": "{}", "two": '{username: "alice", email: "alice@roster.test"}', "null": "{username: null}"}


@pytest.mark.parametrize("by", KEYS.values(), ids=KEYS)
async def test_a_user_is_asked_for_by_exactly_one_key(door: Door, by: str, root: Person) -> None:
    answer = await door.ask(f"{{ user(by: {by}) {{ id }} }}", by=root)
    assert answer["data"] == {"user": None}
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]


async def test_an_unknown_operation_name_is_refused(door: Door) -> None:
    body = {"query": "query A { __typename } query B { __typename }", "operationName": "C"}
    response = await door.http.post("/graphql", json=body, headers=JSON)
    assert (response.status_code, codes(response.json())) == (400, ["BAD_USER_INPUT"])
    chosen = await door.http.post("/graphql", json=body | {"operationName": "B"}, headers=JSON)
    assert (chosen.status_code, chosen.json()) == (200, {"data": {"__typename": "Query"}})


@pytest.mark.parametrize("name", [None, ""])
async def test_an_empty_operation_name_is_none(door: Door, name: str | None) -> None:
    body = {"query": "query A { __typename }", "operationName": name, "variables": None, "extensions": None}
    response = await door.http.post("/graphql", json=body, headers=JSON)
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_unknown_members_are_ignored(door: Door) -> None:
    body = {"query": "{ __typename }", "id": 1, "documentId": None, "extensions": {"tracing": {}}}
    assert (await door.http.post("/graphql", json=body)).json() == {"data": {"__typename": "Query"}}


async def test_a_body_over_the_limit_is_refused_however_it_is_sent(door: Door) -> None:
    long = json.dumps({"query": "{ __typename }" + " " * 1_048_576}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(long), 65_536):
            yield long[start : start + 65_536]

    for content in (long, chunks()):
        response = await door.http.post("/graphql", content=content, headers=JSON)
        assert (response.status_code, response.headers["connection"]) == (413, "close")
        assert codes(response.json()) == ["BAD_USER_INPUT"]
    exact = json.dumps({"query": "{ __typename }"}).ljust(1_048_576)
    assert (await door.http.post("/graphql", content=exact, headers=JSON)).status_code == 200


TEXTS = ["\x00", "a\x00b", "\\", "%", "'", "\u2028", "\U0001f600", "\ufffe", "x" * 100_000]
READS = {
    "search": "query ($text: String!) { users(search: $text) { nodes { id } } }",
    "username": "query ($text: String!) { user(by: {username: $text}) { id } }",
    "email": "query ($text: String!) { user(by: {email: $text}) { id } }",
    "external id": "query ($text: String!) { user(by: {externalId: $text}) { id } }",
    "fingerprint": "query ($text: String!) { user(by: {sshFingerprint: $text}) { id } }",
    "event": "query ($text: String!) { auditEvents(filter: {event: $text}) { nodes { id } } }",
    "after": "query ($text: String!) { users(after: $text) { nodes { id } } }",
    "before of a connection": "query ($text: String!) { me { sessions(before: $text) { nodes { id } } } }",
}


@pytest.mark.parametrize("document", READS.values(), ids=READS)
async def test_no_text_in_a_read_is_an_accident(door: Door, document: str, root: Person) -> None:
    for text in TEXTS:
        answer = await door.ask(document, {"text": text}, by=root)
        assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"BAD_USER_INPUT"}, text[:9]


@pytest.mark.parametrize("literal", ['"\\u0000"', '"a\\u0000b"', '"\\u{0}"', '"\\u{1F600}"', '"""\\u0000"""'])
async def test_no_literal_in_a_read_is_an_accident(door: Door, literal: str, root: Person) -> None:
    for document in READS.values():
        written = document.replace("query ($text: String!)", "").replace("$text", literal)
        answer = await door.ask(written, by=root)
        assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"BAD_USER_INPUT"}, written


NO_IDS = [
    "",
    "1",
    "\x00",
    "x" * 36,
    "0" * 33,
    "VXNlcjox",
    "é" * 32,
    "00000000-0000-7000-8000-00000000000g",
    1,
    True,
    None,
]


@pytest.mark.parametrize("value", NO_IDS)
async def test_what_is_no_id_is_refused(door: Door, value: object, root: Person) -> None:
    answer = await door.ask("query ($id: ID!) { node(id: $id) { id } }", {"id": value}, by=root)
    assert codes(answer) == ["BAD_USER_INPUT"]


PATCHES = [
    '{"a": "\\u0000"}',
    '{"\\u0000": 1}',
    '{"a": [{"b": "x\\u0000"}]}',
    '{"a": 1e400}',
    '{"a": 9007199254740992}',
    "[]",
    "1",
]


@pytest.mark.parametrize("patch", PATCHES)
async def test_no_json_in_a_write_is_an_accident(door: Door, patch: str, alice: Person) -> None:
    query = "mutation ($patch: JSON!) { updateSettings(input: {patch: $patch}) { user { id } errors { code } } }"
    body = f'{{"query": {json.dumps(query)}, "variables": {{"patch": {patch}}}}}'
    headers = {"content-type": "application/json", "authorization": f"Bearer {alice.token}"}
    answer = (await door.http.post("/graphql", content=body, headers=headers)).json()
    if "errors" in answer:
        assert codes(answer) == ["BAD_USER_INPUT"]
    else:
        assert answer["data"]["updateSettings"] == {"user": None, "errors": [{"code": "INVALID"}]}


@pytest.mark.parametrize(
    "literal", ['{a: "\\u0000"}', '{a: ["x\\u{0}"]}', "{a: 9007199254740992}", "{a: 1e400}", "{a: B}"]
)
async def test_no_json_literal_in_a_write_is_an_accident(door: Door, literal: str, alice: Person) -> None:
    query = f"mutation {{ updateSettings(input: {{patch: {literal}}}) {{ user {{ id }} errors {{ code }} }} }}"
    assert codes(await door.ask(query, by=alice)) == ["BAD_USER_INPUT"]

"""Bodies of every kind: each gets a response with a code, and none a 500."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import Client, Person
from tests.module_client import module_client

JSON = {"content-type": "application/json", "accept": "application/graphql-response+json"}
HELLO = {"query": "{ __typename }"}
DEEP = "[" * 100_000 + "]" * 100_000
NOT_JSON = {
    "empty": b"",
    "spaces": b"   ",
    "GraphQL": b"query { me { id } }",
    "truncated": b'{"query": "{ me',
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
NOT_A_REQUEST = {
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
    "NUL after the document": "{ __typename } \x00",
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
    "fragment in itself": "{ me { ...F } } fragment F on User { ...F }",
    "object without a selection": "{ me }",
    "selection of a leaf": "{ __typename { a } }",
    "missing variable": "query ($id: ID!) { node(id: $id) { id } }",
    "undeclared variable": "{ node(id: $id) { id } }",
    "huge integer": "{ users(first: 99999999999999999999) { totalCount } }",
    "integer of 5,000 digits": "{ users(first: " + "9" * 5_000 + ") { totalCount } }",
    "unknown key of a user": '{ user(by: {name: "a"}) { id } }',
    "number as a text": "{ user(by: {username: 1}) { id } }",
    "integer as a Boolean": "{ users(filter: {suspended: 1}) { totalCount } }",
    "name as a DateTime": "{ users(filter: {createdAfter: yesterday}) { totalCount } }",
    "unknown enum value": "{ users(orderBy: AGE) { totalCount } }",
}


@pytest_asyncio.fixture(scope="module")
async def client(server_url: str, people: dict[str, Person]) -> AsyncIterator[Client]:
    """Return one client for all tests, because none of them changes anything."""
    assert people
    async with module_client(server_url) as opened:
        yield opened


def codes(answer: Any) -> list[str]:
    """Return the codes of a response without data."""
    assert set(answer) == {"errors"}
    return [error["extensions"]["code"] for error in answer["errors"]]


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
async def test_a_body_that_is_not_json_is_rejected(client: Client, body: bytes) -> None:
    response = await client.http.post("/graphql", content=body, headers=JSON)
    assert (response.status_code, response.json()) == (
        400,
        {"errors": [{"message": "The body is not JSON.", "extensions": {"code": "BAD_USER_INPUT"}}]},
    )


@pytest.mark.parametrize("body", NOT_A_REQUEST.values(), ids=NOT_A_REQUEST)
async def test_json_that_is_not_a_request_is_rejected(client: Client, body: str) -> None:
    response = await client.http.post("/graphql", content=body, headers=JSON)
    expected = "QUERY_TOO_COMPLEX" if body == "[]" else "BAD_USER_INPUT"
    assert (response.status_code, codes(response.json())) == (400, [expected])


@pytest.mark.parametrize("query", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_an_invalid_document_is_rejected(client: Client, query: str, root: Person) -> None:
    headers = JSON | {"authorization": f"Bearer {root.token}"}
    response = await client.http.post("/graphql", content=json.dumps({"query": query}), headers=headers)
    assert response.status_code == 400
    assert set(codes(response.json())) == {"BAD_USER_INPUT"}


ONE_OF = (
    "Within OneOf Input Object type 'UserBy', exactly one field must be specified, "
    "and the value for that field must be non-null."
)
USER_BY = "query ($by: UserBy!) { user(by: $by) { id } }"
KEYS: dict[str, tuple[str, Any, list[str]]] = {
    "no key": ("{}", {}, []),
    "two keys": ('{username: "a", email: "a@b.test"}', {"username": "a", "email": "a@b.test"}, []),
    "null": ("{username: null}", {"username": None}, ["username"]),
    "a key and null": ('{username: "alice", email: null}', {"username": "alice", "email": None}, []),
}


@pytest.mark.parametrize(("literal", "value", "inside"), KEYS.values(), ids=KEYS)
async def test_a_user_has_exactly_one_key(client: Client, literal: str, value: Any, inside: list[str]) -> None:
    extensions = {"code": "BAD_USER_INPUT", "problems": [{"path": ["by", *inside], "message": ONE_OF}]}
    written = {"message": ONE_OF, "locations": [{"line": 1, "column": 12}], "extensions": extensions}
    assert await client.execute(f"{{ user(by: {literal}) {{ id }} }}") == {"errors": [written]}
    place = ".".join(["$by", *inside])
    assert await client.execute(USER_BY, {"by": value}) == {
        "errors": [{"message": f"{place}: {ONE_OF}", "extensions": extensions}]
    }


async def test_a_user_has_exactly_one_key_even_if_its_value_is_a_variable(client: Client, root: Person) -> None:
    document = "query ($name: String!) { user(by: {username: $name%s}) { id } }"
    assert await client.data(document.replace("%s", ""), {"name": "root"}, by=root) == {"user": {"id": root.id}}
    for more in (", email: $name", ', email: "root@roster.test"', ", email: null"):
        assert codes(await client.execute(document.replace("%s", more), {"name": "root"}, by=root)) == [
            "BAD_USER_INPUT"
        ]


@pytest.mark.parametrize("variables", [{"name": "root"}, {"name": None}, {}], ids=["text", "null", "absent"])
async def test_a_key_of_a_user_cannot_be_a_nullable_variable(
    client: Client, variables: dict[str, Any], root: Person
) -> None:
    document = "query ($name: String) { user(by: {username: $name}) { id } }"
    answer = await client.execute(document, variables, by=root)
    assert codes(answer) == ["BAD_USER_INPUT"]
    assert "'$name'" in answer["errors"][0]["message"]
    assert "'UserBy'" in answer["errors"][0]["message"]


async def test_an_unknown_operation_name_is_rejected(client: Client) -> None:
    body = {"query": "query A { __typename } query B { __typename }", "operationName": "C"}
    response = await client.http.post("/graphql", json=body, headers=JSON)
    assert (response.status_code, codes(response.json())) == (400, ["BAD_USER_INPUT"])
    chosen = await client.http.post("/graphql", json=body | {"operationName": "B"}, headers=JSON)
    assert (chosen.status_code, chosen.json()) == (200, {"data": {"__typename": "Query"}})


@pytest.mark.parametrize("name", [None, ""])
async def test_an_empty_operation_name_counts_as_absent(client: Client, name: str | None) -> None:
    body = {"query": "query A { __typename }", "operationName": name, "variables": None, "extensions": None}
    response = await client.http.post("/graphql", json=body, headers=JSON)
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_unknown_members_are_ignored(client: Client) -> None:
    body = {"query": "{ __typename }", "id": 1, "documentId": None, "extensions": {"tracing": {}}}
    assert (await client.http.post("/graphql", json=body)).json() == {"data": {"__typename": "Query"}}


async def test_a_body_over_the_limit_is_rejected_with_and_without_its_length(client: Client) -> None:
    long = json.dumps({"query": "{ __typename }" + " " * 1_048_576}).encode()

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(long), 65_536):
            yield long[start : start + 65_536]

    for content in (long, chunks()):
        response = await client.http.post("/graphql", content=content, headers=JSON)
        assert (response.status_code, response.headers["connection"]) == (413, "close")
        assert codes(response.json()) == ["BAD_USER_INPUT"]
    exact = json.dumps({"query": "{ __typename }"}).ljust(1_048_576)
    assert (await client.http.post("/graphql", content=exact, headers=JSON)).status_code == 200


TEXTS = ["\x00", "a\x00b", "\\", "%", "'", "\u2028", "\U0001f600", "\ufffe", "x" * 100_000]
READS = {
    "search": "query ($text: String!) { users(search: $text) { nodes { id } } }",
    "username": "query ($text: String!) { user(by: {username: $text}) { id } }",
    "email": "query ($text: String!) { user(by: {email: $text}) { id } }",
    "external id": "query ($text: String!) { user(by: {externalId: $text}) { id } }",
    "fingerprint": "query ($text: String!) { user(by: {sshFingerprint: $text}) { id } }",
    "event": "query ($text: String!) { auditEvents(filter: {event: [$text]}) { nodes { id } } }",
    "after": "query ($text: String!) { users(after: $text) { nodes { id } } }",
    "before of a connection": "query ($text: String!) { me { sessions(before: $text) { nodes { id } } } }",
}


@pytest.mark.parametrize("document", READS.values(), ids=READS)
async def test_no_text_in_a_query_is_an_internal_error(client: Client, document: str, root: Person) -> None:
    for text in TEXTS:
        answer = await client.execute(document, {"text": text}, by=root)
        assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"BAD_USER_INPUT"}, text[:9]


@pytest.mark.parametrize("literal", ['"\\u0000"', '"a\\u0000b"', '"\\u{0}"', '"\\u{1F600}"', '"""\\u0000"""'])
async def test_no_literal_in_a_query_is_an_internal_error(client: Client, literal: str, root: Person) -> None:
    for document in READS.values():
        query = document.replace("query ($text: String!)", "").replace("$text", literal)
        answer = await client.execute(query, by=root)
        assert {error["extensions"]["code"] for error in answer.get("errors", [])} <= {"BAD_USER_INPUT"}, query


NOT_IDS = [
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


@pytest.mark.parametrize("value", NOT_IDS)
async def test_a_value_that_is_not_an_id_is_rejected(client: Client, value: object, root: Person) -> None:
    answer = await client.execute("query ($id: ID!) { node(id: $id) { id } }", {"id": value}, by=root)
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
async def test_no_json_in_a_mutation_is_an_internal_error(client: Client, patch: str, alice: Person) -> None:
    query = "mutation ($patch: JSON!) { updateSettings(input: {patch: $patch}) { user { id } errors { code } } }"
    body = f'{{"query": {json.dumps(query)}, "variables": {{"patch": {patch}}}}}'
    headers = {"content-type": "application/json", "authorization": f"Bearer {alice.token}"}
    answer = (await client.http.post("/graphql", content=body, headers=headers)).json()
    if "errors" in answer:
        assert codes(answer) == ["BAD_USER_INPUT"]
    else:
        assert answer["data"]["updateSettings"] == {"user": None, "errors": [{"code": "INVALID"}]}


@pytest.mark.parametrize(
    "literal", ['{a: "\\u0000"}', '{a: ["x\\u{0}"]}', "{a: 9007199254740992}", "{a: 1e400}", "{a: B}"]
)
async def test_no_json_literal_in_a_mutation_is_an_internal_error(client: Client, literal: str, alice: Person) -> None:
    query = f"mutation {{ updateSettings(input: {{patch: {literal}}}) {{ user {{ id }} errors {{ code }} }} }}"
    assert codes(await client.execute(query, by=alice)) == ["BAD_USER_INPUT"]


async def test_a_compressed_body_is_rejected_with_what_is_accepted(client: Client) -> None:
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    response = await client.http.post("/graphql", content=gzip.compress(json.dumps(HELLO).encode()), headers=headers)
    assert (response.status_code, response.headers["accept-encoding"]) == (415, "identity")
    headers["content-encoding"] = "identity"
    assert (await client.http.post("/graphql", content=json.dumps(HELLO), headers=headers)).status_code == 200

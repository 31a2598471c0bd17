"""GraphQL over HTTP: methods, media types, statuses, headers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from graphql import get_introspection_query

from service.settings import Settings
from tests.conftest import Door, Person
from tests.lasting import lasting_door

MODERN = "application/graphql-response+json"
PLAIN = "application/json"
APOLLO = "application/graphql-response+json,application/json;q=0.9"
URQL = (
    "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed"
)
CHROME = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8"
FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
HELLO = {"query": "{ __typename }"}
WRONG = {"query": "{ nope }"}
QUERY = {"data": {"__typename": "Query"}}
MUTATION = "mutation { logout { endedSessions } }"


@pytest_asyncio.fixture(scope="module")
async def door(server_url: str, people: dict[str, Person]) -> AsyncIterator[Door]:
    """One door for all: nothing here changes anything."""
    assert people
    async with lasting_door(server_url) as opened:
        yield opened


def kind(response: httpx.Response) -> str:
    return response.headers["content-type"].removesuffix("; charset=utf-8")


def code(response: httpx.Response) -> Any:
    assert set(response.json()) == {"errors"}
    return response.json()["errors"][0]["extensions"]["code"]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (MODERN, MODERN),
        (PLAIN, PLAIN),
        (APOLLO, MODERN),
        (URQL, MODERN),
        ("*/*", PLAIN),
        ("application/*", PLAIN),
        ("", PLAIN),
        ("application/json, application/graphql-response+json", PLAIN),
        ("application/json;q=0.5, application/graphql-response+json;q=0.6", MODERN),
        ("application/graphql-response+json;q=0.5, application/json", PLAIN),
        ("application/graphql-response+json;q=0, */*", PLAIN),
        ("text/event-stream, */*;q=0.1", PLAIN),
        ("Application/GraphQL-Response+JSON ; charset=utf-8 ; q=1.0", MODERN),
        ("text/html;q=0, application/graphql-response+json;v=1, */*;q=0.1", MODERN),
    ],
)
async def test_the_answer_has_the_type_that_the_client_prefers(door: Door, accept: str, expected: str) -> None:
    response = await door.http.post("/graphql", json=HELLO, headers={"accept": accept})
    assert (response.status_code, kind(response), response.json()) == (200, expected, QUERY)
    refused = await door.http.post("/graphql", json=WRONG, headers={"accept": accept})
    assert (refused.status_code, kind(refused)) == (400 if expected == MODERN else 200, expected)
    assert code(refused) == "BAD_USER_INPUT"


async def test_a_client_without_accept_gets_plain_json(door: Door) -> None:
    request = door.http.build_request("POST", "/graphql", json=HELLO)
    del request.headers["accept"]
    response = await door.http.send(request)
    assert (kind(response), response.json()) == (PLAIN, QUERY)


async def test_several_accept_headers_count_as_one(door: Door) -> None:
    headers = [("accept", "text/html"), ("accept", MODERN)]
    assert kind(await door.http.post("/graphql", json=HELLO, headers=headers)) == MODERN


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "image/*", "*/*;q=0", "x", "application/json;q=x"]
)
async def test_who_accepts_no_type_of_ours_gets_406(door: Door, accept: str) -> None:
    response = await door.http.post("/graphql", json=HELLO, headers={"accept": accept})
    assert (response.status_code, kind(response), code(response)) == (406, PLAIN, "BAD_USER_INPUT")


@pytest.mark.parametrize("accept", [MODERN, PLAIN])
async def test_errors_of_fields_are_answered_with_200_and_data(door: Door, accept: str) -> None:
    response = await door.http.post("/graphql", json={"query": "{ roles { id } }"}, headers={"accept": accept})
    assert (response.status_code, response.json()["data"]) == (200, None)
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("accept", [MODERN, PLAIN])
async def test_a_body_that_cannot_be_read_is_answered_with_400_in_the_accepted_type(door: Door, accept: str) -> None:
    headers = {"accept": accept, "content-type": PLAIN}
    response = await door.http.post("/graphql", content="{", headers=headers)
    assert (response.status_code, kind(response), code(response)) == (400, accept, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "",
        "json",
    ],
)
async def test_a_post_of_any_other_type_is_refused(door: Door, content_type: str) -> None:
    headers = {"content-type": content_type}
    response = await door.http.post("/graphql", content=json.dumps(HELLO), headers=headers)
    assert (response.status_code, code(response)) == (415, "BAD_USER_INPUT")


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;"])
async def test_parameters_of_the_type_are_welcome(door: Door, content_type: str) -> None:
    headers = {"content-type": content_type}
    response = await door.http.post("/graphql", content=json.dumps(HELLO), headers=headers)
    assert response.json() == QUERY


async def test_a_get_queries(door: Door, root: Person) -> None:
    asked = {
        "query": "query A($id: ID!) { node(id: $id) { id } } query B { __typename }",
        "operationName": "A",
        "variables": json.dumps({"id": root.id}),
        "extensions": "{}",
    }
    response = await door.http.get("/graphql", params=asked, headers={"authorization": f"Bearer {root.token}"})
    assert (response.status_code, response.json()) == (200, {"data": {"node": {"id": root.id}}})


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"query": ""},
        {"query": "{"},
        {"query": "{ nope }"},
        {"query": "{ __typename }", "variables": "{"},
        {"query": "{ __typename }", "variables": "[]"},
        {"query": "{ __typename }", "variables": '{"a": NaN}'},
        {"query": "{ __typename }", "extensions": "1"},
        {"query": "{ __typename }", "operationName": "A"},
    ],
)
async def test_a_get_that_asks_nothing_is_refused(door: Door, asked: dict[str, str]) -> None:
    response = await door.http.get("/graphql", params=asked, headers={"accept": MODERN})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_bytes_that_are_no_text_in_a_query_string_are_refused(door: Door) -> None:
    response = await door.http.get("/graphql?query=%7B%20%ED%A0%80%20%00%20%7D", headers={"accept": MODERN})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_get_never_changes_anything(door: Door, root: Person) -> None:
    for accept in (MODERN, PLAIN, CHROME):
        headers = {"accept": accept, "authorization": f"Bearer {root.token}"}
        response = await door.http.get("/graphql", params={"query": MUTATION}, headers=headers)
        assert (response.status_code, response.headers["allow"], code(response)) == (405, "POST", "BAD_USER_INPUT")
    assert (await door.data("{ me { id } }", by=root)) == {"me": {"id": root.id}}


async def test_a_get_with_the_content_type_of_a_form_is_refused(door: Door) -> None:
    headers = {"content-type": "text/plain"}
    response = await door.http.get("/graphql", params=HELLO, headers=headers)
    assert (response.status_code, code(response)) == (415, "BAD_USER_INPUT")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_refused(door: Door, method: str) -> None:
    response = await door.http.request(method, "/graphql", json=HELLO)
    assert (response.status_code, response.headers["allow"], code(response)) == (405, "GET, POST", "BAD_USER_INPUT")


async def test_a_head_is_answered_like_a_get(door: Door) -> None:
    response = await door.http.head("/graphql", params=HELLO, headers={"accept": MODERN})
    assert (response.status_code, kind(response)) == (200, MODERN)


@pytest.mark.parametrize("accept", [CHROME, FIREFOX, "text/html"])
async def test_a_browser_gets_graphiql(door: Door, accept: str) -> None:
    response = await door.http.get("/graphql", headers={"accept": accept})
    assert (response.status_code, kind(response)) == (200, "text/html")
    assert "script-src 'self'" in response.headers["content-security-policy"]


@pytest.mark.parametrize("accept", [PLAIN, "*/*", APOLLO, "application/json, text/html;q=0.1", "text/html;q=0, */*"])
async def test_a_program_gets_json(door: Door, accept: str) -> None:
    response = await door.http.get("/graphql", headers={"accept": accept})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_query_in_a_browser_s_address_is_answered(door: Door) -> None:
    response = await door.http.get("/graphql", params=HELLO, headers={"accept": CHROME})
    assert (kind(response), response.json()) == (PLAIN, QUERY)


async def test_no_answer_is_cached_or_sniffed(door: Door) -> None:
    for response in (await door.http.post("/graphql", json=HELLO), await door.http.put("/graphql", json=HELLO)):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("given", ["abcdefgh", "0123-4567_89.ab", "A" * 64])
async def test_a_well_formed_request_id_comes_back(door: Door, given: str) -> None:
    for body in ("{", json.dumps(HELLO)):
        headers = {"content-type": PLAIN, "x-request-id": given}
        assert (await door.http.post("/graphql", content=body, headers=headers)).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "short", "A" * 65, "a b c d e f", "<script>alert(1)", "é" * 8, "12345678\t90"])
async def test_any_other_request_id_is_replaced(door: Door, given: str) -> None:
    for body in ("{", json.dumps(HELLO)):
        headers = {b"content-type": PLAIN.encode(), b"x-request-id": given.encode()}
        response = await door.http.post("/graphql", content=body, headers=headers)
        assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_a_persisted_query_is_asked_for_with_its_text(door: Door) -> None:
    extensions = {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}
    error = {"message": "PersistedQueryNotSupported", "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}}
    response = await door.http.post("/graphql", json={"extensions": extensions}, headers={"accept": APOLLO})
    assert (response.status_code, response.json()) == (400, {"errors": [error]})
    by_get = await door.http.get("/graphql", params={"extensions": json.dumps(extensions)})
    assert (by_get.status_code, by_get.json()) == (400, {"errors": [error]})
    assert (await door.http.post("/graphql", json=HELLO | {"extensions": extensions})).json() == QUERY


async def test_a_document_may_have_a_thousand_tokens(door: Door) -> None:
    most = "{" + " ".join(f"a{number}:__typename" for number in range(332)) + " __typename __typename}"
    assert len(await door.data(most)) == 333
    for more in (most + "#", "{" + "#\n" * 1_000 + "__typename}", most.replace("}", " b}")):
        response = await door.http.post("/graphql", json={"query": more}, headers={"accept": MODERN})
        assert (response.status_code, code(response)) == (400, "QUERY_TOO_COMPLEX")
        assert response.json()["errors"][0]["extensions"]["limit"] == 1_000


LONG = {"blanks": "{ __typename % }", "comment": "{ __typename #%\n}", "text": '{ user(by: {username: "%"}) { id } }'}


@pytest.mark.parametrize("document", LONG.values(), ids=LONG)
async def test_a_document_may_have_a_hundred_thousand_characters(door: Door, document: str) -> None:
    most = document.replace("%", " " * (100_001 - len(document)))
    assert len(most) == 100_000
    assert "data" in await door.ask(most)
    response = await door.http.post("/graphql", json={"query": most + " "}, headers={"accept": MODERN})
    assert (response.status_code, code(response)) == (400, "QUERY_TOO_COMPLEX")


async def test_a_field_called_tokens_is_only_unknown(door: Door) -> None:
    assert code(await door.http.post("/graphql", json={"query": "tokens"})) == "BAD_USER_INPUT"


async def test_the_standard_introspection_query_passes(door: Door) -> None:
    for query in (
        get_introspection_query(),
        get_introspection_query(specified_by_url=True, input_value_deprecation=True),
    ):
        assert (await door.data(query))["__schema"]["queryType"] == {"name": "Query", "kind": "OBJECT"}


async def test_introspection_can_be_switched_off(server_url: str) -> None:
    async with lasting_door(server_url, Settings(introspection=False)) as closed:
        for query in ("{ __schema { types { name } } }", '{ a: __type(name: "User") { name } me { id } }'):
            error = {"message": "Introspection is switched off", "extensions": {"code": "FEATURE_DISABLED"}}
            assert await closed.ask(query) == {"errors": [error]}
        assert await closed.data("{ __typename }") == QUERY["data"]
        message = (await closed.ask("{ usr { id } }"))["errors"][0]["message"]
        assert message == "Cannot query field 'usr' on type 'Query'."
        refused = await closed.ask("query ($by: UserBy!) { user(by: $by) { id } }", {"by": {"usrname": "x"}})
        assert "username" not in json.dumps(refused)

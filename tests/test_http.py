"""GraphQL over HTTP: methods, media types, statuses, and headers."""

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
from tests.conftest import Client, Person
from tests.module_client import module_client

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
async def client(server_url: str, people: dict[str, Person]) -> AsyncIterator[Client]:
    """Return one client for all tests, because none of them changes anything."""
    assert people
    async with module_client(server_url) as opened:
        yield opened


def content_type(response: httpx.Response) -> str:
    """Return the media type of a response without its parameters."""
    return response.headers["content-type"].removesuffix("; charset=utf-8")


def code(response: httpx.Response) -> Any:
    """Return the code of the first error of a response without data."""
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
async def test_the_response_has_the_media_type_that_the_client_prefers(
    client: Client, accept: str, expected: str
) -> None:
    response = await client.http.post("/graphql", json=HELLO, headers={"accept": accept})
    assert (response.status_code, content_type(response), response.json()) == (200, expected, QUERY)
    rejected = await client.http.post("/graphql", json=WRONG, headers={"accept": accept})
    assert (rejected.status_code, content_type(rejected)) == (400 if expected == MODERN else 200, expected)
    assert code(rejected) == "BAD_USER_INPUT"


async def test_a_client_without_accept_gets_application_json(client: Client) -> None:
    request = client.http.build_request("POST", "/graphql", json=HELLO)
    del request.headers["accept"]
    response = await client.http.send(request)
    assert (content_type(response), response.json()) == (PLAIN, QUERY)


async def test_several_accept_headers_count_as_one(client: Client) -> None:
    headers = [("accept", "text/html"), ("accept", MODERN)]
    assert content_type(await client.http.post("/graphql", json=HELLO, headers=headers)) == MODERN


@pytest.mark.parametrize(
    "accept", ["text/html", "application/json;q=0", "image/*", "*/*;q=0", "x", "application/json;q=x"]
)
async def test_an_accept_header_without_a_supported_type_gets_406(client: Client, accept: str) -> None:
    response = await client.http.post("/graphql", json=HELLO, headers={"accept": accept})
    assert (response.status_code, content_type(response), code(response)) == (406, PLAIN, "BAD_USER_INPUT")


@pytest.mark.parametrize("accept", [MODERN, PLAIN])
async def test_a_field_error_has_status_200_and_data(client: Client, accept: str) -> None:
    response = await client.http.post("/graphql", json={"query": "{ roles { id } }"}, headers={"accept": accept})
    assert (response.status_code, response.json()["data"]) == (200, None)
    assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("accept", [MODERN, PLAIN])
async def test_an_unreadable_body_gets_400_in_the_accepted_type(client: Client, accept: str) -> None:
    headers = {"accept": accept, "content-type": PLAIN}
    response = await client.http.post("/graphql", content="{", headers=headers)
    assert (response.status_code, content_type(response), code(response)) == (400, accept, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "sent_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "",
        "json",
    ],
)
async def test_a_post_of_another_content_type_is_rejected(client: Client, sent_type: str) -> None:
    headers = {"content-type": sent_type}
    response = await client.http.post("/graphql", content=json.dumps(HELLO), headers=headers)
    assert (response.status_code, code(response)) == (415, "BAD_USER_INPUT")


@pytest.mark.parametrize("sent_type", ["application/json; charset=utf-8", "Application/JSON", "application/json;"])
async def test_parameters_of_the_content_type_are_accepted(client: Client, sent_type: str) -> None:
    headers = {"content-type": sent_type}
    response = await client.http.post("/graphql", content=json.dumps(HELLO), headers=headers)
    assert response.json() == QUERY


async def test_a_get_runs_a_query(client: Client, root: Person) -> None:
    params = {
        "query": "query A($id: ID!) { node(id: $id) { id } } query B { __typename }",
        "operationName": "A",
        "variables": json.dumps({"id": root.id}),
        "extensions": "{}",
    }
    response = await client.http.get("/graphql", params=params, headers={"authorization": f"Bearer {root.token}"})
    assert (response.status_code, response.json()) == (200, {"data": {"node": {"id": root.id}}})


@pytest.mark.parametrize(
    "params",
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
async def test_an_invalid_get_is_rejected(client: Client, params: dict[str, str]) -> None:
    response = await client.http.get("/graphql", params=params, headers={"accept": MODERN})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_query_string_that_is_not_utf_8_is_rejected(client: Client) -> None:
    response = await client.http.get("/graphql?query=%7B%20%ED%A0%80%20%00%20%7D", headers={"accept": MODERN})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_get_runs_no_mutation(client: Client, root: Person) -> None:
    for accept in (MODERN, PLAIN, CHROME):
        headers = {"accept": accept, "authorization": f"Bearer {root.token}"}
        response = await client.http.get("/graphql", params={"query": MUTATION}, headers=headers)
        assert (response.status_code, response.headers["allow"], code(response)) == (405, "POST", "BAD_USER_INPUT")
    assert (await client.data("{ me { id } }", by=root)) == {"me": {"id": root.id}}


async def test_a_get_with_the_content_type_of_a_form_is_rejected(client: Client) -> None:
    headers = {"content-type": "text/plain"}
    response = await client.http.get("/graphql", params=HELLO, headers=headers)
    assert (response.status_code, code(response)) == (415, "BAD_USER_INPUT")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS"])
async def test_other_methods_are_rejected(client: Client, method: str) -> None:
    response = await client.http.request(method, "/graphql", json=HELLO)
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD, POST")
    assert code(response) == "BAD_USER_INPUT"


async def test_a_head_gets_the_headers_of_a_get(client: Client) -> None:
    response = await client.http.head("/graphql", params=HELLO, headers={"accept": MODERN})
    assert (response.status_code, content_type(response)) == (200, MODERN)


@pytest.mark.parametrize("accept", [CHROME, FIREFOX, "text/html"])
async def test_a_browser_gets_graphiql(client: Client, accept: str) -> None:
    response = await client.http.get("/graphql", headers={"accept": accept})
    assert (response.status_code, content_type(response)) == (200, "text/html")
    assert "script-src 'self'" in response.headers["content-security-policy"]


@pytest.mark.parametrize("accept", [PLAIN, "*/*", APOLLO, "application/json, text/html;q=0.1", "text/html;q=0, */*"])
async def test_a_program_gets_json(client: Client, accept: str) -> None:
    response = await client.http.get("/graphql", headers={"accept": accept})
    assert (response.status_code, code(response)) == (400, "BAD_USER_INPUT")


async def test_a_query_in_the_address_bar_of_a_browser_gets_json(client: Client) -> None:
    response = await client.http.get("/graphql", params=HELLO, headers={"accept": CHROME})
    assert (content_type(response), response.json()) == (PLAIN, QUERY)


async def test_no_response_is_cached_or_sniffed(client: Client) -> None:
    for response in (await client.http.post("/graphql", json=HELLO), await client.http.put("/graphql", json=HELLO)):
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-content-type-options"] == "nosniff"


REQUEST_IDS = ["abcdefgh", "0" * 32, "A" * 64, "", "short", "A" * 65, "<script>alert(1)", "é" * 8, "12345678\t90"]


@pytest.mark.parametrize("given", REQUEST_IDS)
async def test_a_response_has_a_request_id_of_the_service_itself(client: Client, given: str) -> None:
    found = set()
    for body in ("{", json.dumps(HELLO), json.dumps(HELLO)):
        headers = {b"content-type": PLAIN.encode(), b"x-request-id": given.encode()}
        response = await client.http.post("/graphql", content=body, headers=headers)
        found.add(response.headers["x-request-id"])
    assert len(found - {given}) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", request_id) for request_id in found)


@pytest.mark.parametrize(
    "given", ["Basic YTpi", "Bearer", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "Token rsts_wrong", "x"]
)
async def test_an_authorization_header_of_another_system_counts_as_absent(client: Client, given: str) -> None:
    headers = {"authorization": given}
    response = await client.http.post("/graphql", json={"query": "{ me { id } }"}, headers=headers)
    assert (response.status_code, response.json()) == (200, {"data": {"me": None}})


async def test_a_document_may_have_a_thousand_tokens(client: Client) -> None:
    most = "{" + " ".join(f"a{number}:__typename" for number in range(332)) + " __typename __typename}"
    assert len(await client.data(most)) == 333
    for more in (most + "#", "{" + "#\n" * 1_000 + "__typename}", most.replace("}", " b}")):
        response = await client.http.post("/graphql", json={"query": more}, headers={"accept": MODERN})
        assert (response.status_code, code(response)) == (400, "QUERY_TOO_COMPLEX")
        assert response.json()["errors"][0]["extensions"]["limit"] == 1_000


LONG = {"blanks": "{ __typename % }", "comment": "{ __typename #%\n}", "text": '{ user(by: {username: "%"}) { id } }'}


@pytest.mark.parametrize("document", LONG.values(), ids=LONG)
async def test_a_document_may_have_a_hundred_thousand_characters(client: Client, document: str) -> None:
    most = document.replace("%", " " * (100_001 - len(document)))
    assert len(most) == 100_000
    assert "data" in await client.execute(most)
    response = await client.http.post("/graphql", json={"query": most + " "}, headers={"accept": MODERN})
    assert (response.status_code, code(response)) == (400, "QUERY_TOO_COMPLEX")


async def test_a_document_of_the_word_tokens_is_a_syntax_error(client: Client) -> None:
    assert code(await client.http.post("/graphql", json={"query": "tokens"})) == "BAD_USER_INPUT"


async def test_the_standard_introspection_query_is_allowed(client: Client) -> None:
    for query in (
        get_introspection_query(),
        get_introspection_query(specified_by_url=True, input_value_deprecation=True),
    ):
        assert (await client.data(query))["__schema"]["queryType"] == {"name": "Query", "kind": "OBJECT"}


async def test_introspection_can_be_disabled(server_url: str) -> None:
    async with module_client(server_url, Settings(introspection=False)) as closed:
        for query in ("{ __schema { types { name } } }", '{ a: __type(name: "User") { name } me { id } }'):
            error = {"message": "Introspection is disabled.", "extensions": {"code": "FEATURE_DISABLED"}}
            assert await closed.execute(query) == {"errors": [error]}
        assert await closed.data("{ __typename }") == QUERY["data"]
        message = (await closed.execute("{ usr { id } }"))["errors"][0]["message"]
        assert message == "Cannot query field 'usr' on type 'Query'."
        rejected = await closed.execute("query ($by: UserBy!) { user(by: $by) { id } }", {"by": {"usrname": "x"}})
        assert "username" not in json.dumps(rejected)


async def test_a_path_with_a_slash_at_its_end_is_not_redirected_to_the_host_of_the_request(client: Client) -> None:
    response = await client.http.post("/graphql/", json=HELLO, headers={"host": "evil.example"})
    assert (response.status_code, "location" in response.headers) == (404, False)

"""The session cookie: its attributes, the requests on which it counts, and the Authorization header beside it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person, opened_client

LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { token errors { code } } }"
ME = "{ me { username } }"
ALICE = {"data": {"me": {"username": "alice"}}}
ANONYMOUS: dict[str, Any] = {"data": {"me": None}}
OTHER_SITE = "The session cookie was ignored, because the request comes from another site."
NO_HEADER = "The session cookie was ignored. Send the header graphql-require-preflight, with any value."
LOGOUT = "mutation { logout { endedSessions } }"


async def post(
    client: Client,
    query: str,
    *,
    cookie: str | None = None,
    variables: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """Return the response to a POST with the given cookie and headers, and no other cookie."""
    client.http.cookies.clear()
    sent = encoded({**({"cookie": cookie} if cookie else {}), **(headers or {})})
    return await client.http.post("/graphql", json={"query": query, "variables": variables}, headers=sent)


async def get(client: Client, query: str, cookie: str, headers: dict[str, str]) -> httpx.Response:
    client.http.cookies.clear()
    return await client.http.get("/graphql", params={"query": query}, headers=encoded({"cookie": cookie, **headers}))


def encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


def ignored(message: str) -> dict[str, Any]:
    """Return the response to ME with a cookie that was ignored."""
    place = {"locations": [{"line": 1, "column": 3}], "path": ["me"]}
    return ANONYMOUS | {"errors": [{"message": message, **place, "extensions": {"code": "FORBIDDEN"}}]}


async def sign_in(client: Client, login: str = "alice", **options: Any) -> httpx.Response:
    return await post(client, LOGIN, variables={"input": {"login": login, "password": PASSWORD}}, **options)


@pytest.mark.parametrize(
    ("secure", "url", "cookie"),
    [
        ("auto", "http://roster.test", "roster=TOKEN; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax"),
        (
            "auto",
            "https://roster.test",
            "__Host-roster=TOKEN; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax; Secure",
        ),
        (
            "always",
            "http://roster.test",
            "__Host-roster=TOKEN; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax; Secure",
        ),
        ("never", "https://roster.test", "roster=TOKEN; HttpOnly; Max-Age=2592000; Path=/; SameSite=lax"),
    ],
)
@pytest.mark.usefixtures("people")
async def test_a_login_sets_the_cookie_and_a_logout_clears_it(
    database_url: str, secure: Any, url: str, cookie: str
) -> None:
    async with opened_client(Settings(cookie_secure=secure), database_url) as client:
        client.http.base_url = httpx.URL(url)
        login = await sign_in(client)
        token = login.json()["data"]["login"]["token"]
        assert login.headers.get_list("set-cookie") == [cookie.replace("TOKEN", token)]
        name = cookie.partition("=")[0]
        assert (await post(client, ME, cookie=f"{name}={token}")).json() == ALICE
        logout = await post(client, LOGOUT, cookie=f"{name}={token}")
        [cleared] = logout.headers.get_list("set-cookie")
        expires = re.search(r"expires=[^;]+; ", cleared)
        assert expires is not None
        removed = cookie.replace("TOKEN", '""').replace("Max-Age=2592000", "Max-Age=0")
        assert cleared.replace(expires.group(), "") == removed
        answer = (await post(client, ME, cookie=f"{name}={token}")).json()
        assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_a_failed_login_sets_no_cookie(client: Client) -> None:
    response = await post(client, LOGIN, variables={"input": {"login": "alice", "password": "not-the-password"}})
    assert response.json()["data"]["login"] == {"token": None, "errors": [{"code": "WRONG_CREDENTIALS"}]}
    assert "set-cookie" not in response.headers


async def test_a_bearer_token_has_precedence_over_the_cookie(client: Client, alice: Person, bob: Person) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"authorization": f"{scheme} {alice.token}"}
        assert (await post(client, ME, cookie=f"roster={bob.token}", headers=headers)).json() == ALICE
    assert (await post(client, ME, cookie=f"roster={alice.token}")).json() == ALICE


@pytest.mark.parametrize("token", ["rsts_wrong", "rst_wrong", "rsts_" + "0" * 49, "rst_"])
async def test_the_cookie_does_not_replace_a_bearer_token_that_is_not_valid(
    client: Client, alice: Person, token: str
) -> None:
    headers = {"authorization": f"Bearer {token}"}
    response = await post(client, ME, cookie=f"roster={alice.token}", headers=headers)
    assert response.json()["data"] == {"me": None}
    assert [error["extensions"] for error in response.json()["errors"]] == [{"code": "UNAUTHENTICATED"}]
    assert "set-cookie" not in response.headers


async def test_requests_with_a_bearer_token_set_and_clear_no_cookie(client: Client, alice: Person) -> None:
    variables = {"input": {"login": "alice", "password": PASSWORD}}
    headers = {"authorization": f"Bearer {alice.token}"}
    # After the first logout the session of the header has ended
    for query in (ME, LOGIN, "{ nonsense }", LOGOUT, ME, LOGIN, LOGOUT):
        response = await post(client, query, variables=variables, headers=headers)
        assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "header",
    [
        "Basic YWxpY2U6cGFzc3dvcmQ=",
        'Digest username="alice"',
        "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl",
        "Bearer ghp_" + "0" * 36,
        "Bearer RSTS_wrong",
        "Bearer",
        "Bearer ",
        "Token rsts_wrong",
        "rsts_wrong",
        "",
        " ",
        "ü\x80\xff garbage",
    ],
)
async def test_an_authorization_header_of_another_system_is_ignored(client: Client, alice: Person, header: str) -> None:
    headers, cookie = {"authorization": header}, f"roster={alice.token}"
    without = await post(client, ME, headers=headers)
    assert (without.json(), "set-cookie" in without.headers) == (ANONYMOUS, False)
    assert (await post(client, ME, cookie=cookie, headers=headers)).json() == ALICE
    assert (await get(client, ME, cookie, headers | {"graphql-require-preflight": "1"})).json() == ALICE
    login = await sign_in(client, headers=headers)
    token = login.json()["data"]["login"]["token"]
    assert login.headers["set-cookie"].startswith(f"roster={token}; ")
    logout = await post(client, LOGOUT, cookie=f"roster={token}", headers=headers)
    assert logout.json() == {"data": {"logout": {"endedSessions": 1}}}
    assert logout.headers["set-cookie"].startswith('roster=""; ')
    invalid = await post(client, ME, cookie=f"roster={token}", headers=headers)
    assert invalid.json()["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
    assert invalid.headers["set-cookie"].startswith('roster=""; ')


async def test_an_api_key_as_a_cookie_is_ignored(client: Client, alice: Person) -> None:
    value = {"name": "k", "permissions": ["account.read"]}
    secret = (await client.mutate("createApiKey", value, "secret", by=alice))["secret"]
    response = await post(client, ME, cookie=f"roster={secret}")
    assert (response.json(), "set-cookie" in response.headers) == (ANONYMOUS, False)


@pytest.mark.parametrize(
    ("call", "cleared"),
    [
        ("me { id }", False),
        ("logoutAll(input: {keepCurrent: true}) { endedSessions }", False),
        ("logoutAll { endedSessions }", True),
        ("logout { endedSessions }", True),
        ("revokeSession(input: {id: OTHER}) { revokedId }", False),
        ("revokeSession(input: {id: CURRENT}) { revokedId }", True),
    ],
)
async def test_the_cookie_is_cleared_when_its_session_ends(
    client: Client, alice: Person, call: str, *, cleared: bool
) -> None:
    other = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "session { id }")
    listed = await client.data("{ me { sessions(last: 1) { nodes { id } } } }", by=alice)
    [current] = listed["me"]["sessions"]["nodes"]
    call = call.replace("CURRENT", f'"{current["id"]}"').replace("OTHER", f'"{other["session"]["id"]}"')
    kind = "query" if call.startswith("me") else "mutation"
    response = await post(client, f"{kind} {{ {call} }}", cookie=f"roster={alice.token}")
    assert "errors" not in response.json()
    assert ("set-cookie" in response.headers) is cleared
    assert ((await post(client, ME, cookie=f"roster={alice.token}")).json() == ALICE) is not cleared


@pytest.mark.parametrize("kind", ["ended", "rsts_unknown", "", '"', "ü", "x" * 5000, "a=b; roster=c", "%00"])
async def test_a_cookie_that_is_not_valid_is_reported_cleared_and_replaced_by_a_login(
    client: Client, alice: Person, kind: str
) -> None:
    if kind == "ended":
        await client.rows("UPDATE sessions SET ended_at = now()")
    value = alice.token if kind == "ended" else kind
    response = await post(client, "{ me { id } plans { id } }", cookie=f"roster={value}")
    answer = response.json()
    if value:
        [error] = answer["errors"]
        assert (error["path"], error["extensions"]) == (["me"], {"code": "UNAUTHENTICATED"})
        assert response.headers["set-cookie"].startswith('roster=""; ')
    assert answer["data"] == {"me": None, "plans": []}
    again = await sign_in(client, cookie=f"roster={value}")
    token = again.json()["data"]["login"]["token"]
    assert again.headers["set-cookie"].startswith(f"roster={token}; ")


@pytest.mark.parametrize(
    ("site", "counts"),
    [(None, True), ("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False)],
)
async def test_a_cookie_counts_on_a_post_from_this_origin(
    client: Client, alice: Person, site: str | None, *, counts: bool
) -> None:
    cookie, headers = f"roster={alice.token}", {"sec-fetch-site": site} if site else {}
    response = await post(client, ME, cookie=cookie, headers=headers)
    assert response.json() == (ALICE if counts else ignored(OTHER_SITE))
    assert "set-cookie" not in response.headers
    logout = await post(client, LOGOUT, cookie=cookie, headers=headers)
    if not counts:
        [error] = logout.json()["errors"]
        assert logout.json()["data"] is None
        assert (error["message"], error["extensions"]) == (OTHER_SITE, {"code": "FORBIDDEN"})
        assert "set-cookie" not in logout.headers
    assert ((await post(client, ME, cookie=cookie)).json() == ALICE) is not counts


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, NO_HEADER),
        ({"sec-fetch-site": "cross-site"}, OTHER_SITE),
        ({"sec-fetch-site": "same-site"}, OTHER_SITE),
        ({"sec-fetch-site": "same-origin"}, None),
        ({"sec-fetch-site": "none"}, None),
        ({"graphql-require-preflight": "1"}, None),
        ({"apollo-require-preflight": "true"}, None),
        ({"x-requested-with": "XMLHttpRequest"}, None),
    ],
)
async def test_a_cookie_counts_on_a_get_that_shows_its_origin(
    client: Client, alice: Person, headers: dict[str, str], message: str | None
) -> None:
    response = await get(client, ME, f"roster={alice.token}", headers)
    assert response.json() == (ignored(message) if message else ALICE)
    assert "set-cookie" not in response.headers


async def test_an_ignored_cookie_is_not_cleared_even_if_it_is_not_valid(client: Client, alice: Person) -> None:
    await client.rows("UPDATE sessions SET ended_at = now()")
    query = "{ me { username } plans { id } }"
    for value in (alice.token, "rsts_wrong", "x"):
        by_get = await get(client, query, f"roster={value}", {})
        by_post = await post(client, query, cookie=f"roster={value}", headers={"sec-fetch-site": "cross-site"})
        for response, message in ((by_get, NO_HEADER), (by_post, OTHER_SITE)):
            assert response.json() == ignored(message) | {"data": {"me": None, "plans": []}}
            assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
    ],
)
async def test_content_types_that_another_site_can_send_are_rejected(
    client: Client, alice: Person, content_type: str
) -> None:
    response = await client.http.post(
        "/graphql",
        content=b'{"query": "mutation { logoutAll { endedSessions } }"}',
        headers={"content-type": content_type, "cookie": f"roster={alice.token}"},
    )
    assert response.status_code == 415
    assert (await post(client, ME, cookie=f"roster={alice.token}")).json() == ALICE


async def test_a_get_does_not_run_mutations(client: Client, alice: Person) -> None:
    headers = {"sec-fetch-site": "same-origin", "cookie": f"roster={alice.token}"}
    response = await client.http.get("/graphql", params={"query": LOGOUT}, headers=headers)
    assert response.status_code == 405
    assert (await post(client, ME, cookie=f"roster={alice.token}")).json() == ALICE


@pytest.mark.usefixtures("people")
async def test_over_https_only_the_cookie_with_the_host_prefix_counts(database_url: str, alice: Person) -> None:
    async with opened_client(Settings(cookie_secure="always"), database_url) as client:
        assert (await post(client, ME, cookie=f"roster={alice.token}")).json() == ANONYMOUS
        assert (await post(client, ME, cookie=f"__Host-roster={alice.token}")).json() == ALICE

"""The session cookie: what it looks like, and on which requests it counts."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Door, Person, opened_door

LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { token errors { code } } }"
ME = "{ me { username } }"
ALICE = {"data": {"me": {"username": "alice"}}}
NOBODY: dict[str, Any] = {"data": {"me": None}}
LOGOUT = "mutation { logout { endedSessions } }"


async def post(
    door: Door,
    query: str,
    *,
    cookie: str | None = None,
    variables: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> httpx.Response:
    """A POST as a browser sends it, with nothing in its jar but the given cookie."""
    door.http.cookies.clear()
    given = {**({"cookie": cookie} if cookie else {}), **(headers or {})}
    sent = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    return await door.http.post("/graphql", json={"query": query, "variables": variables}, headers=sent)


async def get(door: Door, query: str, cookie: str, headers: dict[str, str]) -> dict[str, Any]:
    door.http.cookies.clear()
    response = await door.http.get("/graphql", params={"query": query}, headers={"cookie": cookie, **headers})
    answer: dict[str, Any] = response.json()
    return answer


async def sign_in(door: Door, login: str = "alice", **options: Any) -> httpx.Response:
    return await post(door, LOGIN, variables={"input": {"login": login, "password": PASSWORD}}, **options)


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
    async with opened_door(Settings(cookie_secure=secure), database_url) as door:
        door.http.base_url = httpx.URL(url)
        made = await sign_in(door)
        token = made.json()["data"]["login"]["token"]
        assert made.headers.get_list("set-cookie") == [cookie.replace("TOKEN", token)]
        name = cookie.partition("=")[0]
        assert (await post(door, ME, cookie=f"{name}={token}")).json() == ALICE
        ended = await post(door, LOGOUT, cookie=f"{name}={token}")
        [cleared] = ended.headers.get_list("set-cookie")
        expires = re.search(r"expires=[^;]+; ", cleared)
        assert expires is not None
        lifeless = cookie.replace("TOKEN", '""').replace("Max-Age=2592000", "Max-Age=0")
        assert cleared.replace(expires.group(), "") == lifeless
        answer = (await post(door, ME, cookie=f"{name}={token}")).json()
        assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_a_failed_login_sets_no_cookie(door: Door) -> None:
    response = await post(door, LOGIN, variables={"input": {"login": "alice", "password": "not-the-password"}})
    assert response.json()["data"]["login"] == {"token": None, "errors": [{"code": "WRONG_CREDENTIALS"}]}
    assert "set-cookie" not in response.headers


async def test_the_token_counts_as_cookie_and_as_bearer_and_the_header_wins(
    door: Door, alice: Person, bob: Person
) -> None:
    for scheme in ("Bearer", "bearer", "BEARER"):
        answer = await post(
            door, ME, cookie=f"roster={bob.token}", headers={"authorization": f"{scheme} {alice.token}"}
        )
        assert answer.json() == ALICE
    assert (await post(door, ME, cookie=f"roster={alice.token}")).json() == ALICE
    answer = await post(door, ME, cookie=f"roster={alice.token}", headers={"authorization": "Bearer rsts_wrong"})
    assert answer.json()["data"] == {"me": None}, "a bad header does not fall back on the cookie"


async def test_who_comes_with_an_authorization_header_gets_no_cookie(door: Door, alice: Person) -> None:
    variables = {"input": {"login": "alice", "password": PASSWORD}}
    headers = {"authorization": f"Bearer {alice.token}"}
    # From the logout on the header's session is over
    for query in (ME, LOGIN, "{ nonsense }", LOGOUT, ME, LOGIN, LOGOUT):
        response = await post(door, query, variables=variables, headers=headers)
        assert "set-cookie" not in response.headers


@pytest.mark.parametrize(
    ("call", "cleared"),
    [
        ("me { id }", False),
        ("logoutAll(input: {keepCurrent: true}) { endedSessions }", False),
        ("logoutAll { endedSessions }", True),
        ("logout { endedSessions }", True),
        ("revokeSession(input: {id: OTHER}) { endedSessions }", False),
        ("revokeSession(input: {id: CURRENT}) { endedSessions }", True),
    ],
)
async def test_the_cookie_goes_with_its_session_only(door: Door, alice: Person, call: str, *, cleared: bool) -> None:
    made = await door.change("login", {"login": "alice", "password": PASSWORD}, "session { id }")
    [current] = (await door.data("{ me { sessions(last: 1) { nodes { id } } } }", by=alice))["me"]["sessions"]["nodes"]
    call = call.replace("CURRENT", f'"{current["id"]}"').replace("OTHER", f'"{made["session"]["id"]}"')
    kind = "query" if call.startswith("me") else "mutation"
    response = await post(door, f"{kind} {{ {call} }}", cookie=f"roster={alice.token}")
    assert "errors" not in response.json()
    assert ("set-cookie" in response.headers) is cleared
    assert ((await post(door, ME, cookie=f"roster={alice.token}")).json() == ALICE) is not cleared


@pytest.mark.parametrize("kind", ["ended", "rsts_unknown", "", '"', "ü", "x" * 5000, "a=b; roster=c", "%00"])
async def test_a_stale_cookie_is_told_cleared_and_does_not_keep_from_signing_in(
    door: Door, alice: Person, kind: str
) -> None:
    if kind == "ended":
        await door.rows("UPDATE sessions SET ended_at = now()")
    value = alice.token if kind == "ended" else kind
    response = await post(door, "{ me { id } plans { id } }", cookie=f"roster={value}")
    answer = response.json()
    if value:
        [error] = answer["errors"]
        assert (error["path"], error["extensions"]) == (["me"], {"code": "UNAUTHENTICATED"})
        assert response.headers["set-cookie"].startswith('roster=""; ')
    assert answer["data"] == {"me": None, "plans": []}
    again = await sign_in(door, cookie=f"roster={value}")
    token = again.json()["data"]["login"]["token"]
    assert again.headers["set-cookie"].startswith(f"roster={token}; ")


@pytest.mark.parametrize(
    ("site", "counts"),
    [(None, True), ("same-origin", True), ("none", True), ("same-site", False), ("cross-site", False)],
)
async def test_a_cookie_counts_on_a_post_of_this_origin(
    door: Door, alice: Person, site: str | None, *, counts: bool
) -> None:
    headers = {"sec-fetch-site": site} if site else {}
    asked = await post(door, ME, cookie=f"roster={alice.token}", headers=headers)
    assert asked.json() == (ALICE if counts else NOBODY)
    assert "set-cookie" not in asked.headers
    ended = (await post(door, LOGOUT, cookie=f"roster={alice.token}", headers=headers)).json()
    if not counts:
        assert (ended["data"], ended["errors"][0]["extensions"]) == (None, {"code": "UNAUTHENTICATED"})
    assert ((await post(door, ME, cookie=f"roster={alice.token}")).json() == ALICE) is not counts


@pytest.mark.parametrize(
    ("headers", "counts"),
    [
        ({}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"graphql-require-preflight": "1"}, True),
        ({"apollo-require-preflight": "true"}, True),
    ],
)
async def test_a_cookie_counts_on_a_get_that_shows_its_origin(
    door: Door, alice: Person, headers: dict[str, str], *, counts: bool
) -> None:
    cookie = f"roster={alice.token}"
    assert await get(door, ME, cookie, headers) == (ALICE if counts else NOBODY)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain; application/json",
    ],
)
async def test_nothing_runs_that_a_foreign_page_can_post(door: Door, alice: Person, content_type: str) -> None:
    response = await door.http.post(
        "/graphql",
        content=b'{"query": "mutation { logoutAll { endedSessions } }"}',
        headers={"content-type": content_type, "cookie": f"roster={alice.token}"},
    )
    assert response.status_code == 415
    assert (await post(door, ME, cookie=f"roster={alice.token}")).json() == ALICE


async def test_a_get_changes_nothing(door: Door, alice: Person) -> None:
    headers = {"sec-fetch-site": "same-origin", "cookie": f"roster={alice.token}"}
    response = await door.http.get("/graphql", params={"query": LOGOUT}, headers=headers)
    assert response.status_code == 405
    assert (await post(door, ME, cookie=f"roster={alice.token}")).json() == ALICE


@pytest.mark.usefixtures("people")
async def test_a_cookie_that_any_subdomain_could_have_set_does_not_count_over_https(
    database_url: str, alice: Person
) -> None:
    async with opened_door(Settings(cookie_secure="always"), database_url) as door:
        assert (await post(door, ME, cookie=f"roster={alice.token}")).json() == NOBODY
        assert (await post(door, ME, cookie=f"__Host-roster={alice.token}")).json() == ALICE

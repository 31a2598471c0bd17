"""Sessions: the list of a user's sessions, the device of each, and the ways in which they end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.clean_up import clean_up
from tests.conftest import PASSWORD, Client, Person

SESSIONS = "{ me { sessions { nodes { id current } totalCount } } }"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
IPHONE = "(iPhone; CPU iPhone OS 18_6 like Mac OS X)"
MAC = "(Macintosh; Intel Mac OS X 10_15_7)"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
UNAUTHENTICATED = {
    "data": {"me": None},
    "errors": [
        {
            "message": "The session or API key is not valid. Sign in again.",
            "locations": [{"line": 1, "column": 3}],
            "path": ["me"],
            "extensions": {"code": "UNAUTHENTICATED"},
        }
    ],
}
NOT_FOUND = {
    "revokedId": None,
    "user": None,
    "errors": [{"code": "NOT_FOUND", "message": "This object does not exist.", "field": ["id"]}],
}


async def signed_in(client: Client, login: str) -> tuple[str, str]:
    """Return the token and the id of a new session."""
    payload = await client.mutate("login", {"login": login, "password": PASSWORD}, "token session { id }")
    return payload["token"], payload["session"]["id"]


async def live_sessions(client: Client, by: Person | str) -> set[str]:
    return {node["id"] for node in (await client.data(SESSIONS, by=by))["me"]["sessions"]["nodes"]}


async def is_signed_in(client: Client, token: str) -> bool:
    answer = await client.execute("{ me { id } }", by=token)
    if "errors" in answer:
        assert answer == UNAUTHENTICATED
    return answer["data"]["me"] is not None


async def revoke(client: Client, session_id: str, by: Person | str) -> dict[str, Any]:
    return await client.mutate("revokeSession", {"id": session_id}, "revokedId user { id username }", by=by)


async def latest_event(client: Client, by: Person) -> dict[str, Any]:
    document = "{ auditEvents(first: 1) { nodes { event actorId credential targetId targetType changes } } }"
    event: dict[str, Any] = (await client.data(document, by=by))["auditEvents"]["nodes"][0]
    return event


async def login_from(client: Client, agent: str, selection: str) -> Any:
    """Return the payload of a login of Alice with a User-Agent header."""
    document = f"mutation ($input: LoginInput!) {{ login(input: $input) {{ {selection} errors {{ code }} }} }}"
    body = {"query": document, "variables": {"input": {"login": "alice", "password": PASSWORD}}}
    response = await client.http.post("/graphql", json=body, headers=[(b"user-agent", agent.encode("latin-1"))])
    return response.json()["data"]["login"]


async def test_the_list_shows_where_and_when_a_user_signed_in(client: Client, alice: Person) -> None:
    fields = "id createdAt lastSeenAt expiresAt ip userAgent device current user { id }"
    login = await login_from(client, FIREFOX, f"token session {{ {fields} }}")
    listed = await client.data(f"{{ me {{ sessions {{ totalCount nodes {{ {fields} }} }} }} }}", by=login["token"])
    newest, template = listed["me"]["sessions"]["nodes"]
    assert newest == login["session"]
    assert newest == {
        "id": newest["id"],
        "createdAt": newest["createdAt"],
        "lastSeenAt": newest["createdAt"],
        "expiresAt": newest["expiresAt"],
        "ip": "192.0.2.1",
        "userAgent": FIREFOX,
        "device": "Firefox on Linux",
        "current": True,
        "user": {"id": alice.id},
    }
    assert (template["current"], listed["me"]["sessions"]["totalCount"]) == (False, 2)
    [row] = await client.rows(
        "SELECT device, extract(epoch FROM expires_at - created_at) AS life FROM sessions WHERE id = $1", newest["id"]
    )
    assert (row["device"], row["life"]) == ("Firefox on Linux", client.resources.settings.session_lifetime)


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (f"Mozilla/5.0 (X11; Linux x86_64) {CHROMIUM} Safari/537.36", "Chrome on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36 Edg/142.0.0.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROMIUM} Safari/537.36 OPR/124.0.0.0", "Opera on Windows"),
        (f"Mozilla/5.0 {MAC} {CHROMIUM} Safari/537.36", "Chrome on Mac OS X"),
        (f"Mozilla/5.0 {MAC} {WEBKIT} Version/26.0 Safari/605.1.15", "Safari on Mac OS X"),
        (f"Mozilla/5.0 (Linux; Android 10; K) {CHROMIUM} Mobile Safari/537.36", "Chrome Mobile on Android"),
        (f"Mozilla/5.0 {IPHONE} {WEBKIT} Version/26.0 Mobile/15E148 Safari/604.1", "Mobile Safari on iOS"),
        ("Mozilla/5.0 (Android 16; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0", "Firefox Mobile on Android"),
        ("curl/8.16.0", "curl"),
        ("python-httpx/0.28.1", "python-httpx"),
        ("panel-sync/2.1 (internal)", "panel-sync"),
        ("x" * 3000, "x" * 255),
        (f"{'x' * 300}.test/1.0 CFNetwork/1", "x" * 255),
        ("odd \x80\xff agent", "odd"),
        ("/", None),
        ("   ", None),
        ("", None),
    ],
)
async def test_a_session_has_the_device_of_the_login(client: Client, agent: str, device: str | None) -> None:
    login = await login_from(client, agent, "token session { device }")
    assert (login["session"], login["errors"]) == ({"device": device}, [])
    listed = await client.data("{ me { sessions(first: 1) { nodes { device } } } }", by=login["token"])
    assert listed["me"]["sessions"]["nodes"] == [{"device": device}]


async def test_logout_ends_only_its_own_session(client: Client, alice: Person) -> None:
    token, _ = await signed_in(client, "alice")
    assert await client.data("mutation { logout { endedSessions errors { code } } }", by=token) == {
        "logout": {"endedSessions": 1, "errors": []}
    }
    assert not await is_signed_in(client, token)
    assert await is_signed_in(client, alice.token)


async def test_the_token_of_an_ended_session_is_not_valid(client: Client) -> None:
    token, _ = await signed_in(client, "alice")
    await client.data("mutation { logout { endedSessions } }", by=token)
    for document in ("mutation { logout { endedSessions } }", "mutation { logoutAll { endedSessions } }"):
        answer = await client.execute(document, by=token)
        assert (answer["data"], answer["errors"][0]["extensions"]) == (None, {"code": "UNAUTHENTICATED"})


async def test_parallel_logouts_end_a_session_once(client: Client) -> None:
    token, _ = await signed_in(client, "alice")
    logout = "mutation { logout { endedSessions } }"
    answers = await asyncio.gather(*(client.execute(logout, by=token) for _ in range(6)))
    ended = [answer["data"]["logout"]["endedSessions"] for answer in answers if answer["data"]]
    assert (ended.count(1), {*ended} <= {0, 1}) == (1, True), answers
    events = await client.rows("SELECT event FROM audit_events WHERE event = 'session.end'")
    assert len(events) == 1


@pytest.mark.parametrize(
    ("call", "kept"),
    [
        ("logoutAll", False),
        ("logoutAll(input: null)", False),
        ("logoutAll(input: {})", False),
        ("logoutAll(input: {keepCurrent: null})", False),
        ("logoutAll(input: {keepCurrent: false})", False),
        ("logoutAll(input: {keepCurrent: true})", True),
    ],
)
async def test_logout_all_ends_every_session_of_the_user(
    client: Client, root: Person, alice: Person, bob: Person, call: str, *, kept: bool
) -> None:
    token, session_id = await signed_in(client, "alice")
    ended_ids = await live_sessions(client, alice) - ({session_id} if kept else set())
    ended = await client.data(f"mutation {{ {call} {{ endedSessions errors {{ code }} }} }}", by=token)
    assert ended == {call.partition("(")[0]: {"endedSessions": 1 if kept else 2, "errors": []}}
    assert [await is_signed_in(client, one) for one in (token, alice.token, bob.token)] == [kept, False, True]
    event = await latest_event(client, root)
    assert (event["event"], event["targetType"], event["targetId"]) == ("session.end-all", "User", alice.id)
    assert {*event["changes"]["sessions"]["old"]} == ended_ids
    assert event["changes"]["sessions"]["new"] == []


async def test_logout_all_counts_live_sessions_and_writes_no_event_without_any(client: Client, alice: Person) -> None:
    _, expired = await signed_in(client, "alice")
    await client.rows("UPDATE sessions SET expires_at = now() WHERE id = $1", expired)
    events = await client.rows("SELECT count(*) FROM audit_events")
    payload = await client.mutate("logoutAll", {"keepCurrent": True}, "endedSessions", by=alice)
    assert payload == {"endedSessions": 0, "errors": []}
    assert await client.rows("SELECT count(*) FROM audit_events") == events


async def test_users_revoke_their_own_sessions(client: Client, alice: Person) -> None:
    token, session_id = await signed_in(client, "alice")
    by_other, (current, current_id) = alice, await signed_in(client, "alice")
    for ended, ended_id, by in ((token, session_id, by_other), (current, current_id, current)):
        user = {"id": alice.id, "username": "alice"}
        assert await revoke(client, ended_id, by) == {"revokedId": ended_id, "user": user, "errors": []}
        assert not await is_signed_in(client, ended)
        assert ended_id not in await live_sessions(client, alice)
        found = await client.data("query ($id: ID!) { node(id: $id) { id } }", {"id": ended_id}, by=alice)
        assert found == {"node": None}
    assert await is_signed_in(client, alice.token)


async def test_sessions_of_others_ended_ones_and_unknown_ids_are_not_found(
    client: Client, alice: Person, bob: Person
) -> None:
    token, foreign = await signed_in(client, "bob")
    _, ended = await signed_in(client, "alice")
    await revoke(client, ended, alice)
    unknown = "01900000-0000-7000-8000-000000000000"
    for session_id in (foreign, ended, unknown, bob.id, alice.id):
        assert await revoke(client, session_id, alice) == NOT_FOUND
    assert await is_signed_in(client, token)


async def test_administrators_revoke_the_sessions_of_users(client: Client, admin: Person, staff: Person) -> None:
    for by in (admin, staff):
        token, session_id = await signed_in(client, "alice")
        payload = await client.mutate("revokeSession", {"id": session_id}, "revokedId user { email }", by=by)
        assert payload == {"revokedId": session_id, "user": {"email": "alice@roster.test"}, "errors": []}
        assert not await is_signed_in(client, token)


async def test_the_payload_shows_only_what_the_caller_may_read_of_the_user(client: Client, admin: Person) -> None:
    value = {"name": "sessions", "permissions": ["users.sessions"]}
    key = (await client.mutate("createApiKey", value, "secret", by=admin))["secret"]
    token, session_id = await signed_in(client, "alice")
    document = f'mutation {{ revokeSession(input: {{id: "{session_id}"}}) {{ revokedId user {{ username email }} }} }}'
    answer = await client.execute(document, by=key)
    assert answer["data"]["revokeSession"] == {"revokedId": session_id, "user": {"username": "alice", "email": None}}
    assert [(error["path"], error["extensions"]) for error in answer["errors"]] == [
        (["revokeSession", "user", "email"], {"code": "FORBIDDEN", "permission": "users.read"})
    ]
    assert not await is_signed_in(client, token)


async def test_a_session_of_a_user_with_more_permissions_cannot_be_revoked(
    client: Client, root: Person, admin: Person, staff: Person
) -> None:
    for by, login in ((staff, "adam"), (staff, "root"), (admin, "root")):
        token, session_id = await signed_in(client, login)
        payload = await revoke(client, session_id, by)
        problems = [(error["code"], error["field"]) for error in payload.pop("errors")]
        assert (payload, problems) == ({"revokedId": None, "user": None}, [("NOT_ALLOWED", ["id"])])
        assert await is_signed_in(client, token)
    _, session_id = await signed_in(client, "stella")
    assert (await revoke(client, session_id, root))["revokedId"] == session_id


async def test_the_end_of_a_session_is_a_deletion_in_the_audit_log(client: Client, root: Person, admin: Person) -> None:
    for event, by in (("session.end", None), ("session.revoke", admin)):
        token, session_id = await signed_in(client, "alice")
        agent = client.http.headers["user-agent"]
        if by is None:
            await client.data("mutation { logout { endedSessions } }", by=token)
        else:
            await revoke(client, session_id, by)
        found = await latest_event(client, root)
        assert (found["event"], found["targetType"], found["targetId"]) == (event, "Session", session_id)
        columns = "authenticatedAt ip device userAgent userId expiresAt lastSeenAt"
        assert set(found["changes"]) == set(columns.split())
        assert {change["new"] for change in found["changes"].values()} == {None}
        assert found["changes"]["userAgent"]["old"] == agent
        if by is None:
            assert found["credential"] == f"session:{session_id}"
        else:
            assert found["actorId"] == by.id


async def test_revoke_session_locks_the_user_before_the_session(client: Client, admin: Person, alice: Person) -> None:
    _, session_id = await signed_in(client, "alice")
    async with client.resources.database.transaction() as other:
        await other.run("lock_user", id=alice.id)
        revoked = asyncio.create_task(revoke(client, session_id, admin))
        await asyncio.sleep(0.3)
        await other.run("end_sessions_by_user", user_id=alice.id, keep=None)
    assert await revoked == NOT_FOUND


async def test_an_expired_session_is_not_valid_and_not_listed(client: Client, alice: Person) -> None:
    token, session_id = await signed_in(client, "alice")
    await client.rows("UPDATE sessions SET expires_at = now() WHERE id = $1", session_id)
    assert not await is_signed_in(client, token)
    assert session_id not in await live_sessions(client, alice)
    listed = await client.data(SESSIONS, by=alice)
    assert listed["me"]["sessions"]["totalCount"] == 1
    found = await client.data("query ($id: ID!) { node(id: $id) { id } }", {"id": session_id}, by=alice)
    assert found == {"node": None}
    assert await revoke(client, session_id, alice) == NOT_FOUND


async def test_sessions_are_deleted_a_month_after_their_end(client: Client, alice: Person) -> None:
    ends = ("ended_at = now() - interval '31 days'", "expires_at = now() - interval '31 days'", "ended_at = now()")
    ids = [(await signed_in(client, "alice"))[1] for _ in ends]
    for session_id, end in zip(ids, ends, strict=True):
        await client.rows(f"UPDATE sessions SET {end} WHERE id = $1", session_id)  # noqa: S608
    for _ in range(2):
        await clean_up(client.resources.database)
    left = {row["id"] for row in await client.rows("SELECT id FROM sessions WHERE user_id = $1", alice.id)}
    assert left & set(ids) == {ids[2]}
    assert await is_signed_in(client, alice.token)
    events = await client.rows("SELECT credential, changes FROM audit_events WHERE event = 'service.clean-up'")
    assert ("job:clean-up", {"sessions": {"old": 2, "new": 0}}) in [tuple(event) for event in events]
    assert len([event for event in events if "sessions" in event["changes"]]) == 1

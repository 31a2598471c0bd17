"""Where one is signed in: the list, its ends, and how a session runs out."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Door, Person, opened_door

SESSIONS = "{ me { sessions { nodes { id current } totalCount } } }"
WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPHONE = "(iPhone; CPU iPhone OS 19_0 like Mac OS X)"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
UNAUTHENTICATED = {
    "data": {"me": None},
    "errors": [
        {
            "message": "The session or API key is not valid any more",
            "locations": [{"line": 1, "column": 3}],
            "path": ["me"],
            "extensions": {"code": "UNAUTHENTICATED"},
        }
    ],
}


async def signed_in(door: Door, login: str) -> tuple[str, str]:
    """The token and the id of a new session."""
    made = await door.change("login", {"login": login, "password": PASSWORD}, "token session { id }")
    return made["token"], made["session"]["id"]


async def live_sessions(door: Door, by: Person | str) -> set[str]:
    return {node["id"] for node in (await door.data(SESSIONS, by=by))["me"]["sessions"]["nodes"]}


async def is_signed_in(door: Door, token: str) -> bool:
    answer = await door.ask("{ me { id } }", by=token)
    if "errors" in answer:
        assert answer == UNAUTHENTICATED
    return answer["data"]["me"] is not None


async def test_the_list_tells_where_and_with_what_one_is_signed_in(door: Door, alice: Person) -> None:
    document = """mutation ($input: LoginInput!) { login(input: $input) {
      token session { id createdAt lastSeenAt expiresAt ip userAgent device current user { id } } } }"""
    body = {"query": document, "variables": {"input": {"login": "alice", "password": PASSWORD}}}
    response = await door.http.post("/graphql", json=body, headers={"user-agent": FIREFOX})
    made = response.json()["data"]["login"]
    listed = await door.data(
        """{ me { sessions { totalCount nodes {
          id createdAt lastSeenAt expiresAt ip userAgent device current user { id } } } } }""",
        by=made["token"],
    )
    newest, template = listed["me"]["sessions"]["nodes"]
    assert newest == made["session"]
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
    [row] = await door.rows(
        "SELECT extract(epoch FROM expires_at - created_at) AS life FROM sessions WHERE id = $1", newest["id"]
    )
    assert row["life"] == door.house.settings.session_lifetime


@pytest.mark.parametrize(
    ("agent", "device"),
    [
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/142.0 Safari/537.36 Edg/142.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Linux; Android 16) {WEBKIT} Chrome/142.0 Mobile Safari/537.36", "Chrome on Android"),
        (f"Mozilla/5.0 {IPHONE} {WEBKIT} Version/19.0 Mobile/15E148 Safari/604.1", "Safari on iPhone"),
        (f"Mozilla/5.0 {IPHONE} {WEBKIT} CriOS/142.0 Mobile/15E148 Safari/604.1", "Chrome on iPhone"),
        ("curl/8.16.0", "curl"),
        ("panel-sync/2.1 (internal)", "panel-sync"),
        ("x" * 3000, "x" * 255),
        ("weird \x80\xff agent", "weird"),
        ("   ", None),
        ("", None),
    ],
)
async def test_a_device_is_named_as_a_person_would(door: Door, agent: str, device: str | None) -> None:
    document = "mutation ($input: LoginInput!) { login(input: $input) { session { device } errors { code } } }"
    body = {"query": document, "variables": {"input": {"login": "alice", "password": PASSWORD}}}
    response = await door.http.post("/graphql", json=body, headers=[(b"user-agent", agent.encode("latin-1"))])
    assert response.json() == {"data": {"login": {"session": {"device": device}, "errors": []}}}


async def test_logout_ends_this_session_and_no_other(door: Door, alice: Person) -> None:
    token, _ = await signed_in(door, "alice")
    assert await door.data("mutation { logout { endedSessions errors { code } } }", by=token) == {
        "logout": {"endedSessions": 1, "errors": []}
    }
    assert not await is_signed_in(door, token)
    assert await is_signed_in(door, alice.token)


async def test_a_token_of_an_ended_session_opens_nothing(door: Door) -> None:
    token, _ = await signed_in(door, "alice")
    await door.data("mutation { logout { endedSessions } }", by=token)
    for document in ("mutation { logout { endedSessions } }", "mutation { logoutAll { endedSessions } }"):
        answer = await door.ask(document, by=token)
        assert (answer["data"], answer["errors"][0]["extensions"]) == (None, {"code": "UNAUTHENTICATED"})


async def test_two_logouts_at_once_end_one_session(door: Door) -> None:
    token, _ = await signed_in(door, "alice")
    both = await asyncio.gather(*(door.ask("mutation { logout { endedSessions } }", by=token) for _ in range(6)))
    ended = [answer["data"]["logout"]["endedSessions"] for answer in both if answer["data"]]
    assert (ended.count(1), {*ended} <= {0, 1}) == (1, True), both
    events = await door.rows("SELECT event FROM audit_events WHERE event = 'session.end'")
    assert len(events) == 1


@pytest.mark.parametrize(
    ("call", "stays"),
    [
        ("logoutAll", False),
        ("logoutAll(input: null)", False),
        ("logoutAll(input: {})", False),
        ("logoutAll(input: {keepCurrent: null})", False),
        ("logoutAll(input: {keepCurrent: false})", False),
        ("logoutAll(input: {keepCurrent: true})", True),
    ],
)
async def test_logout_all_ends_every_session_of_ones_own(
    door: Door, alice: Person, bob: Person, call: str, *, stays: bool
) -> None:
    token, _ = await signed_in(door, "alice")
    ended = await door.data(f"mutation {{ {call} {{ endedSessions errors {{ code }} }} }}", by=token)
    assert ended == {call.partition("(")[0]: {"endedSessions": 1 if stays else 2, "errors": []}}
    assert [await is_signed_in(door, one) for one in (token, alice.token, bob.token)] == [stays, False, True]


async def test_logout_all_counts_live_sessions_only_and_is_no_event_without_any(door: Door, alice: Person) -> None:
    _, over = await signed_in(door, "alice")
    await door.rows("UPDATE sessions SET expires_at = now() WHERE id = $1", over)
    events = await door.rows("SELECT count(*) FROM audit_events")
    kept = await door.change("logoutAll", {"keepCurrent": True}, "endedSessions", by=alice)
    assert kept == {"endedSessions": 0, "errors": []}
    assert await door.rows("SELECT count(*) FROM audit_events") == events


async def test_one_ends_a_session_of_ones_own(door: Door, alice: Person) -> None:
    token, session_id = await signed_in(door, "alice")
    ended = await door.change("revokeSession", {"id": session_id}, "endedSessions", by=alice)
    assert ended == {"endedSessions": 1, "errors": []}
    assert not await is_signed_in(door, token)
    assert session_id not in await live_sessions(door, alice)
    found = await door.data("query ($id: ID!) { node(id: $id) { id } }", {"id": session_id}, by=alice)
    assert found == {"node": None}


async def not_found(door: Door, session_id: str, by: Person) -> bool:
    answer = await door.change("revokeSession", {"id": session_id}, "endedSessions", by=by)
    return answer == {
        "endedSessions": None,
        "errors": [{"code": "NOT_FOUND", "message": "There is no such object", "field": ["id"]}],
    }


async def test_foreign_ended_and_unknown_sessions_are_not_found_alike(door: Door, alice: Person, bob: Person) -> None:
    token, foreign = await signed_in(door, "bob")
    _, ended = await signed_in(door, "alice")
    await door.change("revokeSession", {"id": ended}, "", by=alice)
    unknown = "01900000-0000-7000-8000-000000000000"
    for session_id in (foreign, ended, unknown, bob.id, alice.id):
        assert await not_found(door, session_id, alice)
    assert await is_signed_in(door, token)


async def test_an_administrator_ends_the_session_of_a_user(door: Door, admin: Person, staff: Person) -> None:
    for by in (admin, staff):
        token, session_id = await signed_in(door, "alice")
        ended = await door.change("revokeSession", {"id": session_id}, "endedSessions", by=by)
        assert ended == {"endedSessions": 1, "errors": []}
        assert not await is_signed_in(door, token)


async def test_nobody_ends_the_session_of_one_who_holds_more(
    door: Door, root: Person, admin: Person, staff: Person
) -> None:
    for by, above in ((staff, "adam"), (staff, "root"), (admin, "root")):
        token, session_id = await signed_in(door, above)
        refused = await door.change("revokeSession", {"id": session_id}, "endedSessions", by=by)
        codes = [(error["code"], error["field"]) for error in refused["errors"]]
        assert (refused["endedSessions"], codes) == (None, [("NOT_ALLOWED", ["id"])])
        assert await is_signed_in(door, token)
    _, session_id = await signed_in(door, "stella")
    assert (await door.change("revokeSession", {"id": session_id}, "endedSessions", by=root))["endedSessions"] == 1


async def test_an_administrators_end_of_a_session_waits_for_no_lock_in_the_wrong_order(
    door: Door, admin: Person, alice: Person
) -> None:
    _, session_id = await signed_in(door, "alice")
    async with door.house.database.transaction() as other:
        await other.run("lock_user", id=alice.id)
        revoked = asyncio.create_task(door.change("revokeSession", {"id": session_id}, "endedSessions", by=admin))
        await asyncio.sleep(0.3)
        await other.run("end_sessions_by_user", user_id=alice.id, keep=None)
    assert (await revoked)["errors"][0]["code"] == "NOT_FOUND"


async def test_an_unused_session_is_over(door: Door) -> None:
    token, session_id = await signed_in(door, "alice")
    moved = "UPDATE sessions SET last_seen_at = now() - make_interval(secs => $2) WHERE id = $1"
    idle = float(door.house.settings.session_idle)
    await door.rows(moved, session_id, idle - 30)
    assert await is_signed_in(door, token)
    await door.rows(moved, session_id, idle)
    assert not await is_signed_in(door, token)


async def test_an_old_session_is_over_and_not_listed(door: Door, alice: Person) -> None:
    token, session_id = await signed_in(door, "alice")
    await door.rows("UPDATE sessions SET expires_at = now() WHERE id = $1", session_id)
    assert not await is_signed_in(door, token)
    assert session_id not in await live_sessions(door, alice)
    listed = await door.data(SESSIONS, by=alice)
    assert listed["me"]["sessions"]["totalCount"] == 1
    found = await door.data("query ($id: ID!) { node(id: $id) { id } }", {"id": session_id}, by=alice)
    assert found == {"node": None}
    assert await not_found(door, session_id, alice)


async def last_seen(door: Door, session_id: str) -> Any:
    return (await door.rows("SELECT last_seen_at FROM sessions WHERE id = $1", session_id))[0]["last_seen_at"]


async def test_the_latest_use_is_written_at_most_once_a_minute(door: Door) -> None:
    token, session_id = await signed_in(door, "alice")
    opened = await last_seen(door, session_id)
    await door.data("{ me { id } }", by=token)
    assert await last_seen(door, session_id) == opened
    await door.rows("UPDATE sessions SET last_seen_at = now() - interval '61 seconds' WHERE id = $1", session_id)
    stale = await last_seen(door, session_id)
    await asyncio.gather(*(door.data("{ me { id } }", by=token) for _ in range(5)))
    seen = await last_seen(door, session_id)
    await door.data("{ me { id } }", by=token)
    assert stale < opened < seen == await last_seen(door, session_id)


async def test_use_keeps_a_session_from_idling_but_not_from_its_end(door: Door) -> None:
    token, session_id = await signed_in(door, "alice")
    before = "last_seen_at = now() - interval '6 days 23 hours', expires_at = now() + interval '1 hour'"
    await door.rows(f"UPDATE sessions SET {before} WHERE id = $1", session_id)  # noqa: S608
    ends = await door.rows("SELECT expires_at FROM sessions WHERE id = $1", session_id)
    assert await is_signed_in(door, token)
    [row] = await door.rows("SELECT now() - last_seen_at AS unused FROM sessions WHERE id = $1", session_id)
    assert row["unused"].total_seconds() < 60
    assert await door.rows("SELECT expires_at FROM sessions WHERE id = $1", session_id) == ends


@pytest.mark.usefixtures("people")
async def test_a_session_in_use_outlives_even_the_shortest_idle_time(database_url: str) -> None:
    async with opened_door(Settings(session_idle=60), database_url) as door:
        token, session_id = await signed_in(door, "alice")
        for _ in range(3):
            await door.rows("UPDATE sessions SET last_seen_at = last_seen_at - interval '40 seconds'")
            assert await is_signed_in(door, token)
        await door.rows("UPDATE sessions SET last_seen_at = now() - interval '60 seconds' WHERE id = $1", session_id)
        assert not await is_signed_in(door, token)


async def test_sessions_are_forgotten_a_month_after_their_end(door: Door, alice: Person) -> None:
    ends = ("ended_at = now() - interval '31 days'", "expires_at = now() - interval '31 days'", "ended_at = now()")
    ids = [(await signed_in(door, "alice"))[1] for _ in ends]
    for session_id, end in zip(ids, ends, strict=True):
        await door.rows(f"UPDATE sessions SET {end} WHERE id = $1", session_id)  # noqa: S608
    async with door.house.database.transaction() as transaction:
        await transaction.run("delete_dead_sessions")
    left = {row["id"] for row in await door.rows("SELECT id FROM sessions WHERE user_id = $1", alice.id)}
    assert left & set(ids) == {ids[2]}
    assert await is_signed_in(door, alice.token)

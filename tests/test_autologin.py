"""Autologin links: one use, both people in the audit log, and a session that is bound by the impersonator."""

from __future__ import annotations

import asyncio

import pytest

from service.attempts import TOKEN
from service.settings import Settings
from tests.conftest import Client, Person, opened_client
from tests.sessions import IMPERSONATE, INVALID, impersonated, key, link, login, opened

ME = "{ me { username } }"


async def rejected(client: Client, by: Person | str, user_id: str) -> tuple[str, list[str]]:
    """Return the code and the field of the error of a link that cannot be created."""
    payload = await client.mutate("createAutologinLink", {"userId": user_id}, "url", by=by)
    assert payload["url"] is None
    [error] = payload["errors"]
    return error["code"], error["field"]


async def test_a_link_opens_a_session_of_the_user_that_shows_the_impersonator(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    value = {"userId": bob.id, "reason": "Ticket 7"}
    payload = await client.mutate("createAutologinLink", value, "url expiresAt", by=admin)
    address, _, token = payload["url"].partition("#")
    assert (address, token[:5], payload["errors"]) == ("http://localhost:8000/account/autologin", "rsto_", [])
    opening = await opened(client, token)
    assert (opening["user"], opening["errors"]) == ({"id": bob.id}, [])
    found = await client.data(
        "{ me { username } session { id current impersonator { username } user { username } } }", by=opening["token"]
    )
    assert found == {
        "me": {"username": "bob"},
        "session": {
            "id": opening["session"]["id"],
            "current": True,
            "impersonator": {"username": "adam"},
            "user": {"username": "bob"},
        },
    }
    # The user sees it, too
    listed = await client.data("{ me { sessions { nodes { id impersonator { id } } } } }", by=bob)
    assert {"id": opening["session"]["id"], "impersonator": {"id": admin.id}} in listed["me"]["sessions"]["nodes"]
    assert (await client.mutate("updateProfile", {"firstName": "Rob"}, "", by=opening["token"]))["errors"] == []
    events = await client.data(
        "{ auditEvents(first: 3) { nodes { event actorId impersonator { id } targetId changes credential } } }", by=root
    )
    profile, opened_event, created = events["auditEvents"]["nodes"]
    assert (profile["event"], profile["actorId"], profile["impersonator"]) == ("user.profile", bob.id, {"id": admin.id})
    assert profile["credential"] == f"session:{opening['session']['id']}"
    assert (opened_event["event"], opened_event["actorId"], opened_event["impersonator"]) == (
        "session.impersonate",
        bob.id,
        {"id": admin.id},
    )
    assert opened_event["changes"]["reason"] == {"old": None, "new": "Ticket 7"}
    assert opened_event["changes"]["impersonatorId"] == {"old": None, "new": admin.id}
    assert (created["event"], created["actorId"], created["targetId"]) == ("user.autologin-link", admin.id, bob.id)
    assert created["changes"]["autologinLink"]["new"]["reason"] == "Ticket 7"


async def test_the_audit_log_keeps_the_id_of_a_deleted_impersonator(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    await impersonated(client, admin, bob)
    assert (await client.mutate("deleteUser", {"id": admin.id}, "", by=root))["errors"] == []
    document = """{ auditEvents(filter: {event: ["session.impersonate"]}) {
      nodes { impersonatorId impersonator { id } actorId } } }"""
    [event] = (await client.data(document, by=root))["auditEvents"]["nodes"]
    assert event == {"impersonatorId": admin.id, "impersonator": None, "actorId": bob.id}


async def test_an_impersonation_is_not_a_login_of_the_user(client: Client, admin: Person, bob: Person) -> None:
    document = "{ me { lastLoginAt } }"
    before = await client.data(document, by=bob)
    await impersonated(client, admin, bob)
    assert await client.data(document, by=bob) == before


async def test_a_link_is_used_once_openpanel_reused_its_token(client: Client, admin: Person, bob: Person) -> None:
    token = await link(client, admin, bob)
    assert (await opened(client, token))["errors"] == []
    assert await opened(client, token) == {"token": None, "session": None, "user": None, "errors": INVALID}


async def test_one_of_20_parallel_uses_succeeds(client: Client, admin: Person, bob: Person) -> None:
    token = await link(client, admin, bob)
    document = "mutation ($t: String!) { openAutologinLink(input: {token: $t}) { token errors { code } } }"
    answers = await asyncio.gather(*(client.execute(document, {"t": token}) for _ in range(20)))
    payloads = [answer["data"]["openAutologinLink"] for answer in answers]
    codes = [payload["errors"] for payload in payloads if payload is not None]
    limited = [answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer]
    assert (codes.count([]), {*limited} <= {"RATE_LIMITED"}) == (1, True)
    assert codes.count([{"code": "EXPIRED"}]) == 19 - len(limited)
    rows = await client.rows("SELECT FROM sessions WHERE impersonator_id IS NOT NULL")
    assert len(rows) == 1


async def test_spaces_around_a_copied_token_do_not_count(client: Client, admin: Person, bob: Person) -> None:
    assert (await opened(client, f" {await link(client, admin, bob)}\n"))["errors"] == []


async def test_a_link_expires_after_a_minute_and_only_its_hash_is_stored(
    client: Client, admin: Person, bob: Person
) -> None:
    token = await link(client, admin, bob, reason="x")
    [row] = await client.rows(
        "SELECT CAST(to_jsonb(t) AS text) AS stored, extract(epoch FROM expires_at - created_at) AS life"
        " FROM one_time_tokens AS t"
    )
    assert (token in row["stored"], row["life"]) == (False, 60)
    await client.rows("UPDATE one_time_tokens SET expires_at = now()")
    assert (await opened(client, token))["errors"] == INVALID


@pytest.mark.parametrize("kind", ["session", "key", "text", "other purpose", "unknown"])
async def test_only_the_token_of_a_link_opens_a_session(client: Client, admin: Person, bob: Person, kind: str) -> None:
    token = await link(client, admin, bob)
    if kind == "other purpose":
        await client.rows("UPDATE one_time_tokens SET purpose = 'password.reset'")
    wrong = {
        "session": bob.token,
        "key": (await key(client, bob, "account.read"))["secret"],
        "text": "' OR 1=1",
        "other purpose": token,
        "unknown": token[:-1] + ("a" if token[-1] != "a" else "b"),
    }[kind]
    assert (await opened(client, wrong))["errors"] == INVALID


async def test_wrong_tokens_are_limited(client: Client) -> None:
    for _ in range(TOKEN.client.most):
        await opened(client, "rsto_x")
    document = 'mutation { openAutologinLink(input: {token: "x"}) { token } }'
    assert (await client.execute(document))["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_who_can_be_impersonated(client: Client, root: Person, admin: Person, staff: Person, bob: Person) -> None:
    assert await rejected(client, admin, root.id) == ("NOT_ALLOWED", ["userId"])
    assert await rejected(client, admin, admin.id) == ("NOT_ALLOWED", ["userId"])
    assert await rejected(client, admin, "01900000-0000-7000-8000-000000000000") == ("NOT_FOUND", ["userId"])
    for by in (staff, bob):
        document = "mutation ($id: ID!) { createAutologinLink(input: {userId: $id}) { url } }"
        answer = await client.execute(document, {"id": bob.id}, by=by)
        assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": IMPERSONATE}
    await client.mutate("suspendUser", {"id": bob.id}, "", by=root)
    assert await rejected(client, admin, bob.id) == ("NOT_ALLOWED", ["userId"])
    long = await client.mutate("createAutologinLink", {"userId": staff.id, "reason": "x" * 1025}, "url", by=admin)
    assert [(error["code"], error["field"]) for error in long["errors"]] == [("TOO_LONG", ["reason"])]


@pytest.mark.parametrize("change", ["suspended user", "deleted user", "suspended", "demoted", "signed out", "promoted"])
async def test_what_changed_since_the_link_was_created_counts(
    client: Client, root: Person, admin: Person, bob: Person, change: str
) -> None:
    token, _ = await login(client, "adam")
    secret = await link(client, token, bob)
    if change == "suspended user":
        await client.mutate("suspendUser", {"id": bob.id}, "", by=root)
    elif change == "deleted user":
        await client.mutate("deleteUser", {"id": bob.id}, "", by=root)
    elif change == "suspended":
        await client.mutate("suspendUser", {"id": admin.id}, "", by=root)
    elif change == "demoted":
        await client.mutate("updateUser", {"id": admin.id, "roleName": "STAFF"}, "", by=root)
    elif change == "promoted":
        await client.mutate("updateUser", {"id": bob.id, "roleName": "ROOT"}, "", by=root)
    else:
        await client.data("mutation { logout { endedSessions } }", by=token)
    payload = await opened(client, secret)
    assert (payload["token"], payload["errors"]) == (None, INVALID)
    assert await client.rows("SELECT FROM sessions WHERE impersonator_id IS NOT NULL") == []


async def test_the_session_lives_for_an_hour_at_most_and_so_does_its_cookie(
    client: Client, admin: Person, bob: Person, database_url: str
) -> None:
    document = "mutation ($t: String!) { openAutologinLink(input: {token: $t}) { token session { id } } }"
    for worker, seconds in ((client, 3600), (None, 120)):
        if worker is None:
            async with opened_client(Settings(impersonation_lifetime=120), database_url) as limited:
                await _check_lifetime(limited, document, await link(client, admin, bob), seconds)
        else:
            await _check_lifetime(worker, document, await link(client, admin, bob), seconds)


async def _check_lifetime(worker: Client, document: str, token: str, seconds: int) -> None:
    worker.http.cookies.clear()
    response = await worker.http.post("/graphql", json={"query": document, "variables": {"t": token}})
    payload = response.json()["data"]["openAutologinLink"]
    rest = response.headers["set-cookie"]
    assert rest.startswith(f"roster={payload['token']}; ")
    [age] = [int(part.partition("=")[2]) for part in rest.split(";") if "Max-Age" in part]
    assert seconds - 5 <= age <= seconds
    [row] = await worker.rows(
        "SELECT extract(epoch FROM expires_at - created_at) AS life FROM sessions WHERE id = $1",
        payload["session"]["id"],
    )
    assert row["life"] == seconds


async def test_the_old_secret_of_a_rotated_key_creates_no_link(client: Client, admin: Person, bob: Person) -> None:
    robot = await key(client, admin, IMPERSONATE)
    await client.mutate("rotateApiKey", {"id": robot["id"], "graceSeconds": 600}, "", by=admin)
    payload = await client.mutate("createAutologinLink", {"userId": bob.id}, "url", by=robot["secret"])
    assert [error["message"] for error in payload["errors"]] == ["This secret was rotated. Use the new one."]


async def test_a_link_is_for_its_own_user_only(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    token = await link(client, admin, bob)
    payload = await opened(client, token, by=alice)
    assert payload["user"] == {"id": bob.id}
    assert await client.data(ME, by=alice) == {"me": {"username": "alice"}}

"""Login: the accepted credentials, the response to wrong ones and its cost, and what a login records."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import argon2
import pytest

from tests.conftest import PASSWORD, Client, Person

WRONG = {
    "data": {
        "login": {
            "token": None,
            "user": None,
            "session": None,
            "twoFactorChallenge": None,
            "errors": [{"code": "WRONG_CREDENTIALS", "message": "The login or the password is wrong.", "field": None}],
        }
    }
}
LOGIN = """mutation ($input: LoginInput!) { login(input: $input) {
  token user { id } session { id } twoFactorChallenge errors { code message field } } }"""


async def create_user_without_password(client: Client, by: Person) -> None:
    value = {"username": "carol", "email": "carol@roster.test"}
    assert (await client.mutate("createUser", value, "user { id }", by=by))["errors"] == []


async def set_password(client: Client, by: Person, user: Person, password: str) -> None:
    value = {"userId": user.id, "password": password}
    assert await client.mutate("setPassword", value, "user { id }", by=by) == {"user": {"id": user.id}, "errors": []}


@pytest.mark.parametrize("login", ["alice", "ALICE", " aLiCe ", "alice@roster.test", "Alice@ROSTER.Test "])
async def test_a_user_signs_in_with_the_username_or_email_address_in_any_case(
    client: Client, alice: Person, login: str
) -> None:
    payload = await client.mutate(
        "login",
        {"login": login, "password": PASSWORD},
        "token user { id username email lastLoginAt } session { id current user { id } } twoFactorChallenge",
    )
    found = await client.data(
        "{ me { id lastLoginAt sessions(first: 1) { nodes { id current } } } }", by=str(payload["token"])
    )
    assert found["me"]["sessions"]["nodes"] == [{"id": payload["session"]["id"], "current": True}]
    assert payload == {
        "token": payload["token"],
        "user": {
            "id": alice.id,
            "username": "alice",
            "email": "alice@roster.test",
            "lastLoginAt": found["me"]["lastLoginAt"],
        },
        "session": {"id": payload["session"]["id"], "current": True, "user": {"id": alice.id}},
        "twoFactorChallenge": None,
        "errors": [],
    }
    assert payload["user"]["lastLoginAt"] is not None


async def test_an_email_address_is_found_in_any_encoding_of_its_letters(client: Client, root: Person) -> None:
    value = {"username": "mueller", "email": "müller@bücher.test", "password": PASSWORD}
    created = await client.mutate("createUser", value, "user { id }", by=root)
    for login in ("MÜLLER@bücher.test", "mu\u0308ller@bu\u0308cher.test", "müller@xn--bcher-kva.test"):
        found = await client.mutate("login", {"login": login, "password": PASSWORD}, "user { id }")
        assert found == {"user": created["user"], "errors": []}


@pytest.mark.parametrize(
    "credentials",
    [
        {"login": "alice", "password": "not-the-password-1"},
        {"login": "alice@roster.test", "password": "not-the-password-1"},
        {"login": "alice", "password": PASSWORD.upper()},
        {"login": "alice", "password": f"{PASSWORD} "},
        {"login": "unknown-user", "password": PASSWORD},
        {"login": "unknown@roster.test", "password": PASSWORD},
        {"login": "@", "password": PASSWORD},
        {"login": "ali%", "password": PASSWORD},
        {"login": "al\u0130ce", "password": PASSWORD},
        {"login": "al\u0130ce@roster.test", "password": PASSWORD},
        {"login": "alice' OR 1=1 --", "password": PASSWORD},
        {"login": "carol", "password": PASSWORD},
        {"login": "carol@roster.test", "password": PASSWORD},
    ],
)
async def test_unknown_users_wrong_passwords_and_users_without_one_get_the_same_response(
    client: Client, root: Person, credentials: dict[str, str]
) -> None:
    await create_user_without_password(client, root)
    sessions = await client.rows("SELECT count(*) FROM sessions")
    events = (await client.rows("SELECT count(*) FROM audit_events"))[0]["count"]
    assert await client.execute(LOGIN, {"input": credentials}) == WRONG
    assert await client.rows("SELECT count(*) FROM sessions") == sessions
    assert (await client.rows("SELECT count(*) FROM audit_events"))[0]["count"] == events + 1


async def _processor_seconds(client: Client, query: str, variables: dict[str, Any] | None) -> float:
    """Return the median of the processor time of a response, with the hashing threads and without other processes."""
    costs = []
    for _ in range(7):
        started = time.process_time()
        await client.execute(query, variables)
        costs.append(time.process_time() - started)
    return statistics.median(costs)


async def test_an_unknown_login_costs_as_much_as_a_wrong_password(client: Client, root: Person) -> None:
    await create_user_without_password(client, root)
    cheap = await _processor_seconds(client, "{ plans { id } }", None)
    wrong, *others = [
        await _processor_seconds(client, LOGIN, {"input": {"login": login, "password": "not-the-password-1"}})
        for login in ("alice", "unknown-user", "unknown@roster.test", "carol")
    ]
    assert wrong > 2 * cheap, "a hash was computed"
    for cost in others:
        assert wrong / 1.8 < cost < wrong * 1.8


@pytest.mark.parametrize(("password", "known"), [(PASSWORD, True), ("not-the-password-1", False)])
async def test_a_suspension_is_reported_only_with_the_right_password(
    client: Client, admin: Person, alice: Person, password: str, *, known: bool
) -> None:
    await client.mutate("suspendUser", {"id": alice.id, "reason": "spam"}, "user { id }", by=admin)
    answer = await client.execute(LOGIN, {"input": {"login": "alice", "password": password}})
    if not known:
        assert answer == WRONG
        return
    assert answer["data"] == {"login": None}
    assert [(error["path"], error["message"], error["extensions"]) for error in answer["errors"]] == [
        (["login"], "This account is suspended.", {"code": "USER_SUSPENDED"})
    ]


async def test_a_user_can_sign_in_after_a_suspension(client: Client, admin: Person, alice: Person) -> None:
    await client.mutate("suspendUser", {"id": alice.id, "until": "2999-01-01T00:00:00Z"}, "user { id }", by=admin)
    await client.rows("UPDATE users SET suspended_until = now() WHERE id = $1", alice.id)
    payload = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "user { id suspended }")
    assert payload == {"user": {"id": alice.id, "suspended": False}, "errors": []}


async def test_every_byte_of_a_long_password_counts(client: Client, admin: Person, alice: Person) -> None:
    head = "a stretch of many different words, well over seventy two bytes of them, "
    assert len(head) == 72
    await set_password(client, admin, alice, head + "and a right tail")
    wrong = await client.mutate("login", {"login": "alice", "password": head + "and a bad tail"}, "token")
    right = await client.mutate("login", {"login": "alice", "password": head + "and a right tail"}, "user { id }")
    assert ([error["code"] for error in wrong["errors"]], right) == (
        ["WRONG_CREDENTIALS"],
        {"user": {"id": alice.id}, "errors": []},
    )


async def test_the_letter_case_of_a_unicode_password_counts(client: Client, admin: Person, alice: Person) -> None:
    await set_password(client, admin, alice, "Größe 🦔 und Ähre")
    right = await client.mutate("login", {"login": "alice", "password": "Größe 🦔 und Ähre"}, "user { id }")
    wrong = await client.mutate("login", {"login": "alice", "password": "Größe 🦔 und ähre"}, "user { id }")
    assert right == {"user": {"id": alice.id}, "errors": []}
    assert (wrong["user"], [error["code"] for error in wrong["errors"]]) == (None, ["WRONG_CREDENTIALS"])


async def test_a_login_writes_one_audit_event_of_the_user(client: Client, alice: Person) -> None:
    events = (await client.rows("SELECT count(*) FROM audit_events"))[0]["count"]
    payload = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "session { id device expiresAt }")
    session = payload["session"]
    found = await client.data(
        """{ me { version auditEvents(first: 1) { nodes {
          event actorId actor { id } credential targetId targetType target { id } ip changes } } } }""",
        by=alice,
    )
    [event] = found["me"]["auditEvents"]["nodes"]
    changes = event.pop("changes")
    assert event == {
        "event": "session.create",
        "actorId": alice.id,
        "actor": {"id": alice.id},
        "credential": f"session:{session['id']}",
        "targetId": session["id"],
        "targetType": "Session",
        "target": {"id": session["id"]},
        "ip": "192.0.2.1",
    }
    assert set(changes) == {"authenticatedAt", "ip", "device", "userAgent", "userId", "expiresAt", "lastSeenAt"}
    assert {change["old"] for change in changes.values()} == {None}
    assert (changes["device"]["new"], changes["userId"]["new"]) == (session["device"], alice.id)
    assert found["me"]["version"] == 1, "a login does not change the version of the user"
    assert (await client.rows("SELECT count(*) FROM audit_events"))[0]["count"] == events + 1


async def test_a_hash_with_old_parameters_is_replaced_at_the_next_login(client: Client, alice: Person) -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await client.rows("UPDATE credentials SET password_hash = $2 WHERE user_id = $1", alice.id, old)
    await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token")
    [row] = await client.rows("SELECT password_hash FROM credentials WHERE user_id = $1", alice.id)
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token"))["errors"] == []


async def test_parallel_logins_create_a_session_each(client: Client, alice: Person) -> None:
    credentials = {"login": "alice", "password": PASSWORD}
    logins = [client.mutate("login", credentials, "token session { id }") for _ in range(8)]
    payloads = await asyncio.gather(*logins)
    assert len({login["token"] for login in payloads}) == len({login["session"]["id"] for login in payloads}) == 8
    for login in payloads:
        assert await client.data("{ me { id } }", by=login["token"]) == {"me": {"id": alice.id}}


async def test_fields_after_a_login_run_as_the_user_who_signed_in(client: Client, alice: Person, bob: Person) -> None:
    document = """mutation ($alice: LoginInput!, $bob: LoginInput!) {
      first: login(input: $alice) { user { email } }
      second: login(input: $bob) { user { email } }
      logout { endedSessions }
    }"""
    variables = {"alice": {"login": "alice", "password": PASSWORD}, "bob": {"login": "bob", "password": PASSWORD}}
    assert await client.data(document, variables) == {
        "first": {"user": {"email": "alice@roster.test"}},
        "second": {"user": {"email": "bob@roster.test"}},
        "logout": {"endedSessions": 1},
    }
    sessions = await client.rows("SELECT user_id FROM sessions WHERE ended_at IS NOT NULL")
    assert [row["user_id"] for row in sessions] == [bob.id]
    assert alice.id != bob.id


async def test_the_user_agent_may_be_utf_8(client: Client, alice: Person) -> None:
    query = f'mutation {{ login(input: {{login: "alice", password: "{PASSWORD}"}}) {{ session {{ userAgent }} }} }}'
    for agent in ("Bücher/1.0".encode(), "Bücher/1.0".encode("latin-1")):
        response = await client.http.post("/graphql", json={"query": query}, headers=[(b"user-agent", agent)])
        assert response.json()["data"]["login"]["session"]["userAgent"] == "Bücher/1.0"

"""Signing in: who gets in, what everybody else is told, and what that costs."""

from __future__ import annotations

import asyncio
import statistics
import time
from typing import Any

import argon2
import pytest

from tests.conftest import PASSWORD, Door, Person

WRONG = {
    "data": {
        "login": {
            "token": None,
            "user": None,
            "session": None,
            "twoFactorChallenge": None,
            "errors": [{"code": "WRONG_CREDENTIALS", "message": "The login or the password is wrong", "field": None}],
        }
    }
}
LOGIN = """mutation ($input: LoginInput!) { login(input: $input) {
  token user { id } session { id } twoFactorChallenge errors { code message field } } }"""


async def person_without_password(door: Door, by: Person, username: str = "carol") -> str:
    made = await door.change(
        "createUser", {"username": username, "email": f"{username}@roster.test"}, "user { id }", by=by
    )
    return str(made["user"]["id"])


@pytest.mark.parametrize("login", ["alice", "ALICE", " aLiCe ", "alice@roster.test", "Alice@ROSTER.Test "])
async def test_a_username_or_an_address_in_any_case_signs_in(door: Door, alice: Person, login: str) -> None:
    made = await door.change(
        "login",
        {"login": login, "password": PASSWORD},
        "token user { id username email lastLoginAt } session { id current user { id } } twoFactorChallenge",
    )
    found = await door.data(
        "{ me { id lastLoginAt sessions(first: 1) { nodes { id current } } } }", by=str(made["token"])
    )
    assert found["me"]["sessions"]["nodes"] == [{"id": made["session"]["id"], "current": True}]
    assert made == {
        "token": made["token"],
        "user": {
            "id": alice.id,
            "username": "alice",
            "email": "alice@roster.test",
            "lastLoginAt": found["me"]["lastLoginAt"],
        },
        "session": {"id": made["session"]["id"], "current": True, "user": {"id": alice.id}},
        "twoFactorChallenge": None,
        "errors": [],
    }
    assert made["user"]["lastLoginAt"] is not None


async def test_an_address_signs_in_however_its_letters_are_encoded(door: Door, root: Person) -> None:
    value = {"username": "mueller", "email": "müller@bücher.test", "password": PASSWORD}
    made = await door.change("createUser", value, "user { id }", by=root)
    for login in ("MÜLLER@bücher.test", "mu\u0308ller@bu\u0308cher.test", "müller@xn--bcher-kva.test"):
        found = await door.change("login", {"login": login, "password": PASSWORD}, "user { id }")
        assert found == {"user": made["user"], "errors": []}


@pytest.mark.parametrize(
    "credentials",
    [
        {"login": "alice", "password": "not-the-password-1"},
        {"login": "alice@roster.test", "password": "not-the-password-1"},
        {"login": "alice", "password": PASSWORD.upper()},
        {"login": "alice", "password": f"{PASSWORD} "},
        {"login": "nobody-here", "password": PASSWORD},
        {"login": "nobody@roster.test", "password": PASSWORD},
        {"login": "@", "password": PASSWORD},
        {"login": "ali%", "password": PASSWORD},
        {"login": "alice' OR 1=1 --", "password": PASSWORD},
        {"login": "carol", "password": PASSWORD},
        {"login": "carol@roster.test", "password": PASSWORD},
    ],
)
async def test_unknown_wrong_and_without_password_are_answered_alike(
    door: Door, root: Person, credentials: dict[str, str]
) -> None:
    await person_without_password(door, root)
    sessions = await door.rows("SELECT count(*) FROM sessions")
    events = await door.rows("SELECT count(*) FROM audit_events")
    assert await door.ask(LOGIN, {"input": credentials}) == WRONG
    assert await door.rows("SELECT count(*) FROM sessions") == sessions
    assert await door.rows("SELECT count(*) FROM audit_events") == events


async def _processor_seconds(door: Door, query: str, variables: dict[str, Any] | None) -> float:
    """Median of what the process computes for an answer, its hashing threads included; no other load counts."""
    costs = []
    for _ in range(7):
        started = time.process_time()
        await door.ask(query, variables)
        costs.append(time.process_time() - started)
    return statistics.median(costs)


async def test_an_unknown_login_costs_as_much_as_a_wrong_password(door: Door, root: Person) -> None:
    await person_without_password(door, root)
    cheap = await _processor_seconds(door, "{ plans { id } }", None)
    wrong, *others = [
        await _processor_seconds(door, LOGIN, {"input": {"login": login, "password": "not-the-password-1"}})
        for login in ("alice", "nobody-here", "nobody@roster.test", "carol")
    ]
    assert wrong > 2 * cheap, "a hash was computed"
    for cost in others:
        assert wrong / 1.8 < cost < wrong * 1.8


@pytest.mark.parametrize(("password", "known"), [(PASSWORD, True), ("not-the-password-1", False)])
async def test_only_who_knows_the_password_learns_of_a_suspension(
    door: Door, admin: Person, alice: Person, password: str, *, known: bool
) -> None:
    await door.change("suspendUser", {"id": alice.id, "reason": "spam"}, "user { id }", by=admin)
    answer = await door.ask(LOGIN, {"input": {"login": "alice", "password": password}})
    if not known:
        assert answer == WRONG
        return
    assert answer["data"] is None
    assert [(error["path"], error["extensions"]) for error in answer["errors"]] == [
        (["login"], {"code": "USER_SUSPENDED"})
    ]


async def test_a_suspension_that_is_over_lets_in_again(door: Door, admin: Person, alice: Person) -> None:
    await door.change("suspendUser", {"id": alice.id, "until": "2999-01-01T00:00:00Z"}, "user { id }", by=admin)
    await door.rows("UPDATE users SET suspended_until = now() WHERE id = $1", alice.id)
    made = await door.change("login", {"login": "alice", "password": PASSWORD}, "user { id suspended }")
    assert made == {"user": {"id": alice.id, "suspended": False}, "errors": []}


async def test_every_byte_of_a_long_password_counts(door: Door, admin: Person, alice: Person) -> None:
    head = "a stretch of many different words, well over seventy two bytes of them, "
    assert len(head) == 72
    await door.change("setPassword", {"userId": alice.id, "password": head + "and a right tail"}, "", by=admin)
    wrong = await door.change("login", {"login": "alice", "password": head + "and a bad tail"}, "token")
    right = await door.change("login", {"login": "alice", "password": head + "and a right tail"}, "user { id }")
    assert ([error["code"] for error in wrong["errors"]], right) == (
        ["WRONG_CREDENTIALS"],
        {"user": {"id": alice.id}, "errors": []},
    )


async def test_a_password_of_all_unicode_signs_in_and_is_not_folded(door: Door, admin: Person, alice: Person) -> None:
    await door.change("setPassword", {"userId": alice.id, "password": "Größe 🦔 und Ähre"}, "", by=admin)
    right = await door.change("login", {"login": "alice", "password": "Größe 🦔 und Ähre"}, "user { id }")
    wrong = await door.change("login", {"login": "alice", "password": "Größe 🦔 und ähre"}, "user { id }")
    assert right == {"user": {"id": alice.id}, "errors": []}
    assert wrong["user"] is None


async def test_a_login_is_one_audit_event_of_the_one_who_signed_in(door: Door, alice: Person) -> None:
    made = await door.change("login", {"login": "alice", "password": PASSWORD}, "session { id }")
    found = await door.data(
        "{ me { version auditEvents(first: 1) { nodes { event actor { id } credential target { id } ip } } } }",
        by=alice,
    )
    assert found["me"]["auditEvents"]["nodes"] == [
        {
            "event": "session.create",
            "actor": {"id": alice.id},
            "credential": f"session:{made['session']['id']}",
            "target": {"id": made["session"]["id"]},
            "ip": "192.0.2.1",
        }
    ]
    assert found["me"]["version"] == 1, "a login is no change of the account"


async def test_a_hash_of_older_parameters_is_made_anew_at_the_next_login(door: Door, alice: Person) -> None:
    old = argon2.PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await door.rows("UPDATE credentials SET password_hash = $2 WHERE user_id = $1", alice.id, old)
    await door.change("login", {"login": "alice", "password": PASSWORD}, "token")
    [row] = await door.rows("SELECT password_hash FROM credentials WHERE user_id = $1", alice.id)
    assert row["password_hash"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await door.change("login", {"login": "alice", "password": PASSWORD}, "token"))["errors"] == []


async def test_parallel_logins_open_a_session_each(door: Door, alice: Person) -> None:
    logins = [door.change("login", {"login": "alice", "password": PASSWORD}, "token session { id }") for _ in range(8)]
    made = await asyncio.gather(*logins)
    assert len({login["token"] for login in made}) == len({login["session"]["id"] for login in made}) == 8
    for login in made:
        assert await door.data("{ me { id } }", by=login["token"]) == {"me": {"id": alice.id}}


async def test_a_document_goes_on_as_the_one_who_signed_in(door: Door, alice: Person, bob: Person) -> None:
    document = """mutation ($alice: LoginInput!, $bob: LoginInput!) {
      first: login(input: $alice) { user { email } }
      second: login(input: $bob) { user { email } }
      logout { endedSessions }
    }"""
    variables = {"alice": {"login": "alice", "password": PASSWORD}, "bob": {"login": "bob", "password": PASSWORD}}
    assert await door.data(document, variables) == {
        "first": {"user": {"email": "alice@roster.test"}},
        "second": {"user": {"email": "bob@roster.test"}},
        "logout": {"endedSessions": 1},
    }
    sessions = await door.rows("SELECT user_id FROM sessions WHERE ended_at IS NOT NULL")
    assert [row["user_id"] for row in sessions] == [bob.id]
    assert alice.id != bob.id

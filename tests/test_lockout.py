"""Limits on logins and on the current password: who is limited, who is not, and what a denied attempt leaves behind."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from service.attempts import LOGIN
from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person, opened_client

MOST = LOGIN.pair.most
DOCUMENT = """mutation ($input: LoginInput!) { login(input: $input) {
  token user { id } session { id } errors { code message field } } }"""
CHANGE = """mutation ($input: ChangePasswordInput!) { changePassword(input: $input) { errors { code field } } }"""
WRONG = "a-wrong-password-91"
NEW = "a-quite-unusual-walrus-77"


@asynccontextmanager
async def at(client: Client, address: str) -> AsyncIterator[Client]:
    """Return a client of the same service with another address."""
    transport = httpx.ASGITransport(client.app, client=(address, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://roster.test") as http:
        yield Client(client.app, http)


@pytest.fixture
def hashes(client: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the passwords that are verified."""
    found: list[str] = []
    verify = client.resources.hasher.verify

    async def counted(stored: str | None, password: str, *further: Any) -> bool:
        found.append(password)
        return bool(await verify(stored, password, *further))

    monkeypatch.setattr(client.resources.hasher, "verify", counted)
    return found


def result(answer: dict[str, Any]) -> str:
    """Return "done", or the code of the first error."""
    if "errors" in answer:
        return str(answer["errors"][0]["extensions"]["code"])
    [payload] = answer["data"].values()
    return str(payload["errors"][0]["code"]) if payload["errors"] else "done"


async def log_in(client: Client, login: str = "alice", password: str = WRONG) -> str:
    return result(await client.execute(DOCUMENT, {"input": {"login": login, "password": password}}))


async def fail(client: Client, login: str = "alice", times: int = MOST) -> None:
    """Use all attempts."""
    assert {await log_in(client, login) for _ in range(times)} == {"WRONG_CREDENTIALS"}


async def test_after_ten_wrong_passwords_the_right_one_must_wait(client: Client, hashes: list[str]) -> None:
    await fail(client)
    answer = await client.execute(DOCUMENT, {"input": {"login": "alice", "password": PASSWORD}})
    [error] = answer["errors"]
    assert answer["data"] == {"login": None}
    assert (error["path"], error["extensions"]) == (["login"], {"code": "RATE_LIMITED", "retryAfter": 60})
    assert error["message"] == "There were too many attempts. Try again in 60 seconds."
    assert len(hashes) == MOST, "no hash is computed past the limit"
    await client.rows("UPDATE attempts SET blocked_until = now()")
    assert await log_in(client, password=PASSWORD) == "done"
    assert await log_in(client) == "WRONG_CREDENTIALS", "a success forgets the failures"


async def test_50_wrong_passwords_at_once_verify_no_more_than_the_limit_cve_2024_4629(
    client: Client, hashes: list[str], database_url: str
) -> None:
    async with opened_client(Settings(), database_url) as other:
        found = Counter(await asyncio.gather(*(log_in(each) for each in (client, other) for _ in range(25))))
    assert found == {"WRONG_CREDENTIALS": MOST, "RATE_LIMITED": 50 - MOST}
    assert len(hashes) <= MOST


@pytest.mark.parametrize("form", ["aliases", "batch"])
async def test_50_logins_of_one_request_are_limited_like_50_requests(
    client: Client, hashes: list[str], form: str
) -> None:
    field = 'login(input: {login: "alice", password: "wrong"}) { errors { code } }'
    if form == "aliases":
        documents = ["mutation { " + " ".join(f"a{n}: {field}" for n in range(10)) + " }"] * 5
    else:
        documents = [f"mutation {{ {field} }}"] * 20
    answers = (await client.http.post("/graphql", json=[{"query": document} for document in documents])).json()
    codes = Counter(
        "RATE_LIMITED" if payload is None else payload["errors"][0]["code"]
        for answer in answers
        for payload in answer["data"].values()
    )
    assert codes == {"WRONG_CREDENTIALS": MOST, "RATE_LIMITED": (50 if form == "aliases" else 20) - MOST}
    assert len(hashes) == MOST


async def test_right_logins_at_once_are_not_limited(client: Client) -> None:
    found = Counter(await asyncio.gather(*(log_in(client, password=PASSWORD) for _ in range(40))))
    assert found == {"done": 40}


async def test_known_and_unknown_accounts_are_limited_alike_byte_for_byte(client: Client, root: Person) -> None:
    await client.mutate("createUser", {"username": "carol", "email": "carol@roster.test"}, "user { id }", by=root)
    responses: dict[str, list[bytes]] = {}
    for login in ("alice", "carol", "unknown", "bob@roster.test", "unknown@roster.test"):
        body = {"query": DOCUMENT, "variables": {"input": {"login": login, "password": "wrong"}}}
        responses[login] = [(await client.http.post("/graphql", json=body)).content for _ in range(MOST + 1)]
    first = responses.pop("alice")
    assert b"RATE_LIMITED" in first[-1]
    assert b"RATE_LIMITED" not in first[-2]
    assert all(found == first for found in responses.values())


@pytest.mark.parametrize(("first", "second"), [("alice", " ALICE "), ("unknown", "UnKnown"), ("a\u0301x", "\u00c1X")])
async def test_the_case_of_a_login_gives_no_further_attempts(client: Client, first: str, second: str) -> None:
    await fail(client, first)
    assert await log_in(client, second) == "RATE_LIMITED"


async def test_a_blocked_username_does_not_tell_the_email_address_of_the_account(client: Client) -> None:
    await fail(client, "alice")
    assert await log_in(client, "alice@roster.test") == await log_in(client, "unknown@roster.test")


async def test_a_stranger_cannot_lock_out_an_owner_who_has_signed_in_from_elsewhere(
    client: Client, alice: Person
) -> None:
    # SECURITY: lockout must not be a weapon (ASVS 6.1.1)
    for number in range(LOGIN.account.most // MOST):
        async with at(client, f"198.51.100.{number}") as stranger:
            await fail(stranger)
    async with at(client, "198.51.100.99") as stranger:
        assert await log_in(stranger, password=PASSWORD) == "RATE_LIMITED", "over all addresses"
    assert await log_in(client, password=PASSWORD) == "done", "the owner has signed in from here"
    change = {"input": {"currentPassword": PASSWORD, "newPassword": NEW}}
    assert result(await client.execute(CHANGE, change, by=alice)) == "done"
    async with at(client, "198.51.100.99") as elsewhere:
        assert await log_in(elsewhere, password=NEW) == "done", "a new password begins with no attempts"


@pytest.mark.parametrize(
    "change",
    ["last_seen_at = now() - interval '31 days'", "impersonator_id = uuid_v7()", "ip = '192.0.2.2'", "ip = NULL"],
)
async def test_an_address_is_trusted_by_own_sessions_of_the_last_30_days(client: Client, change: str) -> None:
    await client.rows(f"UPDATE sessions SET {change}")  # noqa: S608
    for number in range(2):
        async with at(client, f"198.51.100.{number}") as stranger:
            await fail(stranger)
    assert await log_in(client, password=PASSWORD) == "RATE_LIMITED"


async def test_an_ended_session_still_makes_its_address_trusted(client: Client) -> None:
    await client.rows("UPDATE sessions SET ended_at = now()")
    for number in range(2):
        async with at(client, f"198.51.100.{number}") as stranger:
            await fail(stranger)
    assert await log_in(client, password=PASSWORD) == "done"


async def test_an_address_is_limited_over_all_accounts(client: Client) -> None:
    await client.rows("DELETE FROM attempts")
    async with at(client, "2001:db8:0:1::1") as stranger:
        assert await log_in(stranger, "user0") == "WRONG_CREDENTIALS"
        # As after 98 of the 100 attempts
        seconds = 97 * LOGIN.client.period / LOGIN.client.most
        await client.rows("UPDATE attempts SET forgotten_at = forgotten_at + make_interval(secs => $1)", seconds)
        found = [await log_in(stranger, f"user{number}") for number in range(1, 5)]
    assert found == ["WRONG_CREDENTIALS"] * 2 + ["RATE_LIMITED"] * 2
    async with at(client, "2001:db8:0:1:ffff::2") as same_network:
        assert await log_in(same_network, password=PASSWORD) == "RATE_LIMITED"
    assert await log_in(client, password=PASSWORD) == "done"


@pytest.mark.parametrize("form", ["requests", "aliases", "at once"])
async def test_the_current_password_has_the_limits_of_a_login(
    client: Client, alice: Person, hashes: list[str], form: str
) -> None:
    value = {"currentPassword": "wrong", "newPassword": NEW}
    if form == "aliases":
        call = f'changePassword(input: {{currentPassword: "wrong", newPassword: "{NEW}"}}) {{ errors {{ code }} }}'
        documents = [f"mutation {{ {' '.join(f'a{n}: {call}' for n in range(10))} }}"] * 5
        answers = [await client.execute(document, by=alice) for document in documents]
        payloads = [payload for answer in answers for payload in answer["data"].values()]
        found = Counter("RATE_LIMITED" if item is None else item["errors"][0]["code"] for item in payloads)
    elif form == "at once":
        calls = (client.execute(CHANGE, {"input": value}, by=alice) for _ in range(50))
        found = Counter(result(answer) for answer in await asyncio.gather(*calls))
    else:
        found = Counter([result(await client.execute(CHANGE, {"input": value}, by=alice)) for _ in range(50)])
    assert found == {"WRONG_CREDENTIALS": MOST, "RATE_LIMITED": 40}
    assert len(hashes) == MOST
    assert await log_in(client, password=PASSWORD) == "done", "the login is counted apart"


async def test_a_failed_login_is_one_event_that_only_its_readers_see(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await fail(client, "alice@roster.test", 2)
    query = """{ auditEvents(first: 2, filter: {event: ["session.reject"]}) { totalCount nodes {
      event actorId credential targetId targetType ip changes } } }"""
    found = (await client.data(query, by=root))["auditEvents"]
    event = {"event": "session.reject", "actorId": None, "credential": None, "targetId": alice.id, "targetType": "User"}
    assert found == {"totalCount": 2, "nodes": [event | {"ip": "192.0.2.1", "changes": {}}] * 2}
    own = "{ me { auditEvents(first: 100) { nodes { event ip } } } }"
    for person, seen in ((alice, 2), (bob, 0)):
        nodes = (await client.execute(own, by=person))["data"]["me"]["auditEvents"]["nodes"]
        # SECURITY: an address of another person is for those with audit.read (Pterodactyl 1.9.1)
        assert [node["ip"] for node in nodes if node["event"] == "session.reject"] == [None] * seen


async def test_attempts_past_the_limit_add_no_events(client: Client) -> None:
    for _ in range(MOST + 5):
        await log_in(client)
    [row] = await client.rows("SELECT count(*) FROM audit_events WHERE event = 'session.reject'")
    assert row["count"] == MOST


async def test_an_event_of_an_unknown_account_names_no_account(client: Client) -> None:
    await log_in(client, "unknown")
    [row] = await client.rows("SELECT * FROM audit_events WHERE event = 'session.reject'")
    assert (row["target_type"], row["target_id"], row["owner_id"], str(row["ip"])) == (None, None, None, "192.0.2.1")
    assert "unknown" not in json.dumps(row["changes"])


async def test_a_suspended_account_with_the_right_password_is_a_failed_login(client: Client, admin: Person) -> None:
    [bob] = await client.rows("SELECT id FROM users WHERE username = 'bob'")
    await client.mutate("suspendUser", {"id": bob["id"]}, "user { id }", by=admin)
    assert [await log_in(client, "bob", PASSWORD) for _ in range(MOST + 1)] == ["USER_SUSPENDED"] * MOST + [
        "RATE_LIMITED"
    ]
    rows = await client.rows("SELECT changes FROM audit_events WHERE event = 'session.reject'")
    assert [row["changes"]["reason"]["new"] for row in rows] == ["suspended"] * MOST


@pytest.mark.parametrize(
    ("login", "account"),
    [
        ("alice", "alice"),
        ("ALICE@roster.test", "alice"),
        ("unknown@roster.test", "unknown@roster.test"),
        ("hunter2", "[unknown]"),
        ("p@ss word", "[unknown]"),
        ('x", "address": "203.0.113.7', "[unknown]"),
        ("line\nbreak@roster.test", "[unknown]"),
    ],
)
async def test_a_failed_login_is_one_log_line_without_what_could_be_a_password(
    client: Client, capsys: pytest.CaptureFixture[str], login: str, account: str
) -> None:
    capsys.readouterr()
    await log_in(client, login)
    output = "".join(capsys.readouterr())
    [line] = [line for line in output.splitlines() if "login failed" in line]
    for part in (account, "192.0.2.1", "wrong credentials"):
        assert part in line
    assert WRONG not in output
    if account == "[unknown]":
        assert login not in output


async def test_an_attempt_past_the_limit_is_one_log_line(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    await fail(client)
    capsys.readouterr()
    await log_in(client)
    [line] = [line for line in "".join(capsys.readouterr()).splitlines() if "login failed" in line]
    assert "rate limited" in line
    assert "alice" in line

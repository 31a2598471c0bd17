"""Passwords that are reset by a mail: the same answer for every address, and what a reset does."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from pydantic import ValidationError

from service.attempts import RESET
from service.links import RESET_PASSWORD, link
from service.one_time import Purpose, create_token
from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person
from tests.links import forget_attempts, last_mail, mails

NEW = "a-quite-unusual-walrus-77"
EXPIRED = [("EXPIRED", ["token"])]


async def request(client: Client, email: str) -> Any:
    return await client.execute(
        "mutation ($email: String!) { requestPasswordReset(input: {email: $email}) { errors { code field } } }",
        {"email": email},
    )


async def reset_token(client: Client, name: str = "alice") -> str:
    """Return the token of a new link for a user."""
    assert await request(client, f"{name}@roster.test") == {"data": {"requestPasswordReset": {"errors": []}}}
    return (await last_mail(client, f"{name}@roster.test")).token


async def reset(client: Client, token: str, by: Person | None = None, **value: Any) -> list[tuple[str, list[str]]]:
    """Return the errors of a reset."""
    payload = await client.mutate("resetPassword", {"token": token, "newPassword": NEW} | value, "user { id }", by=by)
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def signs_in(client: Client, name: str, password: str) -> bool:
    payload = await client.mutate("login", {"login": name, "password": password}, "token")
    return bool(payload["errors"] == [])


async def test_a_user_sets_a_new_password_by_the_link_of_a_mail(client: Client, alice: Person) -> None:
    token = await reset_token(client)
    mail = await last_mail(client, "alice@roster.test")
    assert mail.template == "password-reset"
    assert mail.values["url"] == f"http://localhost:8000/account/reset-password#{token}"
    assert await reset(client, token) == []
    assert [await signs_in(client, "alice", password) for password in (PASSWORD, NEW)] == [False, True]
    assert (await last_mail(client, "alice@roster.test")).template == "password-changed"
    # The mail has proved the address
    [row] = await client.rows("SELECT email_verified FROM users WHERE id = $1", alice.id)
    assert row["email_verified"] is True


async def test_a_reset_ends_all_sessions_and_signs_no_user_in(client: Client, alice: Person, bob: Person) -> None:
    # The trap of Calagopus: sessions outlive the reset
    token = await reset_token(client)
    document = "mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { user { username } } }"
    body = {"query": document, "variables": {"input": {"token": token, "newPassword": NEW}}}
    response = await client.http.post("/graphql", json=body)
    assert response.json() == {"data": {"resetPassword": {"user": {"username": "alice"}}}}
    assert "set-cookie" not in response.headers
    answer = await client.execute("{ me { id } }", by=alice)
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert (await client.data("{ me { username } }", by=bob))["me"] == {"username": "bob"}


async def test_a_user_may_reset_the_own_password_while_signed_in(client: Client, alice: Person) -> None:
    assert await reset(client, await reset_token(client), by=alice) == []
    assert await signs_in(client, "alice", NEW)


async def test_every_address_has_the_same_answer(client: Client, root: Person, alice: Person, bob: Person) -> None:
    # The trap of OpenPanel: an unknown address was reported as such
    value = {"username": "carol", "email": "carol@roster.test"}
    await client.mutate("createUser", value, "user { id }", by=root)
    await client.mutate("suspendUser", {"id": bob.id}, "user { id }", by=root)
    found = set()
    for email in ("alice", "ALICE", "bob", "carol", "no-user-has-this"):
        query = f'mutation {{ requestPasswordReset(input: {{email: "{email}@roster.test"}}) {{ errors {{ code }} }} }}'
        response = await client.http.post("/graphql", json={"query": query})
        headers = {**response.headers, "x-request-id": ""}
        found.add((response.status_code, response.content, str(headers)))
    assert len(found) == 1
    # A user without a password sets the first one by a reset; a suspended one gets no mail
    assert [mail.recipient.partition("@")[0] for mail in await mails(client)] == ["alice", "alice", "carol"]
    assert await reset(client, (await last_mail(client, "carol@roster.test")).token) == []
    assert await signs_in(client, "carol", NEW)


async def test_every_address_has_an_answer_after_the_same_time(client: Client, alice: Person) -> None:
    times: dict[str, list[float]] = {"alice@roster.test": [], "unknown@roster.test": []}
    for _ in range(5):
        for email, taken in times.items():
            await forget_attempts(client)
            started = time.perf_counter()
            await request(client, email)
            taken.append(time.perf_counter() - started)
    medians = [sorted(taken)[2] for taken in times.values()]
    assert abs(medians[0] - medians[1]) < 0.02
    assert min(medians) >= 0.1


async def test_the_token_of_an_unknown_address_is_of_no_use(client: Client) -> None:
    await request(client, "unknown@roster.test")
    [row] = await client.rows("SELECT user_id, expires_at <= now() AS expired FROM one_time_tokens")
    assert tuple(row) == (None, True)
    assert await mails(client) == []


async def test_an_address_of_the_wrong_form_is_reported(client: Client) -> None:
    for email, code in (("", "REQUIRED"), ("x", "TOO_SHORT"), ("alice", "INVALID"), ("x" * 255, "TOO_LONG")):
        answer = await request(client, email)
        assert answer["data"]["requestPasswordReset"]["errors"] == [{"code": code, "field": ["email"]}]


async def test_a_link_is_valid_once_also_for_20_requests_at_once(client: Client, alice: Person) -> None:
    token = await reset_token(client)
    passwords = [f"a-quite-unusual-walrus-{number}" for number in range(20)]
    answers = await asyncio.gather(*(reset(client, token, newPassword=password) for password in passwords))
    assert sorted(answers) == [[]] + [EXPIRED] * 19
    assert await signs_in(client, "alice", passwords[answers.index([])])
    assert await reset(client, token) == EXPIRED
    assert len(await client.rows("SELECT FROM audit_events WHERE event = 'user.password-reset'")) == 1


async def test_a_reset_voids_the_other_links_and_a_pending_address(client: Client, alice: Person) -> None:
    value = {"email": "thief@evil.test", "password": PASSWORD}
    assert (await client.mutate("changeEmail", value, "user { id }", by=alice))["errors"] == []
    thief = (await last_mail(client, "thief@evil.test")).token
    first, second = [await reset_token(client) for _ in range(2)]
    assert await reset(client, second) == []
    assert await reset(client, first) == EXPIRED
    document = "mutation ($token: String!) { verifyEmail(input: {token: $token}) { errors { code } } }"
    assert (await client.data(document, {"token": thief}))["verifyEmail"]["errors"] == [{"code": "EXPIRED"}]
    [row] = await client.rows("SELECT email, pending_email FROM users WHERE id = $1", alice.id)
    assert tuple(row) == ("alice@roster.test", None)


@pytest.mark.parametrize("mutation", ["changePassword", "setPassword", "updateUser"])
async def test_a_new_password_voids_the_links_that_set_one(
    client: Client, root: Person, alice: Person, mutation: str
) -> None:
    # A person who has read the mail must not keep a way into the account
    token = await reset_token(client)
    calls: dict[str, tuple[dict[str, Any], Person]] = {
        "changePassword": ({"currentPassword": PASSWORD, "newPassword": f"{NEW}-2"}, alice),
        "setPassword": ({"userId": alice.id, "password": f"{NEW}-2"}, root),
        "updateUser": ({"id": alice.id, "password": None}, root),
    }
    value, by = calls[mutation]
    assert (await client.mutate(mutation, value, "user { id }", by=by))["errors"] == []
    assert await reset(client, token) == EXPIRED


async def test_a_link_expires_after_an_hour(client: Client, alice: Person) -> None:
    token = await reset_token(client)
    [row] = await client.rows("SELECT extract(epoch FROM expires_at - created_at)::int AS seconds FROM one_time_tokens")
    assert row["seconds"] == 3600
    await client.rows("UPDATE one_time_tokens SET expires_at = now()")
    assert await reset(client, token) == EXPIRED
    assert await signs_in(client, "alice", PASSWORD)


async def test_a_weak_password_does_not_use_the_link(client: Client, alice: Person) -> None:
    token = await reset_token(client)
    for password, code in (("short", "TOO_SHORT"), ("12345678", "WEAK_PASSWORD"), ("alice@roster", "WEAK_PASSWORD")):
        assert await reset(client, token, newPassword=password) == [(code, ["newPassword"])]
    assert await reset(client, token) == []


async def test_a_reset_does_not_pass_the_second_factor(client: Client, alice: Person) -> None:
    # ASVS 6.4.3; panel 0.7.9: a reset skipped the second factor
    token = await reset_token(client)
    await client.rows("UPDATE users SET two_factor_enabled = true WHERE id = $1", alice.id)
    assert await reset(client, token) == [("REQUIRED", ["code"])]
    assert await reset(client, token, code="000000") == [("WRONG_CREDENTIALS", ["code"])]
    assert await reset(client, token, code="0" * 65) == [("TOO_LONG", ["code"])]
    assert await client.data("{ me { username } }", by=alice) == {"me": {"username": "alice"}}
    # The link was not used
    await client.rows("UPDATE users SET two_factor_enabled = false WHERE id = $1", alice.id)
    assert await reset(client, token) == []


async def test_an_invited_user_sets_the_first_password(client: Client, root: Person) -> None:
    value = {"username": "carol", "email": "carol@roster.test"}
    user_id = (await client.mutate("createUser", value, "user { id }", by=root))["user"]["id"]
    async with client.resources.database.transaction() as transaction:
        token = await create_token(transaction.run, Purpose.INVITATION, user_id, 60, email="carol@roster.test")
        unbound = await create_token(transaction.run, Purpose.INVITATION, user_id, 60)
    assert await reset(client, unbound) == EXPIRED
    # An invitation works while the reset of passwords is off
    await client.mutate("setFeature", {"name": "password-reset", "enabled": False}, "", by=root)
    assert await reset(client, token) == []
    assert await signs_in(client, "carol", NEW)
    assert await reset(client, token) == EXPIRED


async def test_no_password_is_reset_while_the_feature_is_off(client: Client, root: Person, alice: Person) -> None:
    token = await reset_token(client)
    await client.mutate("setFeature", {"name": "password-reset", "enabled": False}, "", by=root)
    answer = await request(client, "alice@roster.test")
    assert answer["errors"][0]["extensions"] == {"code": "FEATURE_DISABLED"}
    assert await reset(client, token) == EXPIRED
    await client.mutate("setFeature", {"name": "password-reset", "enabled": True}, "", by=root)
    assert await reset(client, token) == []


async def test_the_links_of_a_suspended_user_do_not_work(client: Client, root: Person, alice: Person) -> None:
    token = await reset_token(client)
    await client.mutate("suspendUser", {"id": alice.id}, "user { id }", by=root)
    document = "mutation ($input: ResetPasswordInput!) { resetPassword(input: $input) { errors { code } } }"
    answer = await client.execute(document, {"input": {"token": token, "newPassword": NEW}})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["USER_SUSPENDED"]


async def test_requests_for_an_address_are_limited_whether_it_is_known_or_not(client: Client, alice: Person) -> None:
    for email in ("alice@roster.test", "unknown@roster.test"):
        await forget_attempts(client)
        for _ in range(RESET.pair.most):
            assert "errors" not in await request(client, email)
        answer = await request(client, email.upper())
        assert answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert len(await mails(client)) == RESET.pair.most


async def test_a_deleted_user_cannot_be_reset(client: Client, root: Person, alice: Person) -> None:
    token = await reset_token(client)
    assert (await client.mutate("deleteUser", {"id": alice.id}, "deletedId", by=root))["errors"] == []
    assert await reset(client, token) == EXPIRED


async def test_events_tell_of_a_reset_without_the_password(client: Client, root: Person, alice: Person) -> None:
    token = await reset_token(client)
    await request(client, "unknown@roster.test")
    assert await reset(client, token) == []
    rows = await client.rows("SELECT event, target_id, actor_id, CAST(changes AS text) AS changes FROM audit_events")
    found = [row for row in rows if row["event"].startswith(("password.", "user.password"))]
    assert [(row["event"], row["target_id"], row["actor_id"]) for row in found] == [
        ("password.reset-request", alice.id, None),
        ("password.reset-request", None, None),
        ("user.password-reset", alice.id, None),
    ]
    assert "[redacted]" in found[2]["changes"]
    assert all(secret not in row["changes"] for row in found for secret in (token, NEW, "unknown@roster.test"))


def test_a_link_has_its_token_in_the_fragment_and_the_configured_address() -> None:
    settings = Settings(public_url="https://accounts.example/roster/")
    assert link(settings, RESET_PASSWORD, "t") == "https://accounts.example/roster/account/reset-password#t"
    assert link(settings, "/graphql") == "https://accounts.example/roster/graphql"
    assert link(Settings(port=9000), RESET_PASSWORD, "t") == "http://localhost:9000/account/reset-password#t"


@pytest.mark.parametrize("address", ["roster.example", "ftp://roster.example", "javascript:alert(1)", "http://"])
def test_an_address_of_the_service_that_is_not_a_url_stops_the_start(address: str) -> None:
    with pytest.raises(ValidationError, match="is not valid"):
        Settings(public_url=address)


async def test_a_link_does_not_depend_on_the_host_of_the_request(client: Client, alice: Person) -> None:
    query = 'mutation { requestPasswordReset(input: {email: "alice@roster.test"}) { errors { code } } }'
    headers = {"host": "evil.example", "x-forwarded-host": "evil.example", "origin": "https://evil.example"}
    await client.http.post("/graphql", json={"query": query}, headers=headers)
    assert "evil" not in str((await last_mail(client, "alice@roster.test")).values)

"""The email address of the caller's account: its confirmation, and its change."""

from __future__ import annotations

import asyncio

import pytest

from service.attempts import PASSWORD as PASSWORD_ATTEMPTS
from service.credentials.tokens import TokenKind, new_token
from tests.conftest import PASSWORD, Client, Person
from tests.links import (
    EXPIRED,
    ME,
    change_email,
    changed,
    confirmed,
    forget_attempts,
    last_mail,
    mails,
    me,
    request_verification,
    statements_in_transactions,
    use,
)
from tests.sessions import impersonated

# Confirmation


async def test_a_user_confirms_the_address_by_the_link_of_a_mail(client: Client, alice: Person) -> None:
    assert await me(client, alice) == ("alice@roster.test", False, None)
    assert await request_verification(client, alice) == []
    mail = await last_mail(client, "alice@roster.test")
    assert mail.template == "email-verification"
    assert mail.values["url"] == f"http://localhost:8000/account/verify-email#{mail.token}"
    assert await use(client, "verifyEmail", f" {mail.token}\n") == []
    assert await me(client, alice) == ("alice@roster.test", True, None)
    assert await request_verification(client, alice) == ["ALREADY_DONE"]
    events = await client.rows("SELECT event FROM audit_events WHERE event LIKE 'email.%' ORDER BY id")
    assert [event["event"] for event in events] == ["email.verification", "email.verify"]


async def test_a_confirmation_is_valid_once_also_for_20_requests_at_once(client: Client, alice: Person) -> None:
    assert await request_verification(client, alice) == []
    token = (await last_mail(client, "alice@roster.test")).token
    answers = await asyncio.gather(*(use(client, "verifyEmail", token) for _ in range(20)))
    assert sorted(answers) == [[]] + [EXPIRED] * 19
    assert await use(client, "verifyEmail", token) == EXPIRED


async def test_another_request_replaces_the_link(client: Client, alice: Person) -> None:
    for _ in range(2):
        assert await request_verification(client, alice) == []
    first, second = await mails(client, "alice@roster.test")
    assert await use(client, "verifyEmail", first.token) == EXPIRED
    assert await use(client, "verifyEmail", second.token) == []


async def test_a_token_confirms_the_address_of_its_user_only(client: Client, alice: Person, bob: Person) -> None:
    # CVE-2026-35407: a token was accepted for the account that was signed in
    assert await request_verification(client, alice) == []
    token = (await last_mail(client, "alice@roster.test")).token
    assert await use(client, "verifyEmail", token, by=bob) == []
    assert (await me(client, alice))[1] is True
    assert await me(client, bob) == ("bob@roster.test", False, None)


@pytest.mark.parametrize("token", ["", "x", "rsto_x", "session", "unknown", "expired", "api key"])
async def test_another_token_is_rejected(client: Client, alice: Person, token: str) -> None:
    assert await request_verification(client, alice) == []
    given = {
        "session": alice.token,
        "unknown": new_token(TokenKind.ONE_TIME),
        "api key": new_token(TokenKind.API_KEY),
    }.get(token, token)
    if token == "expired":
        given = (await last_mail(client, "alice@roster.test")).token
        await client.rows("UPDATE one_time_tokens SET expires_at = now()")
    expected = [("REQUIRED", ["token"])] if not token else EXPIRED
    for mutation in ("verifyEmail", "undoEmailChange"):
        assert await use(client, mutation, given) == expected
    assert (await me(client, alice))[1] is False


async def test_a_token_of_one_purpose_does_not_serve_another(client: Client, alice: Person) -> None:
    assert await request_verification(client, alice) == []
    verification = (await last_mail(client, "alice@roster.test")).token
    assert (await change_email(client, alice, "new@roster.test"))["errors"] == []
    for token in (verification, (await last_mail(client, "new@roster.test")).token):
        assert await use(client, "undoEmailChange", token) == EXPIRED
        value = {"token": token, "newPassword": "a-quite-unusual-walrus-77"}
        assert (await client.mutate("resetPassword", value, ""))["errors"][0]["code"] == "EXPIRED"


async def test_a_user_without_an_address_cannot_confirm_it(client: Client, root: Person, alice: Person) -> None:
    assert (await client.mutate("updateUser", {"id": alice.id, "email": None}, "user { id }", by=root))["errors"] == []
    assert await request_verification(client, alice) == ["NOT_ALLOWED"]


async def test_the_links_of_a_suspended_user_do_not_work(client: Client, root: Person, alice: Person) -> None:
    assert await request_verification(client, alice) == []
    token = (await last_mail(client, "alice@roster.test")).token
    assert (await client.mutate("suspendUser", {"id": alice.id}, "user { id }", by=root))["errors"] == []
    document = "mutation ($token: String!) { verifyEmail(input: {token: $token}) { errors { code } } }"
    answer = await client.execute(document, {"token": token})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["USER_SUSPENDED"]
    await client.mutate("unsuspendUser", {"id": alice.id}, "user { id }", by=root)
    assert await use(client, "verifyEmail", token) == []


# Change


async def test_the_old_address_stays_until_the_new_one_is_confirmed(client: Client, alice: Person) -> None:
    # The trap of Calagopus and Pterodactyl: a change has effect at once, without a confirmation
    await confirmed(client, alice)
    payload = await change_email(client, alice, "New@roster.test")
    assert payload["user"] == {"email": "alice@roster.test", "emailVerified": True, "pendingEmail": "New@roster.test"}
    mail = await last_mail(client, "New@roster.test")
    assert (mail.template, mail.values["email"]) == ("email-change", "New@roster.test")
    assert mail.values["url"] == f"http://localhost:8000/account/confirm-email#{mail.token}"
    login = {"login": "alice@roster.test", "password": PASSWORD}
    assert (await client.mutate("login", login, "token"))["errors"] == []
    assert await use(client, "verifyEmail", mail.token) == []
    assert await me(client, alice) == ("New@roster.test", True, None)
    notice = await last_mail(client, "alice@roster.test")
    assert (notice.template, notice.values["email"]) == ("email-changed", "New@roster.test")
    assert notice.values["url"] == f"http://localhost:8000/account/undo-email#{notice.token}"
    assert await use(client, "verifyEmail", mail.token) == EXPIRED


async def test_a_change_is_confirmed_once_also_for_20_requests_at_once(client: Client, alice: Person) -> None:
    await confirmed(client, alice)
    assert (await change_email(client, alice, "new@roster.test"))["errors"] == []
    token = (await last_mail(client, "new@roster.test")).token
    await forget_attempts(client)
    answers = await asyncio.gather(*(use(client, "verifyEmail", token) for _ in range(20)))
    assert sorted(answers) == [[]] + [EXPIRED] * 19
    assert len([mail for mail in await mails(client) if mail.template == "email-changed"]) == 1


async def test_a_change_requires_the_current_password(client: Client, alice: Person) -> None:
    payload = await change_email(client, alice, "new", "wrong-password")
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [
        ("INVALID", ["email"]),
        ("WRONG_CREDENTIALS", ["password"]),
    ]
    assert await mails(client) == []


async def test_a_change_requires_a_recent_session_and_no_impersonation(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    document = """mutation { changeEmail(input: {email: "new@roster.test", password: "x"}) { errors { code } } }"""
    await client.rows("UPDATE sessions SET authenticated_at = now() - interval '1 hour' WHERE user_id = $1", alice.id)
    answer = await client.execute(document, by=alice)
    assert answer["errors"][0]["extensions"]["code"] == "REAUTH_REQUIRED"
    answer = await client.execute(document, by=await impersonated(client, admin, bob))
    assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert (await client.execute(document))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_passwords_of_a_change_are_limited(client: Client, alice: Person) -> None:
    document = """mutation { changeEmail(input: {email: "new@roster.test", password: "x"}) { errors { code } } }"""
    for _ in range(PASSWORD_ATTEMPTS.pair.most):
        assert (await client.data(document, by=alice))["changeEmail"]["errors"][0]["code"] == "WRONG_CREDENTIALS"
    answer = await client.execute(document, by=alice)
    assert answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_a_taken_address_is_answered_like_a_free_one(
    client: Client, alice: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    # CVE-2026-39851: requestEmailChange revealed which addresses exist
    ran = statements_in_transactions(monkeypatch)
    found = []
    await client.data(ME, by=alice)  # the use of the session is recorded
    for email in ("BOB@roster.test", "free@roster.test"):
        ran.clear()
        payload = await change_email(client, alice, email)
        assert payload["user"] == {"email": "alice@roster.test", "emailVerified": False, "pendingEmail": email}
        assert payload["errors"] == []
        found.append(list(ran))
    assert found[0] == found[1]
    mail = await last_mail(client, "bob@roster.test")
    assert (mail.template, mail.token) == ("account-exists", "")
    assert await me(client, bob) == ("bob@roster.test", False, None)


async def test_an_address_that_was_taken_before_the_confirmation_is_not_taken_over(
    client: Client, alice: Person, root: Person
) -> None:
    assert (await change_email(client, alice, "new@roster.test"))["errors"] == []
    value = {"username": "carol", "email": "NEW@roster.test"}
    assert (await client.mutate("createUser", value, "user { id }", by=root))["errors"] == []
    token = (await last_mail(client, "new@roster.test")).token
    assert await use(client, "verifyEmail", token) == [("CONFLICT", ["token"])]
    assert (await me(client, alice))[0] == "alice@roster.test"


async def test_an_old_token_is_void_when_the_address_changed_in_the_meantime(
    client: Client, alice: Person, root: Person
) -> None:
    # CVE-2026-35407: a token belongs to its user, its purpose, and the address of its moment
    assert await request_verification(client, alice) == []
    verification = await last_mail(client, "alice@roster.test")
    await client.mutate("requestPasswordReset", {"email": "alice@roster.test"}, "")
    reset = await last_mail(client, "alice@roster.test")
    assert (await change_email(client, alice, "first@roster.test"))["errors"] == []
    first = await last_mail(client, "first@roster.test")
    await changed(client, alice, "second@roster.test")
    for mail in (verification, first):
        assert await use(client, "verifyEmail", mail.token) == EXPIRED
    value = {"token": reset.token, "newPassword": "a-quite-unusual-walrus-77"}
    assert (await client.mutate("resetPassword", value, ""))["errors"][0]["code"] == "EXPIRED"
    # Even if the rows were still there, the tokens would be bound to the address
    assert await request_verification(client, alice) == ["ALREADY_DONE"]
    await client.rows("UPDATE users SET email_verified = false WHERE id = $1", alice.id)
    assert await request_verification(client, alice) == []
    token = (await last_mail(client, "second@roster.test")).token
    await client.rows("UPDATE users SET email = 'third@roster.test' WHERE id = $1", alice.id)
    assert await use(client, "verifyEmail", token) == EXPIRED


async def test_the_own_address_cancels_a_pending_change(client: Client, alice: Person) -> None:
    payload = await change_email(client, alice, "alice@roster.test")
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("ALREADY_DONE", ["email"])]
    assert (await change_email(client, alice, "new@roster.test"))["errors"] == []
    assert (await change_email(client, alice, "alice@roster.test"))["user"]["pendingEmail"] is None
    assert await use(client, "verifyEmail", (await last_mail(client, "new@roster.test")).token) == EXPIRED


async def test_the_spelling_of_the_own_address_may_change(client: Client, alice: Person) -> None:
    await changed(client, alice, "Alice@roster.test")
    assert await me(client, alice) == ("Alice@roster.test", True, None)


async def test_another_address_by_an_administrator_is_unconfirmed(client: Client, root: Person, alice: Person) -> None:
    # CVE-2026-44584: the old confirmation counted for the new address
    await confirmed(client, alice)
    assert (await change_email(client, alice, "pending@roster.test"))["errors"] == []
    pending = await last_mail(client, "pending@roster.test")
    await client.mutate("requestPasswordReset", {"email": "alice@roster.test"}, "")
    reset = await last_mail(client, "alice@roster.test")
    value = {"id": alice.id, "email": "other@roster.test"}
    assert (await client.mutate("updateUser", value, "user { id }", by=root))["errors"] == []
    assert await me(client, alice) == ("other@roster.test", False, None)
    assert await use(client, "verifyEmail", pending.token) == EXPIRED
    value = {"token": reset.token, "newPassword": "a-quite-unusual-walrus-77"}
    assert (await client.mutate("resetPassword", value, ""))["errors"][0]["code"] == "EXPIRED"
    assert await client.rows("SELECT FROM one_time_tokens WHERE user_id = $1", alice.id) == []
    # The same address again changes nothing
    await client.rows("UPDATE users SET email_verified = true WHERE id = $1", alice.id)
    value = {"id": alice.id, "email": "other@roster.test"}
    assert (await client.mutate("updateUser", value, "user { id }", by=root))["errors"] == []
    assert (await me(client, alice))[1] is True


async def test_a_profile_has_no_email_and_no_confirmation(client: Client, alice: Person) -> None:
    # CVE-2026-27946: a user sets their own emailVerified in an update
    document = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { errors { code } } }"
    for field in ("email", "emailVerified", "pendingEmail"):
        answer = await client.execute(document, {"input": {field: None}}, by=alice)
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_the_pending_address_is_readable_for_its_user_and_administrators_only(
    client: Client, alice: Person, bob: Person, staff: Person
) -> None:
    assert (await change_email(client, alice, "new@roster.test"))["errors"] == []
    query = "query ($id: ID!) { node(id: $id) { ... on User { pendingEmail } } }"
    for by, expected in ((alice, "new@roster.test"), (staff, "new@roster.test"), (bob, None)):
        node = (await client.data(query, {"id": alice.id}, by=by))["node"]
        assert (node and node["pendingEmail"]) == expected

"""The undoing of a change of the email address, by its old owner."""

from __future__ import annotations

import asyncio

from tests.conftest import Client, Person
from tests.links import (
    EXPIRED,
    ME,
    changed,
    confirmed,
    forget_attempts,
    last_mail,
    mails,
    me,
    use,
)


async def test_the_old_address_undoes_a_change_and_ends_all_sessions(client: Client, alice: Person) -> None:
    await confirmed(client, alice)
    await changed(client, alice, "new@roster.test")
    undo = await last_mail(client, "alice@roster.test")
    await client.rows("UPDATE one_time_tokens SET expires_at = expires_at - interval '6 days 23 hours'")
    assert await use(client, "undoEmailChange", undo.token) == []
    assert await client.data("{ me { id } }", by=None) == {"me": None}
    answer = await client.execute(ME, by=alice)
    assert answer["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    [row] = await client.rows("SELECT email, email_verified, pending_email FROM users WHERE id = $1", alice.id)
    assert tuple(row) == ("alice@roster.test", True, None)
    # A stranger who changed the address may know the password
    reset = await last_mail(client, "alice@roster.test")
    assert reset.template == "password-reset"
    value = {"token": reset.token, "newPassword": "a-quite-unusual-walrus-77"}
    assert (await client.mutate("resetPassword", value, ""))["errors"] == []
    assert await use(client, "undoEmailChange", undo.token) == EXPIRED


async def test_a_change_is_undone_once_also_for_20_requests_at_once(client: Client, alice: Person) -> None:
    await confirmed(client, alice)
    await changed(client, alice, "new@roster.test")
    token = (await last_mail(client, "alice@roster.test")).token
    await forget_attempts(client)
    answers = await asyncio.gather(*(use(client, "undoEmailChange", token) for _ in range(20)))
    assert sorted(answers) == [[]] + [EXPIRED] * 19


async def test_the_first_address_undoes_later_changes_too_and_theirs_cannot_undo_that(
    client: Client, alice: Person
) -> None:
    await confirmed(client, alice)
    await changed(client, alice, "thief@evil.test")
    await changed(client, alice, "thief2@evil.test")
    owner, thief = await last_mail(client, "alice@roster.test"), await last_mail(client, "thief@evil.test")
    assert thief.template == "email-changed"
    assert await use(client, "undoEmailChange", owner.token) == []
    assert await use(client, "undoEmailChange", thief.token) == EXPIRED
    [row] = await client.rows("SELECT email FROM users WHERE id = $1", alice.id)
    assert row["email"] == "alice@roster.test"


async def test_a_later_undo_leaves_the_link_of_the_first_address(client: Client, alice: Person) -> None:
    await confirmed(client, alice)
    await changed(client, alice, "thief@evil.test")
    await changed(client, alice, "thief2@evil.test")
    owner, thief = await last_mail(client, "alice@roster.test"), await last_mail(client, "thief@evil.test")
    assert await use(client, "undoEmailChange", thief.token) == []
    assert await use(client, "undoEmailChange", owner.token) == []


async def test_an_unconfirmed_old_address_gets_no_link(client: Client, alice: Person) -> None:
    # It may be a typing error, and the mailbox a stranger's
    await changed(client, alice, "new@roster.test")
    assert [mail for mail in await mails(client) if mail.recipient == "alice@roster.test"] == []


async def test_an_old_address_that_has_another_account_now_is_not_restored(
    client: Client, alice: Person, root: Person
) -> None:
    await confirmed(client, alice)
    await changed(client, alice, "new@roster.test")
    value = {"username": "carol", "email": "alice@roster.test"}
    assert (await client.mutate("createUser", value, "user { id }", by=root))["errors"] == []
    token = (await last_mail(client, "alice@roster.test")).token
    assert await use(client, "undoEmailChange", token) == [("CONFLICT", ["token"])]
    assert await me(client, alice) == ("new@roster.test", True, None)


async def test_no_event_and_no_table_has_a_token(client: Client, alice: Person) -> None:
    await confirmed(client, alice)
    await changed(client, alice, "new@roster.test")
    tokens = [mail.token for mail in await mails(client)]
    assert len(tokens) == 3
    stored = ""
    for table in ("audit_events", "one_time_tokens", "mails", "users"):
        rows = await client.rows(f"SELECT CAST(to_jsonb(t) AS text) AS row FROM {table} AS t")  # noqa: S608
        stored += "".join(row["row"] for row in rows)
    assert all(token not in stored and token.removeprefix("rsto_") not in stored for token in tokens)

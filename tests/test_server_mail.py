"""Mails about servers: to new and former subusers and owners, in their language, and only after the commit."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from service import limits
from service.mail.templates import render
from tests.conftest import Client, Person
from tests.servers import code, new_member, new_server, problems, transfer

NO_EVENTS = """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no events'; END $$;
  CREATE TRIGGER fail BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION fail()"""


async def mails(client: Client) -> list[dict[str, Any]]:
    """Return the template, the recipient, and the rendered subject and text of each mail, in their order."""
    found = []
    for row in await client.rows("SELECT * FROM mails ORDER BY id"):
        values = orjson.loads(client.resources.encryption.decrypt(row["content"]))
        text = render(row["template"], row["language"], row["recipient"], "Roster", values)
        found.append({"template": row["template"], "to": row["recipient"], "subject": text.subject, "text": text.text})
    await client.rows("DELETE FROM mails")
    return found


def kinds(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((mail["template"], mail["to"]) for mail in found)


@pytest.mark.parametrize(
    ("language", "subject", "text"),
    [
        ("en", "You no longer have access to the server box", "Your account remains."),
        ("de", "Sie haben keinen Zugriff mehr auf den Server box", "Ihr Konto bleibt bestehen."),
        ("fr", "You no longer have access to the server box", "Your account remains."),
    ],
)
async def test_a_subuser_who_is_removed_gets_a_mail_in_their_language(  # noqa: PLR0917
    client: Client, admin: Person, alice: Person, bob: Person, language: str, subject: str, text: str
) -> None:
    await client.mutate("updateUser", {"id": bob.id, "language": language}, "", by=admin)
    server_id = await new_server(client, admin, alice)
    member = await new_member(client, alice, server_id, "bob", "file.read")
    assert kinds(await mails(client)) == [("server-shared", "bob@roster.test")]
    assert problems(await client.mutate("deleteSubuser", {"id": member}, "", by=alice)) == []
    [mail] = await mails(client)
    assert (mail["template"], mail["to"], mail["subject"]) == ("server-removed", "bob@roster.test", subject)
    assert text in mail["text"]


async def test_a_stranger_gets_no_name_of_a_server(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice, name="Buy at https://evil.test")
    member = await new_member(client, alice, server_id, "stranger", "file.read")
    [mail] = await mails(client)
    assert (mail["template"], mail["to"]) == ("invitation", "stranger@roster.test")
    assert "Buy" not in mail["subject"] + mail["text"]
    assert problems(await client.mutate("deleteSubuser", {"id": member}, "", by=alice)) == []
    assert await mails(client) == []


async def test_the_name_of_a_server_is_no_link_in_a_mail(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice, name="https://evil.test/login")
    member = await new_member(client, alice, server_id, "bob", "file.read")
    await client.mutate("deleteSubuser", {"id": member}, "", by=alice)
    for mail in await mails(client):
        assert "https:// evil. test/ login" in mail["text"]


async def test_a_denied_removal_sends_no_mail(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    server_id = await new_server(client, admin, alice)
    await new_member(client, alice, server_id, "bob", "user.delete")
    strong = await new_member(client, alice, server_id, "stella", "file.read")
    await mails(client)
    assert problems(await client.mutate("deleteSubuser", {"id": strong}, "", by=bob)) == [("NOT_ALLOWED", ["id"])]
    assert await mails(client) == []


async def test_both_owners_of_a_transferred_server_get_a_mail(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    await client.mutate("updateUser", {"id": bob.id, "language": "de-AT"}, "", by=admin)
    server_id = await new_server(client, admin, alice)
    assert (await transfer(client, admin, server_id, bob))["errors"] == []
    found = {mail["to"]: mail for mail in await mails(client)}
    assert found["bob@roster.test"]["subject"] == "Ihnen gehört der Server box"
    former = found["alice@roster.test"]
    assert former["subject"] == "The server box has another owner"
    assert "You no longer have access to it." in former["text"]
    assert len(found) == 2
    assert (await transfer(client, admin, server_id, alice, formerOwnerPermissions=["file.read"]))["errors"] == []
    found = {mail["to"]: mail for mail in await mails(client)}
    assert found["alice@roster.test"]["subject"] == "You own the server box"
    assert "Sie haben weiterhin Zugriff darauf" in found["bob@roster.test"]["text"]


async def test_a_new_owner_who_was_a_subuser_gets_no_mail_of_a_removal(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    await new_member(client, alice, server_id, "bob", "file.read")
    await mails(client)
    await transfer(client, admin, server_id, bob)
    assert kinds(await mails(client)) == [
        ("server-received", "bob@roster.test"),
        ("server-transferred", "alice@roster.test"),
    ]


async def test_no_mail_is_sent_before_the_commit(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    server_id = await new_server(client, admin, alice)
    member = await new_member(client, alice, server_id, "stella", "file.read")
    await mails(client)
    # The event is the last statement, after the mail was stored
    for statement in NO_EVENTS.split(";\n"):
        await client.rows(statement)
    client.resources.mail_stored.clear()
    share = {"serverId": server_id, "permissions": ["file.read"]}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("createSubuser", share | {"email": "bob@roster.test"}),
        ("createSubuser", share | {"email": "stranger@roster.test"}),
        ("deleteSubuser", {"id": member}),
        ("transferServer", {"id": server_id, "ownerId": bob.id}),
    ]
    for field, value in calls:
        document = (
            f"mutation ($input: {field[0].upper()}{field[1:]}Input!) {{ {field}(input: $input) {{ __typename }} }}"
        )
        assert code(await client.execute(document, {"input": value}, by=admin)) == "INTERNAL"
    assert await mails(client) == []
    assert not client.resources.mail_stored.is_set()
    assert await client.rows("SELECT FROM users WHERE email = 'stranger@roster.test'") == []
    await client.rows("DROP TRIGGER fail ON audit_events")
    assert problems(await client.mutate("deleteSubuser", {"id": member}, "", by=alice)) == []
    assert client.resources.mail_stored.is_set()
    assert kinds(await mails(client)) == [("server-removed", "stella@roster.test")]


async def test_transfers_send_a_limited_number_of_mails(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server_id = await new_server(client, admin, alice)
    for _ in range(limits.MAILS_PER_HOUR + 2):
        assert (await transfer(client, admin, server_id, bob))["errors"] == []
        assert (await transfer(client, admin, server_id, alice))["errors"] == []
    counts = await client.rows("SELECT count(*) FROM mails GROUP BY recipient, template")
    assert [row["count"] for row in counts] == [limits.MAILS_PER_HOUR] * 4


async def test_a_repeated_request_invites_once(client: Client, admin: Person, alice: Person) -> None:
    server_id = await new_server(client, admin, alice)
    value = {"serverId": server_id, "email": "new@roster.test", "permissions": ["file.read"], "idempotencyKey": "o-1"}
    for _ in range(2):
        assert problems(await client.mutate("createSubuser", value, "", by=alice)) == []
    assert kinds(await mails(client)) == [("invitation", "new@roster.test")]

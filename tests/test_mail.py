"""Which mails mutations send, to which users, with which links; and what is stored of them."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest

from service import limits
from service.credentials.tokens import digest
from service.mail.templates import render
from service.one_time import Purpose, consume_token
from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person, opened_client
from tests.test_secrets_at_rest import everything, spellings

NEW = "a-quite-unusual-walrus-77"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"


async def mails(client: Client) -> list[dict[str, Any]]:
    """Return the mails of the outbox: recipient, template, and the values."""
    found = []
    for row in await client.rows("SELECT * FROM mails ORDER BY id"):
        values = orjson.loads(client.resources.encryption.decrypt(row["content"]))
        found.append({"to": row["recipient"], "template": row["template"], "language": row["language"], **values})
    return found


async def only_mail(client: Client, template: str, recipient: str) -> dict[str, Any]:
    """Return the only mail, which must be of the template, to the recipient, and render."""
    [mail] = await mails(client)
    assert (mail["template"], mail["to"]) == (template, recipient)
    assert render(template, mail["language"], recipient, "Roster", mail).subject
    return mail


async def create_server(client: Client, root: Person, owner: Person) -> str:
    created = await client.mutate("createServer", {"name": "box", "ownerId": owner.id}, "server { id }", by=root)
    return str(created["server"]["id"])


async def key_with(client: Client, by: Person, **bounds: Any) -> str:
    """Return the secret of an API key, and forget the mail about it."""
    value = {"name": "robot", "permissions": ["users.create", "users.read"], **bounds}
    created = await client.mutate("createApiKey", value, "secret", by=by)
    await client.rows("DELETE FROM mails")
    return str(created["secret"])


async def test_a_new_api_key_and_a_new_secret_of_it(client: Client, alice: Person) -> None:
    created = await client.mutate("createApiKey", {"name": "deploy"}, "secret apiKey { id }", by=alice)
    mail = await only_mail(client, "api-key-created", "alice@roster.test")
    assert (mail["key_name"], mail["ip"], mail["name"]) == ("deploy", "192.0.2.1", "alice")
    assert created["secret"] not in orjson.dumps(mail).decode()
    await client.rows("DELETE FROM mails")
    await client.mutate("rotateApiKey", {"id": created["apiKey"]["id"]}, "secret", by=alice)
    assert (await only_mail(client, "api-key-created", "alice@roster.test"))["key_name"] == "deploy"


async def test_a_new_ssh_key(client: Client, alice: Person) -> None:
    value = {"name": "laptop", "publicKey": SSH_KEY}
    added = await client.mutate("addSshKey", value, "sshKey { fingerprint }", by=alice)
    assert added["errors"] == []
    mail = await only_mail(client, "ssh-key-added", "alice@roster.test")
    assert (mail["key_name"], mail["fingerprint"]) == ("laptop", added["sshKey"]["fingerprint"])


async def test_a_changed_password(client: Client, alice: Person) -> None:
    change = {"currentPassword": PASSWORD, "newPassword": NEW}
    assert (await client.mutate("changePassword", change, "", by=alice))["errors"] == []
    mail = await only_mail(client, "password-changed", "alice@roster.test")
    assert mail["ip"] == "192.0.2.1"
    assert NEW not in orjson.dumps(mail).decode()


@pytest.mark.parametrize(("mutation", "password"), [("setPassword", NEW), ("updateUser", NEW), ("updateUser", None)])
async def test_a_password_that_an_administrator_sets(
    client: Client, root: Person, bob: Person, mutation: str, password: str | None
) -> None:
    value = {"userId" if mutation == "setPassword" else "id": bob.id, "password": password}
    if mutation == "updateUser":
        value["email"] = "attacker@roster.test"
    assert (await client.mutate(mutation, value, "", by=root))["errors"] == []
    # It goes to the address that the user had, and has no address of the administrator (panel 1.9.1)
    mail = await only_mail(client, "password-changed", "bob@roster.test")
    assert mail["ip"] is None


async def test_the_mail_is_in_the_language_of_its_reader(client: Client, root: Person, bob: Person) -> None:
    await client.mutate("updateUser", {"id": bob.id, "language": "de-AT", "displayName": "Bobby"}, "", by=root)
    await client.mutate("setPassword", {"userId": bob.id, "password": NEW}, "", by=root)
    mail = await only_mail(client, "password-changed", "bob@roster.test")
    assert render(mail["template"], mail["language"], "", "", mail).text.startswith("Guten Tag Bobby,")


@pytest.mark.parametrize("address", ["", "https://accounts.example.org/"])
async def test_an_invited_user_gets_a_link(database_url: str, root: Person, address: str) -> None:
    async with opened_client(Settings(public_url=address), database_url) as client:
        value = {"username": "carol", "email": "carol@roster.test", "sendEmail": True, "language": "de"}
        created = await client.mutate("createUser", value, "user { id hasPassword }", by=root)
        assert created["errors"] == []
        mail = await only_mail(client, "invitation", "carol@roster.test")
        base, _, token = mail["url"].partition("#")
        # In the fragment: no server and no log of a proxy sees it
        assert base == (address.rstrip("/") or "http://localhost:8000") + "/account/invitation"
        [row] = await client.rows("SELECT *, expires_at - created_at AS lifetime FROM one_time_tokens")
        assert (row["hash"], row["purpose"], row["user_id"]) == (digest(token), "invitation", created["user"]["id"])
        assert row["lifetime"].days == 7
        async with client.resources.database.transaction() as transaction:
            found = await consume_token(transaction.run, Purpose.INVITATION, token)
            assert found["user_id"] == created["user"]["id"]
            assert await consume_token(transaction.run, Purpose.INVITATION, token) is None


async def test_a_new_user_with_a_password_gets_no_secret(client: Client, root: Person) -> None:
    value = {"username": "carol", "email": "carol@roster.test", "sendEmail": True, "password": NEW}
    assert (await client.mutate("createUser", value, "", by=root))["errors"] == []
    mail = await only_mail(client, "account-created", "carol@roster.test")
    assert mail["url"] == "http://localhost:8000/"
    assert NEW not in orjson.dumps(mail).decode()
    assert await client.rows("SELECT FROM one_time_tokens") == []


async def test_a_new_user_without_send_email_gets_none(client: Client, root: Person) -> None:
    for name, given in (("carol", {}), ("dave", {"sendEmail": False}), ("dora", {"sendEmail": None})):
        value = {"username": name, "email": f"{name}@roster.test", **given}
        assert (await client.mutate("createUser", value, "", by=root))["errors"] == []
    assert await mails(client) == []


async def test_an_invitation_requires_an_address(client: Client, root: Person) -> None:
    payload = await client.mutate("createUser", {"username": "x", "sendEmail": True}, "user { id }", by=root)
    assert payload["user"] is None
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [
        ("TOO_SHORT", ["username"]),
        ("REQUIRED", ["email"]),
    ]
    invalid = await client.mutate(
        "createUser", {"username": "carol", "email": "no address", "sendEmail": True}, "", by=root
    )
    assert [(error["code"], error["field"]) for error in invalid["errors"]] == [("INVALID", ["email"])]


@pytest.mark.parametrize("bounds", [{"expiresAt": "2031-01-01T00:00:00Z"}, {"allowedIps": ["192.0.2.0/24"]}])
async def test_a_limited_key_invites_no_user(client: Client, root: Person, bounds: dict[str, Any]) -> None:
    # Otherwise a stolen key for one day or network could make an account whose password never expires
    secret = await key_with(client, root, **bounds)
    value = {"username": "carol", "email": "carol@roster.test", "sendEmail": True}
    denied = await client.mutate("createUser", value, "user { id }", by=secret)
    assert [(error["code"], error["field"]) for error in denied["errors"]] == [("NOT_ALLOWED", ["sendEmail"])]
    assert await client.rows("SELECT FROM users WHERE username = 'carol'") == []
    assert (await client.mutate("createUser", value | {"sendEmail": False}, "", by=secret))["errors"] == []


async def test_a_repeated_request_sends_one_mail(client: Client, root: Person) -> None:
    value = {"username": "carol", "email": "carol@roster.test", "sendEmail": True, "idempotencyKey": "order-4711"}
    for _ in range(2):
        assert (await client.mutate("createUser", value, "", by=root))["errors"] == []
    await only_mail(client, "invitation", "carol@roster.test")


async def test_a_server_is_shared_with_a_known_user(client: Client, root: Person, alice: Person) -> None:
    server = await create_server(client, root, alice)
    value = {"serverId": server, "email": "BOB@roster.test", "permissions": ["file.read"]}
    assert (await client.mutate("createSubuser", value, "", by=alice))["errors"] == []
    mail = await only_mail(client, "server-shared", "bob@roster.test")
    assert (mail["server_name"], mail["by"]) == ("box", "alice")
    assert await client.rows("SELECT FROM invitations") == []


async def test_an_administrator_is_not_named_to_a_subuser(client: Client, root: Person, alice: Person) -> None:
    server = await create_server(client, root, alice)
    value = {"serverId": server, "email": "bob@roster.test", "permissions": ["file.read"]}
    assert (await client.mutate("createSubuser", value, "", by=root))["errors"] == []
    assert (await only_mail(client, "server-shared", "bob@roster.test"))["by"] is None


async def test_an_unknown_subuser_is_invited_and_again_until_there_is_a_password(
    client: Client, root: Person, alice: Person
) -> None:
    servers = [await create_server(client, root, alice) for _ in range(3)]
    value = {"email": "new@roster.test", "permissions": ["file.read"]}
    tokens = []
    for server in servers[:2]:
        payload = await client.mutate("createSubuser", value | {"serverId": server}, "subuser { id }", by=alice)
        assert payload["errors"] == []
        mail = await only_mail(client, "invitation", "new@roster.test")
        tokens.append(mail["url"].partition("#")[2])
        await client.rows("DELETE FROM mails")
    hashes = {row["hash"] for row in await client.rows("SELECT hash FROM one_time_tokens")}
    assert hashes == {digest(tokens[1])}, "only the newest link is valid"
    [user] = await client.rows("SELECT id FROM users WHERE email = 'new@roster.test'")
    await client.mutate("setPassword", {"userId": user["id"], "password": NEW}, "", by=root)
    await client.rows("DELETE FROM mails")
    assert (await client.mutate("createSubuser", value | {"serverId": servers[2]}, "", by=alice))["errors"] == []
    await only_mail(client, "server-shared", "new@roster.test")


async def test_a_user_without_an_address_gets_no_mail(client: Client, root: Person) -> None:
    created = await client.mutate("createUser", {"username": "carol", "password": NEW}, "user { id }", by=root)
    value = {"userId": created["user"]["id"], "password": f"{NEW}-2"}
    assert (await client.mutate("setPassword", value, "", by=root))["errors"] == []
    assert await mails(client) == []


async def test_a_mutation_that_is_rolled_back_sends_nothing(client: Client, root: Person, alice: Person) -> None:
    # The event is the last statement, after the mail was stored
    await client.rows(
        """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no events'; END $$;"""
    )
    await client.rows("CREATE TRIGGER fail BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION fail()")
    client.resources.mail_stored.clear()
    document = 'mutation { createApiKey(input: {name: "deploy"}) { secret } }'
    answer = await client.execute(document, by=alice)
    assert answer["errors"][0]["extensions"]["code"] == "INTERNAL"
    invite = (
        'mutation { createUser(input: {username: "dora", email: "d@roster.test", sendEmail: true}) { __typename } }'
    )
    await client.execute(invite, by=root)
    assert await mails(client) == []
    assert await client.rows("SELECT FROM one_time_tokens") == []
    assert not client.resources.mail_stored.is_set()
    await client.rows("DROP TRIGGER fail ON audit_events")
    await client.data(document, by=alice)
    assert client.resources.mail_stored.is_set()
    assert len(await mails(client)) == 1


async def test_no_table_and_no_log_line_has_a_token_of_a_mail(
    client: Client, root: Person, alice: Person, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await create_server(client, root, alice)
    value = {"serverId": server, "email": "new@roster.test", "permissions": ["file.read"]}
    await client.mutate("createSubuser", value, "", by=alice)
    user = {"username": "carol", "email": "carol@roster.test", "sendEmail": True}
    await client.mutate("createUser", user, "", by=root)
    tokens = [token for mail in await mails(client) for token in re.findall(r"#(\S+)", mail["url"])]
    assert len(tokens) == 2
    dump = await everything(client)
    logged = "".join(capsys.readouterr())
    for token in tokens:
        assert digest(token).hex() in dump, "only the hash is stored"
        for spelling in spellings(token):
            assert spelling not in dump
            assert spelling not in logged


async def test_a_recipient_gets_a_limited_number_of_one_kind_also_by_other_users(
    client: Client, root: Person, alice: Person
) -> None:
    server = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    for email in ("bob@roster.test", "stranger@roster.test"):
        value = {"serverId": server["server"]["id"], "email": email, "permissions": ["control.start"]}
        for _ in range(limits.MAILS_PER_HOUR + 2):
            shared = await client.mutate("createSubuser", value, "subuser { id }", by=alice)
            await client.mutate("deleteSubuser", {"id": shared["subuser"]["id"]}, "deletedId", by=alice)
        # A user gets a mail about each removal, too; a stranger gets only the invitation
        kinds = ["server-removed", "server-shared"] if email == "bob@roster.test" else ["invitation"]
        count = "SELECT template, count(*) AS count FROM mails WHERE recipient = $1 GROUP BY template ORDER BY template"
        sent = await client.rows(count, email)
        assert [tuple(row.values()) for row in sent] == [(kind, limits.MAILS_PER_HOUR) for kind in kinds]
        await client.rows("UPDATE mails SET created_at = now() - interval '61 minutes'")
        await client.mutate("createSubuser", value, "subuser { id }", by=alice)
        assert sum(row["count"] for row in await client.rows(count, email)) == len(kinds) * limits.MAILS_PER_HOUR + 1

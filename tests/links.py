"""The links in the mails of a test, read from the outbox, and what begins and ends with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from service.database.transaction import Transaction
from tests.conftest import PASSWORD, Client, Person

EMAIL = "email emailVerified pendingEmail"
ME = f"{{ me {{ {EMAIL} }} }}"
EXPIRED = [("EXPIRED", ["token"])]
NEW = {"email": "nina@roster.test", "password": "a-quite-unusual-walrus-77"}


@dataclass(frozen=True)
class Mail:
    """A stored mail; `token` is that of its link."""

    recipient: str
    template: str
    values: dict[str, Any]
    language: str

    @property
    def token(self) -> str:
        """The token of the mail's link."""
        return str(self.values["url"]).partition("#")[2]


async def mails(client: Client, recipient: str | None = None) -> list[Mail]:
    """Return the mails of the outbox, oldest first; all of them, or those to an address."""
    rows = await client.rows("SELECT recipient, template, language, content FROM mails ORDER BY id")
    found = [
        Mail(
            row["recipient"],
            row["template"],
            orjson.loads(client.resources.encryption.decrypt(row["content"])),
            row["language"],
        )
        for row in rows
    ]
    return [mail for mail in found if recipient is None or mail.recipient == recipient]


async def last_mail(client: Client, recipient: str) -> Mail:
    """Return the newest mail to an address."""
    return (await mails(client, recipient))[-1]


async def forget_attempts(client: Client) -> None:
    """Let the client try again."""
    await client.rows("DELETE FROM attempts")


async def register(client: Client, **value: Any) -> Any:
    """Return the answer to a registration."""
    document = "mutation ($input: RegisterInput!) { register(input: $input) { user { id } errors { code field } } }"
    return await client.execute(document, {"input": NEW | value})


async def registered(client: Client, **value: Any) -> list[tuple[str, list[str]]]:
    """Return the errors of a registration."""
    payload = (await register(client, **value))["data"]["register"]
    assert payload["user"] is None
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def verify(client: Client, token: str, by: Person | None = None, selection: str = "user { id username }") -> Any:
    """Return the payload of verifyEmail."""
    call = f"verifyEmail(input: {{token: $token}}) {{ {selection} errors {{ code message field }} }}"
    return (await client.data(f"mutation ($token: String!) {{ {call} }}", {"token": token}, by=by))["verifyEmail"]


async def change_email(client: Client, by: Person | str, email: str, password: str = PASSWORD) -> Any:
    """Return the answer to changeEmail."""
    value = {"email": email, "password": password}
    return await client.mutate("changeEmail", value, f"user {{ {EMAIL} }}", by=by)


async def use(client: Client, mutation: str, token: str, by: Person | None = None) -> list[tuple[str, list[str]]]:
    """Return the errors of a mutation with a token."""
    call = f"{mutation}(input: {{token: $token}}) {{ user {{ id }} errors {{ code field }} }}"
    answer = await client.data(f"mutation ($token: String!) {{ {call} }}", {"token": token}, by=by)
    return [(error["code"], error["field"]) for error in answer[mutation]["errors"]]


async def request_verification(client: Client, by: Person) -> list[str]:
    """Return the codes of the errors of requestEmailVerification."""
    payload = await client.data("mutation { requestEmailVerification { errors { code } } }", by=by)
    return [error["code"] for error in payload["requestEmailVerification"]["errors"]]


async def me(client: Client, by: Person) -> tuple[str, bool, str | None]:
    """Return the address, whether it is confirmed, and the pending one."""
    found = (await client.data(ME, by=by))["me"]
    return found["email"], found["emailVerified"], found["pendingEmail"]


async def confirmed(client: Client, person: Person) -> None:
    """Let a person confirm their address."""
    assert await request_verification(client, person) == []
    assert await use(client, "verifyEmail", (await last_mail(client, f"{person.username}@roster.test")).token) == []


async def changed(client: Client, person: Person, email: str) -> None:
    """Let a person change their address, and confirm it."""
    assert (await change_email(client, person, email))["errors"] == []
    assert await use(client, "verifyEmail", (await last_mail(client, email)).token) == []


def statements_in_transactions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list to which the name of each statement of a transaction is added from now on."""
    ran: list[str] = []
    run = Transaction.run

    async def run_and_note(self: Transaction, name: str, /, **parameters: Any) -> Any:
        ran.append(name)
        return await run(self, name, **parameters)

    monkeypatch.setattr(Transaction, "run", run_and_note)
    return ran

"""Registrations: the account exists when the address is confirmed, and nothing tells whether an address is known."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Any

import httpx
import pytest

from service.attempts import REGISTER
from service.clean_up import clean_up
from tests.conftest import PASSWORD, Client, Person
from tests.links import NEW, forget_attempts, last_mail, mails, register, registered, statements_in_transactions, verify

DONE: dict[str, Any] = {"user": None, "errors": []}
OWN = "id username email emailVerified firstName language billingAddress { country } role { name } pendingEmail"


async def login(client: Client, name: str, password: str) -> Any:
    return await client.mutate("login", {"login": name, "password": password}, "token user { username }")


async def test_a_person_registers_confirms_by_the_link_and_signs_in(client: Client) -> None:
    value = {"username": "nina_1", "firstName": "Nina", "language": "de", "country": "AT", "dateOfBirth": "1990-02-28"}
    assert await register(client, **value) == {"data": {"register": DONE}}
    # Until then there is no account, and the answer to a login is that of an unknown one
    assert (await login(client, "nina@roster.test", NEW["password"]))["errors"][0]["code"] == "WRONG_CREDENTIALS"
    assert await client.rows("SELECT FROM users WHERE email = 'nina@roster.test'") == []
    mail = await last_mail(client, "nina@roster.test")
    assert (mail.template, mail.language) == ("email-verification", "de")
    assert mail.values["url"] == f"http://localhost:8000/account/verify-email#{mail.token}"
    payload = await verify(client, mail.token)
    assert (payload["user"]["username"], payload["errors"]) == ("nina_1", [])
    token = (await login(client, "nina@roster.test", NEW["password"]))["token"]
    assert (await client.data(f"{{ me {{ {OWN} }} }}", by=token))["me"] == {
        "id": payload["user"]["id"],
        "username": "nina_1",
        "email": "nina@roster.test",
        "emailVerified": True,
        "firstName": "Nina",
        "language": "de",
        "billingAddress": {"country": "AT"},
        "role": {"name": "USER"},
        "pendingEmail": None,
    }


async def test_without_a_username_one_is_made_of_the_address(client: Client) -> None:
    assert await registered(client) == []
    payload = await verify(client, (await last_mail(client, "nina@roster.test")).token)
    assert payload["user"]["username"].startswith("nina_")
    assert await registered(client, email="olga@roster.test", username=None) == []
    assert (await verify(client, (await last_mail(client, "olga@roster.test")).token))["errors"] == []


async def raw(client: Client, email: str) -> httpx.Response:
    value = f'{{email: "{email}", password: "{NEW["password"]}"}}'
    query = f"mutation {{ register(input: {value}) {{ user {{ id }} errors {{ code }} }} }}"
    return await client.http.post("/graphql", json={"query": query})


async def test_a_known_address_is_answered_like_any_other_byte_for_byte(client: Client, alice: Person) -> None:
    known, unknown = await raw(client, "ALICE@roster.test"), await raw(client, "nina@roster.test")
    assert known.content == unknown.content
    assert known.status_code == unknown.status_code
    same = [{**answer.headers, "x-request-id": ""} for answer in (known, unknown)]
    assert same[0] == same[1]
    mail = await last_mail(client, "alice@roster.test")
    assert (mail.template, mail.token) == ("account-exists", "")
    events = await client.rows("SELECT target_id FROM audit_events WHERE event = 'registration.create' ORDER BY id")
    assert [event["target_id"] for event in events] == [alice.id, None]
    # The account of the known address is as before, and its registration cannot be used
    assert (await login(client, "alice", PASSWORD))["errors"] == []
    assert await client.rows("SELECT FROM registrations WHERE expires_at > now() AND email ILIKE 'alice%'") == []


async def test_a_known_and_an_unknown_address_take_the_same_statements(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = statements_in_transactions(monkeypatch)
    found = []
    for email in ("alice@roster.test", "nina@roster.test"):
        ran.clear()
        assert (await raw(client, email)).json() == {"data": {"register": DONE}}
        found.append(list(ran))
    assert found[0] == found[1]
    assert found[0][1:] == ["users_by_email", "create_registration", "create_mail", "create_audit_event"]


async def test_another_registration_sends_another_link_and_the_confirmed_one_decides_the_password(
    client: Client,
) -> None:
    # SECURITY: a stranger who registers an address first does not know the password of its owner's account
    assert await registered(client, password="the-password-of-a-stranger-1", username="nina_1") == []
    assert await registered(client, username="nina_1") == []
    stranger, owner = await mails(client, "nina@roster.test")
    assert (await verify(client, owner.token))["errors"] == []
    assert (await login(client, "nina_1", NEW["password"]))["errors"] == []
    assert (await login(client, "nina_1", "the-password-of-a-stranger-1"))["errors"] != []
    errors = (await verify(client, stranger.token))["errors"]
    assert [(error["code"], error["field"]) for error in errors] == [("EXPIRED", ["token"])]


async def test_a_link_is_valid_once_also_for_20_requests_at_once(client: Client) -> None:
    # CVE-2025-46815: every one-time token is used twice, and raced
    assert await registered(client) == []
    token = (await last_mail(client, "nina@roster.test")).token
    answers = await asyncio.gather(*(verify(client, token) for _ in range(20)))
    codes = [[error["code"] for error in answer["errors"]] for answer in answers]
    assert sorted(codes) == [[]] + [["EXPIRED"]] * 19
    assert len(await client.rows("SELECT FROM users WHERE email = 'nina@roster.test'")) == 1
    assert len(await client.rows("SELECT FROM audit_events WHERE event = 'user.register'")) == 1
    assert (await verify(client, token))["errors"][0]["code"] == "EXPIRED"


async def test_two_registrations_of_one_address_that_are_confirmed_at_once_make_one_account(client: Client) -> None:
    for _ in range(3):
        assert await registered(client) == []
    tokens = [mail.token for mail in await mails(client, "nina@roster.test")]
    answers = await asyncio.gather(*(verify(client, token) for token in tokens))
    assert sorted(len(answer["errors"]) for answer in answers) == [0, 1, 1]


async def test_an_address_that_got_an_account_in_the_meantime_is_not_taken_over(client: Client, root: Person) -> None:
    assert await registered(client) == []
    value = {"username": "nina", "email": "Nina@roster.test"}
    assert (await client.mutate("createUser", value, "user { id }", by=root))["errors"] == []
    errors = (await verify(client, (await last_mail(client, "nina@roster.test")).token))["errors"]
    assert [(error["code"], error["field"]) for error in errors] == [("CONFLICT", ["token"])]
    assert (await login(client, "nina", NEW["password"]))["errors"][0]["code"] == "WRONG_CREDENTIALS"


async def test_a_username_that_was_taken_in_the_meantime_is_replaced(client: Client, root: Person) -> None:
    assert await registered(client, username="nina_1") == []
    assert (await client.mutate("createUser", {"username": "NINA_1"}, "user { id }", by=root))["errors"] == []
    payload = await verify(client, (await last_mail(client, "nina@roster.test")).token)
    assert payload["errors"] == []
    assert payload["user"]["username"] != "nina_1"
    assert payload["user"]["username"].startswith("nina_")


async def test_all_problems_are_reported_at_once(client: Client, alice: Person) -> None:
    tomorrow = (dt.datetime.now(dt.UTC) + dt.timedelta(days=2)).date().isoformat()
    wrong = {"email": "nina", "username": "a", "dateOfBirth": tomorrow, "language": "xx_y", "firstName": "\u200b"}
    assert sorted(await registered(client, **wrong)) == [
        ("INVALID", ["dateOfBirth"]),
        ("INVALID", ["email"]),
        ("INVALID", ["firstName"]),
        ("INVALID", ["language"]),
        ("TOO_SHORT", ["username"]),
    ]
    await forget_attempts(client)
    both = [("TAKEN", ["username"]), ("WEAK_PASSWORD", ["password"])]
    assert await registered(client, username="ALICE", password="12345678") == both
    assert await registered(client, password="12345678") == [("WEAK_PASSWORD", ["password"])]
    assert await registered(client, password="nina@roster") == [("WEAK_PASSWORD", ["password"])]
    await forget_attempts(client)
    assert await registered(client, password="short") == [("TOO_SHORT", ["password"])]
    assert await registered(client, email="a" * 255 + "@b.c") == [("TOO_LONG", ["email"])]
    assert await mails(client) == []
    assert await client.rows("SELECT FROM registrations") == []


@pytest.mark.parametrize("name", ["root", "Admin", "administrator", "postmaster", "abuse", "support", "security"])
async def test_a_reserved_username_is_rejected(client: Client, alice: Person, name: str) -> None:
    found = await registered(client, username=name)
    assert ("NOT_ALLOWED", ["username"]) in found
    payload = await client.mutate("updateProfile", {"username": name}, "user { id }", by=alice)
    assert "NOT_ALLOWED" in [error["code"] for error in payload["errors"]]


async def test_an_input_has_no_field_of_the_server(client: Client) -> None:
    # CVE-2026-27946: a user sets their own emailVerified
    for field in ("emailVerified", "roleId", "isAdmin", "planId", "externalId", "tier"):
        answer = await register(client, **{field: True})
        assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_registrations_are_limited_by_address_and_by_client(client: Client) -> None:
    for _ in range(REGISTER.pair.most):
        assert await registered(client) == []
    answer = await register(client, email="NINA@roster.test")
    assert answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert 0 < answer["errors"][0]["extensions"]["retryAfter"] <= REGISTER.pair.wait
    for number in range(REGISTER.client.most - REGISTER.pair.most):
        assert await registered(client, email=f"nina{number}@roster.test") == []
    assert (await register(client, email="olga@roster.test"))["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert len(await mails(client)) == REGISTER.client.most
    # Aliases count, too (CVE-2026-35401)
    await forget_attempts(client)
    call = f'register(input: {{email: "p@roster.test", password: "{NEW["password"]}"}}) {{ errors {{ code }} }}'
    answer = await client.execute("mutation { " + " ".join(f"a{n}: {call}" for n in range(7)) + " }")
    assert [answer["data"][f"a{n}"] is not None for n in range(7)] == [True] * 5 + [False] * 2


async def test_other_writings_of_an_address_are_counted_together(client: Client) -> None:
    # The dots above, and the domain, in composed and decomposed characters, and as ASCII (IDNA)
    parts = (("j\u00f6rg", "jo\u0308rg", "J\u00d6RG"), ("b\u00fccher.test", "bu\u0308cher.test", "xn--bcher-kva.test"))
    addresses = [f"{local}@{domain}" for local in parts[0] for domain in parts[1]]
    answers = [await register(client, email=address) for address in addresses]
    assert ["errors" in answer for answer in answers] == [False] * REGISTER.pair.most + [True] * 4


async def test_a_value_of_the_wrong_form_is_no_attempt(client: Client) -> None:
    for name in ("a b", "x", "admin", "root", "a-b", "a@b"):
        assert len(await registered(client, username=name, password="short")) == 2, "all problems at once"
    assert await registered(client) == []


async def test_the_mail_to_a_stranger_has_no_text_of_the_person_who_registers(client: Client) -> None:
    value = {"firstName": "Win money at evil.example", "lastName": "Now"}
    assert await registered(client, **value) == []
    mail = await last_mail(client, "nina@roster.test")
    assert mail.values == {"name": "nina@roster.test", "url": mail.values["url"]}


async def test_unconfirmed_registrations_are_removed_after_their_time(client: Client) -> None:
    assert await registered(client) == []
    token = (await last_mail(client, "nina@roster.test")).token
    await clean_up(client.resources.database)
    assert len(await client.rows("SELECT FROM registrations")) == 1
    await client.rows("UPDATE registrations SET expires_at = now()")
    assert (await verify(client, token))["errors"][0]["code"] == "EXPIRED"
    await clean_up(client.resources.database)
    assert await client.rows("SELECT FROM registrations") == []

"""The proof that the deletion of an account requires: the password, the code of a second factor, or the own session."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import PASSWORD, Client, Person
from tests.leaving import CANCEL, DELETE, cancel, delete, deleted
from tests.second_factors import codes, verify, with_app, with_passkey
from tests.sessions import code, contents, key


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"password": None}, ("REQUIRED", ["password"])),
        ({"password": ""}, ("REQUIRED", ["password"])),
        ({"password": "wrong-horse-battery-42"}, ("WRONG_CREDENTIALS", ["password"])),
        ({"password": "x" * 513}, ("TOO_LONG", ["password"])),
        ({"code": "1" * 65}, ("TOO_LONG", ["code"])),
    ],
    ids=["absent", "empty", "wrong", "long", "long code"],
)
async def test_without_the_password_nothing_happens(
    client: Client, alice: Person, value: dict[str, Any], expected: Any
) -> None:
    before = await contents(client)
    assert codes(await delete(client, alice, **value)) == [expected]
    assert await contents(client) == before


async def test_a_wrong_password_counts_as_an_attempt(client: Client, alice: Person) -> None:
    answers = [await delete(client, alice, password="wrong-horse-battery-42") for _ in range(10)]
    assert [codes(each) for each in answers] == [[("WRONG_CREDENTIALS", ["password"])]] * 10
    assert await code(client, DELETE, alice) == "RATE_LIMITED"


async def test_parallel_passwords_are_counted_cve_2024_4629(client: Client, alice: Person) -> None:
    wrong = DELETE.replace("correct", "wrong")
    answers = await asyncio.gather(*(client.execute(wrong, by=alice) for _ in range(30)))
    assert sum("errors" not in each for each in answers) == 10


async def test_a_second_factor_is_required_and_its_code_is_used_once(client: Client, alice: Person) -> None:
    app = await with_app(client, alice)
    assert codes(await delete(client, alice)) == [("REQUIRED", ["code"])]
    assert codes(await delete(client, alice, code="000000")) == [("WRONG_CREDENTIALS", ["code"])]
    await deleted(client, alice, code=app.codes[0])
    challenge = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "twoFactorChallenge")
    assert codes(await verify(client, challenge["twoFactorChallenge"], app.codes[0])) == [
        ("WRONG_CREDENTIALS", ["code"])
    ]
    challenge = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "twoFactorChallenge")
    signed_in = await verify(client, challenge["twoFactorChallenge"], app.codes[1])
    assert await cancel(client, signed_in["token"]) == []


async def test_an_account_without_a_password_needs_its_own_recent_session(client: Client, alice: Person) -> None:
    robot = await key(client, alice, "account.delete")
    access = (await client.mutate("createAccessToken", {}, "accessToken", by=alice))["accessToken"]
    await client.rows("DELETE FROM credentials WHERE user_id = $1", alice.id)
    for by in (robot["secret"], access):
        assert codes(await delete(client, by, password=None)) == [("NOT_ALLOWED", None)]
    await deleted(client, alice, password=None)


async def test_a_passkey_account_without_a_password_needs_a_code(client: Client, alice: Person) -> None:
    await with_passkey(client, alice)
    await client.rows("DELETE FROM credentials WHERE user_id = $1", alice.id)
    assert codes(await delete(client, alice, password=None)) == [("REQUIRED", ["code"])]
    tries = [codes(await delete(client, alice, password=None, code="000000")) for _ in range(10)]
    assert tries == [[("WRONG_CREDENTIALS", ["code"])]] * 10
    document = 'mutation { deleteMyAccount(input: {code: "000000"}) { errors { code } } }'
    assert await code(client, document, alice) == "RATE_LIMITED"


async def test_an_api_key_needs_the_permission_and_the_password(client: Client, alice: Person) -> None:
    narrow = await key(client, alice, "account.read", "account.update", name="narrow")
    answer = await client.execute(DELETE, by=narrow["secret"])
    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "account.delete"}
    listed = await key(client, alice, "account.delete", name="listed")
    assert codes(await delete(client, listed["secret"], password=None)) == [("REQUIRED", ["password"])]
    await deleted(client, listed["secret"])
    assert await code(client, CANCEL, listed["secret"]) == "DELETION_SCHEDULED"

"""A repeated createUser under an idempotency key gives the first one's answer and makes nothing."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from tests.conftest import PASSWORD, Door, Person

SELECTION = "user { id username email displayName role { name } createdAt version }"
CAROL: dict[str, Any] = {
    "username": "carol",
    "email": "carol@x.test",
    "dateOfBirth": "1990-02-28",
    "tier": "PAID",
    "billingAddress": {"city": "Graz", "country": "AT"},
    "idempotencyKey": "order-4711",
}
MISMATCH = [("IDEMPOTENCY_MISMATCH", ["idempotencyKey"])]


async def created(door: Door, by: Person | str, **value: Any) -> dict[str, Any]:
    """The payload of a createUser."""
    return await door.change("createUser", CAROL | value, SELECTION, by=by)


def refusals(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Codes and fields of a payload's errors."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def counts(door: Door) -> tuple[int, int, int]:
    """How many accounts, creations in the audit log, and remembered keys there are."""
    (row,) = await door.rows(
        "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM idempotency_keys) AS keys, "
        "(SELECT count(*) FROM audit_events WHERE event = 'user.create') AS told"
    )
    return row["users"], row["told"], row["keys"]


@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_the_same_request_twice_makes_one_user(door: Door, root: Person, password: str | None) -> None:
    users, told, _ = await counts(door)
    first = await created(door, root, password=password)
    assert (first["user"]["username"], first["errors"]) == ("carol", [])
    assert await created(door, root, password=password) == first
    assert await counts(door) == (users + 1, told + 1, 1)


@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_the_same_request_at_the_same_moment_makes_one_user(
    door: Door, root: Person, password: str | None
) -> None:
    users, told, _ = await counts(door)
    payloads = await asyncio.gather(*(created(door, root, password=password) for _ in range(20)))
    assert payloads[0]["errors"] == []
    assert payloads == [payloads[0]] * 20
    assert await counts(door) == (users + 1, told + 1, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"username": "caroline"},
        {"username": "Carol"},
        {"email": None},
        {"firstName": "Carol"},
        {"tier": "FREE"},
        {"dateOfBirth": "1990-02-27"},
        {"billingAddress": {"city": "Graz", "country": "DE"}},
        {"billingAddress": {"city": "Graz"}},
        {"isAdmin": True},
        {"language": "de"},
        {"password": "another-walrus-77"},
        {"password": None},
    ],
)
async def test_another_input_under_the_same_key_is_refused(door: Door, root: Person, change: dict[str, Any]) -> None:
    await created(door, root, password=PASSWORD)
    before = await counts(door)
    payload = await created(door, root, **({"password": PASSWORD} | change))
    assert (payload["user"], refusals(payload)) == (None, MISMATCH)
    assert await counts(door) == before


async def test_other_inputs_at_the_same_moment_make_one_user(door: Door, root: Person) -> None:
    users, told, _ = await counts(door)
    payloads = await asyncio.gather(*(created(door, root, firstName=f"C{number}") for number in range(20)))
    made = [payload for payload in payloads if not payload["errors"]]
    assert len(made) == 1
    assert [refusals(payload) for payload in payloads if payload["errors"]] == [MISMATCH] * 19
    assert await counts(door) == (users + 1, told + 1, 1)


async def test_the_same_key_of_another_person_is_another_key(door: Door, root: Person, admin: Person) -> None:
    first = await created(door, root)
    taken = await created(door, admin)
    assert refusals(taken) == [("TAKEN", ["username"])]
    second = await created(door, admin, username="caroline", email=None)
    assert (second["user"]["username"], second["errors"]) == ("caroline", [])
    assert await created(door, root) == first


async def test_a_person_has_the_same_keys_by_session_and_by_api_key(door: Door, root: Person) -> None:
    key = {"name": "billing", "permissions": ["users.create", "users.read"]}
    secret = (await door.change("createApiKey", key, "secret", by=root))["secret"]
    first = await created(door, root)
    selection = "user { id username }"
    assert await door.change("createUser", CAROL, selection, by=secret) == {
        "user": {"id": first["user"]["id"], "username": "carol"},
        "errors": [],
    }


async def test_different_keys_make_different_users(door: Door, root: Person) -> None:
    for number in range(3):
        value = {"username": f"carol_{number}", "email": None, "idempotencyKey": f"order-{number}"}
        assert (await created(door, root, **value))["errors"] == []
    assert (await counts(door))[2] == 3


@pytest.mark.parametrize(
    ("change", "code"),
    [({"username": "bob"}, "TAKEN"), ({"password": "12345678"}, "WEAK_PASSWORD"), ({"roleName": "none"}, "NOT_FOUND")],
)
async def test_a_refused_try_does_not_use_the_key_up(
    door: Door, root: Person, change: dict[str, Any], code: str
) -> None:
    refused = await created(door, root, **change)
    assert [error["code"] for error in refused["errors"]] == [code]
    assert (await counts(door))[2] == 0
    mended = await created(door, root)
    assert (mended["user"]["username"], mended["errors"]) == ("carol", [])


async def test_a_repetition_shows_the_user_as_it_is_now(door: Door, root: Person) -> None:
    first = await created(door, root)
    await door.change("updateUser", {"id": first["user"]["id"], "displayName": "Caz"}, "user { id }", by=root)
    again = await created(door, root)
    assert again == {"user": first["user"] | {"displayName": "Caz", "version": 2}, "errors": []}


async def test_a_repetition_after_the_deletion_makes_nobody_anew(door: Door, root: Person) -> None:
    first = await created(door, root)
    await door.change("deleteUser", {"id": first["user"]["id"]}, "deletedId", by=root)
    before = await counts(door)
    again = await created(door, root)
    assert (again["user"], refusals(again)) == (None, [("NOT_FOUND", ["idempotencyKey"])])
    assert await counts(door) == before


async def test_a_key_is_forgotten_after_a_day(door: Door, root: Person) -> None:
    await created(door, root)
    await door.rows("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    async with door.house.database.transaction() as transaction:
        await transaction.run("delete_old_idempotency_keys")
    assert refusals(await created(door, root)) == [("TAKEN", ["username"])]


async def test_nothing_of_a_password_can_be_guessed_from_the_kept_keys(door: Door, root: Person) -> None:
    values = [{"username": f"carol_{number}", "email": None, "password": PASSWORD} for number in range(2)]
    for number, value in enumerate(values):
        await created(door, root, **value, idempotencyKey=f"order-{number}")
    await created(door, root, idempotencyKey="without")
    rows = await door.rows("SELECT t::text AS whole, fingerprint FROM idempotency_keys t")
    columns = await door.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'idempotency_keys'"
    )
    assert {row["column_name"] for row in columns} == {
        *("actor_id", "operation", "key_hash", "fingerprint", "result_id", "created_at")
    }
    assert len({bytes(row["fingerprint"]) for row in rows}) == 3
    dump = "\n".join(row["whole"] for row in rows)
    for text in (
        PASSWORD,
        "order-0",
        "argon2",
        *(hashlib.new(n, PASSWORD.encode()).hexdigest() for n in ("md5", "sha1", "sha256", "sha512")),
    ):
        assert text not in dump


@pytest.mark.parametrize(
    ("key", "code"), [("", "REQUIRED"), ("  ", "REQUIRED"), ("k" * 256, "TOO_LONG"), ("a\nb", "INVALID")]
)
async def test_a_key_has_limits(door: Door, root: Person, key: str, code: str) -> None:
    assert refusals(await created(door, root, idempotencyKey=key)) == [(code, ["idempotencyKey"])]
    assert (await created(door, root, idempotencyKey="k" * 255))["errors"] == []

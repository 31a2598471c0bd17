"""Idempotency keys: a repeated request returns what the first one created, and creates nothing."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import PASSWORD, Client, Person

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


async def created(client: Client, by: Person | str, **value: Any) -> dict[str, Any]:
    """Create Carol with these changes, and return the payload."""
    return await client.mutate("createUser", CAROL | value, SELECTION, by=by)


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the codes and fields of a payload's errors."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def counts(client: Client, name: str = "user") -> tuple[int, int, int]:
    """Return the numbers of objects, of their creations in the audit log, and of stored keys."""
    sources = (f"{name}s", f"audit_events WHERE event = '{name}.create'", "idempotency_keys")
    numbers = [(await client.rows(f"SELECT count(*) FROM {source}"))[0]["count"] for source in sources]  # noqa: S608
    return numbers[0], numbers[1], numbers[2]


@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_the_same_request_twice_creates_one_user(client: Client, root: Person, password: str | None) -> None:
    users, events, _ = await counts(client)
    first = await created(client, root, password=password)
    assert (first["user"]["username"], first["errors"]) == ("carol", [])
    assert await created(client, root, password=password) == first
    assert await counts(client) == (users + 1, events + 1, 1)


@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_the_same_request_at_the_same_moment_creates_one_user(
    client: Client, root: Person, password: str | None
) -> None:
    users, events, _ = await counts(client)
    payloads = await asyncio.gather(*(created(client, root, password=password) for _ in range(20)))
    assert payloads[0]["errors"] == []
    assert payloads == [payloads[0]] * 20
    assert await counts(client) == (users + 1, events + 1, 1)


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
async def test_another_input_with_the_same_key_is_rejected(
    client: Client, root: Person, change: dict[str, Any]
) -> None:
    await created(client, root, password=PASSWORD)
    before = await counts(client)
    payload = await created(client, root, **({"password": PASSWORD} | change))
    assert (payload["user"], problems(payload)) == (None, MISMATCH)
    assert await counts(client) == before


async def test_different_inputs_at_the_same_moment_create_one_user(client: Client, root: Person) -> None:
    users, events, _ = await counts(client)
    payloads = await asyncio.gather(*(created(client, root, firstName=f"C{number}") for number in range(20)))
    assert len([payload for payload in payloads if not payload["errors"]]) == 1
    assert [problems(payload) for payload in payloads if payload["errors"]] == [MISMATCH] * 19
    assert await counts(client) == (users + 1, events + 1, 1)


async def test_the_same_key_of_another_user_is_another_key(client: Client, root: Person, admin: Person) -> None:
    first = await created(client, root)
    taken = await created(client, admin)
    assert problems(taken) == [("TAKEN", ["username"]), ("TAKEN", ["email"])]
    second = await created(client, admin, username="caroline", email=None)
    assert (second["user"]["username"], second["errors"]) == ("caroline", [])
    assert await created(client, root) == first


async def test_a_user_has_the_same_keys_by_session_and_by_api_key(client: Client, root: Person) -> None:
    key = {"name": "billing", "permissions": ["users.create", "users.read"]}
    secret = (await client.mutate("createApiKey", key, "secret", by=root))["secret"]
    first = await created(client, root)
    selection = "user { id username }"
    assert await client.mutate("createUser", CAROL, selection, by=secret) == {
        "user": {"id": first["user"]["id"], "username": "carol"},
        "errors": [],
    }


async def test_different_keys_create_different_users(client: Client, root: Person) -> None:
    for number in range(3):
        value = {"username": f"carol_{number}", "email": None, "idempotencyKey": f"order-{number}"}
        assert (await created(client, root, **value))["errors"] == []
    assert (await counts(client))[2] == 3


@pytest.mark.parametrize(
    ("change", "code"),
    [({"username": "bob"}, "TAKEN"), ({"password": "12345678"}, "WEAK_PASSWORD"), ({"roleName": "none"}, "NOT_FOUND")],
)
async def test_a_rejected_request_does_not_use_the_key(
    client: Client, root: Person, change: dict[str, Any], code: str
) -> None:
    rejected = await created(client, root, **change)
    assert [error["code"] for error in rejected["errors"]] == [code]
    assert (await counts(client))[2] == 0
    corrected = await created(client, root)
    assert (corrected["user"]["username"], corrected["errors"]) == ("carol", [])


async def test_a_repetition_shows_the_user_as_it_is_now(client: Client, root: Person) -> None:
    first = await created(client, root)
    await client.mutate("updateUser", {"id": first["user"]["id"], "displayName": "Caz"}, "user { id }", by=root)
    again = await created(client, root)
    assert again == {"user": first["user"] | {"displayName": "Caz", "version": 2}, "errors": []}


async def test_a_repetition_after_the_deletion_creates_no_user(client: Client, root: Person) -> None:
    first = await created(client, root)
    await client.mutate("deleteUser", {"id": first["user"]["id"]}, "deletedId", by=root)
    before = await counts(client)
    again = await created(client, root)
    message = "The object that this key created no longer exists."
    error = {"code": "NOT_FOUND", "message": message, "field": ["idempotencyKey"]}
    assert again == {"user": None, "errors": [error]}
    assert await counts(client) == before


async def test_a_key_is_deleted_after_a_day(client: Client, root: Person) -> None:
    await created(client, root)
    await client.rows("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
    async with client.resources.database.transaction() as transaction:
        await transaction.run("delete_old_idempotency_keys", most=10)
    assert problems(await created(client, root)) == [("TAKEN", ["username"]), ("TAKEN", ["email"])]


async def test_no_password_can_be_guessed_from_the_stored_keys(client: Client, root: Person) -> None:
    values = [{"username": f"carol_{number}", "email": None, "password": PASSWORD} for number in range(2)]
    for number, value in enumerate(values):
        await created(client, root, **value, idempotencyKey=f"order-{number}")
    await created(client, root, idempotencyKey="without")
    rows = await client.rows("SELECT t::text AS whole, fingerprint FROM idempotency_keys t")
    columns = await client.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'idempotency_keys'"
    )
    assert {row["column_name"] for row in columns} == {
        *("actor_id", "operation", "key_hash", "fingerprint", "result_id", "created_at")
    }
    assert len({bytes(row["fingerprint"]) for row in rows}) == 3
    dump = "\n".join(row["whole"] for row in rows)
    digests = (hashlib.new(name, PASSWORD.encode()).hexdigest() for name in ("md5", "sha1", "sha256", "sha512"))
    for text in (PASSWORD, "order-0", "argon2", *digests):
        assert text not in dump


@pytest.mark.parametrize(("key", "code"), [("", "REQUIRED"), ("k" * 256, "TOO_LONG"), ("a\x00b", "INVALID")])
async def test_a_key_has_limits(client: Client, root: Person, key: str, code: str) -> None:
    assert problems(await created(client, root, idempotencyKey=key)) == [(code, ["idempotencyKey"])]
    assert (await created(client, root, idempotencyKey="k" * 255))["errors"] == []


async def test_a_key_is_taken_as_it_is(client: Client, root: Person) -> None:
    keys = ("k", "K", "k ", " k", "k\u0301", "\u1e31", "  ", "a\nb")
    for number, key in enumerate(keys):
        value = {"username": f"carol_{number}", "email": None, "idempotencyKey": key}
        assert (await created(client, root, **value))["errors"] == []
    assert (await counts(client))[2] == len(keys)


async def test_inputs_with_the_same_normal_form_are_the_same_input(client: Client, root: Person) -> None:
    first = await created(client, root, firstName="Zoë X", externalId="crm-1")
    again = await created(client, root, firstName=" Zoe\u0308\u00a0 X", externalId="crm-1\t")
    assert (first["errors"], again) == ([], first)
    assert problems(await created(client, root, firstName="Zoë x", externalId="crm-1")) == MISMATCH


# What other mutations create: the input, a change that makes it another input, and the selection of the payload.
# `$` stands before the name of an object, in place of its id.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "plan": (
        {"name": "gold", "tier": "PAID", "isDefault": False, "limits": {"ports": 3}},
        {"limits": {"ports": 4}},
        "id name tier isDefault limits { ports }",
    ),
    "role": (
        {"name": "helpers", "permissions": ["users.read", "audit.read"]},
        {"permissions": ["users.read"]},
        "id name permissions",
    ),
    "server": (
        {"name": "web", "ownerId": "$bob", "externalId": "node-1"},
        {"ownerId": "$alice"},
        "id name externalId owner { username }",
    ),
    "subuser": (
        {"serverId": "$server", "email": "new@x.test", "permissions": ["control.start"]},
        {"permissions": ["control.stop"]},
        "id permissions user { id username email }",
    ),
}


@pytest_asyncio.fixture
async def ids(client: Client, people: dict[str, Person], root: Person) -> dict[str, str]:
    """Return the ids of the users and of a server of Alice."""
    value = {"name": "shared", "ownerId": people["alice"].id}
    payload = await client.mutate("createServer", value, "server { id }", by=root)
    return {f"${name}": person.id for name, person in people.items()} | {"$server": payload["server"]["id"]}


async def send(
    client: Client, ids: dict[str, str], by: Person, name: str, change: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Send the mutation that creates the object, with these changes of its input, and return the payload."""
    value, _, fields = CASES[name]
    value = value | {"idempotencyKey": "order-1"} | (change or {})
    value = {field: ids.get(str(item), item) for field, item in value.items()}
    return await client.mutate(f"create{name.title()}", value, f"{name} {{ {fields} }}", by=by)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("at_once", [False, True])
async def test_a_repeated_mutation_creates_one_object(
    client: Client, ids: dict[str, str], root: Person, name: str, *, at_once: bool
) -> None:
    objects, events, keys = await counts(client, name)
    if at_once:
        payloads = await asyncio.gather(*(send(client, ids, root, name) for _ in range(10)))
    else:
        payloads = [await send(client, ids, root, name) for _ in range(3)]
    assert payloads[0]["errors"] == []
    assert payloads == [payloads[0]] * len(payloads)
    rejected = await send(client, ids, root, name, CASES[name][1])
    assert (rejected[name], problems(rejected)) == (None, MISMATCH)
    assert await counts(client, name) == (objects + 1, events + 1, keys + 1)
    users = await client.rows("SELECT id FROM users WHERE email = 'new@x.test'")
    assert len(users) == (name == "subuser")


@pytest.mark.parametrize("name", CASES)
async def test_different_inputs_at_the_same_moment_create_one_object(
    client: Client, ids: dict[str, str], root: Person, name: str
) -> None:
    before = await counts(client, name)
    inputs = [{}, CASES[name][1]] * 5
    payloads = await asyncio.gather(*(send(client, ids, root, name, change) for change in inputs))
    successful = [payload for payload in payloads if not payload["errors"]]
    assert successful == [successful[0]] * 5
    assert [problems(payload) for payload in payloads if payload["errors"]] == [MISMATCH] * 5
    assert (await counts(client, name))[0] == before[0] + 1


async def test_every_mutation_has_keys_of_its_own(client: Client, ids: dict[str, str], root: Person) -> None:
    first = [await send(client, ids, root, name) for name in CASES]
    assert [payload["errors"] for payload in first] == [[]] * len(CASES)
    assert [await send(client, ids, root, name) for name in CASES] == first
    assert (await created(client, root, idempotencyKey="order-1"))["errors"] == []
    assert (await counts(client))[2] == len(CASES) + 1


async def test_a_rejected_mutation_does_not_use_the_key(client: Client, ids: dict[str, str], root: Person) -> None:
    unknown = "00000000-0000-7000-8000-00000000ffff"
    wrong = {"plan": {"name": ""}, "role": {"name": "root"}, "server": {"ownerId": unknown}, "subuser": {"email": "x"}}
    for name, change in wrong.items():
        assert (await send(client, ids, root, name, change))[name] is None
    assert (await counts(client))[2] == 0
    for name in CASES:
        assert (await send(client, ids, root, name))["errors"] == []

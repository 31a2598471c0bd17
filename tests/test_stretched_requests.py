"""A request that takes long does not outlive its credential: each write is judged as things stand then."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.conftest import PASSWORD, Door, Person

WRONG = 'mutation { login(input: {login: "alice", password: "wrong password"}) { errors { code } } }'
CREATE = 'mutation { createUser(input: {username: "evil"}) { user { id } errors { code } } }'


async def batch(door: Door, token: str, *documents: str) -> list[dict[str, Any]]:
    body = [{"query": document} for document in documents]
    response = await door.http.post("/graphql", json=body, headers={"authorization": f"Bearer {token}"})
    answers: list[dict[str, Any]] = response.json()
    return answers


def codes(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["errors"][0]["extensions"]["code"] if "errors" in answer else "ok" for answer in answers]


@pytest.mark.parametrize(
    ("field", "code"),
    [("suspendUser", "USER_SUSPENDED"), ("deleteUser", "UNAUTHENTICATED"), ("setPassword", "UNAUTHENTICATED")],
)
async def test_a_batch_writes_nothing_once_its_caller_is_out(
    door: Door, root: Person, admin: Person, field: str, code: str
) -> None:
    value = {"userId": admin.id, "password": f"another {PASSWORD}"} if field == "setPassword" else {"id": admin.id}
    selection = "deletedId" if field == "deleteUser" else "user { id }"
    held = door.house.hasher

    async def slow_login() -> None:
        # The first member of the batch waits for its hash while the caller is thrown out
        await door.change(field, value, selection, by=root)

    verify = held.verify

    async def verify_late(*arguments: Any) -> bool:
        await slow_login()
        return bool(await verify(*arguments))

    held.verify = verify_late
    answers = await batch(door, admin.token, WRONG, CREATE)
    held.verify = verify
    assert codes(answers) == ["ok", code]
    assert await door.rows("SELECT id FROM users WHERE username = 'evil'") == []


async def test_a_role_that_was_taken_counts_no_more_in_the_same_batch(door: Door, root: Person, admin: Person) -> None:
    role = "00000000-0000-7000-8000-000000000001"
    demote = f'mutation {{ updateUser(input: {{id: "{admin.id}", roleId: "{role}"}}) {{ errors {{ code }} }} }}'
    assert codes(await batch(door, admin.token, demote, CREATE)) == ["ok", "FORBIDDEN"]
    assert root


async def test_a_request_holds_three_logins_also_by_aliases_and_batches(door: Door, alice: Person) -> None:
    aliases = " ".join(
        f'l{n}: login(input: {{login: "alice", password: "wrong password"}}) {{ errors {{ code }} }}' for n in range(5)
    )
    answer = await door.ask(f"mutation {{ {aliases} }}")
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"RATE_LIMITED"}
    assert codes(await batch(door, alice.token, *[WRONG] * 5)) == ["ok", "ok", "ok", "RATE_LIMITED", "RATE_LIMITED"]


async def test_one_address_fills_a_part_of_the_queue_only(door: Door) -> None:
    hasher = door.house.hasher
    waiting = [asyncio.create_task(hasher.verify(None, "x", "192.0.2.9")) for _ in range(128)]
    await asyncio.sleep(0)
    login = {"login": "alice", "password": PASSWORD}
    document = "mutation ($i: LoginInput!) { login(input: $i) { token } }"
    assert "errors" not in await door.ask(document, {"i": login})
    with pytest.raises(Exception, match="from this address"):
        await asyncio.gather(*(hasher.verify(None, "x", "192.0.2.9") for _ in range(200)))
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_nobody_without_an_account_asks_for_much(door: Door, root: Person) -> None:
    fields = " ".join(f"a{n}: name" for n in range(160))
    members = " ".join(f"p{n}: permissionCatalog {{ ...F }}" for n in range(60))
    document = f"{{ {members} }} fragment F on PermissionInfo {{ {fields} }}"
    assert codes([await door.ask(document)]) == ["QUERY_TOO_COMPLEX"]
    page = {"query": "{ users(first: 100) { nodes { sessions(first: 100) { nodes { id ip user { id } } } } } }"}
    response = await door.http.post("/graphql", json=[page] * 6, headers={"authorization": f"Bearer {root.token}"})
    assert codes(response.json())[0] == "ok"
    assert codes(response.json())[-1] == "QUERY_TOO_COMPLEX"


async def test_a_thing_asked_for_again_and_again_is_refused_before_it_is_validated(door: Door) -> None:
    assert codes([await door.ask("{ " + "me { id } " * 60 + "}")]) == ["QUERY_TOO_COMPLEX"]
    assert codes(
        [
            await door.ask(
                "{ ...F ...G } " + "".join(f"fragment {name} on Query {{ {'__typename ' * 30} }} " for name in "FG")
            )
        ]
    ) == ["QUERY_TOO_COMPLEX"]


async def test_headers_have_a_limit(door: Door) -> None:
    large = await door.http.post("/graphql", json={"query": "{ __typename }"}, headers={"x-large": "a" * 70_000})
    assert (large.status_code, codes([large.json()])) == (431, ["BAD_USER_INPUT"])
    many = {f"x-{n}": "a" for n in range(120)}
    assert (await door.http.post("/graphql", json={"query": "{ __typename }"}, headers=many)).status_code == 431


SECRET = "walrus-in-the-wrong-place"


@pytest.mark.parametrize(
    "value",
    [
        {"username": "carol", "password": SECRET, "emial": "x"},
        {"password": SECRET},
        {"username": "carol", "password": [SECRET]},
        {"username": {"a": SECRET}},
        SECRET,
    ],
)
async def test_an_answer_does_not_repeat_what_does_not_fit(door: Door, root: Person, value: Any) -> None:
    document = "mutation ($i: CreateUserInput!) { createUser(input: $i) { errors { code } } }"
    answer = await door.ask(document, {"i": value}, by=root)
    assert codes([answer]) == ["BAD_USER_INPUT"]
    assert SECRET not in str(answer)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"])
async def test_a_moment_that_the_database_takes_for_infinity_is_refused(
    door: Door, root: Person, alice: Person, moment: str
) -> None:
    document = "mutation ($i: SuspendUserInput!) { suspendUser(input: $i) { user { suspended } } }"
    assert codes([await door.ask(document, {"i": {"id": alice.id, "until": moment}}, by=root)]) == ["BAD_USER_INPUT"]

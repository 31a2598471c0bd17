"""Several operations in one request: answered in their order, on one set of loaders."""

from __future__ import annotations

from typing import Any

import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Door, Person

USER = "query ($id: ID!) { user(by: {id: $id}) { username } }"
HELLO = {"query": "{ __typename }"}
LOGIN = f'mutation {{ login(input: {{login: "alice", password: "{PASSWORD}"}}) {{ token errors {{ code }} }} }}'
PROFILE = "mutation ($name: String) { updateProfile(input: {firstName: $name}) { user { firstName version } } }"
MODERN = "application/graphql-response+json"


async def batch(door: Door, *members: Any, by: Person | None = None, accept: str = MODERN) -> Any:
    """The answers to a batch, which is always answered with 200."""
    headers = {"accept": accept} | ({"authorization": f"Bearer {by.token}"} if by else {})
    response = await door.http.post("/graphql", json=list(members), headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (200, f"{accept}; charset=utf-8")
    return response.json()


@pytest.mark.parametrize("accept", [MODERN, "application/json"])
async def test_answers_stand_in_the_order_of_the_questions(door: Door, accept: str, alice: Person) -> None:
    members = [{"query": f"{{ a{number}: __typename }}"} for number in range(5)] + [{"query": "{ me { username } }"}]
    answers = await batch(door, *members, by=alice, accept=accept)
    assert answers == [{"data": {f"a{number}": "Query"}} for number in range(5)] + [
        {"data": {"me": {"username": "alice"}}}
    ]


async def test_a_batch_of_one_is_answered_with_a_list(door: Door) -> None:
    assert await batch(door, HELLO) == [{"data": {"__typename": "Query"}}]


async def test_members_fail_alone(door: Door) -> None:
    hash_only = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}
    wrong = [{"query": "{"}, {"query": "{ nope }"}, {}, {"query": 1}, hash_only, HELLO | {"variables": "x"}]
    answers = await batch(door, HELLO, *wrong, {"query": "{ roles { id } }"}, HELLO)
    assert answers[0] == answers[-1] == {"data": {"__typename": "Query"}}
    assert [set(answer) for answer in answers[1:-2]] == [{"errors"}] * 6
    assert [answer["errors"][0]["extensions"]["code"] for answer in answers[1:-1]] == [
        *["BAD_USER_INPUT"] * 4,
        "PERSISTED_QUERY_NOT_SUPPORTED",
        "BAD_USER_INPUT",
        "UNAUTHENTICATED",
    ]
    assert answers[5]["errors"][0]["message"] == "PersistedQueryNotSupported"


@pytest.mark.parametrize("size", [0, 21])
async def test_a_batch_has_a_limit(door: Door, size: int) -> None:
    response = await door.http.post("/graphql", json=[HELLO] * size)
    error = {"message": "A batch may hold 1 to 20 operations", "extensions": {"code": "QUERY_TOO_COMPLEX", "limit": 20}}
    assert (response.status_code, response.json()) == (400, {"errors": [error]})


class TestSmallBatches:
    """The operator sets the limit."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(batch_limit=2)

    async def test_the_limit_is_a_setting(self, door: Door) -> None:
        assert len(await batch(door, HELLO, HELLO)) == 2
        assert (await door.http.post("/graphql", json=[HELLO] * 3)).status_code == 400


async def test_ten_members_share_their_statements(door: Door, root: Person, people: dict[str, Person]) -> None:
    users = list(people.values()) * 2
    members = [{"query": USER, "variables": {"id": person.id}} for person in users]
    before = door.reads
    answers = await batch(door, *members, by=root)
    assert answers == [{"data": {"user": {"username": person.username}}} for person in users]
    assert door.reads - before == 2  # who asks, and whom they ask for


async def test_ten_members_share_the_statements_of_every_level(
    door: Door, root: Person, people: dict[str, Person]
) -> None:
    query = "query ($id: ID!) { user(by: {id: $id}) { role { name } sessions(first: 5) { totalCount nodes { id } } } }"
    members = [{"query": query, "variables": {"id": person.id}} for person in people.values()] * 2
    before = door.reads
    answers = await batch(door, *members, by=root)
    assert [answer["data"]["user"]["sessions"]["totalCount"] for answer in answers] == [1] * 10
    assert door.reads - before == 5  # who asks, users, roles, sessions, their count


async def test_mutations_run_one_after_the_other(door: Door, alice: Person) -> None:
    version = (await door.data("{ me { version } }", by=alice))["me"]["version"]
    me = {"query": "{ me { firstName } }"}
    names = [{"query": PROFILE, "variables": {"name": name}} for name in ("Ann", "Bea", "Cyd")]
    answers = await batch(door, me, names[0], me, names[1], {"query": "{"}, names[2], me, by=alice)
    assert [answer.get("data") for answer in answers] == [
        {"me": {"firstName": None}},
        {"updateProfile": {"user": {"firstName": "Ann", "version": version + 1}}},
        {"me": {"firstName": "Ann"}},
        {"updateProfile": {"user": {"firstName": "Bea", "version": version + 2}}},
        None,
        {"updateProfile": {"user": {"firstName": "Cyd", "version": version + 3}}},
        {"me": {"firstName": "Cyd"}},
    ]


async def test_who_signs_in_is_known_to_the_members_behind(door: Door) -> None:
    me = {"query": "{ me { username } }"}
    before, login, after = await batch(door, me, {"query": LOGIN}, me)
    assert (before, after) == ({"data": {"me": None}}, {"data": {"me": {"username": "alice"}}})
    assert await door.data("{ me { username } }", by=login["data"]["login"]["token"]) == after["data"]


async def test_who_signs_out_is_gone_for_the_members_behind(door: Door, alice: Person) -> None:
    me, logout = {"query": "{ me { username } }"}, {"query": "mutation { logout { endedSessions } }"}
    answers = await batch(door, me, logout, me, {"query": PROFILE, "variables": {"name": "Ghost"}}, by=alice)
    assert answers[:3] == [
        {"data": {"me": {"username": "alice"}}},
        {"data": {"logout": {"endedSessions": 1}}},
        {"data": {"me": None}},
    ]
    assert answers[3]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_member_that_fails_inside_leaves_the_others_alone(door: Door, alice: Person) -> None:
    await door.rows("ALTER TABLE plans RENAME TO lost")
    answers = await batch(door, HELLO, {"query": "{ plans { id } }"}, {"query": "{ me { username } }"}, by=alice)
    assert (answers[0], answers[2]) == ({"data": {"__typename": "Query"}}, {"data": {"me": {"username": "alice"}}})
    assert answers[1]["errors"][0]["extensions"]["code"] == "INTERNAL"


async def test_the_operation_of_each_member_is_chosen_by_its_name(door: Door) -> None:
    query = "query A { a: __typename } query B { b: __typename }"
    answers = await batch(door, *({"query": query, "operationName": name} for name in ("B", "A")))
    assert answers == [{"data": {"b": "Query"}}, {"data": {"a": "Query"}}]

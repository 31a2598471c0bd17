"""Several operations in one request, and several mutations in one document: their order, loaders, and failures."""

from __future__ import annotations

from typing import Any

import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person

USER = "query ($id: ID!) { user(by: {id: $id}) { username } }"
HELLO = {"query": "{ __typename }"}
LOGIN = f'mutation {{ login(input: {{login: "alice", password: "{PASSWORD}"}}) {{ token errors {{ code }} }} }}'
PROFILE = "mutation ($name: String) { updateProfile(input: {firstName: $name}) { user { firstName version } } }"
MODERN = "application/graphql-response+json"


async def batch(client: Client, *operations: Any, by: Person | None = None, accept: str = MODERN) -> Any:
    """Return the responses to a batch, whose status is always 200."""
    headers = {"accept": accept} | ({"authorization": f"Bearer {by.token}"} if by else {})
    response = await client.http.post("/graphql", json=list(operations), headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (200, f"{accept}; charset=utf-8")
    return response.json()


@pytest.mark.parametrize("accept", [MODERN, "application/json"])
async def test_responses_have_the_order_of_the_operations(client: Client, accept: str, alice: Person) -> None:
    operations = [{"query": f"{{ a{number}: __typename }}"} for number in range(5)] + [{"query": "{ me { username } }"}]
    answers = await batch(client, *operations, by=alice, accept=accept)
    assert answers == [{"data": {f"a{number}": "Query"}} for number in range(5)] + [
        {"data": {"me": {"username": "alice"}}}
    ]


async def test_the_response_to_a_batch_of_one_is_a_list(client: Client) -> None:
    assert await batch(client, HELLO) == [{"data": {"__typename": "Query"}}]


async def test_an_operation_that_fails_leaves_the_others_alone(client: Client) -> None:
    hash_only = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}}
    wrong = [{"query": "{"}, {"query": "{ nope }"}, {}, {"query": 1}, hash_only, HELLO | {"variables": "x"}]
    answers = await batch(client, HELLO, *wrong, {"query": "{ roles { id } }"}, HELLO)
    assert answers[0] == answers[-1] == {"data": {"__typename": "Query"}}
    assert [set(answer) for answer in answers[1:-2]] == [{"errors"}] * 6
    assert [answer["errors"][0]["extensions"]["code"] for answer in answers[1:-1]] == [
        *["BAD_USER_INPUT"] * 4,
        "PERSISTED_QUERY_NOT_FOUND",
        "BAD_USER_INPUT",
        "UNAUTHENTICATED",
    ]
    assert answers[5]["errors"][0]["message"] == "PersistedQueryNotFound"


@pytest.mark.parametrize("size", [0, 21])
async def test_a_batch_has_a_limit(client: Client, size: int) -> None:
    response = await client.http.post("/graphql", json=[HELLO] * size)
    error = {
        "message": "A batch must have 1 to 20 operations.",
        "extensions": {"code": "QUERY_TOO_COMPLEX", "limit": 20},
    }
    assert (response.status_code, response.json()) == (400, {"errors": [error]})


class TestSmallBatches:
    """A service whose operator allows two operations."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(batch_limit=2)

    async def test_the_limit_is_a_setting(self, client: Client) -> None:
        assert len(await batch(client, HELLO, HELLO)) == 2
        assert (await client.http.post("/graphql", json=[HELLO] * 3)).status_code == 400


async def test_ten_operations_share_their_statements(client: Client, root: Person, people: dict[str, Person]) -> None:
    users = list(people.values()) * 2
    operations = [{"query": USER, "variables": {"id": person.id}} for person in users]
    before = client.reads
    answers = await batch(client, *operations, by=root)
    assert answers == [{"data": {"user": {"username": person.username}}} for person in users]
    assert client.reads - before == 2  # the caller, and the users


async def test_ten_operations_share_the_statements_of_every_level(
    client: Client, root: Person, people: dict[str, Person]
) -> None:
    query = "query ($id: ID!) { user(by: {id: $id}) { role { name } sessions(first: 5) { totalCount nodes { id } } } }"
    operations = [{"query": query, "variables": {"id": person.id}} for person in people.values()] * 2
    before = client.reads
    answers = await batch(client, *operations, by=root)
    assert [answer["data"]["user"]["sessions"]["totalCount"] for answer in answers] == [1] * 10
    assert client.reads - before == 5  # the caller, users, roles, sessions, their count


async def test_mutations_run_one_after_the_other(client: Client, alice: Person) -> None:
    version = (await client.data("{ me { version } }", by=alice))["me"]["version"]
    me = {"query": "{ me { firstName } }"}
    names = [{"query": PROFILE, "variables": {"name": name}} for name in ("Ann", "Bea", "Cyd")]
    answers = await batch(client, me, names[0], me, names[1], {"query": "{"}, names[2], me, by=alice)
    assert [answer.get("data") for answer in answers] == [
        {"me": {"firstName": None}},
        {"updateProfile": {"user": {"firstName": "Ann", "version": version + 1}}},
        {"me": {"firstName": "Ann"}},
        {"updateProfile": {"user": {"firstName": "Bea", "version": version + 2}}},
        None,
        {"updateProfile": {"user": {"firstName": "Cyd", "version": version + 3}}},
        {"me": {"firstName": "Cyd"}},
    ]


async def test_later_operations_have_the_caller_who_signed_in(client: Client) -> None:
    me = {"query": "{ me { username } }"}
    before, login, after = await batch(client, me, {"query": LOGIN}, me)
    assert (before, after) == ({"data": {"me": None}}, {"data": {"me": {"username": "alice"}}})
    assert await client.data("{ me { username } }", by=login["data"]["login"]["token"]) == after["data"]


async def test_later_operations_have_no_caller_after_a_logout(client: Client, alice: Person) -> None:
    me, logout = {"query": "{ me { username } }"}, {"query": "mutation { logout { endedSessions } }"}
    answers = await batch(client, me, logout, me, {"query": PROFILE, "variables": {"name": "Ghost"}}, by=alice)
    assert answers[:3] == [
        {"data": {"me": {"username": "alice"}}},
        {"data": {"logout": {"endedSessions": 1}}},
        {"data": {"me": None}},
    ]
    assert answers[3]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_internal_error_of_an_operation_leaves_the_others_alone(client: Client, alice: Person) -> None:
    await client.rows("ALTER TABLE plans RENAME TO lost")
    answers = await batch(client, HELLO, {"query": "{ plans { id } }"}, {"query": "{ me { username } }"}, by=alice)
    assert (answers[0], answers[2]) == ({"data": {"__typename": "Query"}}, {"data": {"me": {"username": "alice"}}})
    assert answers[1]["errors"][0]["extensions"]["code"] == "INTERNAL"


async def test_each_document_runs_the_operation_that_is_named_for_it(client: Client) -> None:
    query = "query A { a: __typename } query B { b: __typename }"
    answers = await batch(client, *({"query": query, "operationName": name} for name in ("B", "A")))
    assert answers == [{"data": {"b": "Query"}}, {"data": {"a": "Query"}}]


async def document(client: Client, mutations: str, by: Person) -> dict[str, Any]:
    """Return the response to a document of several mutations, without the locations of its errors."""
    answer = await client.execute(f"mutation {{ {mutations} }}", by=by)
    for error in answer["errors"]:
        assert error.pop("locations")
    return answer


async def test_a_mutation_that_fails_leaves_the_others_of_its_document_alone(
    client: Client, root: Person, bob: Person
) -> None:
    plans = {name: f'{name}: createPlan(input: {{name: "{name}", tier: FREE}}) {{ plan {{ name }} }}' for name in "ac"}
    delete = f'b: deleteUser(input: {{id: "{bob.id}"}}) {{ deletedId errors {{ code }} }}'
    await client.rows("UPDATE sessions SET authenticated_at = now() - interval '1 hour'")
    answer = await document(client, f"{plans['a']} {delete} {plans['c']}", root)
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]) == (["b"], {"code": "REAUTH_REQUIRED"})
    assert answer["data"] == {"a": {"plan": {"name": "a"}}, "b": None, "c": {"plan": {"name": "c"}}}
    assert list(answer["data"]) == ["a", "b", "c"]
    assert await client.data("{ plans { name } }", by=root) == {"plans": [{"name": "a"}, {"name": "c"}]}
    assert len(await client.rows("SELECT FROM users WHERE username = 'bob'")) == 1


async def test_a_new_api_key_keeps_its_secret_if_another_mutation_fails(client: Client, root: Person) -> None:
    await client.rows("ALTER TABLE plans RENAME TO lost")
    plan = 'b: createPlan(input: {name: "b", tier: FREE}) { plan { name } }'
    key = '{}: createApiKey(input: {{name: "{}", permissions: ["account.read"]}}) {{ secret errors {{ code }} }}'
    answer = await document(client, f"{key.format('a', 'a')} {plan} {key.format('c', 'c')}", root)
    assert (answer["data"]["b"], [error["path"] for error in answer["errors"]]) == (None, [["b"]])
    for name in ("a", "c"):
        assert answer["data"][name]["errors"] == []
        assert await client.data("{ me { id } }", by=answer["data"][name]["secret"]) == {"me": {"id": root.id}}


async def test_an_internal_error_of_a_mutation_leaves_the_others_alone(client: Client, root: Person) -> None:
    await client.rows("ALTER TABLE plans RENAME TO lost")
    plan = 'b: createPlan(input: {name: "b", tier: FREE}) { plan { name } }'
    names = {name: f'{name}: updateProfile(input: {{lastName: "{name}"}}) {{ user {{ lastName }} }}' for name in "ac"}
    answer = await document(client, f"{names['a']} {plan} {names['c']}", root)
    assert answer["data"] == {"a": {"user": {"lastName": "a"}}, "b": None, "c": {"user": {"lastName": "c"}}}
    assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [(["b"], "INTERNAL")]
    assert await client.data("{ me { lastName } }", by=root) == {"me": {"lastName": "c"}}

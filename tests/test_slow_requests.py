"""Long and expensive requests: authority is checked again before each write, and every request has limits."""

from __future__ import annotations

from typing import Any

import pytest

from service import limits
from service.operations import documents
from tests.conftest import PASSWORD, Client, Person

WRONG = 'mutation { login(input: {login: "alice", password: "wrong password"}) { errors { code } } }'
CREATE = 'mutation { createUser(input: {username: "evil"}) { user { id } errors { code } } }'
SECRET = "walrus-in-the-wrong-place"


async def batch(client: Client, token: str, *documents: str) -> list[dict[str, Any]]:
    body = [{"query": document} for document in documents]
    response = await client.http.post("/graphql", json=body, headers={"authorization": f"Bearer {token}"})
    answers: list[dict[str, Any]] = response.json()
    return answers


def codes(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["errors"][0]["extensions"]["code"] if "errors" in answer else "ok" for answer in answers]


@pytest.fixture(autouse=True)
def _no_pauses() -> None:
    """Divide the work, which other tests do not."""


@pytest.mark.parametrize(
    ("field", "code"),
    [("suspendUser", "USER_SUSPENDED"), ("deleteUser", "UNAUTHENTICATED"), ("setPassword", "UNAUTHENTICATED")],
)
async def test_a_batch_stops_writing_when_its_caller_loses_access(
    client: Client, root: Person, admin: Person, field: str, code: str
) -> None:
    value = {"userId": admin.id, "password": f"another {PASSWORD}"} if field == "setPassword" else {"id": admin.id}
    selection = "deletedId" if field == "deleteUser" else "user { id }"
    hasher = client.resources.hasher
    verify = hasher.verify

    async def verify_late(*arguments: Any) -> bool:
        # The caller loses access while the first operation of the batch waits for its hash
        assert (await client.mutate(field, value, selection, by=root))["errors"] == []
        return bool(await verify(*arguments))

    hasher.verify = verify_late
    answers = await batch(client, admin.token, WRONG, CREATE)
    hasher.verify = verify
    assert codes(answers) == ["ok", code]
    assert await client.rows("SELECT id FROM users WHERE username = 'evil'") == []


async def test_a_removed_role_no_longer_counts_in_the_same_batch(client: Client, admin: Person) -> None:
    role = "00000000-0000-7000-8000-000000000001"
    demote = f'mutation {{ updateUser(input: {{id: "{admin.id}", roleId: "{role}"}}) {{ errors {{ code }} }} }}'
    answers = await batch(client, admin.token, demote, CREATE)
    assert codes(answers) == ["ok", "FORBIDDEN"]
    assert answers[0]["data"] == {"updateUser": {"errors": []}}
    assert await client.rows("SELECT id FROM users WHERE username = 'evil'") == []


async def test_anonymous_requests_have_a_lower_limit(client: Client, root: Person) -> None:
    fields = " ".join(f"a{n}: name" for n in range(160))
    members = " ".join(f"p{n}: permissionCatalog {{ ...F }}" for n in range(60))
    document = f"{{ {members} }} fragment F on PermissionInfo {{ {fields} }}"
    assert codes([await client.execute(document)]) == ["QUERY_TOO_COMPLEX"]
    page = {"query": "{ users(first: 100) { nodes { sessions(first: 20) { nodes { id ip user { id } } } } } }"}
    response = await client.http.post("/graphql", json=[page] * 6, headers={"authorization": f"Bearer {root.token}"})
    assert codes(response.json())[0] == "ok"
    assert codes(response.json())[-1] == "QUERY_TOO_COMPLEX"


async def test_repeated_selections_are_rejected_before_validation(client: Client) -> None:
    assert codes([await client.execute("{ " + "me { id } " * 60 + "}")]) == ["QUERY_TOO_COMPLEX"]
    assert codes(
        [
            await client.execute(
                "{ ...F ...G } " + "".join(f"fragment {name} on Query {{ {'__typename ' * 30} }} " for name in "FG")
            )
        ]
    ) == ["QUERY_TOO_COMPLEX"]


@pytest.mark.parametrize(
    ("value", "paths"),
    [
        ({"username": "carol", "password": SECRET, "emial": "x"}, [["i"]]),
        ({"password": SECRET}, [["i"]]),
        ({"username": "carol", "password": [SECRET]}, [["i", "password"]]),
        ({"username": {"a": SECRET}}, [["i", "username"]]),
        (
            {"username": {"a": SECRET}, "password": 7, "tier": SECRET},
            [["i", "password"], ["i", "tier"], ["i", "username"]],
        ),
        (SECRET, [["i"]]),
    ],
)
async def test_an_error_does_not_contain_the_value_that_does_not_fit(
    client: Client, root: Person, value: Any, paths: list[list[str]]
) -> None:
    document = "mutation ($i: CreateUserInput!) { createUser(input: $i) { errors { code } } }"
    answer = await client.execute(document, {"i": value}, by=root)
    [error] = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert sorted(problem["path"] for problem in error["extensions"]["problems"]) == paths
    assert SECRET not in str(answer)


@pytest.mark.parametrize("moment", ["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00Z"])
async def test_a_time_that_the_database_reads_as_infinity_is_rejected(
    client: Client, root: Person, alice: Person, moment: str
) -> None:
    document = "mutation ($i: SuspendUserInput!) { suspendUser(input: $i) { user { suspended } } }"
    answer = await client.execute(document, {"i": {"id": alice.id, "until": moment}}, by=root)
    assert codes([answer]) == ["BAD_USER_INPUT"]
    assert [problem["path"] for problem in answer["errors"][0]["extensions"]["problems"]] == [["i", "until"]]


async def test_a_document_has_a_limit_of_lines(client: Client) -> None:
    for separator in ("\n", "\r", "\r\n"):
        text = "{ __typename }" + separator * (documents.MOST_LINES // len(separator))
        assert await client.data(text) == {"__typename": "Query"}
        [error] = (await client.execute(text + separator))["errors"]
        assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "limit": documents.MOST_LINES}


async def test_all_lists_of_the_variables_together_have_a_limit(client: Client, root: Person) -> None:
    names = [f"v{number}" for number in range(11)]
    declared, fields = (
        " ".join(f"${name}: [ID!]" for name in names),
        " ".join(f"{name}: users(filter: {{ids: ${name}}}) {{ nodes {{ id }} }}" for name in names),
    )
    text, ids = f"query ({declared}) {{ {fields} }}", [root.id] * limits.LIST_ITEMS
    answer = await client.execute(text, dict.fromkeys(names[:10], ids), by=root)
    assert {error["extensions"].get("argument") for error in answer["errors"]} == {"filter"}
    [error] = (await client.execute(text, dict.fromkeys(names, ids), by=root))["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "limit": limits.REQUEST_ITEMS}


async def test_the_texts_of_kept_documents_have_a_limit(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "KEPT_CHARACTERS", 1_000)
    kept = client.app.state.endpoint._engine._documents._kept  # noqa: SLF001
    popular = "{ popular: __typename }"
    for number in range(100):
        assert await client.data(f"{{ a{number}: __typename }}") == {f"a{number}": "Query"}
        assert await client.data(popular) == {"popular": "Query"}
        assert sum(map(len, kept)) <= 1_000
    assert popular in kept
    assert 20 < len(kept) < 100

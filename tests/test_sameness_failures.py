"""Fields that fail or are denied have the same answers in both executors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from service.compiler.kinds import ENTITIES, Computed
from tests.conftest import Person
from tests.document_values import MISSING_ID
from tests.documents import Document
from tests.sameness import Answer, exact
from tests.sameness_data import Pair, opened_pair

ID = f'"{MISSING_ID}"'
# A computed field that is nullable, one that is not, and two that need a related row
FAILING = (("User", "avatar_url"), ("User", "display_name"), ("User", "permissions"), ("User", "limits"))
# Each error has one possible cause, so that every executor must report the same
FAILURES = {
    "nullable": "{ me { avatarUrl again: avatarUrl id } }",
    "not nullable": "{ me { id displayName } }",
    "with a related row": "{ me { permissions limits { servers } username } }",
    "in a list": "{ users(first: 3) { nodes { id avatarUrl } } }",
    "not nullable in a list": "{ roles { name users(first: 1) { nodes { displayName } } } }",
    "in items that may be null": "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on User { displayName } } }",
    "through fragments": "{ me { ...A ...A } } fragment A on User { ...B avatarUrl } "
    "fragment B on Node { ... on User { avatarUrl } }",
    "at two levels": "{ servers { nodes { owner { avatarUrl servers(first: 1) { nodes { owner { displayName } "
    "} } } } } }",
    "in a payload": "mutation { updateSettings(input: {patch: {}}) { user { displayName } errors { code } } }",
}
DAMAGES = {
    "null in a list of columns": "{ users { nodes { apiKeys { nodes { id permissions } } } } }",
    "null column": "{ servers { totalCount nodes { id name } } }",
    "null column of one root list": "{ roles { id requireTwoFactor } plans { id } }",
    "null column of a node": "query ($ids: [ID!]!) { nodes(ids: $ids) { id ... on User { twoFactorEnabled } } }",
    "value of another type": "{ users { nodes { id limits { servers } plan { limits { servers } } } } }",
    "member of a jsonb value": "{ users { nodes { id billingAddress { city country } } } }",
    "computation": "{ users { nodes { id isChildAccount } } }",
    "required row that is missing": "{ servers { nodes { id owner { id } } } }",
    "nested page": "{ users { nodes { username sessions { edges { cursor node { createdAt } } } } } }",
}
REJECTIONS = {
    "denied mutation": "mutation { a: updateSettings(input: {patch: {}}) { errors { code } } logout @skip(if: true) "
    f"{{ endedSessions }} deleteRole(input: {{id: {ID}}}) {{ deletedId }} }}",
    "denied root field": "{ auditEvents { totalCount } me { id } }",
    "denied in rows": "{ users { nodes { username email apiKeys { totalCount } again: apiKeys { totalCount } } } }",
    "denied twice": "{ users { nodes { apiKeys { totalCount } ...F } } } "
    "fragment F on User { apiKeys { nodes { id } } }",
    "hidden": "query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Role { name } ... on ApiKey { name } } }",
    "wrong cursor in rows": '{ roles { name users(after: "x") { totalCount } } }',
    "wrong size": "{ users(first: 101) { nodes { id } } servers(first: 1, last: 1) { totalCount } }",
    "null for an argument": f"query ($id: ID = {ID}) {{ node(id: $id) {{ id }} me {{ id }} }}",
    "wrong variable": "query ($first: Int) { users(first: $first) { totalCount } }",
    "unknown field": "{ me { nothing } }",
    "too many objects": "{ users(first: 100) { nodes { servers(first: 100) { nodes { subusers(first: 100) { totalCount "
    "nodes { id } } } } } } }",
}


@pytest_asyncio.fixture(scope="module")
async def sound(server_url: str, people: dict[str, Person]) -> AsyncIterator[Pair]:
    """Return a pair on data as the service stores it."""
    async with opened_pair(server_url, people) as pair:
        yield pair


@pytest_asyncio.fixture(scope="module")
async def damaged(server_url: str, people: dict[str, Person]) -> AsyncIterator[Pair]:
    """Return a pair on data that the service could not store, so that fields fail."""
    async with opened_pair(server_url, people, damaged=True) as pair:
        yield pair


@pytest.fixture
def failing() -> Iterator[None]:
    """Let computed fields raise an error."""
    kinds = [kind for name, field in FAILING if isinstance(kind := ENTITIES[name].kinds[field], Computed)]
    assert len(kinds) == len(FAILING)
    originals = [kind.function for kind in kinds]

    def fail(*values: Any) -> Any:
        raise RuntimeError(f"failed for {values}")

    for kind in kinds:
        object.__setattr__(kind, "function", fail)
    try:
        yield
    finally:
        for kind, original in zip(kinds, originals, strict=True):
            object.__setattr__(kind, "function", original)


async def check(pair: Pair, text: str, caller: str) -> tuple[Answer, Answer]:
    """Return both answers to a document, which must be the same."""
    ids = [each for found in pair.known.ids.values() for each in found[:3]]
    values = {"ids": ids, "id": None, "first": "x"}
    variables = {name: value for name, value in values.items() if f"${name}:" in text}
    return await pair.compare(Document(text, None, variables), caller)


@pytest.mark.usefixtures("failing")
@pytest.mark.parametrize("name", FAILURES)
async def test_a_computation_fails_in_the_same_way(sound: Pair, name: str) -> None:
    executed, compiled = await check(sound, FAILURES[name], "root")
    assert executed["errors"]
    assert exact(executed, compiled), compiled["errors"]


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_row_fails_in_the_same_way(damaged: Pair, name: str) -> None:
    executed, _compiled = await check(damaged, DAMAGES[name], "root")
    assert executed["errors"]


@pytest.mark.parametrize("caller", ["anonymous", "user", "dora", "dora-key", "sam"])
@pytest.mark.parametrize("name", REJECTIONS)
async def test_a_rejection_is_the_same(sound: Pair, name: str, caller: str) -> None:
    await check(sound, REJECTIONS[name], caller)

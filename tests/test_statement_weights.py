"""The weight of statements: what front ends send is allowed with the default settings, dozens of searches are not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from graphql import OperationDefinitionNode, get_nullable_type, is_list_type, is_object_type, parse

from service.compiler.kinds import KIND, ROOT, PageOf, Related
from service.operations.cost import measure
from service.schema import schema
from service.settings import Settings
from service.weights import WEIGHT, Weight
from tests.conftest import Client, Person
from tests.module_client import module_client

CORE = schema._schema  # noqa: SLF001  (Strawberry has no public access to its types)
LIMIT = Settings().statement_limit
USER = """id username plan { name } role { name } sessions { totalCount nodes { id ip } } apiKeys { nodes { id name } }
  sshKeys { nodes { id name } } memberships { nodes { id permissions server { id name } } }"""


@pytest_asyncio.fixture(scope="module")
async def client(server_url: str, people: dict[str, Person]) -> AsyncIterator[Client]:
    """Return one client for all tests, because none of them changes what another one reads."""
    assert people
    async with module_client(server_url) as opened:
        yield opened


def weight(text: str, **variables: Any) -> int:
    """Return the weight of the statements of an operation."""
    operation, *fragments = parse(text).definitions
    assert isinstance(operation, OperationDefinitionNode)
    named: Any = {each.name.value: each for each in fragments}  # type: ignore[attr-defined]
    return measure(CORE, operation, named, variables).cost.statements


def aliases(count: int, field: str) -> str:
    return "{ " + " ".join(f"a{number}: {field}" for number in range(count)) + " }"


async def errors(client: Client, by: Person, *texts: str) -> list[dict[str, Any]]:
    """Return the extensions of the errors of an HTTP batch."""
    body = [{"query": text} for text in texts]
    response = await client.http.post("/graphql", json=body, headers={"authorization": f"Bearer {by.token}"})
    return [error["extensions"] for answer in response.json() for error in answer.get("errors", ())]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{ __typename permissionCatalog { name } }", 0),
        ("{ me { id } }", 1),
        ("{ me { id plan { id } sessions { nodes { id } } } }", 1 + 1 + 3),
        ("{ users { nodes { id } } }", 8),
        ("{ users { totalCount nodes { id } } }", 8 + 8),
        ('{ users(search: "an") { nodes { id } } }', 8 + 16),
        ("{ users(search: null, offset: null) { nodes { id } } }", 8),
        ("{ users(offset: 20) { nodes { id } } }", 8 + 16),
        ('{ servers(search: "an") { nodes { id owner { id } } } }', 8 + 16 + 1),
        ("{ users(first: 100) { nodes { sessions(first: 50) { totalCount } } } }", 8 + 3 + 8),
        ("{ ...F ...F a: me { id } } fragment F on Query { me { plan { id } } }", 1 + 1 + 1),
    ],
)
def test_statements_have_weights(text: str, expected: int) -> None:
    assert weight(text) == expected


def test_the_value_of_a_variable_decides_whether_an_argument_is_given() -> None:
    text = "query ($search: String) { users(search: $search) { nodes { id } } }"
    assert (weight(text), weight(text, search=None), weight(text, search="an")) == (8, 8, 24)


def test_every_field_that_reads_declares_its_weight() -> None:
    missing, lists = [], []
    for each in (each for each in CORE.type_map.values() if is_object_type(each) and each.name != "Mutation"):
        for name, field in each.fields.items():
            declared = field.extensions.get(WEIGHT)
            if declared is None and (
                isinstance(field.extensions.get(KIND), Related | PageOf) or ROOT in field.extensions
            ):
                missing.append(f"{each.name}.{name}")
            if isinstance(declared, Weight):
                lists += [f"{each.name}.{name}.{argument}" for argument in declared.arguments if argument in field.args]
                assert declared.arguments.keys() <= field.args.keys()
                assert declared.items is None or is_list_type(get_nullable_type(field.type))
    assert missing == []
    assert lists == ["Query.users.search", "Query.users.offset", "Query.servers.search"]


async def test_what_front_ends_send_is_allowed(client: Client, root: Person) -> None:
    assert await errors(client, root, f"{{ users(first: 50) {{ totalCount nodes {{ {USER} }} }} }}") == []
    assert await errors(client, root, *[f'{{ user(by: {{username: "alice"}}) {{ {USER} }} }}'] * 20) == []
    assert await errors(client, root, *["{ users(first: 20) { totalCount nodes { id plan { name } } } }"] * 20) == []
    assert await errors(client, root, *['{ users(search: "a") { nodes { id } } }'] * 10) == []
    events = "{ auditEvents(first: 50) { totalCount nodes { id event actor { username } target { id } } } }"
    assert await errors(client, root, *[events] * 20) == []


async def test_heavier_statements_are_rejected_with_their_weight(client: Client, root: Person) -> None:
    for field, cost in (
        ("users { nodes { id } }", 8),
        ('users(search: "an") { nodes { id } }', 24),
        ("users(offset: 40) { totalCount nodes { id } }", 32),
        ("plans { id }", 8),
    ):
        allowed = LIMIT // cost
        over = {"code": "QUERY_TOO_COMPLEX", "cost": (allowed + 1) * cost, "limit": LIMIT}
        before = client.reads
        assert await errors(client, root, aliases(allowed + 1, field)) == [over]
        assert client.reads - before == 1
        assert await errors(client, root, aliases(allowed, field)) == []


async def test_the_statements_of_an_http_batch_count_together(client: Client, root: Person) -> None:
    page = aliases(32, "users(first: 1) { nodes { id } }")
    assert await errors(client, root, page, page) == [{"code": "QUERY_TOO_COMPLEX", "cost": 512, "limit": LIMIT}]


async def test_the_operator_sets_the_limit(server_url: str, people: dict[str, Person]) -> None:
    async with module_client(server_url, Settings(statement_limit=100)) as strict:
        over = {"code": "QUERY_TOO_COMPLEX", "cost": 104, "limit": 100}
        assert await errors(strict, people["root"], aliases(13, "users(first: 1) { nodes { id } }")) == [over]


async def test_the_values_of_an_anonymous_http_batch_count_together(client: Client) -> None:
    body = [{"query": aliases(8, "permissionCatalog { name description kind }")}] * 20
    answers = (await client.http.post("/graphql", json=body)).json()
    codes = {error["extensions"]["code"] for answer in answers for error in answer.get("errors", ())}
    assert codes == {"QUERY_TOO_COMPLEX"}
    assert "data" in answers[0]
    assert "data" not in answers[-1]

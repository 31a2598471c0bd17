"""The limits of all texts and lists in the inputs of mutations."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLList, get_named_type, get_nullable_type

from service.inputs import ExactText, Items, Text
from tests.conftest import Client, Person
from tests.sdl import SDL, harmless, limit_of

assert SDL.mutation_type is not None
MUTATIONS = SDL.mutation_type.fields
ITEMS = {
    "Permission": "file.read",
    "CIDR": "192.0.2.0/24",
    "ID": "00000000-0000-7000-8000-00000000ffff",
    "Tier": "FREE",
}


def too_long(input_type: GraphQLInputObjectType, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Return the path of every text and list of an input, also of nested ones, with a value one beyond its limit."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, field in input_type.fields.items():
        nullable, limit = get_nullable_type(field.type), limit_of(input_type.name, name)
        if isinstance(nullable, GraphQLInputObjectType):
            found += too_long(nullable, (*path, name))
        elif isinstance(limit, Text | ExactText):
            found.append(((*path, name), "x" * (limit.most + 1)))
        elif isinstance(limit, Items) and isinstance(nullable, GraphQLList):
            found.append(((*path, name), [ITEMS[get_named_type(nullable).name]] * (limit.most + 1)))
    return found


@pytest.mark.parametrize("name", [name for name, field in MUTATIONS.items() if field.args])
async def test_what_is_too_long_is_reported_with_the_path_of_its_field(client: Client, root: Person, name: str) -> None:
    input_type = get_named_type(MUTATIONS[name].args["input"].type)
    assert isinstance(input_type, GraphQLInputObjectType)
    document = f"mutation ($input: {input_type}!) {{ answer: {name}(input: $input) {{ errors {{ code field }} }} }}"
    everything: dict[str, Any] = harmless(input_type)
    for path, value in too_long(input_type):
        alone = harmless(input_type)
        for given in (alone, everything):
            inner = given
            for part in path[:-1]:
                inner = inner.setdefault(part, {})
            inner[path[-1]] = value
        errors = (await client.data(document, {"input": alone}, by=root))["answer"]["errors"]
        assert [error["code"] for error in errors if error["field"] == list(path)] == ["TOO_LONG"], path
    errors = (await client.data(document, {"input": everything}, by=root))["answer"]["errors"]
    assert [error["field"] for error in errors if error["code"] == "TOO_LONG"] == [
        list(p) for p, _ in too_long(input_type)
    ]


@pytest.mark.parametrize("by", ["root", None])
async def test_a_long_list_is_rejected_before_its_items_are_read(
    client: Client, people: dict[str, Person], by: str | None
) -> None:
    document = "mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) { errors { code } } }"
    value = {"name": "x", "allowedIps": ["not an address"] * 1_001}
    answer = await client.execute(document, {"input": value}, by=people.get(by or ""))
    message = "A list in the variables must have at most 1000 items."
    assert answer == {"errors": [{"message": message, "extensions": {"code": "BAD_USER_INPUT", "limit": 1_000}}]}


async def test_the_items_of_a_list_over_its_limit_are_not_reported(client: Client, alice: Person) -> None:
    value = {"name": "x", "permissions": ["users.read"] * 201}
    payload = await client.mutate("createApiKey", value, "", by=alice)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("TOO_LONG", ["permissions"])]

"""Every text and every list that a mutation takes is refused beyond its limit, by the name of its field."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import GraphQLInputObjectType, GraphQLList, get_named_type, get_nullable_type

from service.inputs import Items, Text
from tests.conftest import Door, Person
from tests.sdl import SDL, harmless, limit_of

assert SDL.mutation_type is not None
MUTATIONS = SDL.mutation_type.fields
ITEMS = {"Permission": "file.read", "CIDR": "192.0.2.0/24"}


def too_long(input_type: GraphQLInputObjectType, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """Each text and list of the input, nested ones too, with a value one beyond its limit."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, field in input_type.fields.items():
        nullable, limit = get_nullable_type(field.type), limit_of(input_type.name, name)
        if isinstance(nullable, GraphQLInputObjectType):
            found += too_long(nullable, (*path, name))
        elif isinstance(limit, Text):
            found.append(((*path, name), "x" * (limit.most + 1)))
        elif isinstance(limit, Items) and isinstance(nullable, GraphQLList):
            found.append(((*path, name), [ITEMS[get_named_type(nullable).name]] * (limit.most + 1)))
    return found


@pytest.mark.parametrize("name", [name for name, field in MUTATIONS.items() if field.args])
async def test_what_is_too_long_is_refused_by_the_name_of_its_field(door: Door, root: Person, name: str) -> None:
    input_type = get_named_type(MUTATIONS[name].args["input"].type)
    assert isinstance(input_type, GraphQLInputObjectType)
    document = f"mutation ($input: {input_type}!) {{ answer: {name}(input: $input) {{ errors {{ code field }} }} }}"
    for path, value in too_long(input_type):
        given = harmless(input_type) or {}
        inner = given
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = value
        errors = (await door.data(document, {"input": given}, by=root))["answer"]["errors"]
        assert {"code": "TOO_LONG", "field": list(path)} in errors, path

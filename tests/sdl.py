"""The schema as clients read it, and the smallest values of its inputs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLObjectType,
    build_schema,
    get_nullable_type,
    is_required_input_field,
)

from service.schema import printed, schema

SDL = build_schema(printed())
OBJECTS = [found for found in SDL.type_map.values() if isinstance(found, GraphQLObjectType) and found.name[:2] != "__"]
INPUTS = [found for found in SDL.type_map.values() if isinstance(found, GraphQLInputObjectType)]

VALUES: dict[str, Callable[[], Any]] = {
    "BigInt": lambda: 0,
    "Boolean": lambda: False,
    "CountryCode": lambda: "AT",
    "ID": lambda: str(uuid.uuid4()),
    "IPAddress": lambda: "192.0.2.1",
}


def harmless(graphql_type: GraphQLInputType) -> Any:
    """Return the smallest value of an input type, with which no mutation creates anything."""
    nullable = get_nullable_type(graphql_type)
    if isinstance(nullable, GraphQLList):
        return []
    if isinstance(nullable, GraphQLInputObjectType):
        required = {name: field for name, field in nullable.fields.items() if is_required_input_field(field)}
        return {name: harmless(field.type) for name, field in required.items()}
    if isinstance(nullable, GraphQLEnumType):
        return next(iter(nullable.values))
    return VALUES[nullable.name]() if nullable.name in VALUES else ""


def limit_of(input_name: str, field_name: str) -> object:
    """Return the declared limit of a field of an input type."""
    definition = schema.get_type_by_name(input_name)
    for field in definition.fields:  # type: ignore[union-attr]
        if schema.config.name_converter.get_graphql_name(field) == field_name:
            return field.metadata.get("limit")
    raise LookupError(field_name)

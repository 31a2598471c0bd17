"""Arguments of root fields: from graphql-core's values to the Python objects that the functions take.

It does what Strawberry's `convert_arguments` does, with the types resolved once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from typing import Any, TypeAlias

from strawberry.schema.config import StrawberryConfig
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryList, StrawberryOptional, has_object_definition
from strawberry.types.lazy_type import LazyType

Convert: TypeAlias = Callable[[Any], Any]


def converter(
    arguments: Sequence[StrawberryArgument], config: StrawberryConfig
) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Return the function that converts the arguments of a field, by their names in the schema."""
    parts = [
        (config.name_converter.from_argument(argument), argument.python_name, _convert(argument.type, config))
        for argument in arguments
    ]

    def run(values: Mapping[str, Any]) -> dict[str, Any]:
        return {
            python_name: values[name] if convert is None else convert(values[name])
            for name, python_name, convert in parts
            if name in values
        }

    return run


def _convert(wanted: Any, config: StrawberryConfig) -> Convert | None:
    """Return the function for values of a type; None if they are taken as they are."""
    if isinstance(wanted, StrawberryOptional):
        return _convert(wanted.of_type, config)
    if isinstance(wanted, LazyType):
        return _convert(wanted.resolve_type(), config)
    if isinstance(wanted, StrawberryList):
        item = _convert(wanted.of_type, config)
        return lambda value: None if value is None else [each if item is None else item(each) for each in value]
    if has_object_definition(wanted):
        return _input(wanted, config)
    return None


def _input(wanted: Any, config: StrawberryConfig) -> Convert:
    definition = wanted.__strawberry_definition__
    absent = {
        field.python_name: None
        for field in definition.fields
        if field.default_value is MISSING and field.default_factory is MISSING
    }
    parts = [
        (
            config.name_converter.from_field(field),
            field.python_name,
            _convert(field.resolve_type(type_definition=definition), config),
        )
        for field in definition.fields
    ]

    def run(value: Any) -> Any:
        if value is None:
            return None
        given = dict(absent)
        for name, python_name, convert in parts:
            if name in value:
                given[python_name] = value[name] if convert is None else convert(value[name])
        return wanted(**given)

    return run

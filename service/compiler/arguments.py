"""Arguments of root fields: from the document and its variables to the Python objects that the functions take.

`bound` does what graphql-core's `get_argument_values` does, and `converter` what Strawberry's `convert_arguments` does,
with all that can be known of them found out once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from typing import Any, TypeAlias

from graphql import (
    FieldNode,
    GraphQLField,
    GraphQLInputType,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    get_argument_values,
    get_nullable_type,
    is_input_object_type,
)
from graphql.execution.values import VariableValues
from graphql.utilities import coerce_input_literal
from graphql.utilities.coerce_input_value import coerce_default_value
from strawberry.schema.config import StrawberryConfig
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryList, StrawberryOptional, has_object_definition
from strawberry.types.lazy_type import LazyType

Convert: TypeAlias = Callable[[Any], Any]
Values: TypeAlias = Callable[[VariableValues], dict[str, Any]]
Object: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any] | None]


def bound(declared: GraphQLField, node: FieldNode) -> Values:
    """Return the function that makes the values of a field's arguments from the variables."""
    if not has_variable(node):
        constant = get_argument_values(declared, node)
        return lambda _variables: constant
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    make = _object(declared.args, given)

    def run(variables: VariableValues) -> dict[str, Any]:
        values = None if make is None else make(variables.coerced)
        return get_argument_values(declared, node, variables) if values is None else values

    return run


def has_variable(node: FieldNode) -> bool:
    """Return whether an argument of the field depends on variables."""
    return any(_has_variable(argument.value) for argument in node.arguments or ())


def _object(declared: Mapping[str, Any], given: Mapping[str, ValueNode]) -> Object | None:
    """Return the function that makes the values of arguments, or of the fields of an input object.

    It returns None if a variable has no value, whose meaning graphql-core knows. There is no function where variables
    are in lists.
    """
    constants: dict[str, Any] = {}
    parts: list[tuple[str, Convert]] = []
    for name, each in declared.items():
        node, out_name = given.get(name), each.out_name or name
        if node is not None and _has_variable(node):
            part = _part(node, each.type)
            if part is None:
                return None
            parts.append((out_name, part))
            continue
        value = coerce_default_value(each) if node is None else coerce_input_literal(node, each.type)
        if value is not Undefined:
            constants[out_name] = value

    def run(variables: Mapping[str, Any]) -> dict[str, Any] | None:
        values = dict(constants)
        for name, part in parts:
            value = part(variables)
            if value is None:
                return None
            values[name] = value
        return values

    return run


def _part(node: ValueNode, declared: GraphQLInputType) -> Convert | None:
    """Return the function that makes a value from the variables in it, as for `_object`."""
    if isinstance(node, VariableNode):
        return lambda variables: variables.get(node.name.value)
    plain = get_nullable_type(declared)
    if isinstance(node, ObjectValueNode) and is_input_object_type(plain):
        return _object(plain.fields, {field.name.value: field.value for field in node.fields or ()})
    return None


def _has_variable(value: ValueNode) -> bool:
    match value:
        case VariableNode():
            return True
        case ListValueNode():
            return any(_has_variable(item) for item in value.values or ())
        case ObjectValueNode():
            return any(_has_variable(item.value) for item in value.fields or ())
        case _:
            return False


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

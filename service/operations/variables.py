"""Values that do not fit their type: all of them in one error, each with its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from graphql import (
    ArgumentNode,
    GraphQLError,
    GraphQLInputType,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    ValueNode,
    ValuesOfCorrectTypeRule,
    VariablesInAllowedPositionRule,
    VisitorAction,
    get_nullable_type,
    is_input_object_type,
    is_input_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
    type_from_ast,
)
from graphql.execution.get_variable_signature import GraphQLVariableSignature, get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource
from graphql.language import SKIP
from graphql.pyutils import Undefined
from graphql.utilities import validate_input_literal, validate_input_value

from service import limits
from service.errors import MOST_PROBLEMS, ApiError, bad_input
from service.operations.responses import unquoted

INVALID = "A value does not fit its type."


class Variables:
    """The variables of one operation, with their types resolved once."""

    def __init__(self, schema: GraphQLSchema, definition: OperationDefinitionNode) -> None:
        nodes = definition.variable_definitions or ()
        signatures = [get_variable_signature(schema, node) for node in nodes]
        self._leaves = [
            (each, is_non_null_type(each.type), leaf.coerce_input_value)
            for each in signatures
            if isinstance(each, GraphQLVariableSignature) and is_leaf_type(leaf := get_nullable_type(each.type))
        ]
        self._simple = len(self._leaves) == len(nodes) and not any(node.default_value for node in nodes)

    def coerce(self, given: Mapping[str, Any]) -> VariableValues | None:
        """Return the values; None if graphql-core has to look at them: lists, objects, defaults, wrong values."""
        if not self._simple:
            return None
        sources, coerced = {}, {}
        try:
            for signature, required, parse in self._leaves:
                name = signature.name
                value = given.get(name, Undefined)
                sources[name] = VariableValueSource(signature, value)
                if value is not None and value is not Undefined:
                    coerced[name] = parse(value)
                elif required:
                    return None
                elif value is None:
                    coerced[name] = None
        except Exception:
            return None
        return VariableValues(sources, coerced)


class _EnoughProblemsError(Exception):
    """Ends the check, because more problems would not help."""


def variable_error(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
) -> ApiError | None:
    """Return the error of the variables that do not fit their types, or None if all fit."""
    problems: list[dict[str, Any]] = []
    with suppress(_EnoughProblemsError):
        for name, value, declared in _values(schema, operation, variables or {}):
            validate_input_value(value, declared, _collector(name, problems), hide_suggestions=True)
    if not problems:
        return None
    name, *path = problems[0]["path"]
    place = f"${name}" + "".join(f".{part}" for part in path)
    return bad_input(f"{place}: {problems[0]['message']}", problems=problems)


def long_list_error(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any] | None
) -> ApiError | None:
    """Return the error of lists in the variables that are too long to be looked at, or None.

    SECURITY: every item is parsed before the limit of its field is known, and a body has room for 100,000 items.
    """
    if not any(isinstance(value, list | dict) for value in (variables or {}).values()):
        return None
    items = 0
    pending: list[tuple[Any, Any]] = [
        (value, declared) for _, value, declared in _values(schema, operation, variables or {})
    ]
    while pending:
        value, declared = pending.pop()
        plain = get_nullable_type(declared)
        if is_list_type(plain) and isinstance(value, list):
            if len(value) > limits.LIST_ITEMS:
                message = f"A list in the variables must have at most {limits.LIST_ITEMS} items."
                return bad_input(message, limit=limits.LIST_ITEMS)
            items += len(value)
            if items > limits.REQUEST_ITEMS:
                message = f"All lists in the variables together must have at most {limits.REQUEST_ITEMS} items."
                return bad_input(message, limit=limits.REQUEST_ITEMS)
            if not is_leaf_type(get_nullable_type(plain.of_type)):
                pending += ((item, plain.of_type) for item in value)
        elif is_input_object_type(plain) and isinstance(value, dict):
            pending += ((value[name], field.type) for name, field in plain.fields.items() if name in value)
    return None


def _values(
    schema: GraphQLSchema, operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Iterator[tuple[str, Any, GraphQLInputType]]:
    """Yield the name, the value, and the type of every variable that must be checked."""
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        value = variables.get(name, Undefined)
        if value is Undefined and definition.default_value is not None:
            continue
        declared = type_from_ast(schema, definition.type)
        if is_input_type(declared):
            yield name, value, declared


def _collector(name: str, problems: list[dict[str, Any]]) -> Callable[[GraphQLError, list[str | int]], None]:
    def add(error: GraphQLError, path: list[str | int]) -> None:
        problems.append({"path": [name, *path], "message": unquoted(error.message)})
        if len(problems) == MOST_PROBLEMS:
            # SECURITY: a body of 1 MB can have 250,000 wrong values, whose messages take seconds
            raise _EnoughProblemsError

    return add


class LiteralsOfCorrectType(ValuesOfCorrectTypeRule):
    """Reports literals that do not fit their type, with the path of the value inside its field."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self._argument: str | None = None

    def enter_argument(self, node: ArgumentNode, *_args: Any) -> None:
        """Remember the argument, for the path."""
        self._argument = node.name.value

    def leave_argument(self, *_args: Any) -> None:
        """Forget the argument."""
        self._argument = None

    def is_valid_value_node(self, node: ValueNode, input_type: GraphQLInputType | None) -> VisitorAction:
        """Report each value inside the node that does not fit."""
        if input_type is not None:
            argument = self._argument

            def report(error: GraphQLError, path: list[str | int]) -> None:
                self.report_error(_with_path(error, path if argument is None else [argument, *path]))

            validate_input_literal(node, input_type, report, None, None, self.context.hide_suggestions)
        return SKIP


class OneOfVariables(VariablesInAllowedPositionRule):
    """Reports nullable variables as the value of a oneOf input, also where the input itself is required.

    graphql-core 3.3 does it only where the input is optional (GraphQL specification, section 5.8.5).
    """

    def leave_operation_definition(self, operation: OperationDefinitionNode, *args: Any) -> None:
        """Check all variables that the operation uses."""
        super().leave_operation_definition(operation, *args)
        for usage in self.context.get_recursive_variable_usages(operation):
            definition = self.var_def_map.get(usage.node.name.value)
            required = is_non_null_type(usage.parent_type)
            input_type = get_nullable_type(usage.parent_type) if required else None
            if definition is None or not is_input_object_type(input_type) or not input_type.is_one_of:
                continue
            if not isinstance(definition.type, NonNullTypeNode):
                name = usage.node.name.value
                message = f"Variable '${name}' must be non-nullable to be a value of the oneOf input '{input_type}'."
                self.report_error(GraphQLError(message, [definition, usage.node]))


def _with_path(error: GraphQLError, path: list[str | int]) -> GraphQLError:
    if error.original_error is not None and not isinstance(error.original_error, GraphQLError):
        # graphql-core itself failed, such as at a number of 5,000 digits
        return bad_input(INVALID, problems=[{"path": path, "message": INVALID}])
    message = unquoted(error.message)
    extensions = {
        "code": "BAD_USER_INPUT",
        **(error.extensions or {}),
        "problems": [{"path": path, "message": message}],
    }
    return GraphQLError(message, error.nodes, extensions=extensions)

"""Introspection by graphql-core, whose answers are kept: they depend on the document and its variables only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLSchema,
    NamedTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableDefinitionNode,
    execute,
)
from graphql.execution.values import VariableValues

from service.operations.phases import Fragments
from service.turns import aside

KEPT_BYTES = 4_194_304  # of all answers; that to the query of GraphiQL has 100,000
KEPT_ANSWERS = 32  # each keeps its document, too
LONGEST_VARIABLES = 1_024  # bytes of the variables of an answer that is kept


@dataclass(frozen=True, slots=True)
class IntrospectionRoot:
    """The part of a plan that has `__schema` or `__type`; compare `payloads.Root`."""

    function: Callable[..., Any]
    signs_in: bool = False


class Introspection:
    """Runs the introspection fields of plans."""

    def __init__(self, schema: GraphQLSchema, *, hide_suggestions: bool) -> None:
        self._schema = schema
        self._hide_suggestions = hide_suggestions
        self._kept: dict[tuple[int, bytes], tuple[DocumentNode, bytes]] = {}
        self._bytes = 0

    def root(
        self, operation: OperationDefinitionNode, nodes: Sequence[FieldNode], fragments: Fragments
    ) -> IntrospectionRoot:
        """Return the root field that these nodes of the operation are; its function takes `variables`."""
        alone = OperationDefinitionNode(
            operation=OperationType.QUERY,
            variable_definitions=tuple(filter(_is_plain, operation.variable_definitions or ())),
            selection_set=SelectionSetNode(selections=tuple(nodes)),
        )
        document = DocumentNode(definitions=(alone, *fragments.values()))
        return IntrospectionRoot(partial(self._answer, document))

    async def _answer(self, document: DocumentNode, _info: Any, *, variables: VariableValues) -> orjson.Fragment:
        """Return the value of the field as JSON."""
        [operation, *_] = document.definitions
        names = [each.variable.name.value for each in operation.variable_definitions]  # type: ignore[attr-defined]
        values = {name: variables.coerced[name] for name in names if name in variables.coerced}
        given = orjson.dumps(values)
        # The document is kept as well, so that its id is not used again
        known = self._kept.get((id(document), given))
        if known is None:
            known = document, await aside(self._run, document, values)
            if len(given) <= LONGEST_VARIABLES and len(known[1]) <= KEPT_BYTES:
                if self._bytes + len(known[1]) > KEPT_BYTES or len(self._kept) >= KEPT_ANSWERS:
                    self._kept.clear()
                    self._bytes = 0
                self._kept[id(document), given] = known
                self._bytes += len(known[1])
        return orjson.Fragment(known[1])

    def _run(self, document: DocumentNode, variables: dict[str, Any]) -> bytes:
        result = execute(self._schema, document, variable_values=variables, hide_suggestions=self._hide_suggestions)
        if not isinstance(result, ExecutionResult):
            raise TypeError("introspection awaits nothing")
        for error in result.errors or ():
            raise error
        [value] = (result.data or {}).values()
        return orjson.dumps(value)


def _is_plain(definition: VariableDefinitionNode) -> bool:
    """Return whether a variable may be an argument of introspection; these types are coerced to themselves."""
    found: Any = definition.type
    while not isinstance(found, NamedTypeNode):
        found = found.type
    return found.name.value in {"Boolean", "String"}

"""How much may a document ask for? Objects are counted before execution, fragments and aliases included.

A page counts its size times the objects around it, any other object counts one. Each fragment is counted once and
multiplied, so that counting stays linear where execution would be exponential (CVE-2026-47707, CVE-2026-47706).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from service.errors import Fault, FaultCode
from service.pagination import DEFAULT_SIZE, LARGEST_SIZE
from service.settings import Settings


def check_cost(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Any,
    settings: Settings,
) -> None:
    """Refuses an operation over the limits with QUERY_TOO_COMPLEX."""
    counter = _Counter(schema, fragments, variables.coerced)
    mutations = sum(1 for _ in counter.roots(operation.selection_set))
    if operation.operation is OperationType.MUTATION and mutations > settings.root_mutation_limit:
        raise Fault(
            FaultCode.QUERY_TOO_COMPLEX,
            f"A document may hold {settings.root_mutation_limit} mutations",
            cost=mutations,
            limit=settings.root_mutation_limit,
        )
    root_type = schema.get_root_type(operation.operation)
    cost = counter.objects(operation.selection_set, root_type, 1) if root_type is not None else 0
    if cost > settings.node_limit:
        raise Fault(
            FaultCode.QUERY_TOO_COMPLEX,
            f"The query may ask for {settings.node_limit} objects at most",
            cost=cost,
            limit=settings.node_limit,
        )


class _Counter:
    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._known: dict[tuple[str, int], int] = {}
        self._spread: set[str] = set()

    def roots(self, selection_set: SelectionSetNode) -> Iterator[FieldNode]:
        """The fields of the operation itself, those of its fragments included, each fragment once."""
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                yield selection
            elif isinstance(selection, InlineFragmentNode):
                yield from self.roots(selection.selection_set)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in self._spread:
                self._spread.add(selection.name.value)
                yield from self.roots(self._fragments[selection.name.value].selection_set)

    def objects(self, selection_set: SelectionSetNode, parent: GraphQLNamedType, size: int) -> int:
        """How many objects the selections on one object of type `parent` may give; `size` is that of a page around
        them.
        """
        total = 0
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                total += self._field(selection, parent, size)
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                total += self.objects(selection.selection_set, inner or parent, size)
            elif isinstance(selection, FragmentSpreadNode):
                total += self._fragment(selection.name.value, size)
        return total

    def _fragment(self, name: str, size: int) -> int:
        known = self._known.get((name, size))
        if known is None:
            fragment = self._fragments.get(name)
            inner = self._schema.get_type(fragment.type_condition.name.value) if fragment else None
            known = self.objects(fragment.selection_set, inner, size) if fragment and inner else 0
            self._known[name, size] = known
        return known

    def _field(self, node: FieldNode, parent: GraphQLNamedType, size: int) -> int:
        field = getattr(parent, "fields", {}).get(node.name.value)
        if field is None or node.selection_set is None:
            return 0
        inner = get_named_type(field.type)
        if not is_composite_type(inner):
            return 0
        # The items of a page stand one level below the field that has its size
        count = size if node.name.value in {"nodes", "edges"} and "first" not in field.args else 1
        if "first" in field.args:
            return 1 + self.objects(node.selection_set, inner, self._size(node))
        if "ids" in field.args:
            count = self._length(node)
        return count * (1 + self.objects(node.selection_set, inner, 1))

    def _argument(self, node: FieldNode, name: str) -> Any:
        value = next((argument.value for argument in node.arguments or () if argument.name.value == name), None)
        return self._variables.get(value.name.value) if isinstance(value, VariableNode) else value

    def _size(self, node: FieldNode) -> int:
        for name in ("first", "last"):
            value = self._argument(node, name)
            number = int(value.value) if isinstance(value, IntValueNode) else value
            if isinstance(number, int):
                return min(max(number, 1), LARGEST_SIZE)
        return DEFAULT_SIZE

    def _length(self, node: FieldNode) -> int:
        value = self._argument(node, "ids")
        return (
            len(value.values or ())
            if isinstance(value, ListValueNode)
            else len(value)
            if isinstance(value, list)
            else 1
        )

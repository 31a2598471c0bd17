"""Cost limits: the statements, objects, and values that an operation may take, counted before it runs.

Fragments and aliases are included. A page counts as its size times the objects around it, a list without a size as a
page of the default size, unless its field declares its number of items. Statements are not multiplied, because all
objects of a level share them. Each selection set is counted once and multiplied, so that counting is fast where
execution would be exponential (CVE-2026-47707, CVE-2026-47706).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_enum_type,
    is_input_object_type,
    is_introspection_type,
    is_list_type,
)

from service import limits
from service.errors import ApiError, ApiErrorCode
from service.settings import Settings
from service.weights import WEIGHT, Weight

NODE = "Node"
NO_WEIGHT = Weight()
MOST_LEVELS = 50  # introspection has 15; a level is up to two in JSON, and orjson writes at most 254
# SECURITY: without a limit on values, a document of 1,000 tokens could occupy a worker for a minute
VALUES_PER_OBJECT = 20
VALUES_PER_JSON = 200  # it may have 16 KiB, and long answers are written within a turn of the event loop
VALUES_PER_INTROSPECTION = 3
ANONYMOUS_VALUES = 20_000
# SECURITY: the answers are long, and are the same at every repetition
MOST_INTROSPECTIONS = {"__schema": 2, "__type": 20}
INTROSPECTION_VALUES = 400_000  # the standard introspection query passes


@dataclass(slots=True)
class Budget:
    """What the operations of one HTTP request have requested so far. Anonymous callers may request less."""

    anonymous: bool
    statements: int = 0
    objects: int = 0
    served: int = 0
    introspected: int = 0
    introspections: Counter[str] = field(default_factory=Counter)


def measure(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Mapping[str, Any],
) -> Measured:
    """Return what an operation may cost with these variables: sizes count, and which arguments are given."""
    root_type = schema.get_root_type(operation.operation)
    assert root_type is not None  # noqa: S101  (a valid document)
    counter = _Counter(schema, fragments, variables)
    fields = [*counter.fields(operation.selection_set, root_type, set())]
    mutations = len(fields) if operation.operation is OperationType.MUTATION else 0
    served = counter.served(operation.selection_set, root_type)
    introspections = Counter(node.name.value for node, _ in fields if node.name.value in MOST_INTROSPECTIONS)
    return Measured(mutations, counter.cost(operation.selection_set, root_type, 1), served, introspections)


def charge(measured: Measured, settings: Settings, budget: Budget) -> None:
    """Raise QUERY_TOO_COMPLEX for an operation over the limits.

    The operations of one HTTP request count together (CVE-2026-33756).
    """
    cost = measured.cost
    budget.statements += cost.statements
    budget.objects += cost.objects
    budget.served += measured.served
    budget.introspected += cost.values - measured.served
    _limit("at most {} mutations", measured.mutations, settings.root_mutation_limit)
    _limit("at most {} objects", budget.objects, settings.node_limit)
    _limit("statements of a weight of at most {}", budget.statements, settings.statement_limit)
    _limit("at most {} levels of fields", cost.levels, MOST_LEVELS)
    _limit("at most {} values", budget.served, VALUES_PER_OBJECT * settings.node_limit)
    _limit("at most {} values of the schema", budget.introspected, INTROSPECTION_VALUES)
    for name, number in measured.introspections.items():
        budget.introspections[name] += number
        _limit(f"at most {{}} fields {name}", budget.introspections[name], MOST_INTROSPECTIONS[name])
    if budget.anonymous:
        _limit("at most {} values unless you sign in", budget.served, ANONYMOUS_VALUES)


def _limit(allowed: str, cost: int, limit: int) -> None:
    if cost > limit:
        message = f"A request may have {allowed.format(limit)}."
        raise ApiError(ApiErrorCode.QUERY_TOO_COMPLEX, message, cost=min(cost, limits.SAFE_INTEGER), limit=limit)


class Cost(NamedTuple):
    """What an operation may take at most.

    Objects have an id, values are of any kind; `levels` are those of fields, and `statements` the weight of statements.
    """

    objects: int = 0
    values: int = 0
    levels: int = 0
    statements: int = 0

    def beside(self, other: Cost) -> Cost:
        """Return the cost of both, on the same object."""
        return Cost(
            self.objects + other.objects,
            self.values + other.values,
            max(self.levels, other.levels),
            self.statements + other.statements,
        )

    def within(self, count: int, objects: int, values: int, statements: int) -> Cost:
        """Return the cost of this in each of `count` items, which themselves have the given cost."""
        return Cost(
            (self.objects + objects) * count,
            (self.values + values) * count,
            self.levels + 1,
            self.statements + statements,
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """What an operation may cost: its mutations, its cost, its values beside introspection, and its introspections."""

    mutations: int
    cost: Cost
    served: int
    introspections: Counter[str]


@lru_cache(maxsize=2)
def _introspected(schema: GraphQLSchema) -> Mapping[str, int]:
    """Return the lengths of the lists of introspection: `types` exactly, those of a type or field on average."""
    types = list(schema.type_map.values())
    fields = [field for each in types for field in getattr(each, "fields", {}).values()]
    inputs = [field for each in types if is_input_object_type(each) for field in each.fields.values()]
    values = [value for each in types if is_enum_type(each) for value in each.values.values()]
    arguments = [argument for field in fields for argument in getattr(field, "args", {}).values()]
    return {
        "types": len(types),
        "fields": ceil(len(fields) / len(types)),
        "inputFields": ceil(len(inputs) / len(types)),
        "enumValues": ceil(len(values) / len(types)),
        "args": ceil(len(arguments) / len(fields)),
    }


class _Counter:
    def __init__(
        self, schema: GraphQLSchema, fragments: Mapping[str, FragmentDefinitionNode], variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._fragments = fragments
        self._variables = variables
        self._known: dict[tuple[int, int], Cost] = {}

    def fields(
        self, selection_set: SelectionSetNode, parent: GraphQLNamedType, spread: set[str]
    ) -> Iterator[tuple[FieldNode, GraphQLNamedType]]:
        """Yield the fields selected on one object, with the type; each fragment once, as in execution."""
        for selection in selection_set.selections:
            if isinstance(selection, FieldNode):
                yield selection, parent
            elif isinstance(selection, InlineFragmentNode):
                condition = selection.type_condition
                inner = self._schema.get_type(condition.name.value) if condition else parent
                yield from self.fields(selection.selection_set, inner or parent, spread)
            elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
                spread.add(selection.name.value)
                fragment = self._fragments[selection.name.value]
                inner = self._schema.get_type(fragment.type_condition.name.value)
                yield from self.fields(fragment.selection_set, inner or parent, spread)

    def cost(self, selection_set: SelectionSetNode, parent: GraphQLNamedType, size: int) -> Cost:
        """Return the cost of the selections on one object of the type; `size` is that of the page around it."""
        place = id(selection_set), size
        known = self._known.get(place)
        if known is None:
            known = Cost()
            for node, on_type in self.fields(selection_set, parent, set()):
                known = known.beside(self._field(node, on_type, size))
            self._known[place] = known
        return known

    def served(self, selection_set: SelectionSetNode, root: GraphQLNamedType) -> int:
        """Return the values of the root fields without introspection."""
        fields = self.fields(selection_set, root, set())
        return sum(self._field(node, on_type, 1).values for node, on_type in fields if node.name.value[:2] != "__")

    def _field(self, node: FieldNode, parent: GraphQLNamedType, size: int) -> Cost:
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType):
            return Cost()
        field = self._schema.get_field(parent, node.name.value)
        if field is None:
            return Cost()
        inner = get_named_type(field.type)
        count = self._count(node, parent, field, size)
        weight = self._statements(node, field)
        if node.selection_set is None:
            return Cost().within(count, 0, VALUES_PER_JSON if inner.name == "JSON" else 1, weight)
        # Connections, edges, and plain values are not read from the database by themselves
        identified = inner.name == NODE or any(each.name == NODE for each in getattr(inner, "interfaces", ()))
        page = self._size(node) if "first" in field.args else 1
        return self.cost(node.selection_set, inner, page).within(count, int(identified), 1, weight)

    def _count(self, node: FieldNode, parent: GraphQLNamedType, field: GraphQLField, size: int) -> int:
        """Return how many items the field has."""
        if node.name.value in {"__schema", "__type"}:
            return VALUES_PER_INTROSPECTION
        if is_introspection_type(parent):
            return _introspected(self._schema).get(node.name.value, 1)
        if "ids" in field.args:
            return self._length(node)
        if not is_list_type(get_nullable_type(field.type)):
            return 1
        # The items of a page are one level below the field that has its size
        if node.name.value in {"nodes", "edges"}:
            return size
        declared: Weight = field.extensions.get(WEIGHT, NO_WEIGHT)
        return limits.DEFAULT_PAGE_SIZE if declared.items is None else declared.items

    def _statements(self, node: FieldNode, field: GraphQLField) -> int:
        """Return the weight of the field's statements; an argument that is null adds nothing."""
        declared: Weight = field.extensions.get(WEIGHT, NO_WEIGHT)
        given = (each for each in declared.arguments.items() if self._argument(node, each[0]) is not None)
        return declared.statements + sum(weight for _, weight in given)

    def _argument(self, node: FieldNode, name: str) -> Any:
        value = next((argument.value for argument in node.arguments or () if argument.name.value == name), None)
        if isinstance(value, VariableNode):
            return self._variables.get(value.name.value)
        return None if isinstance(value, NullValueNode) else value

    def _size(self, node: FieldNode) -> int:
        for name in ("first", "last"):
            value = self._argument(node, name)
            number = int(value.value) if isinstance(value, IntValueNode) else value
            if isinstance(number, int):
                return min(max(number, 1), limits.PAGE_SIZE)
        return limits.DEFAULT_PAGE_SIZE

    def _length(self, node: FieldNode) -> int:
        value = self._argument(node, "ids")
        return (
            len(value.values or ())
            if isinstance(value, ListValueNode)
            else len(value)
            if isinstance(value, list)
            else 1
        )

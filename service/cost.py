"""How much may a document ask for? Objects and values are counted before execution, fragments and aliases included.

A page counts its size times the objects around it, a list without a size as much as a page of the default size. Each
selection set is counted once and multiplied, so that counting stays fast where execution would be exponential
(CVE-2026-47707, CVE-2026-47706).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

from service.errors import Fault, FaultCode
from service.formats import MAX_SAFE_INTEGER
from service.pagination import DEFAULT_SIZE, LARGEST_SIZE
from service.permissions import CATALOGUE
from service.settings import Settings

NODE = "Node"
MOST_LEVELS = 50  # introspection has 15; a level is up to two in JSON, of which orjson writes 254
# SECURITY: values cost some 10 us each. Without a limit one document of 1,000 tokens, sent by anybody with an account,
# keeps a worker busy for a minute. 50 users with all their pages and columns ask for 26 values an object.
VALUES_OF_AN_OBJECT = 30
VALUES_OF_JSON = 100  # it may be long
# SECURITY: introspection needs no account, so it may take less: five times the standard query
VALUES_OF_INTROSPECTION = 3
VALUES_OF_ANYBODY = 20_000  # without an account there is little to ask for
LEAST_LIMIT_OF_VALUES = 250_000  # where the operator allows few objects, the standard introspection query still passes


@dataclass(slots=True)
class Budget:
    """What the operations of one HTTP request have asked for so far, all together; `anonymous` callers get less."""

    anonymous: bool
    objects: int = 0
    values: int = 0
    logins: int = 0


def check_cost(
    schema: GraphQLSchema,
    operation: OperationDefinitionNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    variables: Any,
    *,
    settings: Settings,
    budget: Budget,
) -> None:
    """Refuses an operation over the limits with QUERY_TOO_COMPLEX; those of one HTTP request count together
    (CVE-2026-33756).
    """
    root_type = schema.get_root_type(operation.operation)
    if root_type is None:
        return
    counter = _Counter(schema, fragments, variables.coerced)
    if operation.operation is OperationType.MUTATION:
        mutations = sum(1 for _ in counter.fields(operation.selection_set, root_type, set()))
        _limit(f"A document may hold {settings.root_mutation_limit} mutations", mutations, settings.root_mutation_limit)
    cost = counter.cost(operation.selection_set, root_type, 1)
    most_values = max(LEAST_LIMIT_OF_VALUES, VALUES_OF_AN_OBJECT * settings.node_limit)
    budget.objects += cost.objects
    budget.values += cost.values
    _limit(f"The query may ask for {settings.node_limit} objects at most", budget.objects, settings.node_limit)
    _limit(f"The query may be {MOST_LEVELS} levels deep", cost.levels, MOST_LEVELS)
    _limit(f"The query may ask for {most_values} values at most", budget.values, most_values)
    if budget.anonymous:
        asked = counter.served(operation.selection_set, root_type)
        _limit(f"Sign in to ask for more than {VALUES_OF_ANYBODY} values", asked, VALUES_OF_ANYBODY)


def _limit(message: str, cost: int, limit: int) -> None:
    if cost > limit:
        # Nobody asks how far beyond the numbers that JSON carries
        raise Fault(FaultCode.QUERY_TOO_COMPLEX, message, cost=min(cost, MAX_SAFE_INTEGER), limit=limit)


class Cost(NamedTuple):
    """What an operation may give at most: objects with an identity, and values, be they leaves or objects; and how many
    levels of fields it has.
    """

    objects: int = 0
    values: int = 0
    levels: int = 0

    def beside(self, other: Cost) -> Cost:
        """Both, on the same object."""
        return Cost(self.objects + other.objects, self.values + other.values, max(self.levels, other.levels))

    def within(self, count: int, objects: int, values: int) -> Cost:
        """This in each of `count` items of a field, which cost as much themselves."""
        return Cost((self.objects + objects) * count, (self.values + values) * count, self.levels + 1)


@lru_cache(maxsize=2)
def _introspected(schema: GraphQLSchema) -> Mapping[str, int]:
    """How long the lists of the introspection system are: `types` exactly, those of a type or field on average."""
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
        """The fields of one object and the types that they are asked of; each fragment once, as in execution."""
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
        """What the selections on one object of type `parent` may give; `size` is that of a page around them."""
        place = id(selection_set), size
        known = self._known.get(place)
        if known is None:
            known = Cost()
            for node, asked in self.fields(selection_set, parent, set()):
                known = known.beside(self._field(node, asked, size))
            self._known[place] = known
        return known

    def served(self, selection_set: SelectionSetNode, root: GraphQLNamedType) -> int:
        """The values of the root fields that are no introspection."""
        fields = self.fields(selection_set, root, set())
        return sum(self._field(node, asked, 1).values for node, asked in fields if node.name.value[:2] != "__")

    def _field(self, node: FieldNode, parent: GraphQLNamedType, size: int) -> Cost:
        if not isinstance(parent, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType):
            return Cost()
        field = self._schema.get_field(parent, node.name.value)
        if field is None:
            return Cost()
        inner = get_named_type(field.type)
        count = self._count(node, parent, field, size)
        if node.selection_set is None:
            return Cost().within(count, 0, VALUES_OF_JSON if inner.name == "JSON" else 1)
        # Connections, edges and plain values are no objects that the database is asked for
        identified = inner.name == NODE or any(each.name == NODE for each in getattr(inner, "interfaces", ()))
        page = self._size(node) if "first" in field.args else 1
        return self.cost(node.selection_set, inner, page).within(count, int(identified), 1)

    def _count(self, node: FieldNode, parent: GraphQLNamedType, field: GraphQLField, size: int) -> int:
        """How many items the field gives."""
        if node.name.value in {"__schema", "__type"}:
            return VALUES_OF_INTROSPECTION
        if is_introspection_type(parent):
            return _introspected(self._schema).get(node.name.value, 1)
        if "ids" in field.args:
            return self._length(node)
        if not is_list_type(get_nullable_type(field.type)):
            return 1
        # The items of a page stand one level below the field that has its size
        if node.name.value in {"nodes", "edges"}:
            return size
        return len(CATALOGUE) if get_named_type(field.type).name == "PermissionInfo" else DEFAULT_SIZE

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

"""The compiler: from a valid document to a Plan.

It declines what only graphql-core runs: the directives of incremental delivery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from graphql import (
    DirectiveNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_abstract_type,
    is_composite_type,
    is_object_type,
)
from graphql.execution.values import VariableValues
from strawberry.utils.str_converters import to_camel_case

from service.access.rules import CLOSED, OPEN
from service.access.viewer import Rules
from service.compiler.arguments import bound, converter, has_variable
from service.compiler.kinds import (
    ENTITIES,
    KIND,
    ROOT,
    Column,
    Computed,
    Entity,
    Kind,
    PageOf,
    Related,
    columns_of,
    related_needs,
)
from service.compiler.leaves import TIME, Build, Leaf
from service.compiler.plan import Arguments, Field, Layout, Plan, Selection, leaf_of
from service.compiler.texts import text_of
from service.operations.phases import Fragments


class DeclinedError(Exception):
    """The document has something that only graphql-core runs."""


class Compiler:
    """Compiles the operations of one document."""

    def __init__(
        self, schema: GraphQLSchema, config: Any, rules: Rules, fragments: Fragments, introspection: Callable[..., Any]
    ) -> None:
        """`introspection` makes the root of `__schema` or `__type` from the operation, its nodes, and the fragments."""
        self._schema = schema
        self._config = config
        self._rules = rules
        self._fragments = fragments
        self._introspection = introspection
        self._flags: Mapping[str, Any] = {}

    def compile(self, definition: OperationDefinitionNode, flags: Mapping[str, Any]) -> Plan:
        """Return the plan of an operation, for these values of the variables in @skip and @include.

        Raise DeclinedError if only graphql-core can run it.
        """
        self._flags = flags
        self._definition = definition
        self._layouts: dict[str, Layout] = {}
        self._selections: dict[tuple[Any, ...], Selection] = {}
        root = self._schema.get_root_type(definition.operation)
        if root is None:
            raise DeclinedError
        self._varies = False
        selection = self._selection(root, [definition.selection_set])
        return Plan(definition.operation, selection, self._varies)

    def _selection(
        self,
        parent: GraphQLObjectType,
        selection_sets: Sequence[SelectionSetNode],
    ) -> Selection:
        """Return the selection on an object; one for each type and part of the document.

        SECURITY: fragments can make a document exponentially long, but its parts are no more than its tokens.
        """
        place = parent.name, *map(id, selection_sets)
        found = self._selections.get(place)
        if found is None:
            found = self._selections[place] = self._compiled(parent, selection_sets)
        return found

    def _compiled(self, parent: GraphQLObjectType, selection_sets: Sequence[SelectionSetNode]) -> Selection:
        entity, layout = ENTITIES.get(parent.name), self._layout(parent.name)
        grouped: dict[str, list[FieldNode]] = {}
        self._collect(parent, selection_sets, set(), grouped)
        leaves: list[Leaf | str] = []
        fields, deferred, protected = [], [], []
        for key, nodes in grouped.items():
            field = self._field(parent, entity, key, nodes, layout)
            fields.append(field)
            if field.leaf is None or field.deferred:
                leaves.append(key)
                deferred.append(field)
            else:
                leaves.append(field.leaf)
            if field.rule != OPEN:
                protected.append(field)
        if layout is not None:
            for column in _owners(protected):
                layout.position(column)
        return Selection(parent.name, fields, deferred, Build(leaves), protected)

    def _layout(self, type_name: str) -> Layout | None:
        """Return the columns that the document needs of the rows of a type, wherever they are."""
        entity = ENTITIES.get(type_name)
        if entity is None:
            return None
        layout = self._layouts.get(type_name)
        if layout is None:
            layout = self._layouts[type_name] = Layout()
            for column in ("id", *entity.ownership.needs):
                layout.position(column)
        return layout

    def _collect(
        self,
        parent: GraphQLObjectType,
        selection_sets: Iterable[SelectionSetNode],
        spread: set[str],
        grouped: dict[str, list[FieldNode]],
    ) -> None:
        """Group the fields that apply to the type by response name (GraphQL specification, CollectFields)."""
        for selection_set in selection_sets:
            for node in selection_set.selections:
                if not self._included(node.directives or ()):
                    continue
                if isinstance(node, FieldNode):
                    grouped.setdefault((node.alias or node.name).value, []).append(node)
                elif isinstance(node, InlineFragmentNode):
                    if node.type_condition is None or self._applies(node.type_condition.name.value, parent):
                        self._collect(parent, [node.selection_set], spread, grouped)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in spread:
                    spread.add(node.name.value)
                    fragment = self._fragments[node.name.value]
                    if self._applies(fragment.type_condition.name.value, parent):
                        self._collect(parent, [fragment.selection_set], spread, grouped)

    def _included(self, directives: Iterable[DirectiveNode]) -> bool:
        for directive in directives:
            name = directive.name.value
            if name in {"skip", "include"}:
                value: Any = (directive.arguments or ())[0].value
                given = self._flags[value.name.value] if isinstance(value, VariableNode) else value.value
                if given is None:
                    raise DeclinedError  # an error, whose place graphql-core knows
                if given is (name == "skip"):
                    return False
            else:
                raise DeclinedError
        return True

    def _applies(self, condition: str, parent: GraphQLObjectType) -> bool:
        if condition == parent.name:
            return True
        found = self._schema.get_type(condition)
        return is_abstract_type(found) and self._schema.is_sub_type(found, parent)

    def _field(
        self,
        parent: GraphQLObjectType,
        entity: Entity | None,
        key: str,
        nodes: list[FieldNode],
        layout: Layout | None,
    ) -> Field:
        name = nodes[0].name.value
        if name == "__typename":
            return Field(key, name, nodes, self._typename, OPEN, leaf=Leaf(key, parent.name, None))
        if name.startswith("__"):
            if None in self._flags.values():
                raise DeclinedError  # an argument may not allow null: an error inside of what is kept as a whole
            root = self._introspection(self._definition, nodes, self._fragments)
            return Field(key, name, nodes, self._typename, OPEN, root=root, arguments=_all_variables)
        declared = parent.fields[name]
        kind: Kind | None = declared.extensions.get(KIND)
        rule = self._rules.get((parent.name, name), CLOSED)
        field = Field(key, name, nodes, declared.type, rule, kind, root=declared.extensions.get(ROOT))
        if declared.args:
            field.arguments = self._arguments(declared, nodes[0])
            self._varies |= field.root is None and has_variable(nodes[0])
        if isinstance(kind, Column | Computed):
            field.leaf = self._leaf(field, kind, parent, entity, layout)
        elif isinstance(kind, Related | PageOf) and layout is not None:
            for column in columns_of(kind):
                layout.position(column)
        if is_composite_type(get_named_type(declared.type)):
            self._select(field, nodes)
        return field

    @property
    def _typename(self) -> GraphQLOutputType:
        return self._schema.type_map["String"]  # type: ignore[return-value]

    def _leaf(
        self,
        field: Field,
        kind: Column | Computed,
        parent: GraphQLObjectType,
        entity: Entity | None,
        layout: Layout | None,
    ) -> Leaf:
        serialized = leaf_of(field.type)
        positions, text = {}, None
        if layout is not None:
            if isinstance(kind, Column) and serialized is not None and serialized.name == TIME:
                text = layout.position(kind.name, text=True)
            else:
                positions = {column: layout.position(column) for column in columns_of(kind)}
            if entity is not None:
                for relation, column in related_needs(kind):
                    for key in columns_of(entity.relation(relation)):
                        layout.position(key)
                    self._need(field, parent, relation, column)
        return Leaf(field.key, kind, field.type if serialized is not None else None, positions, text)

    def _need(self, field: Field, parent: GraphQLObjectType, relation: str, column: str) -> None:
        """Add the column of a related row that a computed value needs, if the relation is a field of a known type."""
        shown = parent.fields.get(to_camel_case(relation))
        related = None if shown is None else self._layout(get_named_type(shown.type).name)
        if related is not None:
            related.position(column)
            field.layouts[relation] = related

    def _select(self, field: Field, nodes: list[FieldNode]) -> None:
        """Compile the selections of a field whose values are objects."""
        selection_sets = [node.selection_set for node in nodes if node.selection_set is not None]
        named: Any = get_named_type(field.type)
        possible = [named] if is_object_type(named) else self._schema.get_possible_types(named)
        field.selections = {each.name: self._selection(each, selection_sets) for each in possible}
        for each in possible:
            rows = get_named_type(each.fields["nodes"].type) if "nodes" in each.fields else each
            layout = self._layout(rows.name)
            if layout is not None:
                field.layouts[rows.name] = layout
        if isinstance(field.kind, PageOf) or (field.root is not None and not is_abstract_type(named)):
            field.text = text_of(next(iter(field.selections.values())))

    def _arguments(self, declared: GraphQLField, node: FieldNode) -> Arguments:
        """Return the function that makes the arguments of the field's function from the variables."""
        convert = converter(declared.extensions["strawberry-definition"].arguments, self._config)
        values = bound(declared, node)
        return lambda variables: convert(values(variables))


def _all_variables(variables: VariableValues) -> dict[str, Any]:
    return {"variables": variables}


def _owners(fields: Iterable[Field]) -> Iterator[str]:
    for field in fields:
        if field.rule.ownership is not None:
            yield from field.rule.ownership.needs

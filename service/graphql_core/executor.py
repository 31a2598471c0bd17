"""graphql-core's executor, with the access rule of every field.

It is used by `execution_context_class`, the extension point of Strawberry: every field of every object passes
`execute_field`, whatever alias, fragment, or interface it was selected through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from typing import Any

from graphql import (
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    OperationType,
    is_non_null_type,
)
from graphql.execution.collect_fields import DeferUsage, FieldDetailsList, GroupedFieldSet
from graphql.execution.executor import CollectedErrors
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from service.access.authorize import Verdict
from service.access.rules import CLOSED, OPEN, Rule
from service.compiler.kinds import ROOT
from service.database.rows import Row
from service.operations.denials import Place, denied_mutation, is_denial, place_of


class Errors(CollectedErrors):
    """The errors of one operation. A denial is reported once per field of the document, never once per row."""

    def __init__(self) -> None:
        super().__init__()
        self._denied: set[Place] = set()

    def add(self, error: GraphQLError, path: Path | None) -> None:
        """Keep the error, unless the same field was already denied on another row."""
        if self.has_nulled_position(path):
            return
        if is_denial(error):
            field = place_of(error.path, error.nodes)
            if field in self._denied:
                self._error_positions.add(path)
                return
            self._denied.add(field)
        super().add(error, path)

    def is_reported(self, path: Path, node: FieldNode) -> bool:
        """Return whether the field at the path was already denied on another row."""
        return place_of(path.as_list(), [node]) in self._denied


class AccessExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes an operation field by field, each under its rule."""

    collected_errors: Errors

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.collected_errors = Errors()

    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,
        new_defer_usages: Sequence[DeferUsage],
    ) -> Any:
        """Run the root fields that remain after @skip and @include; none if one of the mutations is denied."""
        if self.operation.operation is OperationType.MUTATION:
            denied = denied_mutation(self.context_value.viewer, self._mutations(grouped_field_set))
            if denied is not None:
                raise denied
        return super().execute_collected_root_fields(
            root_type, root_value, grouped_field_set, serially, new_defer_usages
        )

    def execute_field(
        self,
        parent_type: GraphQLObjectType,
        source: Any,
        field_details_list: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        """Return the field's value under its rule, or null with an error that names the required permission."""
        rule = self._rule(parent_type.name, field_details_list[0].node.name.value)
        if rule is OPEN:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        viewer = self.context_value.viewer
        verdict = viewer.verdict(rule)
        allowed = verdict is not Verdict.DENIED
        if verdict is Verdict.OWN_ROWS and isinstance(source, Row):
            reaches = viewer.reaches(rule, source)
            if not isinstance(reaches, bool):
                return self._execute_when(
                    reaches, rule, parent_type, source, field_details_list, path, position_context
                )
            allowed = reaches
        if not allowed:
            return self._deny(rule, parent_type, source, field_details_list, path)
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    async def _execute_when(  # noqa: PLR0917
        self,
        reaches: Awaitable[bool],
        rule: Rule,
        parent_type: GraphQLObjectType,
        source: Any,
        details: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        if not await reaches:
            return self._deny(rule, parent_type, source, details, path)
        result = super().execute_field(parent_type, source, details, path, position_context)
        return await result if self.is_awaitable(result) else result

    def _deny(
        self, rule: Rule, parent_type: GraphQLObjectType, source: Any, details: FieldDetailsList, path: Path
    ) -> None:
        field = self.schema.get_field(parent_type, details[0].node.name.value)
        # A denial that was already reported for this field needs no second error
        if field is not None and (
            is_non_null_type(field.type) or not self.collected_errors.is_reported(path, details[0].node)
        ):
            row = source if isinstance(source, Row) else None
            error = self.context_value.viewer.denial(rule, row)
            self.handle_field_error(error, field.type, details, path)

    def _rule(self, type_name: str, field_name: str) -> Rule:
        if type_name.startswith("__") or field_name == "__typename":
            return OPEN
        if field_name in {"__schema", "__type"}:
            return OPEN if self.context_value.resources.settings.introspection else CLOSED
        rule: Rule = self.context_value.viewer.rule(type_name, field_name)
        return rule

    def _mutations(self, roots: GroupedFieldSet) -> Iterator[tuple[str, FieldNode, Rule, bool]]:
        """Yield the mutations, as `denied_mutation` takes them."""
        for name, details in roots.items():
            node = details[0].node
            field = self.schema.get_field(self.schema.mutation_type, node.name.value)  # type: ignore[arg-type]
            declared = None if field is None else field.extensions.get(ROOT)
            yield name, node, self._rule("Mutation", node.name.value), declared is not None and declared.signs_in

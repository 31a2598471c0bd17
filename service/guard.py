"""May this document run, and which of its fields may this caller have? The one place where access and limits are
enforced.

Built on graphql-core's executor, through the seam that Strawberry leaves (`execution_context_class`): every field of
every object passes `execute_field`, whatever alias, fragment or interface it was asked through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Any

from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLObjectType,
    Node,
    OperationType,
    is_non_null_type,
)
from graphql.execution.collect_fields import DeferUsage, FieldDetailsList, GroupedFieldSet
from graphql.execution.executor import CollectedErrors
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from service.access import OPEN, Rule, Verdict, needed, owns
from service.context import Context
from service.cost import check_cost
from service.errors import Fault, FaultCode
from service.rows import Row

CLOSED = Rule(any="")  # a permission that nobody holds
_DENIALS = frozenset({FaultCode.FORBIDDEN.value, FaultCode.UNAUTHENTICATED.value, FaultCode.USER_SUSPENDED.value})


class Errors(CollectedErrors):
    """The errors of one operation; a denial is told once per field of the document, never once per row."""

    def __init__(self) -> None:
        super().__init__()
        self._denied: set[tuple[tuple[str, ...], int]] = set()

    def add(self, error: GraphQLError, path: Path | None) -> None:
        """Keeps the error, unless the same field was denied on another row."""
        if self.has_nulled_position(path):
            return
        if (error.extensions or {}).get("code") in _DENIALS:
            field = _field(error.path or (), error.nodes)
            if field in self._denied:
                self._error_positions.add(path)
                return
            self._denied.add(field)
        super().add(error, path)

    def told(self, path: Path, node: FieldNode) -> bool:
        """Whether the field at the path was denied on another row."""
        return _field(path.as_list(), [node]) in self._denied


def _field(path: Sequence[str | int], nodes: Sequence[Node] | None) -> tuple[tuple[str, ...], int]:
    """A field of the document: its path, and the node that tells it from a namesake on another type."""
    return tuple(part for part in path if isinstance(part, str)), id(nodes[0]) if nodes else 0


class Guard(StrawberryGraphQLCoreExecutionContext):
    """Executes an operation field by field, each under its rule."""

    context_value: Context
    collected_errors: Errors

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.collected_errors = Errors()

    def execute_operation(self, serially: bool | None = None) -> Any:
        """Refuses what is too large before anything is run."""
        try:
            check_cost(
                self.schema,
                self.operation,
                self.fragment_definitions,
                self.variable_values,
                settings=self.context_value.house.settings,
                budget=self.context_value.budget,
            )
        except GraphQLError as error:
            return ExecutionResult(None, [error])
        return super().execute_operation(serially)

    def execute_collected_root_fields(
        self,
        root_type: GraphQLObjectType,
        root_value: Any,
        grouped_field_set: GroupedFieldSet,
        serially: bool,
        new_defer_usages: Sequence[DeferUsage],
    ) -> Any:
        """Runs the root fields that are left after @skip and @include; no mutation where one of them is refused."""
        if self.operation.operation is OperationType.MUTATION:
            self._refuse_mutations(grouped_field_set)
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
        """The field's value under its rule: the value, or null and an error that names the permission it needs."""
        rule = self._rule(parent_type.name, field_details_list[0].node.name.value)
        if rule is OPEN:
            return super().execute_field(parent_type, source, field_details_list, path, position_context)
        verdict = self.context_value.decide(rule)
        if verdict is Verdict.ROWS and rule.own is not None and isinstance(source, Row):
            belongs = self.context_value.belongs(rule.own, source, rule.ownership or source.ownership)
            if not isinstance(belongs, bool):
                return self._when(belongs, rule, parent_type, source, field_details_list, path, position_context)
            verdict = Verdict.ALLOWED if belongs else Verdict.REFUSED
        if verdict is Verdict.REFUSED:
            return self._deny(rule, parent_type, source, field_details_list, path)
        return super().execute_field(parent_type, source, field_details_list, path, position_context)

    async def _when(  # noqa: PLR0917
        self,
        belongs: Awaitable[bool],
        rule: Rule,
        parent_type: GraphQLObjectType,
        source: Any,
        details: FieldDetailsList,
        path: Path,
        position_context: Any,
    ) -> Any:
        if not await belongs:
            return self._deny(rule, parent_type, source, details, path)
        result = super().execute_field(parent_type, source, details, path, position_context)
        return await result if self.is_awaitable(result) else result

    def _deny(
        self, rule: Rule, parent_type: GraphQLObjectType, source: Any, details: FieldDetailsList, path: Path
    ) -> None:
        field = self.schema.get_field(parent_type, details[0].node.name.value)
        # Where the denial stands among the errors already, null is all there is to say
        if field is not None and (
            is_non_null_type(field.type) or not self.collected_errors.told(path, details[0].node)
        ):
            self.handle_field_error(self._denial(rule, source), field.type, details, path)

    def _denial(self, rule: Rule, source: Any = None) -> Fault:
        actor = self.context_value.actor
        # At the root there is no object yet: it may well be the caller's own
        own_object = not isinstance(source, Row) or owns(
            source, rule.ownership or source.ownership, actor.user_id, actor.role_id
        )
        return actor.denial(needed(rule, own_object=own_object))

    def _rule(self, type_name: str, field_name: str) -> Rule:
        rule = self.context_value.rules.get((type_name, field_name))
        if rule is not None:
            return rule
        if type_name.startswith("__") or field_name == "__typename":
            return OPEN
        if field_name in {"__schema", "__type"}:
            return OPEN if self.context_value.house.settings.introspection else CLOSED
        # SECURITY: what nobody declared is closed (a test finds it before anybody else does)
        return CLOSED

    def _refuse_mutations(self, roots: GroupedFieldSet) -> None:
        """Nothing of a document runs when one of its mutations is refused; who signs in first is judged as they go."""
        for name, details in roots.items():
            node = details[0].node
            rule = self._rule("Mutation", node.name.value)
            if rule is OPEN:
                return
            if self.context_value.decide(rule) is Verdict.REFUSED:
                denial = self._denial(rule)
                raise GraphQLError(denial.message, node, path=[name], extensions=denial.extensions)

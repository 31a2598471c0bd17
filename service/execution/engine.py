"""The engine: prepares and executes operations against one schema."""

from __future__ import annotations

from typing import Any

from graphql import ExecutionResult, execute
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable

from service.execution.documents import Documents
from service.execution.executor import AccessExecutor
from service.execution.phases import Operation, Prepared, Rejected, Result
from service.execution.variables import long_list_error, variable_error


class Engine:
    """Prepares and executes operations."""

    def __init__(self, schema: Schema, *, token_limit: int, introspection: bool) -> None:
        self._schema = schema._schema  # noqa: SLF001  (Strawberry executes texts only; documents are kept here)
        self._documents = Documents(self._schema, token_limit=token_limit, introspection=introspection)

    def prepare(self, operation: Operation) -> Prepared | Rejected:
        """Return the operation ready to run, or why it cannot run."""
        return self._documents.prepare(operation)

    async def execute(self, prepared: Prepared, context: Any) -> Result | Rejected:
        """Run an operation."""
        too_long = long_list_error(self._schema, prepared.definition, prepared.variables)
        if too_long is not None:
            return Rejected([too_long])
        result = execute(
            self._schema,
            prepared.document,
            context_value=context,
            variable_values=prepared.variables,
            operation_name=prepared.name,
            executor_class=AccessExecutor,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            hide_suggestions=self._documents.hide_suggestions,
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        errors = result.errors or []
        if result.data is None and errors and not any(error.path for error in errors):
            error = variable_error(self._schema, prepared.definition, prepared.variables)
            return Rejected(errors if error is None else [error])
        return Result(result.data, errors)

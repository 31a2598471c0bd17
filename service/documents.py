"""Does a document mean anything, and what comes of it? Parses, validates and executes one operation.

Documents are kept once they are found valid; verdicts of access are never kept with them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import asyncpg
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    execute,
    get_operation_ast,
    parse,
    validate,
)
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable

from service.context import Context
from service.errors import Fault, FaultCode, bad_input
from service.guard import Guard
from service.readers import LOST

KEPT_DOCUMENTS = 512
LONGEST_KEPT = 16_384  # characters
MOST_VALIDATION_ERRORS = 20
UNAVAILABLE = (
    *LOST,
    asyncpg.QueryCanceledError,
    asyncpg.DeadlockDetectedError,
    asyncpg.InsufficientResourcesError,
    TimeoutError,
)
log = structlog.get_logger("roster.graphql")


class RequestError(Exception):
    """The request has no result: it could not be parsed, validated or matched with its variables."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class Documents:
    """Prepares and executes documents against one schema."""

    def __init__(self, schema: Schema, *, token_limit: int) -> None:
        self._schema = schema._schema  # noqa: SLF001  (Strawberry executes text only; documents are kept here)
        self._token_limit = token_limit
        self._prepare = lru_cache(KEPT_DOCUMENTS)(self._prepare_anew)

    def prepare(self, text: str) -> DocumentNode:
        """The valid document of a text; RequestError with every reason why there is none."""
        # A long text is rarely sent twice, and keeping many of them would take the memory
        return self._prepare(text) if len(text) <= LONGEST_KEPT else self._prepare_anew(text)

    def _prepare_anew(self, text: str) -> DocumentNode:
        try:
            document = parse(text, max_tokens=self._token_limit)
            errors = validate(self._schema, document, max_errors=MOST_VALIDATION_ERRORS)
        except GraphQLSyntaxError as error:
            if "tokens" in error.message:
                raise RequestError(
                    Fault(
                        FaultCode.QUERY_TOO_COMPLEX,
                        f"A document may have {self._token_limit} tokens",
                        limit=self._token_limit,
                    )
                ) from error
            raise RequestError(error) from error
        except RecursionError:
            raise RequestError(Fault(FaultCode.QUERY_TOO_COMPLEX, "The document is nested too deeply")) from None
        if errors:
            raise RequestError(*errors)
        return document

    def operation(self, document: DocumentNode, name: str | None) -> OperationDefinitionNode:
        """The operation to run; RequestError where the name does not choose one."""
        operation = get_operation_ast(document, name)
        if operation is None:
            raise RequestError(bad_input("Name one of the document's operations in `operationName`"))
        if operation.operation is OperationType.SUBSCRIPTION:
            raise RequestError(bad_input("Subscriptions need a WebSocket"))
        return operation

    async def run(
        self, document: DocumentNode, context: Context, variables: dict[str, Any] | None, name: str | None
    ) -> dict[str, Any]:
        """The response of one operation: `data` and `errors`, the latter masked where the fault is ours."""
        result = execute(
            self._schema,
            document,
            context_value=context,
            variable_values=variables,
            operation_name=name,
            executor_class=Guard,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        if result.data is None and result.errors and not any(error.path for error in result.errors):
            raise RequestError(*result.errors)
        response: dict[str, Any] = {"data": result.data}
        if result.errors:
            response["errors"] = [formatted(error, context.request.id) for error in result.errors]
        return response


def formatted(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """An error as clients see it: always with a code, and with nothing of what went wrong inside."""
    answer: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    if (error.extensions or {}).get("code"):
        return answer
    if cause is None or isinstance(cause, GraphQLError | asyncpg.DataError):
        message = answer["message"] if not isinstance(cause, asyncpg.DataError) else "A value does not fit its type"
        return answer | {"message": message, "extensions": {"code": FaultCode.BAD_USER_INPUT.value}}
    path = ".".join(str(part) for part in error.path or ())
    if isinstance(cause, UNAVAILABLE):
        log.warning("unavailable", request_id=request_id, path=path, error=type(cause).__name__)
        return answer | _masked("The service is not available just now; try again", FaultCode.UNAVAILABLE, request_id)
    # SECURITY: a message may quote values; the trace names code only, and the answer names nothing (ASVS 16.5.1)
    log.error("internal", request_id=request_id, path=path, exc_info=cause)
    return answer | _masked("Something went wrong inside", FaultCode.INTERNAL, request_id)


def _masked(message: str, code: FaultCode, request_id: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code.value, "requestId": request_id}}

"""Does a document mean anything, and what comes of it? Parses, validates and executes one operation.

Documents are kept once they are found valid; verdicts of access are never kept with them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import asyncpg
import structlog
from graphql import (
    DocumentNode,
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSyntaxError,
    OperationDefinitionNode,
    OperationType,
    ValidationRule,
    execute,
    get_operation_ast,
    parse,
    specified_rules,
    validate,
)
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable

from service.context import Context
from service.errors import Fault, FaultCode, bad_input
from service.guard import Guard
from service.readers import LOST, OUTDATED
from service.repetition import check_repetition

KEPT_DOCUMENTS = 512
LONGEST_KEPT = 16_384  # characters
LONGEST_TEXT = 100_000
QUOTED = re.compile(r",? [Ff]ound: |(?<=[a-z] value)(?<!invalid value): ")
MOST_VALIDATION_ERRORS = 20
# A value that got past the input types, as the server or asyncpg itself finds it
UNFIT = (asyncpg.DataError, asyncpg.exceptions._base.DataError)  # noqa: SLF001  (the latter has no public name)
UNAVAILABLE = (
    *LOST,
    *OUTDATED,
    asyncpg.InsufficientResourcesError,
    # How a server refuses a connection: another password, no such database, none for now
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.OperatorInterventionError,
    # Deadlocks, and a server that takes no writes for now
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
    TimeoutError,
)
log = structlog.get_logger("roster.graphql")


class RequestError(Exception):
    """The request has no result: it could not be parsed, validated or matched with its variables."""

    def __init__(self, *errors: GraphQLError) -> None:
        super().__init__(errors[0].message)
        self.errors = errors


class NoIntrospection(ValidationRule):
    """Refuses to tell of the schema, where the operator switched that off."""

    def enter_field(self, node: FieldNode, *_args: Any) -> None:
        """Reports a field of the introspection system; `__typename` tells nothing but what was asked for."""
        if node.name.value in {"__schema", "__type"}:
            self.report_error(Fault(FaultCode.FEATURE_DISABLED, "Introspection is switched off"))


class Documents:
    """Prepares and executes documents against one schema."""

    def __init__(self, schema: Schema, *, token_limit: int, introspection: bool) -> None:
        self._schema = schema._schema  # noqa: SLF001  (Strawberry executes text only; documents are kept here)
        self._token_limit = token_limit
        self._rules = specified_rules if introspection else (*specified_rules, NoIntrospection)
        # SECURITY: suggestions would tell the schema name by name (OWASP GraphQL cheat sheet)
        self._hide_suggestions = not introspection
        self._kept = lru_cache(KEPT_DOCUMENTS)(self._prepare)

    def prepare(self, text: str) -> DocumentNode:
        """The valid document of a text; RequestError with every reason why there is none."""
        # SECURITY: blanks, comments and long strings are few tokens, and yet take the lexer its time
        if len(text) > LONGEST_TEXT:
            message = f"A document may have {LONGEST_TEXT} characters; long values belong into variables"
            raise RequestError(Fault(FaultCode.QUERY_TOO_COMPLEX, message, limit=LONGEST_TEXT))
        # SECURITY: a text may be as long as a body; kept ones must not fill the memory
        return self._kept(text) if len(text) <= LONGEST_KEPT else self._prepare(text)

    def _prepare(self, text: str) -> DocumentNode:
        try:
            document = parse(text, max_tokens=self._token_limit)
        except GraphQLSyntaxError as error:
            raise RequestError(self._too_complex(error) or error) from error
        try:
            check_repetition(document)
        except Fault as error:
            raise RequestError(error) from error
        errors = validate(
            self._schema, document, self._rules, MOST_VALIDATION_ERRORS, hide_suggestions=self._hide_suggestions
        )
        if errors:
            raise RequestError(*(self._too_complex(error) or _told(error) for error in errors))
        return document

    def _too_complex(self, error: GraphQLError) -> Fault | None:
        """The fault of a document that graphql-core gave up on, which it tells by its message alone."""
        if error.message.startswith("Syntax Error: Document contains more than"):
            limit = self._token_limit
            return Fault(FaultCode.QUERY_TOO_COMPLEX, f"A document may have {limit} tokens", limit=limit)
        if error.message in {"Syntax Error: Document is nested too deeply. Parsing aborted.", "Validation aborted."}:
            return Fault(FaultCode.QUERY_TOO_COMPLEX, "The document is nested or repeated too much")
        return None

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
            hide_suggestions=self._hide_suggestions,
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        if result.data is None and result.errors and not any(error.path for error in result.errors):
            raise RequestError(*result.errors)
        response: dict[str, Any] = {"data": result.data}
        if result.errors:
            response["errors"] = [formatted(error, context.request.id) for error in result.errors]
        return response


def _told(error: GraphQLError) -> GraphQLError:
    """The error of a document as it is; but for what graphql-core stumbled over, such as a number of 5,000 digits."""
    if error.original_error is None or isinstance(error.original_error, GraphQLError):
        return error
    return GraphQLError("A value does not fit its type", error.nodes)


def formatted(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """An error as clients see it: always with a code, and with nothing of what went wrong inside."""
    answer: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    if (error.extensions or {}).get("code"):
        return answer
    if cause is None or isinstance(cause, GraphQLError):
        # SECURITY: the library quotes the value that does not fit, and a password may stand in it or beside it
        answer["message"] = QUOTED.split(answer["message"], maxsplit=1)[0]
        return answer | {"extensions": {"code": FaultCode.BAD_USER_INPUT.value}}
    path = ".".join(str(part) for part in error.path or ())
    if isinstance(cause, UNFIT):
        log.warning("unfit value", request_id=request_id, path=path, error=type(cause).__name__)
        code = FaultCode.BAD_USER_INPUT.value
        return answer | {"message": "A value does not fit its type", "extensions": {"code": code}}
    if isinstance(cause, UNAVAILABLE):
        log.warning("unavailable", request_id=request_id, path=path, error=type(cause).__name__)
        return answer | _masked("The service is not available just now; try again", FaultCode.UNAVAILABLE, request_id)
    # SECURITY: the answer names nothing (ASVS 16.5.1), and the log's trace names code only: a message may quote values
    log.error("internal", request_id=request_id, path=path, exc_info=cause)
    return answer | _masked("Something went wrong inside", FaultCode.INTERNAL, request_id)


def _masked(message: str, code: FaultCode, request_id: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code.value, "requestId": request_id}}

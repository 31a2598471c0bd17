"""The form in which clients receive errors: always with a code, and never with internal details."""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import structlog
from graphql import GraphQLError

from service.database.read_pool import OUTDATED
from service.database.servers import LOST, BusyError
from service.errors import ApiErrorCode

QUOTED = re.compile(r",? [Ff]ound: |(?<=[a-z] value)(?<!invalid value): ")
ENUM = re.compile(r"^Value .* (?=does not exist in '\w+' enum)", re.DOTALL)
# A value that passed the input types, rejected by the server or by asyncpg itself
UNFIT = (asyncpg.DataError, asyncpg.exceptions._base.DataError)  # noqa: SLF001  (the latter has no public name)
UNAVAILABLE = (
    *LOST,
    *OUTDATED,
    BusyError,
    asyncpg.InsufficientResourcesError,
    # The server rejects connections: wrong password, no such database, starting up
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ObjectNotInPrerequisiteStateError,
    asyncpg.OperatorInterventionError,
    # Deadlocks, and a server that accepts no writes at the moment
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.TransactionRollbackError,
    TimeoutError,
)
log = structlog.get_logger("roster.graphql")


def unquoted(message: str) -> str:
    """Return a message of graphql-core without the value that it quotes.

    SECURITY: a password may be in the value or beside it.
    """
    return ENUM.sub("The value ", QUOTED.split(message, maxsplit=1)[0])


def error_response(error: GraphQLError, request_id: str) -> dict[str, Any]:
    """Return an error as clients receive it."""
    response: dict[str, Any] = dict(error.formatted)
    cause = error.original_error
    if (error.extensions or {}).get("code"):
        return response
    if cause is None or isinstance(cause, GraphQLError):
        response["message"] = unquoted(response["message"])
        return response | {"extensions": {"code": ApiErrorCode.BAD_USER_INPUT.value}}
    path = ".".join(str(part) for part in error.path or ())
    if isinstance(cause, UNFIT):
        log.warning("unfit value", request_id=request_id, path=path, error=type(cause).__name__)
        code = ApiErrorCode.BAD_USER_INPUT.value
        return response | {"message": "A value does not fit its type.", "extensions": {"code": code}}
    if isinstance(cause, UNAVAILABLE):
        log.warning("unavailable", request_id=request_id, path=path, error=type(cause).__name__)
        message = "The service is temporarily unavailable. Try again."
        return response | _masked(message, ApiErrorCode.UNAVAILABLE, request_id)
    # SECURITY: the response has no details (ASVS 16.5.1), and the log has no messages, because they may quote values
    log.error("internal", request_id=request_id, path=path, exc_info=cause)
    return response | _masked("An internal error occurred.", ApiErrorCode.INTERNAL, request_id)


def _masked(message: str, code: ApiErrorCode, request_id: str) -> dict[str, Any]:
    return {"message": message, "extensions": {"code": code.value, "requestId": request_id}}

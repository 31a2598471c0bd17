"""How GraphQL is spoken over HTTP: GET and POST, batches, cookies, GraphiQL for browsers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from service import graphiql
from service.actor import ANONYMOUS, Actor, authenticate, refused
from service.context import Context, House, Request, Rules
from service.cost import Budget
from service.credentials import clear_cookie, credential, request_of, set_cookie
from service.documents import Documents, RequestError, formatted
from service.envelope import (
    GRAPHQL_RESPONSE,
    INVALID_REQUEST_STATUS,
    JSON,
    HttpError,
    Operation,
    body,
    decode,
    from_query_string,
    media_type,
    operations,
    prefers_html,
)
from service.errors import Fault, FaultCode, bad_input
from service.loaders import Loaders

RETRY_SECONDS = "5"


class Endpoint:
    """The GraphQL endpoint of one worker."""

    def __init__(self, house: House, documents: Documents, rules: Rules) -> None:
        self._house = house
        self._documents = documents
        self._rules = rules

    async def __call__(self, http: HttpRequest) -> Response:
        """Answers any request to the endpoint; the caller's mistakes never become a 500."""
        settings = self._house.settings
        if settings.graphiql and prefers_html(http):
            return graphiql.page(http)
        request, answer_type = request_of(http, settings), JSON
        try:
            answer_type = media_type(http)
            asked, batch = await self._read(http)
            return await self._answer(http, request, asked, answer_type, batch=batch)
        except HttpError as error:
            return _refusal(error, request, answer_type)
        except Exception as error:
            # SECURITY: the last resort (ASVS 16.5.4): whatever went wrong, the answer has a code and tells nothing
            # else of it
            masked = formatted(GraphQLError("", original_error=error), request.id)
            unavailable = masked["extensions"]["code"] == FaultCode.UNAVAILABLE.value
            status, headers = (503, {"Retry-After": RETRY_SECONDS}) if unavailable else (500, {})
            return _json({"errors": [masked]}, request, status, answer_type, headers)

    async def _read(self, http: HttpRequest) -> tuple[list[Operation | Fault], bool]:
        settings = self._house.settings
        content_type = http.headers.get("content-type", "").split(";")[0].strip().lower()
        if http.method in {"GET", "HEAD"}:
            # SECURITY: a GET with a body's content type is how a foreign page avoids the preflight
            # (GHSA-9q82-xgwf-vj6h)
            if content_type not in {"", "application/json"}:
                raise HttpError(415, bad_input("A GET has no content type"))
            return [from_query_string(http)], False
        if http.method != "POST":
            raise HttpError(405, bad_input("Use GET or POST"), Allow="GET, POST")
        # SECURITY: a foreign page can send forms and plain text without a preflight, but not JSON: nothing else is
        # executed
        if content_type != "application/json":
            raise HttpError(415, bad_input("The content type must be application/json"))
        value = decode(await body(http, settings.body_limit))
        return operations(value, settings.batch_limit), isinstance(value, list)

    async def _answer(
        self, http: HttpRequest, request: Request, asked: list[Operation | Fault], answer_type: str, *, batch: bool
    ) -> Response:
        actor, by_cookie = await self._actor(http, request)
        loaders = Loaders(self._house.database)
        budget = Budget(anonymous=actor.user_id is None)
        contexts = [Context(self._house, request, actor, loaders, self._rules, budget) for _ in asked]
        prepared = [self._prepare(operation, request, read_only=http.method != "POST") for operation in asked]
        members = list(zip(asked, prepared, contexts, strict=True))
        if any(kind is OperationType.MUTATION for _, kind in prepared):
            # One after the other, as they stand: a later one may build on an earlier one, a login too
            results: list[dict[str, Any]] = []
            for operation, (document, _), context in members:
                # SECURITY: nobody waits for the rest any more, and it may be costly (password hashes)
                if results and await http.is_disconnected():
                    break
                context.actor = actor
                results.append(await self._run(operation, document, context))
                actor = context.actor
        else:
            results = await asyncio.gather(
                *(self._run(operation, document, context) for operation, (document, _), context in members)
            )
        failed = not batch and "data" not in results[0]
        status = INVALID_REQUEST_STATUS if failed and answer_type == GRAPHQL_RESPONSE else 200
        response = _json(results if batch else results[0], request, status, answer_type)
        self._follow(response, request, contexts, by_cookie=by_cookie)
        return response

    def _prepare(
        self, operation: Operation | Fault, request: Request, *, read_only: bool
    ) -> tuple[Any, OperationType | None]:
        """The document and the kind of its operation, or the response that says why there is none."""
        if isinstance(operation, Fault):
            return {"errors": [formatted(operation, request.id)]}, None
        try:
            document = self._documents.prepare(operation.query)
            kind = self._documents.operation(document, operation.name).operation
        except RequestError as error:
            return {"errors": [formatted(item, request.id) for item in error.errors]}, None
        if read_only and kind is not OperationType.QUERY:
            raise HttpError(405, bad_input("A GET may only query"), Allow="POST")
        return document, kind

    async def _run(self, operation: Operation | Fault, document: Any, context: Context) -> dict[str, Any]:
        if isinstance(operation, Fault) or isinstance(document, dict):
            return cast("dict[str, Any]", document)
        try:
            return await self._documents.run(document, context, operation.variables, operation.name)
        except RequestError as error:
            return {"errors": [formatted(item, context.request.id) for item in error.errors]}

    async def _actor(self, http: HttpRequest, request: Request) -> tuple[Actor, bool]:
        token, by_cookie = credential(http, self._house.settings)
        if token is None:
            return ANONYMOUS, True
        if not token:
            return refused(FaultCode.UNAUTHENTICATED, "Authorization must be Bearer and a token"), False
        return await authenticate(self._house.database, token, ip=request.ip), by_cookie

    def _follow(self, response: Response, request: Request, contexts: list[Context], *, by_cookie: bool) -> None:
        """Sets or clears the session cookie after who signed in or out; who came by a header gets none."""
        if not by_cookie:
            return
        token = next(
            (context.session_token for context in reversed(contexts) if context.session_token is not None), None
        )
        if token:
            set_cookie(response, token, request, self._house.settings)
        elif token == "" or contexts[0].actor.outlived:
            clear_cookie(response, request)


def _refusal(error: HttpError, request: Request, answer_type: str) -> Response:
    content = {"errors": [formatted(error.fault, request.id)]}
    return _json(content, request, error.status, answer_type, error.headers)


def _json(
    content: Any, request: Request, status: int, answer_type: str, headers: Mapping[str, str] = MappingProxyType({})
) -> Response:
    return Response(
        orjson.dumps(content),
        status_code=status,
        headers={
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "X-Request-Id": request.id,
            **headers,
        },
        media_type=f"{answer_type}; charset=utf-8",
    )

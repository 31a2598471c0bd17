"""The GraphQL endpoint: from an HTTP request to its response.

read the message -> authenticate -> prepare each operation -> execute -> respond
"""

from __future__ import annotations

from typing import Any

import orjson
from graphql import GraphQLError, OperationType
from starlette.requests import Request as PageRequest

from service import graphiql
from service.access.actor import Actor
from service.access.authenticate import authenticate_again
from service.access.viewer import Rules
from service.context import Context, Request, Resources
from service.database.loaders import Loaders
from service.errors import ApiErrorCode, bad_input
from service.execution.engine import Engine
from service.http.authentication import actor_of, clear_cookie, credential_of, request_of, set_cookie
from service.http.cors import Cors
from service.http.deadlines import Deadlines
from service.http.errors import HttpError
from service.http.messages import (
    GRAPHQL_RESPONSE,
    INVALID_REQUEST_STATUS,
    JSON,
    media_type,
    prefers_html,
    read_message,
)
from service.http.request import HttpRequest, HttpResponse
from service.operations.cost import Budget
from service.operations.phases import Operation, Prepared, Rejected, Result
from service.operations.responses import error_response
from service.persisted import PersistedDocuments

RETRY_SECONDS = "5"
BODY_SECONDS = 15
REQUEST_SECONDS = 60  # then the response is 503, whatever the request waits for
NO_STORE = (b"cache-control", b"no-store")
NO_SNIFF = (b"x-content-type-options", b"nosniff")
CONTENT_TYPES = {name: (b"content-type", f"{name}; charset=utf-8".encode()) for name in (JSON, GRAPHQL_RESPONSE)}


class Endpoint:
    """The GraphQL endpoint of one worker."""

    def __init__(self, resources: Resources, engine: Engine, rules: Rules, documents: PersistedDocuments) -> None:
        self._resources = resources
        self._documents = documents
        self._cors = Cors(filter(None, resources.settings.cors_origins.split(",")))
        self._engine = engine
        self._rules = rules
        self._bodies = Deadlines(BODY_SECONDS)
        self._requests = Deadlines(REQUEST_SECONDS)

    async def __call__(self, http: HttpRequest) -> HttpResponse:
        """Respond to any request; errors of the client never become a 500."""
        response = self._cors.preflight(http)
        if response is None:
            response = await self._response(http)
            self._cors.add_to(response, http)
        return response

    async def _response(self, http: HttpRequest) -> HttpResponse:
        settings = self._resources.settings
        if settings.graphiql and http.method != "POST" and prefers_html(http):
            return HttpResponse.of(graphiql.page(PageRequest(http.scope)))
        request, response_type = request_of(http, settings), JSON
        try:
            response_type = media_type(http.header(b"accept"))
            return await self._requests.run(self._respond(http, request, response_type))
        except HttpError as error:
            content = {"errors": [error_response(error.error, request.id)]}
            return _json(content, request, error.status, response_type, **error.headers)
        except Exception as error:
            # SECURITY: the last resort (ASVS 16.5.4): the response has a code and no details
            masked = error_response(GraphQLError("", original_error=error), request.id)
            unavailable = masked["extensions"]["code"] == ApiErrorCode.UNAVAILABLE.value
            status, headers = (503, {"retry-after": RETRY_SECONDS}) if unavailable else (500, {})
            return _json({"errors": [masked]}, request, status, response_type, **headers)

    async def _respond(self, http: HttpRequest, request: Request, response_type: str) -> HttpResponse:
        resources, settings = self._resources, self._resources.settings
        message = await read_message(
            http,
            self._bodies,
            self._documents,
            body_limit=settings.body_limit,
            batch_limit=settings.batch_limit,
        )
        credential = credential_of(http, request, settings, trusted_origin=self._cors.allows(http))
        actor = await actor_of(credential, resources, request)
        prepared = [await self._prepare(operation, http.method) for operation in message.operations]
        results, contexts = await self._execute(prepared, actor, request, http)
        responses = [result.response(request.id) for result in results]
        failed = not message.batch and isinstance(results[0], Rejected)
        status = INVALID_REQUEST_STATUS if failed and response_type == GRAPHQL_RESPONSE else 200
        response = _json(responses if message.batch else responses[0], request, status, response_type)
        if credential.by_cookie:
            self._update_cookie(response, request, contexts, actor)
        return response

    async def _prepare(self, operation: Operation | Rejected, method: str) -> Prepared | Rejected:
        prepared = operation if isinstance(operation, Rejected) else await self._engine.prepare(operation)
        if isinstance(prepared, Prepared) and method != "POST" and prepared.type is not OperationType.QUERY:
            raise HttpError(405, bad_input("A GET may only run queries."), Allow="POST")
        return prepared

    async def _execute(
        self, prepared: list[Prepared | Rejected], actor: Actor, request: Request, http: HttpRequest
    ) -> tuple[list[Result | Rejected], list[Context]]:
        """Run the operations of a request: queries at the same time, but one after the other if there is a mutation.

        A later operation can then depend on an earlier one, and has its caller after a login.
        """
        loaders, budget = Loaders(self._resources.database), Budget(anonymous=actor.user_id is None)

        def context_of() -> Context:
            return Context.of(self._resources, request, loaders, self._rules, budget, actor)

        if not any(isinstance(item, Prepared) and item.type is OperationType.MUTATION for item in prepared):
            return await self._engine.execute(prepared, context_of()), []  # queries change nothing of the context
        contexts = [context_of() for _ in prepared]
        results: list[Result | Rejected] = []
        for item, context in zip(prepared, contexts, strict=True):
            # SECURITY: the client no longer waits for the rest, which may be expensive (password hashes)
            if results and await http.is_disconnected():
                break
            # SECURITY: the operations before may have taken long, or changed the caller's own rights
            if results and actor.token_hash is not None:
                actor = await authenticate_again(self._resources.database.read, actor, ip=request.ip)
            context.act_as(actor)
            results += await self._engine.execute([item], context)
            actor = context.actor
        return results, contexts

    def _update_cookie(self, response: HttpResponse, request: Request, contexts: list[Context], actor: Actor) -> None:
        """Set or remove the session cookie after a login, a logout, or an invalid cookie."""
        changes = [context.session_change for context in contexts if context.session_change is not None]
        if changes and changes[-1].token is not None:
            set_cookie(response, changes[-1], request, self._resources.settings)
        elif changes or actor.signed_out:
            clear_cookie(response, request)


def _json(content: Any, request: Request, status: int, response_type: str, **headers: str) -> HttpResponse:
    body = orjson.dumps(content)
    sent = [
        CONTENT_TYPES[response_type],
        (b"content-length", b"%d" % len(body)),
        NO_STORE,
        NO_SNIFF,
        (b"x-request-id", request.id.encode()),
    ]
    for name, value in headers.items():
        sent.append((name.lower().encode(), value.encode()))
    return HttpResponse(status, body, sent, request.id)

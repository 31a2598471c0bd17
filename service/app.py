"""What the service answers to: its routes, its health, and one log line for each request."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

import asyncpg
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import graphiql, logs, settings
from service.documents import Documents
from service.house import opened
from service.http import Endpoint
from service.schema import RULES, schema
from service.settings import Settings

# Whoever asks whether to send requests here gives up soon
PATIENCE_SECONDS = 2
MOST_HEADERS = 100
LARGEST_HEADERS = 65_536  # bytes
log = structlog.get_logger("roster.request")


class HeaderLimit:
    """Refuses requests with more headers than any client sends, before anything reads them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on, or answers 431 (RFC 6585, section 5)."""
        headers = scope.get("headers", [])
        if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > LARGEST_HEADERS:
            refusal = {"message": "The headers are too large", "extensions": {"code": "BAD_USER_INPUT"}}
            await JSONResponse({"errors": [refusal]}, status_code=431)(scope, receive, send)
            return
        await self._app(scope, receive, send)


class AccessLog:
    """One line for each request: what, how it ended, how long it took; never a header, a query string or a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and watches its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, seen = time.perf_counter(), {"status": 500, "request_id": None}

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                seen["request_id"] = next((v.decode() for k, v in message["headers"] if k == b"x-request-id"), None)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            elapsed = round((time.perf_counter() - started) * 1000, 1)
            # Quoted, so that a line break in it does not begin a line of its own
            log.info("request", method=scope["method"], path=quote(scope["path"]), ms=elapsed, **seen)


async def live(_request: Request) -> Response:
    """Whether the process answers at all."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """Whether the process can serve: 503 while the database does not answer."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await request.app.state.house.database.read("ping")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
        return JSONResponse({"status": "database unavailable"}, status_code=503, headers={"Retry-After": "5"})
    return JSONResponse({"status": "ready"})


async def graphql(request: Request) -> Response:
    """The GraphQL endpoint."""
    endpoint: Endpoint = request.app.state.endpoint
    return await endpoint(request)


async def front_door(_request: Request) -> Response:
    """A person who comes by hand wants the GraphQL page."""
    return RedirectResponse("/graphql")


def application(configured: Settings, url: str) -> Starlette:
    """The ASGI application of one worker on the database at `url`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with opened(configured, url) as house:
            app.state.house = house
            documents = Documents(schema, token_limit=configured.token_limit, introspection=configured.introspection)
            app.state.endpoint = Endpoint(house, documents, RULES)
            yield

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/graphql", graphql, methods=methods),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/", front_door),
            *graphiql.routes,
        ],
        middleware=[Middleware(AccessLog), Middleware(HeaderLimit)],
        lifespan=lifespan,
    )


def create() -> Starlette:
    """The application of a worker process, set up by its environment."""
    configured = settings.read()
    logs.configure(configured)
    url = configured.postgresql_url
    if url is None:
        raise settings.SettingsError("ROSTER_DATABASE_URL: a worker needs it; `serve` sets it for its workers")
    return application(configured, url)

"""The ASGI application: routes, health checks, and one log line per request."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
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
from service.database.read_pool import LOST
from service.execution.engine import Engine
from service.http.endpoint import Endpoint
from service.http.limits import HeaderLimit
from service.resources import opened
from service.schema import RULES, schema
from service.settings import Settings

# Readiness probes time out quickly, so respond before they do
READY_SECONDS = 2
CLIENT_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
log = structlog.get_logger("roster.request")


class AccessLog:
    """Writes one line per request: method, path, status, and time; never a header, a query string, or a body."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and log its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        seen: dict[str, Any] = {"status": 500, "request_id": None}
        given = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-request-id"), "")
        if CLIENT_REQUEST_ID.fullmatch(given):
            seen["client_request_id"] = given

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                seen["status"] = message["status"]
                seen["request_id"] = next((v.decode() for k, v in message["headers"] if k == b"x-request-id"), None)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            elapsed = round((time.perf_counter() - started) * 1000, 1)
            # Quoted, so that a line break in the path does not begin a new line
            log.info("request", method=scope["method"], path=quote(scope["path"]), ms=elapsed, **seen)


async def live(_request: Request) -> Response:
    """Return 200 as long as the process responds at all."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """Return 200 if the process can serve requests, and 503 while the database does not answer."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await request.app.state.resources.database.read("ping")
    except (asyncpg.PostgresError, *LOST, TimeoutError):
        return JSONResponse({"status": "database unavailable"}, status_code=503, headers={"Retry-After": "5"})
    return JSONResponse({"status": "ready"})


async def graphql(request: Request) -> Response:
    """Pass the request to the GraphQL endpoint."""
    endpoint: Endpoint = request.app.state.endpoint
    return await endpoint(request)


async def home(_request: Request) -> Response:
    """Send a person to the GraphQL page."""
    return RedirectResponse("/graphql")


def application(configured: Settings, url: str) -> Starlette:
    """Return the ASGI application of one worker, for the database at `url`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with opened(configured, url) as resources:
            engine = Engine(schema, token_limit=configured.token_limit, introspection=configured.introspection)
            app.state.resources = resources
            app.state.endpoint = Endpoint(resources, engine, RULES)
            yield

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return Starlette(
        routes=[
            Route("/graphql", graphql, methods=methods),
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/", home),
            *graphiql.routes,
        ],
        middleware=[Middleware(AccessLog), Middleware(HeaderLimit)],
        lifespan=lifespan,
    )


def create() -> Starlette:
    """Return the application of a worker process, configured by its environment."""
    configured = settings.read()
    logs.configure(configured)
    url = configured.postgresql_url
    if url is None:
        raise settings.SettingsError("ROSTER_DATABASE_URL: a worker requires it; `serve` sets it for its workers")
    return application(configured, url)

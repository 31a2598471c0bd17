"""The ASGI application: routes, health checks, and one log line per request."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import graphiql, logs, pages, settings
from service.context import info_of
from service.database.servers import LOST, BusyError
from service.execution.engine import Engine
from service.http.endpoint import RETRY_SECONDS, Endpoint
from service.http.proxies import TrustedProxies
from service.http.request import HttpRequest
from service.persisted import PersistedDocuments, read_documents
from service.resources import opened
from service.schema import RULES, schema
from service.settings import Settings

# Readiness probes time out quickly, so respond before they do
READY_SECONDS = 2
KEY_SET_SECONDS = 60
NOT_STORED = {"Cache-Control": "no-store"}
COLLECTION_THRESHOLDS = (10_000, 5, 400)  # the second takes up to 50,000 objects, for 20 ms
CLIENT_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class Service(Starlette):
    """The application. `/graphql` is answered before Starlette's routes and middleware."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request, and log its response."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
        elif scope["path"] == "/graphql":
            await self._graphql(scope, receive, send)
        else:
            await self._routed(scope, receive, send)

    async def _graphql(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        http, response = HttpRequest(scope, receive), None
        try:
            response = await self.state.endpoint(http)
            await response.send(send)
        finally:
            status, own_id = (500, None) if response is None else (response.status, response.request_id)
            _log(http.method, "/graphql", started, status, own_id, http.header(b"x-request-id"))

    async def _routed(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await super().__call__(scope, receive, watched)
        finally:
            given = HttpRequest(scope, receive).header(b"x-request-id")
            # Quoted, so that a line break in the path does not begin a new line
            _log(scope["method"], quote(scope["path"]), started, status, None, given)


def _log(method: str, path: str, started: float, status: int, request_id: str | None, given: str) -> None:  # noqa: PLR0917
    elapsed = round((time.perf_counter() - started) * 1000, 1)
    client_request_id = given if given and CLIENT_REQUEST_ID.fullmatch(given) else None
    logs.request(method, path, elapsed, status, request_id, client_request_id)


async def live(_request: Request) -> Response:
    """Return 200 as long as the process responds at all."""
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """Return 200 if the process can serve requests, and 503 while the database does not answer."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            await request.app.state.resources.database.read("ping")
    except (asyncpg.PostgresError, *LOST, BusyError, TimeoutError):
        return JSONResponse({"status": "database unavailable"}, status_code=503, headers={"Retry-After": RETRY_SECONDS})
    return JSONResponse({"status": "ready"})


async def signing_keys(request: Request) -> Response:
    """Return the public keys of access tokens as a JSON Web Key Set (RFC 7517); 503 while the database is not there."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            keys = await request.app.state.resources.signing_keys.published()
    except (asyncpg.PostgresError, *LOST, BusyError, TimeoutError):
        return JSONResponse({"keys": []}, status_code=503, headers={"Retry-After": RETRY_SECONDS, **NOT_STORED})
    # A client that meets an unknown key reads the set again, so no cache may keep it for long
    return JSONResponse({"keys": keys}, headers={"Cache-Control": f"public, max-age={KEY_SET_SECONDS}"})


async def home(_request: Request) -> Response:
    """Send a person to the GraphQL page."""
    return RedirectResponse("/graphql")


def _tune_garbage_collection() -> None:
    """Leave what exists at the start out of later collections, and collect less often: rows are no circles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTION_THRESHOLDS)


def _documents(configured: Settings) -> PersistedDocuments:
    """Return the documents that clients may name by their hash."""
    file = configured.trusted_documents
    trusted = {} if file is None else read_documents(file)
    return PersistedDocuments(
        trusted, only_trusted=configured.trusted_documents_only, automatic=configured.persisted_queries
    )


def application(configured: Settings, url: str) -> Starlette:
    """Return the ASGI application of one worker, for the database at `url`."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with opened(configured, url) as resources:
            engine = Engine(
                schema,
                RULES,
                info_of,
                token_limit=configured.token_limit,
                introspection=configured.introspection,
                compiled=configured.compiled,
            )
            app.state.resources = resources
            _tune_garbage_collection()
            app.state.endpoint = Endpoint(resources, engine, RULES, _documents(configured))
            yield

    service = Service(
        routes=[
            Route("/health/live", live),
            Route("/health/ready", ready),
            Route("/.well-known/jwks.json", signing_keys),
            Route("/", home),
            *graphiql.routes,
            *pages.routes,
        ],
        lifespan=lifespan,
    )
    service.router.redirect_slashes = False  # SECURITY: it would redirect to the address of the Host header
    return service


def create() -> ASGIApp:
    """Return the application of a worker process, configured by its environment."""
    configured = settings.read()
    logs.configure(configured)
    url = configured.postgresql_url
    if url is None:
        raise settings.SettingsError("ROSTER_DATABASE_URL: a worker requires it; `serve` sets it for its workers")
    app: Any = application(configured, url)
    # SECURITY: X-Forwarded-* is trusted only from these addresses; otherwise clients could forge their addresses
    return TrustedProxies(app, configured.trusted_proxies) if configured.trusted_proxies else app

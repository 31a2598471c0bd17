"""A Starlette application as it is usually written: an endpoint for each path, and a pool of asyncpg."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.servers import statements as sql
from bench.servers.held import SETTINGS

POOL = 10


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Open the pool at the start, and close it at the end."""
    url = os.environ["BENCH_DATABASE_URL"]
    async with asyncpg.create_pool(url, min_size=POOL, max_size=POOL, server_settings=SETTINGS) as pool:
        app.state.pool = pool
        yield


def answer(body: bytes) -> Response:
    """Return the response with a JSON body."""
    return Response(body, media_type="application/json")


def connection_of(request: Request) -> Any:
    """Return a connection of the pool, to use in `async with`."""
    return request.app.state.pool.acquire()


async def user(request: Request) -> Response:
    """Return one user."""
    async with connection_of(request) as connection:
        return answer(sql.answer_of_user(await connection.fetchrow(sql.USER, request.query_params["id"])))


async def page(request: Request) -> Response:
    """Return a page of users."""
    async with connection_of(request) as connection:
        return answer(sql.answer_of_page(await connection.fetch(sql.USERS_PAGE)))


async def tree(request: Request) -> Response:
    """Return a page of users and all that belongs to them."""
    async with connection_of(request) as connection:
        users = await connection.fetch(sql.USERS_PAGE_WITH_PLAN)
        ids = sql.user_ids(users)
        plans = await connection.fetch(sql.PLANS, sql.plan_ids(users))
        children = [await connection.fetch(each, ids) for each in (sql.SESSIONS, sql.API_KEYS, sql.SSH_KEYS)]
    return answer(sql.answer_of_tree(users, plans, *children))


async def batch(request: Request) -> Response:
    """Return ten users, each with the sessions."""
    ids = request.query_params["ids"].split(",")
    async with connection_of(request) as connection:
        users = await connection.fetch(sql.USERS, ids)
        sessions = await connection.fetch(sql.SESSIONS, ids)
    return answer(sql.answer_of_batch(ids, users, sessions))


async def update(request: Request) -> Response:
    """Change the first name of a user."""
    given = request.query_params
    async with connection_of(request) as connection:
        return answer(sql.answer_of_update(await connection.fetchrow(sql.UPDATE, given["id"], given["name"])))


async def typename(_request: Request) -> Response:
    """Return the name of the root type."""
    return answer(sql.TYPENAME)


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/w1", user),
        Route("/w2", page),
        Route("/w3", tree),
        Route("/w4", batch),
        Route("/w5", update, methods=["POST"]),
        Route("/w6", typename),
    ],
)

"""Strawberry as its documentation shows it: types, resolvers, data loaders, its caches, and a pool of asyncpg."""

from __future__ import annotations

import datetime as dt
import os
from collections import defaultdict
from enum import Enum
from typing import Any

import asyncpg
import strawberry
from strawberry.asgi import GraphQL
from strawberry.dataloader import DataLoader
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.schema.config import StrawberryConfig

from bench.servers import stock_statements as sql
from bench.servers.held import SETTINGS

POOL = 10
BATCH = 20  # operations of an HTTP batch at most


@strawberry.enum
class Tier(Enum):
    """The tier of an account."""

    FREE = "FREE"
    PAID = "PAID"
    EDUCATIONAL = "EDUCATIONAL"
    ENTERPRISE = "ENTERPRISE"


@strawberry.type
class Plan:
    """A plan."""

    id: strawberry.ID
    name: str
    description: str | None
    tier: Tier
    is_default: bool


@strawberry.type
class Session:
    """A session."""

    id: strawberry.ID
    ip: str | None
    device: str | None
    created_at: dt.datetime
    last_seen_at: dt.datetime


@strawberry.type
class ApiKey:
    """An API key."""

    id: strawberry.ID
    name: str
    prefix: str
    created_at: dt.datetime
    last_used_at: dt.datetime | None


@strawberry.type
class SshKey:
    """An SSH key."""

    id: strawberry.ID
    name: str
    type: str
    fingerprint: str
    created_at: dt.datetime


@strawberry.type
class Sessions:
    """The sessions of a user."""

    nodes: list[Session]


@strawberry.type
class ApiKeys:
    """The API keys of a user."""

    nodes: list[ApiKey]


@strawberry.type
class SshKeys:
    """The SSH keys of a user."""

    nodes: list[SshKey]


@strawberry.type
class User:
    """A user."""

    id: strawberry.ID
    username: str | None
    email: str | None
    email_verified: bool
    first_name: str | None
    last_name: str | None
    language: str
    tier: Tier
    two_factor_enabled: bool
    created_at: dt.datetime
    version: int
    plan_id: strawberry.Private[str | None]

    @strawberry.field
    async def plan(self, info: strawberry.Info) -> Plan | None:
        """Return the plan."""
        return None if self.plan_id is None else await info.context["plans"].load(self.plan_id)

    @strawberry.field
    async def sessions(self, info: strawberry.Info) -> Sessions:
        """Return the live sessions."""
        return Sessions(nodes=await info.context["sessions"].load(self.id))

    @strawberry.field
    async def api_keys(self, info: strawberry.Info) -> ApiKeys:
        """Return the API keys."""
        return ApiKeys(nodes=await info.context["api_keys"].load(self.id))

    @strawberry.field
    async def ssh_keys(self, info: strawberry.Info) -> SshKeys:
        """Return the SSH keys."""
        return SshKeys(nodes=await info.context["ssh_keys"].load(self.id))


@strawberry.type
class Users:
    """A page of users."""

    nodes: list[User]


@strawberry.input(one_of=True)
class UserBy:
    """The key of a user."""

    id: strawberry.Maybe[strawberry.ID]


@strawberry.type
class Query:
    """The reads."""

    @strawberry.field
    async def user(self, info: strawberry.Info, by: UserBy) -> User | None:
        """Return a user."""
        return None if by.id is None else await info.context["users"].load(by.id.value)

    @strawberry.field
    async def users(self, info: strawberry.Info, first: int = 20) -> Users:
        """Return the newest users."""
        return Users(nodes=[user_of(row) for row in await info.context["pool"].fetch(sql.PAGE, first)])


@strawberry.input
class UpdateUserInput:
    """A change of a user."""

    id: strawberry.ID
    first_name: str


@strawberry.type
class UserError:
    """An error of a change."""

    code: str


@strawberry.type
class UserPayload:
    """The result of a change."""

    user: User | None
    errors: list[UserError]


@strawberry.type
class Mutation:
    """The writes."""

    @strawberry.mutation
    async def update_user(self, info: strawberry.Info, input: UpdateUserInput) -> UserPayload:
        """Change a user."""
        row = await info.context["pool"].fetchrow(sql.UPDATE, input.id, input.first_name)
        return UserPayload(user=user_of(row) if row else None, errors=[])


def user_of(row: Any) -> User:
    """Return the user of a row."""
    return User(**{**row, "tier": Tier(row["tier"])})


def plan_of(row: Any) -> Plan:
    """Return the plan of a row."""
    return Plan(**{**row, "tier": Tier(row["tier"])})


def loader_of_one(pool: Any, statement: str, build: Any) -> DataLoader[str, Any]:
    """Return a data loader of objects by id."""

    async def load(keys: list[str]) -> list[Any]:
        found = {row["id"]: build(row) for row in await pool.fetch(statement, keys)}
        return [found.get(key) for key in keys]

    return DataLoader(load)


def loader_of_many(pool: Any, statement: str, build: Any) -> DataLoader[str, list[Any]]:
    """Return a data loader of the objects of each user."""

    async def load(keys: list[str]) -> list[list[Any]]:
        found: dict[str, list[Any]] = defaultdict(list)
        for row in await pool.fetch(statement, keys):
            values = dict(row)
            found[values.pop("key")].append(build(**values))
        return [found[key] for key in keys]

    return DataLoader(load)


class Application(GraphQL[Any, Any]):
    """The ASGI application. A request has data loaders of its own."""

    pool: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Open the pool at the start, and respond to requests."""
        if scope["type"] != "lifespan":
            await super().__call__(scope, receive, send)
            return
        await receive()
        url = os.environ["BENCH_DATABASE_URL"]
        self.pool = await asyncpg.create_pool(url, min_size=POOL, max_size=POOL, server_settings=SETTINGS)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.pool.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def get_context(self, request: Any, response: Any) -> Any:
        """Return the context of a request."""
        pool = self.pool
        return {
            "pool": pool,
            "users": loader_of_one(pool, sql.USERS, user_of),
            "plans": loader_of_one(pool, sql.PLANS, plan_of),
            "sessions": loader_of_many(pool, sql.SESSIONS, Session),
            "api_keys": loader_of_many(pool, sql.API_KEYS, ApiKey),
            "ssh_keys": loader_of_many(pool, sql.SSH_KEYS, SshKey),
        }


schema = strawberry.Schema(
    Query,
    Mutation,
    config=StrawberryConfig(batching_config={"max_operations": BATCH}),
    extensions=[ParserCache, ValidationCache],
)
app = Application(schema)

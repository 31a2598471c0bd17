"""The servers that are compared: how each is started, and in which form it takes requests."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.database import Data, service_environment
from bench.processes import Server
from bench.servers import statements
from bench.workloads import Request

MERCURIUS = Path(__file__).parent / "mercurius"
INSTALL_SECONDS = 300
JIT = 10.0  # Node.js compiles a function after thousands of calls
FLOOR = "floor"
COALESCED = "coalesced"
ROSTER = "roster"


@dataclass(frozen=True)
class Contender:
    """One of the servers."""

    name: str
    text: str
    graphql: bool
    start: Callable[[Data, Path], Server]
    warm_up: float = 1.0  # times as long as the others

    def message(self, request: Request, token: str) -> bytes:
        """Return the bytes of a request in the form that the server takes."""
        return request.to_graphql(token) if self.graphql else request.to_path(token)


def roster(name: str, **settings: str) -> Callable[[Data, Path], Server]:
    """Return the function that starts this service with further settings."""

    def start(data: Data, folder: Path) -> Server:
        environment = service_environment(ROSTER_DATABASE_URL=data.url, **settings)
        return Server.start(name, [sys.executable, "-m", "bench.servers.run", "roster"], environment, folder)

    return start


def _python(module: str) -> Callable[[Data, Path], Server]:
    def start(data: Data, folder: Path) -> Server:
        environment = service_environment(BENCH_DATABASE_URL=data.url)
        return Server.start(module, [sys.executable, "-m", "bench.servers.run", module], environment, folder)

    return start


def _mercurius(data: Data, folder: Path) -> Server:
    columns = f"{statements.USER_COLUMNS}, users.version, users.plan_id::text AS plan"
    texts = {
        "USER": f"SELECT {columns} FROM users WHERE users.id = $1",  # noqa: S608
        "USERS": f"SELECT {columns} FROM users WHERE users.id = ANY($1::uuid[])",  # noqa: S608
        "PAGE": f"SELECT {columns} FROM users ORDER BY users.created_at DESC, users.id DESC LIMIT $1",  # noqa: S608
        "UPDATE": f"UPDATE users SET first_name = $2 WHERE id = $1 RETURNING {columns}",  # noqa: S608
        "PLANS": statements.PLANS,
        "SESSIONS": statements.SESSIONS,
        "API_KEYS": statements.API_KEYS,
        "SSH_KEYS": statements.SSH_KEYS,
    }
    environment = service_environment(
        BENCH_DATABASE_URL=data.url, BENCH_STATEMENTS=orjson.dumps(texts).decode(), NODE_ENV="production"
    )
    return Server.start("mercurius", ["node", str(MERCURIUS / "server.js")], environment, folder)


CONTENDERS = (
    Contender(ROSTER, "this service as shipped, credential checked", True, roster(ROSTER)),
    Contender(
        "roster_core",
        "this service with graphql-core's executor",
        True,
        roster("roster_core", ROSTER_COMPILED="false"),
    ),
    Contender(FLOOR, "the floor: bare ASGI, held connections, no GraphQL, no credential", False, _python(FLOOR)),
    Contender(COALESCED, "the floor, credential checked, reads coalesced, writes audited", False, _python("coalesced")),
    Contender("starlette", "Starlette endpoint, asyncpg pool", False, _python("starlette_pool")),
    Contender("stock", "stock Strawberry, data loaders, asyncpg pool", True, _python("stock")),
    Contender("mercurius", "Mercurius: Fastify, JIT, loaders, node-postgres", True, _mercurius, JIT),
)


def available() -> tuple[Contender, ...]:
    """Return the servers that can run here; Mercurius needs Node.js, and is installed in its folder."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        print("Node.js is missing: the benchmark runs without Mercurius", file=sys.stderr)  # noqa: T201
        return tuple(each for each in CONTENDERS if each.name != "mercurius")
    locked = MERCURIUS / "package-lock.json"
    installed = MERCURIUS / "node_modules" / "installed-lock.json"
    if not installed.exists() or installed.read_bytes() != locked.read_bytes():
        command = ["npm", "ci", "--silent"]
        subprocess.run(command, cwd=MERCURIUS, timeout=INSTALL_SECONDS, check=True)  # noqa: S603
        shutil.copy(locked, installed)
    return CONTENDERS

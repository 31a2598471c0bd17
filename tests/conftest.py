"""Fixtures: a database for each test, a copy of a template with a few signed-in users, and a client of the service."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from service import turns
from service.app import application
from service.bootstrap import ensure_root
from service.credentials.passwords import PasswordHasher
from service.database import migrations
from service.embedded import server as embedded
from service.resources import database_of
from service.schema import is_one_of, schema
from service.settings import Settings
from tests import leaks

REPOSITORY = Path(__file__).parent.parent
PASSWORD = leaks.PASSWORD
# Tests run in several processes: each has a template and databases of its own
PROCESS = os.environ.get("PYTEST_XDIST_WORKER", "main")
TEMPLATE = f"roster_template_{PROCESS}"
# Input types that have another name than their mutation
SHARED_INPUTS = {
    "ResetTwoFactorInput": "UserIdInput",
    "UndoEmailChangeInput": "TokenInput",
    "UnsuspendUserInput": "UserIdInput",
    "VerifyEmailInput": "TokenInput",
}
# The users of the template, and the role of each
PEOPLE = {"root": "ROOT", "adam": "ADMIN", "stella": "STAFF", "alice": "USER", "bob": "USER"}
_numbers = itertools.count(1)
os.environ.setdefault("ROSTER_ENCRYPTION_KEYS", "dGVzdHMtdXNlLXRoaXMta2V5LWFuZC1ub3RoaW5nLWU=")


@dataclass(frozen=True)
class Person:
    """A user of the template; `token` is that of a live session."""

    id: str
    username: str
    token: str


@dataclass
class Client:
    """A client of the service, which runs in the same process."""

    app: Starlette
    http: httpx.AsyncClient

    @property
    def resources(self) -> Any:
        """The resources of the service."""
        return self.app.state.resources

    @property
    def reads(self) -> int:
        """The number of reading statements so far."""
        return int(self.resources.database.reads)

    async def execute(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Person | str | None = None
    ) -> dict[str, Any]:
        """Return the whole response to an operation of a person, of a token, or of an anonymous client."""
        token = by.token if isinstance(by, Person) else by
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http.cookies.clear()  # an earlier login set one
        response = await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        answer: dict[str, Any] = response.json()
        return answer

    async def data(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Person | str | None = None
    ) -> dict[str, Any]:
        """Return the data of an operation that must have no top-level error."""
        answer = await self.execute(query, variables, by=by)
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    async def mutate(
        self, field: str, value: dict[str, Any], selection: str, *, by: Person | str | None = None
    ) -> dict[str, Any]:
        """Return the payload of a mutation with its input as a variable; `selection` is added to `errors`."""
        input_type = f"{field[0].upper()}{field[1:]}Input"
        input_type = SHARED_INPUTS.get(input_type, input_type)
        call = f"{field}(input: $input) {{ {selection} errors {{ code message field }} }}"
        document = f"mutation ($input: {input_type}!) {{ {call} }}"
        payload: dict[str, Any] = (await self.data(document, {"input": value}, by=by))[field]
        return payload

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        """Return rows of the test's own database, by SQL."""
        async with self.resources.database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))


def pytest_configure() -> None:
    """End like after Ctrl-C on SIGTERM, so that the server is stopped, too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    """Fail a test whose log has a secret."""
    report: Any = yield
    found = leaks.in_text(report.capstdout + report.capstderr + report.caplog) if report.passed else []
    if found:
        report.outcome, report.longrepr = "failed", f"the log has secrets: {', '.join(found)}"
    return report


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Return an id that is the same in every process, for values that are long or random."""
    return argname if isinstance(val, str | bytes) and len(val) > 40 else None


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """Return the URL of a PostgreSQL server: that of ROSTER_TEST_SERVER, else an embedded one for this session."""
    given = os.environ.get("ROSTER_TEST_SERVER")
    if given:
        yield given
        return
    # Not a folder of pytest's: pytest resets their permissions, so that the server's user could not reach its data
    with tempfile.TemporaryDirectory(prefix="roster-test-") as folder:
        server = embedded.start(Path(folder), durable=False)
        try:
            yield server.url
        finally:
            server.close()


def named(url: str, database: str) -> str:
    """Return the URL of another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@asynccontextmanager
async def opened_client(settings: Settings, url: str) -> AsyncIterator[Client]:
    """Return a client of the service with these settings on a database."""
    app = application(settings, url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=True, client=("192.0.2.1", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://roster.test") as http:
            yield Client(app, http)


async def in_maintenance(server_url: str, statement: str) -> None:
    """Run a statement in the server's maintenance database."""
    connection = await asyncpg.connect(named(server_url, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def dropped(server_url: str, name: str) -> None:
    """Drop a database; wait for a vacuum worker in it, which only a superuser may end."""
    for _ in range(50):
        try:
            await in_maintenance(server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        except asyncpg.InsufficientPrivilegeError:
            await asyncio.sleep(0.2)
        else:
            return
    raise AssertionError(f"the database {name} stays in use")


@pytest_asyncio.fixture(scope="session")
async def people(server_url: str) -> dict[str, Person]:
    """Create the users of the template database, by the API, once for all tests of the process."""
    await in_maintenance(server_url, f"DROP DATABASE IF EXISTS {TEMPLATE}")
    await in_maintenance(server_url, f"CREATE DATABASE {TEMPLATE} ENCODING 'UTF8' TEMPLATE template0")
    url = named(server_url, TEMPLATE)
    settings = Settings()
    database = database_of(settings, url)
    await database.connect()
    hasher = PasswordHasher(1, 4)
    await migrations.migrate(database)
    await ensure_root(database, hasher, "root@roster.test", PASSWORD)
    hasher.close()
    await database.close()
    found: dict[str, Person] = {}
    async with opened_client(settings, url) as client:
        for name, role in PEOPLE.items():
            if role != "ROOT":
                value = {"username": name, "email": f"{name}@roster.test", "password": PASSWORD, "roleName": role}
                created = await client.mutate("createUser", value, "user { id }", by=found["root"])
                assert created["errors"] == []
            login = await client.mutate("login", {"login": name, "password": PASSWORD}, "token user { id }")
            found[name] = Person(login["user"]["id"], name, login["token"])
        # However long the tests take, these sessions were authenticated a short time ago
        await client.rows("UPDATE sessions SET authenticated_at = now() + interval '1 day'")
        await client.rows("DELETE FROM attempts")
    return found


@pytest_asyncio.fixture
async def database_url(server_url: str, people: dict[str, Person]) -> AsyncIterator[str]:
    """Return a database of the test's own: migrated, with the users of the template."""
    assert people
    name = f"roster_test_{PROCESS}_{os.getpid()}_{next(_numbers)}"
    await in_maintenance(server_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    try:
        yield named(server_url, name)
        assert await leaks.in_database(named(server_url, name)) == [], "these tables have a secret"
    finally:
        await dropped(server_url, name)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not divide the work of a request on a slow machine: reads of another turn are other statements."""
    monkeypatch.setattr(turns, "LONGEST_TURN", 60.0)


@pytest.fixture(autouse=True)
def _own_introspection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo what other schemas of tests change: Strawberry replaces a resolver that all schemas of a process share."""
    monkeypatch.setattr(schema._schema.type_map["__Type"].fields["isOneOf"], "resolve", is_one_of)  # type: ignore[attr-defined]  # noqa: SLF001


@pytest.fixture
def settings() -> Settings:
    """Return the settings of the service; a test module may override this fixture."""
    return Settings()


@pytest_asyncio.fixture
async def client(database_url: str, settings: Settings) -> AsyncIterator[Client]:
    """Return a client of the service on the test's own database."""
    async with opened_client(settings, database_url) as opened:
        yield opened


@pytest.fixture
def root(people: dict[str, Person]) -> Person:
    """Return the root user."""
    return people["root"]


@pytest.fixture
def admin(people: dict[str, Person]) -> Person:
    """Return a user with the role ADMIN."""
    return people["adam"]


@pytest.fixture
def staff(people: dict[str, Person]) -> Person:
    """Return a user with the role STAFF."""
    return people["stella"]


@pytest.fixture
def alice(people: dict[str, Person]) -> Person:
    """Return a user with the role USER."""
    return people["alice"]


@pytest.fixture
def bob(people: dict[str, Person]) -> Person:
    """Return another user with the role USER."""
    return people["bob"]

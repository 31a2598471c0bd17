"""A database for each test, cloned from one that holds a few people who are signed in; and the service's door."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
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

from service import embedded, migrations
from service.accounts import ensure_root
from service.app import application
from service.house import database_of
from service.passwords import PasswordHasher
from service.settings import Settings

PASSWORD = "correct-horse-battery-42"
TEMPLATE = "roster_template"
# Everybody of the template, and the role of each
PEOPLE = {"root": "ROOT", "adam": "ADMIN", "stella": "STAFF", "alice": "USER", "bob": "USER"}
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody of the template: `token` is that of a live session."""

    id: str
    username: str
    token: str


@dataclass
class Door:
    """The service as a client meets it, in-process: documents in, JSON out."""

    app: Starlette
    http: httpx.AsyncClient

    @property
    def house(self) -> Any:
        return self.app.state.house

    @property
    def reads(self) -> int:
        """How many reading statements were run so far."""
        return int(self.house.database.reads)

    async def ask(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Person | str | None = None
    ) -> dict[str, Any]:
        """The whole response to one operation, asked by a person, a token, or nobody."""
        token = by.token if isinstance(by, Person) else by
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self.http.cookies.clear()  # or whoever signed in before would still be there
        response = await self.http.post("/graphql", json={"query": query, "variables": variables}, headers=headers)
        answer: dict[str, Any] = response.json()
        return answer

    async def data(
        self, query: str, variables: dict[str, Any] | None = None, *, by: Person | str | None = None
    ) -> dict[str, Any]:
        """The data of an operation that must succeed without a top-level error."""
        answer = await self.ask(query, variables, by=by)
        assert "errors" not in answer, answer["errors"]
        found: dict[str, Any] = answer["data"]
        return found

    async def change(
        self, field: str, value: dict[str, Any], selection: str, *, by: Person | str | None = None
    ) -> dict[str, Any]:
        """The payload of one mutation with its input as a variable; `selection` is what is asked beside `errors`."""
        input_type = f"{field[0].upper()}{field[1:]}Input"
        input_type = {"UnsuspendUserInput": "UserIdInput"}.get(input_type, input_type)
        call = f"{field}(input: $input) {{ {selection} errors {{ code message field }} }}"
        document = f"mutation ($input: {input_type}!) {{ {call} }}"
        payload: dict[str, Any] = (await self.data(document, {"input": value}, by=by))[field]
        return payload

    async def rows(self, sql: str, *arguments: Any) -> list[Any]:
        """Rows of the test's own database, by SQL."""
        async with self.house.database.connection() as connection:
            return list(await connection.fetch(sql, *arguments))


def pytest_configure() -> None:
    """A run that is ended from outside stops its server too: SIGTERM ends it like Ctrl-C."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A PostgreSQL server: the one that ROSTER_TEST_SERVER names, else an embedded one for this session."""
    given = os.environ.get("ROSTER_TEST_SERVER")
    if given:
        yield given
        return
    # No folder of pytest's own: pytest resets the permissions of those, and the server's user could not reach its data
    with tempfile.TemporaryDirectory(prefix="roster-test-") as folder:
        server = embedded.start(Path(folder), durable=False)
        try:
            yield server.url
        finally:
            server.close()


def named(url: str, database: str) -> str:
    """The same server, another database."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


@asynccontextmanager
async def opened_door(settings: Settings, url: str) -> AsyncIterator[Door]:
    app = application(settings, url)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=True, client=("192.0.2.1", 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://roster.test") as http:
            yield Door(app, http)


async def in_maintenance(server_url: str, statement: str) -> None:
    connection = await asyncpg.connect(named(server_url, "postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


async def dropped(server_url: str, name: str) -> None:
    """Drops a database; a vacuum worker in it, which only a superuser may end, is waited for."""
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
    """The people of the template database, made through the door once for all tests."""
    await in_maintenance(server_url, f"DROP DATABASE IF EXISTS {TEMPLATE}")
    await in_maintenance(server_url, f"CREATE DATABASE {TEMPLATE}")
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
    async with opened_door(settings, url) as door:
        for name, role in PEOPLE.items():
            if role != "ROOT":
                value = {"username": name, "email": f"{name}@roster.test", "password": PASSWORD, "roleName": role}
                made = await door.change("createUser", value, "user { id }", by=found["root"])
                assert made["errors"] == []
            login = await door.change("login", {"login": name, "password": PASSWORD}, "token user { id }")
            found[name] = Person(login["user"]["id"], name, login["token"])
    return found


@pytest_asyncio.fixture
async def database_url(server_url: str, people: dict[str, Person]) -> AsyncIterator[str]:
    """A database of the test's own: migrated, with the people of the template."""
    assert people
    name = f"roster_test_{os.getpid()}_{next(_numbers)}"
    await in_maintenance(server_url, f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} STRATEGY file_copy")
    try:
        yield named(server_url, name)
    finally:
        await dropped(server_url, name)


@pytest.fixture
def settings() -> Settings:
    """The settings of the door; a test module may override this fixture."""
    return Settings()


@pytest_asyncio.fixture
async def door(database_url: str, settings: Settings) -> AsyncIterator[Door]:
    """The service on the test's own database."""
    async with opened_door(settings, database_url) as opened:
        yield opened


@pytest.fixture
def root(people: dict[str, Person]) -> Person:
    return people["root"]


@pytest.fixture
def admin(people: dict[str, Person]) -> Person:
    return people["adam"]


@pytest.fixture
def staff(people: dict[str, Person]) -> Person:
    return people["stella"]


@pytest.fixture
def alice(people: dict[str, Person]) -> Person:
    return people["alice"]


@pytest.fixture
def bob(people: dict[str, Person]) -> Person:
    return people["bob"]


REPOSITORY = Path(__file__).parent.parent

"""Databases with another locale, encoding, or configuration than the embedded one."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from service.bootstrap import ensure_root
from service.credentials.passwords import PasswordHasher
from service.database import migrations
from service.resources import database_of
from service.schema import ORDERS
from service.settings import Settings
from tests.conftest import PASSWORD, PROCESS, Client, Person, dropped, in_maintenance, named, opened_client
from tests.processes import command

# The options of CREATE DATABASE; the builtin provider is from PostgreSQL 17, and ICU is an option of its build
LOCALES = {
    "C": "LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'",
    "builtin C.UTF-8": "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LC_COLLATE 'C' LC_CTYPE 'C'",
    "ICU tr-TR": "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'",
}
NOT_OFFERED = {
    "builtin C.UTF-8": 'option "builtin_locale" not recognized',
    "ICU tr-TR": "ICU is not supported in this build",
}
LETTERS = Settings(username_pattern=r"\w+", username_min_length=1)
ENCODINGS = ["LATIN1", "SQL_ASCII"]


@asynccontextmanager
async def created_database(server_url: str, name: str, options: str) -> AsyncIterator[str]:
    """Create an empty database with these options, and return its URL."""
    name = f"roster_{name}_{PROCESS}_{os.getpid()}"
    await in_maintenance(server_url, f"CREATE DATABASE {name} TEMPLATE template0 {options}")
    try:
        yield named(server_url, name)
    finally:
        await dropped(server_url, name)


@pytest.fixture(params=LOCALES)
async def located(request: pytest.FixtureRequest, server_url: str) -> AsyncIterator[Client]:
    """Return a client on a database with another locale, with a root account and without other users."""
    async with AsyncExitStack() as stack:
        try:
            options = f"ENCODING 'UTF8' {LOCALES[request.param]}"
            url = await stack.enter_async_context(created_database(server_url, "located", options))
        except asyncpg.PostgresError as error:
            if str(error) != NOT_OFFERED.get(request.param):
                raise
            pytest.skip(f"this server does not offer the locale: {error}")
        database = database_of(LETTERS, url)
        await database.connect()
        await database.require_suitable()
        await migrations.migrate(database)
        hasher = PasswordHasher(1, 1)
        await ensure_root(database, hasher, None, PASSWORD)
        hasher.close()
        await database.close()
        async with opened_client(LETTERS, url) as client:
            yield client


async def created(client: Client, token: str, username: str, email: str) -> list[tuple[str, list[str]]]:
    """Create a user; return the code and the field of each problem."""
    value = {"username": username, "email": email, "password": PASSWORD}
    payload = await client.mutate("createUser", value, "user { id }", by=token)
    assert (payload["user"] is None) is bool(payload["errors"])
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def token_of(client: Client, name: str) -> str:
    """Sign in with a username or an email address; return the token."""
    payload = await client.mutate("login", {"login": name, "password": PASSWORD}, "token")
    assert payload["errors"] == []
    return str(payload["token"])


async def test_letter_case_is_ignored_in_every_locale(located: Client) -> None:
    root = await token_of(located, "ROOT")
    assert await created(located, root, "ivan", "müller@x.test") == []
    taken = [("TAKEN", ["username"]), ("TAKEN", ["email"])]
    assert await created(located, root, "IVAN", "MÜLLER@X.TEST") == taken
    assert await created(located, root, "Müller", "ivan@x.test") == []
    assert await created(located, root, "MÜLLER", "IVAN@X.TEST") == taken
    for login, username in (
        ("IVAN", "ivan"),
        ("MÜLLER@X.test", "ivan"),
        ("mÜLLER", "Müller"),
        ("Ivan@x.test", "Müller"),
    ):
        token = await token_of(located, login)
        assert await located.data("{ me { username } }", by=token) == {"me": {"username": username}}


async def test_a_dotted_capital_i_is_another_letter_in_every_locale(located: Client) -> None:
    root = await token_of(located, "root")
    assert await created(located, root, "ivan", "ivan@x.test") == []
    assert await created(located, root, "İvan", "dotted@x.test") == []
    assert await created(located, root, "\u0131van", "dotless@x.test") == []
    assert await created(located, root, "İVAN", "other@x.test") == [("TAKEN", ["username"])]
    assert await created(located, root, "other", "İvan@x.test") == [("INVALID", ["email"])]
    found = await located.data(
        """{ capital: user(by: {username: "IVAN"}) { username } dotted: user(by: {username: "İvan"}) { username }
        dotless: user(by: {username: "\u0131VAN"}) { username } }""",
        by=root,
    )
    assert [user["username"] for user in found.values()] == ["ivan", "İvan", "\u0131van"]


async def test_search_and_order_ignore_letter_case_in_every_locale(located: Client) -> None:
    root = await token_of(located, "root")
    for name in ("zoe", "Zara", "ÖZIL", "özkan", "Özlem"):
        assert await created(located, root, name, f"{name}@x.test") == []
    query = "query ($text: String) { users(search: $text, orderBy: USERNAME_ASC) { totalCount nodes { username } } }"
    for text, names in (
        ("ÖZ", ["ÖZIL", "özkan", "Özlem"]),
        ("öZ", ["ÖZIL", "özkan", "Özlem"]),
        ("z", ["Zara", "zoe", "ÖZIL", "özkan", "Özlem"]),
        ("öz\u0131l", []),
    ):
        users = (await located.data(query, {"text": text}, by=root))["users"]
        assert ([user["username"] for user in users["nodes"]], users["totalCount"]) == (names, len(names)), text


async def test_every_statement_fits_in_every_locale(located: Client) -> None:
    database = located.resources.database
    assert await database.ignores_case()
    assert await database.check(ORDERS) == []


FOLDED = {
    "IVAN": "ivan",
    "MÜLLER": "müller",
    "\u212bNGSTRÖM": "ångström",  # the sign of the unit
    "\uff29\uff36\uff21\uff2e": "ivan",  # full width
    "ﬁn": "fin",
    "İVAN": "i\u0307van",
    "I\u0307VAN": "i\u0307van",
    "ΟΔΥΣΣΕΥΣ": "οδυσσευσ",
    "ὀδυσσεύς": "ὀδυσσεύσ",
    "ЖУК": "жук",
    "Straße": "straße",
    "ẞ": "ß",
}


async def test_texts_are_folded_alike_in_every_locale(located: Client) -> None:
    for text, folded in FOLDED.items():
        [row] = await located.rows("SELECT fold($1) AS once, fold(fold($1)) AS twice", text)
        assert (text, row["once"], row["twice"]) == (text, folded, folded)
    assert (await located.rows("SELECT fold(NULL) AS folded"))[0]["folded"] is None


SETTINGS = {
    "default_transaction_isolation": "'repeatable read'",
    "timezone": "'Asia/Kathmandu'",
    "datestyle": "'SQL, DMY'",
    "intervalstyle": "'sql_standard'",
}


@pytest.fixture
async def configured_url(request: pytest.FixtureRequest, database_url: str) -> str:
    """Return the test's own database, after its configuration was changed."""
    name = urlsplit(database_url).path.removeprefix("/")
    for setting, value in (SETTINGS | getattr(request, "param", {})).items():
        await in_maintenance(database_url, f"ALTER DATABASE {name} SET {setting} = {value}")
    return database_url


@pytest.mark.parametrize(
    "configured_url",
    [{}, {"default_transaction_isolation": "'serializable'"}],
    indirect=True,
    ids=["repeatable read", "serializable"],
)
async def test_parallel_writes_keep_a_limit_whatever_the_isolation_of_the_database(
    configured_url: str, alice: Person
) -> None:
    async with opened_client(Settings(writers=20), configured_url) as client:
        await client.rows(
            "INSERT INTO api_keys (user_id, name, prefix) SELECT $1, 'key' || n, 'x' FROM generate_series(1, 49) AS n",
            alice.id,
        )
        values = [{"name": f"new{number}", "permissions": []} for number in range(20)]
        payloads = await asyncio.gather(
            *(client.mutate("createApiKey", value, "apiKey { id }", by=alice) for value in values)
        )
        codes = sorted(error["code"] for payload in payloads for error in payload["errors"])
        assert codes == ["LIMIT_REACHED"] * 19
        assert sum(payload["apiKey"] is not None for payload in payloads) == 1
        assert (await client.rows("SELECT count(*) FROM api_keys"))[0]["count"] == 50


async def test_every_connection_has_the_settings_of_the_service(configured_url: str) -> None:
    expected = {
        "default_transaction_isolation": "read committed",
        "timezone": "UTC",
        "datestyle": "ISO, MDY",
        "intervalstyle": "postgres",
    }
    outside = await asyncpg.connect(configured_url)
    assert await outside.fetchval("SHOW datestyle") == "SQL, DMY"
    await outside.close()
    async with opened_client(Settings(), configured_url) as client:
        for setting, value in expected.items():
            assert [tuple(row) for row in await client.rows(f"SHOW {setting}")] == [(value,)]


ORDERS_BY_TIME = ("CREATED_AT_ASC", "CREATED_AT_DESC", "LAST_LOGIN_AT_DESC")


async def test_times_and_cursors_do_not_depend_on_the_configuration_of_the_database(
    configured_url: str, root: Person
) -> None:
    walk = """query ($order: UserOrder, $after: String) { users(first: 1, after: $after, orderBy: $order) {
      nodes { username createdAt lastLoginAt } pageInfo { hasNextPage endCursor } } }"""
    async with opened_client(Settings(), configured_url) as client:
        await client.rows("UPDATE users SET created_at = '2020-02-01T23:30:00.000001Z' WHERE username = 'alice'")
        await client.rows("UPDATE users SET last_login_at = '2020-03-02T00:30:00Z' WHERE username = 'bob'")
        for order in ORDERS_BY_TIME:
            users: list[dict[str, Any]] = []
            after = None
            while True:
                found = (await client.data(walk, {"order": order, "after": after}, by=root))["users"]
                users += found["nodes"]
                after = found["pageInfo"]["endCursor"]
                if not found["pageInfo"]["hasNextPage"]:
                    break
            assert sorted(user["username"] for user in users) == ["adam", "alice", "bob", "root", "stella"], order
            times = {user["username"]: (user["createdAt"], user["lastLoginAt"]) for user in users}
            assert times["alice"][0] == "2020-02-01T23:30:00.000001Z"
            assert times["bob"][1] == "2020-03-02T00:30:00Z"
        for filter_text, names in (
            ('createdBefore: "2020-02-01T23:30:00.000002Z"', ["alice"]),
            ('createdBefore: "2020-02-01T23:30:00.000001Z"', []),
            ('lastLoginBefore: "2020-03-02T00:30:00.000001Z", lastLoginAfter: "2020-03-02T00:29:59Z"', ["bob"]),
        ):
            data = await client.data(f"{{ users(filter: {{{filter_text}}}) {{ nodes {{ username }} }} }}", by=root)
            assert [user["username"] for user in data["users"]["nodes"]] == names


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("arguments", [("serve", "--port", "0"), ("migrate",), ("create-admin", "--username", "boss")])
async def test_a_database_with_another_encoding_is_rejected(
    server_url: str, encoding: str, arguments: tuple[str, ...]
) -> None:
    options = f"ENCODING '{encoding}' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
    async with created_database(server_url, "encoded", options) as url:
        ended = await asyncio.to_thread(command, *arguments, environment={"ROSTER_DATABASE_URL": url})
        assert (ended.returncode, ended.stdout) == (2, "")
        assert ended.stderr == (
            f"Error: the database's encoding is {encoding}: create it with CREATE DATABASE ... ENCODING 'UTF8' "
            "TEMPLATE template0\n"
        )
        assert await tables(url) == 0


@pytest.mark.parametrize("encoding", ENCODINGS)
async def test_doctor_reports_another_encoding_in_one_line(server_url: str, encoding: str) -> None:
    options = f"ENCODING '{encoding}' LOCALE_PROVIDER libc LC_COLLATE 'C' LC_CTYPE 'C'"
    async with created_database(server_url, "encoded", options) as url:
        ended = await asyncio.to_thread(command, "doctor", environment={"ROSTER_DATABASE_URL": url})
        assert ended.returncode == 2
        assert ended.stderr == ""
        problems = [line for line in ended.stdout.splitlines() if line.startswith("problem")]
        [line] = [line for line in problems if "schema.graphql" not in line]
        assert line.startswith("problem  database         PostgreSQL ")
        assert line.endswith(f": its encoding is {encoding}, and must be UTF8")
        assert await tables(url) == 0


async def tables(url: str) -> int:
    """Return the number of relations that the service created."""
    connection = await asyncpg.connect(url)
    try:
        sql = "SELECT count(*) FROM pg_class WHERE relnamespace = CAST('public' AS regnamespace)"
        return int(await connection.fetchval(sql))
    finally:
        await connection.close()

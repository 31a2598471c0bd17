"""Pages and counts that are composed of lists: all forms of a page, all optional filters, and many parents."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator, Callable
from itertools import combinations, product
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

from service.database import pages, statements
from service.database.pages import BY_ID, Bounds, Order, variants
from service.database.rows import record_class
from service.database.statements import Statement
from service.queries.user import USER_ORDERS
from tests.conftest import Client, Person
from tests.module_client import module_client

User: TypeAlias = Any
FORMS = list(product((True, False), repeat=4))
BOUNDS = [Bounds(BY_ID, descending, low, high, offset) for descending, low, high, offset in FORMS]
NEVER = dt.datetime.min.replace(tzinfo=dt.UTC)
# Equal and null positions, and both states of every filter
FILL = """
WITH plan AS (INSERT INTO plans (name, tier) VALUES ('Small', 'FREE') RETURNING id)
INSERT INTO users (
  username, email, created_at, last_login_at, tier, plan_id, email_verified, two_factor_enabled, suspended_at,
  suspended_until
)
SELECT
  'reader' || to_char(n, 'FM00'),
  CASE WHEN n % 4 > 0 THEN 'Mail' || n || '@x.test' END,
  CAST('2020-01-01' AS timestamptz) + (n / 4) * interval '1 day',
  CASE WHEN n % 2 = 0 THEN CAST('2021-01-01' AS timestamptz) + (n / 6) * interval '1 day' END,
  CASE WHEN n % 3 = 0 THEN 'PAID' ELSE 'FREE' END,
  CASE WHEN n % 5 = 0 THEN plan.id END,
  n % 7 = 0,
  n % 5 < 2,
  CASE WHEN n % 3 = 1 THEN now() END,
  CASE WHEN n % 6 = 1 THEN now() END
FROM generate_series(1, 20) AS n, plan
"""
ALL = """
SELECT
  users.*, credentials.user_id IS NOT NULL AS has_password,
  is_suspended(suspended_at, suspended_until) AS suspended
FROM users LEFT JOIN credentials ON credentials.user_id = users.id
"""
POSITIONS: dict[str | None, Callable[[User], Any]] = {
    None: lambda user: 0,
    "created_at": lambda user: user["created_at"],
    "email": lambda user: (user["email"] or "").lower(),
    "last_login_at": lambda user: user["last_login_at"] or NEVER,
    "username": lambda user: user["username"].lower(),
}
DAY = dt.datetime(2020, 1, 3, tzinfo=dt.UTC)
LOGIN = dt.datetime(2021, 1, 2, tzinfo=dt.UTC)
USER_ROLE = "00000000-0000-7000-8000-000000000001"
STAFF_ROLE = "00000000-0000-7000-8000-000000000002"


@pytest_asyncio.fixture(scope="module")
async def lists(server_url: str, people: dict[str, Person]) -> AsyncIterator[Client]:
    """Return a client on a database with 20 users more than the template; no test changes them."""
    assert people
    async with module_client(server_url) as client:
        await client.rows(FILL)
        yield client


async def all_users(client: Client) -> list[User]:
    """Return every user in the order of the ids."""
    return sorted(await client.rows(ALL), key=lambda user: user["id"])


def ids(rows: list[Any]) -> list[str]:
    """Return the id of each row."""
    return [row["id"] for row in rows]


@pytest.mark.parametrize("name", POSITIONS)
async def test_every_form_of_a_page_returns_its_rows_in_order(lists: Client, name: str | None) -> None:
    order = BY_ID if name is None else USER_ORDERS[name]
    database = lists.resources.database
    whole = await database.read_page("list_users", Bounds(order, descending=False), {}, {"limit": 100})
    expected = sorted(await all_users(lists), key=lambda user: (POSITIONS[name](user), user["id"]))
    assert ids(whole) == ids(expected)
    assert len(whole) == 25
    low, high = whole[3], whole[20]
    cursors = {"low_id": low["id"], "high_id": high["id"]}
    if name is not None:
        cursors |= {"low": low["position"], "high": high["position"]}
    for descending, has_low, has_high, has_offset in FORMS:
        bounds = Bounds(order, descending, has_low, has_high, has_offset)
        found = await database.read_page("list_users", bounds, {}, {"limit": 5, "offset": 2} | cursors)
        between = ids(whole)[4 if has_low else 0 : 20 if has_high else 25]
        between = between[::-1] if descending else between
        assert ids(found) == between[2:7] if has_offset else between[:5], bounds
        assert {"position" in row.keys() for row in found} == {name is not None}  # noqa: SIM118


@pytest.mark.parametrize("bounds", BOUNDS, ids=str)
def test_a_page_has_exactly_the_parameters_of_its_form(bounds: Bounds) -> None:
    statement = statements.load()["list_users"]
    for order, given in product((BY_ID, *USER_ORDERS.values()), (frozenset[str](), frozenset({"tier", "suspended"}))):
        query = pages.page(statement, Bounds(order, bounds.descending, bounds.low, bounds.high, bounds.offset), given)
        expected = {"limit"} | ({"tier"} & given)  # the filter `suspended` has no value
        for end in ("low", "high"):
            if getattr(bounds, end):
                expected |= {f"{end}_id"} if order is BY_ID else {f"{end}_id", end}
        expected |= {"offset"} if bounds.offset else set()
        assert set(query.parameters) == expected
        assert (query.cardinality, query.row) == ("many", "User")
        assert (query.sql.count(" DESC") > 0) is bounds.descending


def test_the_same_page_is_composed_once() -> None:
    statement = statements.load()["list_users"]
    first = pages.page(statement, Bounds(low=True), frozenset({"tier"}))
    assert pages.page(statement, Bounds(low=True), frozenset({"tier"})) is first
    assert pages.page(statement, Bounds(low=True), frozenset()) is not first


async def filters(client: Client) -> dict[str, tuple[Any, Callable[[User], bool]]]:
    """Return a value of each filter of the list of users, and whether it matches a user."""
    plan = (await client.rows("SELECT id FROM plans"))[0]["id"]
    some = ids(await all_users(client))[5:12]
    return {
        "search": ("reader1", lambda user: "reader1" in user["username"]),
        "ids": (some, lambda user: user["id"] in some),
        "tier": (["PAID", "ENTERPRISE"], lambda user: user["tier"] == "PAID"),
        "one_tier": ("PAID", lambda user: user["tier"] == "PAID"),
        "role_id": ([STAFF_ROLE, USER_ROLE], lambda user: user["role_id"] in {STAFF_ROLE, USER_ROLE}),
        "one_role_id": (STAFF_ROLE, lambda user: user["role_id"] == STAFF_ROLE),
        "plan_id": ([plan], lambda user: user["plan_id"] == plan),
        "one_plan_id": (plan, lambda user: user["plan_id"] == plan),
        "has_plan": (True, lambda user: user["plan_id"] is not None),
        "not_has_plan": (True, lambda user: user["plan_id"] is None),
        "suspended": (True, lambda user: user["suspended"]),
        "not_suspended": (True, lambda user: not user["suspended"]),
        "two_factor_enabled": (True, lambda user: user["two_factor_enabled"]),
        "not_two_factor_enabled": (True, lambda user: not user["two_factor_enabled"]),
        "email_verified": (True, lambda user: user["email_verified"]),
        "not_email_verified": (True, lambda user: not user["email_verified"]),
        "has_password": (True, lambda user: user["has_password"]),
        "not_has_password": (True, lambda user: not user["has_password"]),
        "created_after": (DAY, lambda user: user["created_at"] > DAY),
        "created_before": (DAY, lambda user: user["created_at"] < DAY),
        "last_login_after": (LOGIN, lambda user: (user["last_login_at"] or NEVER) > LOGIN),
        "last_login_before": (LOGIN, lambda user: (user["last_login_at"] or LOGIN) < LOGIN),
    }


async def test_every_filter_and_every_pair_of_filters_matches_its_rows(lists: Client) -> None:
    database, users = lists.resources.database, await all_users(lists)
    known = await filters(lists)
    assert set(known) == set(database.statements["list_users"].parameters) - {
        "by_username",
        "by_email",
        "by_created_at",
    }
    absent = dict.fromkeys(known)
    by_id = Bounds(descending=False)
    assert await database.read_count("list_users", absent) == {None: [(25, False)]}
    assert len(users) == 25
    for names in (*combinations(known, 1), *combinations(known, 2)):
        given = absent | {name: known[name][0] for name in names}
        expected = [user["id"] for user in users if all(known[name][1](user) for name in names)]
        if len(names) == 1:
            assert 0 < len(expected) < 25, names
        assert ids(await database.read_page("list_users", by_id, given, {"limit": 100})) == expected, names
        assert await database.read_count("list_users", given) == {None: [(len(expected), False)]}, names


def test_an_absent_filter_is_true_in_the_text_and_a_given_one_false() -> None:
    text = "SELECT x.* FROM x WHERE (:name IS NULL OR x.name = :name) AND (:flag IS NULL OR x.flag)"
    statement = Statement("list_x", "list", None, text)
    for given, where, parameters in (
        (frozenset[str](), "(TRUE OR x.name = NULL) AND (TRUE OR x.flag)", ()),
        (frozenset({"name"}), "(FALSE OR x.name = $1) AND (TRUE OR x.flag)", ("name",)),
        (frozenset({"flag"}), "(TRUE OR x.name = NULL) AND (FALSE OR x.flag)", ()),
        (frozenset({"name", "flag"}), "(FALSE OR x.name = $1) AND (FALSE OR x.flag)", ("name",)),
    ):
        query = pages.count(statement, given)
        bounded = f"SELECT 1 FROM (\nSELECT x.* FROM x WHERE {where}\n) AS list LIMIT 10001"  # noqa: S608
        assert query.sql == f"SELECT count(*) FROM ({bounded}) AS counted"  # noqa: S608
        assert (query.parameters, query.cardinality, query.row) == (parameters, "value", None)


# The list, its table, and the column of its parents
BY_PARENT = {
    "users_by_role": ("users", "role_id"),
    "users_by_plan": ("users", "plan_id"),
    "audit_events_by_user": ("audit_events", "owner_id"),
}


@pytest.mark.parametrize("name", BY_PARENT)
async def test_every_form_of_a_page_by_parent_returns_the_rows_of_each_parent(lists: Client, name: str) -> None:
    table, column = BY_PARENT[name]
    database = lists.resources.database
    rows = await lists.rows(f"SELECT id, {column} AS parent FROM {table} WHERE {column} IS NOT NULL ORDER BY id")  # noqa: S608
    if name == "audit_events_by_user":  # those that the user caused on others belong to the list, too
        caused = await lists.rows("SELECT id, actor_id AS parent FROM audit_events WHERE actor_id <> owner_id")
        rows = sorted([*rows, *caused], key=lambda row: row["id"])
    parents = [*dict.fromkeys(row["parent"] for row in rows), "00000000-0000-7000-8000-00000000ffff"]
    low, high = rows[1]["id"], rows[-1]["id"]
    for bounds in BOUNDS:
        window = {"limit": 3, "offset": 1, "low_id": low, "high_id": high}
        by_parent = await database.load_pages(name, parents, bounds, tuple(window.items()))
        found = [row for page in by_parent.values() for row in page]
        for parent in parents:
            expected = [
                row["id"]
                for row in rows[:: -1 if bounds.descending else 1]
                if row["parent"] == parent
                and (not bounds.low or row["id"] > low)
                and (not bounds.high or row["id"] < high)
            ]
            expected = expected[1:4] if bounds.offset else expected[:3]
            assert [row["id"] for row in found if row["key"] == parent] == expected, (bounds, parent)
        assert {row["key"] for row in found} <= set(parents)


@pytest.mark.parametrize("name", BY_PARENT)
async def test_the_lists_of_all_parents_are_counted_in_one_query(lists: Client, name: str) -> None:
    table, column = BY_PARENT[name]
    rows = await lists.rows(f"SELECT {column} AS parent FROM {table} WHERE {column} IS NOT NULL")  # noqa: S608
    if name == "audit_events_by_user":
        rows += await lists.rows("SELECT actor_id AS parent FROM audit_events WHERE actor_id <> owner_id")
    expected = {"00000000-0000-7000-8000-00000000ffff": 0}
    for row in rows:
        expected[row["parent"]] = expected.get(row["parent"], 0) + 1
    before = lists.reads
    found = await lists.resources.database.load_counts(name, list(expected))
    assert found == {key: [(count, False)] for key, count in expected.items()}
    assert lists.reads - before == 1


def test_the_variants_of_a_list_contain_all_of_its_parts() -> None:
    known = statements.load()
    for name, statement in known.items():
        if statement.cardinality != "list":
            continue
        orders = tuple(USER_ORDERS.values()) if name == "list_users" else (BY_ID,)
        found = list(variants(statement, orders))
        names = [query.name for query in found]
        if "key" in statement.parameters:
            assert names == [f"counts_of_{name}", *[f"pages_of_{name}"] * 2]
        else:
            assert names == [f"count_of_{name}", *[f"page_of_{name}"] * 2 * len(orders)] * 2
        text = " ".join(query.sql for query in found)
        assert all(f"list.{column}" in text for column in record_class(statement.row).columns)
        assert all(order.column is None or f"list.{order.column} DESC" in text for order in orders)
        everything = {parameter for query in found for parameter in query.parameters}
        assert everything >= {"low_id", "high_id", "limit"}
        assert everything >= {each for each in statement.query.parameters if each != "key"}


def test_an_order_without_a_column_is_that_of_the_ids() -> None:
    statement = statements.load()["list_servers"]
    query = pages.page(statement, Bounds(Order(), low=True, high=True), frozenset())
    assert query.sql.endswith(
        "WHERE list.id > CAST($1 AS uuid) AND list.id < CAST($2 AS uuid)\nORDER BY list.id DESC\nLIMIT $3"
    )
    assert query.parameters == ("low_id", "high_id", "limit")

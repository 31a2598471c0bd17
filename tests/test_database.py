"""Properties of the database: the append-only audit log, ids in the order of time, and the indexes of lists."""

from __future__ import annotations

import datetime as dt
import re
import time
import uuid
from itertools import pairwise, product
from typing import Any

import asyncpg
import pytest

from service.database import pages
from service.database.pages import BY_ID, Bounds
from service.database.statements import Query, Statement
from service.queries.user import USER_ORDERS
from tests.conftest import Client, Person

PEOPLE = """
INSERT INTO users (username, email, first_name, last_name, last_login_at)
SELECT 'person' || n, 'person' || n || '@roster.test', 'First' || n, 'Last' || n, now()
FROM generate_series(1, 5000) AS n
"""
SUSPENDED = "UPDATE users SET suspended_at = now() WHERE username LIKE 'person__'"
ID = "00000000-0000-7000-8000-000000000001"
LAST_ID = "ffffffff-ffff-7fff-8fff-ffffffffffff"
MOMENT = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
# What a node of a plan returned, and how often it ran
ACTUAL = re.compile(r"actual rows=([0-9.]+) loops=(\d+)")
# Filters that most users match, so that the order's index is the best way to a page
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "search": {"search": "person"},
    "tier": {"tier": ["FREE"]},
    "role": {"role_id": [ID]},
    "booleans": {"not_suspended": True, "not_two_factor_enabled": True, "not_email_verified": True},
    "without a plan": {"not_has_plan": True},
    "without a password": {"not_has_password": True},
    "times": {"created_after": MOMENT, "last_login_after": MOMENT},
}


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET event = 'nothing'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_audit_log_is_append_only(client: Client, statement: str) -> None:
    before = await client.rows("SELECT * FROM audit_events ORDER BY id")
    assert before
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"^audit_events is append-only$"):
        await client.rows(statement)
    assert await client.rows("SELECT * FROM audit_events ORDER BY id") == before


async def test_ids_are_version_7_distinct_and_in_the_order_of_time(client: Client) -> None:
    earliest = time.time_ns() // 1_000_000
    rows = await client.rows("SELECT uuid_v7() AS id FROM generate_series(1, 10000)")
    latest = time.time_ns() // 1_000_000
    ids = [uuid.UUID(row["id"]) for row in rows]
    assert {(found.version, found.variant) for found in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == 10_000
    # The first 64 bits are the time and the version, the rest is random
    assert [pair for pair in pairwise(found.int >> 64 for found in ids) if pair[0] > pair[1]] == []
    assert earliest - 1 <= ids[0].int >> 80 <= ids[-1].int >> 80 <= latest + 1
    assert len({found.int & (2**62 - 1) for found in ids}) == 10_000


async def fill(client: Client) -> None:
    """Create so many users that PostgreSQL uses indexes."""
    await client.rows(PEOPLE)
    await client.rows(SUSPENDED)
    # VACUUM too, because many new rows wait outside the trigram index until then
    await client.rows("VACUUM ANALYZE users")


async def plan_of(
    client: Client, query: Query, values: dict[str, Any], *settings: str, options: str = "COSTS off"
) -> str:
    """Return the plan of a query with these parameters."""
    async with client.resources.database.connection() as connection, connection.transaction():
        for setting in settings:
            await connection.execute(f"SET LOCAL {setting}")
        lines = await connection.fetch(f"EXPLAIN ({options}) {query.sql}", *(values[name] for name in query.parameters))
    return "\n".join(line["QUERY PLAN"] for line in lines)


def window(order: str | None) -> dict[str, Any]:
    """Return parameters of a page of users between two cursors."""
    low, high = ("2020-01-01", "2100-01-01") if order in {"created_at", "last_login_at"} else ("m", "q")
    return {"low": low, "low_id": ID, "high": high, "high_id": LAST_ID, "offset": 10, "limit": 21}


def page_by_id(statement: Statement, bounds: Bounds) -> Query:
    """Return the query of a page of a list, or of the lists of parents."""
    if "key" in statement.parameters:
        return pages.pages_by_parent(statement, bounds)
    return pages.page(statement, bounds, frozenset())


async def test_a_search_for_a_rare_text_uses_the_trigram_index(client: Client) -> None:
    await fill(client)
    statement = client.resources.database.statements["list_users"]
    given = frozenset({"search"})
    queries = [pages.count(statement, given)]
    queries += [pages.page(statement, Bounds(order), given) for order in (BY_ID, *USER_ORDERS.values())]
    for query in queries:
        plan = await plan_of(client, query, {"search": "Person4711", "limit": 21})
        assert "users_search_idx" in plan, query.sql
        assert "Function Scan" not in plan, query.sql
        assert "Seq Scan" not in plan, query.sql


async def test_a_search_for_a_rare_server_uses_the_trigram_index(client: Client, root: Person) -> None:
    await client.rows(
        "INSERT INTO servers (name, owner_id) SELECT 'web' || n, $1 FROM generate_series(1, 5000) AS n", root.id
    )
    await client.rows("VACUUM ANALYZE servers")
    statement = client.resources.database.statements["list_servers"]
    for query in (
        pages.count(statement, frozenset({"search"})),
        pages.page(statement, Bounds(), frozenset({"search"})),
    ):
        plan = await plan_of(client, query, {"search": "Web4711", "limit": 21})
        assert "servers_search_idx" in plan, query.sql


async def test_every_page_in_every_order_walks_the_index_of_the_order(client: Client) -> None:
    await fill(client)
    statement = client.resources.database.statements["list_users"]
    for order, (name, given) in product(USER_ORDERS, FILTERS.items()):
        for descending, low, high, offset in product((True, False), repeat=4):
            bounds = Bounds(USER_ORDERS[order], descending, low, high, offset)
            plan = await plan_of(client, pages.page(statement, bounds, frozenset(given)), window(order) | given)
            about = (name, bounds, plan)
            assert f"using users_{order}_idx" in plan, about
            assert ("Scan Backward" in plan) is descending, about
            conditions = [line for line in plan.splitlines() if "Index Cond: " in line]
            assert "".join(conditions).count("ROW(") == plan.count("ROW(") == 2 * (low + high), about
            assert "Sort" not in plan, about
            assert "Function Scan" not in plan, about


async def test_a_page_of_suspended_users_walks_an_index_of_its_own(client: Client) -> None:
    await fill(client)
    statement = client.resources.database.statements["list_users"]
    for descending, low, high in product((True, False), repeat=3):
        bounds = Bounds(USER_ORDERS["created_at"], descending, low, high)
        query = pages.page(statement, bounds, frozenset({"suspended"}))
        # Few users are suspended: without this setting, PostgreSQL may read them at once and sort them
        plan = await plan_of(client, query, window("created_at"), "enable_bitmapscan = off")
        assert "using users_suspended_idx" in plan, plan
        assert "Sort" not in plan, plan


# The index that a page of each list walks
INDEXES = {
    "api_keys_by_user": ["api_keys_user_id_idx"],
    "audit_events_by_user": ["audit_events_actor_id_idx", "audit_events_owner_id_idx"],
    "list_audit_events": ["audit_events_pkey"],
    "list_dedicated_ips": ["dedicated_ips_pkey"],
    "list_servers": ["servers_pkey"],
    "list_users": ["users_pkey"],
    "memberships_by_user": ["subusers_user_id_idx"],
    "servers_by_owner": ["servers_owner_id_idx"],
    "sessions_by_user": ["sessions_user_id_idx"],
    "passkeys_by_user": ["passkeys_user_id_idx"],
    "plan_periods_by_user": ["plan_periods_user_id_idx"],
    "ssh_keys_by_user": ["ssh_keys_user_id_idx"],
    "subusers_by_server": ["subusers_server_id_idx"],
    "users_by_plan": ["users_plan_id_idx"],
    "users_by_role": ["users_role_id_idx"],
    "wallet_entries_by_wallet": ["wallet_entries_wallet_id_idx"],
}


async def test_the_index_of_every_list_is_known(client: Client) -> None:
    statements = client.resources.database.statements
    assert set(INDEXES) == {name for name, each in statements.items() if each.cardinality == "list"}


@pytest.mark.parametrize("name", INDEXES)
async def test_every_page_in_the_order_of_ids_can_walk_an_index(client: Client, name: str) -> None:
    for descending, low, high in product((True, False), repeat=3):
        query = page_by_id(client.resources.database.statements[name], Bounds(BY_ID, descending, low, high))
        # The tables are small: without these settings, PostgreSQL would read them as a whole and sort them
        settings = ("enable_seqscan = off", "enable_bitmapscan = off", "enable_sort = off")
        plan = await plan_of(client, query, window(None) | {"keys": [ID]}, *settings)
        assert "Sort" not in plan.replace("Sort Key", ""), plan  # a Merge Append has a key, too
        for index in INDEXES[name]:
            assert f"Scan {'Backward ' if descending else ''}using {index}" in plan, plan


# Events that one user caused, and events on what belongs to that user, among those of 5,000 others
EVENTS = """
INSERT INTO audit_events (event, actor_id, owner_id)
SELECT 'test', big.id, users.id FROM users AS big, users, generate_series(1, 3) WHERE big.username = 'root'
UNION ALL
SELECT 'test', users.id, big.id FROM users AS big, users, generate_series(1, 3) WHERE big.username = 'root'
"""


@pytest.mark.parametrize("name", ["audit_events_by_user", "users_by_plan", "users_by_role"])
async def test_a_page_of_a_long_list_reads_no_more_rows_than_it_returns(
    client: Client, root: Person, name: str
) -> None:
    await fill(client)
    await client.rows(EVENTS)
    await client.rows("INSERT INTO plans (id, name, tier) VALUES ($1, 'Small', 'FREE')", ID)
    await client.rows("UPDATE users SET plan_id = $1", ID)
    await client.rows("VACUUM ANALYZE users, audit_events")
    key = root.id if name == "audit_events_by_user" else ID
    for descending, low in product((True, False), repeat=2):
        query = page_by_id(client.resources.database.statements[name], Bounds(BY_ID, descending, low))
        plan = await plan_of(client, query, window(None) | {"keys": [key]}, options="ANALYZE, TIMING off, BUFFERS off")
        rows = [float(found[1]) * int(found[2]) for found in ACTUAL.finditer(plan)]
        assert rows[0] == 21, plan
        assert max(rows) <= 2 * 21, plan

"""Filters of the list of users are served by indexes."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from service.database.pages import Bounds, count, page
from service.queries.user import USER_ORDERS
from tests.conftest import Client

MANY = """
INSERT INTO users (username, email, suspended_at, last_login_at, created_at)
SELECT 'maria' || n, 'maria' || n || '@x.test', CASE WHEN n % 10 = 0 THEN now() END,
  CAST('2026-01-01' AS timestamptz) + n * interval '1 minute',
  CAST('2025-01-01' AS timestamptz) + n * interval '1 minute'
FROM generate_series(1, 5000) AS n
"""
NEVER = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
ROLE = "00000000-0000-7000-8000-000000000002"
COUNTED: dict[str, tuple[dict[str, Any], str]] = {
    "second factor": ({"two_factor_enabled": True}, "users_filter_idx"),
    "tier, second factor, verified": (
        {"one_tier": "PAID", "two_factor_enabled": True, "not_email_verified": True},
        "users_filter_idx",
    ),
    "suspended": ({"suspended": True}, "users_suspended"),  # either of two
    "search": ({"search": "carol"}, "users_search_idx"),
    "last login": ({"last_login_before": NEVER}, "users_last_login_at_idx"),
}
PAGES: dict[str, tuple[dict[str, Any], str, str]] = {
    "role, newest": ({"one_role_id": ROLE}, "created_at", "users_role_id_created_at_idx"),
    "plan, newest": ({"one_plan_id": ROLE}, "created_at", "users_plan_id_created_at_idx"),
    "suspended, latest login": ({"suspended": True}, "last_login_at", "users_suspended_last_login_at_idx"),
    "last login long ago, newest": ({"last_login_before": NEVER}, "created_at", "users_last_login_at_idx"),
}


async def plan_of(client: Client, query: Any, parameters: dict[str, Any]) -> str:
    """Return the plan of a query on many users, without scans of the whole table."""
    async with client.resources.database.connection() as connection, connection.transaction():
        await connection.execute(MANY)
        await connection.execute("ANALYZE users")
        await connection.execute("SET LOCAL enable_seqscan = off")
        arguments = [parameters[name] for name in query.parameters]
        return " ".join(line[0] for line in await connection.fetch(f"EXPLAIN {query.sql}", *arguments))


@pytest.mark.parametrize("name", COUNTED)
async def test_a_count_reads_the_index_of_its_filter(client: Client, name: str) -> None:
    filters, index = COUNTED[name]
    statement = client.resources.database.statements["list_users"]
    assert index in await plan_of(client, count(statement, frozenset(filters)), filters)


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_reads_the_index_of_its_filter(client: Client, name: str) -> None:
    filters, order, index = PAGES[name]
    statement = client.resources.database.statements["list_users"]
    query = page(statement, Bounds(USER_ORDERS[order]), frozenset(filters))
    assert index in await plan_of(client, query, filters | {"limit": 21})


async def test_the_text_of_the_search_follows_the_names(client: Client) -> None:
    found = "SELECT search_text FROM users WHERE username = 'maria'"
    await client.rows("INSERT INTO users (username, first_name) VALUES ('maria', 'ÉVA')")
    assert "éva" in (await client.rows(found))[0]["search_text"]
    await client.rows("UPDATE users SET first_name = 'Ota' WHERE username = 'maria'")
    assert "ota" in (await client.rows(found))[0]["search_text"]
    await client.rows("UPDATE users SET search_text = '' WHERE username = 'maria'")
    assert "ota" in (await client.rows(found))[0]["search_text"]

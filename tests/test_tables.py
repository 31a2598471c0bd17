"""What the database itself promises: an audit log that nobody edits, ids in the order of time, a search by index."""

from __future__ import annotations

import time
import uuid
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from tests.conftest import Door

PEOPLE = """
INSERT INTO users (username, email, first_name, last_name)
SELECT 'person' || n, 'person' || n || '@roster.test', 'First' || n, 'Last' || n FROM generate_series(1, 5000) AS n
"""


@pytest.mark.parametrize(
    "statement",
    ["UPDATE audit_events SET event = 'nothing'", "DELETE FROM audit_events", "TRUNCATE audit_events"],
)
async def test_the_audit_log_is_append_only(door: Door, statement: str) -> None:
    before = await door.rows("SELECT * FROM audit_events ORDER BY id")
    assert before
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match=r"^audit_events is append-only$"):
        await door.rows(statement)
    assert await door.rows("SELECT * FROM audit_events ORDER BY id") == before


async def test_ids_are_version_7_distinct_and_in_the_order_of_time(door: Door) -> None:
    earliest = time.time_ns() // 1_000_000
    rows = await door.rows("SELECT uuid_v7() AS id FROM generate_series(1, 10000)")
    latest = time.time_ns() // 1_000_000
    ids = [uuid.UUID(row["id"]) for row in rows]
    assert {(found.version, found.variant) for found in ids} == {(7, uuid.RFC_4122)}
    assert len(set(ids)) == 10_000
    # The first 64 bits are the time and the version, the rest is random
    assert [pair for pair in pairwise(found.int >> 64 for found in ids) if pair[0] > pair[1]] == []
    assert earliest - 1 <= ids[0].int >> 80 <= ids[-1].int >> 80 <= latest + 1
    assert len({found.int & (2**62 - 1) for found in ids}) == 10_000


async def fill(door: Door) -> None:
    """So many users that an index is worth its while."""
    await door.rows(PEOPLE)
    # Not ANALYZE alone: what was inserted at once still waits to be sorted into the trigram index
    await door.rows("VACUUM ANALYZE users")


async def plan_of(door: Door, name: str, **given: Any) -> str:
    """How the database would run the statement with these parameters, the others null."""
    statement = door.house.database.statements[name]
    arguments = [given.get(parameter) for parameter in statement.parameters]
    rows = await door.rows(f"EXPLAIN {statement.sql}", *arguments)
    return "\n".join(row["QUERY PLAN"] for row in rows)


async def test_a_search_for_something_rare_goes_through_the_trigram_index(door: Door) -> None:
    await fill(door)
    for name in ("count_users", "list_users_by_created_at_desc", "list_users_by_username_asc"):
        plan = await plan_of(door, name, search="%person4711%", limit=21, offset=0)
        assert "users_search_idx" in plan, name
        assert "Function Scan" not in plan, name


async def test_a_page_walks_the_index_of_its_order(door: Door) -> None:
    await fill(door)
    for order in ("created_at", "email", "last_login_at", "username"):
        for scan in ("asc", "desc"):
            plan = await plan_of(door, f"list_users_by_{order}_{scan}", limit=21, offset=0)
            assert f"users_{order}_idx" in plan, order
            assert "Sort" not in plan, order
            assert "Function Scan" not in plan, order

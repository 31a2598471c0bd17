"""Counts of long lists: exact up to a bound, an estimate above it, and the same in both executors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from service import limits
from service.database.counts import Count
from service.settings import Settings
from tests.conftest import Client, Person
from tests.module_client import module_client

BOUND = limits.EXACT_COUNT
BOTH = "totalCount totalCountIsEstimate"
# Two owners: one has as many servers as are counted exactly, the other one half as many again; the planner knows both
FILL = """
INSERT INTO servers (owner_id, name)
SELECT users.id, users.username || ' ' || n
FROM users CROSS JOIN generate_series(1, CAST($1 AS integer)) AS n
WHERE users.username = 'bob' OR (users.username = 'alice' AND n <= CAST($2 AS integer))
"""
LONG = BOUND + BOUND // 2


@pytest_asyncio.fixture(scope="module", params=[True, False], ids=["compiled", "graphql-core"])
async def lists(request: pytest.FixtureRequest, server_url: str, people: dict[str, Person]) -> AsyncIterator[Client]:
    """Return a client of either executor on a database with long lists of servers; no test changes them."""
    assert people
    async with module_client(server_url, Settings(compiled=request.param)) as client:
        await client.rows(FILL, LONG, BOUND)
        await client.rows("ANALYZE servers")
        yield client


async def counted(client: Client, by: Person, field: str) -> tuple[int, bool, int]:
    """Return both fields of a list of servers, and the number of reads beside the caller's and the page's."""
    before = client.reads
    found = (await client.data(f"{{ {field} {{ {BOTH} }} }}", by=by))[field.partition("(")[0]]
    return found["totalCount"], found["totalCountIsEstimate"], client.reads - before - 2


async def test_a_list_is_counted_exactly_up_to_the_bound(lists: Client, root: Person, alice: Person) -> None:
    for search, number in (("no such server", 0), ("alice 77", 111), ("alice", BOUND)):
        assert await counted(lists, root, f'servers(search: "{search}")') == (number, False, 1), search
    assert await counted(lists, root, f'servers(filter: {{ownerId: "{alice.id}"}})') == (BOUND, False, 1)


async def test_a_longer_list_is_estimated(lists: Client, root: Person, bob: Person) -> None:
    for arguments, number in (("(first: 1)", BOUND + LONG), (f'(filter: {{ownerId: "{bob.id}"}})', LONG)):
        total, is_estimate, reads = await counted(lists, root, f"servers{arguments}")
        assert (is_estimate, reads) == (True, 2)
        assert total == pytest.approx(number, rel=0.1)


async def test_an_estimate_is_above_the_bound_even_if_the_planner_expects_less(
    lists: Client, root: Person, bob: Person
) -> None:
    # All servers of bob have his name, but the planner multiplies both shares of the table: 0.6 * 0.6 * 25,000
    arguments = f'(search: "bob", filter: {{ownerId: "{bob.id}"}})'
    assert await counted(lists, root, f"servers{arguments}") == (BOUND + 1, True, 2)


async def test_only_what_is_selected_is_counted(lists: Client, root: Person) -> None:
    for selection, reads in (("nodes { id }", 0), ("totalCount", 2), ("totalCountIsEstimate", 2), (BOTH, 2)):
        before = lists.reads
        await lists.data(f"{{ servers(first: 1) {{ {selection} }} }}", by=root)
        assert (selection, lists.reads - before - 2) == (selection, reads)


async def test_a_list_of_an_object_is_counted_likewise(lists: Client, bob: Person, alice: Person) -> None:
    mine = await lists.data(f"{{ me {{ servers(first: 1) {{ {BOTH} }} }} }}", by=alice)
    assert mine == {"me": {"servers": {"totalCount": BOUND, "totalCountIsEstimate": False}}}
    longer = (await lists.data(f"{{ me {{ servers(first: 1) {{ {BOTH} }} }} }}", by=bob))["me"]["servers"]
    assert longer == {"totalCount": pytest.approx(LONG, rel=0.1), "totalCountIsEstimate": True}


async def test_lists_of_many_objects_share_a_count_and_an_estimate(lists: Client, alice: Person, bob: Person) -> None:
    before, unknown = lists.reads, "00000000-0000-7000-8000-00000000ffff"
    found: Any = await lists.resources.database.load_counts("servers_by_owner", [alice.id, bob.id, unknown])
    assert lists.reads - before == 2
    assert (found[alice.id], found[unknown]) == ([Count(BOUND, False)], [Count(0, False)])
    [count] = found[bob.id]
    assert (count.number, count.is_estimate) == (pytest.approx(LONG, rel=0.1), True)
    await lists.resources.database.load_counts("servers_by_owner", [alice.id, unknown])
    assert lists.reads - before == 3


async def test_estimates_are_in_the_order_of_their_parents(lists: Client, root: Person) -> None:
    document = f"{{ users(orderBy: USERNAME_ASC) {{ nodes {{ username servers(first: 1) {{ {BOTH} }} }} }} }}"
    found = {user["username"]: user["servers"] for user in (await lists.data(document, by=root))["users"]["nodes"]}
    assert found.pop("bob") == {"totalCount": pytest.approx(LONG, rel=0.1), "totalCountIsEstimate": True}
    assert found.pop("alice")["totalCount"] == BOUND
    assert {(each["totalCount"], each["totalCountIsEstimate"]) for each in found.values()} == {(0, False)}

"""Pages of users: walks that miss nothing and repeat nothing, cursors that cannot be forged, arguments in range."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import Door, Person

ORDERS = [
    "CREATED_AT_ASC",
    "CREATED_AT_DESC",
    "USERNAME_ASC",
    "USERNAME_DESC",
    "EMAIL_ASC",
    "EMAIL_DESC",
    "LAST_LOGIN_AT_DESC",
]
PAGE = """query ($first: Int, $after: String, $last: Int, $before: String, $order: UserOrder, $offset: Int) {
  users(
    first: $first, after: $after, last: $last, before: $before, orderBy: $order, offset: $offset, search: "walker"
  ) {
    totalCount
    nodes { username }
    edges { cursor node { username } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
  }
}"""
# Equal positions, none at all, microseconds: whatever a walk could stumble over
WALKERS = """
INSERT INTO users (username, email, created_at, last_login_at)
SELECT
  'walker' || to_char(n, 'FM00'),
  CASE WHEN n % 3 > 0 THEN 'Mail' || n || '@x.test' END,
  CAST('2020-01-01' AS timestamptz) + (n / 4) * interval '1 microsecond',
  CASE WHEN n % 2 = 0 THEN CAST('2021-01-01' AS timestamptz) + (n / 6) * interval '1 microsecond' END
FROM generate_series(1, 24) AS n
"""


@pytest_asyncio.fixture
async def walkers(door: Door) -> Door:
    """24 users whom the search finds."""
    await door.rows(WALKERS)
    return door


async def page(door: Door, by: Person, **arguments: Any) -> dict[str, Any]:
    """One page; its parts agree with each other."""
    found: dict[str, Any] = (await door.data(PAGE, arguments, by=by))["users"]
    edges = found.pop("edges")
    found["nodes"] = [user["username"] for user in found["nodes"]]
    assert found["nodes"] == [edge["node"]["username"] for edge in edges]
    ends = (edges[0]["cursor"], edges[-1]["cursor"]) if edges else (None, None)
    assert (found["pageInfo"]["startCursor"], found["pageInfo"]["endCursor"]) == ends
    found["cursors"] = [edge["cursor"] for edge in edges]
    return found


async def forward(door: Door, by: Person, order: str, size: int) -> list[list[str]]:
    pages, after = [], None
    while True:
        found = await page(door, by, first=size, after=after, order=order)
        pages.append(found["nodes"])
        assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
        if not found["pageInfo"]["hasNextPage"]:
            return pages
        after = found["pageInfo"]["endCursor"]


async def backward(door: Door, by: Person, order: str, size: int) -> list[list[str]]:
    pages: list[list[str]] = []
    before = None
    while True:
        found = await page(door, by, last=size, before=before, order=order)
        pages.insert(0, found["nodes"])
        assert found["pageInfo"]["hasNextPage"] is (before is not None)
        if not found["pageInfo"]["hasPreviousPage"]:
            return pages
        before = found["pageInfo"]["startCursor"]


@pytest.mark.parametrize("order", ORDERS)
async def test_a_walk_meets_everybody_once_in_either_direction(walkers: Door, root: Person, order: str) -> None:
    whole = (await page(walkers, root, first=100, order=order))["nodes"]
    assert len(set(whole)) == len(whole) == 24
    for size in (1, 7, 24):
        pages = [whole[start : start + size] for start in range(0, 24, size)]
        assert await forward(walkers, root, order, size) == pages
        assert [name for names in await backward(walkers, root, order, size) for name in names] == whole


@pytest.mark.parametrize("order", ORDERS)
async def test_a_page_lies_between_its_cursors(walkers: Door, root: Person, order: str) -> None:
    whole = await page(walkers, root, first=24, order=order)
    after, before = whole["cursors"][4], whole["cursors"][15]
    for arguments, expected in (
        ({"first": 3}, whole["nodes"][5:8]),
        ({"last": 3}, whole["nodes"][12:15]),
        ({"first": 100}, whole["nodes"][5:15]),
        ({"last": 100}, whole["nodes"][5:15]),
        ({"first": 3, "offset": 2}, whole["nodes"][7:10]),
    ):
        found = await page(walkers, root, after=after, before=before, order=order, **arguments)
        assert (arguments, found["nodes"]) == (arguments, expected)
    assert (await page(walkers, root, after=before, before=after, order=order))["nodes"] == []


@pytest.mark.parametrize("order", ["CREATED_AT_ASC", "CREATED_AT_DESC", "EMAIL_ASC", "USERNAME_DESC"])
async def test_a_walk_misses_nobody_while_others_come_and_go(walkers: Door, root: Person, order: str) -> None:
    whole = (await page(walkers, root, first=100, order=order))["nodes"]
    met: list[str] = []
    after = None
    for number in range(100):
        found = await page(walkers, root, first=4, after=after, order=order)
        met += found["nodes"]
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["pageInfo"]["endCursor"]
        await walkers.rows(
            "INSERT INTO users (username, email, created_at) VALUES ($1, $2, '2020-01-01')",
            f"walkernew{number}",
            f"mail0{number}@x.test",
        )
        if number == 1:
            await walkers.rows("DELETE FROM users WHERE username = $1", met[-1])  # whom the cursor names
    assert [name for name in met if "new" not in name] == whole
    assert len(set(met)) == len(met)


async def test_numbered_pages_skip_and_still_count(walkers: Door, root: Person) -> None:
    whole = (await page(walkers, root, first=100, order="USERNAME_ASC"))["nodes"]
    for offset, size in ((0, 10), (10, 10), (20, 10), (24, 10), (1_000_000, 1)):
        found = await page(walkers, root, first=size, offset=offset, order="USERNAME_ASC")
        assert (found["totalCount"], found["nodes"]) == (24, whole[offset : offset + size])
        assert found["pageInfo"]["hasNextPage"] is (offset + size < 24)
        assert found["pageInfo"]["hasPreviousPage"] is (offset > 0)
    found = await page(walkers, root, last=3, offset=2, order="USERNAME_ASC")
    assert (found["nodes"], found["pageInfo"]["hasNextPage"]) == (whole[19:22], True)


async def test_the_count_holds_on_every_page_and_past_the_last(walkers: Door, root: Person) -> None:
    last = await page(walkers, root, last=1, order="USERNAME_ASC")
    past = await page(walkers, root, first=5, after=last["cursors"][0], order="USERNAME_ASC")
    assert past == {
        "totalCount": 24,
        "nodes": [],
        "cursors": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None},
    }


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"first": 0}, "first"),
        ({"first": -1}, "first"),
        ({"first": 101}, "first"),
        ({"last": 0}, "last"),
        ({"last": 101}, "last"),
        ({"last": -2_147_483_648}, "last"),
        ({"first": 1, "last": 1}, "last"),
        ({"offset": -1}, "offset"),
        ({"offset": 1_000_001}, "offset"),
    ],
)
async def test_arguments_of_a_page_have_a_range(
    door: Door, root: Person, arguments: dict[str, int], argument: str
) -> None:
    answer = await door.ask(PAGE, arguments, by=root)
    assert answer["data"] == {"users": None}
    assert [error["extensions"] for error in answer["errors"]] == [{"code": "BAD_USER_INPUT", "argument": argument}]


async def test_null_arguments_are_absent_ones(walkers: Door, root: Person) -> None:
    arguments = dict.fromkeys(("first", "after", "last", "before", "order", "offset"))
    assert await page(walkers, root, **arguments) == await page(walkers, root)


def cursor(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


ID = "00000000-0000-7000-8000-000000000001"
DEEP = base64.urlsafe_b64encode(b"[" * 50_000).decode()
GARBAGE = {
    "nothing": "",
    "a word": "x",
    "no base64": "%%%",
    "not ASCII": "é",
    "no JSON": base64.b64encode(b"{").decode(),
    "a number": cursor(1),
    "null": cursor(None),
    "an object": cursor({"a": 1, "b": 2, "c": 3}),
    "a text of three": cursor("abc"),
    "too short": cursor(["created_at_desc", "2020-01-01"]),
    "too long": cursor(["created_at_desc", "2020-01-01", ID, 1]),
    "another order": cursor(["created_at_asc", "2020-01-01", ID]),
    "another list": cursor(["sessions_by_user", None, ID]),
    "no position": cursor(["created_at_desc", None, ID]),
    "a number as position": cursor(["created_at_desc", 1, ID]),
    "no time": cursor(["created_at_desc", "yesterdayish", ID]),
    "an impossible time": cursor(["created_at_desc", "2020-13-45", ID]),
    "NUL": cursor(["created_at_desc", "2020\0", ID]),
    "half a surrogate": cursor(["created_at_desc", "\ud800", ID]),
    "no id": cursor(["created_at_desc", "2020-01-01", "1"]),
    "a number as id": cursor(["created_at_desc", "2020-01-01", 1]),
    "null as id": cursor(["created_at_desc", "2020-01-01", None]),
    "a list as id": cursor(["created_at_desc", "2020-01-01", [ID]]),
    "5,000 digits": base64.b64encode(b"9" * 5_000).decode(),
    "50,000 brackets": DEEP,
}


async def test_a_cursor_that_this_list_never_gave_is_refused(door: Door, root: Person) -> None:
    for name, text in GARBAGE.items():
        for argument in ("after", "before"):
            answer = await door.ask(PAGE, {argument: text}, by=root)
            assert answer["data"] == {"users": None}, name
            assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"], name


async def test_a_cursor_belongs_to_the_order_that_gave_it(walkers: Door, root: Person) -> None:
    for given in ORDERS:
        after = (await page(walkers, root, first=1, order=given))["cursors"][0]
        for order in ORDERS:
            answer = await walkers.ask(PAGE, {"after": after, "order": order}, by=root)
            assert ("errors" in answer) is (order != given), (given, order)


async def test_a_page_starts_from_its_index_wherever_it_lies(door: Door) -> None:
    statements = [each for name, each in door.house.database.statements.items() if name.startswith("list_users_by_")]
    assert len(statements) == 8
    async with door.house.database.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        for statement in statements:
            column = statement.name.removeprefix("list_users_by_").rpartition("_")[0]
            low = "2020-01-01" if column.endswith("_at") else "m"
            values = dict.fromkeys(statement.parameters) | {"low": low, "low_id": ID, "offset": 0, "limit": 21}
            plan = " ".join(line[0] for line in await connection.fetch(f"EXPLAIN {statement.sql}", *values.values()))
            assert f"using users_{column}_idx" in plan
            assert "Index Cond: (ROW(" in plan
            assert "Sort" not in plan

"""Pages of users: complete walks in both directions, offsets, cursors, and the ranges of the arguments."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import Client, Person

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
# Positions that are equal, null, or a microsecond apart
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
async def walkers(client: Client) -> Client:
    """Create 24 users that the search finds."""
    await client.rows(WALKERS)
    return client


async def page(client: Client, by: Person, **arguments: Any) -> dict[str, Any]:
    """Return one page, after comparing its parts with each other."""
    found: dict[str, Any] = (await client.data(PAGE, arguments, by=by))["users"]
    edges = found.pop("edges")
    found["nodes"] = [user["username"] for user in found["nodes"]]
    assert found["nodes"] == [edge["node"]["username"] for edge in edges]
    ends = (edges[0]["cursor"], edges[-1]["cursor"]) if edges else (None, None)
    assert (found["pageInfo"]["startCursor"], found["pageInfo"]["endCursor"]) == ends
    found["cursors"] = [edge["cursor"] for edge in edges]
    return found


async def forward(client: Client, by: Person, order: str, size: int) -> list[list[str]]:
    """Return all pages from the first to the last."""
    pages, after = [], None
    while True:
        found = await page(client, by, first=size, after=after, order=order)
        pages.append(found["nodes"])
        assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
        if not found["pageInfo"]["hasNextPage"]:
            return pages
        after = found["pageInfo"]["endCursor"]


async def backward(client: Client, by: Person, order: str, size: int) -> list[list[str]]:
    """Return all pages in the order of the list, requested from the last to the first."""
    pages: list[list[str]] = []
    before = None
    while True:
        found = await page(client, by, last=size, before=before, order=order)
        pages.insert(0, found["nodes"])
        assert found["pageInfo"]["hasNextPage"] is (before is not None)
        if not found["pageInfo"]["hasPreviousPage"]:
            return pages
        before = found["pageInfo"]["startCursor"]


@pytest.mark.parametrize("order", ORDERS)
async def test_a_walk_returns_every_user_once_in_either_direction(walkers: Client, root: Person, order: str) -> None:
    whole = (await page(walkers, root, first=100, order=order))["nodes"]
    assert len(set(whole)) == len(whole) == 24
    for size in (1, 7, 24):
        pages = [whole[start : start + size] for start in range(0, 24, size)]
        assert await forward(walkers, root, order, size) == pages
        assert [name for names in await backward(walkers, root, order, size) for name in names] == whole


@pytest.mark.parametrize("order", ORDERS)
async def test_a_page_is_between_its_cursors(walkers: Client, root: Person, order: str) -> None:
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
async def test_a_walk_is_complete_while_users_are_created_and_deleted(
    walkers: Client, root: Person, order: str
) -> None:
    whole = (await page(walkers, root, first=100, order=order))["nodes"]
    walked: list[str] = []
    after = None
    for number in range(100):
        found = await page(walkers, root, first=4, after=after, order=order)
        walked += found["nodes"]
        if not found["pageInfo"]["hasNextPage"]:
            break
        after = found["pageInfo"]["endCursor"]
        await walkers.rows(
            "INSERT INTO users (username, email, created_at) VALUES ($1, $2, '2020-01-01')",
            f"walkernew{number}",
            f"mail0{number}@x.test",
        )
        if number == 1:
            await walkers.rows("DELETE FROM users WHERE username = $1", walked[-1])  # the row of the cursor
    assert [name for name in walked if "new" not in name] == whole
    assert len(set(walked)) == len(walked)


async def test_numbered_pages_skip_items_and_have_the_whole_count(walkers: Client, root: Person) -> None:
    whole = (await page(walkers, root, first=100, order="USERNAME_ASC"))["nodes"]
    for offset, size in ((0, 10), (10, 10), (20, 10), (24, 10), (10_000, 1)):
        found = await page(walkers, root, first=size, offset=offset, order="USERNAME_ASC")
        assert (found["totalCount"], found["nodes"]) == (24, whole[offset : offset + size])
        assert found["pageInfo"]["hasNextPage"] is (offset + size < 24)
        assert found["pageInfo"]["hasPreviousPage"] is (offset > 0)
    found = await page(walkers, root, last=3, offset=2, order="USERNAME_ASC")
    assert (found["nodes"], found["pageInfo"]["hasNextPage"]) == (whole[19:22], True)


async def test_the_count_is_that_of_the_whole_list_even_after_the_last_page(walkers: Client, root: Person) -> None:
    last = await page(walkers, root, last=1, order="USERNAME_ASC")
    past = await page(walkers, root, first=5, after=last["cursors"][0], order="USERNAME_ASC")
    assert past == {
        "totalCount": 24,
        "nodes": [],
        "cursors": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None},
    }


@pytest.mark.parametrize(
    ("arguments", "argument", "message"),
    [
        ({"first": 0}, "first", "first must be between 1 and 100."),
        ({"first": -1}, "first", "first must be between 1 and 100."),
        ({"first": 101}, "first", "first must be between 1 and 100."),
        ({"last": 0}, "last", "last must be between 1 and 100."),
        ({"last": 101}, "last", "last must be between 1 and 100."),
        ({"last": -2_147_483_648}, "last", "last must be between 1 and 100."),
        ({"first": 1, "last": 1}, "last", "first and last cannot be combined."),
        ({"offset": -1}, "offset", "offset must be between 0 and 10000."),
        ({"offset": 10_001}, "offset", "offset must be between 0 and 10000."),
        ({"offset": 2_147_483_647}, "offset", "offset must be between 0 and 10000."),
    ],
)
async def test_arguments_of_a_page_have_a_range(
    client: Client, root: Person, arguments: dict[str, int], argument: str, message: str
) -> None:
    response = await client.execute(PAGE, arguments, by=root)
    assert response["data"] == {"users": None}
    assert [(error["message"], error["extensions"]) for error in response["errors"]] == [
        (message, {"code": "BAD_USER_INPUT", "argument": argument})
    ]


async def test_null_arguments_count_as_absent(walkers: Client, root: Person) -> None:
    arguments = dict.fromkeys(("first", "after", "last", "before", "order", "offset"))
    assert await page(walkers, root, **arguments) == await page(walkers, root)


def cursor(value: object) -> str:
    """Return a value in the form of a cursor."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


ID = "00000000-0000-7000-8000-000000000001"
DEEP = base64.urlsafe_b64encode(b"[" * 50_000).decode()
NOT_CURSORS = {
    "nothing": "",
    "a word": "x",
    "no base64": "%%%",
    "not ASCII": "é",
    "no JSON": base64.b64encode(b"{").decode(),
    "a number": cursor(1),
    "null": cursor(None),
    "an object": cursor({"a": 1, "b": 2, "c": 3}),
    "a text of three": cursor("abc"),
    "too short": cursor(["created_at desc", "2020-01-01"]),
    "too long": cursor(["created_at desc", "2020-01-01", ID, 1]),
    "another order": cursor(["created_at asc", "2020-01-01", ID]),
    "another list": cursor(["sessions", None, ID]),
    "no position": cursor(["created_at desc", None, ID]),
    "a number as position": cursor(["created_at desc", 1, ID]),
    "no time": cursor(["created_at desc", "yesterday-ish", ID]),
    "an impossible time": cursor(["created_at desc", "2020-13-45", ID]),
    "NUL": cursor(["created_at desc", "2020\0", ID]),
    "half a surrogate": cursor(["created_at desc", "\ud800", ID]),
    "no id": cursor(["created_at desc", "2020-01-01", "1"]),
    "a number as id": cursor(["created_at desc", "2020-01-01", 1]),
    "null as id": cursor(["created_at desc", "2020-01-01", None]),
    "a list as id": cursor(["created_at desc", "2020-01-01", [ID]]),
    "5,000 digits": base64.b64encode(b"9" * 5_000).decode(),
    "50,000 brackets": DEEP,
}
REJECTED_BY_DATABASE = {"no time", "an impossible time"}


async def test_a_text_that_is_not_a_cursor_of_the_list_is_rejected(client: Client, root: Person) -> None:
    valid = cursor(["created_at desc", "2020-01-01", ID])
    assert "errors" not in await client.execute(PAGE, {"after": valid, "before": valid}, by=root)
    for name, text in NOT_CURSORS.items():
        for argument in ("after", "before"):
            response = await client.execute(PAGE, {argument: text}, by=root)
            assert response["data"] == {"users": None}, name
            [error] = response["errors"]
            assert error["extensions"]["code"] == "BAD_USER_INPUT", name
            if name not in REJECTED_BY_DATABASE:
                assert error["message"] == f"{argument} is not a cursor of this list.", name
                assert error["extensions"]["argument"] == argument, name


async def test_a_cursor_is_valid_for_its_own_order_only(walkers: Client, root: Person) -> None:
    for given in ORDERS:
        after = (await page(walkers, root, first=1, order=given))["cursors"][0]
        for order in ORDERS:
            response = await walkers.execute(PAGE, {"after": after, "order": order}, by=root)
            assert ("errors" in response) is (order != given), (given, order)

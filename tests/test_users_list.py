"""Which users a list holds: search, filters, order, count."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.conftest import Door, Person

# username, email, first name, last name, display name
CAST = [
    ("carol", "Carol@Example.test", "Carol", "Danvers", None),
    ("dan_x", "dan@example.test", "Daniel", "O'Neil", "Danny 100%"),
    ("danax", "dana@other.test", "Élodie", "Müller", "ΟΔΥΣΣΕΥΣ"),
    ("eve", None, "Eve", None, "back\\slash"),
    ("frank", "frank@other.test", None, "Ångström", "Жанна Д'Арк"),
    ("grace", "grace@other.test", "İpek", "Straße", "王小明 😀"),
]
INSERT = "INSERT INTO users (username, email, first_name, last_name, display_name) VALUES ($1, $2, $3, $4, $5)"
FOUND = "query ($search: String) { users(search: $search, orderBy: USERNAME_ASC) { totalCount nodes { username } } }"
EVERYBODY = ["adam", "alice", "bob", "carol", "dan_x", "danax", "eve", "frank", "grace", "root", "stella"]


@pytest_asyncio.fixture
async def crowd(door: Door) -> Door:
    """The people of the template, and some whose names are harder."""
    for person in CAST:
        await door.rows(INSERT, *person)
    return door


async def names(door: Door, by: Person, arguments: str, **variables: Any) -> list[str]:
    """Usernames of a list by its arguments; the count says as many."""
    declared = f"({', '.join(f'${name}: {kind}' for name, (kind, _) in variables.items())})" if variables else ""
    document = f"query {declared} {{ users(first: 100, {arguments}) {{ totalCount nodes {{ username }} }} }}"
    found = (await door.data(document, {name: value for name, (_, value) in variables.items()}, by=by))["users"]
    usernames = [user["username"] for user in found["nodes"]]
    assert found["totalCount"] == len(usernames)
    return usernames


SEARCHES = {
    "carol": ["carol"],
    "AROL": ["carol"],
    "carol@example": ["carol"],
    "EXAMPLE.TEST": ["carol", "dan_x"],
    "danvers": ["carol"],
    "Carol Danvers": ["carol"],
    "carol  danvers": [],
    "danvers carol": [],
    "  dan  ": ["carol", "dan_x", "danax"],
    "O'Neil": ["dan_x"],
    "élodie": ["danax"],
    "ÉLODIE MÜLLER": ["danax"],
    "οδυσσευσ": ["danax"],
    "ΟΔΥΣ": ["danax"],
    "ångström": ["frank"],
    "ÅNG": ["frank"],
    "жанна д'арк": ["frank"],
    "İpek": ["grace"],
    "STRAß": ["grace"],
    "小": ["grace"],
    "😀": ["grace"],
    "%": ["dan_x"],
    "100%": ["dan_x"],
    "_": ["dan_x"],
    "dan_x": ["dan_x"],
    "k\\s": ["eve"],
    "\\": ["eve"],
    "c%l": [],
    "nobody": [],
    "": EVERYBODY,
    "   ": EVERYBODY,
}


async def test_a_search_looks_through_names_and_addresses(crowd: Door, root: Person) -> None:
    found = {search: await crowd.data(FOUND, {"search": search}, by=root) for search in SEARCHES}
    assert {
        search: [user["username"] for user in answer["users"]["nodes"]] for search, answer in found.items()
    } == SEARCHES
    counts = {search: answer["users"]["totalCount"] for search, answer in found.items()}
    assert counts == {search: len(usernames) for search, usernames in SEARCHES.items()}


async def test_a_search_has_a_longest_text(door: Door, root: Person) -> None:
    assert (await door.data(FOUND, {"search": "x" * 128}, by=root))["users"]["totalCount"] == 0
    for search in ("x" * 129, "a\nb", "a\x00b", "\x1b"):
        answer = await door.ask(FOUND, {"search": search}, by=root)
        assert answer["data"] == {"users": None}
        assert [error["extensions"] for error in answer["errors"]] == [{"code": "BAD_USER_INPUT", "argument": "search"}]


async def test_a_search_and_a_filter_hold_together(crowd: Door, root: Person) -> None:
    await crowd.rows("UPDATE users SET tier = 'PAID' WHERE username IN ('carol', 'frank')")
    assert await names(crowd, root, 'search: "example", filter: {tier: PAID}') == ["carol"]


FILTERS = {
    "tier: PAID": ["carol"],
    "tier: EDUCATIONAL": [],
    "tier: null": None,
    "suspended: true": ["dan_x", "eve"],
    "suspended: false, tier: FREE": ["frank", "danax"],
    "twoFactorEnabled: true": ["danax"],
    "emailVerified: true": ["eve", "frank"],
    "emailVerified: true, suspended: true": ["eve"],
    'createdAfter: "2001-01-01T00:00:00Z"': [],
}


CHANGE = "UPDATE users SET created_at = '2000-01-01', {} WHERE username = $1"


async def test_a_filter_picks_whom_it_describes(crowd: Door, root: Person) -> None:
    for change, username in {
        "tier = 'PAID'": "carol",
        "suspended_at = now()": "dan_x",
        "two_factor_enabled = true": "danax",
        "suspended_at = now(), suspended_until = now() + interval '1 hour', email_verified = true": "eve",
        "suspended_at = now() - interval '1 day', suspended_until = now(), email_verified = true": "frank",
    }.items():
        await crowd.rows(CHANGE.format(change), username)
    mine = 'createdBefore: "2000-06-01T00:00:00Z"'
    everybody = ["carol", "dan_x", "danax", "eve", "frank"]
    for written, expected in FILTERS.items():
        found = await names(crowd, root, f"filter: {{{mine}, {written}}}")
        assert sorted(found) == sorted(everybody if expected is None else expected), written


async def test_times_of_a_filter_are_exclusive(crowd: Door, root: Person) -> None:
    moment = "2000-01-01T12:00:00.000001Z"
    await crowd.rows("UPDATE users SET created_at = CAST($1 AS text)::timestamptz WHERE username = 'eve'", moment)
    assert await names(crowd, root, "filter: {createdBefore: $t}", t=("DateTime", moment)) == []
    assert "eve" not in await names(crowd, root, "filter: {createdAfter: $t}", t=("DateTime", moment))
    later = "2000-01-01T13:00:00.000002+01:00"
    assert await names(crowd, root, "filter: {createdBefore: $t}", t=("DateTime", later)) == ["eve"]


async def test_a_filter_picks_by_role_and_plan(crowd: Door, admin: Person) -> None:
    plan = await crowd.change("createPlan", {"name": "Small", "tier": "PAID"}, "plan { id }", by=admin)
    await crowd.rows("UPDATE users SET plan_id = $1 WHERE username IN ('bob', 'eve')", plan["plan"]["id"])
    staff = await crowd.rows("SELECT id FROM roles WHERE name = 'STAFF'")
    by_plan = await names(crowd, admin, "filter: {planId: $id}, orderBy: USERNAME_DESC", id=("ID", plan["plan"]["id"]))
    by_role = await names(crowd, admin, "filter: {roleId: $id}", id=("ID", staff[0]["id"].replace("-", "").upper()))
    assert (by_plan, by_role) == (["eve", "bob"], ["stella"])
    assert await names(crowd, admin, "filter: {planId: $id}", id=("ID", "00000000-0000-7000-8000-00000000ffff")) == []


async def test_a_user_without_a_plan_is_listed(crowd: Door, root: Person) -> None:
    document = "{ users(first: 100) { totalCount nodes { plan { id } } } }"
    found = (await crowd.data(document, by=root))["users"]
    assert found == {"totalCount": len(EVERYBODY), "nodes": [{"plan": None}] * len(EVERYBODY)}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("USERNAME_ASC", EVERYBODY),
        ("USERNAME_DESC", EVERYBODY[::-1]),
        ("EMAIL_ASC", ["eve", "adam", "alice", "bob", "carol", "dan_x", "danax", "frank", "grace", "root", "stella"]),
        ("EMAIL_DESC", ["stella", "root", "grace", "frank", "danax", "dan_x", "carol", "bob", "alice", "adam", "eve"]),
        (
            "CREATED_AT_ASC",
            ["root", "adam", "stella", "alice", "bob", "carol", "dan_x", "danax", "eve", "frank", "grace"],
        ),
        (
            "CREATED_AT_DESC",
            ["grace", "frank", "eve", "danax", "dan_x", "carol", "bob", "alice", "stella", "adam", "root"],
        ),
    ],
)
async def test_a_list_has_an_order(crowd: Door, root: Person, order: str, expected: list[str]) -> None:
    assert await names(crowd, root, f"orderBy: {order}") == expected


async def test_the_latest_login_comes_first_and_never_last(crowd: Door, root: Person) -> None:
    await crowd.rows("UPDATE users SET last_login_at = NULL")
    await crowd.rows("UPDATE users SET last_login_at = '2026-01-01' WHERE username IN ('eve', 'bob')")
    await crowd.rows("UPDATE users SET last_login_at = '2026-01-02' WHERE username = 'frank'")
    found = await names(crowd, root, "orderBy: LAST_LOGIN_AT_DESC")
    assert (found[0], sorted(found[1:3]), sorted(found)) == ("frank", ["bob", "eve"], EVERYBODY)


async def test_a_list_without_arguments_is_the_newest_twenty(door: Door, root: Person) -> None:
    await door.rows("INSERT INTO users (username) SELECT 'user' || n FROM generate_series(1, 30) AS n")
    found = (
        await door.data(
            "{ users { totalCount nodes { createdAt } pageInfo { hasNextPage hasPreviousPage } } }", by=root
        )
    )["users"]
    moments = [user["createdAt"] for user in found["nodes"]]
    assert (len(moments), moments, found["totalCount"]) == (20, sorted(moments, reverse=True), 35)
    assert found["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False}


async def test_the_list_is_counted_only_when_that_is_asked(door: Door, root: Person) -> None:
    for selection, statements in (("nodes { id }", 2), ("totalCount", 3), ("nodes { id } totalCount", 3)):
        before = door.reads
        await door.data(f"{{ users(first: 1) {{ {selection} }} }}", by=root)
        assert (selection, door.reads - before) == (selection, statements)


@pytest.mark.parametrize("who", ["alice", "anonymous"])
async def test_the_list_is_for_those_who_may_read_users(door: Door, people: dict[str, Person], who: str) -> None:
    answer = await door.ask("{ users { totalCount nodes { id } } }", by=people.get(who))
    assert answer["data"] == {"users": None}
    assert answer["errors"][0]["extensions"]["code"] == {"alice": "FORBIDDEN"}.get(who, "UNAUTHENTICATED")


async def test_a_search_can_use_its_index(door: Door) -> None:
    statement = door.house.database.statements["count_users"]
    values = dict.fromkeys(statement.parameters) | {"search": "%carol%"}
    async with door.house.database.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {statement.sql}", *values.values())
    assert "Bitmap Index Scan on users_search_idx" in " ".join(line[0] for line in plan)

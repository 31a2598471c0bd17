"""The list of users: search, filters, order, and count."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Literal

import pytest
import pytest_asyncio

from service.database.pages import count
from tests.conftest import Client, Person

# username, email, first name, last name, display name
USERS = [
    ("carol", "Carol@Example.test", "Carol", "Danvers", None),
    ("dan_x", "dan@example.test", "Daniel", "O'Neil", "Danny 100%"),
    ("danax", "dana@other.test", "Élodie", "Müller", "ΟΔΥΣΣΕΥΣ"),
    ("eve", None, "Eve", None, "back\\slash"),
    ("frank", "frank@other.test", None, "Ångström", "Жанна Д'Арк"),
    ("grace", "grace@other.test", "İpek", "Straße", "王小明 😀"),
]
INSERT = "INSERT INTO users (username, email, first_name, last_name, display_name) VALUES ($1, $2, $3, $4, $5)"
FOUND = "query ($search: String) { users(search: $search, orderBy: USERNAME_ASC) { totalCount nodes { username } } }"
ALL = ["adam", "alice", "bob", "carol", "dan_x", "danax", "eve", "frank", "grace", "root", "stella"]


@pytest_asyncio.fixture
async def populated(client: Client) -> Client:
    """Return a client; beside the users of the template there are some whose names are harder to find."""
    for user in USERS:
        await client.rows(INSERT, *user)
    return client


async def names(client: Client, by: Person, arguments: str, **variables: Any) -> list[str]:
    """Return the usernames of a list by its arguments; its count must be their number."""
    declaration = f"({', '.join(f'${name}: {kind}' for name, (kind, _) in variables.items())})" if variables else ""
    document = f"query {declaration} {{ users(first: 100, {arguments}) {{ totalCount nodes {{ username }} }} }}"
    found = (await client.data(document, {name: value for name, (_, value) in variables.items()}, by=by))["users"]
    usernames = [user["username"] for user in found["nodes"]]
    assert found["totalCount"] == len(usernames)
    return usernames


def with_ids(text: str, ids: dict[str, str]) -> str:
    """Return a text of GraphQL with ids in place of their names."""
    return re.sub(r"\$\w+", lambda name: f'"{ids[name[0]]}"', text)


# Users, and texts that find them: in any case, without regard to spaces at the ends and between words
SEARCHES: list[tuple[list[str], list[str]]] = [
    (["carol"], ["carol", "AROL", "carol@example", "danvers", "Carol Danvers", "carol  danvers", "danvers\n"]),
    (["carol"], ["carol\u00a0\tdanvers", "\uff43\uff41rol", "\u2003carol\u3000"]),
    (["carol", "dan_x"], ["EXAMPLE.TEST"]),
    (["carol", "dan_x", "danax"], ["  dan  "]),
    (["dan_x"], ["O'Neil", "%", "100%", "_", "dan_x"]),
    (["danax"], ["élodie", "ÉLODIE MÜLLER", "οδυσσευσ", "οδυσσευς", "ΟΔΥΣ"]),
    (["eve"], ["k\\s", "K\\S", "\u212a\\s", "\\"]),  # also with the Kelvin sign
    (["frank"], ["ångström", "ÅNG", "\u212bng", "жанна д'арк", "ЖАННА"]),  # also with the Angstrom sign
    (["grace"], ["İpek", "İPEK", "i\u0307pek", "STRAß", "straße", "STRAẞE", "小", "😀"]),
    ([], ["danvers carol", "elodie", "ipek", "\u0131pek", "strasse", "c%l", "unknown", "\x1b"]),
    (ALL, ["", "   "]),
]


async def test_a_search_looks_through_names_and_addresses(populated: Client, root: Person) -> None:
    for usernames, texts in SEARCHES:
        for text in texts:
            found = (await populated.data(FOUND, {"search": text}, by=root))["users"]
            expected = {"totalCount": len(usernames), "nodes": [{"username": username} for username in usernames]}
            assert (text, found) == (text, expected)


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("searched", ["NFC", "NFD"])
async def test_a_search_finds_composed_and_decomposed_letters(
    client: Client, root: Person, stored: Literal["NFC", "NFD"], searched: Literal["NFC", "NFD"]
) -> None:
    first_names = ("Élodie", "Ångström", "İpek", "Nguyễn", "Ǖ")
    for number, name in enumerate(first_names):
        await client.rows(INSERT, f"user{number}", None, unicodedata.normalize(stored, name), None, None)
    for number, name in enumerate(first_names):
        for text in (name, name.upper(), name.lower()):
            found = await client.data(FOUND, {"search": unicodedata.normalize(searched, text)}, by=root)
            assert (text, found["users"]["nodes"]) == (text, [{"username": f"user{number}"}])


async def test_a_search_has_a_longest_text(client: Client, root: Person) -> None:
    for search in ("x" * 128, "a\nb", "\x1b"):
        assert await client.data(FOUND, {"search": search}, by=root) == {"users": {"totalCount": 0, "nodes": []}}
    for search, message in (
        ("x" * 129, "search must have at most 128 characters."),
        ("a\x00b", "search must not contain NUL or unpaired surrogates."),
    ):
        answer = await client.execute(FOUND, {"search": search}, by=root)
        assert answer["data"] == {"users": None}
        [error] = answer["errors"]
        expected = (message, {"code": "BAD_USER_INPUT", "argument": "search"})
        assert (error["message"], error["extensions"]) == expected


async def test_a_search_and_a_filter_apply_together(populated: Client, root: Person) -> None:
    await populated.rows("UPDATE users SET tier = 'PAID' WHERE username IN ('carol', 'frank')")
    assert await names(populated, root, 'search: "example", filter: {tier: PAID}') == ["carol"]


# How each user differs from the others, who are of the tier FREE and have nothing else
DIFFERENCES = {
    "carol": "tier = 'PAID', last_login_at = '2020-01-01T00:00:00Z'",
    "dan_x": "suspended_at = now()",
    "danax": "two_factor_enabled = true, tier = 'ENTERPRISE'",
    "eve": "suspended_at = now(), suspended_until = now() + interval '1 hour', email_verified = true",
    "frank": "suspended_at = now() - interval '1 day', suspended_until = now(), email_verified = true",
    "grace": "last_login_at = '2020-01-03T00:00:00Z'",
}
CHANGE = "UPDATE users SET created_at = '2000-01-01', {} WHERE username = $1 RETURNING id"
FILTERS = {
    "tier: PAID": ["carol"],
    "tier: [PAID, ENTERPRISE]": ["carol", "danax"],
    "tier: EDUCATIONAL": [],
    "tier: []": [],
    "tier: null": [*DIFFERENCES],
    "ids: null": [*DIFFERENCES],
    "ids: []": [],
    "ids: [$carol, $eve, $alice, $unknown]": ["carol", "eve"],
    "ids: [$carol, $eve], tier: PAID": ["carol"],
    "ids: $eve, suspended: true, emailVerified: true, hasPlan: false, hasPassword: false": ["eve"],
    "suspended: true": ["dan_x", "eve"],
    "suspended: false": ["carol", "danax", "frank", "grace"],
    "suspended: false, tier: FREE": ["frank", "grace"],
    "twoFactorEnabled: true": ["danax"],
    "twoFactorEnabled: false": ["carol", "dan_x", "eve", "frank", "grace"],
    "emailVerified: true": ["eve", "frank"],
    "emailVerified: false": ["carol", "dan_x", "danax", "grace"],
    "emailVerified: true, suspended: true": ["eve"],
    "emailVerified: null, suspended: null": [*DIFFERENCES],
    'lastLoginAfter: "2019-12-31T23:59:59Z"': ["carol", "grace"],
    'lastLoginAfter: "2020-01-01T00:00:00Z"': ["grace"],
    'lastLoginAfter: "2020-01-01T01:00:00.000001+01:00"': ["grace"],
    'lastLoginBefore: "2020-01-03T00:00:00Z"': ["carol"],
    'lastLoginBefore: "2020-01-03T00:00:00.000001Z"': ["carol", "grace"],
    'lastLoginAfter: "2020-01-01T00:00:00Z", lastLoginBefore: "2020-01-03T00:00:00Z"': [],
    'lastLoginAfter: "2019-01-01T00:00:00Z", tier: FREE': ["grace"],
    'createdAfter: "2001-01-01T00:00:00Z"': [],
    'createdAfter: "1999-01-01T00:00:00Z", lastLoginBefore: "2021-01-01T00:00:00Z", tier: [PAID, FREE]': [
        "carol",
        "grace",
    ],
}


async def test_a_filter_selects_the_users_that_match_every_field(
    populated: Client, root: Person, alice: Person
) -> None:
    ids = {"$unknown": "00000000-0000-7000-8000-00000000ffff", "$alice": alice.id}
    for username, difference in DIFFERENCES.items():
        [row] = await populated.rows(CHANGE.format(difference), username)
        ids[f"${username}"] = row["id"]
    only = 'createdBefore: "2000-06-01T00:00:00Z"'
    for written, expected in FILTERS.items():
        found = await names(populated, root, f"filter: {{{only}, {with_ids(written, ids)}}}")
        assert (written, sorted(found)) == (written, expected)


async def test_times_of_a_filter_are_exclusive(populated: Client, root: Person) -> None:
    moment = "2000-01-01T12:00:00.000001Z"
    await populated.rows("UPDATE users SET created_at = CAST($1 AS text)::timestamptz WHERE username = 'eve'", moment)
    assert await names(populated, root, "filter: {createdBefore: $t}", t=("DateTime", moment)) == []
    assert "eve" not in await names(populated, root, "filter: {createdAfter: $t}", t=("DateTime", moment))
    later = "2000-01-01T13:00:00.000002+01:00"
    assert await names(populated, root, "filter: {createdBefore: $t}", t=("DateTime", later)) == ["eve"]


async def test_a_filter_selects_by_role_and_plan(populated: Client, admin: Person) -> None:
    plans = []
    for name, usernames in (("Small", ["bob", "eve"]), ("Large", ["frank"]), ("Unused", [])):
        payload = await populated.mutate("createPlan", {"name": name, "tier": "PAID"}, "plan { id }", by=admin)
        plans.append(payload["plan"]["id"])
        await populated.rows("UPDATE users SET plan_id = $1 WHERE username = ANY($2)", plans[-1], usernames)
    rows = await populated.rows("SELECT name, id FROM roles")
    roles = {row["name"]: row["id"].replace("-", "").upper() for row in rows}
    without = [name for name in ALL if name not in {"bob", "eve", "frank"}]
    ids = dict(zip(("$small", "$large", "$unused"), plans, strict=True))
    ids |= {"$staff": roles["STAFF"], "$root": roles["ROOT"]}
    for written, expected in {
        "planId: $small": ["bob", "eve"],
        "planId: [$small, $large]": ["bob", "eve", "frank"],
        "planId: [$unused]": [],
        "planId: []": [],
        "hasPlan: true": ["bob", "eve", "frank"],
        "hasPlan: false": without,
        "hasPlan: null": ALL,
        "hasPlan: false, planId: [$small]": [],
        "hasPlan: true, hasPassword: true": ["bob"],
        "hasPlan: true, hasPassword: false": ["eve", "frank"],
        "roleId: $staff": ["stella"],
        "roleId: [$staff, $root]": ["root", "stella"],
        "roleId: []": [],
        "roleId: [$staff], planId: [$small]": [],
        "hasPassword: true": ["adam", "alice", "bob", "root", "stella"],
        "hasPassword: false": ["carol", "dan_x", "danax", "eve", "frank", "grace"],
    }.items():
        found = await names(populated, admin, f"filter: {{{with_ids(written, ids)}}}, orderBy: USERNAME_ASC")
        assert (written, found) == (written, expected)


async def test_a_list_of_a_filter_has_at_most_a_hundred_values(client: Client, root: Person, bob: Person) -> None:
    document = "query ($filter: UserFilter) { users(filter: $filter) { nodes { username } } }"
    found = await client.data(document, {"filter": {"ids": [bob.id] * 100}}, by=root)
    assert found == {"users": {"nodes": [{"username": "bob"}]}}
    given = {"ids": [bob.id] * 101, "tier": ["FREE"] * 101, "roleId": [bob.id] * 101, "planId": [bob.id] * 101}
    answer = await client.execute(document, {"filter": given}, by=root)
    assert answer["data"] == {"users": None}
    [error] = answer["errors"]
    problems = [{"path": ["filter", name], "message": f"{name} must have at most 100 items."} for name in given]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "argument": "filter", "problems": problems}


async def test_a_user_without_a_plan_is_listed(populated: Client, root: Person) -> None:
    document = "{ users(first: 100) { totalCount nodes { plan { id } } } }"
    found = (await populated.data(document, by=root))["users"]
    assert found == {"totalCount": len(ALL), "nodes": [{"plan": None}] * len(ALL)}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("USERNAME_ASC", ALL),
        ("USERNAME_DESC", ALL[::-1]),
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
async def test_a_list_has_an_order(populated: Client, root: Person, order: str, expected: list[str]) -> None:
    assert await names(populated, root, f"orderBy: {order}") == expected


async def test_the_latest_login_comes_first_and_users_without_a_login_come_last(
    populated: Client, root: Person
) -> None:
    await populated.rows("UPDATE users SET last_login_at = NULL")
    await populated.rows("UPDATE users SET last_login_at = '2026-01-01' WHERE username IN ('eve', 'bob')")
    await populated.rows("UPDATE users SET last_login_at = '2026-01-02' WHERE username = 'frank'")
    found = await names(populated, root, "orderBy: LAST_LOGIN_AT_DESC")
    assert (found[0], sorted(found[1:3]), sorted(found)) == ("frank", ["bob", "eve"], ALL)


async def test_a_list_without_arguments_is_the_newest_twenty(client: Client, root: Person) -> None:
    await client.rows("INSERT INTO users (username) SELECT 'user' || n FROM generate_series(1, 30) AS n")
    found = (
        await client.data(
            "{ users { totalCount nodes { createdAt } pageInfo { hasNextPage hasPreviousPage } } }", by=root
        )
    )["users"]
    moments = [user["createdAt"] for user in found["nodes"]]
    assert (len(moments), moments, found["totalCount"]) == (20, sorted(moments, reverse=True), 35)
    assert found["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": False}


async def test_the_list_is_counted_only_on_request(client: Client, root: Person) -> None:
    for selection, statements in (("nodes { id }", 2), ("totalCount", 3), ("nodes { id } totalCount", 3)):
        before = client.reads
        await client.data(f"{{ users(first: 1) {{ {selection} }} }}", by=root)
        assert (selection, client.reads - before) == (selection, statements)


@pytest.mark.parametrize(("name", "code"), [("alice", "FORBIDDEN"), ("anonymous", "UNAUTHENTICATED")])
async def test_the_list_requires_users_read(client: Client, people: dict[str, Person], name: str, code: str) -> None:
    answer = await client.execute("{ users { totalCount nodes { id } } }", by=people.get(name))
    assert answer["data"] == {"users": None}
    assert [error["extensions"]["code"] for error in answer["errors"]] == [code]


async def test_a_search_can_use_its_index(client: Client) -> None:
    query = count(client.resources.database.statements["list_users"], frozenset({"search"}))
    assert query.parameters == ("search",)
    async with client.resources.database.connection() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        plan = await connection.fetch(f"EXPLAIN {query.sql}", "carol")
    assert "Bitmap Index Scan on users_search_idx" in " ".join(line[0] for line in plan)

"""Access to wallets: who adjusts balances, who reads wallets, and what API keys may do with them."""

from __future__ import annotations

import pytest

from tests.conftest import PASSWORD, Client, Person
from tests.sessions import impersonated
from tests.wallets import adjust, codes, default_wallet

ADJUST = """mutation ($i: AdjustBalanceInput!) {
  adjustBalance(input: $i) { newBalanceMsat entry { id } errors { code } }
}"""
NODE = "query ($id: ID!) { node(id: $id) { id } }"


async def test_a_wallet_of_another_user_is_not_adjusted(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    wallet = str((await default_wallet(client, bob))["id"])
    assert codes(await adjust(client, admin, alice, 5, walletId=wallet)) == ["NOT_FOUND walletId"]
    assert (await default_wallet(client, bob))["balance_msat"] == 0


async def test_a_user_who_holds_more_is_not_adjusted(client: Client, root: Person, admin: Person, bob: Person) -> None:
    role = {"name": "Cashier", "permissions": ["wallets.adjust"]}
    made = await client.mutate("createRole", role, "role { id }", by=root)
    changed = await client.mutate("updateUser", {"id": bob.id, "roleId": made["role"]["id"]}, "user { id }", by=root)
    assert changed["errors"] == []
    assert codes(await adjust(client, bob, admin, 5)) == ["NOT_ALLOWED userId"]
    assert codes(await adjust(client, bob, bob, 5)) == []


@pytest.mark.parametrize(
    ("by", "code", "permission"),
    [
        ("alice", "FORBIDDEN", "wallets.adjust"),
        ("stella", "FORBIDDEN", "wallets.adjust"),
        (None, "UNAUTHENTICATED", None),
    ],
)
async def test_who_may_not_adjust_learns_the_permission(  # noqa: PLR0917
    client: Client, people: dict[str, Person], alice: Person, by: str | None, code: str, permission: str | None
) -> None:
    value = {"userId": alice.id, "amountSat": 5, "reason": "x"}
    answer = await client.execute(ADJUST, {"i": value}, by=people.get(by or ""))
    [error] = answer["errors"]
    assert (error["extensions"]["code"], error["extensions"].get("permission")) == (code, permission)
    assert await client.rows("SELECT FROM wallet_entries") == []


async def test_a_session_must_have_been_authenticated_a_short_time_ago(
    client: Client, admin: Person, alice: Person
) -> None:
    await client.rows("UPDATE sessions SET authenticated_at = now() - interval '16 minutes'")
    value = {"userId": alice.id, "amountSat": 5, "reason": "x"}
    answer = await client.execute(ADJUST, {"i": value}, by=admin)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["REAUTH_REQUIRED"]


async def test_a_person_who_acts_as_another_administrator_moves_no_money(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    token = await impersonated(client, root, admin)
    value = {"userId": alice.id, "amountSat": 5, "reason": "x"}
    answer = await client.execute(ADJUST, {"i": value}, by=token)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    assert await client.rows("SELECT FROM wallet_entries") == []


async def key(client: Client, by: Person, *permissions: str) -> str:
    """Return the secret of an API key."""
    made = await client.mutate("createApiKey", {"name": "k", "permissions": list(permissions)}, "secret", by=by)
    return str(made["secret"])


async def test_an_api_key_does_what_it_lists(client: Client, admin: Person, alice: Person) -> None:
    billing = await key(client, admin, "wallets.adjust")
    payload = await client.data(
        f'mutation {{ adjustBalance(input: {{userId: "{alice.id}", amountSat: 3, reason: "x"}}) '
        "{ newBalanceMsat errors { code } } }",
        by=billing,
    )
    assert payload["adjustBalance"] == {"newBalanceMsat": 3_000, "errors": []}
    wallet = (await default_wallet(client, alice))["id"]
    # It does not read wallets
    assert (await client.data(NODE, {"id": str(wallet)}, by=admin))["node"]
    answer = await client.execute(NODE, {"id": str(wallet)}, by=billing)
    assert (answer.get("data") or {}).get("node") is None


async def test_the_api_key_of_a_user_reads_or_creates_wallets(client: Client, alice: Person) -> None:
    reader, creator = await key(client, alice, "account.read", "wallets.read"), None
    me = (await client.data("{ me { walletCount balanceMsat wallets { balanceMsat } } }", by=reader))["me"]
    assert me == {"walletCount": 1, "balanceMsat": 0, "wallets": [{"balanceMsat": 0}]}
    document = 'mutation { createWallet(input: {name: "x"}) { wallet { name } errors { code } } }'
    answer = await client.execute(document, by=reader)
    assert answer["errors"][0]["extensions"]["permission"] == "wallets.create"
    made = await client.mutate("createApiKey", {"name": "c", "permissions": ["wallets.create"]}, "secret", by=alice)
    creator = made["secret"]
    answer = await client.execute(
        'mutation { createWallet(input: {name: "x"}) { wallet { id } errors { code } } }', by=creator
    )
    # The wallet was created, and the key does not read it
    assert answer["data"]["createWallet"]["errors"] == []
    assert len(await client.rows("SELECT FROM wallets WHERE user_id = $1", alice.id)) == 2


async def test_wallets_of_others_are_not_there(
    client: Client, staff: Person, admin: Person, alice: Person, bob: Person
) -> None:
    entry = (await adjust(client, admin, alice, 5))["entry"]["id"]
    wallet = str((await default_wallet(client, alice))["id"])
    for by in (bob, staff):
        for each in (entry, wallet):
            assert await client.data(NODE, {"id": each}, by=by) == {"node": None}
    answer = await client.execute(
        "query ($id: ID!) { user(by: {id: $id}) { walletCount balanceMsat wallets { id } } }",
        {"id": alice.id},
        by=staff,
    )
    assert answer["data"]["user"] == {"walletCount": 1, "balanceMsat": None, "wallets": None}
    assert {error["extensions"]["permission"] for error in answer["errors"]} == {"wallets.read"}


async def test_people_list_users_with_wallets_in_one_statement_for_a_level(client: Client, root: Person) -> None:
    await client.rows("INSERT INTO users (username) SELECT 'user' || n FROM generate_series(1, 20) AS n")
    await client.rows(
        "INSERT INTO wallets (user_id, owner_id, name) SELECT id, id, 'w' FROM users WHERE username LIKE 'user1%'"
    )
    for first in (5, 20):
        for fields, statements in (
            ("walletCount balanceMsat", 1),
            ("wallets { name }", 1),
            ("wallets { name user { username } }", 2),
            ("walletCount wallets { entries { nodes { reason } } }", 3),
        ):
            before = client.reads
            query = f"{{ users(first: {first}, orderBy: USERNAME_DESC) {{ nodes {{ {fields} }} }} }}"
            assert len((await client.data(query, by=root))["users"]["nodes"]) == first
            assert (fields, client.reads - before) == (fields, 2 + statements)  # the actor and the users


async def test_an_administrator_signs_in_and_pays(client: Client, root: Person, alice: Person) -> None:
    """A caller who may adjust balances needs no permission to read them for the answer."""
    role = {"name": "Cashier", "permissions": ["wallets.adjust"]}
    made = await client.mutate("createRole", role, "role { id }", by=root)
    value = {"username": "cash", "password": PASSWORD, "roleId": made["role"]["id"]}
    assert (await client.mutate("createUser", value, "user { id }", by=root))["errors"] == []
    login = await client.mutate("login", {"login": "cash", "password": PASSWORD}, "token")
    value = {"userId": alice.id, "amountSat": 5, "reason": "x"}
    answer = await client.execute(ADJUST, {"i": value}, by=login["token"])
    assert answer["data"]["adjustBalance"]["newBalanceMsat"] == 5_000
    assert {error["extensions"]["permission"] for error in answer.get("errors", [])} == {"wallets.read"}

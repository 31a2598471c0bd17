"""The ledger in the database: it cannot be changed, balances follow it, and it outlives its users."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from service.bootstrap import create_admin
from service.clean_up import clean_up
from service.credentials.password_policy import PasswordPolicy
from service.credentials.passwords import PasswordHasher
from service.database import migrations
from service.identifiers import UsernamePolicy
from service.resources import database_of
from service.settings import Settings
from tests import links
from tests.conftest import PASSWORD, Client, Person, dropped, in_maintenance, named
from tests.wallets import adjust, codes, default_wallet, require_consistent

READ = """query ($id: ID!) { node(id: $id) { ... on Wallet {
  balanceMsat ownerId closedAt user { id } entries { nodes { amountMsat reason actorId createdAt actor { id } } }
} } }"""


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE wallet_entries SET reason = 'other'",
        "DELETE FROM wallet_entries",
        "TRUNCATE wallet_entries",
        "DELETE FROM wallets",
        "TRUNCATE wallets CASCADE",
        "UPDATE wallets SET balance_msat = 1",
        "UPDATE wallets SET is_default = FALSE",
        "UPDATE wallets SET user_id = NULL",
        "UPDATE wallets SET owner_id = gen_random_uuid()",
        "INSERT INTO wallets (user_id, owner_id, name, balance_msat) SELECT id, id, 'x', 5 FROM users",
    ],
)
async def test_the_database_rejects_changes_beside_the_ledger(
    client: Client, admin: Person, alice: Person, statement: str
) -> None:
    await adjust(client, admin, alice, 5)
    before = await client.rows("SELECT * FROM wallets ORDER BY id")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await client.rows(statement)
    assert await client.rows("SELECT * FROM wallets ORDER BY id") == before
    assert len(await client.rows("SELECT FROM wallet_entries")) == 1


@pytest.mark.parametrize(
    ("columns", "values", "constraint"),
    [
        ("amount_msat, reason", "-5001, 'x'", "wallets_balance_not_negative"),
        ("amount_msat, reason", "9007199254740991, 'x'", "wallets_balance_most"),
        ("amount_msat, reason", "0, 'x'", "wallet_entries_amount_not_zero"),
        ("amount_msat, reason", "1, ''", "wallet_entries_reason_length"),
        ("amount_msat, reason, balance_after_msat", "1, 'x', 99", "wallet_entries_balance_after_consistent"),
    ],
)
async def test_constraints_keep_the_ledger_without_the_service(  # noqa: PLR0917
    client: Client, admin: Person, alice: Person, columns: str, values: str, constraint: str
) -> None:
    await adjust(client, admin, alice, 5)
    wallet = await default_wallet(client, alice)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as raised:
        await client.rows(f"INSERT INTO wallet_entries (wallet_id, {columns}) VALUES ($1, {values})", wallet["id"])  # noqa: S608
    assert raised.value.constraint_name == constraint
    assert (await default_wallet(client, alice))["balance_msat"] == 5_000
    await require_consistent(client)


async def test_a_second_default_wallet_and_too_large_a_sum_are_rejected(client: Client, alice: Person) -> None:
    insert = "INSERT INTO wallets (user_id, owner_id, name, is_default) VALUES ($1, $1, 'x', {}) RETURNING id"
    with pytest.raises(asyncpg.UniqueViolationError) as raised:
        await client.rows(insert.format(True), alice.id)
    assert raised.value.constraint_name == "wallets_default_key"
    [second] = await client.rows(insert.format(False), alice.id)
    entry = "INSERT INTO wallet_entries (wallet_id, amount_msat, reason) VALUES ($1, $2, 'x')"
    await client.rows(entry, second["id"], 2**53 - 1)
    with pytest.raises(asyncpg.CheckViolationError) as too_much:
        await client.rows(entry, (await default_wallet(client, alice))["id"], 1)
    assert too_much.value.constraint_name == "wallets_total_most"
    await client.rows(entry, second["id"], -1)
    await client.rows(entry, (await default_wallet(client, alice))["id"], 1)
    await require_consistent(client)


async def test_a_user_has_a_default_wallet_however_it_is_created(client: Client, root: Person, alice: Person) -> None:
    assert (await client.mutate("createUser", {"username": "carol"}, "user { id }", by=root))["errors"] == []
    server = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    value = {"serverId": server["server"]["id"], "email": "new@roster.test", "permissions": ["file.read"]}
    assert (await client.mutate("createSubuser", value, "subuser { id }", by=alice))["errors"] == []
    await links.registered(client, email="dora@roster.test", password=PASSWORD)
    await links.verify(client, (await links.last_mail(client, "dora@roster.test")).token)
    policies = (UsernamePolicy(), PasswordPolicy())
    hasher = PasswordHasher(1, 4)
    columns = {"username": "boss", "email": None}
    await create_admin(client.resources.database, hasher, policies, columns, PASSWORD, root=False)
    hasher.close()
    async with client.resources.database.connection() as connection:
        await connection.copy_records_to_table("users", columns=["username"], records=[("copy1",), ("copy2",)])
    users = await client.rows("SELECT FROM users")
    assert len(users) == 5 + 4 + 2
    assert len(await client.rows("SELECT FROM wallets WHERE is_default AND user_id IS NOT NULL")) == len(users)
    await require_consistent(client)


async def test_the_migration_gives_existing_users_a_default_wallet(server_url: str, tmp_path: Path) -> None:
    name = "roster_wallet_migration"
    await in_maintenance(server_url, f"DROP DATABASE IF EXISTS {name}")
    await in_maintenance(server_url, f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")
    try:
        database = database_of(Settings(), named(server_url, name))
        await database.connect()
        for path in sorted(migrations.MIGRATIONS.glob("*.sql")):
            if path.name < "0017":
                (tmp_path / path.name).write_bytes(path.read_bytes())
        await migrations.migrate(database, tmp_path)
        async with database.connection() as connection:
            await connection.execute("INSERT INTO users (username) SELECT 'user' || n FROM generate_series(1, 50) AS n")
        await migrations.migrate(database)
        async with database.connection() as connection:
            assert await connection.fetchval("SELECT count(DISTINCT user_id) FROM wallets WHERE is_default") == 50
            held = "SELECT permissions @> '{wallets.adjust,wallets.read}' FROM roles WHERE name = 'ADMIN'"
            assert await connection.fetchval(held)
        await database.close()
    finally:
        await dropped(server_url, name)


async def test_a_refused_deletion_leaves_the_wallets_as_they_are(
    client: Client, root: Person, admin: Person, alice: Person
) -> None:
    """Guards come before the destructive step."""
    await adjust(client, root, alice, 5)
    await adjust(client, root, root, 6)
    await adjust(client, root, admin, 7)
    await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    tables = ("wallets", "wallet_entries", "users", "servers")
    before = [await client.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables]  # noqa: S608
    for by, user, code in (
        (admin, alice, "IN_USE id"),
        (admin, root, "NOT_ALLOWED id"),
        (admin, admin, "NOT_ALLOWED id"),
        (root, root, "NOT_ALLOWED id"),
    ):
        assert codes(await client.mutate("deleteUser", {"id": user.id}, "deletedId", by=by)) == [code]
    assert [await client.rows(f"SELECT * FROM {table} ORDER BY id") for table in tables] == before  # noqa: S608
    assert await client.rows("SELECT FROM wallets WHERE closed_at IS NOT NULL") == []


async def test_the_ledger_of_a_deleted_user_stays_readable(
    client: Client, root: Person, admin: Person, alice: Person, bob: Person
) -> None:
    entry = (await adjust(client, admin, alice, 21, reason="Deposit"))["entry"]["id"]
    wallet = str((await default_wallet(client, alice))["id"])
    for person in (alice, admin):
        deleted = await client.mutate("deleteUser", {"id": person.id}, "deletedId", by=root)
        assert deleted == {"deletedId": person.id, "errors": []}
    found = (await client.data(READ, {"id": wallet}, by=root))["node"]
    assert (found["balanceMsat"], found["ownerId"], found["user"]) == (21_000, alice.id, None)
    assert found["closedAt"] is not None
    [node] = found["entries"]["nodes"]
    assert (node["amountMsat"], node["reason"], node["actorId"], node["actor"]) == (21_000, "Deposit", admin.id, None)
    assert await client.data(READ, {"id": wallet}, by=bob) == {"node": None}
    assert (await client.data(READ, {"id": entry}, by=root))["node"] is not None
    # The event of the deletion leads to the wallet
    query = f'{{ auditEvents(first: 1, filter: {{targetId: "{alice.id}"}}) {{ nodes {{ event changes }} }} }}'
    [event] = (await client.data(query, by=root))["auditEvents"]["nodes"]
    assert (event["event"], event["changes"]["wallets"]) == ("user.delete", {"old": [wallet], "new": None})


async def test_a_closed_wallet_is_not_changed(client: Client, root: Person, alice: Person) -> None:
    await adjust(client, root, alice, 5)
    wallet = (await default_wallet(client, alice))["id"]
    await client.mutate("deleteUser", {"id": alice.id}, "deletedId", by=root)
    assert codes(await adjust(client, root, alice, 5)) == ["NOT_FOUND userId"]
    entry = "INSERT INTO wallet_entries (wallet_id, amount_msat, reason) VALUES ($1, 1, 'x')"
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await client.rows(entry, wallet)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await client.rows("UPDATE wallets SET name = 'x' WHERE id = $1", wallet)
    # The same person may be imported again, with the same id
    await client.rows("INSERT INTO users (id, username) VALUES ($1, 'alice')", alice.id)
    assert len(await client.rows("SELECT FROM wallets WHERE owner_id = $1", alice.id)) == 2
    await require_consistent(client)


@pytest.mark.parametrize("paid", [True, False])
async def test_an_unused_invitation_of_a_user_with_entries_is_kept(
    client: Client, root: Person, alice: Person, paid: bool
) -> None:
    server = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    value = {"serverId": server["server"]["id"], "email": "new@roster.test", "permissions": ["file.read"]}
    made = await client.mutate("createSubuser", value, "subuser { user { id } }", by=alice)
    person = Person(made["subuser"]["user"]["id"], "", "")
    if paid:
        await adjust(client, root, person, 5)
    await client.rows("UPDATE invitations SET expires_at = now() - interval '1 day'")
    await clean_up(client.resources.database)
    assert len(await client.rows("SELECT FROM users WHERE id = $1", person.id)) == int(paid)
    wallet = await default_wallet(client, person)
    assert (wallet["closed_at"] is None) is paid
    changes: list[Any] = await client.rows("SELECT changes FROM audit_events WHERE event = 'user.delete'")
    assert [row["changes"]["wallets"]["old"] for row in changes] == ([] if paid else [[str(wallet["id"])]])


async def test_entries_by_sql_at_once_follow_each_other(client: Client, alice: Person) -> None:
    wallet = (await default_wallet(client, alice))["id"]
    entry = (
        "INSERT INTO wallet_entries (wallet_id, amount_msat, reason) SELECT $1, n, 'x' FROM generate_series(1, 5) AS n"
    )
    await asyncio.gather(*(client.rows(entry, wallet) for _ in range(20)))
    assert (await default_wallet(client, alice))["balance_msat"] == 20 * 15
    await require_consistent(client)

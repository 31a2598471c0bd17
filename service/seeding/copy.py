"""Copying of the sample rows into the database, in one transaction.

COPY accepts values only in binary form, so a run opens its own connection, without the text codecs of `Database`. A run
that adds a large part of the accounts drops the indexes and builds them again at its end. That is faster than updating
them for each row, but locks the tables until the run commits.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeAlias

import asyncpg
import orjson

from service.access.actor import system_actor
from service.database.connection import Database, codecs
from service.database.servers import Connection
from service.database.transaction import Transaction
from service.errors import ErrorCode, reject
from service.seeding import rows as seed_rows
from service.seeding.ids import generator_of, uuid7
from service.seeding.rows import TABLES, Batch, Recipe
from service.write import writing

# Opens a progress bar of a label and a length; its `update` advances it
Progress: TypeAlias = Callable[[str, int], AbstractContextManager[Any]]

LOCK: Final = 0x73656564  # "seed"; only one run at a time
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
REBUILD_FACTOR: Final = 2  # measured: per row, building an index costs a quarter to a half of updating it
POSTGRESQL_EPOCH: Final = 946_684_800_000_000  # 2000-01-01, in microseconds since 1970
SESSION: Final = {
    "application_name": "roster seed",
    "idle_in_transaction_session_timeout": "0",
    "maintenance_work_mem": "128MB",
    "statement_timeout": "0",
    "timezone": "UTC",
}
PLANS: Final[tuple[tuple[str, str, str, dict[str, int]], ...]] = (
    ("Free", "For trying things out", "FREE", {"memory_mb": 1024, "disk_mb": 5120, "cpu_percent": 50, "servers": 1}),
    (
        "Starter",
        "For a first community",
        "PAID",
        {"memory_mb": 4096, "disk_mb": 20480, "cpu_percent": 100, "servers": 3, "databases": 3, "backups": 3},
    ),
    (
        "Pro",
        "For many players or many sites",
        "PAID",
        {"memory_mb": 16384, "disk_mb": 102400, "cpu_percent": 400, "servers": 10, "databases": 20, "backups": 20},
    ),
    ("Enterprise", "Under a contract of its own", "ENTERPRISE", {"cpu_percent": 3200}),
)

EARLIER_RUNS = """
SELECT
  CAST(changes -> 'seed' ->> 'new' AS bigint) AS seed,
  CAST(changes -> 'last_number' ->> 'new' AS bigint) AS last_number
FROM audit_events
WHERE event = 'seed'
"""
# Values that users have chosen may look like those that a run generates
NUMBERS_TAKEN = """
SELECT DISTINCT CAST(found.number AS bigint) AS number
FROM (
  SELECT substring(lower(username) FROM '[a-z]([1-9][0-9]{0,7})$') FROM users
  UNION ALL SELECT substring(lower(email) FROM '[a-z]([1-9][0-9]{0,7})@example[.](?:com|net|org)$') FROM users
  UNION ALL SELECT substring(external_id FROM '^whmcs-([1-9][0-9]{0,7})$') FROM users
  UNION ALL SELECT substring(external_id FROM '^vm-([1-9][0-9]{0,7})-[0-9]$') FROM servers
) AS found (number)
WHERE CAST(found.number AS bigint) >= $1
"""
CREATE_PLAN = """
INSERT INTO plans (id, name, description, tier, is_default, limits, created_at)
SELECT $1, $2, $3, $4, $5 AND NOT EXISTS (SELECT FROM plans WHERE is_default), $6, $7
ON CONFLICT (fold(name)) DO NOTHING
"""
PLANS_BY_NAME = """
SELECT CAST(plans.id AS text) AS id, plans.tier
FROM unnest(CAST($1 AS text[])) WITH ORDINALITY AS wanted (name, position)
JOIN plans ON fold(plans.name) = fold(wanted.name)
ORDER BY wanted.position
"""
# Indexes that do not belong to a constraint, except the one that finds the default wallets of new users
INDEXES = """
SELECT CAST(CAST(indexrelid AS regclass) AS text) AS name, pg_get_indexdef(indexrelid) AS definition
FROM pg_index
WHERE indrelid = ANY (CAST(CAST($1 AS text[]) AS regclass[]))
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid)
  AND indexrelid <> CAST('wallets_default_key' AS regclass)
ORDER BY 1
"""


@dataclass(frozen=True)
class Run:
    """The options of a run; `day` is the midnight at which the generated history ends."""

    seed: int
    users: int
    day: dt.datetime
    password_hash: str | None


async def fill(database: Database, run: Run, progress: Progress) -> Counter[str]:
    """Fill the migrated database, and return the number of rows by table.

    Raise MutationRejected, before anything is written, if an earlier run had the same seed, or if no numbers are left.
    """
    connection = await asyncpg.connect(database.url, server_settings=SESSION)
    try:
        await _codecs(connection)
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            first, taken = await _numbers(connection, run)
            day = (run.day - EPOCH) // dt.timedelta(microseconds=1)
            plans = await _plans(connection, run, day)
            recipe = Recipe(run.seed, run.users, day, plans, run.password_hash, first, taken)
            # Wallets are copied before their users
            await connection.execute("SET CONSTRAINTS wallets_user_id_fkey DEFERRED")
            async with _without_indexes(connection, run.users, progress):
                counts = await _copy_all(connection, recipe, progress)
            await _record(Transaction(connection, database.statements), recipe, counts)
        # VACUUM writes the visibility map that index-only scans need, and merges pending entries of the search index
        await connection.execute(f"VACUUM (ANALYZE) plans, {', '.join(TABLES)}")
    finally:
        await connection.close()
    return counts


async def _codecs(connection: Connection) -> None:
    """Accept times as microseconds since 1970, and addresses as text, because objects would cost more."""
    await connection.set_type_codec(
        "timestamptz",
        schema="pg_catalog",
        encoder=lambda at: (at - POSTGRESQL_EPOCH,),
        decoder=lambda at: at[0] + POSTGRESQL_EPOCH,
        format="tuple",
    )
    await connection.set_type_codec("inet", schema="pg_catalog", encoder=_inet, decoder=bytes, format="binary")


@cache
def _inet(text: str) -> bytes:
    """Return the binary form of an address (inet_send in PostgreSQL's network.c)."""
    address = ipaddress.ip_address(text)
    family, network = 2 if address.version == 4 else 3, 0  # noqa: PLR2004
    return bytes((family, address.max_prefixlen, network, len(address.packed))) + address.packed


async def _numbers(connection: Connection, run: Run) -> tuple[int, frozenset[int]]:
    """Return the number of the first account, which follows those of earlier runs, and the used numbers after it."""
    runs = await connection.fetch(EARLIER_RUNS)
    if any(earlier["seed"] == run.seed for earlier in runs):
        message = f"this database was seeded already with seed {run.seed}: choose another --seed"
        raise reject(ErrorCode.ALREADY_DONE, message)
    first = max((earlier["last_number"] for earlier in runs), default=0) + 1
    taken = frozenset(row["number"] for row in await connection.fetch(NUMBERS_TAKEN, first))
    if first + run.users + len(taken) > seed_rows.MAX_NUMBER:
        message = f"this database was seeded already with {first - 1} accounts: {run.users} more exceed the maximum"
        raise reject(ErrorCode.LIMIT_REACHED, message)
    return first, taken


async def _plans(connection: Connection, run: Run, day: int) -> list[tuple[str, str]]:
    """Return the id and tier of each plan; a plan that already has the name is used unchanged."""
    created = day - seed_rows.SPAN
    for name, description, tier, limits in PLANS:
        plan_id = uuid7(created, generator_of("roster plan", name, run.seed))
        columns = plan_id, name, description, tier, tier == "FREE", orjson.dumps(limits).decode(), created
        await connection.execute(CREATE_PLAN, *columns)
    found = await connection.fetch(PLANS_BY_NAME, [plan[0] for plan in PLANS])
    return [(plan["id"], plan["tier"]) for plan in found]


@asynccontextmanager
async def _without_indexes(connection: Connection, users: int, progress: Progress) -> AsyncIterator[None]:
    """Drop the indexes and build them again at the end, unless there are so many accounts that this takes longer."""
    if await connection.fetchval("SELECT count(*) FROM users") > REBUILD_FACTOR * users:
        yield
        return
    indexes = await connection.fetch(INDEXES, list(TABLES))
    if indexes:
        await connection.execute(f"DROP INDEX {', '.join(index['name'] for index in indexes)}")
    yield
    # An index is not built while foreign keys of its table wait for their check
    await connection.execute("SET CONSTRAINTS wallets_user_id_fkey IMMEDIATE")
    with progress("Building indexes", len(indexes)) as bar:
        for index in indexes:
            await connection.execute(index["definition"])
            bar.update(1)


async def _copy_all(connection: Connection, recipe: Recipe, progress: Progress) -> Counter[str]:
    counts = Counter(dict.fromkeys(TABLES, 0))
    source = seed_rows.batches(recipe)
    batch = next(source, None)
    with progress("Copying accounts", recipe.users) as bar:
        while batch is not None:
            # The next rows are generated while the server receives these
            next_batch, _ = await asyncio.gather(asyncio.to_thread(next, source, None), _copy(connection, batch))
            counts.update({table: len(rows) for table, rows in batch.items()})
            bar.update(len(batch["users"]))
            batch = next_batch
    return counts


async def _copy(connection: Connection, batch: Batch) -> None:
    for table, rows in batch.items():
        if rows:
            records = map(tuple, map(dict.values, rows))
            await connection.copy_records_to_table(table, columns=list(rows[0]), records=records)


async def _record(transaction: Transaction, recipe: Recipe, counts: Counter[str]) -> None:
    """Write the audit event of the run; later runs read it."""
    last = recipe.first_number + recipe.users + len(recipe.taken) - 1
    # Only now, because COPY needs the binary form
    await codecs(transaction.connection)
    async with writing(system_actor("command:seed"), transaction, "seed") as change:
        change.added(seed=recipe.seed, first_number=recipe.first_number, last_number=last, **counts)

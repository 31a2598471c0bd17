"""The command that fills a database with accounts that look like real ones: seed."""

from __future__ import annotations

import asyncio
import datetime as dt
import sys
from collections import Counter
from uuid import UUID

import asyncpg
import click
import orjson

from service import migrations, passwords, seeding
from service.commands.running import Trouble, one_line, settings_with, with_database
from service.database import Database
from service.errors import Refused
from service.formats import MAX_SAFE_INTEGER
from service.passwords import PasswordHasher, PasswordPolicy
from service.readers import Connection
from service.seeding import Batch, Recipe
from service.settings import Settings

LOCK = 0x73656564  # "seed": one run at a time
FIRST_DAY = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)
# A run takes as long as it takes; a large pending list and much memory spare the search index many small updates
SESSION = {
    "application_name": "roster seed",
    "gin_pending_list_limit": "64MB",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "timezone": "UTC",
    "work_mem": "64MB",
}
GIB = 1024
PLANS: tuple[tuple[str, str, str, dict[str, int]], ...] = (
    ("Free", "For trying things out", "FREE", {"memory_mb": GIB, "disk_mb": 5 * GIB, "cpu_percent": 50, "servers": 1}),
    (
        "Starter",
        "For a first community",
        "PAID",
        {"memory_mb": 4 * GIB, "disk_mb": 20 * GIB, "cpu_percent": 100, "servers": 3, "databases": 3, "backups": 3},
    ),
    (
        "Pro",
        "For many players or many sites",
        "PAID",
        {
            "memory_mb": 16 * GIB,
            "disk_mb": 100 * GIB,
            "cpu_percent": 400,
            "servers": 10,
            "databases": 20,
            "backups": 20,
        },
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
CREATE_PLAN = """
INSERT INTO plans (id, name, description, tier, is_default, limits, created_at)
SELECT $1, $2, $3, $4, $5 AND NOT EXISTS (SELECT FROM plans WHERE is_default), $6, $7
ON CONFLICT (lower(name)) DO NOTHING
"""
# Whatever else is in the database may look like what a run makes
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
RECORD = "INSERT INTO audit_events (event, credential, changes) VALUES ('seed', 'command', $1)"


@click.command()
@click.option("--users", type=click.IntRange(1, 10_000_000), default=1_000, show_default=True, help="Accounts to make.")
@click.option(
    "--seed",
    "number",
    type=click.IntRange(0, MAX_SAFE_INTEGER),
    default=1,
    show_default=True,
    help="Another number gives other people.",
)
@click.option(
    "--password", default=None, help="Password of all these accounts; without one nobody can sign in to them."
)
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    default=None,
    help="Day (UTC) that the three years of history lead up to; today by default.",
)
def seed(users: int, number: int, password: str | None, as_of: dt.datetime | None) -> None:
    """Fill the database with people who look real: the same ones for the same seed, number and day."""
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = today if as_of is None else as_of.replace(tzinfo=dt.UTC)
    if not FIRST_DAY <= day <= today:
        raise click.BadParameter(f"must be between {FIRST_DAY:%Y-%m-%d} and {today:%Y-%m-%d}", param_hint="--as-of")

    async def work(database: Database) -> Counter[str]:
        await migrations.migrate(database)
        password_hash = None if password is None else await _hash(password, settings)
        connection = await asyncpg.connect(database.url, server_settings=SESSION)
        try:
            async with connection.transaction():
                first, taken = await _numbers(connection, number, users)
                plans = await _plans(connection, number, day)
                counts = await _write(connection, Recipe(number, users, day, plans, password_hash, first, taken))
            # Not only statistics: index-only scans need the visibility map, and the search index its pending entries
            await connection.execute(f"VACUUM (ANALYZE) plans, {', '.join(seeding.TABLES)}")
        finally:
            await connection.close()
        return counts

    with one_line():
        settings = settings_with()
        counts = with_database(settings, work)
    click.echo(f"seeded {', '.join(f'{count} {table}' for table, count in counts.items())}")


async def _hash(password: str, settings: Settings) -> str:
    # SECURITY: some of these accounts are administrators, so the password must be as good as anybody's.
    policy = PasswordPolicy(min_length=settings.password_min_length, min_score=settings.password_min_score)
    found = passwords.problems(password, [], policy)
    if found:
        raise Refused(*found)
    hasher = PasswordHasher(1, 1)
    try:
        return await hasher.hash(password)
    finally:
        hasher.close()


async def _numbers(connection: Connection, seed: int, users: int) -> tuple[int, frozenset[int]]:
    """The number of the first account, behind those of earlier runs, and what is taken from there on by other accounts.

    Raises Trouble where the seed was used before, or no numbers are left.
    """
    await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
    runs = await connection.fetch(EARLIER_RUNS)
    if any(run["seed"] == seed for run in runs):
        raise Trouble(f"this database was seeded already with seed {seed}: choose another --seed")
    first = max((run["last_number"] for run in runs), default=0) + 1
    taken = frozenset(row["number"] for row in await connection.fetch(NUMBERS_TAKEN, first))
    if first + users + len(taken) > seeding.MAX_NUMBER:
        raise Trouble(f"this database has no room for {users} more: {first - 1} accounts were seeded already")
    return first, taken


async def _plans(connection: Connection, seed: int, day: dt.datetime) -> list[tuple[UUID, str]]:
    """Id and tier of each plan; what has its name already is taken as it is."""
    found = []
    created = seeding.microseconds(day) - seeding.SPAN
    for name, description, tier, limits in PLANS:
        plan_id = seeding.uuid7(created, seeding.chance_of("roster plan", name, seed))
        columns = plan_id, name, description, tier, tier == "FREE", orjson.dumps(limits).decode()
        await connection.execute(CREATE_PLAN, *columns, seeding.moment(created))
        plan = await connection.fetchrow("SELECT id, tier FROM plans WHERE lower(name) = lower($1)", name)
        found.append((plan["id"], plan["tier"]))
    return found


async def _write(connection: Connection, recipe: Recipe) -> Counter[str]:
    """Copies every row and the audit event; gives the rows of each table."""
    counts: Counter[str] = Counter(dict.fromkeys(seeding.TABLES, 0))
    source = seeding.batches(recipe)
    batch = next(source, None)
    hidden = not sys.stderr.isatty()
    with click.progressbar(length=recipe.users, label="Seeding", file=sys.stderr, hidden=hidden) as progress:
        while batch is not None:
            # The next rows are made while the server takes these
            following, _ = await asyncio.gather(asyncio.to_thread(next, source, None), _copy(connection, batch))
            counts.update({table: len(rows) for table, rows in batch.items()})
            progress.update(len(batch["users"]))
            batch = following
    last_number = recipe.first_number + recipe.users + len(recipe.taken) - 1
    told = {"seed": recipe.seed, "first_number": recipe.first_number, "last_number": last_number, **counts}
    changes = {name: {"old": None, "new": value} for name, value in told.items()}
    await connection.execute(RECORD, orjson.dumps(changes).decode())
    return counts


async def _copy(connection: Connection, batch: Batch) -> None:
    for table, rows in batch.items():
        if rows:
            records = map(tuple, map(dict.values, rows))
            await connection.copy_records_to_table(table, columns=list(rows[0]), records=records)

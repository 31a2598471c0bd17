"""The command seed: it fills a database with realistic sample data."""

from __future__ import annotations

import datetime as dt
import sys
from collections import Counter
from contextlib import AbstractContextManager
from typing import Any

import click

from service import limits
from service import settings as configuration
from service.commands.running import one_line_errors, with_database
from service.credentials.password_policy import password_problems
from service.credentials.passwords import PasswordHasher
from service.database import migrations
from service.database.connection import Database
from service.errors import MutationRejected
from service.resources import password_policy
from service.seeding.copy import Run, fill
from service.settings import Settings

MOST_USERS = 10_000_000
FIRST_DAY = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@click.command()
@click.option("--users", type=click.IntRange(1, MOST_USERS), default=1_000, show_default=True, help="Number of users.")
@click.option(
    "--seed",
    "number",
    type=click.IntRange(0, limits.SAFE_INTEGER),
    default=1,
    show_default=True,
    help="Another seed creates other users; a database accepts each seed once.",
)
@click.option("--password", default=None, help="Password of all these users; without it they have none.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    default=None,
    help="Last day (UTC) of the three years of history; today by default.",
)
def seed(users: int, number: int, password: str | None, as_of: dt.datetime | None) -> None:
    """Fill the database with realistic users.

    The same number of users, seed, and day create the same rows in every database.
    """
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    day = today if as_of is None else as_of.replace(tzinfo=dt.UTC)
    if not FIRST_DAY <= day <= today:
        raise click.BadParameter(f"must be from {FIRST_DAY:%Y-%m-%d} to {today:%Y-%m-%d}", param_hint="--as-of")

    async def work(database: Database) -> Counter[str]:
        password_hash = None if password is None else await _hash(password, settings)
        await migrations.migrate(database)
        return await fill(database, Run(number, users, day, password_hash), _progress)

    with one_line_errors():
        settings = configuration.read()
        counts = with_database(settings, work)
    click.echo(f"seeded {', '.join(f'{count} {table}' for table, count in counts.items())}")


async def _hash(password: str, settings: Settings) -> str:
    # SECURITY: some of these users are administrators, so the password policy applies
    policy = password_policy(settings)
    found = password_problems(password, [], policy, "password")
    if found:
        raise MutationRejected(*found)
    hasher = PasswordHasher(1, 1)
    try:
        return await hasher.hash(password)
    finally:
        hasher.close()


def _progress(label: str, length: int) -> AbstractContextManager[Any]:
    return click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())

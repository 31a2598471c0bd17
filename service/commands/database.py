"""Commands on the database: migrate, check, create-admin."""

from __future__ import annotations

from typing import TextIO

import click

from service import accounts, migrations
from service.commands.running import Trouble, one_line, settings_with, with_database
from service.database import Database
from service.house import password_policy, username_policy
from service.passwords import PasswordHasher
from service.snapshot import SNAPSHOT, database_snapshot


@click.command()
@click.option("--status", is_flag=True, help="Only tell which migrations are applied.")
def migrate(*, status: bool) -> None:
    """Bring the database's schema up to date."""
    with one_line():
        work = migrations.status if status else migrations.migrate
        found = with_database(settings_with(), work)
    if status:
        for migration in found:
            click.echo(f"{'applied' if migration.applied else 'missing'}  {migration.name}")
    else:
        click.echo(f"applied {', '.join(item.name for item in found)}" if found else "nothing to apply")


@click.command()
@click.option("--snapshot", is_flag=True, help="Also compare sql/schema.sql with what the migrations make.")
@click.option("--write", is_flag=True, help="Write sql/schema.sql anew.")
def check(*, snapshot: bool, write: bool) -> None:
    """Prepare every SQL statement against the database's schema."""

    async def work(database: Database) -> list[str]:
        await migrations.migrate(database)
        problems = await database.check()
        if snapshot or write:
            text = await database_snapshot(database)
            if write:
                SNAPSHOT.write_text(text, encoding="utf-8")
            elif not SNAPSHOT.exists() or SNAPSHOT.read_text(encoding="utf-8") != text:
                problems.append("sql/schema.sql is not what the migrations make: run `check --write`")
        return problems

    with one_line():
        problems = with_database(settings_with(), work)
    if problems:
        raise Trouble("\n".join(problems))
    click.echo("every statement fits the schema")


@click.command("create-admin")
@click.option("--username", required=True, help="Name to sign in with.")
@click.option("--email", default=None, help="Email address.")
@click.option("--password-file", type=click.File(), default=None, help="File with the password; - is standard input.")
@click.option("--root", is_flag=True, help="Give the role ROOT instead of ADMIN.")
def create_admin(username: str, email: str | None, password_file: TextIO | None, *, root: bool) -> None:
    """Create an administrator; without --password-file a password is made and printed once."""
    password = accounts.generated_password() if password_file is None else password_file.read().rstrip("\n")
    settings = settings_with()
    policy = password_policy(settings)

    async def work(database: Database) -> str:
        await migrations.migrate(database)
        hasher = PasswordHasher(1, 1)
        try:
            return await accounts.create_account(
                database, hasher, policy, username_policy(settings), username, email, password, root=root
            )
        finally:
            hasher.close()

    with one_line():
        user_id = with_database(settings, work)
    click.echo(f"created {username} ({user_id})")
    if password_file is None:
        click.echo(f"password: {password}")

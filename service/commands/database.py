"""Commands for the database: migrate, check, create-admin."""

from __future__ import annotations

from typing import TextIO

import click

from service import bootstrap
from service import settings as configuration
from service.commands.running import CommandError, one_line_errors, with_database
from service.credentials.passwords import PasswordHasher
from service.database import migrations
from service.database.connection import Database
from service.database.snapshot import SNAPSHOT, database_snapshot
from service.resources import password_policy, username_policy
from service.schema import ORDERS


@click.command()
@click.option("--status", is_flag=True, help="Only list the migrations, and whether each is applied.")
def migrate(*, status: bool) -> None:
    """Apply the missing migrations to the database."""
    with one_line_errors():
        work = migrations.status if status else migrations.migrate
        found = with_database(configuration.read(), work)
    if status:
        for migration in found:
            click.echo(f"{'applied' if migration.applied else 'missing'}  {migration.name}")
    else:
        click.echo(f"applied {', '.join(item.name for item in found)}" if found else "nothing to apply")


@click.command()
@click.option("--snapshot", is_flag=True, help="Also compare sql/schema.sql with the result of the migrations.")
@click.option("--write", is_flag=True, help="Write sql/schema.sql.")
def check(*, snapshot: bool, write: bool) -> None:
    """Prepare every SQL statement against the schema of the database."""

    async def work(database: Database) -> list[str]:
        await migrations.migrate(database)
        problems = await database.check(ORDERS)
        if snapshot or write:
            text = await database_snapshot(database)
            if write:
                SNAPSHOT.write_text(text, encoding="utf-8")
            elif not SNAPSHOT.exists() or SNAPSHOT.read_text(encoding="utf-8") != text:
                problems.append("sql/schema.sql is not the result of the migrations: run `check --write`")
        return problems

    with one_line_errors():
        problems = with_database(configuration.read(), work)
    if problems:
        raise CommandError("\n".join(problems))
    click.echo("every statement fits the schema")


@click.command("create-admin")
@click.option("--username", required=True, help="Name to sign in with.")
@click.option("--email", default=None, help="Email address.")
@click.option("--password-file", type=click.File(), default=None, help="File with the password; - is standard input.")
@click.option("--root", is_flag=True, help="Give the role ROOT instead of ADMIN.")
def create_admin(username: str, email: str | None, password_file: TextIO | None, *, root: bool) -> None:
    """Create an administrator. Without --password-file, a password is generated and printed once."""
    password = bootstrap.generated_password() if password_file is None else password_file.read().rstrip("\n")
    with one_line_errors():
        settings = configuration.read()
        policies = (username_policy(settings), password_policy(settings))

        async def work(database: Database) -> str:
            await migrations.migrate(database)
            hasher = PasswordHasher(1, 1)
            try:
                columns = {"username": username, "email": email}
                return await bootstrap.create_admin(database, hasher, policies, columns, password, root=root)
            finally:
                hasher.close()

        user_id = with_database(settings, work)
    click.echo(f"created {username} ({user_id})")
    if password_file is None:
        click.echo(f"password: {password}")

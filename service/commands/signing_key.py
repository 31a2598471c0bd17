"""The command for the keys of access tokens: rotate-signing-key."""

from __future__ import annotations

import click

from service import settings as configuration
from service.commands.running import one_line_errors, with_database
from service.database import migrations
from service.database.connection import Database
from service.resources import encryption_of
from service.signing_keys import rotate_key


@click.command("rotate-signing-key")
@click.option("--revoke", is_flag=True, help="Also revoke all access tokens of older keys, for example after a leak.")
def rotate_signing_key(*, revoke: bool) -> None:
    """Replace the key that signs access tokens."""
    with one_line_errors():
        settings = configuration.read()

        async def work(database: Database) -> str:
            await migrations.migrate(database)
            return await rotate_key(database, encryption_of(settings), revoke=revoke)

        key_id = with_database(settings, work)
    click.echo(f"access tokens are signed with the key {key_id}")

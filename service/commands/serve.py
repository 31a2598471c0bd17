"""Commands that serve or describe the service: serve, schema, settings."""

from __future__ import annotations

import os
from pathlib import Path

import click
from pydantic import SecretStr

from service import bootstrap, logs
from service import settings as configuration
from service.commands.running import CommandError, database_url, one_line_errors, with_database
from service.credentials.passwords import PasswordHasher
from service.database import migrations
from service.database.connection import Database
from service.database.migrations import MigrationError
from service.schema import ORDERS, printed
from service.settings import Settings
from service.workers import listening_socket
from service.workers import serve as run

SCHEMA = Path(__file__).parent.parent.parent / "schema.graphql"


@click.command()
@click.option("--host", default=None, help="Address to listen on.")
@click.option("--port", default=None, help="Port to listen on; 0 chooses a free one.")
@click.option("--data-dir", default=None, help="Folder of the embedded PostgreSQL.")
@click.option("--workers", default=None, help="Number of worker processes.")
def serve(**options: str | None) -> None:
    """Serve GraphQL, with an embedded PostgreSQL unless ROSTER_DATABASE_URL is set."""
    with one_line_errors():
        # Worker processes are new, and read the environment, too
        os.environ.update({f"ROSTER_{name.upper()}": value for name, value in options.items() if value is not None})
        settings = configuration.read()
        logs.configure(settings)
        listener = listening_socket(settings.host, settings.port)
        port = listener.getsockname()[1]
        os.environ["ROSTER_PORT"] = str(port)  # links and passkeys have the address
        settings = settings.model_copy(update={"port": port})
        with database_url(settings) as url:
            password = with_database(
                settings.model_copy(update={"database_url": SecretStr(url)}), lambda db: _prepare(db, settings)
            )
            _greet(settings, password)
            run(settings, url, listener)


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Only report whether schema.graphql is current.")
def schema(*, only_check: bool) -> None:
    """Write schema.graphql."""
    text = printed()
    if not only_check:
        SCHEMA.write_text(text, encoding="utf-8")
    elif not SCHEMA.exists() or SCHEMA.read_text(encoding="utf-8") != text:
        raise CommandError("schema.graphql is not current: run `python -m service schema`")
    else:
        click.echo("schema.graphql is current")


@click.command("settings")
def list_settings() -> None:
    """List every setting with its value and description."""
    with one_line_errors():
        current = configuration.read()
    for name, field in sorted(Settings.model_fields.items()):
        value = getattr(current, name)
        shown = "" if value is None else "********" if isinstance(value, SecretStr) else value
        click.echo(f"ROSTER_{name.upper():<22} {shown!s:<22} {field.description}")


async def _prepare(database: Database, settings: Settings) -> str | None:
    """Migrate, check, and create the root account; return the root's password if it was generated."""
    await migrations.migrate(database)
    found = await database.check(ORDERS)
    if found:
        raise MigrationError("; ".join(found))
    password = settings.root_password.get_secret_value() if settings.root_password else None
    hasher = PasswordHasher(1, 1)
    try:
        return await bootstrap.ensure_root(database, hasher, settings.root_email, password)
    finally:
        hasher.close()


def _greet(settings: Settings, password: str | None) -> None:
    host = "localhost" if settings.host in {"127.0.0.1", "0.0.0.0", "::", "::1"} else settings.host  # noqa: S104
    if password is not None:
        click.echo(
            f"Created the root account. Username: {bootstrap.ROOT_NAME}  Password: {password}  (shown only once)"
        )
    click.echo(f"Serving GraphiQL at http://{host}:{settings.port}/graphql")

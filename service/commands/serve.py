"""Commands that serve or describe the service: serve, schema, settings."""

from __future__ import annotations

from pathlib import Path

import click
from pydantic import SecretStr

from service import accounts, logs, migrations
from service.commands.running import Trouble, database_url, one_line, settings_with, with_database
from service.database import Database
from service.errors import Refused
from service.house import password_policy
from service.passwords import PasswordHasher, problems
from service.schema import printed
from service.serving import listening_socket
from service.serving import serve as run
from service.settings import Settings

SCHEMA = Path(__file__).parent.parent.parent / "schema.graphql"


@click.command()
@click.option("--host", default=None, help="Address to listen on.")
@click.option("--port", type=int, default=None, help="Port to listen on; 0 takes a free one.")
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Folder of the embedded PostgreSQL.",
)
@click.option("--workers", type=int, default=None, help="Processes that serve.")
def serve(host: str | None, port: int | None, data_dir: Path | None, workers: int | None) -> None:
    """Serve GraphQL, on an embedded PostgreSQL unless ROSTER_DATABASE_URL names another."""
    with one_line():
        settings = settings_with(host=host, port=port, data_dir=data_dir, workers=workers)
        logs.configure(settings)
        listener = listening_socket(settings.host, settings.port)
        with database_url(settings) as url:
            password = with_database(
                settings.model_copy(update={"database_url": SecretStr(url)}), lambda db: _prepare(db, settings)
            )
            _greet(settings, listener.getsockname()[1], password)
            run(settings, url, listener)


@click.command()
@click.option("--check", "only_check", is_flag=True, help="Only tell whether schema.graphql is current.")
def schema(*, only_check: bool) -> None:
    """Write schema.graphql."""
    text = printed()
    if not only_check:
        SCHEMA.write_text(text, encoding="utf-8")
    elif not SCHEMA.exists() or SCHEMA.read_text(encoding="utf-8") != text:
        raise Trouble("schema.graphql is not current: run `python -m service schema`")


@click.command("settings")
def list_settings() -> None:
    """List every setting, its value and what it does."""
    with one_line():
        current = settings_with()
    for name, field in sorted(Settings.model_fields.items()):
        value = getattr(current, name)
        shown = "" if value is None else "********" if "Secret" in type(value).__name__ else value
        click.echo(f"ROSTER_{name.upper():<22} {shown!s:<22} {field.description}")


async def _prepare(database: Database, settings: Settings) -> str | None:
    """The schema and the root account; gives the root's password where it was generated."""
    await migrations.migrate(database)
    found = await database.check()
    if found:
        raise migrations.MigrationError("; ".join(found))
    password = settings.root_password.get_secret_value() if settings.root_password else None
    if password is not None:
        policy = password_policy(settings)
        weak = problems(password, [accounts.ROOT_NAME], policy)
        if weak:
            raise Refused(*weak)
    hasher = PasswordHasher(1, 1)
    try:
        return await accounts.ensure_root(database, hasher, settings.root_email, password)
    finally:
        hasher.close()


def _greet(settings: Settings, port: int, password: str | None) -> None:
    host = "localhost" if settings.host in {"127.0.0.1", "0.0.0.0", "::", "::1"} else settings.host  # noqa: S104
    if password is not None:
        click.echo(
            f"The root account was made. Username: {accounts.ROOT_NAME}  Password: {password}  (shown this once)"
        )
    click.echo(f"Serving GraphiQL at http://{host}:{port}/graphql")

"""The commands import and export."""

from __future__ import annotations

import gzip
import sys
from collections import Counter
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import IO, Any, cast

import click

from service import settings as configuration
from service.commands.running import CommandError, one_line_errors, with_database
from service.database import migrations
from service.database.connection import Database
from service.moving.exporting import export
from service.moving.importing import SYSTEMS, Import, Options
from service.moving.report import Report, private_file
from service.resources import encryption_of, username_policy


@click.command("import")
@click.option("--from", "system", type=click.Choice(SYSTEMS), required=True, help="System that the files are from.")
@click.option("--name", "source", default=None, help="Name of the source, if there are several of the same system.")
@click.option("--dry-run", is_flag=True, help="Report what an import would do, and change nothing.")
@click.option(
    "--report",
    "report_path",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="File for a JSON line about each row that is not taken, or not as it is.",
)
@click.option("--allow-root", is_flag=True, help="Allow users with the role ROOT.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def import_(  # noqa: PLR0917
    system: str, source: str | None, dry_run: bool, report_path: Path | None, allow_root: bool, files: tuple[Path, ...]
) -> None:
    """Import users and what belongs to them from another system, see docs/moving.md.

    An import that was stopped goes on when it is run again, and one that was finished changes nothing.
    """
    with one_line_errors(), ExitStack() as stack:
        settings = configuration.read()
        file = None if report_path is None else stack.enter_context(private_file(report_path, whole=False))
        report = Report(file)
        work = Import(Options(system, files, source or system, dry_run, allow_root), report)
        encryption = encryption_of(settings)

        async def run(database: Database) -> None:
            if not dry_run:
                await migrations.migrate(database)
            await work.run(database, username_policy(settings), encryption, _progress)

        with_database(settings, run)
    for line in report.lines():
        click.echo(line)
    if work.unread:
        click.echo(f"not read, because nothing of it is imported: {', '.join(work.unread)}")
    if dry_run:
        click.echo("nothing was changed: this was a dry run")


@click.command("export")
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="File to write, readable by its owner only; compressed if it ends in .gz. Standard output by default.",
)
def export_(output: Path | None) -> None:
    """Export plans, roles, users, and what belongs to them as JSON lines, which `import --from jsonl` reads.

    The file has password hashes: keep it as secret as the database.
    """
    if output is None and sys.stdout.isatty():
        raise CommandError("the export has password hashes: give --output, or a pipe instead of the terminal")
    with one_line_errors():
        settings = configuration.read()

        async def work(database: Database) -> Counter[str]:
            with ExitStack() as stack:
                return await export(database, _opened(output, stack))

        counts = with_database(settings, work)
    click.echo(f"exported {', '.join(f'{number} {kind}' for kind, number in counts.items()) or 'nothing'}", err=True)


def _opened(output: Path | None, stack: ExitStack) -> IO[bytes]:
    if output is None:
        return sys.stdout.buffer
    file = stack.enter_context(private_file(output, whole=True))
    if output.suffix != ".gz":
        return file
    # Without a time and a name, the same content is the same file
    compressed = gzip.GzipFile("", "wb", fileobj=file, mtime=0, compresslevel=6)
    return cast("IO[bytes]", stack.enter_context(compressed))


def _progress(length: int) -> AbstractContextManager[Any]:
    return click.progressbar(length=length, label="Importing", file=sys.stderr, hidden=not sys.stderr.isatty())

"""The command documents: the operator's trusted documents, see `persisted`."""

from __future__ import annotations

import os
from pathlib import Path

import click
import orjson
from graphql import GraphQLError, OperationDefinitionNode, parse, validate

from service.commands.running import CommandError, one_line_errors
from service.persisted import read_documents
from service.schema import schema

SHOWN = 12  # characters of a hash, in messages


@click.command()
@click.option(
    "--file",
    envvar="ROSTER_TRUSTED_DOCUMENTS",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="File of trusted documents; by default that of ROSTER_TRUSTED_DOCUMENTS.",
)
@click.option(
    "--add",
    "added",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Add the documents of a file of graphql-codegen or relay-compiler (with SHA-256).",
)
def documents(file: Path, added: tuple[Path, ...]) -> None:
    """List the trusted documents: hash and operations. With --add, add others; workers read them when they start."""
    with one_line_errors():
        known = _read(file) if file.exists() or not added else {}
        for other in added:
            found = _read(other)
            for digest, text in found.items():
                _check(digest, text)
            known |= found
        if added:
            _replace(file, known)
        for digest, text in sorted(known.items()):
            click.echo(f"{digest}  {', '.join(_operations(text))}")


def _read(file: Path) -> dict[str, str]:
    try:
        return read_documents(file)
    except ValueError as error:
        raise CommandError(f"{file}: {error}") from None


def _check(digest: str, text: str) -> None:
    """Raise CommandError for a document that is not valid for the schema."""
    try:
        errors = validate(schema._schema, parse(text))  # noqa: SLF001
    except GraphQLError as error:
        errors = [error]
    if errors:
        raise CommandError(f"{digest[:SHOWN]}: {errors[0].message}")


def _operations(text: str) -> list[str]:
    nodes = [node for node in parse(text).definitions if isinstance(node, OperationDefinitionNode)]
    return [f"{node.operation.value} {node.name.value if node.name else ''}".strip() for node in nodes]


def _replace(file: Path, content: dict[str, str]) -> None:
    """Write the file at once, so that no worker reads a part of it."""
    new = file.with_name(f"{file.name}.new")
    new.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS))
    os.replace(new, file)

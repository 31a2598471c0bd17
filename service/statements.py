"""Which SQL statements are there: reads `sql/queries/*.sql` into named statements with positional parameters.

A statement opens with `-- name: NAME :CARDINALITY [RowType] [unprepared]`. Cardinalities: `one` (a row or none), `many`
(rows), `value` (the first column of the first row), `exec` (nothing). RowType names the Row class that its rows become.
`unprepared` statements are planned anew for each call, because their best plan hangs on the values of their filters.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

QUERIES = Path(__file__).parent.parent / "sql" / "queries"
HEADER = re.compile(
    r"^-- name: (?P<name>\w+) :(?P<cardinality>one|many|value|exec)(?: (?P<row>[A-Z]\w*))?(?P<unprepared> unprepared)?$"
)
# What is no parameter comes first: strings, comments, casts and named arguments (`=>` needs no care)
TOKEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|::|:(?P<parameter>[a-z_]+)")


@dataclass(frozen=True, slots=True)
class Statement:
    """One named statement: `sql` has `$1`... in the order of `parameters`."""

    name: str
    cardinality: str
    row: str | None
    prepared: bool
    parameters: tuple[str, ...]
    sql: str


def parse(text: str) -> list[Statement]:
    """The statements of one file's text; ValueError names a header that cannot be read."""
    statements = []
    for block in re.split(r"(?m)^(?=-- name:)", text):
        header, _, body = block.strip().partition("\n")
        if not header:
            continue
        match = HEADER.match(header)
        if match is None:
            raise ValueError(f"cannot read the statement header {header!r}")
        parameters: list[str] = []

        def positional(token: re.Match[str], seen: list[str] = parameters) -> str:
            name = token["parameter"]
            if name is None:
                return token[0]
            if name not in seen:
                seen.append(name)
            return f"${seen.index(name) + 1}"

        sql = TOKEN.sub(positional, body.strip().removesuffix(";"))
        kind, row, prepared = match["cardinality"], match["row"], match["unprepared"] is None
        statements.append(Statement(match["name"], kind, row, prepared, tuple(parameters), sql))
    return statements


def load(folder: Path = QUERIES) -> dict[str, Statement]:
    """Every statement of the folder by name; ValueError where a name stands twice."""
    found: dict[str, Statement] = {}
    for path in sorted(folder.glob("*.sql")):
        for statement in parse(path.read_text(encoding="utf-8")):
            if statement.name in found:
                raise ValueError(f"{path.name}: the statement {statement.name} stands twice")
            found[statement.name] = statement
    return found

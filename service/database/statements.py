"""The named SQL statements of `sql/queries/*.sql`.

A statement begins with `-- name: NAME :CARDINALITY [RowType]`, followed by a line that says what it does. The
cardinalities are `one` (a row or none), `many` (rows), `value` (the first column of the first row), `exec` (nothing),
and `list` (rows without an order, of which `pages` makes pages and counts). RowType names the class of the rows.

Parameters are `:name`. In a list, `(:name IS NULL OR ...)` is an optional filter: `:name IS NULL` becomes TRUE or FALSE
in the text, so that PostgreSQL plans exactly the filters that are given.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from service.database.rows import record_class

QUERIES = Path(__file__).parent.parent.parent / "sql" / "queries"
HEADER = re.compile(r"^-- name: (?P<name>\w+) :(?P<cardinality>one|many|value|exec|list)(?: (?P<row>[A-Z]\w*))?$")
# All columns of a table, but not of a record that is inserted
ALL_COLUMNS = re.compile(r"(?<=[ ,])(?!record\.)([a-z_]+)\.\*")
# A statement that changes rows, and one that reads a row, as one statement. Both have the same snapshot.
WITH_ROW = """WITH changed AS (
{changing}
)
SELECT {changed}, row.*
FROM (SELECT 1) AS once
{join}LEFT JOIN (
{reading}
) AS row ON TRUE"""
# Strings, comments, casts, and named arguments come first, because they contain no parameters
TOKEN = re.compile(r"('(?:[^']|'')*'|--[^\n]*|::|=>)|:(?P<absent>[a-z_]+) IS NULL\b|:(?P<parameter>[a-z_]+)")


@dataclass(frozen=True, slots=True)
class Query:
    """SQL with positional parameters `$1`..., in the order of `parameters`."""

    name: str
    sql: str
    parameters: tuple[str, ...]
    cardinality: str
    row: str | None
    narrow: bool = False


@dataclass(frozen=True, eq=False)
class Statement:
    """One named statement, with named parameters."""

    name: str
    cardinality: str
    row: str | None
    text: str

    @cached_property
    def query(self) -> Query:
        """The statement as it stands, with positional parameters."""
        sql, parameters = positional(self._named_columns)
        return Query(self.name, sql, parameters, self.cardinality, self.row)

    @cached_property
    def _named_columns(self) -> str:
        """The text with named columns, so that a prepared statement still fits after a migration has added one."""
        if self.row is None:
            return self.text
        row = self.row
        return ALL_COLUMNS.sub(
            lambda found: ", ".join(f"{found[1]}.{column}" for column in record_class(row).columns), self.text
        )

    @cache  # noqa: B019  (statements are never released)
    def with_row(self, reading: Statement) -> Query | None:
        """Return this changing statement, whose rows also have the columns of the row that `reading` finds, or null.

        `changed_rows` is the number of rows without them; for 0 there is a row as well. Return None for a statement
        that has its changes in WITH, which PostgreSQL allows at the top level only.
        """
        if re.search(r"(?m)^WITH\b", self.text):
            return None
        returns = re.search(r"\bRETURNING\b", self.text) is not None
        text = WITH_ROW.format(
            changing=self._named_columns,
            changed="changed.*, (SELECT count(*) FROM changed) AS changed_rows" if returns else "0 AS changed_rows",
            join="LEFT JOIN changed ON TRUE\n" if returns else "",
            reading=reading.text,
        )
        sql, parameters = positional(text)
        return Query(self.name, sql, parameters, self.cardinality, self.row)

    @cached_property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters, each once."""
        names = [token["parameter"] or token["absent"] for token in TOKEN.finditer(self.text)]
        return tuple(dict.fromkeys(name for name in names if name))

    @cached_property
    def changes_data(self) -> bool:
        """Whether the statement writes; one that only reads or locks does not."""
        return re.search(r"\b(INSERT INTO|UPDATE \w+\s+SET|DELETE FROM)\b", self.text) is not None

    @cached_property
    def locks_rows(self) -> bool:
        """Whether the statement locks rows that it does not write."""
        return re.search(r"\bFOR (UPDATE|SHARE|NO KEY UPDATE|KEY SHARE)\b", self.text) is not None


def positional(
    text: str, *, given: Collection[str] | None = None, constants: Mapping[str, str] | None = None
) -> tuple[str, tuple[str, ...]]:
    """Return SQL with `$1`... in place of named parameters, and the parameters in that order.

    `given` are the optional filters that apply; without it all do. `constants` replaces parameters by SQL.
    """
    parameters: list[str] = []

    def replace(token: re.Match[str]) -> str:
        if token["absent"]:
            return "FALSE" if given is None or token["absent"] in given else "TRUE"
        name = token["parameter"]
        if name is None:
            return token[0]
        if constants is not None and name in constants:
            return constants[name]
        if given is not None and name not in given:
            return "NULL"
        if name not in parameters:
            parameters.append(name)
        return f"${parameters.index(name) + 1}"

    return TOKEN.sub(replace, text), tuple(parameters)


def parse(text: str) -> list[Statement]:
    """Return the statements of one file's text. Raise ValueError for a header that cannot be read."""
    statements = []
    for block in re.split(r"(?m)^(?=-- name:)", text):
        header, _, body = block.strip().partition("\n")
        if not header:
            continue
        match = HEADER.match(header)
        if match is None:
            raise ValueError(f"cannot read the statement header {header!r}")
        sql = body.strip().removesuffix(";")
        statements.append(Statement(match["name"], match["cardinality"], match["row"], sql))
    return statements


def load(folder: Path = QUERIES) -> dict[str, Statement]:
    """Return every statement of the folder by name. Raise ValueError for a name that is used twice."""
    found: dict[str, Statement] = {}
    for path in sorted(folder.glob("*.sql")):
        for statement in parse(path.read_text(encoding="utf-8")):
            if statement.name in found:
                raise ValueError(f"{path.name}: there are two statements {statement.name}")
            found[statement.name] = statement
    return found

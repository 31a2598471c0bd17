"""The statements, the tables, and the code that names them fit together."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from service.compiler.kinds import ENTITIES
from service.database import statements
from service.database.connection import Database
from service.database.constraints import CONSTRAINTS
from service.database.snapshot import SNAPSHOT, database_snapshot
from service.database.statements import QUERIES, Statement
from service.schema import ORDERS
from tests.conftest import REPOSITORY, Client
from tests.sdl import INPUTS

STATEMENTS = statements.load()
FILES = sorted(QUERIES.glob("*.sql"))
TREES = [
    ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((REPOSITORY / "service").rglob("*.py"))
    if path.parent.name != "embedded"  # it runs programs, not statements
]
# Functions whose first argument is the name of a statement
RUNNERS = {"lock", "many", "one", "page_of", "read", "related", "run", "wanted"}
LIVE = """
SELECT o.conname AS name FROM pg_constraint AS o
WHERE o.contype IN ('c', 'f', 't', 'u', 'x') AND o.connamespace = CAST('public' AS regnamespace)
  AND o.conrelid IS DISTINCT FROM CAST('migrations' AS regclass)
UNION
SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indisunique AND c.relnamespace = CAST('public' AS regnamespace)
  AND (NOT i.indisprimary OR c.relname IN ('servers_pkey', 'users_pkey')) -- ids that a client may give
"""


async def test_every_statement_fits_the_schema(client: Client) -> None:
    assert await client.resources.database.check(ORDERS) == []


@pytest.mark.parametrize(
    ("row", "sql", "problem"),
    [
        (None, "SELECT users.nickname FROM users", "broken: column users.nickname does not exist"),
        (None, "SELEC 1", 'broken: syntax error at or near "SELEC"'),
        (
            "Plan",
            "SELECT plans.id, name, tier FROM plans",
            "broken: returns no description, is_default, limits for Plan",
        ),
        ("Person", "SELECT 1", "broken: returns no row type Person for Person"),
    ],
)
async def test_a_statement_that_does_not_fit_is_reported(
    database_url: str, row: str | None, sql: str, problem: str
) -> None:
    broken = Statement("broken", "many", row, sql)
    database = Database(database_url, {"broken": broken, "ping": STATEMENTS["ping"]})
    await database.connect()
    try:
        assert await database.check({}) == [problem]
    finally:
        await database.close()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_statements_are_sorted_and_have_one_line_that_says_what_they_do(path: Path) -> None:
    blocks = [block.splitlines() for block in re.split(r"(?m)^(?=-- name:)", path.read_text(encoding="utf-8")) if block]
    names = [lines[0].split()[2] for lines in blocks]
    assert names == sorted(names)
    for name, lines in zip(names, blocks, strict=True):
        assert re.fullmatch(r"-- [A-Z].*[^.]", lines[1]), name
        assert not any(line.startswith("--") for line in lines[2:]), name


@pytest.mark.parametrize(
    ("header", "complaint"),
    [("-- name: get users :many", "get users"), ("-- name: users :all", "users :all"), ("-- name: users", "users")],
)
def test_an_invalid_header_is_reported(header: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        statements.parse(f"{header}\n-- Intent\nSELECT 1;\n")


def test_a_name_that_is_used_twice_is_reported(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.sql").write_text("-- name: ping :value\n-- Intent\nSELECT 1;\n", encoding="utf-8")
    with pytest.raises(ValueError, match="two statements ping"):
        statements.load(tmp_path)


def texts() -> set[str]:
    """Return every text in the code."""
    nodes = (node for tree in TREES for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call that runs a statement by a literal name, with the name."""
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in RUNNERS:
                    yield str(node.args[0].value), node


def test_every_statement_is_named_in_the_code() -> None:
    assert sorted(STATEMENTS.keys() - texts()) == []


def test_the_code_names_no_statement_that_does_not_exist() -> None:
    named = {name for name, _ in calls()}
    assert len(named) > 50
    assert named - set(STATEMENTS) == set()


def test_every_entity_is_found_by_its_id_alone() -> None:
    found = re.findall(r"SELECT (\w+)\.id AS key, '(\w+)' AS type FROM \1", STATEMENTS["types_by_id"].text)
    assert {name for _, name in found} == set(ENTITIES)
    assert {f"{table}_by_id" for table, _ in found} == {entity.by_id for entity in ENTITIES.values()}


def test_every_call_passes_the_parameters_of_its_statement() -> None:
    for name, call in calls():
        given = {keyword.arg for keyword in call.keywords}
        if getattr(call.func, "attr", "") in {"read", "run"} and None not in given:
            assert given == set(STATEMENTS[name].parameters), name


async def test_the_snapshot_is_the_result_of_the_migrations(client: Client) -> None:
    found = await database_snapshot(client.resources.database)
    assert SNAPSHOT.read_text(encoding="utf-8") == found, "run `python -m service check --write`"


async def test_every_constraint_has_its_error_and_every_error_its_constraint(client: Client) -> None:
    live = {row["name"] for row in await client.rows(LIVE)}
    assert sorted(live - CONSTRAINTS.keys()) == [], "without an entry in errors.CONSTRAINTS"
    assert sorted(CONSTRAINTS.keys() - live) == [], "in errors.CONSTRAINTS, but not in the database"


def test_the_error_of_a_constraint_names_a_field_of_an_input() -> None:
    fields = {name for found in INPUTS for name in found.fields}
    assert {name: problem.field for name, problem in CONSTRAINTS.items() if not fields.issuperset(problem.field)} == {}


def test_the_errors_of_constraints_are_sorted() -> None:
    assert [pair for pair in pairwise(CONSTRAINTS) if pair[0] > pair[1]] == []

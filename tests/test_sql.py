"""Do the statements, the tables and the code that names them fit together?"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from service import statements
from service.database import Database
from service.errors import CONSTRAINTS
from service.snapshot import SNAPSHOT, database_snapshot
from service.statements import QUERIES, Statement
from tests.conftest import REPOSITORY, Door
from tests.sdl import INPUTS

STATEMENTS = statements.load()
FILES = sorted(QUERIES.glob("*.sql"))
TREES = [
    ast.parse(path.read_text(encoding="utf-8"))
    for path in sorted((REPOSITORY / "service").rglob("*.py"))
    if not path.stem.startswith("embedded")  # runs programs, not statements
]
# What runs a statement, or builds a field that does; the statement's name comes first
RUNNERS = {"forward_page", "lock", "many", "one", "page", "read", "run"}
LIVE = """
SELECT o.conname AS name FROM pg_constraint AS o
WHERE o.contype IN ('c', 'f', 'u', 'x') AND o.connamespace = CAST('public' AS regnamespace)
  AND o.conrelid IS DISTINCT FROM CAST('migrations' AS regclass)
UNION
SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
WHERE i.indisunique AND NOT i.indisprimary AND c.relnamespace = CAST('public' AS regnamespace)
"""


async def test_every_statement_fits_the_schema(door: Door) -> None:
    assert await door.house.database.check() == []


@pytest.mark.parametrize(
    ("row", "sql", "problem"),
    [
        (None, "SELECT users.nickname FROM users", "broken: column users.nickname does not exist"),
        (None, "SELEC 1", 'broken: syntax error at or near "SELEC"'),
        ("Plan", "SELECT plans.id, name, tier FROM plans", "broken: gives no description, is_default, limits for Plan"),
        ("Person", "SELECT 1", "broken: gives no row type of the name Person for Person"),
    ],
)
async def test_a_statement_that_does_not_fit_is_named(
    database_url: str, row: str | None, sql: str, problem: str
) -> None:
    broken = Statement("broken", "many", row, True, (), sql)
    database = Database(database_url, {"broken": broken, "ping": STATEMENTS["ping"]})
    await database.connect()
    try:
        assert await database.check() == [problem]
    finally:
        await database.close()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_statements_stand_in_the_order_of_their_names_each_under_one_line_of_intent(path: Path) -> None:
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
def test_a_header_that_cannot_be_read_is_told(header: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        statements.parse(f"{header}\n-- Intent\nSELECT 1;\n")


def test_a_name_that_stands_twice_is_told(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.sql").write_text("-- name: ping :value\n-- Intent\nSELECT 1;\n", encoding="utf-8")
    with pytest.raises(ValueError, match="ping stands twice"):
        statements.load(tmp_path)


def test_what_looks_like_a_parameter_is_left_alone() -> None:
    text = "-- name: x :one\n-- Intent: this\nSELECT ':a', b::text, :c, make_interval(secs => :d), :c;\n"
    [statement] = statements.parse(text)
    assert statement.parameters == ("c", "d")
    assert statement.sql == "-- Intent: this\nSELECT ':a', b::text, $1, make_interval(secs => $2), $1"


def texts() -> set[str]:
    """Every text in the code."""
    nodes = (node for tree in TREES for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def calls() -> Iterator[tuple[str, ast.expr, ast.Call]]:
    """Every call of a runner: its name, its first argument, and itself."""
    for tree in TREES:
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and node.args:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if name in RUNNERS:
                    yield name, node.args[0], node


def patterns() -> set[str]:
    """Names that the code puts together, as regular expressions."""
    return {
        "".join(str(part.value) if isinstance(part, ast.Constant) else "[a-z_]+" for part in argument.values)
        for _, argument, _ in calls()
        if isinstance(argument, ast.JoinedStr)
    }


def test_every_statement_is_used() -> None:
    known = texts()
    assert {"count_[a-z_]+", "list_users_by_[a-z_]+_[a-z_]+"} <= patterns()
    unused = [
        name
        for name in STATEMENTS
        if name not in known
        and not (name.startswith("count_") and name.removeprefix("count_") in known)
        and not any(re.fullmatch(pattern, name) for pattern in patterns() - {"count_[a-z_]+"})
    ]
    assert unused == []


def test_the_code_names_no_statement_that_is_not_there() -> None:
    named = {argument.value for _, argument, _ in calls() if isinstance(argument, ast.Constant)}
    assert len(named) > 50
    assert named - set(STATEMENTS) == set()


def test_every_call_gives_what_its_statement_takes() -> None:
    for name, argument, call in calls():
        given = {keyword.arg for keyword in call.keywords}
        if name in {"read", "run"} and isinstance(argument, ast.Constant) and None not in given:
            assert given == set(STATEMENTS[str(argument.value)].parameters), argument.value


async def test_the_snapshot_is_what_the_migrations_make(door: Door) -> None:
    made = await database_snapshot(door.house.database)
    assert SNAPSHOT.read_text(encoding="utf-8") == made, "run `python -m service check --write`"


async def test_every_constraint_has_its_error_and_every_error_its_constraint(door: Door) -> None:
    live = {row["name"] for row in await door.rows(LIVE)}
    assert sorted(live - CONSTRAINTS.keys()) == [], "without an entry in errors.CONSTRAINTS"
    assert sorted(CONSTRAINTS.keys() - live) == [], "in errors.CONSTRAINTS, but not in the database"


def test_the_error_of_a_constraint_names_a_field_of_an_input() -> None:
    fields = {name for found in INPUTS for name in found.fields}
    assert {name: problem.field for name, problem in CONSTRAINTS.items() if not fields.issuperset(problem.field)} == {}


def test_constraints_stand_in_the_order_of_their_names() -> None:
    assert [pair for pair in pairwise(CONSTRAINTS) if pair[0] > pair[1]] == []

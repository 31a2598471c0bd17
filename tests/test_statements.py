"""Named statements: their parameters become positions, absent filters become constants, and writes are recognized."""

from __future__ import annotations

import pytest

from service.database import statements
from service.database.statements import Statement, positional

CHANGES = {
    *(
        "add",
        "assign",
        "change",
        "claim",
        "clear",
        "complete",
        "consume",
        "create",
        "delete",
        "end",
        "expire",
        "forget",
        "record",
        "release",
        "reencrypt",
        "remove",
        "rename",
        "retire",
        "rotate",
    ),
    *("set", "suspend", "transfer", "unsuspend", "update"),
}
FILTER = "SELECT 1 FROM x WHERE (:a IS NULL OR x.a = :a) AND (:b IS NULL OR x.b > :b AND x.c = :a)"


def test_parameters_are_numbered_in_their_order_and_a_repeated_one_keeps_its_number() -> None:
    assert positional("SELECT :b, :a, :b, :c_d") == ("SELECT $1, $2, $1, $3", ("b", "a", "c_d"))
    assert positional("SELECT 1") == ("SELECT 1", ())


def test_more_than_nine_parameters_keep_their_numbers() -> None:
    names = "abcdefghijkl"
    sql, parameters = positional(", ".join(f":{name}" for name in names) + ", :a, :l")
    assert sql == ", ".join(f"${number}" for number in range(1, 13)) + ", $1, $12"
    assert parameters == tuple(names)


def test_strings_comments_casts_and_named_arguments_contain_no_parameters() -> None:
    text = "SELECT ':a', 'it''s :b', c::text, f(d => :e) -- :f\n, ':g IS NULL', ':' || :h"
    assert positional(text) == (
        "SELECT ':a', 'it''s :b', c::text, f(d => $1) -- :f\n, ':g IS NULL', ':' || $2",
        ("e", "h"),
    )


def test_without_a_selection_every_optional_filter_applies() -> None:
    assert positional(FILTER) == (
        "SELECT 1 FROM x WHERE (FALSE OR x.a = $1) AND (FALSE OR x.b > $2 AND x.c = $1)",
        ("a", "b"),
    )


@pytest.mark.parametrize(
    ("given", "where", "parameters"),
    [
        ([], "(TRUE OR x.a = NULL) AND (TRUE OR x.b > NULL AND x.c = NULL)", ()),
        (["a"], "(FALSE OR x.a = $1) AND (TRUE OR x.b > NULL AND x.c = $1)", ("a",)),
        (["b"], "(TRUE OR x.a = NULL) AND (FALSE OR x.b > $1 AND x.c = NULL)", ("b",)),
        (["b", "a", "c"], "(FALSE OR x.a = $1) AND (FALSE OR x.b > $2 AND x.c = $1)", ("a", "b")),
    ],
    ids=["none", "first", "second", "both"],
)
def test_an_absent_filter_becomes_true_and_its_value_null(
    given: list[str], where: str, parameters: tuple[str, ...]
) -> None:
    assert positional(FILTER, given=given) == (f"SELECT 1 FROM x WHERE {where}", parameters)  # noqa: S608


def test_only_a_test_for_null_makes_a_filter_optional() -> None:
    text = "SELECT :a IS NOT NULL, :a IS NULL, x IS NULL, :b IS NULLX, :a  IS NULL"
    assert positional(text, given=["a", "b"]) == (
        "SELECT $1 IS NOT NULL, FALSE, x IS NULL, $2 IS NULLX, $1  IS NULL",
        ("a", "b"),
    )


def test_constants_replace_parameters() -> None:
    text = "SELECT 1 FROM x WHERE x.a = :key AND x.b = :b AND ':key' <> ''"
    assert positional(text, constants={"key": "parents.key"}) == (
        "SELECT 1 FROM x WHERE x.a = parents.key AND x.b = $1 AND ':key' <> ''",
        ("b",),
    )
    assert positional(text, given=[], constants={"key": "parents.key"}) == (
        "SELECT 1 FROM x WHERE x.a = parents.key AND x.b = NULL AND ':key' <> ''",
        (),
    )


def test_a_statement_knows_its_parameters_with_those_that_are_only_tested_for_null() -> None:
    statement = Statement(
        "list_x", "list", "User", "SELECT 1 FROM x WHERE (:on IS NULL OR x.on) AND x.a = :a AND :a > 0"
    )
    assert statement.parameters == ("on", "a")
    assert statement.query.parameters == ("a",)
    assert (statement.query.name, statement.query.cardinality, statement.query.row) == ("list_x", "list", "User")
    assert statement.query is statement.query


@pytest.mark.parametrize(
    ("text", "changes_data"),
    [
        ("SELECT 1", False),
        ("SELECT x.* FROM x WHERE x.id = :id FOR UPDATE", False),
        ("SELECT x.* FROM x FOR NO KEY UPDATE", False),
        ("SELECT pg_advisory_xact_lock(1)", False),
        ("INSERT INTO x VALUES (1)", True),
        ("UPDATE x SET a = 1", True),
        ("UPDATE x\nSET\n  a = 1", True),
        ("DELETE FROM x", True),
        ("WITH gone AS (DELETE FROM x RETURNING x.id) SELECT count(*) FROM gone", True),
    ],
)
def test_a_statement_that_writes_is_recognized(text: str, changes_data: bool) -> None:
    assert Statement("x", "exec", None, text).changes_data is changes_data


def test_exactly_the_statements_whose_name_is_that_of_a_change_write() -> None:
    found = {name: statement.changes_data for name, statement in statements.load().items()}
    assert sorted(name for name, writes in found.items() if writes) == sorted(
        name for name in found if name.partition("_")[0] in CHANGES
    )


def test_a_file_has_several_statements_with_cardinality_and_row_type() -> None:
    text = "-- name: a :one User\n-- Intent\nSELECT :x;\n\n-- name: b :exec\n-- Intent\nSELECT 1\n"
    found = statements.parse(text)
    assert [(each.name, each.cardinality, each.row) for each in found] == [("a", "one", "User"), ("b", "exec", None)]
    assert [each.query.sql for each in found] == ["-- Intent\nSELECT $1", "-- Intent\nSELECT 1"]

"""Who is answered what: every field and every root field, asked by everybody, compared with tests/access.txt."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    get_named_type,
    is_composite_type,
    is_required_argument,
)

from tests.conftest import REPOSITORY, Door, Person
from tests.estate import Estate, settle
from tests.sdl import OBJECTS, SDL, harmless

GOLDEN = REPOSITORY / "tests" / "access.txt"
UPDATE = "UPDATE_GOLDEN"
HOW = f"""The answers are not those of tests/access.txt. Where the new ones are right, write them there with
  {UPDATE}=1 python -m pytest tests/test_access.py
and show the difference to a reviewer: it says who may newly read or do what."""
HEADER = """\
# Who is answered what. Generated: see tests/test_access.py. Do not edit.
#
# Each line: the field of an object of Alice's, the answer, and the callers who get it. `value` and `null` are read at
# the field; `not there` means that the caller cannot reach the object at all; `runs` that a mutation is let in (it
# is asked for something harmless); anything else is the error's code, and the permission that it names.
#
# Callers: anonymous; user, a stranger who shares a server with Alice; owner, Alice; subuser-reader and subuser, two
# people on the server in question, with and without subusers.read; staff; admin; root; admin-key, an API key of the
# admin that lists only users.read; owner-key, one of Alice that lists only account.read; ended, a session of Alice
# after her logout.
"""
# How an object is looked for, in this order; the first way that leads a caller to it counts
BY_NODE = ("node(id: $id)",)
WAYS = {
    "PermissionInfo": ("permissionCatalog",),
    "Plan": ("node(id: $id)", "plans"),
    "User": ("user(by: {id: $id})", "me", "server(id: $meeting) { owner"),
}
SHARED = {"Server", "Subuser"}
SHARING = {"subuser-reader", "subuser"}
ARGUMENTS = {
    "node": "(id: $id)",
    "nodes": "(ids: [$id])",
    "server": "(id: $server)",
    "user": "(by: {id: $id})",
}
# Whose variables are not the harmless ones of their types
INPUTS = {"logoutAll": {"input": {"keepCurrent": True}}}

Rows = dict[str, dict[str, list[str]]]


async def test_every_field_answers_every_caller_as_the_golden_table_says(door: Door, people: dict[str, Person]) -> None:
    estate = await settle(door, people)
    rows: Rows = {}
    for label, object_type in guarded_objects(estate):
        for caller in callers_of(estate, object_type.name):
            for field, answer in (await object_answers(door, estate, label, object_type, caller)).items():
                rows.setdefault(f"{label}.{field}", {}).setdefault(answer, []).append(caller)
    for root in (SDL.query_type, SDL.mutation_type):
        assert root is not None
        # `logout` comes last, for it ends the session that the others are asked with
        for name, field in sorted(root.fields.items(), key=lambda item: item[0] == "logout"):
            for caller in callers_of(estate, root.name):
                answer = await root_answer(door, estate, root.name, name, field, caller)
                rows.setdefault(f"{root.name}.{name}", {}).setdefault(answer, []).append(caller)
    text = HEADER + "".join(printed_rows(rows))
    if os.environ.get(UPDATE):
        GOLDEN.write_text(text, encoding="utf-8")
    golden = GOLDEN.read_text(encoding="utf-8").splitlines()
    difference = list(difflib.unified_diff(golden, text.splitlines(), "access.txt", "answers", n=0, lineterm=""))
    assert not difference, "\n".join([HOW, *difference])


def guarded_objects(estate: Estate) -> Iterator[tuple[str, GraphQLObjectType]]:
    """Every object type with a rule, by the label of each of its objects in the estate."""
    for name, graphql_type in sorted((found.name, found) for found in OBJECTS):
        if name in {"Query", "Mutation"}:
            continue
        nodes = [graphql_type.ast_node, *(field.ast_node for field in graphql_type.fields.values())]
        if not any(node is not None and node.directives for node in nodes):
            continue
        labels = [label for label in estate.ids if label.split()[0] == name] or ["PermissionInfo"]
        assert name in estate.ids or name in WAYS, f"{name}: give Alice one in tests/estate.py"
        yield from ((label, graphql_type) for label in labels)


def callers_of(estate: Estate, type_name: str) -> list[str]:
    return [name for name in estate.callers if type_name in SHARED or name not in SHARING]


def selection(field: GraphQLField) -> str:
    return " { __typename }" if is_composite_type(get_named_type(field.type)) else ""


def declaration(variables: dict[str, str], text: str) -> str:
    used = ", ".join(f"${name}: {graphql_type}" for name, graphql_type in variables.items() if f"${name}" in text)
    return f"({used})" if used else ""


async def object_answers(
    door: Door, estate: Estate, label: str, object_type: GraphQLObjectType, caller: str
) -> dict[str, str]:
    """What the caller is answered at each field of the object, by the first way that leads there."""
    first: dict[str, str] = {}
    variables = {"id": estate.ids.get(label), "meeting": estate.meeting}
    for way in WAYS.get(object_type.name, BY_NODE):
        fields = " ".join(
            f"{name}: {way} {{ ... on {object_type.name} {{ value: {name}{selection(field)} }} }}"
            + " }" * way.count("{ ")
            for name, field in object_type.fields.items()
        )
        document = f"query {declaration({'id': 'ID!', 'meeting': 'ID!'}, fields)} {{ {fields} }}"
        answer = await door.ask(document, variables, by=estate.callers[caller])
        answers = {name: object_answer(answer, name) for name in object_type.fields}
        first = first or answers
        led_to = object_at(answer, "id")
        is_it = led_to is None or led_to["value"] == variables["id"]
        if is_it and any(is_at_field(answer, name) for name in object_type.fields):
            return answers
    return first


def object_at(answer: dict[str, Any], alias: str) -> dict[str, Any] | None:
    """The object that the alias led to."""
    found = (answer["data"] or {}).get(alias)
    if isinstance(found, list):
        found = found[0]
    return found.get("owner", found) if isinstance(found, dict) else None


def error_at(answer: dict[str, Any], alias: str) -> dict[str, Any] | None:
    return next((error for error in answer.get("errors", []) if error["path"][0] == alias), None)


def is_at_field(answer: dict[str, Any], alias: str) -> bool:
    """Whether the field itself was answered, by its value or by its refusal."""
    error = error_at(answer, alias)
    return error["path"][-1] == "value" if error else object_at(answer, alias) is not None


def object_answer(answer: dict[str, Any], alias: str) -> str:
    error, found = error_at(answer, alias), object_at(answer, alias)
    if error is not None:
        return refusal(error)
    return "not there" if found is None else "null" if found["value"] is None else "value"


def refusal(error: dict[str, Any]) -> str:
    return " ".join(str(error["extensions"][name]) for name in ("code", "permission") if name in error["extensions"])


async def root_answer(  # noqa: PLR0917
    door: Door, estate: Estate, root: str, name: str, field: GraphQLField, caller: str
) -> str:
    """What the caller is answered at a root field: a query about Alice's things, a mutation that comes to nothing."""
    given, types = variables_of(estate, root, name, field)
    call = ARGUMENTS.get(name, f"({', '.join(f'{each}: ${each}' for each in given)})" if given else "")
    document = f"{root.lower()} {declaration(types, call)} {{ value: {name}{call}{selection(field)} }}"
    answer = await door.ask(document, given, by=estate.callers[caller])
    if "errors" in answer:
        assert [error["path"] for error in answer["errors"]] == [["value"]], answer
        return refusal(answer["errors"][0])
    if root == "Mutation":
        return "runs"
    return "null" if answer["data"]["value"] in (None, [None]) else "value"


def variables_of(estate: Estate, root: str, name: str, field: GraphQLField) -> tuple[dict[str, Any], dict[str, str]]:
    """The variables that a root field is asked with, and their types."""
    if name in ARGUMENTS:
        return {"id": estate.ids["User"], "server": estate.ids["Server"]}, {"id": "ID!", "server": "ID!"}
    required = {each: argument.type for each, argument in field.args.items() if is_required_argument(argument)}
    assert not required or root == "Mutation", f"{name}: say in ARGUMENTS what to ask it for"
    given = INPUTS.get(name) or {each: harmless(graphql_type) for each, graphql_type in required.items()}
    return given, {each: str(field.args[each].type) for each in given}


def printed_rows(rows: Rows) -> Iterator[str]:
    """A line for each field and answer, aligned within each type."""
    previous = ""
    for field, answers in rows.items():
        label = field.rpartition(".")[0]
        if label != previous:
            yield "\n"
        previous = label
        for answer, callers in answers.items():
            yield f"{field:<36} {answer:<28} {' '.join(callers)}\n"

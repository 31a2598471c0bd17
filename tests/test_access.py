"""The access table: every field and root field, requested by every kind of caller, compared with tests/access.txt."""

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

from tests.conftest import REPOSITORY, Client, Person
from tests.objects import Objects, create_objects
from tests.sdl import OBJECTS, SDL, harmless

GOLDEN = REPOSITORY / "tests" / "access.txt"
UPDATE = "UPDATE_GOLDEN"
HOW = f"""The answers differ from tests/access.txt. If the new ones are right, write them with
  {UPDATE}=1 python -m pytest tests/test_access.py
and let a reviewer check the difference: it shows what each caller may read or do now."""
HEADER = """\
# What each caller may read and do. Generated: see tests/test_access.py. Do not edit.
#
# Each line has a field of an object of Alice, the answer, and the callers who get it. `value` and `null` are answers of
# the field; `not there` means that the caller does not see the object at all; `runs` means that a mutation is allowed
# (its input changes nothing); anything else is the code of the error, and the permission that it names.
#
# Callers: anonymous; user, who shares another server with Alice; owner, Alice; subuser-reader and subuser, two subusers
# of the server, with and without user.read; staff; admin; root; admin-key, an API key of the admin that lists only
# users.read; owner-key, an API key of Alice that lists only account.read; ended, a session of Alice after her logout.
"""
# How an object is found, in this order; the first way that leads the caller to it counts
BY_NODE = ("node(id: $id)",)
WAYS = {
    "Feature": ("features",),
    "GeoRule": ("geoRules",),
    "PermissionInfo": ("permissionCatalog",),
    "Plan": ("node(id: $id)", "plans"),
    "User": ("user(by: {id: $id})", "me", "server(id: $shared) { owner"),
}
FIELDS_AT_ONCE = 20  # a document has a largest number of tokens
SHARED = {"Server", "Subuser"}
SHARING = {"subuser-reader", "subuser"}
ARGUMENTS = {
    "node": "(id: $id)",
    "nodes": "(ids: [$id])",
    "server": "(id: $server)",
    "user": "(by: {id: $id})",
}
# Mutations whose variables are not the smallest values of their types
INPUTS = {"logoutAll": {"input": {"keepCurrent": True}}}

Rows = dict[str, dict[str, list[str]]]


async def test_every_field_answers_every_caller_as_in_the_table(client: Client, people: dict[str, Person]) -> None:
    objects = await create_objects(client, people)
    rows: Rows = {}
    for label, object_type in guarded_objects(objects):
        for caller in callers_of(objects, object_type.name):
            for field, answer in (await object_answers(client, objects, label, object_type, caller)).items():
                rows.setdefault(f"{label}.{field}", {}).setdefault(answer, []).append(caller)
    for root in (SDL.query_type, SDL.mutation_type):
        assert root is not None
        # `logout` comes last, because it ends the session of the caller
        for name, field in sorted(root.fields.items(), key=lambda item: item[0] == "logout"):
            for caller in callers_of(objects, root.name):
                answer = await root_answer(client, objects, root.name, name, field, caller)
                rows.setdefault(f"{root.name}.{name}", {}).setdefault(answer, []).append(caller)
    text = HEADER + "".join(printed_rows(rows))
    if os.environ.get(UPDATE):
        GOLDEN.write_text(text, encoding="utf-8")
    golden = GOLDEN.read_text(encoding="utf-8").splitlines()
    difference = list(difflib.unified_diff(golden, text.splitlines(), "access.txt", "answers", n=0, lineterm=""))
    assert not difference, "\n".join([HOW, *difference])


def guarded_objects(objects: Objects) -> Iterator[tuple[str, GraphQLObjectType]]:
    """Yield every object type with a rule, with the label of each of its objects."""
    for name, graphql_type in sorted((found.name, found) for found in OBJECTS):
        if name in {"Query", "Mutation"}:
            continue
        nodes = [graphql_type.ast_node, *(field.ast_node for field in graphql_type.fields.values())]
        if not any(node is not None and node.directives for node in nodes):
            continue
        labels = [label for label in objects.ids if label.split()[0] == name] or [name]
        assert name in objects.ids or name in WAYS, f"{name}: create one for Alice in tests/objects.py"
        yield from ((label, graphql_type) for label in labels)


def callers_of(objects: Objects, type_name: str) -> list[str]:
    return [name for name in objects.callers if type_name in SHARED or name not in SHARING]


def selection(field: GraphQLField) -> str:
    return " { __typename }" if is_composite_type(get_named_type(field.type)) else ""


def declaration(variables: dict[str, str], text: str) -> str:
    used = ", ".join(f"${name}: {graphql_type}" for name, graphql_type in variables.items() if f"${name}" in text)
    return f"({used})" if used else ""


def batches(names: list[str], size: int) -> list[list[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


async def object_answers(
    client: Client, objects: Objects, label: str, object_type: GraphQLObjectType, caller: str
) -> dict[str, str]:
    """Return the answer to the caller for each field of the object, by the first way that leads there."""
    first: dict[str, str] = {}
    variables = {"id": objects.ids.get(label), "shared": objects.shared}
    for way in WAYS.get(object_type.name, BY_NODE):
        answer: dict[str, Any] = {"data": {}, "errors": []}
        for names in batches(list(object_type.fields), FIELDS_AT_ONCE):
            fields = " ".join(
                f"{name}: {way} {{ ... on {object_type.name} {{ value: {name}{selection(field)} }} }}"
                + " }" * way.count("{ ")
                for name, field in object_type.fields.items()
                if name in names
            )
            document = f"query {declaration({'id': 'ID!', 'shared': 'ID!'}, fields)} {{ {fields} }}"
            part = await client.execute(document, variables, by=objects.callers[caller])
            answer["data"] |= part["data"] or {}
            answer["errors"] += part.get("errors", [])
        answers = {name: object_answer(answer, name) for name in object_type.fields}
        first = first or answers
        led_to = object_at(answer, "id")
        is_it = led_to is None or led_to["value"] == variables["id"]
        if is_it and any(is_at_field(answer, name) for name in object_type.fields):
            return answers
    return first


def object_at(answer: dict[str, Any], alias: str) -> dict[str, Any] | None:
    """Return the object under the alias."""
    found = (answer["data"] or {}).get(alias)
    if isinstance(found, list):
        found = found[0]
    return found.get("owner", found) if isinstance(found, dict) else None


def error_at(answer: dict[str, Any], alias: str) -> dict[str, Any] | None:
    return next((error for error in answer.get("errors", []) if error["path"][0] == alias), None)


def is_at_field(answer: dict[str, Any], alias: str) -> bool:
    """Return whether the field itself was answered, by its value or by its denial."""
    error = error_at(answer, alias)
    return error["path"][-1] == "value" if error else object_at(answer, alias) is not None


def object_answer(answer: dict[str, Any], alias: str) -> str:
    error, found = error_at(answer, alias), object_at(answer, alias)
    if error is not None:
        return denial(error)
    return "not there" if found is None else "null" if found["value"] is None else "value"


def denial(error: dict[str, Any]) -> str:
    return " ".join(str(error["extensions"][name]) for name in ("code", "permission") if name in error["extensions"])


async def root_answer(  # noqa: PLR0917
    client: Client, objects: Objects, root: str, name: str, field: GraphQLField, caller: str
) -> str:
    """Return the answer to the caller for a root field: a query for objects of Alice, or a mutation without effect."""
    given, types = variables_of(objects, root, name, field)
    call = ARGUMENTS.get(name, f"({', '.join(f'{each}: ${each}' for each in given)})" if given else "")
    document = f"{root.lower()} {declaration(types, call)} {{ value: {name}{call}{selection(field)} }}"
    answer = await client.execute(document, given, by=objects.callers[caller])
    if "errors" in answer:
        assert [error["path"] for error in answer["errors"]] == [["value"]], answer
        return denial(answer["errors"][0])
    if root == "Mutation":
        return "runs"
    return "null" if answer["data"]["value"] in (None, [None]) else "value"


def variables_of(objects: Objects, root: str, name: str, field: GraphQLField) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the variables for a root field, and their types."""
    if name in ARGUMENTS:
        return {"id": objects.ids["User"], "server": objects.ids["Server"]}, {"id": "ID!", "server": "ID!"}
    required = {each: argument.type for each, argument in field.args.items() if is_required_argument(argument)}
    assert not required or root == "Mutation", f"{name}: add its arguments to ARGUMENTS"
    given = INPUTS.get(name) or {each: harmless(graphql_type) for each, graphql_type in required.items()}
    return given, {each: str(field.args[each].type) for each in given}


def printed_rows(rows: Rows) -> Iterator[str]:
    """Yield a line for each field and answer, aligned."""
    previous = ""
    for field, answers in rows.items():
        label = field.rpartition(".")[0]
        if label != previous:
            yield "\n"
        previous = label
        for answer, callers in answers.items():
            yield f"{field:<36} {answer:<28} {' '.join(callers)}\n"

"""Random documents: they are reproducible, valid, and together have almost every field and argument of the schema."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    ArgumentNode,
    DocumentNode,
    FieldNode,
    ObjectFieldNode,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    get_named_type,
    is_input_object_type,
    is_interface_type,
    is_introspection_type,
    is_object_type,
    parse,
    validate,
    visit,
)

from service.operations.documents import RULES
from service.schema import schema
from tests.document_values import Known, json_literal
from tests.documents import Document, document

CORE = schema._schema  # noqa: SLF001  (Strawberry has no public access to its types)
KNOWN = Known(cursors={"Query.users": ["WyJ1c2VycyJd"]}, texts={"UserBy.username": ["alice"]})
DOCUMENTS = 1_200
MARGIN = 20


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    """Return documents without the names of objects."""
    return [document(CORE, KNOWN, seed) for seed in range(DOCUMENTS)]


class Coverage(Visitor):
    """Collects the fields and arguments of documents, as Type.field and Type.field.argument."""

    def __init__(self, info: TypeInfo) -> None:
        super().__init__()
        self._info = info
        self.found: set[str] = set()

    def enter_field(self, node: FieldNode, *_args: Any) -> None:
        self.found.add(f"{self._info.get_parent_type()}.{node.name.value}")

    def enter_argument(self, node: ArgumentNode, *_args: Any) -> None:
        field = self._info.get_field_def()
        parent = self._info.get_parent_type()
        name = next((name for name, each in getattr(parent, "fields", {}).items() if each is field), None)
        self.found.add(f"{parent}.{name}.{node.name.value}")

    def enter_object_field(self, node: ObjectFieldNode, *_args: Any) -> None:
        parent = self._info.get_parent_input_type()
        # A default is visited as the type of its variable
        self.found.add(f"{get_named_type(parent) if parent else None}.{node.name.value}")


def covered(text: str) -> set[str]:
    info = TypeInfo(CORE)
    coverage = Coverage(info)
    visit(parse(text), TypeInfoVisitor(info, coverage))
    return coverage.found


def fields() -> Iterator[str]:
    """Yield every field and argument of the schema, and every field of an input type."""
    for name, each in CORE.type_map.items():
        if is_introspection_type(each):
            continue
        if is_object_type(each) or is_interface_type(each):
            for field, declared in each.fields.items():
                yield f"{name}.{field}"
                yield from (f"{name}.{field}.{argument}" for argument in declared.args)


def in_variables(value: Any, declared: Any) -> Iterator[str]:
    """Yield the fields of input types that a variable has."""
    named = get_named_type(declared)
    if isinstance(value, list):
        for item in value:
            yield from in_variables(item, declared)
    elif isinstance(value, dict) and is_input_object_type(named):
        for name, item in value.items():
            yield f"{named.name}.{name}"
            yield from in_variables(item, named.fields[name].type)


def declared_types(node: DocumentNode) -> dict[str, Any]:
    """Return the type of every variable of a document."""
    found = {}
    for operation in node.definitions:
        for variable in getattr(operation, "variable_definitions", None) or ():
            inner = variable.type
            while not hasattr(inner, "name"):
                inner = inner.type
            found[variable.variable.name.value] = CORE.get_type(inner.name.value)
    return found


def test_documents_are_valid(documents: list[Document]) -> None:
    assert [each.text for each in documents[:100] if validate(CORE, parse(each.text), RULES)] == []


def test_documents_have_almost_every_field_and_argument(documents: list[Document]) -> None:
    found = set().union(*(covered(each.text) for each in documents))
    for each in documents:
        types = declared_types(parse(each.text))
        for name, value in each.variables.items():
            found.update(in_variables(value, types[name]))
    inputs = [(name, each) for name, each in CORE.type_map.items() if is_input_object_type(each)]
    every = {*fields(), *(f"{name}.{field}" for name, each in inputs for field in each.fields)}
    missing = sorted(every - found)
    # Others are missing after each change of the schema, because the documents are other ones
    assert len(every) > 350
    assert len(missing) < len(every) // MARGIN, missing


def test_documents_have_every_feature(documents: list[Document]) -> None:
    features = {
        "alias": "a0: ",
        "fragment": "fragment F0 on ",
        "fragment on an interface": "on Node {",
        "fragment without a type": "... {",
        "@skip": "@skip(if: true)",
        "@include with a variable": "@include(if: $v",
        "default": " = ",
        "null": ": null",
        "variable in a list": "[$v",
        "variable in an input": "{id: $v",
        "introspection": "__schema",
        "operation name": "query Other",
        "mutation": "mutation",
        "shorthand": "\n{ ",
        "text in a block": '"""',
    }
    text = "".join(f"\n{each.text}" for each in documents)
    assert [name for name, part in features.items() if part not in text] == []
    absent = [each for each in documents if declared_types(parse(each.text)).keys() - each.variables.keys()]
    assert len(absent) > DOCUMENTS // 20


def test_the_same_seed_gives_the_same_document(documents: list[Document]) -> None:
    assert [document(CORE, KNOWN, seed) for seed in range(20)] == documents[:20]
    assert len({each.text for each in documents}) > DOCUMENTS * 0.9


def test_a_json_value_is_written_as_a_literal() -> None:
    assert json_literal({"a": [1, None, "ü"], "b": {"c": True}}) == '{a: [1, null, "ü"], b: {c: true}}'

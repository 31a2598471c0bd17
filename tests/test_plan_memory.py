"""The memory of documents and plans: what one takes, and what all that are kept may take."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from graphql import OperationDefinitionNode

from service.compiler.compile import Compiler
from service.graphql_core.introspection import Introspection
from service.operations.documents import KEPT_CHARACTERS, Documents
from service.operations.phases import Document
from service.schema import RULES, schema

BYTES = 500  # for each character of a text, with its plan
MOST_MEGABYTES = 110
CORE = schema._schema  # noqa: SLF001  (Strawberry has no public access to its types)
TREE = """{ users(first: 50) { nodes { id username email firstName lastName language tier createdAt
  plan { id name description } sessions { nodes { id ip createdAt } } sshKeys { nodes { id name } } } } }"""
ALIASES = f"{{users{{nodes{{{' '.join(f'a{number}:id' for number in range(320))}}}}}}}"


def compiled(documents: Documents, text: str) -> tuple[Document, object]:
    """Return a document and the plan of its operation."""
    document = documents._parse(text)  # noqa: SLF001
    [definition] = [each for each in document.node.definitions if isinstance(each, OperationDefinitionNode)]
    introspection = Introspection(CORE, hide_suggestions=False)
    return document, Compiler(CORE, schema.config, RULES, document.fragments, introspection.root).compile(
        definition, {}
    )


@pytest.mark.parametrize("text", [TREE, ALIASES])
def test_a_document_and_its_plan_take_memory_in_proportion_to_the_text(text: str) -> None:
    documents = Documents(CORE, token_limit=1_000, introspection=True)
    compiled(documents, text)  # fills caches that all documents share
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        kept = compiled(documents, text + " ")
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept
    assert 0 < (after - before) / len(text) < BYTES


def test_all_documents_that_are_kept_have_a_bound() -> None:
    assert KEPT_CHARACTERS * BYTES / 1_000_000 < MOST_MEGABYTES

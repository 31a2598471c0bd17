"""Does a document ask for one thing again and again? Asked before validation, whose work grows with the square of that.

The rule "fields can merge" compares every two fields of one response name (CVE-2023-26144 of graphql-js).
"""

from __future__ import annotations

from collections import Counter

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from service.errors import Fault, FaultCode

MOST_REPEATED = 50


def check_repetition(document: DocumentNode) -> None:
    """Refuses with QUERY_TOO_COMPLEX where one object is asked for one response name too often, fragments included."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    known: dict[str, Counter[str]] = {}
    pending = [
        node.selection_set
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while pending:
        selection_set = pending.pop()
        repeated = _names(selection_set, fragments, known, pending)
        if repeated and max(repeated.values()) > MOST_REPEATED:
            raise Fault(
                FaultCode.QUERY_TOO_COMPLEX,
                f"A field may be asked for {MOST_REPEATED} times at most",
                limit=MOST_REPEATED,
            )


def _names(
    selection_set: SelectionSetNode,
    fragments: dict[str, FragmentDefinitionNode],
    known: dict[str, Counter[str]],
    pending: list[SelectionSetNode],
) -> Counter[str]:
    """How often each response name is asked of one object; the selection sets below go to `pending`."""
    names: Counter[str] = Counter()
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode):
            names[(selection.alias or selection.name).value] += 1
            if selection.selection_set is not None:
                pending.append(selection.selection_set)
        elif isinstance(selection, InlineFragmentNode):
            names += _names(selection.selection_set, fragments, known, pending)
        elif isinstance(selection, FragmentSpreadNode):
            name = selection.name.value
            if name not in known and name in fragments:
                known[name] = Counter()  # a fragment within itself is refused by validation
                known[name] = _names(fragments[name].selection_set, fragments, known, [])
            names += known.get(name, Counter())
    return names

"""Limit on repeated selections, checked before validation.

The validation rule "fields can merge" compares every two fields of one response name, so its work grows with the square
of their number (CVE-2023-26144 of graphql-js).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from service.errors import ApiError, ApiErrorCode

MOST_REPEATED = 50


def check_repetition(document: DocumentNode) -> None:
    """Raise QUERY_TOO_COMPLEX if one response name is selected too often on an object, fragments included."""
    fragments = {node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)}
    pending = [
        node.selection_set
        for node in document.definitions
        if isinstance(node, OperationDefinitionNode | FragmentDefinitionNode)
    ]
    while pending:
        names = Counter(_names(pending.pop(), fragments, set(), pending))
        if names and max(names.values()) > MOST_REPEATED:
            message = f"A field may be selected at most {MOST_REPEATED} times."
            raise ApiError(ApiErrorCode.QUERY_TOO_COMPLEX, message, limit=MOST_REPEATED)


def _names(
    selection_set: SelectionSetNode,
    fragments: Mapping[str, FragmentDefinitionNode],
    spread: set[str],
    pending: list[SelectionSetNode] | None,
) -> Iterator[str]:
    """Yield the response names selected on one object, each fragment once; add the selections below to `pending`."""
    for selection in selection_set.selections:
        if isinstance(selection, FieldNode):
            yield (selection.alias or selection.name).value
            if selection.selection_set is not None and pending is not None:
                pending.append(selection.selection_set)
        elif isinstance(selection, InlineFragmentNode):
            yield from _names(selection.selection_set, fragments, spread, pending)
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in spread:
            spread.add(selection.name.value)
            fragment = fragments.get(selection.name.value)
            if fragment is not None:
                # The selections below a fragment's fields are checked with the fragment itself
                yield from _names(fragment.selection_set, fragments, spread, None)

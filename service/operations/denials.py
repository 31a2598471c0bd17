"""Denials of fields, for both executors: how often one is reported, and which mutation of a document is denied."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from graphql import FieldNode, GraphQLError, Node

from service.access.authorize import Verdict
from service.access.rules import Rule
from service.access.viewer import Viewer
from service.errors import ApiErrorCode

Place: TypeAlias = tuple[tuple[str, ...], int]
_CODES = frozenset(
    {
        ApiErrorCode.DELETION_SCHEDULED.value,
        ApiErrorCode.FORBIDDEN.value,
        ApiErrorCode.UNAUTHENTICATED.value,
        ApiErrorCode.USER_SUSPENDED.value,
    }
)


def is_denial(error: GraphQLError) -> bool:
    """Return whether an error is reported once for each field of the document, and not once for each row."""
    return (error.extensions or {}).get("code") in _CODES


def place_of(path: Sequence[str | int] | None, nodes: Sequence[Node] | None) -> Place:
    """Return a field of the document: its path, and the node that distinguishes fields of the same name."""
    return tuple(part for part in path or () if isinstance(part, str)), id(nodes[0]) if nodes else 0


def denied_mutation(viewer: Viewer, roots: Iterable[tuple[str, FieldNode, Rule, bool]]) -> GraphQLError | None:
    """Return the error of the first mutation that is denied, before any of them runs.

    `roots` have the response name, the node, the rule, and whether the mutation signs in. Mutations after one that
    signs in have another caller, so they are decided when they run.
    """
    for name, node, rule, signs_in in roots:
        if viewer.verdict(rule) is Verdict.DENIED:
            denial = viewer.denial(rule)
            return GraphQLError(denial.message, node, path=[name], extensions=denial.extensions)
        if signs_in:
            return None
    return None

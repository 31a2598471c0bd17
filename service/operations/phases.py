"""The phases of an operation, for all transports: Operation -> Prepared or Rejected -> Result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

from graphql import DocumentNode, FragmentDefinitionNode, GraphQLError, OperationDefinitionNode, OperationType

from service.operations.kept import Kept
from service.operations.responses import error_response

KEPT_PLANS = 16  # of one document: its operations, and the values of the variables in @skip and @include
Fragments: TypeAlias = Mapping[str, FragmentDefinitionNode]


@dataclass(slots=True)
class Operation:
    """An operation as the client sent it: a document, the name of the operation in it, and its variables."""

    text: str
    name: str | None = None
    variables: dict[str, Any] | None = None


@dataclass(slots=True, eq=False)
class Document:
    """A valid document, with what is known of it.

    `flags` are the variables of @skip and @include, and `sizes` those of pages and of lists of ids. Plans depend on the
    former, costs on the latter. `long` says whether its text is so long that plans and costs take time.
    """

    node: DocumentNode
    fragments: Fragments
    flags: tuple[str, ...]
    sizes: tuple[str, ...]
    long: bool
    text: str
    characters: int  # of the text, for each plan
    plans: Kept[Any] = field(default_factory=partial(Kept, KEPT_PLANS))
    costs: Kept[Any] = field(default_factory=partial(Kept, KEPT_PLANS))
    variables: Kept[Any] = field(default_factory=partial(Kept, KEPT_PLANS))


@dataclass(slots=True)
class Prepared:
    """A valid document, and the operation in it that is to run."""

    document: Document
    definition: OperationDefinitionNode
    variables: dict[str, Any] | None

    @property
    def type(self) -> OperationType:
        """Query or mutation."""
        return self.definition.operation

    @property
    def name(self) -> str | None:
        """The name of the operation, if it has one."""
        return self.definition.name.value if self.definition.name else None


@dataclass(slots=True)
class Rejected:
    """An operation that does not run: it cannot be read, is not valid, or its variables do not fit."""

    errors: Sequence[GraphQLError]

    def response(self, request_id: str) -> dict[str, Any]:
        """Return the response for the client: errors, and no data."""
        return {"errors": [error_response(error, request_id) for error in self.errors]}


@dataclass(slots=True)
class Result:
    """The data and the errors of an operation that ran."""

    data: dict[str, Any] | None
    errors: Sequence[GraphQLError]

    def response(self, request_id: str) -> dict[str, Any]:
        """Return the response for the client."""
        response: dict[str, Any] = {"data": self.data}
        if self.errors:
            response["errors"] = [error_response(error, request_id) for error in self.errors]
        return response

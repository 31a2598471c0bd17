"""Failed fields, and the pass over the response that reports them.

While a plan runs, a Failure takes the place of a value. This pass puts null there, or in the place of the nearest
nullable field around it, and finds the path of each error (GraphQL specification, section 6.4.4). It runs only if there
is a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from graphql import GraphQLError, is_list_type, is_non_null_type, located_error
from orjson import Fragment

from service.compiler.plan import Field, Selection
from service.operations.denials import Place, is_denial, place_of

Resolved: TypeAlias = tuple[dict[str, Any] | None, list[GraphQLError]]


class Failure:
    """Takes the place of a value that could not be read."""

    __slots__ = ("error", "field")

    def __init__(self, field: Field, error: Exception) -> None:
        self.field = field
        self.error = error


class _NullError(Exception):
    """Null at a path where the type does not allow it: the object around it becomes null."""

    def __init__(self, path: tuple[str | int, ...]) -> None:
        super().__init__()
        self.path = path


def resolve(root: Selection, data: dict[str, Any], types: Mapping[int, Selection]) -> Resolved:
    """Return the response's data without failures, and the errors. `types` are the selections behind interfaces."""
    walk = _Walk(types)
    try:
        return walk.object(root, data, ()), walk.errors
    except _NullError as null:
        walk.keep_only(null, 0)
        return None, walk.errors


class _Walk:
    def __init__(self, types: Mapping[int, Selection]) -> None:
        self.errors: list[GraphQLError] = []
        self._types = types
        self._denied: set[Place] = set()

    def object(self, selection: Selection, out: Mapping[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
        """Return an object without failures. Raise _NullError if it must be null."""
        return {
            field.key: self._value(field, field.type, out[field.key], (*path, field.key)) for field in selection.fields
        }

    def _value(self, field: Field, graphql_type: Any, value: Any, path: tuple[str | int, ...]) -> Any:
        if is_non_null_type(graphql_type):
            found = self._nullable(field, graphql_type.of_type, value, path)
            if found is None:
                raise _NullError(path)
            return found
        known = len(self.errors)
        try:
            return self._nullable(field, graphql_type, value, path)
        except _NullError as null:
            self.keep_only(null, known)
            return None

    def keep_only(self, null: _NullError, known: int) -> None:
        """Remove the errors inside an object that became null, except the one that is the reason."""
        inside, reason = self.errors[known:], list(null.path)
        self._denied -= {place_of(error.path, error.nodes) for error in inside if error.path != reason}
        self.errors[known:] = [error for error in inside if error.path == reason]

    def _nullable(self, field: Field, graphql_type: Any, value: Any, path: tuple[str | int, ...]) -> Any:
        if value is None:
            return None
        if type(value) is Failure:
            self._report(value, path)
            return None
        if is_list_type(graphql_type):
            item_type = graphql_type.of_type
            return [self._value(field, item_type, item, (*path, position)) for position, item in enumerate(value)]
        if field.selections is None or type(value) is Fragment:
            return value
        selection = self._types.get(id(value)) or next(iter(field.selections.values()))
        return self.object(selection, value, path)

    def _report(self, failure: Failure, path: tuple[str | int, ...]) -> None:
        error = located_error(failure.error, failure.field.nodes, list(path))
        if is_denial(error):
            place = place_of(error.path, error.nodes)
            if place in self._denied:
                return
            self._denied.add(place)
        self.errors.append(error)

"""Fields whose values are objects, or need related rows: one read for all rows of a level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

from graphql import GraphQLError, get_nullable_type, is_non_null_type

from service.compiler.kinds import (
    ENTITIES,
    VIEWER,
    Computed,
    Counted,
    PageOf,
    Related,
    related_needs,
    value_of,
    values_of,
)
from service.compiler.plan import Field, PageText
from service.errors import ApiError, ApiErrorCode
from service.execution.levels import Levels, Object, Values
from service.execution.work import Job, Work
from service.nodes import find_nodes, load_related
from service.pagination import Page, Window

COMPUTED_PER_PART = 100
ROWS_PER_PART = 10  # a row may be a page, whose value is a list of edges
Rows: TypeAlias = Sequence[Any]
Outs: TypeAlias = Sequence[Object]


def start(work: Work, levels: Levels, field: Field, rows: Rows, outs: Outs) -> None:
    """Start a field of the objects `outs`, which are made of `rows`."""
    match field.kind:
        case Related(statement=None):
            _start_nodes(work, levels, field, field.kind, rows, outs)
        case Related(many=True):
            _start_list(work, levels, field, field.kind, rows, outs)
        case Related():
            _start_related(work, levels, field, field.kind, rows, outs)
        case PageOf():
            _start_pages(work, levels, field, field.kind, rows, outs)
        case Computed() if any(related_needs(field.kind)):
            _Computation(work, levels, field, field.kind, rows, outs).start()
        case Counted():
            _start_counts(work, levels, field, field.kind, rows, outs)
        case _ if len(rows) > ROWS_PER_PART:
            work.add(_fill_long(work, levels, field, rows, outs))
        case _:
            levels.fill(field, outs, _values(work, field, rows))


def _fill_long(work: Work, levels: Levels, field: Field, rows: Rows, outs: Outs) -> Job:
    values = Values()
    for start in range(0, len(rows), ROWS_PER_PART):
        values += _values(work, field, rows[start : start + ROWS_PER_PART])
        yield
    levels.fill(field, outs, values)


def _values(work: Work, field: Field, rows: Rows) -> Values:
    viewer = work.context.viewer
    try:
        return field.values(rows, viewer)
    except Exception:
        return [_value(work, field, row) for row in rows]


def _value(work: Work, field: Field, row: Any) -> Any:
    try:
        [value] = field.values([row], work.context.viewer)
    except Exception as error:
        return work.failure(field, error)
    return value


def _start_counts(work: Work, levels: Levels, field: Field, kind: Counted, pages: Sequence[Page], outs: Outs) -> None:  # noqa: PLR0917
    if pages[0].key is None:
        # Lists without a parent may have different filters, in the operations of a batch
        for page, out in zip(pages, outs, strict=True):
            _start_count(work, levels, field, kind, [page], [out])
    else:
        # The pages of a level are those of one field
        _start_count(work, levels, field, kind, pages, outs)


def _start_count(work: Work, levels: Levels, field: Field, kind: Counted, pages: Sequence[Page], outs: Outs) -> None:  # noqa: PLR0917
    keys = [page.key for page in pages]

    def done(found: Mapping[str, Rows]) -> None:
        levels.fill(field, outs, [value_of(found[key][0], kind.name) for key in keys])

    work.later_for(field, outs, pages[0].counts(keys), done)


def _start_related(work: Work, levels: Levels, field: Field, kind: Related, rows: Rows, outs: Outs) -> None:  # noqa: PLR0917
    keys = values_of(rows, kind.key)
    read = load_related(work.context, kind, keys, field.columns(next(iter(field.selections or ()))))
    work.later_for(field, outs, read, partial(_fill_related, work, levels, field, kind, keys, outs))


def _start_list(work: Work, levels: Levels, field: Field, kind: Related, rows: Rows, outs: Outs) -> None:  # noqa: PLR0917
    keys = values_of(rows, kind.key)

    def done(found: Mapping[str, Rows]) -> None:
        levels.fill(field, outs, [found.get(key, ()) for key in keys])

    read = load_related(work.context, kind, keys, field.columns(next(iter(field.selections or ()))))
    work.later_for(field, outs, read, done)


def _fill_related(  # noqa: PLR0917
    work: Work, levels: Levels, field: Field, kind: Related, keys: Values, outs: Outs, found: Mapping[str, Rows]
) -> None:
    """Put related rows in their places; rows that several parents share become one object."""
    known = {key: found[key][0] for key in dict.fromkeys(keys) if found.get(key)}
    values = levels.complete(field, get_nullable_type(field.type), list(known.values()))
    done = dict(zip(known, values, strict=True))
    for key, out in zip(keys, outs, strict=True):
        value = done.get(key)
        if value is None and kind.required:
            # Levels are read one after the other: both rows were deleted between the two reads
            deleted = ApiError(ApiErrorCode.UNAVAILABLE, "The object was deleted during the request. Try again.")
            value = work.failure(field, deleted)
        elif value is None and is_non_null_type(field.type):
            value = work.missing(field)
        out[field.key] = value


def _start_nodes(work: Work, levels: Levels, field: Field, kind: Related, rows: Rows, outs: Outs) -> None:  # noqa: PLR0917
    """Start a related row of any type, which the caller sees only under the rule of that type."""
    by_type: dict[str, list[tuple[str, Object]]] = {}
    types = values_of(rows, kind.type or "")
    for key, type_name, out in zip(values_of(rows, kind.key), types, outs, strict=True):
        if key is not None and type_name in ENTITIES:
            by_type.setdefault(type_name, []).append((key, out))
    for type_name, pairs in by_type.items():
        keys, places = [key for key, _ in pairs], [out for _, out in pairs]
        read = find_nodes(work.context, keys, type_name, columns=field.columns)
        work.later_for(field, places, read, partial(_fill_nodes, work, levels, field, kind, keys, places))


def _fill_nodes(  # noqa: PLR0917
    work: Work, levels: Levels, field: Field, kind: Related, keys: Values, outs: Outs, found: Mapping[str, Any]
) -> None:
    _fill_related(work, levels, field, kind, keys, outs, {key: [row] for key, row in found.items()})


def _start_pages(work: Work, levels: Levels, field: Field, kind: PageOf, rows: Rows, outs: Outs) -> None:  # noqa: PLR0917
    loaders = work.context.loaders
    try:
        arguments = {} if field.arguments is None else field.arguments(work.variables)
        window = Window.of(kind.statement, **arguments, descending=kind.descending)
    except GraphQLError as error:
        work.put(field, outs, error)
        return
    keys = values_of(rows, kind.key)
    if field.text is not None and not window.backward and field.text.is_open(work.context.viewer.actor.authority):
        read = loaders.load_texts(kind.statement, keys, window, field.text.columns)
        work.later_for(field, outs, read, partial(_fill_texts, field.key, field.text, keys, outs))
        return
    columns = next((layout.frozen() for layout in field.layouts.values()), None)

    def done(found: Mapping[str, Rows]) -> None:
        counts = partial(loaders.load_counts, kind.statement)
        levels.fill(field, outs, [Page(window, found.get(key, ()), counts, key) for key in keys])

    work.later_for(field, outs, loaders.load_pages(kind.statement, keys, window, columns), done)


def _fill_texts(name: str, text: PageText, keys: Values, outs: Outs, found: Mapping[str, Rows]) -> None:
    for key, out in zip(keys, outs, strict=True):
        rows = found.get(key)
        out[name] = text.page(rows[0]["text"] if rows else None)


class _Computation:
    """A computed value that needs columns of related rows, for all rows of a level."""

    def __init__(self, work: Work, levels: Levels, field: Field, kind: Computed, rows: Rows, outs: Outs) -> None:  # noqa: PLR0917
        self._work, self._levels, self._field, self._kind, self._rows, self._outs = (
            work,
            levels,
            field,
            kind,
            rows,
            outs,
        )
        entity = ENTITIES[type(rows[0]).__name__]
        self._relations = {name: entity.relation(name) for name, _ in related_needs(kind)}
        self._keys = {name: values_of(rows, kind.key) for name, kind in self._relations.items()}
        self._found: dict[str, Mapping[str, Rows]] = {}

    def start(self) -> None:
        """Read the related rows."""
        for name, kind in self._relations.items():
            read = load_related(self._work.context, kind, self._keys[name], self._field.columns(name))
            self._work.later_for(self._field, self._outs, read, partial(self._done, name))

    def _done(self, name: str, found: Mapping[str, Rows]) -> None:
        self._found[name] = found
        if len(self._found) == len(self._relations):
            self._work.add(self._fill())

    def _fill(self) -> Job:
        values = Values()
        for number, row in enumerate(self._rows):
            if number % COMPUTED_PER_PART == COMPUTED_PER_PART - 1:
                yield
            values.append(self._compute(number, row))
        self._levels.fill(self._field, self._outs, values)

    def _compute(self, number: int, row: Any) -> Any:
        try:
            return self._kind.function(*(self._need(number, row, name) for name in self._kind.needs))
        except Exception as error:
            return self._work.failure(self._field, error)

    def _need(self, number: int, row: Any, name: str) -> Any:
        if name == VIEWER:
            return self._work.context.viewer
        relation, _, column = name.partition(".")
        if not column:
            return value_of(row, name)
        rows = self._found[relation].get(self._keys[relation][number])
        return rows[0][column] if rows else None

"""The objects of one level of a response: their leaves, their access, and their values of any type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, TypeAlias

from graphql import is_list_type, is_non_null_type
from orjson import Fragment

from service.access.authorize import opens_by_share, owns
from service.access.rules import Rule
from service.compiler.leaves import serializer
from service.compiler.plan import Field, Selection
from service.database.rows import Row
from service.execution.failures import Failure
from service.execution.work import Job, Work

VALUES_PER_PART = 2_000  # take about a millisecond
FINISHED = frozenset({Failure, Fragment, type(None)})  # what is in a response as it is
Values: TypeAlias = list[Any]
Object: TypeAlias = dict[str, Any]
Pair: TypeAlias = tuple[Any, Object]  # a row and its object
Decided: TypeAlias = tuple[list[Pair], list[Pair], list[Pair]]  # opened, perhaps opened by a share, and closed
Start: TypeAlias = Callable[[Work, "Levels", Field, Sequence[Any], Sequence[Object]], None]


class Levels:
    """Makes the objects of a run."""

    def __init__(self, work: Work, start: Start) -> None:
        """`start` starts a field that needs more than its row, see `relations`."""
        self._work = work
        self._start = start

    def objects(self, selection: Selection, rows: Sequence[Any]) -> list[Object]:
        """Return the objects of the response for rows of one type; relations, and long levels, are filled in later."""
        self._work.objects += len(rows)
        if len(rows) * len(selection.fields) > VALUES_PER_PART:
            outs: list[Object] = [{} for _ in rows]
            self._work.add(self._long(selection, rows, outs))
            return outs
        outs = self._built(selection, rows)
        closed = set[Field]()
        if selection.protected:
            for rule, fields in self._deny(selection, rows, outs, closed):
                self._start_own(rule, fields, [self._own(rule, rows, outs)])
        for field in selection.deferred:
            if field not in closed:
                self._start(self._work, self, field, rows, outs)
        return outs

    def _long(self, selection: Selection, rows: Sequence[Any], outs: Sequence[Object]) -> Job:
        """Fill the objects of a long level."""
        size = max(VALUES_PER_PART // len(selection.fields), 1)
        parts = [slice(start, start + size) for start in range(0, len(rows), size)]
        for part in parts:
            for out, built in zip(outs[part], self._built(selection, rows[part]), strict=True):
                out.update(built)
            yield
        closed = set[Field]()
        for rule, fields in self._deny(selection, rows, outs, closed):
            decided = []
            for part in parts:
                decided.append(self._own(rule, rows[part], outs[part]))
                yield
            self._start_own(rule, fields, decided)
        for field in selection.deferred:
            if field not in closed:
                self._start(self._work, self, field, rows, outs)
                yield

    def _built(self, selection: Selection, rows: Sequence[Any]) -> list[Object]:
        outs = selection.build(rows, self._work.context.viewer)
        return [self._slowly(selection, row) for row in rows] if outs is None else outs

    def fill(self, field: Field, outs: Sequence[Object], values: Values) -> None:
        """Put values of a field, as a level above has them, in their places."""
        for out, value in zip(outs, self.complete(field, field.type, values), strict=True):
            out[field.key] = value

    def complete(self, field: Field, graphql_type: Any, values: Values) -> Values:
        """Return the values as they are sent: lists, objects, and leaves (GraphQL specification, CompleteValue)."""
        if is_non_null_type(graphql_type):
            done = self.complete(field, graphql_type.of_type, values)
            return [self._work.missing(field) if value is None else value for value in done] if None in done else done
        if is_list_type(graphql_type):
            return self._lists(field, graphql_type.of_type, values)
        if field.selections is None:
            return self._leaves(field, graphql_type, values)
        if len(field.selections) == 1:
            return self._of_one_type(next(iter(field.selections.values())), values)
        return self._of_any_type(field.selections, values)

    def _of_one_type(self, selection: Selection, values: Values) -> Values:
        present = [value for value in values if type(value) not in FINISHED]
        if not present:
            return values
        outs = self.objects(selection, present)
        if len(outs) == len(values):
            return outs
        rest = iter(outs)
        return [value if type(value) in FINISHED else next(rest) for value in values]

    def _of_any_type(self, selections: Mapping[str, Selection], values: Values) -> Values:
        done, groups = list(values), dict[str, list[int]]()
        for number, value in enumerate(values):
            if type(value) not in FINISHED:
                groups.setdefault(type(value).__strawberry_definition__.name, []).append(number)
        for type_name, numbers in groups.items():
            outs = self.objects(selections[type_name], [values[number] for number in numbers])
            for number, out in zip(numbers, outs, strict=True):
                done[number] = out
                self._work.types[id(out)] = selections[type_name]
        return done

    def _lists(self, field: Field, item_type: Any, values: Values) -> Values:
        flat = [item for value in values if type(value) not in FINISHED for item in value]
        items, done, start = self.complete(field, item_type, flat), Values(), 0
        for value in values:
            if type(value) in FINISHED:
                done.append(value)
            else:
                done.append(items[start : start + len(value)])
                start += len(value)
        return done

    def _leaves(self, field: Field, graphql_type: Any, values: Values) -> Values:
        serialize = serializer(graphql_type)
        if serialize is None:
            return values
        done = Values()
        for value in values:
            try:
                done.append(value if type(value) in FINISHED else serialize(value))
            except Exception as error:
                done.append(self._work.failure(field, error))
        return done

    def _slowly(self, selection: Selection, row: Any) -> Object:
        """Return the object of a row of which a value is missing or cannot be read."""
        out = selection.build.empty()
        fields = {field.key: field for field in selection.fields}
        for leaf, read in selection.build.reads(row):
            field = fields[leaf.key]
            try:
                [value] = read([row], self._work.context.viewer)
            except Exception as error:
                value = self._work.failure(field, error)
            out[leaf.key] = self._work.missing(field) if value is None and leaf.required else value
        return out

    # Access

    def _deny(
        self, selection: Selection, rows: Sequence[Any], outs: Sequence[Object], closed: set[Field]
    ) -> Iterable[tuple[Rule, Sequence[Field]]]:
        """Deny fields on all rows. Return the rules that open fields on the caller's own rows, with these fields.

        All of these fields are added to `closed`.
        """
        viewer = self._work.context.viewer
        denied, own = selection.verdicts(viewer.actor.authority)
        if not denied and not own:
            return ()
        is_row = isinstance(rows[0], Row)
        for field in denied:
            if is_row:
                # The error names another permission on the caller's own rows
                own_rows, shared, others = self._own(field.rule, rows, outs)
                self._close(field.rule, [field], own_rows)
                self._close(field.rule, [field], shared + others)
            else:
                self._work.put(field, outs, viewer.denial(field.rule))
        closed.update(denied, *(own.values() if is_row else ()))
        return own.items() if is_row else ()

    def _own(self, rule: Rule, rows: Sequence[Any], outs: Sequence[Object]) -> Decided:
        """Return which rows a rule opens, which it may open by a share in a server, and which it does not open."""
        actor = self._work.context.viewer.actor
        ownership = rule.ownership or rows[0].ownership
        opened, shared, closed = list[Pair](), list[Pair](), list[Pair]()
        other = shared if ownership.server and actor.user_id is not None else closed
        for pair in zip(rows, outs, strict=True):
            (opened if owns(actor, pair[0], ownership) else other).append(pair)
        return opened, shared, closed

    def _start_own(self, rule: Rule, fields: Sequence[Field], decided: Sequence[Decided]) -> None:
        """Start fields on the rows that a rule opens, and deny them on others."""
        opened, shared, closed = (list(chain.from_iterable(pairs)) for pairs in zip(*decided, strict=True))
        self._open(fields, opened)
        self._close(rule, fields, closed)
        if not shared:
            return
        viewer = self._work.context.viewer
        server = (rule.ownership or shared[0][0].ownership).server
        authority = viewer.actor.authority

        def done(shares: Mapping[str, Sequence[Any]]) -> None:
            held = {key: found[0]["permissions"] for key, found in shares.items()}
            opened_later, closed_later = list[Pair](), list[Pair]()
            for pair in shared:
                is_open = opens_by_share(rule, held.get(pair[0][server]), authority)
                (opened_later if is_open else closed_later).append(pair)
            self._open(fields, opened_later)
            self._close(rule, fields, closed_later)

        def fail(error: Exception) -> None:
            for field in fields:
                self._work.put(field, [out for _, out in shared], error)

        keys = [row[server] for row, _ in shared]
        self._work.later(
            self._work.context.loaders.load("shares_by_server", keys, viewer=viewer.actor.user_id), done, fail
        )

    def _open(self, fields: Sequence[Field], pairs: Sequence[Pair]) -> None:
        if pairs:
            rows, outs = zip(*pairs, strict=True)
            for field in fields:
                if field.deferred:
                    self._start(self._work, self, field, rows, outs)

    def _close(self, rule: Rule, fields: Sequence[Field], pairs: Sequence[Pair]) -> None:
        """Deny fields on rows that are not the caller's own; the error is the same for all of them."""
        if pairs:
            denial, outs = self._work.context.viewer.denial(rule, pairs[0][0]), [out for _, out in pairs]
            for field in fields:
                self._work.put(field, outs, denial)

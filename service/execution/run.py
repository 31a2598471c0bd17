"""Runs plans level by level.

A level is a list of rows. Its leaves are read at once, and its relations are one read each, with the keys of all rows.
All reads of a level are requested together; what comes back makes the objects of the next level, in their places.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from graphql import OperationType
from graphql.execution.values import VariableValues

from service.access.authorize import Verdict
from service.compiler.plan import Field, Plan
from service.execution import relations
from service.execution.failures import Resolved, resolve
from service.execution.levels import Levels
from service.execution.work import Work
from service.nodes import Wanted, find_wanted
from service.turns import aside, pause

# Of a response with failures, which is walked within a turn of the event loop
OBJECTS_PER_TURN = 200
FAILURES_PER_TURN = 5


class Run:
    """One run of a plan, for operations that differ in the arguments of their root fields only."""

    def __init__(self, plan: Plan, context: Any, variables: Sequence[VariableValues], info: Callable[..., Any]) -> None:
        """`variables` are those of each operation. `info` makes the first argument of a root field's function."""
        self._plan = plan
        self._info = info
        self._variables = variables
        self._work = Work(context, variables[0])
        self._levels = Levels(self._work, relations.start)

    async def execute(self) -> list[Resolved]:
        """Return the data and the errors of each operation."""
        root, work = self._plan.root, self._work
        responses: list[dict[str, Any]] = [{each.key: None for each in root.fields} for _ in self._variables]
        if self._plan.type is OperationType.MUTATION:
            for field in root.fields:
                await self._root(field, responses)
                await work.drain()
        else:
            if len(root.fields) == 1:
                await self._root(root.fields[0], responses)
            else:
                await asyncio.gather(*(self._root(field, responses, pause) for field in root.fields))
            await work.drain()
        if not work.failures:
            return [(data, []) for data in responses]
        large = work.objects > OBJECTS_PER_TURN or work.failures > FAILURES_PER_TURN
        return await aside(self._resolved, responses) if large else self._resolved(responses)

    def _resolved(self, responses: Sequence[dict[str, Any]]) -> list[Resolved]:
        return [resolve(self._plan.root, data, self._work.types) for data in responses]

    async def _root(
        self,
        field: Field,
        responses: Sequence[dict[str, Any]],
        between: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Call the function of a root field for each operation, and put the values in their places.

        `between` is awaited before and after the calls.
        """
        if between is not None:
            await between()
        work = self._work
        if field.root is None:  # __typename
            for data in responses:
                data[field.key] = self._plan.root.type_name
            return
        viewer = work.context.viewer
        if viewer.verdict(field.rule) is Verdict.DENIED:
            work.put(field, responses, viewer.denial(field.rule))
            return
        values = await self._settled(field, [self._value(field, variables) for variables in self._variables])
        if between is not None:
            await between()
        self._levels.fill(field, responses, values)

    def _value(self, field: Field, variables: VariableValues) -> Any:
        """Return what the function of a root field returns, or its failure."""
        try:
            arguments = {} if field.arguments is None else field.arguments(variables)
            return field.root.function(self._info(self._work.context, field), **arguments)
        except Exception as error:
            return self._work.failure(field, error)

    async def _settled(self, field: Field, values: Sequence[Any]) -> list[Any]:
        """Return the values of a root field: wanted rows are read together, and calls are awaited."""
        wanted = [value for value in values if type(value) is Wanted]
        if len(wanted) == len(values):
            return await self._rows(field, wanted)
        rows = iter(await self._rows(field, wanted) if wanted else ())
        calls = [self._outcome(field, value) for value in values if inspect.isawaitable(value)]
        outcomes = iter([await calls[0]] if len(calls) == 1 else await asyncio.gather(*calls))
        return [
            next(rows) if type(value) is Wanted else next(outcomes) if inspect.isawaitable(value) else value
            for value in values
        ]

    async def _rows(self, field: Field, wanted: Sequence[Wanted]) -> list[Any]:
        try:
            return await find_wanted(self._work.context, wanted, field.columns)
        except Exception as error:
            return [self._work.failure(field, error)] * len(wanted)

    async def _outcome(self, field: Field, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except Exception as error:
            return self._work.failure(field, error)

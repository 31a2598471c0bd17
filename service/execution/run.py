"""Runs plans level by level.

A level is a list of rows. Its leaves are read at once, and its relations are one read each, with the keys of all rows.
All reads of a level are requested together; what comes back makes the objects of the next level, in their places.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import Any

from graphql import OperationType
from graphql.execution.values import VariableValues

from service.access.authorize import Verdict
from service.compiler.plan import Field, Plan
from service.execution import relations
from service.execution.failures import Resolved, resolve
from service.execution.levels import Levels
from service.execution.work import Work
from service.turns import aside, pause

# Of a response with failures, which is walked within a turn of the event loop
OBJECTS_PER_TURN = 200
FAILURES_PER_TURN = 5


class Run:
    """One run of a plan."""

    def __init__(self, plan: Plan, context: Any, variables: VariableValues, info: Callable[..., Any]) -> None:
        """`info` makes the first argument of a root field's function."""
        self._plan = plan
        self._info = info
        self._work = Work(context, variables)
        self._levels = Levels(self._work, relations.start)

    async def execute(self) -> Resolved:
        """Return the data and the errors."""
        root, work = self._plan.root, self._work
        data: dict[str, Any] = {each.key: None for each in root.fields}
        if self._plan.type is OperationType.MUTATION:
            for field in root.fields:
                await self._root(field, data)
                await work.drain()
        else:
            if len(root.fields) == 1:
                await self._root(root.fields[0], data)
            else:
                await asyncio.gather(*(self._root(field, data, pause) for field in root.fields))
            await work.drain()
        if not work.failures:
            return data, []
        if work.objects > OBJECTS_PER_TURN or work.failures > FAILURES_PER_TURN:
            return await aside(resolve, root, data, work.types)
        return resolve(root, data, work.types)

    async def _root(
        self, field: Field, data: dict[str, Any], between: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Call the function of a root field, and put its value in its place; await `between` before either."""
        if between is not None:
            await between()
        if field.root is None:
            data[field.key] = self._plan.root.type_name  # __typename
            return
        work = self._work
        viewer = work.context.viewer
        if viewer.verdict(field.rule) is Verdict.DENIED:
            data[field.key] = work.failure(field, viewer.denial(field.rule))
            return
        try:
            arguments = {} if field.arguments is None else field.arguments(work.variables)
            value = field.root.function(self._info(work.context, field), **arguments)
            if inspect.isawaitable(value):
                value = await value
                if between is not None:
                    await between()
        except Exception as error:
            data[field.key] = work.failure(field, error)
            return
        self._levels.fill(field, [data], [value])

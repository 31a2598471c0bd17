"""The work of one run: the reads that are still to come, and the failures so far."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from typing import Any, TypeAlias

from graphql.execution.values import VariableValues

from service.compiler.plan import Field, Selection
from service.execution.failures import Failure
from service.turns import pause

READS_PER_PART = 64
Done: TypeAlias = Callable[[Any], None]
Job: TypeAlias = Iterator[None]  # long work, which yields between its parts


async def _outcome(read: Awaitable[Any]) -> Any:
    """Return the result of a read, or its error."""
    try:
        return await read
    except Exception as error:
        return error


class Work:
    """What all parts of a run share."""

    def __init__(self, context: Any, variables: VariableValues) -> None:
        self.context = context
        self.variables = variables
        self.types: dict[int, Selection] = {}  # the selection of each object behind an interface
        self.failures = 0
        self.objects = 0  # so far
        self._pending: list[tuple[Awaitable[Any], Done, Done]] = []
        self._jobs: deque[Job] = deque()

    def failure(self, field: Field, error: Exception) -> Failure:
        """Return what takes the place of a value that could not be read."""
        self.failures += 1
        return Failure(field, error)

    def missing(self, field: Field) -> Failure:
        """Return what takes the place of null in a field that must not be null."""
        return self.failure(field, TypeError(f"Cannot return null for non-nullable field {field.name}."))

    def put(self, field: Field, outs: Sequence[dict[str, Any]], error: Exception) -> None:
        """Put one error in the place of a field, on every object."""
        failure = self.failure(field, error)
        for out in outs:
            out[field.key] = failure

    def later(self, read: Awaitable[Any], done: Done, fail: Done) -> None:
        """Call `done` with the result of a read, or `fail` with its error, when the present level is complete."""
        self._pending.append((read, done, fail))

    def later_for(self, field: Field, outs: Sequence[dict[str, Any]], read: Awaitable[Any], done: Done) -> None:
        """Call `done` with the result of a read that a field of these objects needs; its error takes their places."""
        self.later(read, done, partial(self.put, field, outs))

    def add(self, job: Job) -> None:
        """Do long work before the next level is read."""
        self._jobs.append(job)

    async def drain(self) -> None:
        """Do the jobs and await the reads of one level after the other, until no level follows."""
        while self._pending or self._jobs:
            while self._jobs:
                for _ in self._jobs.popleft():
                    await pause()
            level, self._pending = self._pending, []
            found = []
            # All reads come first, so that those of the next level leave together
            for read, done, fail in level:
                found.append((await _outcome(read), done, fail))
                if not len(found) % READS_PER_PART:
                    await pause()
            for number, (outcome, done, fail) in enumerate(found):
                if number:
                    await pause()
                (fail if isinstance(outcome, Exception) else done)(outcome)

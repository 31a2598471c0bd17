"""The engine: prepares and executes operations against one schema.

Operations run by their plan. What the compiler declines runs by graphql-core, see `executor`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson
from graphql import ExecutionResult, GraphQLError, OperationType, execute, get_variable_values
from graphql.execution.values import VariableValues
from strawberry import Schema
from strawberry.execution import optimized_is_awaitable

from service.access.viewer import Rules
from service.compiler.compile import Compiler, DeclinedError
from service.compiler.plan import Plan
from service.errors import MOST_PROBLEMS
from service.execution.run import Run
from service.graphql_core.executor import AccessExecutor
from service.graphql_core.introspection import Introspection
from service.operations.cost import Measured, charge, measure
from service.operations.denials import denied_mutation
from service.operations.documents import Documents
from service.operations.kept import Kept
from service.operations.phases import Document, Operation, Prepared, Rejected, Result
from service.operations.variables import Variables, long_list_error, variable_error
from service.turns import aside, pause

T = TypeVar("T")
NO_VARIABLES = VariableValues({}, {})
SHORT_VARIABLES = 1_000  # bytes, which are coerced within a turn of the event loop


@dataclass(slots=True, eq=False)
class _Ready:
    """An operation with its variables and its plan; without one, graphql-core runs it."""

    prepared: Prepared
    variables: VariableValues
    plan: Plan | None


class Engine:
    """Prepares and executes operations."""

    def __init__(
        self,
        schema: Schema,
        rules: Rules,
        info: Callable[..., Any],
        *,
        token_limit: int,
        introspection: bool,
        compiled: bool = True,
    ) -> None:
        """`info` makes the first argument of a root field's function from the context and the field of the plan."""
        self._config = schema.config
        self._schema = schema._schema  # noqa: SLF001  (Strawberry executes texts only; documents are kept here)
        self._documents = Documents(self._schema, token_limit=token_limit, introspection=introspection)
        self._introspection = Introspection(self._schema, hide_suggestions=not introspection)
        self._rules = rules
        self._info = info
        self._compiled = compiled
        self.declined = 0  # operations that graphql-core ran

    async def prepare(self, operation: Operation) -> Prepared | Rejected:
        """Return the operation ready to run, or why it cannot run."""
        return await self._documents.prepare(operation)

    async def execute(self, operations: Sequence[Prepared | Rejected], context: Any) -> list[Result | Rejected]:
        """Run one operation, or queries at the same time; those with the same plan run together."""
        if len(operations) == 1:
            [each] = operations
            only = each if isinstance(each, Rejected) else await self._ready(each, context)
            return await self._run([only], context) if isinstance(only, _Ready) else [only]
        results: dict[int, Result | Rejected] = {}
        together: dict[Any, list[tuple[int, _Ready]]] = {}
        for number, each in enumerate(operations):
            ready = each if isinstance(each, Rejected) else await self._ready(each, context)
            if isinstance(ready, _Ready):
                alone = ready.plan is None or ready.plan.varies
                together.setdefault(number if alone else ready.plan, []).append((number, ready))
            else:
                results[number] = ready
        runs = [self._run([ready for _, ready in pairs], context) for pairs in together.values()]
        for pairs, found in zip(together.values(), await asyncio.gather(*runs), strict=True):
            results.update((number, result) for (number, _), result in zip(pairs, found, strict=True))
        return [results[number] for number in range(len(operations))]

    async def _ready(self, prepared: Prepared, context: Any) -> _Ready | Rejected | Result:
        """Return the operation with its plan and its variables, or why it does not run."""
        variables = await self._variables(prepared)
        if isinstance(variables, Rejected):
            return variables
        try:
            charge(await self._measured(prepared, variables), context.resources.settings, context.budget)
        except GraphQLError as error:
            return Rejected([error])
        plan = await self._plan(prepared, variables) if self._compiled else None
        if plan is not None and plan.type is OperationType.MUTATION:
            roots = ((each.key, each.nodes[0], each.rule, each.root.signs_in) for each in plan.root.fields if each.root)
            denied = denied_mutation(context.viewer, roots)
            if denied is not None:
                return Result(None, [denied])
        return _Ready(prepared, variables, plan)

    async def _run(self, operations: Sequence[_Ready], context: Any) -> list[Result | Rejected]:
        """Run operations with the same plan; without a plan there is one."""
        plan = operations[0].plan
        if plan is None:
            return [await self._interpret(operations[0].prepared, context)]
        run = Run(plan, context, [each.variables for each in operations], self._info)
        return [Result(data, errors) for data, errors in await run.execute()]

    async def _variables(self, prepared: Prepared) -> VariableValues | Rejected:
        if not prepared.definition.variable_definitions:
            return NO_VARIABLES
        given = prepared.variables or {}
        if any(isinstance(value, list | dict) for value in given.values()) and _is_large(given):
            return await aside(self._coerced, prepared)
        return self._coerced(prepared)

    def _coerced(self, prepared: Prepared) -> VariableValues | Rejected:
        definitions, given = prepared.definition.variable_definitions or (), prepared.variables or {}
        known: Kept[Variables] = prepared.document.variables
        found = known.get(prepared.name, lambda: Variables(self._schema, prepared.definition)).coerce(given)
        if found is not None:
            return found
        too_long = long_list_error(self._schema, prepared.definition, given)
        if too_long is not None:
            return Rejected([too_long])
        values = get_variable_values(self._schema, definitions, given, MOST_PROBLEMS, self._documents.hide_suggestions)
        if isinstance(values, VariableValues):
            return values
        error = variable_error(self._schema, prepared.definition, prepared.variables)
        return Rejected(values if error is None else [error])

    async def _plan(self, prepared: Prepared, variables: VariableValues) -> Plan | None:
        """Return the plan of an operation; None if the compiler declines it."""
        document, given = prepared.document, variables.coerced

        def make() -> Plan | None:
            compiler = Compiler(self._schema, self._config, self._rules, document.fragments, self._introspection.root)
            try:
                return compiler.compile(prepared.definition, given)
            except DeclinedError:
                return None

        plans: Kept[Plan | None] = document.plans
        key = prepared.name, None in given.values(), *map(given.get, document.flags)
        if plans and key not in plans:
            self._documents.has_grown(document)
        return await _kept(plans, key, make, document)

    async def _measured(self, prepared: Prepared, variables: VariableValues) -> Measured:
        """Return the cost of an operation, which depends on the variables that are sizes, and on which are given."""
        document, given = prepared.document, variables.coerced
        sizes = map(given.get, document.sizes)
        present = (name for name, value in given.items() if value is not None)
        key = (prepared.name, *(len(size) if isinstance(size, list) else size for size in sizes), *present)
        costs: Kept[Measured] = document.costs

        def make() -> Measured:
            return measure(self._schema, prepared.definition, document.fragments, given)

        return await _kept(costs, key, make, document)

    async def _interpret(self, prepared: Prepared, context: Any) -> Result | Rejected:
        """Run an operation by graphql-core."""
        self.declined += 1
        context.loaders.shielded = True
        result = execute(
            self._schema,
            prepared.document.node,
            context_value=context,
            variable_values=prepared.variables,
            operation_name=prepared.name,
            executor_class=AccessExecutor,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            hide_suggestions=self._documents.hide_suggestions,
        )
        if not isinstance(result, ExecutionResult):
            result = await result
        errors = result.errors or []
        if result.data is None and errors and not any(error.path for error in errors):
            return Rejected(errors)
        return Result(result.data, errors)


def _is_large(variables: dict[str, Any]) -> bool:
    try:
        return len(orjson.dumps(variables)) > SHORT_VARIABLES
    except TypeError:  # nested so deeply that orjson does not write what it has read
        return True


async def _kept(kept: Kept[T], key: Hashable, make: Callable[[], T], document: Document) -> T:
    """Return what is kept of a document. What is new is made where it does not delay others."""
    if key not in kept:
        if document.long:
            return await aside(kept.get, key, make)
        await pause()
    return kept.get(key, make)

"""Root fields: queries, and mutations whose payload has the errors that the caller can fix."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import strawberry
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from service import limits
from service.access.authorize import require_recent
from service.access.rules import Access, Open, Public
from service.compiler.kinds import ENTITIES, ROOT
from service.context import Context, Info
from service.errors import ErrorCode, MutationRejected, Problem, Problems
from service.fields import column, described
from service.idempotency import FIELD, AlreadyDone, idempotency_key
from service.inputs import changes, normalize
from service.nodes import Wanted, find_wanted
from service.weights import LOOKUP, WEIGHT, Weight

RECENT = f". A session must have been authenticated within {limits.RECENT_AUTHENTICATION // 60} minutes"
StrawberryInfo: TypeAlias = strawberry.Info[Context, None]


@dataclass(frozen=True, slots=True)
class Root:
    """What executors know of a root field.

    This is the function behind it, and whether it may change the caller.
    """

    function: Callable[..., Any]
    signs_in: bool = False


@strawberry.type(description="One thing that the caller of a mutation can fix")
class UserError(Open):
    """The GraphQL form of errors.Problem."""

    code: ErrorCode = column("Reason, for programs")
    message: str = column("Reason, for people")
    field: list[str] | None = column('Path inside `input`, such as ["billingAddress", "country"]')

    @classmethod
    def of(cls, problem: Problem) -> UserError:
        """Return the problem as it is sent to the client."""
        return cls(code=problem.code, message=problem.message, field=list(problem.field) or None)


@strawberry.type
class Payload(Open):
    """Base of every payload. If there are errors, nothing was changed."""

    errors: list[UserError] = strawberry.field(
        description="What the caller can fix; empty if the mutation was carried out", default_factory=list
    )

    @classmethod
    async def repeated(cls, _info: Info, name: str, row: Any) -> Self:
        """Return the payload of a repeated request; `row` is what the first request created, in the field `name`."""
        return cls(**{name: row})


def result(description: str, *, items: int | None = None) -> Any:
    """Declare a field of a payload; it is null if there are errors. A list has at most `items` for the cost limits."""
    metadata = {} if items is None else {WEIGHT: Weight(items=items)}
    return strawberry.field(description=description, default=None, metadata=metadata)


def _description(function: Callable[..., Any], access: Access | Public) -> str:
    """Return the first paragraph of the docstring as one line, with the permission that the access requires."""
    text = " ".join((function.__doc__ or "").split("\n\n", maxsplit=1)[0].split()).removesuffix(".")
    return described(text, access)


def query(access: Access | Public, *, weight: Weight = LOOKUP) -> Callable[[Callable[..., Any]], StrawberryField]:
    """Declare a field of Query; the function's docstring is its description. `weight` is for the cost limits."""

    def declare(function: Callable[..., Any]) -> StrawberryField:
        @functools.wraps(function)
        async def run(info: StrawberryInfo, **arguments: Any) -> Any:
            found = function(Info(info.context, info.field_name), **arguments)
            if isinstance(found, Wanted):
                return (await find_wanted(info.context, [found]))[0]
            return await found if inspect.isawaitable(found) else found

        return strawberry.field(
            _resolvable(run, function, nullable=False),
            description=_description(function, access),
            directives=[access],
            metadata={ROOT: Root(function), WEIGHT: weight},
        )

    return declare


def mutation(
    access: Access | Public,
    *,
    collects_problems: bool = False,
    idempotent: str | None = None,
    signs_in: bool = False,
    sensitive: bool = False,
    weight: Weight | None = None,
) -> Callable[[Callable[..., Awaitable[Payload]]], StrawberryField]:
    """Declare a field of Mutation: a function of `(info, input)` or `(info)` that returns its payload.

    The limits of the input are checked before the function runs; what it rejects becomes the payload's `errors`.
    With `collects_problems` it runs in spite of such problems, and adds its own to `info.problems`: the first statement
    that changes data raises all of them (see `write`). `idempotent` is the payload's field that a repeated request with
    the same `idempotencyKey` returns. `signs_in` says that later mutations of the document may have another caller.
    `sensitive` requires a session that was authenticated recently, and by its own user. `weight` is for the cost
    limits, where one field stands for many writes.
    """

    def declare(function: Callable[..., Awaitable[Payload]]) -> StrawberryField:
        call = _with_errors(function, collects_problems=collects_problems, idempotent=idempotent, sensitive=sensitive)

        @functools.wraps(function)
        async def run(info: StrawberryInfo, **arguments: Any) -> Payload:
            return await call(Info(info.context, info.field_name), **arguments)

        field = strawberry.mutation(
            _resolvable(run, function, nullable=True),
            description=_description(function, access) + (RECENT if sensitive else ""),
            directives=[access],
            metadata={ROOT: Root(call, signs_in)} | ({} if weight is None else {WEIGHT: weight}),
        )
        for argument in field.arguments:
            argument.description = f"Input of {to_camel_case(function.__name__)}"
        return field

    return declare


def _with_errors(
    function: Callable[..., Awaitable[Payload]], *, collects_problems: bool, idempotent: str | None, sensitive: bool
) -> Callable[..., Awaitable[Payload]]:
    """Return the function with the limits of its input, its idempotency, and the errors of its payload."""

    async def call(info: Info, **arguments: Any) -> Payload:
        payload = _payload_of(function)
        if sensitive:
            require_recent(info.context.actor)
        try:
            given = arguments.get("input")
            if given:
                info.problems = Problems(normalize(given))
                if not collects_problems:
                    info.problems.raise_if_any()
                if idempotent is not None and not info.problems:
                    await _claim_key(info, given)
            answer = await function(info, **arguments)
            info.problems.raise_if_any()
        except AlreadyDone as done:
            return await _repeated(info, payload, idempotent or "", done.result_id)
        except MutationRejected as rejection:
            found = dict.fromkeys((*info.problems, *rejection.problems))
            return payload(errors=[UserError.of(problem) for problem in found], **rejection.objects)
        return answer

    return call


def _resolvable(run: Callable[..., Any], function: Callable[..., Any], *, nullable: bool) -> Callable[..., Any]:
    """Give `run` the signature of the function, with Strawberry's Info in place of ours."""
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(annotation=StrawberryInfo) if name == "info" else parameter
        for name, parameter in signature.parameters.items()
    ]
    returned = f"{signature.return_annotation} | None" if nullable else signature.return_annotation
    run.__signature__ = signature.replace(parameters=parameters, return_annotation=returned)  # type: ignore[attr-defined]
    return run


@functools.cache
def _payload_of(function: Callable[..., Any]) -> type[Payload]:
    """Return the payload class of a mutation; at its first run, because annotations may refer to later modules."""
    return typing.get_type_hints(function)["return"]  # type: ignore[no-any-return]


async def _claim_key(info: Info, given: Any) -> None:
    key = getattr(given, FIELD, None)
    if key:
        info.idempotency = await idempotency_key(
            info.context.resources.hasher, info.field_name, key, {**changes(given), FIELD: None}
        )


async def _repeated(info: Info, payload: type[Payload], name: str, result_id: str | None) -> Payload:
    """Return the payload of the first request, with the object as it is now."""
    info.context.loaders.forget()
    [field] = [each for each in payload.__strawberry_definition__.fields if each.python_name == name]  # type: ignore[attr-defined]
    by_id = ENTITIES[field.type.of_type.__name__].by_id
    row = None if result_id is None else await info.context.loaders.one(by_id, result_id)
    if row is None:
        problem = Problem(
            ErrorCode.NOT_FOUND, "The object that this key created no longer exists.", ("idempotencyKey",)
        )
        return payload(errors=[UserError.of(problem)])
    return await payload.repeated(info, name, row)

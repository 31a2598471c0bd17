"""How a mutation answers: a payload whose `errors` say what the caller can mend."""

from __future__ import annotations

import functools
import typing
from collections.abc import Awaitable, Callable
from typing import Any

import strawberry
from strawberry.types.field import StrawberryField
from strawberry.utils.str_converters import to_camel_case

from service.access import Access, Open, Public
from service.errors import ErrorCode, Problem, Refused
from service.inputs import check


@strawberry.type(description="One thing that the caller of a mutation can mend")
class UserError(Open):
    """Served from errors.Problem."""

    code: ErrorCode = strawberry.field(description="What is wrong, for programs")
    message: str = strawberry.field(description="What is wrong, for people")
    field: list[str] | None = strawberry.field(description='Path inside `input`, such as ["billingAddress", "country"]')

    @classmethod
    def of(cls, problem: Problem) -> UserError:
        """The problem as it is served."""
        return cls(code=problem.code, message=problem.message, field=list(problem.field) or None)


@strawberry.type
class Payload(Open):
    """Base of every payload: the other fields are null where there are errors."""

    errors: list[UserError] = strawberry.field(
        description="What the caller can mend; empty where the mutation was carried out", default_factory=list
    )


def description_of(function: Callable[..., Any]) -> str:
    """The first paragraph of the docstring, as GraphQL shows it: one line, no final period."""
    return " ".join((function.__doc__ or "").split("\n\n", maxsplit=1)[0].split()).removesuffix(".")


def query(access: Access | Public) -> Callable[[Callable[..., Any]], StrawberryField]:
    """A root field of Query; its description is the function's docstring."""

    def declare(function: Callable[..., Any]) -> StrawberryField:
        return strawberry.field(function, description=description_of(function), directives=[access])

    return declare


def mutation(access: Access | Public) -> Callable[[Callable[..., Awaitable[Payload]]], StrawberryField]:
    """A root field of Mutation: its input is checked first, and what it refuses becomes the payload's `errors`.

    The function takes `(info, input)` or `(info)` and returns its payload; its docstring is the description.
    """

    def declare(function: Callable[..., Awaitable[Payload]]) -> StrawberryField:
        @functools.wraps(function)
        async def run(*args: Any, **kwargs: Any) -> Payload:
            try:
                if kwargs.get("input") is not None:
                    check(kwargs["input"])
                return await function(*args, **kwargs)
            except Refused as refusal:
                payload = typing.get_type_hints(function)["return"]
                return typing.cast("Payload", payload(errors=[UserError.of(problem) for problem in refusal.problems]))

        field = strawberry.mutation(run, description=description_of(function), directives=[access])
        for argument in field.arguments:
            argument.description = f"Input of {to_camel_case(function.__name__)}"
        return field

    return declare

"""Arguments that several queries share, and the checks that they have in common."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, partial
from typing import Annotated, Any

import strawberry

from service import limits
from service.context import Info
from service.errors import bad_input
from service.inputs import UNSET, ExactText, normalize, normalized
from service.pagination import PAGE_ARGUMENTS, Page, Window

First = Annotated[int | None, strawberry.argument(description=PAGE_ARGUMENTS["first"])]
After = Annotated[str | None, strawberry.argument(description=PAGE_ARGUMENTS["after"])]
Last = Annotated[int | None, strawberry.argument(description=PAGE_ARGUMENTS["last"])]
Before = Annotated[str | None, strawberry.argument(description=PAGE_ARGUMENTS["before"])]


def checked(value: Any, argument: str) -> dict[str, Any]:
    """Return the fields of an input that were given. Raise BAD_USER_INPUT, because a query has no payload for problems.

    The error has every problem with its path.
    """
    problems = [
        {
            "path": [argument, *(int(part) if part.isdigit() else part for part in problem.field)],
            "message": problem.message,
        }
        for problem in normalize(value)
    ]
    if problems:
        raise bad_input(str(problems[0]["message"]), argument=argument, problems=problems)
    return {name: item for name, item in vars(value).items() if item is not UNSET and item is not None}


def search_text(search: str | None) -> str | None:
    """Return the normalized text of a search, or None for an empty one."""
    if search is None:
        return None
    for problem in ExactText(limits.SEARCH, least=0).apply(search, ("search",))[1]:
        raise bad_input(problem.message, argument="search")
    return normalized(search) or None


async def list_page(info: Info, statement: str, window: Window, filters: Mapping[str, Any]) -> Any:
    """Return a page of a list, with a count on demand."""
    database, bounds = info.context.resources.database, window.bounds
    if info.text is not None and not window.backward and info.text.is_open(info.context.actor.authority):
        given = dict(window.text_parameters)
        return info.text.page(await database.read_page_text(statement, bounds, filters, given, info.text.columns))
    columns = info.columns(database.statements[statement].row or "")
    rows = await database.read_page(statement, bounds, filters, dict(window.parameters), columns)
    count = cache(partial(database.read_count, statement, filters))  # for all fields that show it
    return Page(window, rows, lambda _keys: count())

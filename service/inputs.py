"""What a mutation takes: input fields with their limits, checked in one place before the mutation runs.

Absent fields are UNSET and keep their value, null clears it. A text's limits are declared with the field; a test finds
the text without limits.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from service.errors import ErrorCode, Problem, Refused
from service.formats import UNSTORABLE

UNSET = strawberry.UNSET
_LIMIT = "limit"


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """Characters of a text."""

    least: int
    most: int
    lines: bool = False

    def problem(self, value: str, path: tuple[str, ...]) -> Problem | None:
        """What is wrong with the text."""
        if len(value) > self.most:
            return Problem(ErrorCode.TOO_LONG, f"This may have {self.most} characters at most", path)
        if len(value.strip()) < self.least:
            code = ErrorCode.REQUIRED if not value.strip() else ErrorCode.TOO_SHORT
            return Problem(code, f"This needs {self.least} characters at least", path)
        if UNSTORABLE.search(value) or (not self.lines and _CONTROL.search(value)):
            return Problem(ErrorCode.INVALID, "Control characters are not allowed here", path)
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class Number:
    """Range of a whole number."""

    least: int
    most: int

    def problem(self, value: int, path: tuple[str, ...]) -> Problem | None:
        """What is wrong with the number."""
        if not self.least <= value <= self.most:
            return Problem(ErrorCode.INVALID, f"This must be between {self.least} and {self.most}", path)
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class Items:
    """How many items a list may have."""

    most: int
    least: int = 0

    def problem(self, value: list[Any], path: tuple[str, ...]) -> Problem | None:
        """What is wrong with the list."""
        if len(value) > self.most:
            return Problem(ErrorCode.TOO_LONG, f"This may have {self.most} items at most", path)
        if len(value) < self.least:
            return Problem(ErrorCode.REQUIRED, f"This needs {self.least} items at least", path)
        return None


_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
NAME = Text(1, 255)
SHORT_NAME = Text(1, 31)
# Length and strength of a new password are the policy's business; this one bounds what is hashed at all
PASSWORD = Text(1, 512, lines=True)
LIMIT_VALUE = Number(0, 2_147_483_647)


def given(description: str, limit: Text | Number | Items | None = None, *, default: Any = dataclasses.MISSING) -> Any:
    """A field of an input type, required unless it has a default; `default=UNSET` for one that may be absent."""
    return strawberry.field(description=description, default=default, metadata={_LIMIT: limit})


def optional(description: str, limit: Text | Number | Items | None = None) -> Any:
    """A field that may be absent: it keeps its value."""
    return given(description, limit, default=UNSET)


def changes(value: Any, *names: str) -> dict[str, Any]:
    """The fields of an input that were given, null included; all of them, or only those named."""
    found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: item for name, item in found.items() if item is not UNSET and (not names or name in names)}


def check(value: Any) -> None:
    """Refuses an input whose fields break their limits, with every problem at once."""
    problems = list(_problems(value, ()))
    if problems:
        raise Refused(*problems)


def _problems(value: Any, path: tuple[str, ...]) -> Iterator[Problem]:
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if item is None or item is UNSET:
            continue
        here = (*path, to_camel_case(field.name))
        limit = field.metadata.get(_LIMIT)
        if limit is not None:
            problem = limit.problem(item, here)
            if problem is not None:
                yield problem
        elif dataclasses.is_dataclass(item):
            yield from _problems(item, here)

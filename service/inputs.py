"""Fields of input types and their limits.

A field declares its limit once: `normalize` applies it to a whole input, before the mutation runs. Absent fields are
UNSET and keep their value, null clears it. A test reports every text and list without a limit.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from typing import Any, TypeAlias

import strawberry
from strawberry.utils.str_converters import to_camel_case

from service import limits
from service.errors import ErrorCode, Problem
from service.parsing import UNSTORABLE

UNSET = strawberry.UNSET
LIMIT = "limit"

# Characters of the category Zs, and what a person may type in a text of several lines
_SPACES = re.compile(r"[^\S\n]+")
_LINE_BREAKS = re.compile(r"\r\n?|[\u2028\u2029]")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
# SECURITY: invisible characters make two texts that look the same (Unicode Technical Standard 39). This is the property
# Default_Ignorable_Code_Point, with the blank Braille pattern. Bidirectional controls are a part of it.
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
# What is invisible without having the property: an invisible beam, the Khitan filler, the object replacement
_BLANK = frozenset("\U0001d159\U00016fe4\ufffc")
# Format and private-use characters, and those that no version of Unicode will use
_UNSEEN = frozenset({"Cf", "Co", "Cn"})
_NONCHARACTERS = 0xFFFE  # of every plane, and the one after it
# Joiners and variation selectors inside a word or an emoji; at its end they are invisible
_JOINED = re.compile("(?<=[^\\s\u200c\u200d])[\u200c\u200d](?=[^\\s\u200c\u200d])|(?<=\\S)\ufe0f|(?<=\\S)\ufe0e")


def normalized(text: str, *, multiline: bool = False) -> str:
    """Return the text in Unicode's normal form NFC, trimmed, with single spaces between its words."""
    composed = _LINE_BREAKS.sub("\n", unicodedata.normalize("NFC", text))
    if not multiline:
        return " ".join(composed.split())
    return _SPACES.sub(" ", composed).strip()


def name_of(path: tuple[str, ...]) -> str:
    """Return the name of a field in messages; an item of a list has its position, such as `event[0]`."""
    return f"{path[-2]}[{path[-1]}]" if path[-1].isdigit() else path[-1]


def _has_invisible(text: str, *, new: bool) -> bool:
    """Return whether a character has no look of its own. `new` allows unassigned ones, such as emoji of next year."""
    if text.isascii():
        return False
    for character in text:
        category = unicodedata.category(character)
        if character in _BLANK or (
            category in _UNSEEN and not (new and category == "Cn" and _may_be_assigned(character))
        ):
            return True
    return _INVISIBLE.search(text) is not None


def _may_be_assigned(character: str) -> bool:
    """Return whether a character is none of Unicode's 66 noncharacters."""
    return character < "\ufdd0" or (character > "\ufdef" and ord(character) % 0x10000 < _NONCHARACTERS)


def _length_problem(text: str, least: int, most: int) -> tuple[ErrorCode, str] | None:
    if len(text) > most:
        return ErrorCode.TOO_LONG, f"must have at most {most} characters"
    if len(text) < least:
        if not text:
            return ErrorCode.REQUIRED, "must not be empty"
        return ErrorCode.TOO_SHORT, f"must have at least {least} characters"
    return None


def _problems(found: tuple[ErrorCode, str] | None, path: tuple[str, ...]) -> list[Problem]:
    return [Problem(found[0], f"{name_of(path)} {found[1]}.", path)] if found else []


@dataclasses.dataclass(frozen=True, slots=True)
class Text:
    """A text that people read: normalized, of `least` to `most` characters, all of them visible.

    `joiners` allows the characters that join letters and emoji. It is for texts that need not be unique.
    """

    most: int
    least: int = 1
    multiline: bool = False
    joiners: bool = False

    def apply(self, value: str, path: tuple[str, ...]) -> tuple[str, list[Problem]]:
        """Return the normalized text, and what is wrong with it."""
        # Spaces at the ends and combining characters do not count, within reason
        text = value if len(value) > 4 * self.most else normalized(value, multiline=self.multiline)
        if len(text) <= self.most and (UNSTORABLE.search(value) or _CONTROL.search(value)):
            found: tuple[ErrorCode, str] | None = (ErrorCode.INVALID, "must not contain control characters")
        else:
            found = _length_problem(text, self.least, self.most)
        if found is None and _has_invisible(_JOINED.sub("", text) if self.joiners else text, new=self.joiners):
            found = (ErrorCode.INVALID, "must not contain invisible characters")
        return text, _problems(found, path)


@dataclasses.dataclass(frozen=True, slots=True)
class ExactText:
    """A text that is taken as it is: a password, a key, or a value that has its own rules.

    `trimmed` removes the spaces around it, which people copy with a token.
    """

    most: int
    least: int = 1
    trimmed: bool = False

    def apply(self, value: str, path: tuple[str, ...]) -> tuple[str, list[Problem]]:
        """Return the text, and what is wrong with it."""
        if self.trimmed:
            value = value.strip()
        found = _length_problem(value, self.least, self.most)
        if found is None and UNSTORABLE.search(value):
            found = (ErrorCode.INVALID, "must not contain NUL or unpaired surrogates")
        return value, _problems(found, path)


@dataclasses.dataclass(frozen=True, slots=True)
class Number:
    """A whole number from `least` to `most`."""

    least: int
    most: int

    def apply(self, value: int, path: tuple[str, ...]) -> tuple[int, list[Problem]]:
        """Return the number, and what is wrong with it."""
        if self.least <= value <= self.most:
            return value, []
        return value, [
            Problem(ErrorCode.INVALID, f"{name_of(path)} must be between {self.least} and {self.most}.", path)
        ]


@dataclasses.dataclass(frozen=True, slots=True)
class Items:
    """A list of `least` to `most` items; `text` is the limit of each."""

    most: int
    least: int = 0
    text: ExactText | None = None

    def apply(self, value: list[Any], path: tuple[str, ...]) -> tuple[list[Any], list[Problem]]:
        """Return the list, and what is wrong with it."""
        if len(value) > self.most:
            return value, _problems((ErrorCode.TOO_LONG, f"must have at most {self.most} items"), path)
        if len(value) < self.least:
            text = "must not be empty" if self.least == 1 else f"must have at least {self.least} items"
            return value, _problems((ErrorCode.REQUIRED, text), path)
        if self.text is None:
            return value, []
        found = (self.text.apply(item, (*path, str(position)))[1] for position, item in enumerate(value))
        return value, [problem for problems in found for problem in problems]


@dataclasses.dataclass(frozen=True, slots=True)
class Future:
    """A time that is still to come."""

    def apply(self, value: dt.datetime, path: tuple[str, ...]) -> tuple[dt.datetime, list[Problem]]:
        """Return the time, and what is wrong with it."""
        if value > dt.datetime.now(dt.UTC):
            return value, []
        return value, [Problem(ErrorCode.INVALID, f"{name_of(path)} must be in the future.", path)]


camel_case = cache(to_camel_case)  # of names in the code, which are few
Limit: TypeAlias = Text | ExactText | Number | Items | Future

PERSON_NAME = Text(limits.NAME, joiners=True)
NAME = Text(limits.NAME)
KEY_NAME = Text(limits.KEY_NAME)
DESCRIPTION = Text(limits.DESCRIPTION, least=0, multiline=True, joiners=True)
EXTERNAL_ID = Text(limits.NAME)
PASSWORD = ExactText(limits.PASSWORD)
IDEMPOTENCY_KEY = ExactText(limits.IDEMPOTENCY_KEY)
TOKEN = ExactText(limits.TOKEN, trimmed=True)  # valid once
TWO_FACTOR_CODE = ExactText(limits.TWO_FACTOR_CODE)


def given(description: str, limit: Limit | None = None, *, default: Any = dataclasses.MISSING) -> Any:
    """Declare a field of an input type: required unless it has a default."""
    return strawberry.field(description=description, default=default, metadata={LIMIT: limit})


def optional(description: str, limit: Limit | None = None) -> Any:
    """Declare a field of an input type that may be absent; it then keeps its value."""
    return given(description, limit, default=UNSET)


def changes(value: Any, *names: str) -> dict[str, Any]:
    """Return the fields of an input that were given, null included; all of them, or only those named."""
    found = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {name: item for name, item in found.items() if item is not UNSET and (not names or name in names)}


@cache
def _limits_of(input_type: Any) -> list[tuple[str, str, Limit | None]]:
    """Return the name, the name in the schema, and the limit of each field of an input type."""
    fields = dataclasses.fields(input_type)
    return [(field.name, camel_case(field.name), field.metadata.get(LIMIT)) for field in fields]


def normalize(value: Any, path: tuple[str, ...] = ()) -> Iterator[Problem]:
    """Replace the texts of an input by their normalized form; yield every field that breaks its limit."""
    for name, shown, limit in _limits_of(type(value)):  # type: ignore[arg-type]
        item = getattr(value, name)
        if item is None or item is UNSET:
            continue
        if limit is not None:
            item, problems = limit.apply(item, (*path, shown))
            setattr(value, name, item)
            yield from problems
        elif dataclasses.is_dataclass(item):
            yield from normalize(item, (*path, shown))

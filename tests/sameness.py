"""Comparison of two answers to one document.

Executors may run fields in another order. So they may report another one of several errors that make the same object
null, and they may report a denial, which is reported once per field of the document, on another row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, TypeAlias

from service.errors import ApiErrorCode

Answer: TypeAlias = dict[str, Any]
Path: TypeAlias = tuple[str | int, ...]
DENIALS = {
    ApiErrorCode.DELETION_SCHEDULED.value,
    ApiErrorCode.FORBIDDEN.value,
    ApiErrorCode.UNAUTHENTICATED.value,
    ApiErrorCode.USER_SUSPENDED.value,
}


def differences(one: Answer, other: Answer) -> list[str]:
    """Return how the answers differ; nothing if both are right answers to the same document."""
    found = []
    # As text, because it has the order of the keys
    if json.dumps(one.get("data")) != json.dumps(other.get("data")) or ("data" in one) != ("data" in other):
        found.append(f"data: {json.dumps(one.get('data'))}\n  != {json.dumps(other.get('data'))}")
    if one.keys() - {"data"} != other.keys() - {"data"}:
        found.append(f"members: {sorted(one)} != {sorted(other)}")
    for first, second, text in ((one, other, "first"), (other, one, "second")):
        found += [f"the {text} answer has two denials of {each}" for each in _denied_twice(first)]
        missing = _reported(first, certain=True) - _reported(second, certain=False)
        found += [f"only the {text} answer has the error {each}" for each in sorted(missing)]
    causes, others = _nulled(one), _nulled(other)
    found += [f"only one answer has an error at or below {each}" for each in sorted(causes ^ others)]
    return found


def exact(one: Answer, other: Answer) -> bool:
    """Return whether the answers are the same, with every error; only the order of the errors may differ."""
    errors = [sorted(_text(error, _path(error)) for error in answer.get("errors", ())) for answer in (one, other)]
    return not differences(one, other) and errors[0] == errors[1]


def _path(error: dict[str, Any]) -> Path:
    return tuple(error.get("path") or ())


def _names(path: Path) -> Path:
    return tuple(part for part in path if isinstance(part, str))


def _text(error: dict[str, Any], path: Path) -> str:
    """Return everything about an error except the id of its request."""
    extensions = {name: value for name, value in (error.get("extensions") or {}).items() if name != "requestId"}
    members = {name: value for name, value in error.items() if name not in {"path", "extensions"}}
    return json.dumps([list(path), members, extensions], sort_keys=True)


def _errors(answer: Answer) -> Iterator[tuple[dict[str, Any], Path, Path | None]]:
    """Yield each error with its path, and the path of the object above it that is null."""
    for error in answer.get("errors", ()):
        path = _path(error)
        yield error, path, _null_above(answer.get("data"), path)


def _null_above(data: Any, path: Path) -> Path | None:
    for length, part in enumerate(path):
        if data is None:
            return path[:length]
        if not (part in data if isinstance(data, dict) else isinstance(part, int) and part < len(data)):
            return None  # no value has this path, which is then compared as it is
        data = data[part]
    return None


def _reported(answer: Answer, *, certain: bool) -> set[str]:
    """Return the errors; if `certain`, only those that every executor reports."""
    found = set()
    for error, path, null in _errors(answer):
        if null is None or not certain:
            found.add(_text(error, _names(path) if _is_denial(error) else path))
    return found


def _denied_twice(answer: Answer) -> list[str]:
    """Return the fields of the document that have more than one denial."""
    found = Counter(
        f"{_names(path)} at {error.get('locations', [])[:1]}" for error, path, _ in _errors(answer) if _is_denial(error)
    )
    return [name for name, number in found.items() if number > 1]


def _is_denial(error: dict[str, Any]) -> bool:
    return (error.get("extensions") or {}).get("code") in DENIALS


def _nulled(answer: Answer) -> set[Path]:
    """Return the fields whose value is null because of an error below them."""
    return {_names(null) for _, _, null in _errors(answer) if null is not None}

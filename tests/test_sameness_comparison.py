"""The comparison of two answers: what it reports, and what executors may do differently."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from tests.sameness import Answer, differences, exact


def error(*path: str | int, code: str = "INTERNAL", message: str = "It failed.", **extensions: Any) -> dict[str, Any]:
    locations = [{"line": 1, "column": 7}]
    return {"message": message, "locations": locations, "path": [*path], "extensions": {"code": code, **extensions}}


ANSWER: Answer = {
    "data": {"users": [{"id": 1, "email": None}, {"id": 2, "email": None}], "me": None, "plans": [{"name": None}]},
    "errors": [
        error("users", 0, "email", code="FORBIDDEN"),
        error("me", "displayName", requestId="a"),
        error("plans", 0, "name", requestId="a"),
    ],
}


def altered(*path: str | int, value: Any) -> Answer:
    """Return the answer with another value at the path."""
    answer = deepcopy(ANSWER)
    place: Any = answer
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return answer


def without(position: int) -> Answer:
    """Return the answer without one of its errors."""
    return altered("errors", value=[each for at, each in enumerate(ANSWER["errors"]) if at != position])


ALTERED = {
    "value": altered("data", "users", 0, "id", value=2),
    "value of another type": altered("data", "users", 0, "id", value=True),
    "order of keys": altered("data", "users", 0, value={"email": None, "id": 1}),
    "order of items": altered("data", "users", value=[ANSWER["data"]["users"][1], ANSWER["data"]["users"][0]]),
    "missing item": altered("data", "users", value=ANSWER["data"]["users"][:1]),
    "missing key": altered("data", "users", 0, value={"id": 1}),
    "further key": altered("data", "users", 0, value={"id": 1, "email": None, "a": None}),
    "no data": {"errors": ANSWER["errors"]},
    "no errors": {"data": ANSWER["data"]},
    "missing denial": without(0),
    "missing cause of null": without(1),
    "missing error": without(2),
    "message": altered("errors", 2, "message", value="It failed again."),
    "code": altered("errors", 2, "extensions", "code", value="UNAVAILABLE"),
    "extension": altered("errors", 2, "extensions", "permission", value="users.read"),
    "path": altered("errors", 2, "path", value=["plans", 0, "id"]),
    "index": altered("errors", 2, "path", value=["users", 1, "email"]),
    "location": altered("errors", 2, "locations", value=[{"line": 1, "column": 8}]),
    "no path": altered("errors", 2, value={"message": "It failed."}),
    "message of a denial": altered("errors", 0, "message", value="Sign in first."),
    "path of a denial": altered("errors", 0, "path", value=["users", 0, "id"]),
    "denial on every row": altered("errors", value=[*ANSWER["errors"], error("users", 1, "email", code="FORBIDDEN")]),
    "status": {**ANSWER, "status": 400},
}
ALLOWED = {
    "the same answer": deepcopy(ANSWER),
    "order of errors": altered("errors", value=ANSWER["errors"][::-1]),
    "id of the request": altered("errors", 2, "extensions", "requestId", value="b"),
    "denial on another row": altered("errors", 0, "path", value=["users", 1, "email"]),
    "another cause of null": altered("errors", 1, value=error("me", "permissions", message="It failed, too.")),
    "two causes of null": altered("errors", value=[*ANSWER["errors"], error("me", "permissions")]),
}


@pytest.mark.parametrize("name", ALTERED)
def test_an_altered_answer_is_reported(name: str) -> None:
    assert differences(ANSWER, ALTERED[name])
    assert differences(ALTERED[name], ANSWER)
    assert not exact(ANSWER, ALTERED[name])


@pytest.mark.parametrize("name", ALLOWED)
def test_what_executors_may_do_differently_is_not_reported(name: str) -> None:
    assert differences(ANSWER, ALLOWED[name]) == []
    assert differences(ALLOWED[name], ANSWER) == []


def test_only_the_order_and_the_request_may_differ_in_exact_answers() -> None:
    found = {name for name, answer in ALLOWED.items() if exact(ANSWER, answer)}
    assert found == {"the same answer", "order of errors", "id of the request"}


def test_a_denial_counts_on_another_row_than_one_that_became_null() -> None:
    # One executor reports the denial on a row that becomes null for another reason, the other one on the next row
    data = {"users": [None, {"email": None}]}
    one = {"data": data, "errors": [error("users", 0, "email", code="FORBIDDEN"), error("users", 0, "name")]}
    other = {"data": data, "errors": [error("users", 0, "name"), error("users", 1, "email", code="FORBIDDEN")]}
    assert differences(one, other) == []
    assert differences(one, {"data": data, "errors": [error("users", 0, "name")]}) == []
    assert differences(other, {"data": data, "errors": [error("users", 0, "name")]}) != []

"""Heavy documents within the limits, each of a size that is tried from large to small until the service accepts it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from bench.database import Data
from bench.workloads import SCALARS, operation
from service import limits

TREE = f"""{SCALARS} displayName avatarUrl permissions billingAddress {{ city }} limits {{ memoryMb }}
plan {{ id name }} role {{ id name permissions }} sessions(first: 100) {{ nodes {{ id ip device createdAt }} }}
apiKeys(first: 100) {{ nodes {{ id name permissions }} }} sshKeys(first: 100) {{ nodes {{ id publicKey }} }}"""
TYPES = "types { name description fields { name type { name ofType { name } } args { name } } enumValues { name } }"
BATCH = 20
unique = itertools.count()


@dataclass(frozen=True)
class Heavy:
    """A kind of request. `build` returns the body for a size; `most` is the largest size that is tried."""

    name: str
    most: int
    build: Callable[[Data, int], Any]
    anonymous: bool = False
    fails: bool = False  # its errors are what it measures; another document with errors is too large

    def body(self, data: Data, size: int) -> bytes:
        """Return the body of a request."""
        return orjson.dumps(self.build(data, size))


def _aliases(count: int, field: str) -> dict[str, Any]:
    """Return an operation that selects a field often; `%d` in it is the number of the alias."""
    return operation("{ " + " ".join(f"a{index}: {field.replace('%d', str(index))}" for index in range(count)) + " }")


def _some_ids(data: Data, start: int, count: int) -> list[str]:
    return [data.ids[index % len(data.ids)] for index in range(start, start + count)]


def _audit(_data: Data, size: int) -> Any:
    events = f"auditEvents(first: {size}) {{ nodes {{ id event changes actor {{ id username }} }} }}"
    return operation(f"{{ users(first: 100) {{ nodes {{ id {events} }} }} }}")


def _round_trip(_data: Data, size: int) -> Any:
    inner = f"auditEvents(first: {size}) {{ nodes {{ id event createdAt actor {{ id username email }} }} }}"
    return operation(f"{{ me {{ auditEvents(first: 100) {{ nodes {{ id actor {{ {inner} }} }} }} }} }}")


def _plans(_data: Data, size: int) -> Any:
    users = f"users(first: {size}) {{ nodes {{ id username email createdAt }} }}"
    return operation(f"{{ users(first: 100) {{ nodes {{ id plan {{ id {users} }} }} }} }}")


def _tree(_data: Data, size: int) -> Any:
    return operation(f"{{ users(first: {size}) {{ nodes {{ {TREE} }} }} }}")


def _nodes(data: Data, size: int) -> Any:
    names = [f"v{index}" for index in range(size)]
    ids = {name: _some_ids(data, number * 100, 100) for number, name in enumerate(names)}
    declared = " ".join(f"${name}: [ID!]!" for name in names)
    fields = " ".join(f"{name}: nodes(ids: ${name}) {{ id ... on User {{ username email }} }}" for name in names)
    return [operation(f"query ({declared}) {{ {fields} }}", **ids) for _ in range(2)]


def _ids(data: Data, size: int) -> Any:
    fields = "users(first: 100, filter: {ids: $ids}) { totalCount nodes { id username } }"
    pages = " ".join(f"p{index}: {fields}" for index in range(size))
    return operation(f"query ($ids: [ID!]) {{ {pages} }}", ids=_some_ids(data, 0, 100))


def _node_aliases(data: Data, size: int) -> Any:
    fields = (f'n{index}: node(id: "{data.ids[index % len(data.ids)]}") {{ id }}' for index in range(size))
    return operation(f"{{ {' '.join(fields)} }}")


def _searches(_data: Data, size: int) -> Any:
    return _aliases(size, 'users(first: 20, search: "an", orderBy: USERNAME_ASC) { totalCount nodes { id username } }')


def _far_pages(_data: Data, size: int) -> Any:
    return _aliases(size, f"users(first: 20, offset: {limits.OFFSET}) {{ totalCount nodes {{ id }} }}")


def _batch(_data: Data, size: int) -> Any:
    page = f"{{ users(first: {size}) {{ nodes {{ {SCALARS} }} }} }}"
    return [operation(page) for _ in range(BATCH)]


def _introspection(_data: Data, size: int) -> Any:
    return _aliases(size, f"__schema {{ {TYPES} }}")


def _new_document(_data: Data, size: int) -> Any:
    # The name makes each a document that the service has not seen
    fields = " ".join(f"f{index}: username" for index in range(size))
    return operation(f"query Q{next(unique)} {{ users(first: 1) {{ nodes {{ {fields} }} }} }}")


def _overlapping(_data: Data, size: int) -> Any:
    fields = " ".join("me { id username }" for _ in range(size))
    return operation(f"query Q{next(unique)} {{ {fields} }}")


def _field_errors(_data: Data, size: int) -> Any:
    return _aliases(size, 'users(first: 5, after: "wrong%d") { nodes { id } }')


def _invalid(_data: Data, size: int) -> Any:
    fields = " ".join(f"unknown{index}" for index in range(size))
    return operation(f"query Q{next(unique)} {{ {fields} }}")


def _failed_writes(_data: Data, size: int) -> Any:
    fields = (
        f'm{index}: updateUser(input: {{id: "01900000-0000-7000-8000-{index:012d}", firstName: "A"}}) '
        "{ errors { code message } }"
        for index in range(size)
    )
    return operation(f"mutation {{ {' '.join(fields)} }}")


def _settings(_data: Data, size: int) -> Any:
    value = {f"name{index}": [next(unique), "value"] for index in range(size)}
    query = "mutation ($patch: JSON!) { updateSettings(input: {patch: $patch}) { errors { code } } }"
    return operation(query, patch=value)


HEAVY = (
    Heavy("users, 100 events each, actors", 100, _audit),
    Heavy("me, events, actors, events, actors", 100, _round_trip),
    Heavy("users, plans, users of each plan", 100, _plans),
    Heavy("users with everything", 100, _tree),
    Heavy("nodes of 100 ids, by aliases, twice", 80, _nodes),
    Heavy("filters of 100 ids, by aliases", 60, _ids),
    Heavy("node by alias", 400, _node_aliases),
    Heavy("searches with counts, by aliases", 200, _searches),
    Heavy("far offsets with counts, by aliases", 200, _far_pages),
    Heavy("a batch of 20 pages", 100, _batch),
    Heavy("introspection by aliases", 100, _introspection),
    Heavy("introspection by aliases, no credential", 100, _introspection, anonymous=True),
    Heavy("a new long document each time", 1_000, _new_document),
    Heavy("a new document of equal fields each time", 500, _overlapping),
    Heavy("errors of fields, by aliases", 200, _field_errors, fails=True),
    Heavy("errors of validation", 1_000, _invalid, fails=True),
    Heavy("failed writes, by aliases", 100, _failed_writes, fails=True),
    Heavy("settings of many members", 256, _settings),
)

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
    user: bool = False  # an ordinary user in place of the root account
    fails: bool = False  # its errors are what it measures; another document with errors is too large

    def token(self, data: Data) -> str | None:
        """Return the credential of its caller."""
        return None if self.anonymous else data.user_token if self.user else data.token

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


def _computed(_data: Data, size: int) -> Any:
    fields = " ".join(f"a{index}: avatarUrl b{index}: permissions" for index in range(size))
    return operation(f"{{ users(first: 100) {{ nodes {{ {fields} }} }} }}")


def _json(_data: Data, size: int) -> Any:
    fields = " ".join(f"a{index}: changes" for index in range(size))
    return operation(f"{{ auditEvents(first: 100) {{ nodes {{ id {fields} target {{ id }} }} }} }}")


def _edges(_data: Data, size: int) -> Any:
    page = "pageInfo { endCursor } edges { cursor node { id event } }"
    return operation(
        f"{{ users(first: 100) {{ edges {{ cursor node {{ auditEvents(first: {size}) {{ {page} }} }} }} }} }}"
    )


def _totals(_data: Data, size: int) -> Any:
    counts = " ".join(f"a{index}: auditEvents(first: 1) {{ totalCount }}" for index in range(size))
    return operation(f"{{ users(first: 100) {{ nodes {{ id {counts} }} }} }}")


def _catalogue(_data: Data, size: int) -> Any:
    return [_aliases(size, "permissionCatalog { name description kind }") for _ in range(BATCH)]


def _fragments(_data: Data, size: int) -> Any:
    spreads = " ".join(
        f"fragment F{index} on User {{ a{index}: id ...F{index + 1} ...F{index + 2} }}" for index in range(size)
    )
    last = " ".join(f"fragment F{index} on User {{ id }}" for index in (size, size + 1))
    return operation(f"query Q{next(unique)} {{ me {{ ...F0 }} }} {spreads} {last}")


def _merged_fragments(_data: Data, size: int) -> Any:
    fragments = " ".join(f"fragment F{index} on User {{ a: plan {{ id }} b: role {{ id }} }}" for index in range(size))
    spread = " ".join(f"...F{index}" for index in range(size))
    return operation(f"query Q{next(unique)} {{ a: me {{ {spread} }} b: me {{ {spread} }} }} {fragments}")


def _operations(_data: Data, size: int) -> Any:
    others = " ".join(f"query O{index} {{ me {{ id }} }}" for index in range(size))
    name = f"Q{next(unique)}"
    return operation(f"query {name} {{ me {{ id }} }} {others}") | {"operationName": name}


def _new_batch(_data: Data, size: int) -> Any:
    fields = " ".join(f"f{index}: me {{ id username }}" for index in range(size))
    return [operation(f"query Q{next(unique)} {{ {fields} }}") for _ in range(BATCH)]


def _new_short_batch(_data: Data, size: int) -> Any:
    fields = " ".join(f"a{index}:id" for index in range(size))
    return [operation(f"query Q{next(unique)} {{ me {{ {fields} }} }}") for _ in range(BATCH)]


def _lines(_data: Data, size: int) -> Any:
    fields = "\n".join(f'a{index}: users(after: "x") {{ nodes {{ id }} }}' for index in range(40))
    return operation("\n" * size + f"query Q{next(unique)} {{ {fields} }}")


def _literals(data: Data, size: int) -> Any:
    ids = " ".join(f'"{key}"' for key in _some_ids(data, 0, 100))
    fields = " ".join(f"n{index}: nodes(ids: [{ids}]) {{ id }}" for index in range(size))
    return operation(f"query Q{next(unique)} {{ {fields} }}")


def _long_lists(data: Data, size: int) -> Any:
    names = [f"v{index}" for index in range(10)]
    declared = " ".join(f"${name}: [ID!]!" for name in names)
    fields = " ".join(f"{name}: nodes(ids: ${name}) {{ id }}" for name in names)
    return [operation(f"query ({declared}) {{ {fields} }}", **dict.fromkeys(names, _some_ids(data, 0, size)))] * BATCH


def _large_json(_data: Data, size: int) -> Any:
    query = "mutation ($patch: JSON!) { updateSettings(input: {patch: $patch}) { errors { code } } }"
    return operation(query, patch={"name": [[index] for index in range(size)]})


def _wrong_values(_data: Data, size: int) -> Any:
    return [operation("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=["wrong"] * size) for _ in range(BATCH)]


def _denied(_data: Data, size: int) -> Any:
    actor = "actor { email externalId billingAddress { city } }"
    events = f"auditEvents(first: {size}) {{ nodes {{ id ip credential {actor} }} }}"
    return operation(f"{{ me {{ a: {events} b: {events} c: {events} }} }}")


def _terms(_data: Data, size: int) -> Any:
    return _aliases(size, 'users(first: 100, search: "a%d", orderBy: EMAIL_ASC) { nodes { id } }')


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
    Heavy("computed values, by aliases", 150, _computed),
    Heavy("JSON values, by aliases", 200, _json),
    Heavy("edges with cursors", 100, _edges),
    Heavy("counts of each user's events, by aliases", 50, _totals),
    Heavy("the permission catalogue, by aliases, 20 times", 80, _catalogue),
    Heavy("the permission catalogue, no credential", 80, _catalogue, anonymous=True),
    Heavy("a new document of nested fragments each time", 90, _fragments),
    Heavy("a new document of merged fragments each time", 50, _merged_fragments),
    Heavy("a new document of many operations each time", 140, _operations),
    Heavy("20 new long documents each time", 180, _new_batch),
    Heavy("20 new short documents each time", 30, _new_short_batch),
    Heavy("a new document of line breaks each time", 98_000, _lines, fails=True),
    Heavy("a new document of literals each time", 9, _literals),
    Heavy("long lists in variables, 20 times", 1_000, _long_lists, fails=True),
    Heavy("a large JSON variable", 120_000, _large_json, fails=True),
    Heavy("wrong values in variables, 20 times", 1_000, _wrong_values, fails=True),
    Heavy("events with denied fields", 100, _denied, user=True, fails=True),
    Heavy("searches for other terms, by aliases", 200, _terms),
)

"""The work loads: for each of them the GraphQL document, and the same request to the servers without GraphQL."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

SCALARS = "id username email emailVerified firstName lastName language tier twoFactorEnabled createdAt"
SESSIONS = "sessions { nodes { id ip device createdAt lastSeenAt } }"
USER = f"query ($id: ID!) {{ user(by: {{id: $id}}) {{ {SCALARS} }} }}"
PAGE = f"{{ users(first: 50) {{ nodes {{ {SCALARS} }} }} }}"
TREE = f"""{{ users(first: 50) {{ nodes {{ {SCALARS}
  plan {{ id name description tier isDefault }}
  {SESSIONS}
  apiKeys {{ nodes {{ id name prefix createdAt lastUsedAt }} }}
  sshKeys {{ nodes {{ id name type fingerprint createdAt }} }}
}} }} }}"""
USER_WITH_SESSIONS = f"query ($id: ID!) {{ user(by: {{id: $id}}) {{ {SCALARS} {SESSIONS} }} }}"
UPDATE = """mutation ($id: ID!, $name: String!) {
  updateUser(input: {id: $id, firstName: $name}) { user { id firstName version } errors { code } }
}"""
BATCH = 10  # operations of the HTTP batch
VARIANTS = 200  # different requests of a work load


@dataclass(frozen=True)
class Request:
    """One request in both forms."""

    body: bytes
    path: str
    method: str = "GET"

    def to_graphql(self, token: str) -> bytes:
        """Return the bytes of the request to a GraphQL server."""
        return _message("POST", "/graphql", token, self.body)

    def to_path(self, token: str) -> bytes:
        """Return the bytes of the request to a server without GraphQL."""
        return _message(self.method, self.path, token, b"")


@dataclass(frozen=True)
class WorkLoad:
    """One kind of request. `requests` is the number of them in a round."""

    name: str
    text: str
    requests: int
    build: Callable[[random.Random, list[str]], Request]
    writes: bool = False

    def variants(self, ids: list[str], seed: int, count: int = VARIANTS) -> list[Request]:
        """Return different requests for users with the ids, the same for the same seed."""
        generator = random.Random(seed)  # noqa: S311
        return [self.build(generator, ids) for _ in range(count)]


def _message(method: str, path: str, token: str, body: bytes) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Accept: application/json"]
    lines.append(f"Authorization: Bearer {token}")
    if method == "POST":
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def operation(query: str, **variables: Any) -> dict[str, Any]:
    """Return an operation as clients send it."""
    return {"query": query, "variables": variables} if variables else {"query": query}


def _user(generator: random.Random, ids: list[str]) -> Request:
    key = generator.choice(ids)
    return Request(orjson.dumps(operation(USER, id=key)), f"/w1?id={key}")


def _batch(generator: random.Random, ids: list[str]) -> Request:
    keys = generator.sample(ids, BATCH)
    body = orjson.dumps([operation(USER_WITH_SESSIONS, id=key) for key in keys])
    return Request(body, f"/w4?ids={','.join(keys)}")


def _update(generator: random.Random, ids: list[str]) -> Request:
    key, name = generator.choice(ids), f"Name{generator.randrange(1_000_000)}"
    return Request(orjson.dumps(operation(UPDATE, id=key, name=name)), f"/w5?id={key}&name={name}", "POST")


def _fixed(query: str, path: str) -> Callable[[random.Random, list[str]], Request]:
    request = Request(orjson.dumps(operation(query)), path)
    return lambda _generator, _ids: request


WORK_LOADS = (
    WorkLoad("W1", "one user by id, 10 scalars", 1500, _user),
    WorkLoad("W2", "a page of 50 users, 10 scalars", 500, _fixed(PAGE, "/w2")),
    WorkLoad("W3", "a page of 50 users with plan, sessions, API keys and SSH keys", 60, _fixed(TREE, "/w3")),
    WorkLoad("W4", "an HTTP batch of 10 operations, each a user with sessions", 300, _batch),
    WorkLoad("W5", "an update of one user", 500, _update, writes=True),
    WorkLoad("W6", "{ __typename }", 2000, _fixed("{ __typename }", "/w6")),
)

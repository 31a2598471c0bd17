"""With two workers, what one of them is told counts for the other at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import PASSWORD, Person
from tests.served import Served, served

ME = "{ me { id } }"
# Each request comes on a connection of its own; so many of them reach both workers (2 ** -19 that they do not)
TRIES = 20


@pytest.fixture
def service(database_url: str) -> Iterator[Served]:
    with served("--workers", "2", database_url=database_url) as running:
        yield running


def login(service: Served, name: str) -> str:
    document = "mutation ($i: LoginInput!) { login(input: $i) { token } }"
    answer = service.ask(document, {"i": {"login": name, "password": PASSWORD}})
    return str(answer["data"]["login"]["token"])


def codes(service: Served, token: str, query: str = ME) -> set[str]:
    """What the workers answer, each of many times: an error's code, or `ok`."""
    answers = [service.ask(query, token=token) for _ in range(TRIES)]
    return {answer["errors"][0]["extensions"]["code"] if "errors" in answer else "ok" for answer in answers}


def test_both_workers_refuse_at_once_what_one_was_told_to_end(service: Served, people: dict[str, Person]) -> None:
    root, alice = people["root"].token, people["alice"]
    session = login(service, "alice")
    assert codes(service, session) == {"ok"}
    service.ask("mutation { logout { endedSessions } }", token=session)
    assert codes(service, session) == {"UNAUTHENTICATED"}

    made = service.ask(
        'mutation { createApiKey(input: {name: "k", permissions: ["account.read"]}) { secret apiKey { id } } }',
        token=alice.token,
    )
    key = made["data"]["createApiKey"]
    assert codes(service, key["secret"]) == {"ok"}
    service.ask(
        f'mutation {{ deleteApiKey(input: {{id: "{key["apiKey"]["id"]}"}}) {{ deletedId }} }}', token=alice.token
    )
    assert codes(service, key["secret"]) == {"UNAUTHENTICATED"}

    stella = people["stella"]
    users = "{ users(first: 1) { nodes { id } } }"
    assert codes(service, stella.token, users) == {"ok"}
    role = "00000000-0000-7000-8000-000000000001"
    service.ask(
        f'mutation {{ updateUser(input: {{id: "{stella.id}", roleId: "{role}"}}) {{ user {{ id }} }} }}', token=root
    )
    assert codes(service, stella.token, users) == {"FORBIDDEN"}

    assert codes(service, alice.token) == {"ok"}
    service.ask(f'mutation {{ suspendUser(input: {{id: "{alice.id}"}}) {{ user {{ id }} }} }}', token=root)
    assert codes(service, alice.token) == {"USER_SUSPENDED"}

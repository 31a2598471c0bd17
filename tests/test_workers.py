"""Two workers: a change by one of them applies to the other at once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import PASSWORD, Person
from tests.processes import ServiceProcess, running_service

ME = "{ me { id } }"
# Each request has a connection of its own; so many of them reach both workers, except with a probability of 2 ** -19
TRIES = 20


@pytest.fixture
def service(database_url: str) -> Iterator[ServiceProcess]:
    with running_service("--workers", "2", database_url=database_url) as running:
        yield running


def login(service: ServiceProcess, name: str) -> str:
    document = "mutation ($i: LoginInput!) { login(input: $i) { token } }"
    answer = service.execute(document, {"i": {"login": name, "password": PASSWORD}})
    return str(answer["data"]["login"]["token"])


def codes(service: ServiceProcess, token: str, query: str = ME) -> set[str]:
    """Return the codes of the errors of many requests, and `ok` for those without an error."""
    answers = [service.execute(query, token=token) for _ in range(TRIES)]
    return {answer["errors"][0]["extensions"]["code"] if "errors" in answer else "ok" for answer in answers}


def test_a_change_by_one_worker_applies_to_both(service: ServiceProcess, people: dict[str, Person]) -> None:
    root, alice = people["root"].token, people["alice"]
    session = login(service, "alice")
    assert codes(service, session) == {"ok"}
    service.execute("mutation { logout { endedSessions } }", token=session)
    assert codes(service, session) == {"UNAUTHENTICATED"}

    created = service.execute(
        'mutation { createApiKey(input: {name: "k", permissions: ["account.read"]}) { secret apiKey { id } } }',
        token=alice.token,
    )
    key = created["data"]["createApiKey"]
    assert codes(service, key["secret"]) == {"ok"}
    service.execute(
        f'mutation {{ deleteApiKey(input: {{id: "{key["apiKey"]["id"]}"}}) {{ deletedId }} }}', token=alice.token
    )
    assert codes(service, key["secret"]) == {"UNAUTHENTICATED"}

    stella = people["stella"]
    users = "{ users(first: 1) { nodes { id } } }"
    assert codes(service, stella.token, users) == {"ok"}
    role = "00000000-0000-7000-8000-000000000001"
    service.execute(
        f'mutation {{ updateUser(input: {{id: "{stella.id}", roleId: "{role}"}}) {{ user {{ id }} }} }}', token=root
    )
    assert codes(service, stella.token, users) == {"FORBIDDEN"}

    assert codes(service, alice.token) == {"ok"}
    service.execute(f'mutation {{ suspendUser(input: {{id: "{alice.id}"}}) {{ user {{ id }} }} }}', token=root)
    assert codes(service, alice.token) == {"USER_SUSPENDED"}

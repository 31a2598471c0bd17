"""Persisted documents: registered by clients, or trusted by the operator."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from service import persisted
from service.persisted import PersistedDocuments, read_documents, sha_256
from service.settings import Settings
from tests.conftest import Client, Person
from tests.processes import command

APOLLO = "application/graphql-response+json,application/json;q=0.9"
TEXT = "query Name { __typename }"
OTHER = "query Name { me { username } }"
FOUND = {"data": {"__typename": "Query"}}
NOT_FOUND = {
    "errors": [{"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}],
}
NOT_SUPPORTED = {
    "errors": [{"message": "PersistedQueryNotSupported", "extensions": {"code": "PERSISTED_QUERY_NOT_SUPPORTED"}}],
}


def by_hash(text: str, **members: Any) -> dict[str, Any]:
    """Return the request that names a document by its hash."""
    return {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": sha_256(text)}}} | members


async def post(client: Client, content: Any, accept: str = "application/json") -> httpx.Response:
    return await client.http.post("/graphql", json=content, headers={"accept": accept})


async def test_a_hash_is_answered_after_the_text_was_sent_once(client: Client) -> None:
    missed = await post(client, by_hash(TEXT), APOLLO)
    assert (missed.status_code, missed.json()) == (400, NOT_FOUND)
    assert missed.headers["cache-control"] == "no-store"
    plain = await post(client, by_hash(TEXT))
    assert (plain.status_code, plain.json()) == (200, NOT_FOUND), "a 4xx of this type is a network error for Apollo"
    assert (await post(client, by_hash(TEXT, query=TEXT))).json() == FOUND
    assert (await post(client, by_hash(TEXT), APOLLO)).json() == FOUND
    assert (await post(client, {"documentId": sha_256(TEXT)})).json() == FOUND
    assert (await post(client, {"documentId": f"sha256:{sha_256(TEXT)}"})).json() == FOUND


async def test_a_get_may_name_and_register_a_document(client: Client) -> None:
    extensions = json.dumps(by_hash(TEXT)["extensions"])
    assert (await client.http.get("/graphql", params={"extensions": extensions})).json() == NOT_FOUND
    registered = await client.http.get("/graphql", params={"extensions": extensions, "query": TEXT})
    assert registered.json() == FOUND
    browser = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    again = await client.http.get("/graphql", params={"extensions": extensions}, headers=browser)
    assert again.json() == FOUND


async def test_members_of_a_batch_name_documents(client: Client, alice: Person) -> None:
    headers = {"authorization": f"Bearer {alice.token}"}
    batch = [by_hash(TEXT), by_hash(TEXT, query=TEXT), by_hash(OTHER), by_hash(TEXT)]
    answers = (await client.http.post("/graphql", json=batch, headers=headers)).json()
    assert answers == [NOT_FOUND, FOUND, NOT_FOUND, FOUND]
    batch[2]["query"] = OTHER
    answers = (await client.http.post("/graphql", json=batch, headers=headers)).json()
    assert answers == [FOUND, FOUND, {"data": {"me": {"username": "alice"}}}, FOUND]


async def test_a_mutation_by_its_hash_runs_by_post_only(client: Client) -> None:
    text = "mutation { logout { endedSessions } }"
    await post(client, by_hash(text, query=text))
    extensions = json.dumps(by_hash(text)["extensions"])
    assert (await client.http.get("/graphql", params={"extensions": extensions})).status_code == 405


async def test_a_text_is_not_registered_under_the_hash_of_another(client: Client) -> None:
    poisoned = await post(client, by_hash(TEXT, query=OTHER), APOLLO)
    assert poisoned.status_code == 400
    assert poisoned.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
    assert (await post(client, by_hash(TEXT))).json() == NOT_FOUND
    await post(client, by_hash(TEXT, query=TEXT))
    assert (await post(client, by_hash(TEXT, query=OTHER), APOLLO)).status_code == 400
    assert (await post(client, by_hash(TEXT))).json() == FOUND


@pytest.mark.parametrize(
    "value",
    [
        {"extensions": {"persistedQuery": "x"}},
        {"extensions": {"persistedQuery": {"version": 2, "sha256Hash": "0" * 64}}},
        {"extensions": {"persistedQuery": {"version": 1}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 63}}},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": 1}}},
        {"documentId": "md5:" + "0" * 32},
        {"documentId": ["x"]},
        {},
    ],
)
async def test_a_malformed_hash_is_rejected(client: Client, value: dict[str, Any]) -> None:
    response = await post(client, value, APOLLO)
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}


def test_the_documents_of_clients_have_a_bound() -> None:
    documents = PersistedDocuments({})
    for number in range(persisted.REGISTERED + 10):
        text = f"{{ a{number}: __typename }}"
        documents.text_of(by_hash(text, query=text))
    assert len(documents) == persisted.REGISTERED
    long = [f"{{ __typename }} #{number}{'x' * 90_000}" for number in range(60)]
    for text in long:
        documents.text_of(by_hash(text, query=text))
    assert len(documents) == persisted.CHARACTERS // len(long[0])
    too_long = f"{{ __typename }} #{'x' * persisted.LONGEST}"
    assert documents.text_of(by_hash(too_long, query=too_long)) == too_long
    assert documents.text_of(by_hash(long[-1])) == long[-1]
    with pytest.raises(Exception, match="PersistedQueryNotFound"):
        documents.text_of(by_hash(too_long))


class TestTrusted:
    """A service that runs no documents but those of the operator."""

    @pytest.fixture
    def settings(self, tmp_path: Path) -> Settings:
        """Return the settings with a file as graphql-codegen and relay-compiler write it."""
        file = tmp_path / "documents.json"
        file.write_text(json.dumps({sha_256(TEXT): TEXT}))
        return Settings(trusted_documents=file, trusted_documents_only=True)

    async def test_a_trusted_document_runs_by_its_hash_and_by_its_text(self, client: Client) -> None:
        assert (await post(client, by_hash(TEXT))).json() == FOUND
        assert (await post(client, {"documentId": sha_256(TEXT)})).json() == FOUND
        assert (await post(client, {"query": TEXT})).json() == FOUND

    @pytest.mark.parametrize("content", [{"query": OTHER}, by_hash(OTHER, query=OTHER)], ids=["text", "registration"])
    async def test_no_other_document_runs(self, client: Client, content: dict[str, Any]) -> None:
        response = await post(client, content)
        assert response.json()["errors"][0]["extensions"] == {"code": "FORBIDDEN"}
        assert (await post(client, by_hash(OTHER))).json() == NOT_SUPPORTED
        introspection = await post(client, {"query": "{ __schema { queryType { name } } }"})
        assert introspection.json()["errors"][0]["extensions"] == {"code": "FORBIDDEN"}


class TestOff:
    """A service without registration."""

    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(persisted_queries=False)

    async def test_clients_send_the_text_and_no_longer_the_hash(self, client: Client) -> None:
        assert (await post(client, by_hash(TEXT))).json() == NOT_SUPPORTED
        assert (await post(client, by_hash(TEXT, query=TEXT))).json() == FOUND
        assert (await post(client, by_hash(TEXT))).json() == NOT_SUPPORTED


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "must be a JSON object of hash to text"),
        ('{"a": 1}', "must be a JSON object of hash to text"),
        ("{", "is not JSON"),
        (json.dumps({hashlib.md5(TEXT.encode()).hexdigest(): TEXT}), "is not the SHA-256 of its document"),  # noqa: S324
        (None, "cannot be read"),
    ],
)
def test_a_file_of_another_form_stops_the_start(tmp_path: Path, content: str | None, reason: str) -> None:
    file = tmp_path / "documents.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=reason):
        read_documents(file)
    ended = command("settings", environment={"ROSTER_TRUSTED_DOCUMENTS": str(file)})
    assert ended.returncode == 2
    assert "ROSTER_TRUSTED_DOCUMENTS: " in ended.stderr
    assert reason in ended.stderr


def test_a_service_of_trusted_documents_requires_them() -> None:
    ended = command("settings", environment={"ROSTER_TRUSTED_DOCUMENTS_ONLY": "true"})
    assert (ended.returncode, "requires ROSTER_TRUSTED_DOCUMENTS" in ended.stderr) == (2, True)


def test_the_command_adds_and_lists_documents(tmp_path: Path) -> None:
    file, codegen, relay = (tmp_path / name for name in ("trusted.json", "codegen.json", "relay.json"))
    codegen.write_text(json.dumps({sha_256(TEXT): TEXT}))
    relay.write_text(json.dumps({sha_256(OTHER): OTHER}))
    arguments = ("documents", "--file", str(file))
    added = command(*arguments, "--add", str(codegen), "--add", str(relay))
    assert added.stdout.splitlines() == sorted(f"{sha_256(text)}  query Name" for text in (TEXT, OTHER))
    assert read_documents(file) == {sha_256(TEXT): TEXT, sha_256(OTHER): OTHER}
    assert command("documents", environment={"ROSTER_TRUSTED_DOCUMENTS": str(file)}).stdout == added.stdout
    wrong = "{ nope }"
    codegen.write_text(json.dumps({sha_256(wrong): wrong}))
    rejected = command(*arguments, "--add", str(codegen))
    assert (rejected.returncode, "Cannot query field 'nope'" in rejected.stderr) == (2, True)
    assert len(read_documents(file)) == 2

"""Revocation: the next request on every worker is denied, raced against look-ups of many requests at once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

import pytest
import pytest_asyncio

from service.credentials.tokens import TokenKind, new_token
from service.settings import Settings
from tests.conftest import Client, Person, opened_client

TIMES = int(os.environ.get("ROSTER_TEST_REVOCATIONS", "40"))  # of each kind
Revoke: TypeAlias = Callable[[], Awaitable[Any]]
ME = "{ me { username } }"
USERS = "{ users(first: 1) { nodes { id } } }"
SESSION = """WITH created AS (
  INSERT INTO sessions (user_id, expires_at, idle_expires_at)
  VALUES ($1, now() + interval '1 day', now() + interval '1 day') RETURNING id
), stored AS (INSERT INTO session_tokens (hash, session_id) SELECT sha256(convert_to($2, 'UTF8')), id FROM created)
SELECT id::text AS id FROM created"""
CODES = {"session": "UNAUTHENTICATED", "key": "UNAUTHENTICATED", "suspension": "USER_SUSPENDED", "role": "FORBIDDEN"}


@pytest_asyncio.fixture
async def other_worker(client: Client, database_url: str, settings: Settings) -> AsyncIterator[Client]:
    """Return a client of another worker on the same database; workers share nothing else."""
    assert client
    async with opened_client(settings, database_url) as opened:
        yield opened


class Readers:
    """Requests of the caller to all workers all the time, so that look-ups of the credential are always under way."""

    def __init__(self, workers: list[Client]) -> None:
        self.caller: str | None = None
        self._running = True
        self._tasks = [asyncio.create_task(self._read(worker)) for worker in workers for _ in range(3)]

    async def _read(self, worker: Client) -> None:
        while self._running:
            await worker.execute(ME, by=self.caller)
            await asyncio.sleep(0)  # without a caller, nothing is awaited

    async def __aenter__(self) -> Readers:
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._running = False
        await asyncio.gather(*self._tasks)


class Revocations:
    """What may be revoked: each returns the token and the revoking mutation, its input, and its selection."""

    def __init__(self, client: Client, root: Person, user: Person) -> None:
        self._client = client
        self._root = root
        self._user = user

    async def _session(self) -> tuple[str, str]:
        token = new_token(TokenKind.SESSION)
        [row] = await self._client.rows(SESSION, self._user.id, token)
        return token, row["id"]

    async def _mutate(self, field: str, value: dict[str, Any], selection: str = "user { id }") -> dict[str, Any]:
        payload = await self._client.mutate(field, value, selection, by=self._root)
        assert payload["errors"] == []
        return payload

    async def session(self) -> tuple[str, Revoke]:
        """Prepare a session that an administrator ends."""
        token, session_id = await self._session()
        return token, partial(self._mutate, "revokeSession", {"id": session_id}, "revokedId")

    async def key(self) -> tuple[str, Revoke]:
        """Prepare an API key that its owner's administrator deletes."""
        value = {"name": "a key", "permissions": ["account.read"]}
        made = await self._client.mutate("createApiKey", value, "secret apiKey { id }", by=self._user)
        return made["secret"], partial(self._mutate, "deleteApiKey", {"id": made["apiKey"]["id"]}, "deletedId")

    async def suspension(self) -> tuple[str, Revoke]:
        """Prepare a user who is suspended."""
        await self._client.mutate("unsuspendUser", {"id": self._user.id}, "user { id }", by=self._root)
        token, _ = await self._session()
        return token, partial(self._mutate, "suspendUser", {"id": self._user.id})

    async def role(self) -> tuple[str, Revoke]:
        """Prepare a member of the staff who loses the role."""
        await self._mutate("updateUser", {"id": self._user.id, "roleName": "STAFF"})
        token, _ = await self._session()
        return token, partial(self._mutate, "updateUser", {"id": self._user.id, "roleName": "USER"})


@pytest.mark.parametrize("kind", list(CODES))
async def test_what_is_revoked_is_denied_by_every_worker_on_the_next_request(
    client: Client, other_worker: Client, root: Person, alice: Person, kind: str
) -> None:
    workers, query = [client, other_worker], USERS if kind == "role" else ME
    prepare = getattr(Revocations(client, root, alice), kind)
    async with Readers(workers) as readers:
        for number in range(TIMES):
            readers.caller, revoke = await prepare()
            for worker in workers:
                await worker.data(query, by=readers.caller)
            await revoke()
            answers = await asyncio.gather(*(worker.execute(query, by=readers.caller) for worker in workers))
            codes = [[error["extensions"]["code"] for error in answer["errors"]] for answer in answers]
            assert codes == [[CODES[kind]]] * 2, number

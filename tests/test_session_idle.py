"""Sessions that are not used: when they expire, and that every statement treats them as expired."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person, opened_client

SESSIONS = "{ me { sessions { totalCount nodes { id } } } }"


async def signed_in(client: Client) -> tuple[str, str]:
    """Return the token and the id of a new session of Alice."""
    payload = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token session { id }")
    return payload["token"], payload["session"]["id"]


async def is_signed_in(client: Client, token: str) -> bool:
    answer = await client.execute("{ me { id } }", by=token)
    codes = [error["extensions"]["code"] for error in answer.get("errors", [])]
    assert codes == ([] if answer["data"]["me"] else ["UNAUTHENTICATED"])
    return answer["data"]["me"] is not None


async def pass_time(client: Client, session_id: str, seconds: float) -> None:
    """Change the times of a session as if it had not been used for some more seconds."""
    await client.rows(
        """UPDATE sessions
        SET last_seen_at = last_seen_at - make_interval(secs => $2),
            idle_expires_at = idle_expires_at - make_interval(secs => $2)
        WHERE id = $1""",
        session_id,
        float(seconds),
    )


async def times(client: Client, session_id: str) -> Any:
    """Return the time of the last use, the seconds since then, and the idle time in seconds."""
    [row] = await client.rows(
        """SELECT last_seen_at, expires_at, extract(epoch FROM now() - last_seen_at) AS unused,
          extract(epoch FROM idle_expires_at - last_seen_at) AS idle FROM sessions WHERE id = $1""",
        session_id,
    )
    return row


async def test_a_session_that_is_not_used_expires(client: Client) -> None:
    token, session_id = await signed_in(client)
    idle = client.resources.settings.session_idle
    assert (await times(client, session_id))["idle"] == idle
    await pass_time(client, session_id, idle - 30)
    assert await is_signed_in(client, token)
    await pass_time(client, session_id, idle)
    assert not await is_signed_in(client, token)


async def test_use_prolongs_the_idle_time_but_not_the_lifetime(client: Client) -> None:
    token, session_id = await signed_in(client)
    await pass_time(client, session_id, 6 * 86_400 + 23 * 3600)
    await client.rows("UPDATE sessions SET expires_at = now() + interval '1 hour' WHERE id = $1", session_id)
    before = await times(client, session_id)
    assert await is_signed_in(client, token)
    after = await times(client, session_id)
    assert after["unused"] < 60
    assert (after["idle"], after["expires_at"]) == (client.resources.settings.session_idle, before["expires_at"])


async def test_a_use_is_recorded_at_most_once_a_minute(client: Client) -> None:
    token, session_id = await signed_in(client)
    first = (await times(client, session_id))["last_seen_at"]
    await client.data("{ me { id } }", by=token)
    assert (await times(client, session_id))["last_seen_at"] == first
    await pass_time(client, session_id, 61)
    stale = (await times(client, session_id))["last_seen_at"]
    await asyncio.gather(*(client.data("{ me { id } }", by=token) for _ in range(5)))
    seen = (await times(client, session_id))["last_seen_at"]
    await client.data("{ me { id } }", by=token)
    assert stale < first < seen == (await times(client, session_id))["last_seen_at"]


@pytest.mark.usefixtures("people")
async def test_a_session_in_use_stays_valid_with_the_shortest_idle_time(database_url: str) -> None:
    async with opened_client(Settings(session_idle=60), database_url) as client:
        token, session_id = await signed_in(client)
        for _ in range(3):
            await pass_time(client, session_id, 40)
            assert await is_signed_in(client, token)
        await pass_time(client, session_id, 60)
        assert not await is_signed_in(client, token)


@pytest.mark.usefixtures("people")
async def test_another_idle_time_applies_from_the_next_use(database_url: str) -> None:
    async with opened_client(Settings(session_idle=3600), database_url) as client:
        token, session_id = await signed_in(client)
    async with opened_client(Settings(session_idle=120), database_url) as client:
        await pass_time(client, session_id, 61)
        assert (await times(client, session_id))["idle"] == 3600
        assert await is_signed_in(client, token)
        assert (await times(client, session_id))["idle"] == 120


async def test_an_idle_session_is_not_listed_counted_found_or_ended(client: Client, alice: Person) -> None:
    _, idle = await signed_in(client)
    assert (await client.data(SESSIONS, by=alice))["me"]["sessions"]["totalCount"] == 2
    await pass_time(client, idle, 8 * 86_400)
    sessions = (await client.data(SESSIONS, by=alice))["me"]["sessions"]
    assert sessions["totalCount"] == 1
    assert idle not in [session["id"] for session in sessions["nodes"]]
    assert await client.data("query ($id: ID!) { node(id: $id) { id } }", {"id": idle}, by=alice) == {"node": None}
    revoked = await client.mutate("revokeSession", {"id": idle}, "revokedId user { id }", by=alice)
    assert (revoked["revokedId"], revoked["user"]) == (None, None)
    assert [error["code"] for error in revoked["errors"]] == ["NOT_FOUND"]
    ended = await client.mutate("logoutAll", {"keepCurrent": True}, "endedSessions", by=alice)
    assert ended == {"endedSessions": 0, "errors": []}

"""A crash benchmark: kill the service in the middle of 200 writes, ten times, and compare data and audit log.

Usage: ROSTER_DATABASE_URL=... python -m bench.crash   (a database with a root account)
"""

from __future__ import annotations

import asyncio
import os

import asyncpg

from bench.sign_in import token_of
from tests.test_crash import DIFFERENCES, write_and_kill

ROUNDS = 10


async def disagreements(url: str, prefix: str) -> asyncpg.Record:
    """Return the numbers of users without an event, of events without a user, and of all users and events."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetchrow(DIFFERENCES, prefix)
    finally:
        await connection.close()
    assert found is not None  # noqa: S101
    return found


def main() -> None:
    """Print the result of each round."""
    url = os.environ["ROSTER_DATABASE_URL"]
    token = token_of(url)
    for number in range(1, ROUNDS + 1):
        prefix = f"crash{number}_"
        answered = write_and_kill(url, token, prefix)
        found = asyncio.run(disagreements(url, prefix))
        print(  # noqa: T201
            f"round {number}: {answered} answered, {found['all']} committed, "
            f"{found['users_without_event']} users without event, {found['events_without_user']} events without user"
        )


if __name__ == "__main__":
    main()

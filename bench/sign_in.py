"""A session of a root account for the benchmarks, created directly in the database."""

from __future__ import annotations

import asyncio

import asyncpg

from service.credentials.tokens import TokenKind, digest, new_token

ROOT_SESSION = """
WITH created AS (
  INSERT INTO sessions (user_id, expires_at, idle_expires_at)
  SELECT id, now() + interval '1 day', now() + interval '1 day'
  FROM users WHERE role_id = '00000000-0000-7000-8000-000000000004' LIMIT 1
  RETURNING id
)
INSERT INTO session_tokens (hash, session_id) SELECT $1, id FROM created
"""


def token_of(url: str) -> str:
    """Create a session of a root account, and return its token."""

    async def run() -> str:
        token = new_token(TokenKind.SESSION)
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(ROOT_SESSION, digest(token))
        finally:
            await connection.close()
        return token

    return asyncio.run(run())

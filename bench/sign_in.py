"""A session for the benchmarks, created directly in the database."""

from __future__ import annotations

import asyncio

import asyncpg

from service.credentials.tokens import TokenKind, digest, new_token
from service.types.role import ROOT_ROLE

SESSION = """
WITH created AS (
  INSERT INTO sessions (user_id, expires_at, idle_expires_at)
  SELECT id, now() + interval '1 day', now() + interval '1 day'
  FROM users WHERE role_id = $2 ORDER BY created_at DESC LIMIT 1
  RETURNING id
)
INSERT INTO session_tokens (hash, session_id) SELECT $1, id FROM created
"""


def token_of(url: str, role: str = ROOT_ROLE) -> str:
    """Create a session of the newest user with the role, and return its token."""

    async def run() -> str:
        token = new_token(TokenKind.SESSION)
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(SESSION, digest(token), role)
        finally:
            await connection.close()
        return token

    return asyncio.run(run())

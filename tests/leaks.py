"""Looks for secrets where none may be: in the log of every test, and in every table of its database afterwards."""

from __future__ import annotations

import re

import asyncpg

from service.credentials.tokens import PATTERN

PASSWORD = "correct-horse-battery-42"  # of the users of the template
# Tokens of every kind, JSON Web Tokens, and the password
SECRETS = f"{PATTERN}|eyJ[0-9A-Za-z_-]+\\.[0-9A-Za-z_-]+\\.[0-9A-Za-z_-]+|{re.escape(PASSWORD)}"
TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"


def in_text(text: str) -> list[str]:
    """Return the secrets in a text, shortened."""
    return [found[0][:12] for found in re.finditer(SECRETS, text)]


async def in_database(url: str) -> list[str]:
    """Return the tables with a secret."""
    connection = await asyncpg.connect(url)
    try:
        tables = [row[0] for row in await connection.fetch(TABLES)]
        pattern = SECRETS.replace(r"\b", "").replace("'", "''")
        each = [
            f"SELECT '{name}' FROM \"{name}\" AS row WHERE CAST(row AS text) ~ '{pattern}'"  # noqa: S608
            for name in tables
        ]
        return [row[0] for row in await connection.fetch(" UNION ".join(each))] if each else []
    finally:
        await connection.close()

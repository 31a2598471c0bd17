"""The search for secrets in logs and tables finds them."""

from __future__ import annotations

import pytest

from service.credentials.tokens import TokenKind, new_token
from tests import leaks
from tests.conftest import PASSWORD, Client


@pytest.mark.parametrize("kind", TokenKind)
def test_a_token_in_a_text_is_found(kind: TokenKind) -> None:
    token = new_token(kind)
    assert leaks.in_text(f'path="/x#{token}"') == [token[:12]]
    assert leaks.in_text(f"{token[:12]} {token[4:]}") == []


@pytest.mark.parametrize("secret", [PASSWORD, "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"])
def test_a_password_and_an_access_token_are_found(secret: str) -> None:
    assert leaks.in_text(f"value={secret}.") != []


async def test_a_secret_in_a_table_is_found(client: Client, database_url: str) -> None:
    assert await leaks.in_database(database_url) == []
    for secret in (new_token(TokenKind.ONE_TIME), PASSWORD):
        await client.rows("UPDATE users SET settings = jsonb_build_object('x', CAST($1 AS text))", secret)
        assert await leaks.in_database(database_url) == ["users"]
    await client.rows("UPDATE users SET settings = '{}'")

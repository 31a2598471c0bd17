"""An email address opens an account by requestPasswordReset: updateUser must not be a way around changeEmail."""

from __future__ import annotations

import pytest

from tests.conftest import Client, Person
from tests.sessions import aged

UPDATE = "mutation ($input: UpdateUserInput!) { updateUser(input: $input) { user { id } errors { code field } } }"


@pytest.mark.parametrize("email", ["new@roster.test", None])
async def test_nobody_changes_the_own_address_without_password_confirmation_and_undo(
    client: Client, admin: Person, email: str | None
) -> None:
    answer = await client.data(UPDATE, {"input": {"id": admin.id, "email": email}}, by=admin)
    assert answer["updateUser"] == {"user": None, "errors": [{"code": "NOT_ALLOWED", "field": ["email"]}]}
    # A form may send the address that the user has already
    value = {"id": admin.id, "email": "adam@roster.test", "firstName": "Adam"}
    assert (await client.data(UPDATE, {"input": value}, by=admin))["updateUser"]["errors"] == []


async def test_an_old_session_changes_no_address_asvs_7_5_1(client: Client, bob: Person) -> None:
    old = await aged(client, "adam")
    answer = await client.execute(UPDATE, {"input": {"id": bob.id, "email": "new@roster.test"}}, by=old)
    assert answer["errors"][0]["extensions"] == {"code": "REAUTH_REQUIRED"}
    assert [row["email"] for row in await client.rows("SELECT email FROM users WHERE id = $1", bob.id)] == [
        "bob@roster.test"
    ]
    value = {"id": bob.id, "email": "bob@roster.test", "firstName": "Bob"}
    assert (await client.data(UPDATE, {"input": value}, by=old))["updateUser"]["errors"] == []

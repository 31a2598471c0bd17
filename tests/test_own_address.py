"""An email address opens an account by requestPasswordReset: updateUser must not be a way around changeEmail."""

from __future__ import annotations

import pytest

from tests.conftest import PASSWORD, Client, Person
from tests.links import EXPIRED, last_mail, use
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


@pytest.mark.parametrize("field", ["changePassword", "setPassword", "updateUser"])
async def test_a_new_password_voids_a_pending_address(client: Client, alice: Person, root: Person, field: str) -> None:
    # A stranger who knows the password asks for an address of their own; the owner changes the password
    await client.mutate("changeEmail", {"email": "stranger@roster.test", "password": PASSWORD}, "", by=alice)
    token = (await last_mail(client, "stranger@roster.test")).token
    new = "a-quite-unusual-walrus-77"
    values = {
        "changePassword": {"currentPassword": PASSWORD, "newPassword": new},
        "setPassword": {"userId": alice.id, "password": new},
        "updateUser": {"id": alice.id, "password": new},
    }
    by = alice if field == "changePassword" else root
    payload = await client.mutate(field, values[field], "user { id } errors { code }", by=by)
    assert payload["errors"] == []
    [row] = await client.rows("SELECT email, pending_email FROM users WHERE id = $1", alice.id)
    assert (row["email"], row["pending_email"]) == ("alice@roster.test", None)
    assert await use(client, "verifyEmail", token) == EXPIRED

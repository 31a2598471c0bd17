"""Inputs fit their tables: every field of an input reaches its column, and its limit is that of the column."""

from __future__ import annotations

import re
from typing import Any

import pytest

from service.mutations.profile import UpdateProfileInput
from service.mutations.user import CreateUserInput, UpdateUserInput
from service.schema import schema
from tests.conftest import Client, Person

# A value for every field of the inputs of users, with the column that it sets and the value there
SAMPLES: dict[str, tuple[Any, str, Any]] = {
    "billingAddress": ({"city": "Graz"}, "billing_address", {"city": "Graz"}),
    "dateOfBirth": ("1990-02-28", "date_of_birth", "1990-02-28"),
    "displayName": ("Caz", "display_name", "Caz"),
    "email": ("caz@roster.test", "email", "caz@roster.test"),
    "externalId": ("crm:7", "external_id", "crm:7"),
    "firstName": ("Carol", "first_name", "Carol"),
    "isAdmin": (True, "role_id", "00000000-0000-7000-8000-000000000003"),
    "language": ("de", "language", "de"),
    "lastName": ("Sharp", "last_name", "Sharp"),
    "limits": ({"ports": 3}, "limit_overrides", {"ports": 3}),
    "planId": ("{plan}", "plan_id", "{plan}"),
    "planName": ("gold", "plan_id", "{plan}"),
    "roleId": ("00000000-0000-7000-8000-000000000002", "role_id", "00000000-0000-7000-8000-000000000002"),
    "roleName": ("staff", "role_id", "00000000-0000-7000-8000-000000000002"),
    "tier": ("EDUCATIONAL", "tier", "EDUCATIONAL"),
    "username": ("carol_2", "username", "carol_2"),
}
# Fields that set no column of `users`: the target, conditions, and the password in its own table
OTHERS = {"id", "idempotencyKey", "password", "sendEmail", "version"}
USER_INPUTS = {"createUser": CreateUserInput, "updateUser": UpdateUserInput, "updateProfile": UpdateProfileInput}
# The inputs that write to each table
TABLES = {
    "api_keys": ("CreateApiKeyInput", "UpdateApiKeyInput"),
    "passkeys": ("FinishPasskeyRegistrationInput", "RenamePasskeyInput"),
    "plans": ("CreatePlanInput", "UpdatePlanInput"),
    "roles": ("CreateRoleInput", "UpdateRoleInput"),
    "servers": ("CreateServerInput",),
    "sessions": (),
    "ssh_keys": ("AddSshKeyInput", "RenameSshKeyInput"),
    "wallet_entries": ("AdjustBalanceInput",),
    "wallets": ("CreateWalletInput",),
    "users": ("CreateUserInput", "UpdateUserInput", "UpdateProfileInput", "SuspendUserInput"),
}
RENAMED = {"suspended_reason": "reason"}


def fields_of(input_type: Any) -> list[str]:
    """Return the names of an input's fields, as clients write them."""
    definition = input_type.__strawberry_definition__
    return [schema.config.name_converter.get_graphql_name(field) for field in definition.fields]


CASES = [(name, field) for name, input_type in USER_INPUTS.items() for field in fields_of(input_type)]


@pytest.mark.parametrize(("mutation", "field"), [case for case in CASES if case[1] not in OTHERS])
async def test_every_field_of_a_users_input_reaches_its_column(
    client: Client, root: Person, bob: Person, mutation: str, field: str
) -> None:
    plan = await client.mutate("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    value, column, expected = SAMPLES[field]
    given = {field: plan["plan"]["id"] if value == "{plan}" else value}
    if mutation == "createUser":
        given = {"username": "carol"} | given
    elif mutation == "updateUser":
        given["id"] = bob.id
    payload = await client.mutate(mutation, given, "user { id }", by=bob if mutation == "updateProfile" else root)
    assert payload["errors"] == []
    sql = f"SELECT to_jsonb({column}) AS value FROM users WHERE id = $1"  # noqa: S608
    (row,) = await client.rows(sql, payload["user"]["id"])
    assert row["value"] == (plan["plan"]["id"] if expected == "{plan}" else expected)


async def test_every_length_of_a_column_is_the_limit_of_its_inputs(client: Client) -> None:
    rows = await client.rows(
        "SELECT c.relname AS table_name, o.conname, pg_get_constraintdef(o.oid) AS definition FROM pg_constraint AS o "
        "JOIN pg_class AS c ON c.oid = o.conrelid WHERE o.conname LIKE '%_length'"
    )
    compared = 0
    for row in rows:
        column = row["conname"].removeprefix(f"{row['table_name']}_").removesuffix("_length")
        most = max(int(number) for number in re.findall(r"\b(\d+)\b", row["definition"]))
        for name in TABLES[row["table_name"]]:
            definition = schema.get_type_by_name(name)
            for field in definition.fields:  # type: ignore[union-attr]
                if field.python_name == RENAMED.get(column, column):
                    assert field.metadata["limit"].most == most, f"{name}.{field.python_name}"
                    compared += 1
    assert compared > 20


@pytest.mark.parametrize(
    ("table", "statement"),
    [("users", "update_user"), ("plans", "update_plan"), ("roles", "update_role"), ("api_keys", "update_api_key")],
)
async def test_an_update_sets_each_column_from_the_column_of_the_same_name(
    client: Client, table: str, statement: str
) -> None:
    text = client.resources.database.statements[statement].text
    pairs = re.findall(r"(\w+) = changed\.(\w+)", text)
    assert len(pairs) > 3
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    columns = {
        row["column_name"]
        for row in await client.rows("SELECT column_name FROM information_schema.columns WHERE table_name = $1", table)
    }
    assert {name for name, _ in pairs} <= columns


async def test_a_new_user_has_a_value_for_every_column_that_must_not_be_null(client: Client) -> None:
    required = await client.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'users' AND is_nullable = 'NO'"
    )
    text = client.resources.database.statements["create_user"].text
    # The statement passes null for every other column; `role_id` is set by create_account, `search_text` by a trigger
    expected = {"role_id", "search_text"}
    assert {row["column_name"] for row in required} - set(re.findall(r"'(\w+)',", text)) == expected

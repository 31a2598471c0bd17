"""What tests of the deletion of accounts share."""

from __future__ import annotations

from typing import Any

from service.clean_up import clean_up
from tests.conftest import PASSWORD, Client, Person

CANCEL = "mutation { cancelAccountDeletion { user { deletionScheduledAt } errors { code field } } }"
DELETE = f'mutation {{ deleteMyAccount(input: {{password: "{PASSWORD}"}}) {{ errors {{ code }} }} }}'
EXPORT = "mutation { exportMyData { document errors { code message } } }"
# As text, every value of the database that a test may find
EVERYTHING = "SELECT CAST(to_jsonb(t) AS text) AS row FROM {} AS t"


async def delete(client: Client, by: Person | str, **value: Any) -> dict[str, Any]:
    """Return the payload of deleteMyAccount, by default with the right password."""
    given = {"password": PASSWORD} | value
    given = {name: item for name, item in given.items() if item is not None}
    return await client.mutate("deleteMyAccount", given, "deletionScheduledAt", by=by)


async def deleted(client: Client, by: Person | str, **value: Any) -> None:
    """Let a person delete the own account."""
    assert (await delete(client, by, **value))["errors"] == []


async def cancel(client: Client, by: Person | str) -> list[str]:
    """Return the codes of the errors of cancelAccountDeletion."""
    payload = (await client.data(CANCEL, by=by))["cancelAccountDeletion"]
    return [error["code"] for error in payload["errors"]]


async def make_due(client: Client, *users: str) -> None:
    """Let the time to undo the deletion of these users be over, or of all."""
    await client.rows(
        "UPDATE users SET deletion_scheduled_at = now() "
        "WHERE deletion_scheduled_at IS NOT NULL AND (id = ANY($1) OR cardinality($1) = 0)",
        list(users),
    )


async def run_job(client: Client, grace_days: int = 14) -> None:
    """Run the clean-up once."""
    await clean_up(client.resources.database, None, grace_days, client.resources.encryption)


async def erased(client: Client, by: Person | str, **value: Any) -> None:
    """Let a person delete the own account, and the job erase it."""
    await deleted(client, by, **value)
    await make_due(client)
    await run_job(client)


async def tables_with(client: Client, *markers: str) -> dict[str, list[str]]:
    """Return the tables in which a text occurs, by marker, ignoring case; those without any are left out."""
    names = [row[0] for row in await client.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
    texts = {name: [row["row"].lower() for row in await client.rows(EVERYTHING.format(f'"{name}"'))] for name in names}
    found = {
        marker: sorted(name for name, rows in texts.items() if any(marker.lower() in row for row in rows))
        for marker in markers
    }
    return {marker: tables for marker, tables in found.items() if tables}


async def exported(client: Client, by: Person | str) -> dict[str, Any]:
    """Return the document of exportMyData."""
    payload = (await client.data(EXPORT, by=by))["exportMyData"]
    assert payload["errors"] == []
    document: dict[str, Any] = payload["document"]
    return document

"""The retention of the audit log: whole months, by the operator's setting only, and nothing else changes the log."""

from __future__ import annotations

import datetime as dt

import asyncpg
import pytest

from service import clean_up as module
from service.clean_up import clean_up
from service.settings import Settings, SettingsError, read
from tests.conftest import Client
from tests.test_clean_up import counted


def month_before(months: int, day: int = 1) -> dt.datetime:
    """Return a day of the month that is some months before the current one."""
    now = dt.datetime.now(dt.UTC)
    number = now.year * 12 + now.month - 1 - months
    return dt.datetime(number // 12, number % 12 + 1, day, tzinfo=dt.UTC)


async def add_events(client: Client, *moments: dt.datetime) -> None:
    for moment in moments:
        await client.rows(
            "INSERT INTO audit_events (id, event, created_at) "
            "VALUES (CAST(overlay(CAST(uuid_v7_at($1) AS text) PLACING '7' FROM 15) AS uuid), 'old', $1)",
            moment,
        )


async def old_events(client: Client) -> list[dt.datetime]:
    rows = await client.rows("SELECT created_at FROM audit_events WHERE event = 'old' ORDER BY created_at")
    return [row["created_at"] for row in rows]


async def test_audit_events_are_kept_for_ever_by_default(client: Client) -> None:
    moments = [month_before(600), month_before(13), month_before(1)]
    await add_events(client, *moments)
    await clean_up(client.resources.database, client.resources.settings.audit_retention_months)
    assert await old_events(client) == moments


@pytest.mark.parametrize("months", [1, 12])
async def test_audit_events_are_deleted_by_whole_months(
    client: Client, months: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    first_kept = month_before(months)
    gone = [first_kept - dt.timedelta(milliseconds=1), month_before(months + 1), month_before(months + 1, day=28)]
    gone += [month_before(40), month_before(41)]
    kept = [first_kept, month_before(0)]
    await add_events(client, *gone, *kept)
    await clean_up(client.resources.database, months)
    assert await old_events(client) == kept
    assert [each["auditEvents"]["old"] for each in await counted(client)] == [2, 2, 1]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_events",
        "DELETE FROM audit_events WHERE created_at < now() - interval '5 years'",
        "UPDATE audit_events SET event = 'x' WHERE created_at < now() - interval '5 years'",
        "TRUNCATE audit_events",
        "SELECT delete_audit_events(0, 1000000)",
        "SELECT delete_audit_events(-1200, 1000000)",
        # The name of the function in the text of another statement does not open the log
        """DO $$ BEGIN
        EXECUTE 'DELETE FROM audit_events -- PL/pgSQL function delete_audit_events(integer,integer) line 1';
        END $$""",
    ],
)
async def test_nothing_else_changes_the_log(client: Client, statement: str) -> None:
    moments = [month_before(120), month_before(1), month_before(0)]
    await add_events(client, *moments)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await client.rows(statement)
    assert await old_events(client) == moments


async def test_the_retention_reads_an_index(client: Client) -> None:
    await client.rows(
        "INSERT INTO audit_events (id, event, created_at) SELECT uuid_v7(), 'many', now() "
        "FROM generate_series(1, 20000)"
    )
    await client.rows("ANALYZE audit_events")
    plan = await client.rows(
        "EXPLAIN SELECT old.id FROM audit_events AS old "
        "WHERE old.id < uuid_v7_at(month_before(12) + interval '1 hour') AND old.created_at < month_before(12) "
        "ORDER BY old.id LIMIT 1000"
    )
    assert "Index Scan using audit_events_pkey" in "\n".join(row[0] for row in plan)


@pytest.mark.parametrize("value", ["0", "-1", "1201", "for ever", "1.5"])
def test_a_wrong_retention_stops_the_start(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("ROSTER_AUDIT_RETENTION_MONTHS", value)
    with pytest.raises(SettingsError, match="ROSTER_AUDIT_RETENTION_MONTHS"):
        read()
    assert Settings.model_fields["audit_retention_months"].default is None

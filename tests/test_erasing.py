"""The erasing of accounts: when it is due, once, whole, and without leaving a trace of the person."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from service import clean_up as module
from service.database.transaction import Transaction
from tests.conftest import Client, Person, opened_client
from tests.leaving import cancel, deleted, erased, make_due, run_job, tables_with
from tests.second_factors import codes
from tests.sessions import key, login
from tests.test_later_authority import wait_for_locks

USER = "SELECT FROM users WHERE id = $1"


async def exists(client: Client, person: Person) -> bool:
    return bool(await client.rows(USER, person.id))


# When it is due


@pytest.mark.parametrize(("seconds", "gone"), [(60, False), (0, True), (-60, True)], ids=["before", "at", "after"])
async def test_an_account_is_erased_when_its_time_is_over(
    client: Client, alice: Person, bob: Person, seconds: int, gone: bool
) -> None:
    await deleted(client, alice)
    await client.rows(
        "UPDATE users SET deletion_scheduled_at = now() + make_interval(secs => $1) WHERE id = $2",
        float(seconds),
        alice.id,
    )
    await run_job(client)
    assert await exists(client, alice) is not gone
    assert await exists(client, bob)


async def test_an_account_that_is_kept_is_not_erased(client: Client, alice: Person) -> None:
    await deleted(client, alice)
    token, _ = await login(client, "alice")
    assert await cancel(client, token) == []
    await run_job(client, grace_days=0)
    assert await exists(client, alice)


async def test_a_suspension_keeps_an_account_because_its_user_cannot_undo_the_deletion(
    client: Client, root: Person, alice: Person
) -> None:
    await deleted(client, alice)
    await client.mutate("suspendUser", {"id": alice.id}, "", by=root)
    await make_due(client)
    await run_job(client)
    assert await exists(client, alice)
    await client.rows("UPDATE users SET suspended_until = now() WHERE id = $1", alice.id)
    await run_job(client)
    assert not await exists(client, alice)


async def test_a_server_that_came_later_keeps_its_owner_and_no_other_user(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await deleted(client, alice)
    await deleted(client, bob)
    server = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    await make_due(client)
    await run_job(client)
    assert (await exists(client, alice), await exists(client, bob)) == (True, False)
    await client.mutate("deleteServer", {"id": server["server"]["id"]}, "", by=root)
    await run_job(client)
    assert not await exists(client, alice)


async def test_a_user_who_cannot_be_erased_does_not_keep_the_others(client: Client, alice: Person, bob: Person) -> None:
    await client.rows("CREATE TABLE later (user_id uuid CONSTRAINT later_user_id_fkey REFERENCES users (id))")
    await client.rows("INSERT INTO later VALUES ($1)", alice.id)
    await deleted(client, alice)
    await deleted(client, bob)
    await make_due(client)
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await run_job(client)
    assert (await exists(client, alice), await exists(client, bob)) == (True, False)
    await client.rows("DROP TABLE later")
    await run_job(client)
    assert not await exists(client, alice)


# Races


async def test_of_the_job_and_the_undoing_exactly_one_wins(client: Client, alice: Person) -> None:
    for number in range(6):
        name = f"racer{number}"
        await client.rows("INSERT INTO users (username, email) VALUES ($1, $2)", name, f"{name}@roster.test")
        await client.rows(
            "INSERT INTO credentials SELECT users.id, credentials.password_hash FROM users, credentials "
            "WHERE users.username = $1 AND credentials.user_id = $2",
            name,
            alice.id,
        )
        token, _ = await login(client, name)
        await deleted(client, token)
        token, _ = await login(client, name)
        await make_due(client)
        undoing = client.execute("mutation { cancelAccountDeletion { user { id } errors { code } } }", by=token)
        answer, _ = await asyncio.gather(undoing, run_job(client))
        kept = bool(await client.rows("SELECT FROM users WHERE username = $1", name))
        undone = "errors" not in answer and answer["data"]["cancelAccountDeletion"]["errors"] == []
        assert undone is kept
        events = await client.rows(
            "SELECT event FROM audit_events WHERE event IN ('user.cancel-deletion', 'user.erase')"
        )
        assert len(events) == number + 1


@pytest.mark.parametrize("first", ["job", "undoing"])
async def test_who_comes_second_finds_what_the_first_has_done(
    client: Client, alice: Person, database_url: str, first: str
) -> None:
    await deleted(client, alice)
    token, _ = await login(client, "alice")
    await client.data("{ me { id } }", by=token)
    await make_due(client)
    other = await asyncpg.connect(database_url)
    transaction = other.transaction()
    await transaction.start()
    if first == "job":
        await other.execute("DELETE FROM users WHERE id = $1 AND deletion_scheduled_at <= now()", alice.id)
        document = "mutation { cancelAccountDeletion { errors { code } } }"
        undoing = asyncio.create_task(client.execute(document, by=token))
        await wait_for_locks(database_url, 1)
        await transaction.commit()
        assert [error["extensions"]["code"] for error in (await undoing)["errors"]] == ["UNAUTHENTICATED"]
    else:
        await other.execute("UPDATE users SET deletion_scheduled_at = NULL WHERE id = $1", alice.id)
        await run_job(client)  # it does not wait for the row
        await transaction.commit()
        await run_job(client)
        assert await exists(client, alice)
    await other.close()


async def test_workers_that_erase_together_erase_once(client: Client, alice: Person, bob: Person) -> None:
    for person in (alice, bob):
        await deleted(client, person)
    await make_due(client)
    results = await asyncio.gather(*(run_job(client) for _ in range(4)), return_exceptions=True)
    assert all(each is None or isinstance(each, module.OtherWorkerError) for each in results)
    await run_job(client)
    assert len(await client.rows("SELECT FROM audit_events WHERE event = 'user.erase'")) == 2
    assert await client.rows("SELECT FROM erasures") == []


# A job that is killed


@pytest.mark.parametrize(
    "stop",
    ["lock_leaving_user", "delete_leaving_user", "create_retired_username", "create_audit_event", "apply_erasure"],
)
async def test_a_job_that_is_stopped_loses_nothing_and_goes_on(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    await client.mutate("updateProfile", {"firstName": "Marker-first-name"}, "", by=alice)
    await deleted(client, alice)
    await make_due(client)
    before = await client.rows("SELECT CAST(to_jsonb(users) AS text) FROM users WHERE id = $1", alice.id)
    run = Transaction.run
    stopped: list[str] = []

    async def run_until(self: Transaction, name: str, /, **parameters: Any) -> Any:
        result = await run(self, name, **parameters)
        if name == stop and not stopped:
            stopped.append(name)
            await self.connection.fetch("SELECT pg_terminate_backend(pg_backend_pid())")
        return result

    monkeypatch.setattr(Transaction, "run", run_until)
    with pytest.raises(Exception, match=r"."):
        await run_job(client)
    monkeypatch.undo()
    assert stopped == [stop]
    if stop == "apply_erasure":
        assert not await exists(client, alice)
        assert len(await client.rows("SELECT FROM erasures")) == 1, "the events are still to be erased"
    else:
        after = await client.rows("SELECT CAST(to_jsonb(users) AS text) FROM users WHERE id = $1", alice.id)
        assert after == before, "nothing of the account is gone"
        assert len(await client.rows("SELECT FROM credentials WHERE user_id = $1", alice.id)) == 1
    await run_job(client)
    assert not await exists(client, alice)
    assert await client.rows("SELECT FROM erasures") == []
    assert await tables_with(client, "Marker-first-name", "alice") == {}
    assert len(await client.rows("SELECT FROM audit_events WHERE event = 'user.erase'")) == 1


async def test_a_service_that_starts_with_due_accounts_erases_them(
    client: Client, database_url: str, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    await deleted(client, alice)
    await make_due(client)
    monkeypatch.setattr("random.uniform", lambda _low, _high: 0.0)
    async with opened_client(client.resources.settings, database_url) as other, asyncio.timeout(20):
        for _ in range(400):
            if not await exists(other, alice):
                break
            await asyncio.sleep(0.05)
    assert len(await client.rows("SELECT FROM retired_usernames")) == 1


async def test_an_api_key_and_other_rows_go_with_the_account(client: Client, root: Person, alice: Person) -> None:
    await key(client, alice, "account.read")
    value = {"username": "carol", "idempotencyKey": "mine"}
    await client.rows("INSERT INTO idempotency_keys VALUES ($1, 'x', 'k', 'f')", alice.id)
    assert codes(await client.mutate("createUser", value, "", by=root)) == []
    await erased(client, alice)
    for table in ("api_keys", "sessions", "credentials", "mails"):
        assert await client.rows(f"SELECT FROM {table} WHERE user_id = $1", alice.id) == [], table
    [row] = await client.rows("SELECT actor_id FROM idempotency_keys")
    assert row["actor_id"] == root.id

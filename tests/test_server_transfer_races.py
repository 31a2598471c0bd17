"""Transfers of servers at the same time: limits are kept, and no two writes wait for each other."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from tests.conftest import Client, Person
from tests.servers import new_server, only_event, owner_of, problems, transfer


async def test_parallel_transfers_do_not_exceed_the_limit_of_the_new_owner(
    client: Client, root: Person, admin: Person, alice: Person, bob: Person
) -> None:
    await client.mutate("updateUser", {"id": bob.id, "limits": {"servers": 2}}, "", by=admin)
    servers = [await new_server(client, admin, alice) for _ in range(4)]
    moved = await asyncio.gather(
        *(transfer(client, by, each, bob) for each, by in zip(servers, (root, admin) * 2, strict=True)),
        *(
            client.mutate("createServer", {"name": "new", "ownerId": bob.id}, "server { id }", by=admin)
            for _ in range(2)
        ),
    )
    assert Counter(str(problems(payload)) for payload in moved) == {"[]": 2, "[('LIMIT_REACHED', ['ownerId'])]": 4}
    assert len(await client.rows("SELECT FROM servers WHERE owner_id = $1", bob.id)) == 2


async def test_opposite_transfers_do_not_deadlock(
    client: Client, root: Person, admin: Person, alice: Person, bob: Person
) -> None:
    alices = [await new_server(client, admin, alice) for _ in range(3)]
    bobs = [await new_server(client, admin, bob) for _ in range(3)]
    moved = await asyncio.gather(
        *(transfer(client, root, each, bob, formerOwnerPermissions=["file.read"]) for each in alices),
        *(transfer(client, admin, each, alice, formerOwnerPermissions=["file.read"]) for each in bobs),
    )
    assert [payload["errors"] for payload in moved] == [[]] * 6
    assert [await owner_of(client, each) for each in alices] == [bob.id] * 3
    assert [await owner_of(client, each) for each in bobs] == [alice.id] * 3


async def test_two_transfers_of_one_server_are_one_transfer_and_one_conflict(
    client: Client, people: dict[str, Person]
) -> None:
    root, admin, staff, alice, bob = (people[name] for name in ("root", "adam", "stella", "alice", "bob"))
    server_id = await new_server(client, admin, alice)
    async with client.resources.database.transaction() as other:
        await other.run("lock_server", id=server_id)
        waiting = [asyncio.create_task(transfer(client, by, server_id, to)) for by, to in ((root, bob), (admin, staff))]
        await asyncio.sleep(0.5)
    moved = [await each for each in waiting]
    assert sorted(problems(payload) for payload in moved) == [[], [("CONFLICT", ["id"])]]
    assert await owner_of(client, server_id) in {bob.id, staff.id}
    await only_event(client, "server.transfer")


@pytest.mark.parametrize("gone", ["alice", "bob"])
async def test_a_transfer_and_the_deletion_of_a_user_end_in_one_of_both_orders(
    client: Client, people: dict[str, Person], gone: str
) -> None:
    root, admin, alice, bob = (people[name] for name in ("root", "adam", "alice", "bob"))
    server_id = await new_server(client, admin, alice)
    person = alice if gone == "alice" else bob
    keep = {"formerOwnerPermissions": ["file.read"]}
    moved, deleted = await asyncio.gather(
        transfer(client, root, server_id, bob, **keep),
        client.mutate("deleteUser", {"id": person.id, "cascade": gone == "alice"}, "deletedId", by=admin),
    )
    left = await client.rows("SELECT owner_id FROM servers")
    if gone == "alice":
        # Either the server goes with Alice, or Bob has it by then, and her membership goes
        assert problems(deleted) == []
        assert (problems(moved), [row["owner_id"] for row in left]) in (
            ([], [bob.id]),
            ([("NOT_FOUND", ["id"])], []),
            ([("CONFLICT", ["id"])], []),
        )
        assert await client.rows("SELECT FROM subusers") == []
    else:
        assert (problems(moved), problems(deleted), [row["owner_id"] for row in left]) in (
            ([], [("IN_USE", ["id"])], [bob.id]),
            ([("NOT_FOUND", ["ownerId"])], [], [alice.id]),
        )

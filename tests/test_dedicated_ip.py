"""Dedicated IP addresses: one user an address, in one form, as each caller may read and change them."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from service import limits
from tests.conftest import Client, Person
from tests.outcomes import outcome
from tests.sessions import SUPPORT, impersonated

ADDRESS = "dedicatedIp { id address user { username } assignedAt }"
LISTED = "query ($assigned: Boolean) { dedicatedIps(assigned: $assigned) { totalCount nodes { address user { id } } } }"
UNKNOWN = "01900000-0000-7000-8000-000000000000"
MINE = "{ me { dedicatedIps { address user { username } } } }"


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the field of each error."""
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def assign(client: Client, by: Person | str, user: Person, address: str) -> dict[str, Any]:
    """Assign an address to a user, and return the payload."""
    return await client.mutate("assignDedicatedIp", {"userId": user.id, "address": address}, ADDRESS, by=by)


async def release(client: Client, by: Person | str, address: str) -> dict[str, Any]:
    """Release an address, and return the payload."""
    return await client.mutate("releaseDedicatedIp", {"address": address}, ADDRESS, by=by)


async def key(client: Client, by: Person, *permissions: str) -> str:
    """Return the secret of a new API key."""
    value = {"name": "-".join(permissions)[:31], "permissions": permissions}
    return str((await client.mutate("createApiKey", value, "secret", by=by))["secret"])


async def role(client: Client, root: Person, person: Person, *permissions: str) -> None:
    """Give a user a new role."""
    made = await client.mutate("createRole", {"name": "desk", "permissions": permissions}, "role { id }", by=root)
    change = {"id": person.id, "roleId": made["role"]["id"]}
    assert (await client.mutate("updateUser", change, "", by=root))["errors"] == []


async def test_an_address_is_assigned_released_and_assigned_again(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    for address in ("198.51.100.7", "2001:db8::7"):
        first = await assign(client, admin, alice, address)
        assert first["errors"] == []
        assert first["dedicatedIp"]["address"] == address
        assert first["dedicatedIp"]["user"] == {"username": "alice"}
        assert first["dedicatedIp"]["assignedAt"]
        assert problems(await assign(client, admin, bob, address)) == [("TAKEN", ["address"])]
        assert problems(await assign(client, admin, alice, address)) == [("ALREADY_DONE", ["address"])]
        released = await release(client, admin, address)
        expected = {"id": first["dedicatedIp"]["id"], "address": address, "user": None, "assignedAt": None}
        assert released == {"dedicatedIp": expected, "errors": []}
        assert problems(await release(client, admin, address)) == [("ALREADY_DONE", ["address"])]
        again = await assign(client, admin, bob, address)
        assert (again["dedicatedIp"]["id"], again["dedicatedIp"]["user"]) == (expected["id"], {"username": "bob"})


async def test_the_list_shows_addresses_with_and_without_users(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    for number, person in enumerate((alice, bob, alice), 1):
        await assign(client, admin, person, f"198.51.100.{number}")
    await release(client, admin, "198.51.100.3")
    free, of_bob, of_alice = (
        {"address": "198.51.100.3", "user": None},
        {"address": "198.51.100.2", "user": {"id": bob.id}},
        {"address": "198.51.100.1", "user": {"id": alice.id}},
    )
    for assigned, expected in ((None, [free, of_bob, of_alice]), (True, [of_bob, of_alice]), (False, [free])):
        before = client.reads
        found = await client.data(LISTED, {"assigned": assigned}, by=admin)
        assert found == {"dedicatedIps": {"totalCount": len(expected), "nodes": expected}}
        # The actor, the page, its count, and the users if there are any
        assert client.reads - before == (3 if assigned is False else 4)
    before = client.reads
    users = await client.data("{ users(orderBy: USERNAME_ASC) { nodes { dedicatedIps { address } } } }", by=admin)
    assert client.reads - before == 3
    assert [user["dedicatedIps"] for user in users["users"]["nodes"]] == [
        [],
        [{"address": "198.51.100.1"}],
        [{"address": "198.51.100.2"}],
        [],
        [],
    ]
    page = (
        "query ($after: String) { dedicatedIps(first: 2, after: $after) { nodes { address } pageInfo { endCursor } } }"
    )
    first = (await client.data(page, by=admin))["dedicatedIps"]
    rest = (await client.data(page, {"after": first["pageInfo"]["endCursor"]}, by=admin))["dedicatedIps"]
    assert [node["address"] for node in first["nodes"] + rest["nodes"]] == [f"198.51.100.{n}" for n in (3, 2, 1)]


@pytest.mark.parametrize(
    ("given", "same"),
    [
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("::FFFF:C633:6407", "198.51.100.7"),
        ("2001:DB8:0:0:0:0:0:7", "2001:db8::7"),
    ],
)
async def test_an_address_has_one_form(  # noqa: PLR0917
    client: Client, admin: Person, alice: Person, bob: Person, given: str, same: str
) -> None:
    assert (await assign(client, admin, alice, given))["dedicatedIp"]["address"] == same
    for address in (given, same):
        assert problems(await assign(client, admin, bob, address)) == [("TAKEN", ["address"])]
    assert (await release(client, admin, given))["dedicatedIp"]["address"] == same
    for wrong in ("198.51.100.0/24", "::ffff:198.51.100.9", "2001:db8::/64"):
        with pytest.raises(asyncpg.CheckViolationError, match="dedicated_ips_address_host"):
            await client.rows("INSERT INTO dedicated_ips (address) VALUES ($1)", wrong)


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "0.1.2.3", "127.0.0.1", "169.254.169.254", "224.0.0.1", "240.0.0.1"),  # noqa: S104
        "255.255.255.255",
        *("::", "::1", "fe80::1", "fec0::1", "ff02::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:224.0.0.1"),
        "64:ff9b::7f00:1",
    ],
)
async def test_what_cannot_be_the_address_of_a_host_is_rejected(
    client: Client, admin: Person, alice: Person, address: str
) -> None:
    assert problems(await assign(client, admin, alice, address)) == [("INVALID", ["address"])]
    payload = await client.mutate("assignDedicatedIp", {"userId": UNKNOWN, "address": address}, ADDRESS, by=admin)
    assert sorted(problems(payload)) == [("INVALID", ["address"]), ("NOT_FOUND", ["userId"])]
    assert await client.rows("SELECT 1 FROM dedicated_ips") == []
    assert problems(await release(client, admin, address)) == [("NOT_FOUND", ["address"])]


@pytest.mark.parametrize("address", ["", "alice", "198.51.100.7/32", "198.51.100.256", "fe80::1%eth0", "1" * 5000])
async def test_another_text_is_no_address(client: Client, admin: Person, alice: Person, address: str) -> None:
    document = "mutation ($input: AssignDedicatedIpInput!) { assignDedicatedIp(input: $input) { errors { code } } }"
    answer = await client.execute(document, {"input": {"userId": alice.id, "address": address}}, by=admin)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]


async def test_a_user_has_at_most_so_many_addresses(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    most = limits.DEDICATED_IPS_PER_USER
    await client.rows(
        """INSERT INTO dedicated_ips (address, user_id, assigned_at)
           SELECT inet '10.0.0.0' + n, $1, now() FROM generate_series(2, $2) AS n""",
        alice.id,
        most,
    )
    values = [{"userId": alice.id, "address": f"198.51.100.{number}"} for number in range(1, 9)]
    codes = await asyncio.gather(*(outcome(client, "assignDedicatedIp", value, admin) for value in values))
    assert sorted(codes) == [*["LIMIT_REACHED"] * 7, "done"]
    assert problems(await assign(client, admin, alice, "198.51.100.99")) == [("LIMIT_REACHED", ["userId"])]
    assert len((await client.data(MINE, by=alice))["me"]["dedicatedIps"]) == most
    assert problems(await assign(client, admin, bob, "198.51.100.200")) == []


async def test_only_callers_with_the_permission_read_and_change_addresses(  # noqa: PLR0917
    client: Client, root: Person, admin: Person, staff: Person, alice: Person, bob: Person
) -> None:
    assigned = await assign(client, admin, alice, "198.51.100.7")
    node = "query ($id: ID!) { node(id: $id) { ... on DedicatedIp { address user { username } } } }"
    shown = {"node": {"address": "198.51.100.7", "user": {"username": "alice"}}}
    ip_id = {"id": assigned["dedicatedIp"]["id"]}
    await role(client, root, bob, "ips.read", "ips.assign")
    reader, writer = await key(client, bob, "ips.read", "account.read"), await key(client, bob, "ips.assign")
    own, other = await key(client, alice, "account.read"), await key(client, alice, "servers.read")
    for by, seen in (
        *((admin, True), (root, True), (alice, True), (reader, True), (own, True), (bob, True)),
        *((staff, False), (writer, False), (other, False), (None, False)),
    ):
        answer = await client.execute(node, ip_id, by=by)
        assert answer["data"] == (shown if seen else {"node": None}), by
    assert (await client.data(MINE, by=own))["me"]["dedicatedIps"] == [shown["node"]]
    for by, code in ((alice, "FORBIDDEN"), (staff, "FORBIDDEN"), (own, "FORBIDDEN"), (None, "UNAUTHENTICATED")):
        for document in (
            "{ dedicatedIps { totalCount } }",
            f'mutation {{ assignDedicatedIp(input: {{userId: "{bob.id}", address: "192.0.2.8"}}) {{ __typename }} }}',
            'mutation { releaseDedicatedIp(input: {address: "198.51.100.7"}) { __typename } }',
        ):
            answer = await client.execute(document, by=by)
            assert [error["extensions"]["code"] for error in answer["errors"]] == [code], (by, document)
    reading, writing = (
        "{ dedicatedIps { totalCount } }",
        'mutation { releaseDedicatedIp(input: {address: "198.51.100.7"})',
    )
    assert (await client.execute(f"{writing} {{ errors {{ code }} }} }}", by=reader))["errors"]
    assert (await client.execute(reading, by=writer))["errors"]
    # The other users' addresses are null for a reader of users without ips.read
    found = await client.execute(f'{{ user(by: {{id: "{alice.id}"}}) {{ dedicatedIps {{ id }} }} }}', by=staff)
    assert found["data"] == {"user": {"dedicatedIps": None}}
    assert [error["extensions"]["permission"] for error in found["errors"]] == ["ips.read"]
    # A caller who may assign, but not read, sees that it was done
    done = await client.mutate("releaseDedicatedIp", {"address": "198.51.100.7"}, "__typename", by=writer)
    assert done["errors"] == []
    assert await client.execute(node, ip_id, by=alice) == {"data": {"node": None}}


async def test_addresses_of_a_stronger_user_are_not_changed(
    client: Client, root: Person, admin: Person, staff: Person, bob: Person
) -> None:
    await role(client, root, bob, "ips.assign", "ips.read")
    assert problems(await assign(client, root, root, "198.51.100.1")) == []
    assert problems(await assign(client, root, staff, "198.51.100.2")) == []
    narrow = await key(client, admin, "ips.assign")
    for by, person, address in (
        (bob, root, "198.51.100.1"),
        (bob, staff, "198.51.100.2"),
        (admin, root, "198.51.100.1"),
        (narrow, staff, "198.51.100.2"),
    ):
        assert problems(await release(client, by, address)) == [("NOT_ALLOWED", ["address"])]
        assert problems(await assign(client, by, person, "198.51.100.9")) == [("NOT_ALLOWED", ["userId"])]
    rows = await client.rows("SELECT host(address) AS address FROM dedicated_ips WHERE user_id IS NOT NULL ORDER BY 1")
    assert [row["address"] for row in rows] == ["198.51.100.1", "198.51.100.2"]


async def test_a_person_who_acts_as_a_user_has_only_what_both_hold(
    client: Client, root: Person, admin: Person, bob: Person, alice: Person
) -> None:
    await assign(client, root, alice, "198.51.100.7")
    await role(client, root, bob, *SUPPORT)
    session = await impersonated(client, bob, alice)
    assert (await client.data(MINE, by=session))["me"]["dedicatedIps"][0]["address"] == "198.51.100.7"
    answer = await client.execute("{ dedicatedIps { totalCount } }", by=session)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]


async def test_a_deleted_user_leaves_the_addresses_and_the_event_names_them(
    client: Client, admin: Person, staff: Person, alice: Person
) -> None:
    for address in ("2001:db8::7", "198.51.100.7"):
        await assign(client, admin, alice, address)
    assert (await client.mutate("deleteUser", {"id": alice.id}, "", by=admin))["errors"] == []
    found = await client.data(LISTED, {"assigned": False}, by=admin)
    assert found["dedicatedIps"]["totalCount"] == 2
    assert await client.rows("SELECT 1 FROM dedicated_ips WHERE assigned_at IS NOT NULL") == []
    events = '{ auditEvents(first: 1, filter: {event: ["user.delete"]}) { nodes { changes } } }'
    for by, shown in ((admin, {"old": ["198.51.100.7", "2001:db8::7"], "new": None}), (staff, None)):
        [event] = (await client.data(events, by=by))["auditEvents"]["nodes"]
        assert event["changes"].get("dedicatedIps") == shown


async def test_events_are_those_of_the_user_who_gets_and_loses_the_address(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    await assign(client, admin, alice, "198.51.100.7")
    await release(client, admin, "198.51.100.7")
    await assign(client, admin, bob, "198.51.100.7")
    mine = "{ me { auditEvents(first: 9) { nodes { event changes } } } }"
    rows: list[tuple[Person, list[tuple[str, Any]]]] = [
        (
            alice,
            [
                ("dedicated-ip.release", {"userId": {"old": alice.id, "new": None}}),
                (
                    "dedicated-ip.assign",
                    {"address": {"old": None, "new": "198.51.100.7"}, "userId": {"old": None, "new": alice.id}},
                ),
            ],
        ),
        (bob, [("dedicated-ip.assign", {"userId": {"old": None, "new": bob.id}})]),
    ]
    for person, expected in rows:
        nodes = (await client.data(mine, by=person))["me"]["auditEvents"]["nodes"]
        events = [node for node in nodes if node["event"].startswith("dedicated-ip.")]
        for node, (event, changed) in zip(events, expected, strict=True):
            node["changes"].pop("assignedAt")
            assert (node["event"], node["changes"]) == (event, changed)
    document = '{ auditEvents(filter: {event: ["dedicated-ip.release"]}) { nodes { changes } } }'
    for permissions, visible in ((["audit.read"], False), (["audit.read", "ips.read"], True)):
        by = await key(client, admin, *permissions)
        [event] = (await client.data(document, by=by))["auditEvents"]["nodes"]
        assert bool(event["changes"]) is visible

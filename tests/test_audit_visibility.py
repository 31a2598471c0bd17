"""What an audit event shows to which reader: a value requires the access of the field that shows it."""

from __future__ import annotations

from typing import Any

from tests.conftest import Client, Person

LATEST = "query ($event: [String!]) { auditEvents(first: 1, filter: {event: $event}) { nodes { changes } } }"


async def changes(client: Client, event: str, by: Person | str) -> dict[str, Any]:
    """Return the changes of the latest event of that name, as the reader sees them."""
    found = await client.data(LATEST, {"event": [event]}, by=by)
    shown: dict[str, Any] = found["auditEvents"]["nodes"][0]["changes"]
    return shown


async def key_with(client: Client, by: Person, *permissions: str) -> str:
    """Return the secret of a new API key with the permissions."""
    value = {"name": "-".join(permissions)[:31], "permissions": list(permissions)}
    return str((await client.mutate("createApiKey", value, "secret", by=by))["secret"])


async def test_a_reader_without_the_billing_permission_sees_no_address(
    client: Client, root: Person, staff: Person, alice: Person
) -> None:
    value = {"id": alice.id, "firstName": "A", "billingAddress": {"city": "Graz"}}
    await client.mutate("updateUser", value, "user { id }", by=root)
    assert sorted(await changes(client, "user.update", root)) == ["billingAddress", "firstName"]
    assert sorted(await changes(client, "user.update", staff)) == ["firstName"]


async def test_a_reader_sees_only_what_the_other_permissions_open(client: Client, root: Person, alice: Person) -> None:
    server = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    value = {"serverId": server["server"]["id"], "email": "new@roster.test", "permissions": ["file.read"]}
    await client.mutate("createSubuser", value, "subuser { id }", by=root)
    every = {"permissions", "serverId", "userId", "user.email", "user.username"}
    assert set(await changes(client, "subuser.create", root)) == every
    audit_and_servers = await key_with(client, root, "audit.read", "servers.read")
    assert set(await changes(client, "subuser.create", audit_and_servers)) == every - {"user.email"}
    only_audit = await key_with(client, root, "audit.read")
    assert await changes(client, "subuser.create", only_audit) == {}
    assert await changes(client, "server.create", only_audit) == {}
    assert set(await changes(client, "server.create", audit_and_servers)) == {"name", "ownerId"}
    assert set(await changes(client, "user.create", only_audit)) == {"twoFactorEnabled", "username"}


async def test_a_name_that_no_field_shows_is_hidden(client: Client, root: Person, alice: Person) -> None:
    await client.rows(
        "INSERT INTO audit_events (event, target_type, target_id, owner_id, changes) VALUES "
        """('user.old', 'User', $1, $1, '{"nickname": {"old": 1, "new": 2}, "user.email": {"old": 1, "new": 2}}')""",
        alice.id,
    )
    await client.rows(
        "INSERT INTO audit_events (event, target_type, changes) VALUES "
        """('thing.old', 'Thing', '{"name": {"old": 1, "new": 2}}')"""
    )
    assert await changes(client, "user.old", root) == {}
    assert await changes(client, "thing.old", root) == {}


async def test_only_the_actor_and_readers_of_the_log_see_where_a_change_came_from(
    client: Client, staff: Person, bob: Person, root: Person
) -> None:
    await client.mutate("updateUser", {"id": bob.id, "firstName": "Robert"}, "user { id }", by=root)
    selection = "auditEvents(first: 1) { nodes { event actor { username } ip credential requestId } }"
    answer = await client.execute(f"{{ me {{ {selection} }} }}", by=bob)
    assert answer["data"]["me"]["auditEvents"]["nodes"] == [
        {"event": "user.update", "actor": {"username": "root"}, "ip": None, "credential": None, "requestId": None}
    ]
    assert [(error["path"][-1], error["extensions"]["code"]) for error in answer["errors"]] == [
        ("ip", "FORBIDDEN"),
        ("credential", "FORBIDDEN"),
        ("requestId", "FORBIDDEN"),
    ]
    for reader in (root, staff):
        (node,) = (await client.data(f"{{ {selection} }}", by=reader))["auditEvents"]["nodes"]
        assert node["ip"] == "192.0.2.1"
        assert node["credential"].startswith("session:")
    await client.mutate("updateProfile", {"firstName": "Bob"}, "user { id }", by=bob)
    (own,) = (await client.data(f"{{ me {{ {selection} }} }}", by=bob))["me"]["auditEvents"]["nodes"]
    assert (own["event"], own["ip"]) == ("user.profile", "192.0.2.1")


async def test_the_user_of_an_event_sees_nothing_that_the_account_hides(
    client: Client, root: Person, bob: Person
) -> None:
    await client.mutate("updateUser", {"id": bob.id, "externalId": "crm-7", "firstName": "B"}, "user { id }", by=root)
    own = await client.data("{ me { auditEvents(first: 1) { nodes { changes } } } }", by=bob)
    assert own["me"]["auditEvents"]["nodes"] == [{"changes": {"firstName": {"old": None, "new": "B"}}}]
    assert (await changes(client, "user.update", root))["externalId"] == {"old": None, "new": "crm-7"}

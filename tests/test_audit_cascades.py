"""The audit events of changes that reach further objects."""

from __future__ import annotations

from typing import Any

from tests.conftest import Client, Person


async def last_changes(client: Client, event: str) -> dict[str, Any]:
    """Return the changes of the newest event of a name."""
    (row,) = await client.rows("SELECT changes FROM audit_events WHERE event = $1 ORDER BY id DESC LIMIT 1", event)
    changes: dict[str, Any] = row["changes"]
    return changes


async def test_the_deletion_of_an_owner_names_the_memberships_of_other_users(
    client: Client, root: Person, alice: Person
) -> None:
    server = await client.mutate("createServer", {"name": "box", "ownerId": alice.id}, "server { id }", by=root)
    value = {"serverId": server["server"]["id"], "email": "bob@roster.test", "permissions": ["file.read"]}
    subuser = await client.mutate("createSubuser", value, "subuser { id }", by=alice)
    deleted = await client.mutate("deleteUser", {"id": alice.id, "cascade": True}, "deletedId", by=root)
    assert deleted == {"deletedId": alice.id, "errors": []}
    changes = await last_changes(client, "user.delete")
    assert changes["servers"] == {"old": [server["server"]["id"]], "new": None}
    assert changes["subusers"] == {"old": [subuser["subuser"]["id"]], "new": None}


async def test_a_new_default_plan_names_the_former_one(client: Client, admin: Person) -> None:
    value = {"tier": "FREE", "isDefault": True}
    former = await client.mutate("createPlan", {"name": "gold"} | value, "plan { id }", by=admin)
    await client.mutate("createPlan", {"name": "silver"} | value, "plan { id }", by=admin)
    changes = await last_changes(client, "plan.create")
    assert changes["defaultPlan"] == {"old": former["plan"]["id"], "new": None}

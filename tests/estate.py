"""What Alice owns, one object of every type made through the door, and everybody who may ask for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.conftest import PASSWORD, Door, Person

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQjRFl2ngA57m37nefhDN6jDP747P548c5zttHKM738"
# Subusers of Alice's server: who may list the others, who may not, and the one whose membership they look at
SUBUSERS = {"sue": ["subusers.read"], "nora": ["control.console"], "mel": ["file.read"]}
ADDRESS = {
    "line1": "1 Main Street",
    "line2": "Back",
    "company": "Small & Co",
    "city": "Vienna",
    "state": "Vienna",
    "postalCode": "1010",
    "country": "AT",
}
PROFILE = {
    "firstName": "Alice",
    "lastName": "Archer",
    "displayName": "Alice A.",
    "externalId": "panel-7",
    "dateOfBirth": "1990-02-28",
    "billingAddress": ADDRESS,
    "limits": {"servers": 3},
}


@dataclass(frozen=True)
class Estate:
    """`ids` by type: an object of each that is Alice's; `callers`: the token of everybody who asks, None for nobody.

    Everybody but the administrators meets Alice on the server `meeting`, where they share nothing else.
    """

    ids: dict[str, str]
    callers: dict[str, str | None]
    meeting: str


async def settle(door: Door, people: dict[str, Person]) -> Estate:
    """Makes Alice's things and everybody's credentials."""
    root, admin, alice = people["root"], people["adam"], people["alice"]
    ids = {"User": alice.id}
    ids["Plan"] = await _make(
        door, "createPlan", {"name": "Small", "description": "For one", "tier": "PAID"}, "plan", admin
    )
    role = {"name": "Customer", "description": "Buys", "permissions": []}
    ids["Role"] = await _make(door, "createRole", role, "role", admin)
    profile = PROFILE | {"id": alice.id, "roleId": ids["Role"]}
    await _make(door, "updateUser", profile, "user", admin)
    await _make(door, "changePlan", {"userId": alice.id, "planId": ids["Plan"]}, "user", admin)
    ids["SshKey"] = await _make(door, "addSshKey", {"name": "laptop", "publicKey": SSH_KEY}, "sshKey", alice)
    server = {"name": "web", "externalId": "node-1", "ownerId": alice.id}
    ids["Server"] = await _make(door, "createServer", server, "server", admin)
    meeting = await _make(door, "createServer", {"name": "meeting", "ownerId": alice.id}, "server", admin)
    callers: dict[str, str | None] = {"anonymous": None, "user": people["bob"].token, "owner": alice.token}
    await _invite(door, alice, meeting, "bob", ["control.start"])
    for name, granted in SUBUSERS.items():
        account = {"username": name, "email": f"{name}@roster.test", "password": PASSWORD}
        await _make(door, "createUser", account, "user", admin)
        await _invite(door, alice, meeting, name, ["control.start"])
        ids["Subuser"] = await _invite(door, alice, ids["Server"], name, granted)
    callers["subuser-reader"] = (await _session(door, "sue"))["token"]
    callers["subuser"] = (await _session(door, "nora"))["token"]
    callers |= {"staff": people["stella"].token, "admin": admin.token, "root": root.token}
    ended = await _session(door, "alice")
    ids["Session"] = (await _session(door, "alice"))["session"]["id"]
    await door.data("mutation { logout { endedSessions } }", by=ended["token"])
    callers["ended"] = ended["token"]
    callers["admin-key"] = (await _key(door, admin, ["users.read"]))["secret"]
    key = await _key(door, alice, ["account.read"])
    ids["ApiKey"], callers["owner-key"] = key["apiKey"]["id"], key["secret"]
    # One event of Alice's own doing, one that an administrator made on her account
    ids["AuditEvent"] = await _event(door, root, "ssh-key.create")
    ids["AuditEvent by another"] = await _event(door, root, "user.update")
    # The logins left their cookies with the client, and nobody must not come with one
    door.http.cookies.clear()
    return Estate(ids, callers, meeting)


async def _make(door: Door, field: str, value: dict[str, Any], made: str, by: Person) -> str:
    payload = await door.change(field, value, f"{made} {{ id }}", by=by)
    assert payload["errors"] == []
    return str(payload[made]["id"])


async def _invite(door: Door, owner: Person, server: str, name: str, permissions: list[str]) -> str:
    value = {"serverId": server, "email": f"{name}@roster.test", "permissions": permissions}
    return await _make(door, "createSubuser", value, "subuser", owner)


async def _session(door: Door, name: str) -> dict[str, Any]:
    return await door.change("login", {"login": name, "password": PASSWORD}, "token session { id }")


async def _key(door: Door, by: Person, permissions: list[str]) -> dict[str, Any]:
    value = {"name": "golden", "permissions": permissions}
    return await door.change("createApiKey", value, "secret apiKey { id }", by=by)


async def _event(door: Door, root: Person, name: str) -> str:
    document = "query ($name: String!) { auditEvents(first: 1, filter: {event: $name}) { nodes { id } } }"
    return str((await door.data(document, {"name": name}, by=root))["auditEvents"]["nodes"][0]["id"])

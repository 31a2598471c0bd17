"""Objects of Alice, one of every type, and callers of every kind who may request them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.authenticator import Authenticator
from tests.conftest import PASSWORD, Client, Person

SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQjRFl2ngA57m37nefhDN6jDP747P548c5zttHKM738"
# Subusers of Alice's server: one may list the others, one may not, and the membership of the third is requested
SUBUSERS = {"sue": ["user.read"], "nora": ["control.console"], "mel": ["file.read"]}
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
class Objects:
    """`ids` has an object of Alice for every type; `callers` has a token for every kind, None for the anonymous one.

    All callers except the administrators have access to Alice's server `shared`, and to nothing else of hers.
    """

    ids: dict[str, str]
    callers: dict[str, str | None]
    shared: str


async def create_objects(client: Client, people: dict[str, Person]) -> Objects:
    """Create the objects of Alice, and the credentials of all callers."""
    root, admin, alice = people["root"], people["adam"], people["alice"]
    ids = {"User": alice.id}
    ids["Plan"] = await _make(
        client, "createPlan", {"name": "Small", "description": "For one", "tier": "PAID"}, "plan", admin
    )
    preset = {"name": "Operator", "description": "Starts and stops", "permissions": ["control.start", "control.stop"]}
    ids["PermissionPreset"] = await _make(client, "createPermissionPreset", preset, "permissionPreset", admin)
    role = {"name": "Customer", "description": "Buys", "permissions": []}
    ids["Role"] = await _make(client, "createRole", role, "role", admin)
    profile = PROFILE | {"id": alice.id, "roleId": ids["Role"]}
    await _make(client, "updateUser", profile, "user", admin)
    await _make(client, "changePlan", {"userId": alice.id, "planId": ids["Plan"]}, "user", admin)
    [period] = await client.rows("SELECT id FROM plan_periods WHERE user_id = $1", alice.id)
    ids["PlanPeriod"] = str(period["id"])
    dedicated = {"userId": alice.id, "address": "198.51.100.7"}
    ids["DedicatedIp"] = await _make(client, "assignDedicatedIp", dedicated, "dedicatedIp", admin)
    ids["SshKey"] = await _make(client, "addSshKey", {"name": "laptop", "publicKey": SSH_KEY}, "sshKey", alice)
    server = {"name": "web", "externalId": "node-1", "ownerId": alice.id}
    ids["Server"] = await _make(client, "createServer", server, "server", admin)
    shared = await _make(client, "createServer", {"name": "shared", "ownerId": alice.id}, "server", admin)
    callers: dict[str, str | None] = {"anonymous": None, "user": people["bob"].token, "owner": alice.token}
    await _invite(client, alice, shared, "bob", ["control.start"])
    for name, granted in SUBUSERS.items():
        account = {"username": name, "email": f"{name}@roster.test", "password": PASSWORD}
        await _make(client, "createUser", account, "user", admin)
        await _invite(client, alice, shared, name, ["control.start"])
        ids["Subuser"] = await _invite(client, alice, ids["Server"], name, granted)
    callers["subuser-reader"] = (await _session(client, "sue"))["token"]
    callers["subuser"] = (await _session(client, "nora"))["token"]
    callers |= {"staff": people["stella"].token, "admin": admin.token, "root": root.token}
    wallet = {"userId": alice.id, "amountSat": 21, "reason": "Deposit"}
    ids["WalletEntry"] = await _make(client, "adjustBalance", wallet, "entry", admin)
    ids["Wallet"] = await _make(client, "createWallet", {"name": "Savings"}, "wallet", alice)
    ended = await _session(client, "alice")
    ids["Session"] = (await _session(client, "alice"))["session"]["id"]
    await client.data("mutation { logout { endedSessions } }", by=ended["token"])
    callers["ended"] = ended["token"]
    callers["admin-key"] = (await _key(client, admin, ["users.read"]))["secret"]
    key = await _key(client, alice, ["account.read"])
    ids["ApiKey"], callers["owner-key"] = key["apiKey"]["id"], key["secret"]
    # One event that Alice caused, and one that an administrator caused on her account
    ids["AuditEvent"] = await _event(client, root, "ssh-key.create")
    ids["AuditEvent by another"] = await _event(client, root, "user.update")
    geo_rule = {"country": "AT", "minimumAge": 14}
    assert (await client.mutate("setGeoRule", geo_rule, "", by=root))["errors"] == []
    # Last, because Alice cannot sign in with her password alone from then on
    ids["Passkey"] = await _passkey(client, alice)
    # The logins set cookies, which the anonymous caller must not send
    client.http.cookies.clear()
    return Objects(ids, callers, shared)


async def _make(client: Client, field: str, value: dict[str, Any], made: str, by: Person) -> str:
    payload = await client.mutate(field, value, f"{made} {{ id }}", by=by)
    assert payload["errors"] == []
    return str(payload[made]["id"])


async def _invite(client: Client, owner: Person, server: str, name: str, permissions: list[str]) -> str:
    value = {"serverId": server, "email": f"{name}@roster.test", "permissions": permissions}
    return await _make(client, "createSubuser", value, "subuser", owner)


async def _session(client: Client, name: str) -> dict[str, Any]:
    return await client.mutate("login", {"login": name, "password": PASSWORD}, "token session { id }")


async def _key(client: Client, by: Person, permissions: list[str]) -> dict[str, Any]:
    value = {"name": "golden", "permissions": permissions}
    return await client.mutate("createApiKey", value, "secret apiKey { id }", by=by)


async def _passkey(client: Client, by: Person) -> str:
    start = "mutation { startPasskeyRegistration { options } }"
    options = (await client.data(start, by=by))["startPasskeyRegistration"]["options"]
    value = {"name": "phone", "credential": Authenticator().create(options)}
    return await _make(client, "finishPasskeyRegistration", value, "passkey", by)


async def _event(client: Client, root: Person, name: str) -> str:
    document = "query ($name: String!) { auditEvents(first: 1, filter: {event: [$name]}) { nodes { id } } }"
    return str((await client.data(document, {"name": name}, by=root))["auditEvents"]["nodes"][0]["id"])

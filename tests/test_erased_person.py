"""An erased person: every text of theirs, in every field and by every mutation, is gone; the username rests."""

from __future__ import annotations

import httpx

from tests.conftest import PASSWORD, Client, Person
from tests.leaving import erased, run_job, tables_with
from tests.second_factors import codes
from tests.sessions import login

MARKED = {
    "username": "mkr_username",
    "firstName": "MkrFirst",
    "lastName": "MkrLast",
    "displayName": "MkrDisplay",
    "email": "mkr-address@roster.test",
    "externalId": "mkr-external",
    "dateOfBirth": "1971-03-09",
    "billingAddress": {
        "line1": "MkrLine1",
        "line2": "MkrLine2",
        "company": "MkrCompany",
        "city": "MkrCity",
        "state": "MkrState",
        "postalCode": "MkrPost",
        "country": "IS",
    },
}
MARKERS = ("mkr", "1971-03-09", "203.0.113.", "SHA256:", "AAAAC3NzaC1lZDI1NTE5AAAAI")


async def fill(client: Client, root: Person, bob: Person) -> str:
    """Create a person with a unique text in every field, from an address of its own; return the token."""
    assert (await client.mutate("createUser", MARKED | {"password": PASSWORD}, "user { id }", by=root))["errors"] == []
    transport = httpx.ASGITransport(client.app, client=("203.0.113.9", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://roster.test") as http:
        own = Client(client.app, http)
        http.headers["user-agent"] = "MkrBrowser/1.0"
        await own.mutate("login", {"login": MARKED["username"], "password": "mkr-wrong-password"}, "token")
        token, _ = await login(own, str(MARKED["email"]))
        await _use(own, token)
        server = await client.mutate("createServer", {"name": "bobs", "ownerId": bob.id}, "server { id }", by=root)
        value = {"serverId": server["server"]["id"], "email": MARKED["email"], "permissions": ["user.create"]}
        assert (await client.mutate("createSubuser", value, "", by=bob))["errors"] == []
        shared = {"serverId": server["server"]["id"], "email": "stella@roster.test", "permissions": ["user.create"]}
        assert (await own.mutate("createSubuser", shared, "", by=token))["errors"] == []
        user_id = (await client.rows("SELECT id FROM users WHERE username = 'mkr_username'"))[0]["id"]
        await client.mutate("suspendUser", {"id": user_id, "reason": "MkrReason"}, "", by=root)
        await client.mutate("unsuspendUser", {"id": user_id}, "", by=root)
        await client.mutate("createAutologinLink", {"userId": user_id, "reason": "MkrAutologin"}, "", by=root)
        token, _ = await login(own, str(MARKED["username"]))
    return token


async def _use(own: Client, token: str) -> None:
    """Let the person use every mutation that stores a text of theirs."""
    change = {"firstName": "MkrOther", "billingAddress": {"line1": "MkrMoved"}}
    assert codes(await own.mutate("updateProfile", change, "", by=token)) == []
    assert codes(await own.mutate("updateSettings", {"patch": {"mkrKey": {"deep": "MkrSetting"}}}, "", by=token)) == []
    robot = {"name": "MkrKey", "allowedIps": ["203.0.113.0/24"]}
    assert codes(await own.mutate("createApiKey", robot, "", by=token)) == []
    ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQjRFl2ngA57m37nefhDN6jDP747P548c5zttHKM738 mkr@laptop"
    assert codes(await own.mutate("addSshKey", {"name": "MkrSsh", "publicKey": ssh}, "", by=token)) == []
    await own.data("mutation { requestEmailVerification { errors { code } } }", by=token)
    value = {"email": "mkr-new@roster.test", "password": PASSWORD}
    assert codes(await own.mutate("changeEmail", value, "", by=token)) == []
    await own.mutate("requestPasswordReset", {"email": MARKED["email"]}, "")
    registration = {"email": str(MARKED["email"]), "password": "a-quite-unusual-walrus-77", "firstName": "MkrTwin"}
    assert codes(await own.mutate("register", registration, "")) == []
    await own.data("mutation { exportMyData { errors { code } } }", by=token)


async def test_nothing_of_an_erased_person_is_in_any_table(client: Client, root: Person, bob: Person) -> None:
    token = await fill(client, root, bob)
    before = await tables_with(client, *MARKERS)
    assert before.keys() == set(MARKERS), "every marker is in the database"
    assert {"audit_events", "mails", "users", "registrations"} <= set(before["mkr"])
    await erased(client, token)
    assert await tables_with(client, *MARKERS) == {}


async def test_nothing_of_a_person_whom_an_administrator_deletes_is_in_any_table_after_the_days(
    client: Client, root: Person, bob: Person
) -> None:
    await fill(client, root, bob)
    [user] = await client.rows("SELECT id FROM users WHERE username = 'mkr_username'")
    assert codes(await client.mutate("deleteUser", {"id": user["id"]}, "", by=root)) == []
    found = await tables_with(client, *MARKERS)
    assert {table for tables in found.values() for table in tables} == {"audit_events"}
    await run_job(client, grace_days=0)
    assert await tables_with(client, *MARKERS) == {}


# Usernames


async def test_the_username_of_an_erased_account_rests_for_a_time(client: Client, root: Person, alice: Person) -> None:
    bob, _ = await login(client, "bob")
    await erased(client, alice)
    assert await tables_with(client, "alice") == {}
    new = {"email": "new@roster.test", "password": "a-quite-unusual-walrus-77", "username": "ALICE"}
    assert codes(await client.mutate("register", new, "")) == [("TAKEN", ["username"])]
    assert codes(await client.mutate("updateProfile", {"username": "Alice"}, "", by=bob)) == [("TAKEN", ["username"])]
    assert codes(await client.mutate("createUser", {"username": "alice"}, "", by=root)) == [], "an administrator may"
    await client.mutate(
        "deleteUser", {"id": (await client.rows("SELECT id FROM users WHERE username = 'alice'"))[0]["id"]}, "", by=root
    )
    assert codes(await client.mutate("updateProfile", {"username": "alice"}, "", by=bob)) == [("TAKEN", ["username"])]
    await client.rows("UPDATE retired_usernames SET expires_at = now()")
    assert codes(await client.mutate("updateProfile", {"username": "alice"}, "", by=bob)) == []
    await run_job(client)
    assert await client.rows("SELECT FROM retired_usernames") == []

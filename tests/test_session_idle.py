"""A session that went unused for too long is over for every statement alike."""

from __future__ import annotations

from tests.conftest import PASSWORD, Door, Person

SESSIONS = "{ me { sessions { totalCount nodes { id } } } }"


async def test_a_session_that_idled_out_is_neither_listed_nor_counted_nor_revoked(door: Door, alice: Person) -> None:
    login = await door.change("login", {"login": "alice", "password": PASSWORD}, "session { id }")
    idled = login["session"]["id"]
    assert (await door.data(SESSIONS, by=alice))["me"]["sessions"]["totalCount"] == 2
    await door.rows("UPDATE sessions SET last_seen_at = now() - interval '8 days' WHERE id = $1", idled)
    sessions = (await door.data(SESSIONS, by=alice))["me"]["sessions"]
    assert sessions["totalCount"] == 1
    assert idled not in [session["id"] for session in sessions["nodes"]]
    revoked = await door.change("revokeSession", {"id": idled}, "endedSessions", by=alice)
    assert [error["code"] for error in revoked["errors"]] == ["NOT_FOUND"]


async def test_a_subusers_key_that_lists_servers_read_opens_the_shared_server(
    door: Door, root: Person, alice: Person, bob: Person
) -> None:
    made = await door.change("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    server = made["server"]["id"]
    value = {"serverId": server, "email": "bob@roster.test", "permissions": ["control.console"]}
    assert (await door.change("createSubuser", value, "subuser { id }", by=alice))["errors"] == []
    key = await door.change("createApiKey", {"name": "k", "permissions": ["servers.read"]}, "secret", by=bob)
    seen = await door.data(f'{{ server(id: "{server}") {{ id myPermissions }} }}', by=key["secret"])
    assert seen == {"server": {"id": server, "myPermissions": []}}

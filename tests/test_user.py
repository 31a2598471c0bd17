"""Accounts through the door."""

from __future__ import annotations

from tests.conftest import Door, Person

USER = "user { id username email displayName role { name } version }"


async def test_a_user_is_created_found_changed_and_deleted(door: Door, root: Person) -> None:
    made = await door.change("createUser", {"username": "carol", "email": "Carol@x.test"}, USER, by=root)
    assert made == {
        "user": {
            "id": made["user"]["id"],
            "username": "carol",
            "email": "Carol@x.test",
            "displayName": "carol",
            "role": {"name": "USER"},
            "version": 1,
        },
        "errors": [],
    }
    found = await door.data('{ user(by: {email: "carol@X.test"}) { id } }', by=root)
    assert found == {"user": {"id": made["user"]["id"]}}
    changed = await door.change(
        "updateUser", {"id": made["user"]["id"], "firstName": "Carol", "version": 1}, USER, by=root
    )
    assert (changed["user"]["displayName"], changed["user"]["version"], changed["errors"]) == ("Carol", 2, [])
    gone = await door.change("deleteUser", {"id": made["user"]["id"]}, "deletedId", by=root)
    assert gone == {"deletedId": made["user"]["id"], "errors": []}
    assert await door.data('{ user(by: {username: "carol"}) { id } }', by=root) == {"user": None}

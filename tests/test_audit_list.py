"""Reading the audit log: filtered and paged by administrators, one's own part by everybody."""

from __future__ import annotations

from typing import Any

from tests.conftest import Door, Person

EVENTS = """query ($first: Int, $after: String, $last: Int, $before: String, $filter: AuditFilter) {
  auditEvents(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    nodes { id event } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
  }
}"""


async def test_events_are_filtered_counted_and_paged(door: Door, root: Person, alice: Person, bob: Person) -> None:
    for number in range(5):
        await door.change("updateUser", {"id": alice.id, "firstName": f"A{number}"}, "user { id }", by=root)
    await door.change("updateProfile", {"firstName": "Bob"}, "user { id }", by=bob)

    async def listed(**arguments: Any) -> Any:
        return (await door.data(EVENTS, arguments, by=root))["auditEvents"]

    updates = await listed(filter={"event": "user.update"})
    assert ([node["event"] for node in updates["nodes"]], updates["totalCount"]) == (["user.update"] * 5, 5)
    assert (await listed(filter={"actorId": bob.id, "event": "user.profile"}))["totalCount"] == 1
    assert (await listed(filter={"targetId": alice.id, "event": "user.update"}))["totalCount"] == 5
    assert (await listed(filter={"event": "user.suspend"}))["nodes"] == []
    (row,) = await door.rows("SELECT max(created_at) AS latest FROM audit_events")
    moment = row["latest"].isoformat()
    assert (await listed(filter={"after": moment}))["totalCount"] == 0
    assert (await listed(filter={"before": moment, "event": "user.update"}))["totalCount"] == 5
    first = await listed(first=2, filter={"event": "user.update"})
    second = await listed(first=2, after=first["pageInfo"]["endCursor"], filter={"event": "user.update"})
    third = await listed(first=2, after=second["pageInfo"]["endCursor"], filter={"event": "user.update"})
    assert [*first["nodes"], *second["nodes"], *third["nodes"]] == updates["nodes"]
    assert [page["pageInfo"]["hasNextPage"] for page in (first, second, third)] == [True, True, False]
    back = await listed(last=2, before=third["pageInfo"]["startCursor"], filter={"event": "user.update"})
    assert back["nodes"] == second["nodes"]
    assert back["totalCount"] == 5


async def test_a_person_pages_through_what_they_did_and_what_was_done_to_them(
    door: Door, root: Person, alice: Person, bob: Person
) -> None:
    await door.change("updateUser", {"id": bob.id, "firstName": "Robert"}, "user { id }", by=root)
    await door.change("updateUser", {"id": alice.id, "firstName": "Alice"}, "user { id }", by=root)
    await door.change("updateProfile", {"firstName": "Bob"}, "user { id }", by=bob)
    page = "query ($after: String) { me { auditEvents(first: 2, after: $after) { nodes { event actor { username } } "
    page += "pageInfo { hasNextPage endCursor } totalCount } } }"
    first = (await door.data(page, by=bob))["me"]["auditEvents"]
    second = (await door.data(page, {"after": first["pageInfo"]["endCursor"]}, by=bob))["me"]["auditEvents"]
    assert [(node["event"], node["actor"]["username"]) for node in first["nodes"] + second["nodes"]] == [
        ("user.profile", "bob"),
        ("user.update", "root"),
        ("session.create", "bob"),
        ("user.create", "root"),
    ]
    assert [first["totalCount"], second["totalCount"], second["pageInfo"]["hasNextPage"]] == [4, 4, False]


async def test_only_the_actor_and_readers_of_the_log_see_where_a_change_came_from(
    door: Door, staff: Person, bob: Person, root: Person
) -> None:
    await door.change("updateUser", {"id": bob.id, "firstName": "Robert"}, "user { id }", by=root)
    selection = "auditEvents(first: 1) { nodes { event actor { username } ip credential requestId } }"
    answer = await door.ask(f"{{ me {{ {selection} }} }}", by=bob)
    assert answer["data"]["me"]["auditEvents"]["nodes"] == [
        {"event": "user.update", "actor": {"username": "root"}, "ip": None, "credential": None, "requestId": None}
    ]
    assert [(error["path"][-1], error["extensions"]["code"]) for error in answer["errors"]] == [
        ("ip", "FORBIDDEN"),
        ("credential", "FORBIDDEN"),
        ("requestId", "FORBIDDEN"),
    ]
    for reader in (root, staff):
        (node,) = (await door.data(f"{{ {selection} }}", by=reader))["auditEvents"]["nodes"]
        assert node["ip"] == "192.0.2.1"
        assert node["credential"].startswith("session:")
    await door.change("updateProfile", {"firstName": "Bob"}, "user { id }", by=bob)
    (own,) = (await door.data(f"{{ me {{ {selection} }} }}", by=bob))["me"]["auditEvents"]["nodes"]
    assert (own["event"], own["ip"]) == ("user.profile", "192.0.2.1")


async def test_an_event_tells_its_owner_nothing_that_the_account_hides(door: Door, root: Person, bob: Person) -> None:
    await door.change("updateUser", {"id": bob.id, "externalId": "crm-7", "firstName": "B"}, "user { id }", by=root)
    own = await door.data("{ me { auditEvents(first: 1) { nodes { changes } } } }", by=bob)
    assert own["me"]["auditEvents"]["nodes"] == [{"changes": {"firstName": {"old": None, "new": "B"}}}]
    whole = await door.data("{ auditEvents(first: 1) { nodes { changes } } }", by=root)
    assert whole["auditEvents"]["nodes"][0]["changes"]["externalId"] == {"old": None, "new": "crm-7"}


async def test_who_may_not_read_the_log_is_refused_and_sees_no_foreign_event(
    door: Door, alice: Person, bob: Person
) -> None:
    answer = await door.ask(EVENTS, by=alice)
    assert answer["data"] == {"auditEvents": None}
    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "audit.read"}
    await door.change("updateProfile", {"firstName": "Bob"}, "user { id }", by=bob)
    (row,) = await door.rows("SELECT id FROM audit_events WHERE event = 'user.profile'")
    found = await door.data("query ($id: ID!) { node(id: $id) { id } }", {"id": row["id"]}, by=alice)
    assert found == {"node": None}

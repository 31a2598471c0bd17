"""Lists of audit events: all of them for administrators, with filters and pages, and one's own for every user."""

from __future__ import annotations

from typing import Any

from tests.conftest import Client, Person

EVENTS = """query ($first: Int, $after: String, $last: Int, $before: String, $filter: AuditFilter) {
  auditEvents(first: $first, after: $after, last: $last, before: $before, filter: $filter) {
    nodes { id event } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } totalCount
  }
}"""
UPDATES = {"event": ["user.update"]}


async def test_events_are_filtered_counted_and_paged(client: Client, root: Person, alice: Person, bob: Person) -> None:
    for number in range(5):
        await client.mutate("updateUser", {"id": alice.id, "firstName": f"A{number}"}, "user { id }", by=root)
    await client.mutate("updateProfile", {"firstName": "Bob"}, "user { id }", by=bob)

    async def listed(**arguments: Any) -> Any:
        return (await client.data(EVENTS, arguments, by=root))["auditEvents"]

    updates = await listed(filter=UPDATES)
    assert ([node["event"] for node in updates["nodes"]], updates["totalCount"]) == (["user.update"] * 5, 5)
    assert (await listed(filter={"actorId": bob.id, "event": ["user.profile"]}))["totalCount"] == 1
    assert (await listed(filter={"targetId": alice.id} | UPDATES))["totalCount"] == 5
    assert (await listed(filter={"event": ["user.suspend"]}))["nodes"] == []
    (row,) = await client.rows("SELECT max(created_at) AS latest FROM audit_events")
    moment = row["latest"].isoformat()
    assert (await listed(filter={"createdAfter": moment}))["totalCount"] == 0
    assert (await listed(filter={"createdBefore": moment} | UPDATES))["totalCount"] == 5
    first = await listed(first=2, filter=UPDATES)
    second = await listed(first=2, after=first["pageInfo"]["endCursor"], filter=UPDATES)
    third = await listed(first=2, after=second["pageInfo"]["endCursor"], filter=UPDATES)
    assert [*first["nodes"], *second["nodes"], *third["nodes"]] == updates["nodes"]
    assert [page["pageInfo"]["hasNextPage"] for page in (first, second, third)] == [True, True, False]
    back = await listed(last=2, before=third["pageInfo"]["startCursor"], filter=UPDATES)
    assert back["nodes"] == second["nodes"]
    assert back["totalCount"] == 5


async def test_events_are_filtered_by_several_names_by_prefix_and_by_type(client: Client, root: Person) -> None:
    await client.mutate("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    await client.mutate("createRole", {"name": "helpers", "permissions": []}, "role { id }", by=root)

    async def names(**filters: Any) -> set[str]:
        found = await client.data(EVENTS, {"first": 100, "filter": filters}, by=root)
        assert found["auditEvents"]["totalCount"] == len(found["auditEvents"]["nodes"])
        return {node["event"] for node in found["auditEvents"]["nodes"]}

    assert await names(event=["plan.create", "role.create"]) == {"plan.create", "role.create"}
    assert await names(event=["session."]) == {"session.create"}
    assert await names(event=["session.", "plan.create"]) == {"session.create", "plan.create"}
    assert await names(event=["plan"]) == set()
    assert await names(event=[]) == set()
    assert await names(targetType="Role") == {"role.create"}
    assert await names(targetType="Role", event=["plan."]) == set()
    assert await names() == {"plan.create", "role.create", "session.create", "user.create"}


async def test_a_user_pages_through_the_events_that_concern_the_user(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    await client.mutate("updateUser", {"id": bob.id, "firstName": "Robert"}, "user { id }", by=root)
    await client.mutate("updateUser", {"id": alice.id, "firstName": "Alice"}, "user { id }", by=root)
    await client.mutate("updateProfile", {"firstName": "Bob"}, "user { id }", by=bob)
    page = "query ($after: String) { me { auditEvents(first: 2, after: $after) { nodes { event actor { username } } "
    page += "pageInfo { hasNextPage endCursor } totalCount } } }"
    first = (await client.data(page, by=bob))["me"]["auditEvents"]
    second = (await client.data(page, {"after": first["pageInfo"]["endCursor"]}, by=bob))["me"]["auditEvents"]
    assert [(node["event"], node["actor"]["username"]) for node in first["nodes"] + second["nodes"]] == [
        ("user.profile", "bob"),
        ("user.update", "root"),
        ("session.create", "bob"),
        ("user.create", "root"),
    ]
    assert [first["totalCount"], second["totalCount"], second["pageInfo"]["hasNextPage"]] == [4, 4, False]


async def test_a_caller_who_may_not_read_the_log_is_denied(client: Client, alice: Person, bob: Person) -> None:
    answer = await client.execute(EVENTS, by=alice)
    assert answer["data"] == {"auditEvents": None}
    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": "audit.read"}
    await client.mutate("updateProfile", {"firstName": "Bob"}, "user { id }", by=bob)
    (row,) = await client.rows("SELECT id FROM audit_events WHERE event = 'user.profile'")
    found = await client.data("query ($id: ID!) { node(id: $id) { id } }", {"id": row["id"]}, by=alice)
    assert found == {"node": None}

"""What a caller is told who asks for more than they may have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Door, Person

UPDATE = "updateProfile(input: {firstName: $name}) { user { firstName } }"
PLAN = 'createPlan(input: {name: "Free", tier: FREE}) { plan { id } }'


def forbidden(permission: str, *path: str | int) -> dict[str, Any]:
    return {
        "message": f"This needs the permission {permission}",
        "path": list(path),
        "extensions": {"code": "FORBIDDEN", "permission": permission},
    }


def unlocated(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with its errors by their paths, without the places in the document, which each must have."""
    for error in answer["errors"]:
        assert error.pop("locations")
    answer["errors"].sort(key=lambda error: [str(part) for part in error["path"]])
    return answer


async def shared_server(door: Door, admin: Person, alice: Person, bob: Person) -> str:
    """A server of Alice's that Bob is on, which is how strangers come to see each other."""
    server = await door.change("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=admin)
    value = {"serverId": server["server"]["id"], "email": "bob@roster.test", "permissions": ["control.start"]}
    assert (await door.change("createSubuser", value, "subuser { id }", by=alice))["errors"] == []
    return str(server["server"]["id"])


async def reader(door: Door, admin: Person, root: Person, permissions: list[str]) -> Person:
    """Stella, with a role of these permissions only."""
    role = await door.change("createRole", {"name": "Reader", "permissions": permissions}, "role { id }", by=root)
    people = await door.data('{ user(by: {username: "stella"}) { id } }', by=admin)
    value = {"id": people["user"]["id"], "roleId": role["role"]["id"]}
    assert (await door.change("updateUser", value, "user { id }", by=root))["errors"] == []
    return Person(value["id"], "stella", "")


async def test_a_refused_field_is_null_and_the_rest_of_the_answer_stands(
    door: Door, admin: Person, alice: Person, bob: Person
) -> None:
    server = await shared_server(door, admin, alice, bob)
    document = "query ($id: ID!) { server(id: $id) { name subusers { totalCount } owner { username email } } }"
    assert unlocated(await door.ask(document, {"id": server}, by=bob)) == {
        "data": {"server": {"name": "web", "subusers": None, "owner": {"username": "alice", "email": None}}},
        "errors": [
            forbidden("users.read", "server", "owner", "email"),
            forbidden("user.read", "server", "subusers"),
        ],
    }


async def test_a_field_is_refused_once_for_a_page_of_rows_and_given_on_ones_own(
    door: Door, admin: Person, staff: Person
) -> None:
    for number in range(20):
        await door.change("createUser", {"username": f"guest{number:02}"}, "user { id }", by=admin)
    document = """{ users(first: 100, orderBy: USERNAME_DESC) {
      nodes { username billingAddress { city } }
      edges { node { billingAddress { city } } }
    } }"""
    answer = unlocated(await door.ask(document, by=staff))
    rows = [(node["username"], node["billingAddress"]) for node in answer["data"]["users"]["nodes"]]
    assert rows == [
        ("stella", {"city": None}),
        ("root", None),
        *((f"guest{number:02}", None) for number in reversed(range(20))),
        ("bob", None),
        ("alice", None),
        ("adam", None),
    ]
    assert answer["errors"] == [
        forbidden("users.billing", "users", "edges", 1, "node", "billingAddress"),
        forbidden("users.billing", "users", "nodes", 1, "billingAddress"),
    ]


async def test_each_alias_and_each_fragment_tells_of_its_own_refusal(door: Door, staff: Person) -> None:
    document = """
      query { users(first: 2, orderBy: USERNAME_ASC) { nodes {
        a: billingAddress { city } ...Named ... on User { b: billingAddress { city } }
      } } }
      fragment Named on User { a: billingAddress { country } billingAddress { city } ...Deeper }
      fragment Deeper on Node { ... on User { c: billingAddress { city } } }
    """
    answer = unlocated(await door.ask(document, by=staff))
    nothing = {"a": None, "b": None, "billingAddress": None, "c": None}
    assert answer["data"] == {"users": {"nodes": [nothing, nothing]}}
    names = ("a", "b", "billingAddress", "c")
    assert answer["errors"] == [forbidden("users.billing", "users", "nodes", 0, name) for name in names]


async def test_a_refusal_tells_of_the_type_that_it_was_met_on(door: Door, admin: Person, alice: Person) -> None:
    plan = await door.change("createPlan", {"name": "Small", "tier": "FREE"}, "plan { id }", by=admin)
    await door.change("updateUser", {"id": alice.id, "firstName": "Alice"}, "user { id }", by=admin)
    event = await door.data('{ auditEvents(filter: {event: "user.update"}) { nodes { id } } }', by=admin)
    ids = [plan["plan"]["id"], alice.id, event["auditEvents"]["nodes"][0]["id"], alice.id]
    document = """query ($ids: [ID!]!) { nodes(ids: $ids) {
      id ... on Plan { users { totalCount } } ... on User { text: externalId } ... on AuditEvent { text: credential }
    } }"""
    assert unlocated(await door.ask(document, {"ids": ids}, by=alice)) == {
        "data": {
            "nodes": [
                {"id": ids[0], "users": None},
                {"id": ids[1], "text": None},
                {"id": ids[2], "text": None},
                {"id": ids[3], "text": None},
            ]
        },
        "errors": [
            forbidden("users.read", "nodes", 0, "users"),
            forbidden("users.read", "nodes", 1, "text"),
            forbidden("audit.read", "nodes", 2, "text"),
        ],
    }


async def test_a_refused_field_that_cannot_be_null_takes_its_object_with_it(
    door: Door, admin: Person, root: Person, staff: Person
) -> None:
    await reader(door, admin, root, ["users.read"])
    document = "{ users(first: 100, orderBy: USERNAME_DESC) { nodes { username role { id name } } } }"
    answer = unlocated(await door.ask(document, by=staff))
    roles = [(node["username"], node["role"] and node["role"]["name"]) for node in answer["data"]["users"]["nodes"]]
    assert roles == [("stella", "Reader"), ("root", None), ("bob", None), ("alice", None), ("adam", None)]
    assert answer["errors"] == [forbidden("roles.read", "users", "nodes", 1, "role", "id")]


async def test_a_refused_root_field_that_cannot_be_null_leaves_no_data(door: Door, alice: Person) -> None:
    answer = unlocated(await door.ask("{ me { username } roles { name } }", by=alice))
    assert answer == {"data": None, "errors": [forbidden("roles.read", "roles")]}


async def test_a_refused_field_of_a_payload_does_not_undo_the_mutation(
    door: Door, staff: Person, alice: Person
) -> None:
    document = """mutation ($id: ID!) { suspendUser(input: {id: $id}) {
      user { username suspended billingAddress { city } } errors { code }
    } }"""
    assert unlocated(await door.ask(document, {"id": alice.id}, by=staff)) == {
        "data": {
            "suspendUser": {
                "user": {"username": "alice", "suspended": True, "billingAddress": None},
                "errors": [],
            }
        },
        "errors": [forbidden("users.billing", "suspendUser", "user", "billingAddress")],
    }


@pytest.mark.parametrize(
    "document",
    [
        f"mutation ($name: String) {{ first: {UPDATE} second: {PLAN} }}",
        f"mutation ($name: String) {{ first: {UPDATE} ...Rest }} fragment Rest on Mutation {{ second: {PLAN} }}",
        f"mutation ($name: String) {{ first: {UPDATE} ... {{ ... on Mutation {{ second: {PLAN} }} }} }}",
    ],
)
async def test_nothing_of_a_document_runs_when_one_of_its_mutations_is_refused(
    door: Door, alice: Person, document: str
) -> None:
    answer = unlocated(await door.ask(document, {"name": "Changed"}, by=alice))
    assert answer == {"data": None, "errors": [forbidden("plans.create", "second")]}
    assert await door.data("{ me { firstName } }", by=alice) == {"me": {"firstName": None}}


@pytest.mark.parametrize("directive", ["@skip(if: true)", "@include(if: $no)"])
async def test_a_mutation_that_is_not_to_run_is_not_refused(door: Door, alice: Person, directive: str) -> None:
    plan = PLAN.replace(") {", f") {directive} {{")
    document = f"mutation ($name: String, $no: Boolean = false) {{ {UPDATE} {plan} }}"
    document = document if "$no" in directive else document.replace(", $no: Boolean = false", "")
    answer = await door.data(document, {"name": "Changed"}, by=alice)
    assert answer == {"updateProfile": {"user": {"firstName": "Changed"}}}


async def test_who_is_not_signed_in_is_told_to_sign_in_at_each_field(door: Door) -> None:
    answer = unlocated(await door.ask('{ plans { name } user(by: {username: "root"}) { id } users { totalCount } }'))
    told = {"message": "Sign in first", "extensions": {"code": "UNAUTHENTICATED"}}
    assert answer == {
        "data": {"plans": [], "user": None, "users": None},
        "errors": [told | {"path": ["user"]}, told | {"path": ["users"]}],
    }


async def test_a_credential_that_does_not_count_is_told_wherever_one_is_needed(door: Door) -> None:
    answer = unlocated(await door.ask("{ a: me { id } b: me { id } users { totalCount } plans { id } }", by="rst_s_x"))
    told = {"message": "The session or API key is not valid any more", "extensions": {"code": "UNAUTHENTICATED"}}
    assert answer == {
        "data": {"a": None, "b": None, "users": None, "plans": []},
        "errors": [told | {"path": [name]} for name in ("a", "b", "users")],
    }

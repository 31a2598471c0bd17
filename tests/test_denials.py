"""Denied fields and mutations: what is null, what is reported, and what still runs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import PASSWORD, PEOPLE, Client, Person

UPDATE = "updateProfile(input: {firstName: $name}) { user { firstName } }"
PLAN = 'createPlan(input: {name: "Free", tier: FREE}) { plan { name } }'
SIGN_IN = {"message": "Sign in first.", "extensions": {"code": "UNAUTHENTICATED"}}
LOGIN = f'login(input: {{login: "%s", password: "{PASSWORD}"}}) {{ errors {{ code }} }}'


def forbidden(permission: str, *path: str | int) -> dict[str, Any]:
    """Return the error of a denied field."""
    return {
        "message": f"This requires the permission {permission}.",
        "path": list(path),
        "extensions": {"code": "FORBIDDEN", "permission": permission},
    }


def unlocated(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the response with its errors ordered by path, without their locations, which each must have."""
    for error in answer["errors"]:
        assert error.pop("locations")
    answer["errors"].sort(key=lambda error: [str(part) for part in error["path"]])
    return answer


async def shared_server(client: Client, admin: Person, alice: Person, bob: Person) -> str:
    """Return a server of Alice's that Bob is a subuser of, so that they see each other."""
    server = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=admin)
    value = {"serverId": server["server"]["id"], "email": "bob@roster.test", "permissions": ["control.start"]}
    assert (await client.mutate("createSubuser", value, "subuser { id }", by=alice))["errors"] == []
    return str(server["server"]["id"])


async def reader(client: Client, admin: Person, root: Person, permissions: list[str]) -> Person:
    """Give Stella a role of these permissions only."""
    role = await client.mutate("createRole", {"name": "Reader", "permissions": permissions}, "role { id }", by=root)
    people = await client.data('{ user(by: {username: "stella"}) { id } }', by=admin)
    value = {"id": people["user"]["id"], "roleId": role["role"]["id"]}
    assert (await client.mutate("updateUser", value, "user { id }", by=root))["errors"] == []
    return Person(value["id"], "stella", "")


async def test_a_denied_field_is_null_and_the_other_fields_are_returned(
    client: Client, admin: Person, alice: Person, bob: Person
) -> None:
    server = await shared_server(client, admin, alice, bob)
    document = "query ($id: ID!) { server(id: $id) { name subusers { totalCount } owner { username email } } }"
    assert unlocated(await client.execute(document, {"id": server}, by=bob)) == {
        "data": {"server": {"name": "web", "subusers": None, "owner": {"username": "alice", "email": None}}},
        "errors": [
            forbidden("users.read", "server", "owner", "email"),
            forbidden("user.read", "server", "subusers"),
        ],
    }


async def test_a_denied_field_is_reported_once_for_all_rows_and_returned_on_ones_own(
    client: Client, admin: Person, staff: Person
) -> None:
    for number in range(20):
        await client.mutate("createUser", {"username": f"guest{number:02}"}, "user { id }", by=admin)
    document = """{ users(first: 100, orderBy: USERNAME_DESC) {
      nodes { username billingAddress { city } }
      edges { node { billingAddress { city } } }
    } }"""
    answer = unlocated(await client.execute(document, by=staff))
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


async def test_a_denial_is_reported_for_each_alias_and_fragment(client: Client, staff: Person) -> None:
    document = """
      query { users(first: 2, orderBy: USERNAME_ASC) { nodes {
        a: billingAddress { city } ...Named ... on User { b: billingAddress { city } }
      } } }
      fragment Named on User { a: billingAddress { country } billingAddress { city } ...Deeper }
      fragment Deeper on Node { ... on User { c: billingAddress { city } } }
    """
    answer = unlocated(await client.execute(document, by=staff))
    nothing = {"a": None, "b": None, "billingAddress": None, "c": None}
    assert answer["data"] == {"users": {"nodes": [nothing, nothing]}}
    names = ("a", "b", "billingAddress", "c")
    assert answer["errors"] == [forbidden("users.billing", "users", "nodes", 0, name) for name in names]


async def test_a_denial_names_the_permission_of_the_type_that_was_read(
    client: Client, admin: Person, alice: Person
) -> None:
    plan = await client.mutate("createPlan", {"name": "Small", "tier": "FREE"}, "plan { id }", by=admin)
    await client.mutate("updateUser", {"id": alice.id, "firstName": "Alice"}, "user { id }", by=admin)
    event = await client.data('{ auditEvents(filter: {event: ["user.update"]}) { nodes { id } } }', by=admin)
    ids = [plan["plan"]["id"], alice.id, event["auditEvents"]["nodes"][0]["id"], alice.id]
    document = """query ($ids: [ID!]!) { nodes(ids: $ids) {
      id ... on Plan { users { totalCount } } ... on User { text: externalId } ... on AuditEvent { text: credential }
    } }"""
    assert unlocated(await client.execute(document, {"ids": ids}, by=alice)) == {
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


async def test_a_denied_field_that_cannot_be_null_makes_its_object_null(
    client: Client, admin: Person, root: Person, staff: Person
) -> None:
    await reader(client, admin, root, ["users.read"])
    document = "{ users(first: 100, orderBy: USERNAME_DESC) { nodes { username role { id name } } } }"
    answer = unlocated(await client.execute(document, by=staff))
    roles = [(node["username"], node["role"] and node["role"]["name"]) for node in answer["data"]["users"]["nodes"]]
    assert roles == [("stella", "Reader"), ("root", None), ("bob", None), ("alice", None), ("adam", None)]
    assert answer["errors"] == [forbidden("roles.read", "users", "nodes", 1, "role", "id")]


async def test_a_denied_root_field_that_cannot_be_null_leaves_no_data(client: Client, alice: Person) -> None:
    answer = unlocated(await client.execute("{ me { username externalId } roles { name } }", by=alice))
    assert answer == {"data": None, "errors": [forbidden("roles.read", "roles")]}


async def test_a_denied_field_of_a_payload_does_not_undo_the_mutation(
    client: Client, staff: Person, alice: Person
) -> None:
    document = """mutation ($id: ID!) { suspendUser(input: {id: $id}) {
      user { username suspended billingAddress { city } } errors { code }
    } }"""
    assert unlocated(await client.execute(document, {"id": alice.id}, by=staff)) == {
        "data": {
            "suspendUser": {
                "user": {"username": "alice", "suspended": True, "billingAddress": None},
                "errors": [],
            }
        },
        "errors": [forbidden("users.billing", "suspendUser", "user", "billingAddress")],
    }


DENIED = {
    "after another mutation": f"{{ first: {UPDATE} second: {PLAN} }}",
    "after __typename": f"{{ __typename second: {PLAN} first: {UPDATE} }}",
    "after an alias of __typename": f"{{ first: __typename third: {UPDATE} second: {PLAN} }}",
    "after an inline fragment": f"{{ ... {{ __typename }} ... {{ first: {UPDATE} }} second: {PLAN} }}",
    "in a fragment": f"{{ first: {UPDATE} ...A }} fragment A on Mutation {{ second: {PLAN} }}",
    "in a nested fragment": f"{{ ...A }} fragment A on Mutation {{ first: {UPDATE} ...B }} "
    f"fragment B on Mutation {{ __typename second: {PLAN} }}",
    "in inline fragments": f"{{ first: {UPDATE} ... {{ ... on Mutation {{ second: {PLAN} }} }} }}",
    "included": f"{{ first: {UPDATE} ... @include(if: $yes) {{ second: {PLAN} }} }}",
    "not skipped": f"{{ first: {UPDATE} ... @skip(if: false) {{ second: {PLAN} }} }}",
    "before a login": f"{{ first: {UPDATE} second: {PLAN} {LOGIN % 'root'} }}",
    "after a skipped login": f"{{ ... @skip(if: $yes) {{ {LOGIN % 'root'} }} first: {UPDATE} second: {PLAN} }}",
}


@pytest.mark.parametrize("selection", DENIED.values(), ids=DENIED)
async def test_nothing_of_a_document_runs_if_one_of_its_mutations_is_denied(
    client: Client, alice: Person, selection: str
) -> None:
    document = f"mutation ($name: String{', $yes: Boolean = true' if '$yes' in selection else ''}) {selection}"
    answer = unlocated(await client.execute(document, {"name": "Changed"}, by=alice))
    assert answer == {"data": None, "errors": [forbidden("plans.create", "second")]}
    assert await client.data("{ me { firstName } }", by=alice) == {"me": {"firstName": None}}
    assert len(await client.rows("SELECT FROM sessions")) == len(PEOPLE)


async def test_nothing_runs_if_an_anonymous_caller_requests_more_than_a_login(client: Client) -> None:
    for first in ("__typename", "... { ... on Mutation { alias: __typename } }"):
        answer = unlocated(await client.execute(f"mutation {{ {first} second: {PLAN} {LOGIN % 'root'} }}"))
        assert answer == {"data": None, "errors": [SIGN_IN | {"path": ["second"]}]}
    assert len(await client.rows("SELECT FROM sessions")) == len(PEOPLE)


@pytest.mark.parametrize(
    ("caller", "login", "code", "denied"),
    [
        (None, "root", [], None),
        (None, "bob", [], forbidden("plans.create", "second")),
        (None, "unknown", ["WRONG_CREDENTIALS"], SIGN_IN | {"path": ["second"]}),
        ("alice", "root", [], None),
        ("root", "bob", [], forbidden("plans.create", "second")),
        ("alice", "unknown", ["WRONG_CREDENTIALS"], forbidden("plans.create", "second")),
    ],
)
async def test_a_mutation_after_a_login_is_decided_for_the_new_caller(  # noqa: PLR0917
    client: Client, people: dict[str, Person], caller: str | None, login: str, code: list[str], denied: Any
) -> None:
    document = f"mutation {{ __typename ...A second: {PLAN} third: __typename }}"
    document += f" fragment A on Mutation {{ {LOGIN % login} }}"
    answer = await client.execute(document, by=people.get(caller or ""))
    assert unlocated(answer | {"errors": answer.get("errors", [])}) == {
        "data": {
            "__typename": "Mutation",
            "login": {"errors": [{"code": name} for name in code]},
            "second": {"plan": {"name": "Free"}} if denied is None else None,
            "third": "Mutation",
        },
        "errors": [] if denied is None else [denied],
    }


@pytest.mark.parametrize("directive", ["@skip(if: true)", "@include(if: $no)"])
async def test_a_mutation_that_is_skipped_is_not_denied(client: Client, alice: Person, directive: str) -> None:
    plan = PLAN.replace(") {", f") {directive} {{")
    document = f"mutation ($name: String, $no: Boolean = false) {{ {UPDATE} {plan} }}"
    document = document if "$no" in directive else document.replace(", $no: Boolean = false", "")
    answer = await client.data(document, {"name": "Changed"}, by=alice)
    assert answer == {"updateProfile": {"user": {"firstName": "Changed"}}}


async def test_an_anonymous_caller_has_to_sign_in_for_each_field(client: Client) -> None:
    answer = unlocated(
        await client.execute('{ plans { name } user(by: {username: "root"}) { id } users { totalCount } }')
    )
    assert answer == {
        "data": {"plans": [], "user": None, "users": None},
        "errors": [SIGN_IN | {"path": ["user"]}, SIGN_IN | {"path": ["users"]}],
    }


async def test_an_invalid_credential_is_reported_wherever_one_is_required(client: Client) -> None:
    answer = unlocated(
        await client.execute("{ a: me { id } b: me { id } users { totalCount } plans { id } }", by="rsts_x")
    )
    message = "The session or API key is not valid. Sign in again."
    denied = {"message": message, "extensions": {"code": "UNAUTHENTICATED"}}
    assert answer == {
        "data": {"a": None, "b": None, "users": None, "plans": []},
        "errors": [denied | {"path": [name]} for name in ("a", "b", "users")],
    }

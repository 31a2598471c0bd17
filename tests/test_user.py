"""Accounts through the door: created, changed, deleted by those who manage users, and what is computed of them."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import pytest

from tests.conftest import PASSWORD, Door, Person

USER = "user { id username email displayName role { name } version }"
EVERYTHING = """user {
  username email emailVerified firstName lastName displayName language tier role { name } isAdmin dateOfBirth externalId
  billingAddress { line1 line2 company city state postalCode country } hasPassword suspended settings plan { name }
  limits { memoryMb diskMb cpuPercent servers databases backups websites domains emails ports } version
}"""
NO_ADDRESS = dict.fromkeys(("line1", "line2", "company", "city", "state", "postalCode", "country"))
NO_LIMITS = dict.fromkeys(
    ("memoryMb", "diskMb", "cpuPercent", "servers", "databases", "backups", "websites", "domains", "emails", "ports")
)
TODAY = dt.datetime.now(dt.UTC).date()


async def made(door: Door, by: Person, **value: Any) -> str:
    """The id of a new account."""
    payload = await door.change("createUser", {"username": "carol"} | value, "user { id }", by=by)
    assert payload["errors"] == []
    return str(payload["user"]["id"])


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


async def test_a_username_is_all_that_an_account_needs(door: Door, root: Person) -> None:
    payload = await door.change("createUser", {"username": "carol"}, EVERYTHING, by=root)
    assert payload == {
        "user": {
            "username": "carol",
            "email": None,
            "emailVerified": False,
            "firstName": None,
            "lastName": None,
            "displayName": "carol",
            "language": "en",
            "tier": "FREE",
            "role": {"name": "USER"},
            "isAdmin": False,
            "dateOfBirth": None,
            "externalId": None,
            "billingAddress": NO_ADDRESS,
            "hasPassword": False,
            "suspended": False,
            "settings": {},
            "plan": None,
            "limits": NO_LIMITS,
            "version": 1,
        },
        "errors": [],
    }


async def test_null_in_a_new_account_means_absent(door: Door, root: Person) -> None:
    person = ["email", "firstName", "lastName", "displayName", "password", "language", "dateOfBirth", "billingAddress"]
    names = [*person, "roleId", "isAdmin", "tier", "planId", "planName", "externalId", "sendEmail", "idempotencyKey"]
    value = {"username": "carol"} | dict.fromkeys(names) | {"roleName": "STAFF"}
    payload = await door.change("createUser", value, "user { role { name } tier language }", by=root)
    assert payload == {"user": {"role": {"name": "STAFF"}, "tier": "FREE", "language": "en"}, "errors": []}


async def test_every_field_of_a_new_account_is_kept(door: Door, root: Person) -> None:
    address = {"line1": "1 Way", "line2": "B", "company": "C", "city": "Graz", "state": "St", "postalCode": "8010"}
    value: dict[str, Any] = {
        "username": "Carol_1",
        "email": "carol@x.test",
        "firstName": "Carol",
        "lastName": "Ödegård",
        "displayName": "Caz 🦊",
        "language": "pt-BR",
        "tier": "EDUCATIONAL",
        "externalId": "crm:7",
        "dateOfBirth": "1990-02-28",
        "billingAddress": address | {"country": "AT"},
    }
    write_only = {"password": PASSWORD, "roleName": "admin", "sendEmail": False}
    payload = await door.change("createUser", value | write_only, EVERYTHING, by=root)
    assert payload["errors"] == []
    assert payload["user"] == value | {
        "emailVerified": False,
        "role": {"name": "ADMIN"},
        "isAdmin": True,
        "hasPassword": True,
        "suspended": False,
        "settings": {},
        "plan": None,
        "limits": NO_LIMITS,
        "version": 1,
    }


@pytest.mark.parametrize(
    ("cleared", "expected"),
    [
        ({"email": None}, {"email": None}),
        ({"firstName": None}, {"firstName": None}),
        ({"lastName": None}, {"lastName": None}),
        ({"displayName": None}, {"displayName": "Carol Sharp"}),
        ({"password": None}, {"hasPassword": False, "version": 1}),
        ({"roleId": None}, {"role": {"name": "USER"}, "isAdmin": False}),
        ({"isAdmin": None}, {"role": {"name": "USER"}, "isAdmin": False}),
        ({"tier": None}, {"version": 1}),
        ({"language": None}, {"language": "en"}),
        ({"externalId": None}, {"externalId": None}),
        ({"dateOfBirth": None}, {"dateOfBirth": None}),
        ({"billingAddress": None}, {"billingAddress": NO_ADDRESS}),
        ({"billingAddress": {"city": None}}, {"billingAddress": NO_ADDRESS | {"line1": "1 Way", "country": "AT"}}),
        ({"limits": None}, {"limits": NO_LIMITS, "version": 1}),
        ({"version": None}, {"version": 1}),
        ({}, {"version": 1}),
    ],
)
async def test_null_clears_one_field_and_absent_keeps_the_others(
    door: Door, root: Person, cleared: dict[str, Any], expected: dict[str, Any]
) -> None:
    address = {"line1": "1 Way", "city": "Graz", "country": "AT"}
    names = {"firstName": "Carol", "lastName": "Sharp", "displayName": "Caz", "email": "carol@x.test"}
    value = names | {"language": "de", "externalId": "crm:7", "dateOfBirth": "1990-02-28", "billingAddress": address}
    user_id = await made(door, root, **value, password=PASSWORD, isAdmin=True, tier="PAID")
    before = await door.data(
        f"query ($id: ID!) {{ user(by: {{id: $id}}) {{ {EVERYTHING[6:-1]} }} }}", {"id": user_id}, by=root
    )
    payload = await door.change("updateUser", {"id": user_id} | cleared, EVERYTHING, by=root)
    assert payload == {"user": before["user"] | {"version": 2} | expected, "errors": []}


async def test_limits_of_a_user_stand_in_place_of_the_plans(door: Door, root: Person, bob: Person) -> None:
    plan = {"name": "gold", "tier": "PAID", "limits": {"memoryMb": 1024, "ports": 3, "servers": 2}}
    await door.change("createPlan", plan, "plan { id }", by=root)
    await door.change("changePlan", {"userId": bob.id, "planName": "gold"}, "user { id }", by=root)

    async def limits(value: dict[str, Any] | None) -> Any:
        selection = "user { limits { memoryMb diskMb servers ports } }"
        return (await door.change("updateUser", {"id": bob.id, "limits": value}, selection, by=root))["user"]["limits"]

    plans = {"memoryMb": 1024, "diskMb": None, "servers": 2, "ports": 3}
    assert await limits({}) == plans
    assert await limits({"memoryMb": 2048, "diskMb": 0}) == plans | {"memoryMb": 2048, "diskMb": 0}
    assert await limits({"servers": 9}) == plans | {"memoryMb": 2048, "diskMb": 0, "servers": 9}
    assert await limits({"memoryMb": None}) == plans | {"diskMb": 0, "servers": 9}
    assert await limits(None) == plans


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ({}, "carol"),
        ({"firstName": "Carol"}, "Carol"),
        ({"lastName": "Sharp"}, "Sharp"),
        ({"firstName": "Carol", "lastName": "Sharp"}, "Carol Sharp"),
        ({"firstName": "Carol", "lastName": "Sharp", "displayName": "Caz"}, "Caz"),
    ],
)
async def test_a_display_name_is_made_of_what_there_is(
    door: Door, root: Person, names: dict[str, str], shown: str
) -> None:
    payload = await door.change("createUser", {"username": "carol"} | names, "user { displayName }", by=root)
    assert payload == {"user": {"displayName": shown}, "errors": []}


async def test_an_avatar_is_gravatar_by_the_lower_cased_address(door: Door, root: Person) -> None:
    value = {"username": "carol", "email": "Carol@X.test"}
    payload = await door.change("createUser", value, "user { id avatarUrl }", by=root)
    digest = hashlib.sha256(b"carol@x.test").hexdigest()
    assert payload["user"]["avatarUrl"].startswith(f"https://gravatar.com/avatar/{digest}")
    cleared = {"id": payload["user"]["id"], "email": None}
    assert (await door.change("updateUser", cleared, "user { avatarUrl }", by=root))["user"] == {"avatarUrl": None}


async def test_who_is_a_child_hangs_on_the_billing_country(door: Door, root: Person) -> None:
    user_id = await made(door, root)
    ages = {None: 18, "AT": 18, "US": 18, "CA": 19, "TH": 20, "TW": 20, "AE": 21, "BH": 21, "OM": 21}
    for country, adult in ages.items():
        for age, child in ((adult, False), (adult - 1, True)):
            born = dt.date(TODAY.year - age, 1, 1).isoformat()
            value = {"id": user_id, "dateOfBirth": born, "billingAddress": {"country": country}}
            payload = await door.change("updateUser", value, "user { age isChildAccount }", by=root)
            assert (country, payload["user"]) == (country, {"age": age, "isChildAccount": child})
    unknown = {"id": user_id, "dateOfBirth": None}
    payload = await door.change("updateUser", unknown, "user { age isChildAccount }", by=root)
    assert payload["user"] == {"age": None, "isChildAccount": None}


async def test_an_age_counts_from_the_birthday_on(door: Door, root: Person) -> None:
    # Every fourth year has the same days, also on 29 February
    birthday = dt.date(TODAY.year - 20, TODAY.month, TODAY.day)
    for username, born, age in (("today", birthday, 20), ("tomorrow", birthday + dt.timedelta(days=1), 19)):
        value = {"username": username, "dateOfBirth": born.isoformat()}
        payload = await door.change("createUser", value, "user { age }", by=root)
        assert payload["user"] == {"age": age}


async def test_a_new_address_is_unverified_and_the_same_one_stays_verified(
    door: Door, root: Person, bob: Person
) -> None:
    await door.rows("UPDATE users SET email_verified = true WHERE id = $1", bob.id)
    selection = "user { email emailVerified }"
    same = await door.change("updateUser", {"id": bob.id, "email": "bob@roster.test"}, selection, by=root)
    assert same["user"] == {"email": "bob@roster.test", "emailVerified": True}
    other = await door.change("updateUser", {"id": bob.id, "email": "bobby@roster.test"}, selection, by=root)
    assert other["user"] == {"email": "bobby@roster.test", "emailVerified": False}


async def test_a_user_without_a_plan_is_listed(door: Door, root: Person, bob: Person) -> None:
    await door.change("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    await door.change("changePlan", {"userId": bob.id, "planName": "gold"}, "user { id }", by=root)
    found = await door.data("{ users(orderBy: USERNAME_ASC) { nodes { username plan { name } } totalCount } }", by=root)
    plans = {node["username"]: node["plan"] for node in found["users"]["nodes"]}
    assert plans == {"adam": None, "alice": None, "bob": {"name": "gold"}, "root": None, "stella": None}
    assert found["users"]["totalCount"] == 5


async def test_nobody_deletes_their_own_account_or_one_that_owns_servers(
    door: Door, root: Person, admin: Person, bob: Person
) -> None:
    server = await door.change("createServer", {"name": "s", "ownerId": bob.id}, "server { id }", by=root)
    share = {"serverId": server["server"]["id"], "email": "alice@roster.test", "permissions": ["control.start"]}
    assert (await door.change("createSubuser", share, "subuser { id }", by=bob))["errors"] == []
    tables = ("users", "credentials", "sessions", "session_tokens", "servers", "subusers", "audit_events")

    async def contents() -> list[list[str]]:
        return [[row[0] for row in await door.rows(f"SELECT t::text FROM {t} t ORDER BY 1")] for t in tables]  # noqa: S608

    await door.ask("{ me { id } }", by=admin)  # notes when the session was last seen
    before = await contents()
    for value, by, code in (
        ({"id": admin.id}, admin, "NOT_ALLOWED"),
        ({"id": admin.id, "cascade": True}, admin, "NOT_ALLOWED"),
        ({"id": bob.id}, admin, "IN_USE"),
        ({"id": bob.id, "cascade": False}, admin, "IN_USE"),
        ({"id": bob.id, "cascade": None}, admin, "IN_USE"),
        ({"id": root.id, "cascade": True}, admin, "NOT_ALLOWED"),
        ({"id": server["server"]["id"]}, admin, "NOT_FOUND"),
    ):
        payload = await door.change("deleteUser", value, "deletedId", by=by)
        assert (payload["deletedId"], payload["errors"][0]["code"], payload["errors"][0]["field"]) == (
            None,
            code,
            ["id"],
        )
    assert await contents() == before
    gone = await door.change("deleteUser", {"id": bob.id, "cascade": True}, "deletedId", by=admin)
    assert gone == {"deletedId": bob.id, "errors": []}
    assert await door.rows("SELECT id FROM servers") == await door.rows("SELECT id FROM subusers") == []
    assert (await door.ask("{ me { id } }", by=bob))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_id_without_dashes_is_the_same_id(door: Door, root: Person, bob: Person) -> None:
    plain = bob.id.replace("-", "").upper()
    changed = await door.change("updateUser", {"id": plain, "firstName": "Bob"}, "user { id firstName }", by=root)
    assert changed == {"user": {"id": bob.id, "firstName": "Bob"}, "errors": []}
    assert (await door.change("deleteUser", {"id": plain}, "deletedId", by=root))["deletedId"] == bob.id

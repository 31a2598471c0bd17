"""Users, as administrators create, change, and delete them, and their computed fields."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Any

import pytest

from tests.conftest import PASSWORD, Client, Person

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


async def create_user(client: Client, by: Person, **value: Any) -> str:
    """Create a user, and return the id."""
    payload = await client.mutate("createUser", {"username": "carol"} | value, "user { id }", by=by)
    assert payload["errors"] == []
    return str(payload["user"]["id"])


async def test_a_user_is_created_found_changed_and_deleted(client: Client, root: Person) -> None:
    created = await client.mutate("createUser", {"username": "carol", "email": "Carol@x.test"}, USER, by=root)
    user_id = created["user"]["id"]
    names = {"username": "carol", "email": "Carol@x.test", "displayName": "carol"}
    assert created == {"user": names | {"id": user_id, "role": {"name": "USER"}, "version": 1}, "errors": []}
    found = await client.data('{ user(by: {email: "carol@X.test"}) { id } }', by=root)
    assert found == {"user": {"id": user_id}}
    changed = await client.mutate("updateUser", {"id": user_id, "firstName": "Carol", "version": 1}, USER, by=root)
    assert changed == {"user": created["user"] | {"displayName": "Carol", "version": 2}, "errors": []}
    deleted = await client.mutate("deleteUser", {"id": user_id}, "deletedId", by=root)
    assert deleted == {"deletedId": user_id, "errors": []}
    assert await client.data('{ user(by: {username: "carol"}) { id } }', by=root) == {"user": None}


async def test_a_new_user_needs_only_a_username(client: Client, root: Person) -> None:
    payload = await client.mutate("createUser", {"username": "carol"}, EVERYTHING, by=root)
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


async def test_null_means_absent_in_a_new_user(client: Client, root: Person) -> None:
    person = ["email", "firstName", "lastName", "displayName", "password", "language", "dateOfBirth", "billingAddress"]
    names = [*person, "roleId", "isAdmin", "tier", "planId", "planName", "externalId", "sendEmail", "idempotencyKey"]
    value = {"username": "carol"} | dict.fromkeys(names) | {"roleName": "STAFF"}
    payload = await client.mutate("createUser", value, "user { role { name } tier language }", by=root)
    assert payload == {"user": {"role": {"name": "STAFF"}, "tier": "FREE", "language": "en"}, "errors": []}


async def test_every_field_of_a_new_user_is_stored(client: Client, root: Person) -> None:
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
    payload = await client.mutate("createUser", value | write_only, EVERYTHING, by=root)
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
        ({"isAdmin": None}, {"version": 1}),  # changes nothing
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
    client: Client, root: Person, cleared: dict[str, Any], expected: dict[str, Any]
) -> None:
    address = {"line1": "1 Way", "city": "Graz", "country": "AT"}
    names = {"firstName": "Carol", "lastName": "Sharp", "displayName": "Caz", "email": "carol@x.test"}
    value = names | {"language": "de", "externalId": "crm:7", "dateOfBirth": "1990-02-28", "billingAddress": address}
    user_id = await create_user(client, root, **value, password=PASSWORD, isAdmin=True, tier="PAID")
    before = await client.data(
        f"query ($id: ID!) {{ user(by: {{id: $id}}) {{ {EVERYTHING[6:-1]} }} }}", {"id": user_id}, by=root
    )
    payload = await client.mutate("updateUser", {"id": user_id} | cleared, EVERYTHING, by=root)
    assert payload == {"user": before["user"] | {"version": 2} | expected, "errors": []}


async def test_limits_of_a_user_replace_those_of_the_plan(client: Client, root: Person, bob: Person) -> None:
    plan = {"name": "gold", "tier": "PAID", "limits": {"memoryMb": 1024, "ports": 3, "servers": 2}}
    await client.mutate("createPlan", plan, "plan { id }", by=root)
    await client.mutate("changePlan", {"userId": bob.id, "planName": "gold"}, "user { id }", by=root)

    async def limits(value: dict[str, Any] | None) -> Any:
        selection = "user { limits { memoryMb diskMb servers ports } }"
        payload = await client.mutate("updateUser", {"id": bob.id, "limits": value}, selection, by=root)
        return payload["user"]["limits"]

    of_plan = {"memoryMb": 1024, "diskMb": None, "servers": 2, "ports": 3}
    assert await limits({}) == of_plan
    assert await limits({"memoryMb": 2048, "diskMb": 0}) == of_plan | {"memoryMb": 2048, "diskMb": 0}
    assert await limits({"servers": 9}) == of_plan | {"memoryMb": 2048, "diskMb": 0, "servers": 9}
    assert await limits({"memoryMb": None}) == of_plan | {"diskMb": 0, "servers": 9}
    assert await limits(None) == of_plan


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
async def test_the_display_name_falls_back_to_the_other_names(
    client: Client, root: Person, names: dict[str, str], shown: str
) -> None:
    payload = await client.mutate("createUser", {"username": "carol"} | names, "user { displayName }", by=root)
    assert payload == {"user": {"displayName": shown}, "errors": []}


async def test_the_avatar_is_at_gravatar_by_the_lower_case_address(client: Client, root: Person) -> None:
    value = {"username": "carol", "email": "Carol@X.test"}
    payload = await client.mutate("createUser", value, "user { id avatarUrl }", by=root)
    digest = hashlib.sha256(b"carol@x.test").hexdigest()
    assert payload["user"]["avatarUrl"].startswith(f"https://gravatar.com/avatar/{digest}")
    cleared = {"id": payload["user"]["id"], "email": None}
    assert (await client.mutate("updateUser", cleared, "user { avatarUrl }", by=root))["user"] == {"avatarUrl": None}


async def test_the_adult_age_depends_on_the_billing_country(client: Client, root: Person) -> None:
    user_id = await create_user(client, root)
    ages = {None: 18, "AT": 18, "US": 18, "CA": 19, "TH": 20, "TW": 20, "AE": 21, "BH": 21, "OM": 21}
    for country, adult in ages.items():
        for age, child in ((adult, False), (adult - 1, True)):
            born = dt.date(TODAY.year - age, 1, 1).isoformat()
            value = {"id": user_id, "dateOfBirth": born, "billingAddress": {"country": country}}
            payload = await client.mutate("updateUser", value, "user { age isChildAccount }", by=root)
            assert (country, payload["user"]) == (country, {"age": age, "isChildAccount": child})
    unknown = {"id": user_id, "dateOfBirth": None}
    payload = await client.mutate("updateUser", unknown, "user { age isChildAccount }", by=root)
    assert payload["user"] == {"age": None, "isChildAccount": None}


async def test_the_age_changes_on_the_birthday(client: Client, root: Person) -> None:
    # Every fourth year has the same days, also on 29 February
    birthday = dt.date(TODAY.year - 20, TODAY.month, TODAY.day)
    for username, born, age in (("today", birthday, 20), ("tomorrow", birthday + dt.timedelta(days=1), 19)):
        value = {"username": username, "dateOfBirth": born.isoformat()}
        payload = await client.mutate("createUser", value, "user { age }", by=root)
        assert payload["user"] == {"age": age}


async def test_a_new_address_is_unverified_and_the_same_address_stays_verified(
    client: Client, root: Person, bob: Person
) -> None:
    await client.rows("UPDATE users SET email_verified = true WHERE id = $1", bob.id)
    selection = "user { email emailVerified }"
    same = await client.mutate("updateUser", {"id": bob.id, "email": "bob@roster.test"}, selection, by=root)
    assert same["user"] == {"email": "bob@roster.test", "emailVerified": True}
    other = await client.mutate("updateUser", {"id": bob.id, "email": "bobby@roster.test"}, selection, by=root)
    assert other["user"] == {"email": "bobby@roster.test", "emailVerified": False}


async def test_a_user_without_a_plan_is_listed(client: Client, root: Person, bob: Person) -> None:
    await client.mutate("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    await client.mutate("changePlan", {"userId": bob.id, "planName": "gold"}, "user { id }", by=root)
    found = await client.data(
        "{ users(orderBy: USERNAME_ASC) { nodes { username plan { name } } totalCount } }", by=root
    )
    plans = {node["username"]: node["plan"] for node in found["users"]["nodes"]}
    assert plans == {"adam": None, "alice": None, "bob": {"name": "gold"}, "root": None, "stella": None}
    assert found["users"]["totalCount"] == 5


async def test_ones_own_account_and_an_owner_of_servers_cannot_be_deleted(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    server = await client.mutate("createServer", {"name": "s", "ownerId": bob.id}, "server { id }", by=root)
    share = {"serverId": server["server"]["id"], "email": "alice@roster.test", "permissions": ["control.start"]}
    assert (await client.mutate("createSubuser", share, "subuser { id }", by=bob))["errors"] == []
    tables = ("users", "credentials", "sessions", "session_tokens", "servers", "subusers", "audit_events")

    async def contents() -> list[list[str]]:
        return [[row[0] for row in await client.rows(f"SELECT t::text FROM {t} t ORDER BY 1")] for t in tables]  # noqa: S608

    await client.execute("{ me { id } }", by=admin)  # records when the session was last used
    before = await contents()
    own, owner = "You cannot delete your own account.", "The user owns servers. Set cascade to delete them, too."
    for value, code, message in (
        ({"id": admin.id}, "NOT_ALLOWED", own),
        ({"id": admin.id, "cascade": True}, "NOT_ALLOWED", own),
        ({"id": bob.id}, "IN_USE", owner),
        ({"id": bob.id, "cascade": False}, "IN_USE", owner),
        ({"id": bob.id, "cascade": None}, "IN_USE", owner),
        ({"id": root.id, "cascade": True}, "NOT_ALLOWED", "This user holds permissions that you do not hold: *."),
        ({"id": server["server"]["id"]}, "NOT_FOUND", "This object does not exist."),
    ):
        payload = await client.mutate("deleteUser", value, "deletedId", by=admin)
        assert payload == {"deletedId": None, "errors": [{"code": code, "message": message, "field": ["id"]}]}
    assert await contents() == before
    deleted = await client.mutate("deleteUser", {"id": bob.id, "cascade": True}, "deletedId", by=admin)
    assert deleted == {"deletedId": bob.id, "errors": []}
    assert await client.rows("SELECT id FROM servers") == await client.rows("SELECT id FROM subusers") == []
    assert (await client.execute("{ me { id } }", by=bob))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_id_without_dashes_is_the_same_id(client: Client, root: Person, bob: Person) -> None:
    plain = bob.id.replace("-", "").upper()
    changed = await client.mutate("updateUser", {"id": plain, "firstName": "Bob"}, "user { id firstName }", by=root)
    assert changed == {"user": {"id": bob.id, "firstName": "Bob"}, "errors": []}
    assert (await client.mutate("deleteUser", {"id": plain}, "deletedId", by=root))["deletedId"] == bob.id


async def test_a_change_of_an_outdated_version_shows_the_user_as_it_is_now(
    client: Client, root: Person, bob: Person
) -> None:
    await client.mutate("updateUser", {"id": bob.id, "displayName": "Bobby"}, USER, by=root)
    value = {"id": bob.id, "version": 1, "displayName": "Robert", "firstName": "", "password": PASSWORD}
    payload = await client.mutate("updateUser", value, USER, by=root)
    names = {"username": "bob", "email": "bob@roster.test", "displayName": "Bobby"}
    message = "The user was changed in the meantime."
    assert payload == {
        "user": names | {"id": bob.id, "role": {"name": "USER"}, "version": 2},
        "errors": [
            {"code": "REQUIRED", "message": "firstName must not be empty.", "field": ["firstName"]},
            {"code": "VERSION_MISMATCH", "message": message, "field": ["version"]},
        ],
    }
    assert await client.data("{ me { displayName version } }", by=bob) == {"me": {"displayName": "Bobby", "version": 2}}

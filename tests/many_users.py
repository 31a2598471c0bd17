"""What tests of mutations on many users share."""

from __future__ import annotations

from typing import Any

from tests.conftest import Client, Person

UNKNOWN = "00000000-0000-7000-8000-00000000ffff"
RESULTS = "results { userId errors { code field message } }"
# Each mutation with the rest of an input that changes a user
FIELDS: dict[str, dict[str, Any]] = {
    "suspendUsers": {"reason": "abuse"},
    "unsuspendUsers": {},
    "deleteUsers": {},
    "changePlans": {"planName": "gold"},
    "setRoles": {"roleName": "STAFF"},
}


async def many(client: Client, field: str, value: dict[str, Any], by: Person | str) -> dict[str, Any]:
    """Return the payload of a mutation on many users, with the ids of those that it changed as `changed`."""
    selection = "deletedIds" if field == "deleteUsers" else "users { id }"
    payload = await client.mutate(field, value, f"{RESULTS} {selection}", by=by)
    changed = payload.pop("deletedIds" if field == "deleteUsers" else "users")
    payload["changed"] = [each["id"] if isinstance(each, dict) else each for each in changed or ()]
    return payload


def outcomes(payload: dict[str, Any]) -> list[Any]:
    """Return what was done with each user: "done", or the code and the path of its only error."""
    assert payload["errors"] == [], payload["errors"]
    found: list[Any] = []
    for result in payload["results"]:
        each = [(error["code"], ".".join(error["field"])) for error in result["errors"]]
        found.append(each[0] if each else "done")
        assert len(each) <= 1
    done = [result["userId"] for result in payload["results"] if not result["errors"]]
    assert payload["changed"] == done
    return found


def problems(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Return the code and the path of each error of an input as a whole, with which nothing is changed."""
    assert (payload["results"], payload["changed"]) == (None, [])
    return [(error["code"], error["field"]) for error in payload["errors"]]


async def create_users(client: Client, count: int, name: str = "many") -> list[str]:
    """Return the ids of new users, in the order of their creation."""
    rows = await client.rows(
        "INSERT INTO users (username, created_at) SELECT $1 || to_char(n, 'FM000'), now() + n * interval '1 ms'"
        " FROM generate_series(1, $2) AS n RETURNING id, username",
        name,
        count,
    )
    return [row["id"] for row in sorted(rows, key=lambda row: str(row["username"]))]


async def create_gold(client: Client, root: Person) -> str:
    """Return the id of a new plan."""
    payload = await client.mutate("createPlan", {"name": "gold", "tier": "PAID"}, "plan { id }", by=root)
    return str(payload["plan"]["id"])


async def give_role(client: Client, root: Person, person: Person, name: str, *permissions: str) -> None:
    """Give a user a new role."""
    value = {"name": name, "permissions": permissions}
    role = await client.mutate("createRole", value, "role { id }", by=root)
    value = {"id": person.id, "roleId": role["role"]["id"]}
    assert (await client.mutate("updateUser", value, "user { id }", by=root))["errors"] == []


async def key(client: Client, by: Person, *permissions: str, **value: Any) -> str:
    """Return the secret of a new API key."""
    value |= {"name": "narrow", "permissions": permissions}
    return str((await client.mutate("createApiKey", value, "secret", by=by))["secret"])


async def events(client: Client, since: str = "") -> list[tuple[str, str]]:
    """Return the name and the target of each audit event, in order, whose name begins with `since`."""
    rows = await client.rows("SELECT event, target_id FROM audit_events WHERE event LIKE $1 || '%' ORDER BY id", since)
    return [(row["event"], row["target_id"]) for row in rows]


async def state(client: Client) -> list[str]:
    """Return the users and the servers as text."""
    rows = await client.rows("SELECT u::text FROM users u UNION ALL SELECT s::text FROM servers s ORDER BY 1")
    return [row[0] for row in rows]

"""The export of one's own data: who can have it, how often, and how much of it at once."""

from __future__ import annotations

import asyncio

import pytest

from service import limits
from tests.conftest import Client, Person
from tests.leaving import EXPORT, deleted, exported
from tests.second_factors import codes
from tests.sessions import code, key, login


async def test_registrations_with_an_unverified_address_may_be_of_another_person(client: Client, alice: Person) -> None:
    await client.rows("INSERT INTO registrations VALUES ('h', 'alice@roster.test', '{}', 'x', now(), now())")
    await client.rows("INSERT INTO mails (recipient, template, language) VALUES ('ALICE@roster.test', 'x', 'en')")
    document = await exported(client, alice)
    assert (document["registrations"], document["mails"]) == ([], [])
    await client.rows("UPDATE users SET email_verified = TRUE WHERE id = $1", alice.id)
    document = await exported(client, alice)
    assert (len(document["registrations"]), len(document["mails"])) == (1, 1)


async def test_a_million_events_are_the_newest_thousand_and_a_cursor(client: Client, alice: Person) -> None:
    await client.rows(
        "INSERT INTO audit_events (event, actor_id, owner_id) SELECT 'many', $1, $1 FROM generate_series(1, 1500)",
        alice.id,
    )
    [number] = await client.rows("SELECT count(*) FROM audit_events WHERE $1 IN (actor_id, owner_id)", alice.id)
    document = await exported(client, alice)
    ids = [event["id"] for event in document["auditEvents"]]
    assert (len(ids), document["truncated"]) == (limits.PERSONAL_DATA_ROWS, ["auditEvents"])
    assert ids == sorted(ids, reverse=True)
    after, rest = document["auditEventsCursor"], list[str]()
    events = "auditEvents(first: 100, after: $after) { nodes { id } pageInfo { endCursor } }"
    page = f"query ($after: String) {{ me {{ {events} }} }}"
    while after is not None:
        found = (await client.data(page, {"after": after}, by=alice))["me"]["auditEvents"]
        rest += [node["id"] for node in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
    assert ids + rest == sorted({*ids, *rest}, reverse=True), "in order, and none is missing or twice"
    assert len(ids + rest) == number["count"]


async def test_it_has_exactly_one_event_without_the_data(client: Client, alice: Person) -> None:
    await exported(client, alice)
    [event] = await client.rows("SELECT * FROM audit_events WHERE event = 'user.export'")
    assert (event["target_id"], event["changes"]) == (alice.id, {"export": {"old": None, "new": 1}})


@pytest.mark.parametrize("permissions", [("account.read",), ("account.read", "account.delete", "activity.read")])
async def test_a_key_gets_no_more_than_it_lists(client: Client, alice: Person, permissions: tuple[str, ...]) -> None:
    robot = await key(client, alice, *permissions)
    access = (await client.mutate("createAccessToken", {}, "accessToken", by=alice))["accessToken"]
    for by in (robot["secret"], access):
        payload = (await client.data(EXPORT, by=by))["exportMyData"]
        assert (payload["document"], codes({"errors": [error | {"field": None} for error in payload["errors"]]})) == (
            None,
            [("NOT_ALLOWED", None)],
        )


async def test_a_user_may_export_a_few_times_a_day_whatever_the_session(client: Client, alice: Person) -> None:
    answers = await asyncio.gather(*(client.execute(EXPORT, by=alice) for _ in range(6)))
    assert sum("errors" not in each for each in answers) == 3
    other, _ = await login(client, "alice")
    denied = (await client.execute(EXPORT, by=other))["errors"][0]["extensions"]
    assert denied["code"] == "RATE_LIMITED"
    assert 0 < denied["retryAfter"] <= 3600
    assert await code(client, EXPORT, (await login(client, "bob"))[0]) is None, "other users are not limited"


async def test_aliases_count_each(client: Client, alice: Person) -> None:
    calls = " ".join(f"a{number}: exportMyData {{ errors {{ code }} }}" for number in range(5))
    answer = await client.execute(f"mutation {{ {calls} }}", by=alice)
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["RATE_LIMITED"] * 2


async def test_a_person_can_export_after_the_deletion_until_the_account_is_erased(
    client: Client, alice: Person
) -> None:
    await deleted(client, alice)
    token, _ = await login(client, "alice")
    document = await exported(client, token)
    assert document["account"]["deletionScheduledAt"] is not None

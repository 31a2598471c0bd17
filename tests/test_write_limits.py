"""Limits on changes: those of an account in an hour, the growth of the audit log, and accounts by createSubuser."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Any

import pytest

from service import limits, write_limits
from service.errors import ApiError, ApiErrorCode
from service.settings import Settings
from service.write_limits import WriteLimits
from tests.conftest import Client, Person


@pytest.fixture
def settings() -> Settings:
    """Allow few changes."""
    return Settings(writes_per_hour=60)


def allowed(counter: WriteLimits, user_id: str, *, admin: bool = False) -> int:
    """Return 0 for a write that is allowed, else the seconds to wait."""
    try:
        counter.count(user_id, admin=admin)
    except ApiError as error:
        assert error.code is ApiErrorCode.RATE_LIMITED  # noqa: PT017
        return int((error.extensions or {})["retryAfter"])
    return 0


def test_writes_are_regained_steadily(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    counter = WriteLimits(60)
    assert [allowed(counter, "a") for _ in range(61)] == [0] * 60 + [60]
    assert allowed(counter, "b") == 0
    now += 59
    assert allowed(counter, "a") == 1
    now += 1
    assert [allowed(counter, "a") for _ in range(2)] == [0, 60]
    now += 36_000
    assert [allowed(counter, "a") for _ in range(61)] == [0] * 60 + [60]


def test_callers_with_admin_permissions_may_make_ten_times_as_many() -> None:
    counter = WriteLimits(60)
    assert Counter(allowed(counter, "a", admin=True) for _ in range(601)) == {0: 600, 6: 1}


def test_each_kib_of_an_event_counts_as_a_write() -> None:
    counter = WriteLimits(60)
    counter.count("a")
    counter.count("a", 59 * 1_024)
    assert allowed(counter, "a") == 60
    counter.count("b", 200 * 1_024)  # what was written is counted, also beyond the limit
    assert allowed(counter, "b") == 141 * 60


def test_the_number_of_kept_accounts_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write_limits, "KEPT_ACCOUNTS", 10)
    counter = WriteLimits(60)
    for number in range(100):
        counter.count(f"{number}")
    assert len(counter) == 10


def codes(answers: list[dict[str, Any]]) -> Counter[str]:
    return Counter(answer["errors"][0]["extensions"]["code"] if "errors" in answer else "done" for answer in answers)


async def test_the_writes_of_an_account_are_limited_over_its_credentials(client: Client, bob: Person) -> None:
    key = {"name": "robot", "permissions": ["account.read", "account.update"]}
    secret = (await client.mutate("createApiKey", key, "secret", by=bob))["secret"]
    answers = []
    for number in range(62):
        document = f'mutation {{ updateProfile(input: {{firstName: "B{number}"}}) {{ errors {{ code }} }} }}'
        answers.append(await client.execute(document, by=bob if number % 2 else secret))
    assert codes(answers) == {"done": 59, "RATE_LIMITED": 3}
    assert 0 < answers[-1]["errors"][0]["extensions"]["retryAfter"] <= 60
    assert answers[-1]["data"] == {"updateProfile": None}
    assert "errors" not in await client.execute("{ me { id } }", by=bob), "reads go on"


async def test_settings_of_15_kb_do_not_make_the_audit_log_grow_without_limit(client: Client, bob: Person) -> None:
    large = {f"member {number}": "x" * 500 for number in range(28)}
    document = "mutation ($patch: JSON!) { updateSettings(input: {patch: $patch}) { errors { code } } }"
    answers = []
    for number in range(20):
        patch = {name: f"{number}{text}" for name, text in large.items()}
        answers.append(await client.execute(document, {"patch": patch}, by=bob))
    assert codes(answers)["RATE_LIMITED"] >= 16
    [row] = await client.rows(
        "SELECT sum(octet_length(changes::text)) AS size FROM audit_events WHERE actor_id = $1", bob.id
    )
    assert row["size"] < 100_000


async def test_an_event_of_settings_tells_only_the_members_that_differ_at_every_depth(
    client: Client, bob: Person
) -> None:
    for patch in (
        {"panel": {"theme": "dark", "layout": {"columns": 2, "text": "x" * 9_000}}},
        {"panel": {"layout": {"columns": 3, "rows": 1}, "theme": None}},
    ):
        payload = await client.mutate("updateSettings", {"patch": patch}, "user { id }", by=bob)
        assert payload["errors"] == []
    rows = await client.rows("SELECT changes FROM audit_events WHERE event = 'user.settings' ORDER BY id DESC LIMIT 1")
    assert rows[0]["changes"] == {
        "settings": {
            "old": {"panel": {"theme": "dark", "layout": {"columns": 2}}},
            "new": {"panel": {"layout": {"columns": 3, "rows": 1}}},
        }
    }


async def new_servers(client: Client, by: Person, owner: Person, count: int) -> list[str]:
    """Return the ids of new servers of a user."""
    found = []
    for number in range(count):
        value = {"name": f"box {number}", "ownerId": owner.id}
        found.append((await client.mutate("createServer", value, "server { id }", by=by))["server"]["id"])
    return found


def invitation(server_id: str, number: int) -> str:
    value = f'{{serverId: "{server_id}", email: "new{number}@x.test", permissions: ["control.start"]}}'
    return f"mutation {{ createSubuser(input: {value}) {{ subuser {{ id }} errors {{ code }} }} }}"


async def test_an_owner_creates_at_most_20_accounts_a_day_also_at_once(
    client: Client, root: Person, alice: Person
) -> None:
    servers = await new_servers(client, root, alice, 3)
    documents = [invitation(servers[number % 3], number) for number in range(30)]
    found = codes(list(await asyncio.gather(*(client.execute(document, by=alice) for document in documents))))
    assert found == {"done": limits.ACCOUNTS_PER_DAY, "RATE_LIMITED": 10}
    created = await client.rows("SELECT id FROM users WHERE email LIKE '%@x.test'")
    assert len(created) == limits.ACCOUNTS_PER_DAY
    answer = await client.execute(invitation(servers[0], 99), by=alice)
    assert 86_000 < answer["errors"][0]["extensions"]["retryAfter"] <= 86_400
    known = {"serverId": servers[0], "email": "bob@roster.test", "permissions": ["control.start"]}
    assert (await client.mutate("createSubuser", known, "subuser { id }", by=alice))["errors"] == []
    assert codes([await client.execute(invitation(servers[0], 99), by=root)]) == {"done": 1}

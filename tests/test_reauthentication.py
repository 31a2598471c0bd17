"""Step-up: sensitive mutations need a session whose user proved a short time ago who they are."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from graphql import build_schema

from service.attempts import PASSWORD as PASSWORD_ATTEMPTS
from service.credentials.hash_queue import HashQueue
from service.payloads import RECENT
from service.schema import printed
from tests.conftest import PASSWORD, Client, Person, opened_client
from tests.objects import SSH_KEY
from tests.sessions import aged, contents, impersonated, key, login

NEW = "a-quite-unusual-walrus-77"
REAUTHENTICATE = "mutation ($input: ReauthenticateInput!) { reauthenticate(input: $input) { token errors { code } } }"
# Every sensitive mutation with an input that would change something
SENSITIVE: dict[str, dict[str, Any]] = {
    "addSshKey": {"name": "laptop", "publicKey": SSH_KEY},
    "adjustBalance": {"userId": "$bob", "amountSat": 1, "reason": "top-up"},
    "changePassword": {"currentPassword": PASSWORD, "newPassword": NEW},
    "createApiKey": {"name": "new"},
    "createAutologinLink": {"userId": "$bob"},
    "deleteApiKey": {"id": "$key"},
    "deleteSshKey": {"id": "$ssh"},
    "deleteUser": {"id": "$bob"},
    "deleteUsers": {"ids": "$bob"},
    "renameSshKey": {"id": "$ssh", "name": "new"},
    "rotateApiKey": {"id": "$key"},
    "setPassword": {"userId": "$bob", "password": NEW},
    "updateApiKey": {"id": "$key", "name": "new"},
}
# Mutations that are sensitive only with this input
SOMETIMES: dict[str, dict[str, Any]] = {"updateUser": {"id": "$bob", "password": NEW}}
WHO = ("admin", "bob")
MOST = PASSWORD_ATTEMPTS.pair.most
# The guards of these come first, and their tests are in test_passkey.py, test_two_factor_guards.py, and
# test_account_deletion.py
ELSEWHERE = {
    *("changeEmail", "deletePasskey", "disableTwoFactor", "finishPasskeyRegistration", "regenerateRecoveryCodes"),
    *("deleteMyAccount", "exportMyData", "renamePasskey", "resetTwoFactor", "startPasskeyRegistration"),
}


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list with an item for each hash that is computed from now on."""
    found: list[str] = []
    run = HashQueue.run

    async def counted(self: HashQueue, *arguments: Any) -> Any:
        found.append("hash")
        return await run(self, *arguments)

    monkeypatch.setattr(HashQueue, "run", counted)
    return found


async def filled(client: Client, value: dict[str, Any], admin: Person, bob: Person) -> dict[str, Any]:
    """Return the input with the ids of a user, and of keys of the administrator that exist."""
    api_key = await key(client, admin, name="old")
    ssh_key = await client.mutate("addSshKey", {"name": "old", "publicKey": SSH_KEY}, "sshKey { id }", by=admin)
    ids = {"$bob": bob.id, "$key": api_key["id"], "$ssh": ssh_key["sshKey"]["id"]}
    return {name: ids.get(item, item) if isinstance(item, str) else item for name, item in value.items()}


async def execute(client: Client, field: str, value: dict[str, Any], by: Person | str) -> dict[str, Any]:
    document = f"mutation ($i: {field[0].upper()}{field[1:]}Input!) {{ f: {field}(input: $i) {{ errors {{ code }} }} }}"
    return await client.execute(document, {"i": value}, by=by)


async def reauthenticated(client: Client, by: str, password: str = PASSWORD, **value: Any) -> dict[str, Any]:
    return await client.mutate(
        "reauthenticate", {"password": password} | value, "token session { id } user { id }", by=by
    )


def test_every_sensitive_mutation_is_listed_here() -> None:
    mutations = build_schema(printed()).mutation_type
    assert mutations is not None
    found = {name for name, field in mutations.fields.items() if RECENT.strip(". ") in (field.description or "")}
    assert found == SENSITIVE.keys() | ELSEWHERE


@pytest.mark.parametrize("field", SENSITIVE | SOMETIMES)
async def test_an_old_session_changes_nothing_sensitive_and_computes_no_hash(
    client: Client, admin: Person, bob: Person, hashes: list[str], field: str
) -> None:
    value = await filled(client, (SENSITIVE | SOMETIMES)[field], admin, bob)
    token = await aged(client, "adam", 901)
    before = await contents(client)
    hashes.clear()
    answer = await execute(client, field, value, token)
    assert answer["data"] == {"f": None}
    assert [(error["path"], error["extensions"]) for error in answer["errors"]] == [
        (["f"], {"code": "REAUTH_REQUIRED"})
    ]
    assert (await contents(client), hashes) == (before, [])


@pytest.mark.parametrize("field", SENSITIVE | SOMETIMES)
async def test_a_session_of_a_short_time_ago_may_do_it(client: Client, admin: Person, bob: Person, field: str) -> None:
    value = await filled(client, (SENSITIVE | SOMETIMES)[field], admin, bob)
    if field == "addSshKey":
        await client.rows("DELETE FROM ssh_keys")
    answer = await execute(client, field, value, await aged(client, "adam", 880))
    assert answer == {"data": {"f": {"errors": []}}}


async def test_an_update_without_a_password_needs_no_recent_session(client: Client, bob: Person) -> None:
    value = {"id": bob.id, "firstName": "Robert"}
    assert await execute(client, "updateUser", value, await aged(client, "adam")) == {"data": {"f": {"errors": []}}}


async def test_the_permissions_of_an_api_key_decide(client: Client, admin: Person, bob: Person) -> None:
    robot = await key(client, admin, "users.password", "api-keys.create", "users.delete")
    await client.rows("UPDATE sessions SET authenticated_at = now() - interval '1 year'")
    for field in ("setPassword", "createApiKey", "deleteUser"):
        value = {name: bob.id if item == "$bob" else item for name, item in SENSITIVE[field].items()}
        assert await execute(client, field, value, robot["secret"]) == {"data": {"f": {"errors": []}}}


async def test_reauthentication_gives_a_new_token_to_the_same_session(
    client: Client, root: Person, admin: Person, bob: Person, database_url: str
) -> None:
    token, session_id = await login(client, "adam")
    await client.rows("UPDATE sessions SET authenticated_at = now() - interval '1 hour' WHERE id = $1", session_id)
    payload = await reauthenticated(client, token)
    assert payload == {
        "token": payload["token"],
        "session": {"id": session_id},
        "user": {"id": admin.id},
        "errors": [],
    }
    # The old token is not valid on any worker (ASVS 5.0, 7.2.4)
    async with opened_client(client.resources.settings, database_url) as other:
        for worker in (client, other):
            answer = await worker.execute("{ me { id } }", by=token)
            assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}
            assert (await worker.data("{ me { id } }", by=payload["token"])) == {"me": {"id": admin.id}}
    assert (await execute(client, "deleteUser", {"id": bob.id}, payload["token"]))["data"] == {"f": {"errors": []}}
    events = await client.data(
        '{ auditEvents(filter: {event: ["session.reauthenticate"]}) { nodes { targetId actorId changes } } }', by=root
    )
    [event] = events["auditEvents"]["nodes"]
    assert (event["targetId"], event["actorId"], [*event["changes"]]) == (session_id, admin.id, ["authenticatedAt"])


async def test_the_cookie_is_replaced_and_lives_as_long_as_the_session(client: Client) -> None:
    token, session_id = await login(client, "alice")
    await client.rows("UPDATE sessions SET expires_at = now() + interval '100 seconds' WHERE id = $1", session_id)
    client.http.cookies.clear()
    body = {"query": REAUTHENTICATE, "variables": {"input": {"password": PASSWORD}}}
    response = await client.http.post("/graphql", json=body, headers={"cookie": f"roster={token}"})
    renewed = response.json()["data"]["reauthenticate"]["token"]
    name, _, rest = response.headers["set-cookie"].partition(";")
    [age] = [int(part.partition("=")[2]) for part in rest.split(";") if "Max-Age" in part]
    assert (name, 90 < age <= 100) == (f"roster={renewed}", True)


async def test_later_mutations_of_the_document_have_the_open_window(client: Client, bob: Person) -> None:
    document = """mutation ($id: ID!, $password: String!) {
      before: deleteUser(input: {id: $id}) { deletedId }
      reauthenticate(input: {password: $password}) { errors { code } }
      after: deleteUser(input: {id: $id}) { deletedId }
    }"""
    answer = await client.execute(document, {"id": bob.id, "password": PASSWORD}, by=await aged(client, "adam"))
    assert answer["data"] == {"before": None, "reauthenticate": {"errors": []}, "after": {"deletedId": bob.id}}
    assert [(error["path"], error["extensions"]["code"]) for error in answer["errors"]] == [
        (["before"], "REAUTH_REQUIRED")
    ]


async def test_a_wrong_password_counts_and_then_no_hash_is_computed(client: Client, hashes: list[str]) -> None:
    token, _ = await login(client, "alice")
    other, _ = await login(client, "alice")
    hashes.clear()
    for _ in range(MOST):
        payload = await reauthenticated(client, token, "wrong")
        assert [(error["code"], error["field"]) for error in payload["errors"]] == [("WRONG_CREDENTIALS", ["password"])]
    answer = await execute(client, "reauthenticate", {"password": PASSWORD}, token)
    [error] = answer["errors"]
    assert (error["path"], error["extensions"]["code"], len(hashes)) == (["f"], "RATE_LIMITED", MOST)
    assert 0 < error["extensions"]["retryAfter"] <= PASSWORD_ATTEMPTS.pair.wait
    # ASVS 5.0, 6.1.1: another session of the same person is not locked out
    assert (await reauthenticated(client, other))["errors"] == []


async def test_parallel_wrong_passwords_verify_no_more_than_the_limit_cve_2024_4629(
    client: Client, hashes: list[str]
) -> None:
    token, _ = await login(client, "alice")
    hashes.clear()
    answers = await asyncio.gather(
        *(execute(client, "reauthenticate", {"password": "wrong"}, token) for _ in range(20))
    )
    limited = [answer for answer in answers if "errors" in answer]
    assert (len(hashes), len(limited)) == (MOST, 20 - MOST)


async def test_each_alias_counts_cve_2026_35401(client: Client, hashes: list[str]) -> None:
    token, _ = await login(client, "alice")
    hashes.clear()
    await reauthenticated(client, token, "wrong")
    calls = " ".join(f'a{n}: reauthenticate(input: {{password: "wrong"}}) {{ token }}' for n in range(MOST))
    answer = await client.execute(f"mutation {{ {calls} }}", by=token)
    assert (len(hashes), len(answer["errors"])) == (MOST, 1)


async def test_a_success_forgets_the_wrong_passwords(client: Client) -> None:
    token, _ = await login(client, "alice")
    for _ in range(4):
        await reauthenticated(client, token, "wrong")
    token = (await reauthenticated(client, token))["token"]
    for _ in range(4):
        assert (await reauthenticated(client, token, "wrong"))["errors"][0]["code"] == "WRONG_CREDENTIALS"


async def test_one_of_parallel_reauthentications_with_a_token_succeeds(client: Client) -> None:
    token = await aged(client, "alice")
    answers = await asyncio.gather(
        *(execute(client, "reauthenticate", {"password": PASSWORD}, token) for _ in range(20))
    )
    found = Counter(answer["errors"][0]["extensions"]["code"] if "errors" in answer else "done" for answer in answers)
    assert found["done"] == 1
    assert found.keys() <= {"done", "UNAUTHENTICATED", "RATE_LIMITED"}


async def test_the_second_factor_is_required_and_its_absence_changes_nothing(client: Client, alice: Person) -> None:
    token = await aged(client, "alice")
    await client.rows("UPDATE users SET two_factor_enabled = TRUE WHERE id = $1", alice.id)
    before = await contents(client)
    payload = await reauthenticated(client, token)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("REQUIRED", ["code"])]
    assert payload["token"] is None
    assert await contents(client) == before


async def test_a_user_without_a_password_signs_in_again(client: Client, alice: Person) -> None:
    await client.rows("DELETE FROM credentials WHERE user_id = $1", alice.id)
    [error] = (await reauthenticated(client, alice.token))["errors"]
    message = "This account has no password. Set one with requestPasswordReset."
    assert (error["code"], error["message"], error["field"]) == ("NOT_ALLOWED", message, ["password"])


async def test_only_the_token_of_the_own_session_reauthenticates(client: Client, admin: Person, bob: Person) -> None:
    robot = await key(client, admin, "account.read")
    jwt = await client.data("mutation { createAccessToken { accessToken } }", by=admin)
    for by, message in (
        (robot["secret"], "An API key has no session."),
        (jwt["createAccessToken"]["accessToken"], "Use the token of the session. An access token is not enough."),
    ):
        [error] = (await reauthenticated(client, by))["errors"]
        assert (error["code"], error["message"]) == ("NOT_ALLOWED", message)
    answer = await execute(client, "reauthenticate", {"password": PASSWORD}, await impersonated(client, admin, bob))
    assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN"}


async def test_a_front_end_knows_the_session(client: Client, alice: Person) -> None:
    document = "{ session { id current authenticatedAt expiresAt impersonator { id } user { id } } }"
    token, session_id = await login(client, "alice")
    found = (await client.data(document, by=token))["session"]
    assert found == found | {"id": session_id, "current": True, "impersonator": None, "user": {"id": alice.id}}
    assert found["authenticatedAt"] is not None
    robot = await key(client, alice, "sessions.read")
    assert await client.data(document) == {"session": None}
    assert await client.data(document, by=robot["secret"]) == {"session": None}
    await client.rows("UPDATE sessions SET ended_at = now() WHERE id = $1", session_id)
    answer = await client.execute(document, by=token)
    assert (answer["data"], answer["errors"][0]["extensions"]) == ({"session": None}, {"code": "UNAUTHENTICATED"})


async def test_both_timeouts_hold_on_every_worker(client: Client, database_url: str) -> None:
    async with opened_client(client.resources.settings, database_url) as other:
        for column in ("expires_at", "idle_expires_at"):
            token, session_id = await login(client, "alice")
            assert (await other.data("{ me { id } }", by=token))["me"]
            await client.rows(f"UPDATE sessions SET {column} = now() WHERE id = $1", session_id)  # noqa: S608
            for worker in (client, other):
                answer = await worker.execute("{ me { id } }", by=token)
                assert answer["errors"][0]["extensions"] == {"code": "UNAUTHENTICATED"}

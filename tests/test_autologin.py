"""Autologin links: one use, both people in the audit log, and a session that is bound by the impersonator."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person, opened_client
from tests.objects import SSH_KEY
from tests.sessions import IMPERSONATE, contents, impersonated, key, link, login, opened

ME = "{ me { username } }"
NEW = "a-quite-unusual-walrus-77"
INVALID = [
    {
        "code": "EXPIRED",
        "message": "This link is not valid. It can be used once, within a minute.",
        "field": ["token"],
    }
]
SUPPORT = ("users.read", "users.suspend", IMPERSONATE)


async def role(client: Client, root: Person, person: Person, *permissions: str, name: str = "support") -> str:
    """Give a user a new role, and return its id."""
    value = {"name": name, "permissions": permissions}
    role_id = (await client.mutate("createRole", value, "role { id }", by=root))["role"]["id"]
    assert (await client.mutate("updateUser", {"id": person.id, "roleId": role_id}, "", by=root))["errors"] == []
    return str(role_id)


async def rejected(client: Client, by: Person | str, user_id: str) -> tuple[str, list[str]]:
    """Return the code and the field of the error of a link that cannot be created."""
    payload = await client.mutate("createAutologinLink", {"userId": user_id}, "url", by=by)
    assert payload["url"] is None
    [error] = payload["errors"]
    return error["code"], error["field"]


async def code(client: Client, document: str, by: str, **variables: Any) -> str | None:
    errors = (await client.execute(document, variables, by=by)).get("errors", [])
    return errors[0]["extensions"]["code"] if errors else None


async def test_a_link_opens_a_session_of_the_user_that_shows_the_impersonator(
    client: Client, root: Person, admin: Person, bob: Person
) -> None:
    value = {"userId": bob.id, "reason": "Ticket 7"}
    payload = await client.mutate("createAutologinLink", value, "url expiresAt", by=admin)
    address, _, token = payload["url"].partition("#")
    assert (address, token[:5], payload["errors"]) == ("http://localhost:8000/account/autologin", "rsto_", [])
    opening = await opened(client, token)
    assert (opening["user"], opening["errors"]) == ({"id": bob.id}, [])
    found = await client.data(
        "{ me { username } session { id current impersonator { username } user { username } } }", by=opening["token"]
    )
    assert found == {
        "me": {"username": "bob"},
        "session": {
            "id": opening["session"]["id"],
            "current": True,
            "impersonator": {"username": "adam"},
            "user": {"username": "bob"},
        },
    }
    # The user sees it, too
    listed = await client.data("{ me { sessions { nodes { id impersonator { id } } } } }", by=bob)
    assert {"id": opening["session"]["id"], "impersonator": {"id": admin.id}} in listed["me"]["sessions"]["nodes"]
    assert (await client.mutate("updateProfile", {"firstName": "Rob"}, "", by=opening["token"]))["errors"] == []
    events = await client.data(
        "{ auditEvents(first: 3) { nodes { event actorId impersonator { id } targetId changes credential } } }", by=root
    )
    profile, opened_event, created = events["auditEvents"]["nodes"]
    assert (profile["event"], profile["actorId"], profile["impersonator"]) == ("user.profile", bob.id, {"id": admin.id})
    assert profile["credential"] == f"session:{opening['session']['id']}"
    assert (opened_event["event"], opened_event["actorId"], opened_event["impersonator"]) == (
        "session.impersonate",
        bob.id,
        {"id": admin.id},
    )
    assert opened_event["changes"]["reason"] == {"old": None, "new": "Ticket 7"}
    assert opened_event["changes"]["impersonatorId"] == {"old": None, "new": admin.id}
    assert (created["event"], created["actorId"], created["targetId"]) == ("user.autologin-link", admin.id, bob.id)
    assert created["changes"]["autologinLink"]["new"]["reason"] == "Ticket 7"


async def test_an_impersonation_is_not_a_login_of_the_user(client: Client, admin: Person, bob: Person) -> None:
    document = "{ me { lastLoginAt } }"
    before = await client.data(document, by=bob)
    await impersonated(client, admin, bob)
    assert await client.data(document, by=bob) == before


async def test_a_link_is_used_once_openpanel_reused_its_token(client: Client, admin: Person, bob: Person) -> None:
    token = await link(client, admin, bob)
    assert (await opened(client, token))["errors"] == []
    assert await opened(client, token) == {"token": None, "session": None, "user": None, "errors": INVALID}


async def test_one_of_20_parallel_uses_succeeds(client: Client, admin: Person, bob: Person) -> None:
    token = await link(client, admin, bob)
    document = "mutation ($t: String!) { openAutologinLink(input: {token: $t}) { token errors { code } } }"
    answers = await asyncio.gather(*(client.execute(document, {"t": token}) for _ in range(20)))
    payloads = [answer["data"]["openAutologinLink"] for answer in answers]
    codes = [payload["errors"] for payload in payloads if payload is not None]
    limited = [answer["errors"][0]["extensions"]["code"] for answer in answers if "errors" in answer]
    assert (codes.count([]), {*limited} <= {"RATE_LIMITED"}) == (1, True)
    assert codes.count([{"code": "EXPIRED"}]) == 19 - len(limited)
    rows = await client.rows("SELECT FROM sessions WHERE impersonator_id IS NOT NULL")
    assert len(rows) == 1


async def test_a_link_expires_after_a_minute_and_only_its_hash_is_stored(
    client: Client, admin: Person, bob: Person
) -> None:
    token = await link(client, admin, bob, reason="x")
    [row] = await client.rows(
        "SELECT CAST(to_jsonb(t) AS text) AS stored, extract(epoch FROM expires_at - created_at) AS life"
        " FROM one_time_tokens AS t"
    )
    assert (token in row["stored"], row["life"]) == (False, 60)
    await client.rows("UPDATE one_time_tokens SET expires_at = now()")
    assert (await opened(client, token))["errors"] == INVALID


@pytest.mark.parametrize("kind", ["session", "key", "text", "other purpose", "unknown"])
async def test_only_the_token_of_a_link_opens_a_session(client: Client, admin: Person, bob: Person, kind: str) -> None:
    token = await link(client, admin, bob)
    if kind == "other purpose":
        await client.rows("UPDATE one_time_tokens SET purpose = 'password.reset'")
    wrong = {
        "session": bob.token,
        "key": (await key(client, bob, "account.read"))["secret"],
        "text": "' OR 1=1",
        "other purpose": token,
        "unknown": token[:-1] + ("a" if token[-1] != "a" else "b"),
    }[kind]
    assert (await opened(client, wrong))["errors"] == INVALID


async def test_wrong_tokens_are_limited(client: Client) -> None:
    for _ in range(20):
        await opened(client, "rsto_x")
    document = 'mutation { openAutologinLink(input: {token: "x"}) { token } }'
    assert (await client.execute(document))["errors"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_who_can_be_impersonated(client: Client, root: Person, admin: Person, staff: Person, bob: Person) -> None:
    assert await rejected(client, admin, root.id) == ("NOT_ALLOWED", ["userId"])
    assert await rejected(client, admin, admin.id) == ("NOT_ALLOWED", ["userId"])
    assert await rejected(client, admin, "01900000-0000-7000-8000-000000000000") == ("NOT_FOUND", ["userId"])
    for by in (staff, bob):
        document = "mutation ($id: ID!) { createAutologinLink(input: {userId: $id}) { url } }"
        answer = await client.execute(document, {"id": bob.id}, by=by)
        assert answer["errors"][0]["extensions"] == {"code": "FORBIDDEN", "permission": IMPERSONATE}
    await client.mutate("suspendUser", {"id": bob.id}, "", by=root)
    assert await rejected(client, admin, bob.id) == ("NOT_ALLOWED", ["userId"])
    long = await client.mutate("createAutologinLink", {"userId": staff.id, "reason": "x" * 1025}, "url", by=admin)
    assert [(error["code"], error["field"]) for error in long["errors"]] == [("TOO_LONG", ["reason"])]


@pytest.mark.parametrize("change", ["suspended user", "deleted user", "suspended", "demoted", "signed out", "promoted"])
async def test_what_changed_since_the_link_was_created_counts(
    client: Client, root: Person, admin: Person, bob: Person, change: str
) -> None:
    token, _ = await login(client, "adam")
    secret = await link(client, token, bob)
    if change == "suspended user":
        await client.mutate("suspendUser", {"id": bob.id}, "", by=root)
    elif change == "deleted user":
        await client.mutate("deleteUser", {"id": bob.id}, "", by=root)
    elif change == "suspended":
        await client.mutate("suspendUser", {"id": admin.id}, "", by=root)
    elif change == "demoted":
        await client.mutate("updateUser", {"id": admin.id, "roleName": "STAFF"}, "", by=root)
    elif change == "promoted":
        await client.mutate("updateUser", {"id": bob.id, "roleName": "ROOT"}, "", by=root)
    else:
        await client.data("mutation { logout { endedSessions } }", by=token)
    payload = await opened(client, secret)
    assert (payload["token"], payload["errors"]) == (None, INVALID)
    assert await client.rows("SELECT FROM sessions WHERE impersonator_id IS NOT NULL") == []


@pytest.mark.parametrize("change", ["suspended", "deleted", "demoted", "signed out", "second factor", "user suspended"])
async def test_the_session_ends_with_the_impersonator_on_every_worker(  # noqa: PLR0917
    client: Client, root: Person, admin: Person, bob: Person, database_url: str, change: str
) -> None:
    opener, _ = await login(client, "adam")
    token = await impersonated(client, opener, bob)
    async with opened_client(client.resources.settings, database_url) as other:
        for worker in (client, other):
            assert await worker.data(ME, by=token) == {"me": {"username": "bob"}}
        code = "UNAUTHENTICATED"
        if change == "suspended":
            await client.mutate("suspendUser", {"id": admin.id}, "", by=root)
        elif change == "deleted":
            await client.mutate("deleteUser", {"id": admin.id}, "", by=root)
        elif change == "demoted":
            await client.mutate("updateUser", {"id": admin.id, "roleName": "STAFF"}, "", by=root)
        elif change == "second factor":
            await client.rows("UPDATE roles SET require_two_factor = TRUE WHERE name = 'ADMIN'")
        elif change == "user suspended":
            await client.mutate("suspendUser", {"id": bob.id}, "", by=root)
            code = "USER_SUSPENDED"
        else:
            await client.data("mutation { logout { endedSessions } }", by=opener)
        for worker in (client, other):
            answer = await worker.execute(ME, by=token)
            assert answer["errors"][0]["extensions"] == {"code": code}


async def test_the_session_lives_for_an_hour_at_most_and_so_does_its_cookie(
    client: Client, admin: Person, bob: Person, database_url: str
) -> None:
    document = "mutation ($t: String!) { openAutologinLink(input: {token: $t}) { token session { id } } }"
    for worker, seconds in ((client, 3600), (None, 120)):
        if worker is None:
            async with opened_client(Settings(impersonation_lifetime=120), database_url) as limited:
                await _check_lifetime(limited, document, await link(client, admin, bob), seconds)
        else:
            await _check_lifetime(worker, document, await link(client, admin, bob), seconds)


async def _check_lifetime(worker: Client, document: str, token: str, seconds: int) -> None:
    worker.http.cookies.clear()
    response = await worker.http.post("/graphql", json={"query": document, "variables": {"t": token}})
    payload = response.json()["data"]["openAutologinLink"]
    rest = response.headers["set-cookie"]
    assert rest.startswith(f"roster={payload['token']}; ")
    [age] = [int(part.partition("=")[2]) for part in rest.split(";") if "Max-Age" in part]
    assert seconds - 5 <= age <= seconds
    [row] = await worker.rows(
        "SELECT extract(epoch FROM expires_at - created_at) AS life FROM sessions WHERE id = $1",
        payload["session"]["id"],
    )
    assert row["life"] == seconds


FORBIDDEN: dict[str, tuple[str, dict[str, Any]]] = {
    "addSshKey": ("AddSshKeyInput", {"name": "x", "publicKey": SSH_KEY}),
    "changePassword": ("ChangePasswordInput", {"currentPassword": PASSWORD, "newPassword": NEW}),
    "createApiKey": ("CreateApiKeyInput", {"name": "x"}),
    "createAutologinLink": ("CreateAutologinLinkInput", {"userId": "$alice"}),
    "deleteApiKey": ("DeleteApiKeyInput", {"id": "$key"}),
    "deleteSshKey": ("DeleteSshKeyInput", {"id": "$ssh"}),
    "deleteUser": ("DeleteUserInput", {"id": "$alice"}),
    "logoutAll": ("LogoutAllInput", {"keepCurrent": True}),
    "reauthenticate": ("ReauthenticateInput", {"password": PASSWORD}),
    "renameSshKey": ("RenameSshKeyInput", {"id": "$ssh", "name": "y"}),
    "revokeSession": ("RevokeSessionInput", {"id": "$session"}),
    "rotateApiKey": ("RotateApiKeyInput", {"id": "$key"}),
    "setPassword": ("SetPasswordInput", {"userId": "$alice", "password": NEW}),
    "updateApiKey": ("UpdateApiKeyInput", {"id": "$key", "name": "y"}),
    "updateUser password": ("UpdateUserInput", {"id": "$alice", "password": NEW}),
    "updateUser email": ("UpdateUserInput", {"id": "$alice", "email": "new@roster.test"}),
}


@pytest.mark.parametrize("field", FORBIDDEN)
async def test_an_impersonator_changes_no_password_email_second_factor_or_key(
    client: Client, root: Person, admin: Person, alice: Person, field: str
) -> None:
    # An administrator is impersonated by ROOT, so that no permission is missing
    own = await key(client, admin, "account.read")
    ssh = await client.mutate("addSshKey", {"name": "l", "publicKey": SSH_KEY}, "sshKey { id }", by=admin)
    _, session_id = await login(client, "adam")
    ids = {"$alice": alice.id, "$key": own["id"], "$ssh": ssh["sshKey"]["id"], "$session": session_id}
    token = await impersonated(client, root, admin)
    await client.data(ME, by=token)
    input_type, value = FORBIDDEN[field]
    value = {name: ids.get(item, item) if isinstance(item, str) else item for name, item in value.items()}
    document = f"mutation ($i: {input_type}!) {{ {field.split(maxsplit=1)[0]}(input: $i) {{ errors {{ code }} }} }}"
    before = await contents(client)
    answer = await client.execute(document, {"i": value}, by=token)
    assert [(error["message"], error["extensions"]["code"]) for error in answer["errors"]] == [
        ("You cannot do this as another user.", "FORBIDDEN")
    ]
    assert await contents(client) == before


async def test_an_impersonator_ends_the_own_session_only(client: Client, admin: Person, bob: Person) -> None:
    payload = await opened(client, await link(client, admin, bob))
    value = {"id": payload["session"]["id"]}
    assert (await client.mutate("revokeSession", value, "revokedId", by=payload["token"]))["errors"] == []
    token = await impersonated(client, admin, bob)
    assert await client.data("mutation { logout { endedSessions } }", by=token) == {"logout": {"endedSessions": 1}}
    assert await client.data(ME, by=bob) == {"me": {"username": "bob"}}
    assert await client.data(ME, by=admin) == {"me": {"username": "adam"}}


async def test_the_session_holds_what_both_hold_as_of_now(
    client: Client, root: Person, alice: Person, bob: Person
) -> None:
    support = await role(client, root, alice, *SUPPORT)
    await role(client, root, bob, "users.read", "users.suspend", name="target")
    token = await impersonated(client, alice, bob)
    suspend = "mutation ($id: ID!) { suspendUser(input: {id: $id}) { errors { code } } }"
    assert await code(client, "{ users { totalCount } }", token) is None
    # What is withdrawn from the impersonator
    value = {"id": support, "permissions": ["users.suspend", IMPERSONATE]}
    assert (await client.mutate("updateRole", value, "", by=root))["errors"] == []
    assert await code(client, "{ users { totalCount } }", token) == "FORBIDDEN"
    assert await code(client, "{ me { email } }", token) is None
    # What only the user gains
    await client.mutate("updateUser", {"id": bob.id, "roleName": "ADMIN"}, "", by=root)
    assert await code(client, "{ auditEvents { totalCount } }", token) == "FORBIDDEN"
    # What is withdrawn from the user
    await client.mutate("updateUser", {"id": bob.id, "roleName": "USER"}, "", by=root)
    assert await code(client, suspend, token, id=root.id) == "FORBIDDEN"


async def test_the_scope_of_the_api_key_stays_in_force_calagopus_dropped_it(
    client: Client, root: Person, admin: Person, staff: Person, bob: Person
) -> None:
    robot = await key(client, admin, IMPERSONATE, "account.read", "sessions.delete")
    # A user with permissions beyond the scope is above the key
    assert await rejected(client, robot["secret"], staff.id) == ("NOT_ALLOWED", ["userId"])
    token = await impersonated(client, robot["secret"], bob)
    assert await code(client, "{ me { email } }", token) is None
    profile = 'mutation { updateProfile(input: {firstName: "X"}) { user { id } } }'
    assert await code(client, profile, token) == "FORBIDDEN"
    # As of now: the key loses a permission, and then the right to impersonate
    for permissions, document, found in (
        ([IMPERSONATE], "{ me { email } }", "FORBIDDEN"),
        (["account.read"], ME, "UNAUTHENTICATED"),
    ):
        await client.mutate("updateApiKey", {"id": robot["id"], "permissions": permissions}, "", by=admin)
        assert await code(client, document, token) == found


@pytest.mark.parametrize("way", ["deleted", "expired", "network"])
async def test_the_session_dies_no_later_and_reaches_no_wider_than_the_api_key(
    client: Client, admin: Person, bob: Person, way: str
) -> None:
    robot = await key(client, admin, IMPERSONATE, "account.read")
    token = await impersonated(client, robot["secret"], bob)
    assert await code(client, ME, token) is None
    if way == "deleted":
        await client.mutate("deleteApiKey", {"id": robot["id"]}, "", by=admin)
    elif way == "expired":
        await client.rows("UPDATE api_keys SET expires_at = now()")
    else:
        await client.rows("UPDATE api_keys SET allowed_ips = '{10.0.0.0/8}'")
    assert await code(client, ME, token) == ("FORBIDDEN" if way == "network" else "UNAUTHENTICATED")


async def test_what_is_made_in_the_session_has_the_bounds_of_the_api_key(
    client: Client, root: Person, admin: Person, staff: Person
) -> None:
    await role(client, root, staff, "users.create", name="maker")
    permissions = (IMPERSONATE, "users.create", "account.read")
    robot = await key(client, admin, *permissions, expiresAt="2999-01-01T00:00:00Z")
    token = await impersonated(client, robot["secret"], staff)
    payload = await client.mutate("createUser", {"username": "x1x", "password": NEW}, "user { id }", by=token)
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", ["password"])]


async def test_the_old_secret_of_a_rotated_key_creates_no_link(client: Client, admin: Person, bob: Person) -> None:
    robot = await key(client, admin, IMPERSONATE)
    await client.mutate("rotateApiKey", {"id": robot["id"], "graceSeconds": 600}, "", by=admin)
    payload = await client.mutate("createAutologinLink", {"userId": bob.id}, "url", by=robot["secret"])
    assert [error["message"] for error in payload["errors"]] == ["This secret was rotated. Use the new one."]


async def test_a_link_is_for_its_own_user_only(client: Client, admin: Person, alice: Person, bob: Person) -> None:
    token = await link(client, admin, bob)
    payload = await opened(client, token, by=alice)
    assert payload["user"] == {"id": bob.id}
    assert await client.data(ME, by=alice) == {"me": {"username": "alice"}}

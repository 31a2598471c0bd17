"""Sessions in which a person acts as a user: what they may do, and when they end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import PASSWORD, Client, Person, opened_client
from tests.objects import SSH_KEY
from tests.sessions import IMPERSONATE, SUPPORT, contents, impersonated, key, link, login, opened

ME = "{ me { username } }"
NEW = "a-quite-unusual-walrus-77"


async def role(client: Client, root: Person, person: Person, *permissions: str, name: str = "support") -> str:
    """Give a user a new role, and return its id."""
    value = {"name": name, "permissions": permissions}
    role_id = (await client.mutate("createRole", value, "role { id }", by=root))["role"]["id"]
    assert (await client.mutate("updateUser", {"id": person.id, "roleId": role_id}, "", by=root))["errors"] == []
    return str(role_id)


async def code(client: Client, document: str, by: str, **variables: Any) -> str | None:
    errors = (await client.execute(document, variables, by=by)).get("errors", [])
    return errors[0]["extensions"]["code"] if errors else None


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
    payload = await client.mutate("createAutologinLink", {"userId": staff.id}, "url", by=robot["secret"])
    assert [(error["code"], error["field"]) for error in payload["errors"]] == [("NOT_ALLOWED", ["userId"])]
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

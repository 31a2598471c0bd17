"""What is made with an API key does not outlive the key, and cannot do more than the key."""

from __future__ import annotations

from typing import Any

import pytest
from graphql import build_schema

from service.access.permissions import ACCOUNT, ADMIN
from service.schema import printed
from tests.conftest import PASSWORD, Client, Person
from tests.objects import SSH_KEY
from tests.sessions import contents, key

NEW = "a-quite-unusual-walrus-77"
STAFF = "00000000-0000-7000-8000-000000000002"
SERVER = ["control.console", "user.create", "user.update"]
LIMITS: dict[str, dict[str, Any]] = {
    "expires": {"expiresAt": "2999-01-01T00:00:00Z"},
    "network": {"allowedIps": ["192.0.2.0/24"]},
}
# Every mutation that makes something that can act later, or that changes how strong it is, with an input that reaches
# beyond a key that is limited
BEYOND: dict[str, tuple[str, dict[str, Any]]] = {
    "addSshKey": ("AddSshKeyInput", {"name": "l", "publicKey": SSH_KEY}),
    "changeEmail": ("ChangeEmailInput", {"email": "new@roster.test", "password": PASSWORD}),
    "enableTwoFactor": ("EnableTwoFactorInput", {"password": PASSWORD}),
    "finishPasskeyRegistration": ("FinishPasskeyRegistrationInput", {"name": "x", "credential": {}}),
    "createAccessToken": ("CreateAccessTokenInput", {}),
    "createApiKey": ("CreateApiKeyInput", {"name": "wider", "permissions": ["account.read"]}),
    "createPermissionPreset": ("CreatePermissionPresetInput", {"name": "x", "permissions": ["control.console"]}),
    "createRole": ("CreateRoleInput", {"name": "x", "permissions": ["users.read"]}),
    "createSubuser": ("CreateSubuserInput", {"serverId": "$server", "email": "b@b.test", "permissions": SERVER}),
    "createUser": ("CreateUserInput", {"username": "carol", "password": NEW}),
    "createUser role": ("CreateUserInput", {"username": "carol", "roleName": "STAFF"}),
    "reauthenticate": ("ReauthenticateInput", {"password": PASSWORD}),
    "setPassword": ("SetPasswordInput", {"userId": "$bob", "password": NEW}),
    "transferServer": ("TransferServerInput", {"id": "$server", "ownerId": "$bob"}),
    "setRoles": ("SetRolesInput", {"ids": "$bob", "roleId": STAFF}),
    "updateApiKey": ("UpdateApiKeyInput", {"id": "$key", "expiresAt": None, "allowedIps": None}),
    "updatePermissionPreset": ("UpdatePermissionPresetInput", {"id": "$preset", "permissions": ["control.console"]}),
    "updateRole": ("UpdateRoleInput", {"id": "$role", "permissions": ["users.read"]}),
    "updateSubuser": ("UpdateSubuserInput", {"id": "$subuser", "permissions": ["control.console"]}),
    "updateUser email": ("UpdateUserInput", {"id": "$bob", "email": "new@roster.test"}),
    "updateUser password": ("UpdateUserInput", {"id": "$bob", "password": NEW}),
    "updateUser role": ("UpdateUserInput", {"id": "$bob", "roleId": STAFF}),
}
# They need a second factor that is set up: test_two_factor_guards.py has the tests
WITH_FACTOR = {"confirmTwoFactor", "regenerateRecoveryCodes"}
# What they make is bound by the key for as long as it lives; test_autologin.py and test_api_key_scope.py have the tests
BOUND = {"createAutologinLink", "openAutologinLink", "rotateApiKey"}
# Mutations that make nothing that can act, or for which a token of a mail or a login is the proof, and not the key
OTHERS = {
    *("deletePasskey", "disableTwoFactor", "finishPasskeyLogin", "register", "renamePasskey"),
    *("requestEmailVerification", "requestPasswordReset", "resetPassword", "resetTwoFactor", "setFeature"),
    *("setGeoRule", "startPasskeyLogin", "startPasskeyRegistration", "undoEmailChange", "verifyEmail"),
    "verifyTwoFactor",
    *("assignDedicatedIp", "releaseDedicatedIp"),
    *("changePassword", "changePlan", "createPlan", "createServer", "deleteApiKey", "deletePlan", "deleteRole"),
    *("deleteServer", "deleteSshKey", "deleteSubuser", "deleteUser", "login", "logout", "logoutAll", "renameSshKey"),
    *("revokeSession", "suspendUser", "unsuspendUser", "updatePlan", "updateProfile", "updateSettings"),
    *("adjustBalance", "createWallet", "deletePermissionPreset", "updateServer"),
    *("cancelAccountDeletion", "deleteMyAccount", "exportMyData"),
    *("changePlans", "deleteUsers", "suspendUsers", "unsuspendUsers"),
}


def test_every_mutation_is_known_here() -> None:
    mutations = build_schema(printed()).mutation_type
    assert mutations is not None
    known = {name.split()[0] for name in BEYOND} | WITH_FACTOR | BOUND | OTHERS
    assert mutations.fields.keys() == known, "does it make something that can act? Then an API key bounds it"


async def limited(client: Client, admin: Person, bob: Person, **value: Any) -> tuple[str, dict[str, str]]:
    """Return the secret of a key with every permission that is limited, and the ids of objects."""
    server = await client.mutate("createServer", {"name": "s", "ownerId": admin.id}, "server { id }", by=admin)
    ids = {"$bob": bob.id, "$server": server["server"]["id"]}
    invitation = {"serverId": ids["$server"], "email": "bob@roster.test", "permissions": ["control.start"]}
    ids["$subuser"] = (await client.mutate("createSubuser", invitation, "subuser { id }", by=admin))["subuser"]["id"]
    preset = {"name": "guest", "permissions": ["websocket.connect"]}
    made = await client.mutate("createPermissionPreset", preset, "permissionPreset { id }", by=admin)
    ids["$preset"] = made["permissionPreset"]["id"]
    role = await client.mutate("createRole", {"name": "empty", "permissions": []}, "role { id }", by=admin)
    ids["$role"] = role["role"]["id"]
    robot = await key(client, admin, *sorted(ADMIN | ACCOUNT | {*SERVER}), **value)
    return robot["secret"], ids | {"$key": robot["id"]}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("field", BEYOND)
async def test_a_limited_key_makes_nothing_that_outlives_it_or_reaches_wider(
    client: Client, admin: Person, bob: Person, field: str, limit: str
) -> None:
    secret, ids = await limited(client, admin, bob, **LIMITS[limit])
    input_type, value = BEYOND[field]
    value = {name: ids.get(item, item) if isinstance(item, str) else item for name, item in value.items()}
    await client.data("{ me { id } }", by=secret)  # records the use of the key
    before = await contents(client)
    call = f"{field.split(maxsplit=1)[0]}(input: $input) {{ errors {{ code }} }}"
    answer = await client.data(f"mutation ($input: {input_type}!) {{ f: {call} }}", {"input": value}, by=secret)
    codes = {error["code"] for error in answer["f"]["errors"]}
    assert codes == {"NOT_ALLOWED"}
    assert await contents(client) == before


async def test_no_key_changes_the_address_of_its_own_user_and_so_takes_over_the_account(
    client: Client, admin: Person, bob: Person
) -> None:
    robot = await key(client, admin, "users.update", *sorted(ADMIN))
    for user, found in ((admin, [("NOT_ALLOWED", ["email"])]), (bob, [])):
        value = {"id": user.id, "email": f"new-{user.username}@roster.test"}
        payload = await client.mutate("updateUser", value, "user { id }", by=robot["secret"])
        assert [(error["code"], error["field"]) for error in payload["errors"]] == found
    # The address that the user has already
    value = {"id": admin.id, "email": "adam@roster.test", "firstName": "Adam"}
    assert (await client.mutate("updateUser", value, "user { id }", by=robot["secret"]))["errors"] == []

"""Inputs of generated mutations: each is rejected, or changes nothing when it is repeated."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.document_values import MISSING_ID, MISSING_VERSION, PAST, TOO_LONG, Known

# Every caller has this profile and these settings before the documents run
PROFILE = {
    "firstName": "Sam",
    "lastName": "Sample",
    "displayName": None,
    "dateOfBirth": "1990-02-28",
    "billingAddress": {"line1": "1 Main Street", "city": "Vienna", "state": None, "country": "CA"},
    "language": "de",
}
SETTINGS = {"theme": "dark", "panel": {"columns": 3, "names": ["a", "b"]}}
PATCHES: tuple[dict[str, Any], ...] = ({}, {"theme": "dark"}, {"panel": {"columns": 3}}, {"absent": None}, SETTINGS)
# Documents select these only to skip them: they end the session, send a mail, count, or return something random
SKIPPED = frozenset(
    {
        "cancelAccountDeletion",
        "createAccessToken",
        "exportMyData",
        "logout",
        "logoutAll",
        "requestEmailVerification",
        "startPasskeyLogin",
        "startPasskeyRegistration",
    }
)

NO_ADDRESS = {"sendEmail": True, "email": None}


def _rejections(known: Known, random: Random) -> dict[str, list[dict[str, Any]]]:
    """Return values, by mutation, each of which makes the mutation fail whatever the rest of its input."""

    def one(kind: str) -> str:
        return random.choice([*known.ids.get(kind, ())] or [MISSING_ID])

    missing = {"id": MISSING_ID}
    missing_user = {"ids": [MISSING_ID, MISSING_ID], "filter": None, "search": None}
    unnamed = {"ids": None, "filter": None, "search": None}
    return {
        "createUser": [{"username": "x"}, {"username": "alice"}, {"username": TOO_LONG}, NO_ADDRESS],
        "updateUser": [
            missing,
            {"id": one("User"), "version": MISSING_VERSION},
            {"id": one("User"), "firstName": TOO_LONG, "version": MISSING_VERSION},
            {"id": one("User"), "billingAddress": {"city": TOO_LONG, "country": "AT"}},
        ],
        "deleteUser": [missing],
        "suspendUser": [missing, {"id": one("User"), "until": PAST}, {"id": one("User"), "reason": "x" * 1025}],
        "unsuspendUser": [missing],
        "suspendUsers": [
            missing_user,
            unnamed,
            {"until": PAST},
            {"reason": "x" * 1025},
            {"ids": [one("User")], "filter": {}},
        ],
        "unsuspendUsers": [missing_user, unnamed, {"filter": {}, "expectedCount": None}, {"expectedCount": -1}],
        "deleteUsers": [missing_user, unnamed, {"filter": {"hasPlan": True}, "expectedCount": 4096}],
        "changePlans": [
            missing_user,
            unnamed,
            {"planId": MISSING_ID, "planName": None},
            {"planId": None, "planName": None},
        ],
        "setRoles": [
            missing_user,
            unnamed,
            {"roleId": None, "roleName": None, "isAdmin": None},
            {"roleName": TOO_LONG},
        ],
        "changePlan": [{"userId": MISSING_ID}, {"userId": one("User"), "planId": MISSING_ID, "planName": None}],
        "assignDedicatedIp": [
            {"userId": MISSING_ID},
            {"userId": one("User"), "address": "198.51.100.7"},
            {"userId": one("User"), "address": "127.0.0.1"},
        ],
        "releaseDedicatedIp": [{"address": "198.51.100.8"}],
        "createPlan": [{"name": TOO_LONG}, {"name": "small"}, {"name": ""}],
        "updatePlan": [missing, {"id": one("Plan"), "name": TOO_LONG}, {"id": one("Plan"), "name": None}],
        "deletePlan": [missing],
        "createRole": [{"name": TOO_LONG}, {"name": "", "requireTwoFactor": True}, {"name": "customer"}],
        "updateRole": [missing, {"id": one("Role"), "name": TOO_LONG}, {"id": one("Role"), "requireTwoFactor": None}],
        "deleteRole": [missing],
        # A wrong login that is counted has an event
        "login": [{"login": TOO_LONG * 2}, {"login": "", "password": ""}],
        "revokeSession": [missing],
        "setPassword": [{"userId": MISSING_ID}, {"userId": one("User"), "password": "short"}],
        "changePassword": [{"newPassword": "short"}],
        "createAccessToken": [{"audience": TOO_LONG}],
        "createAutologinLink": [{"userId": MISSING_ID}, {"userId": one("User"), "reason": "x" * 1025}],
        "openAutologinLink": [{"token": ""}, {"token": TOO_LONG}],
        "reauthenticate": [{"password": ""}],
        "deleteMyAccount": [{"password": TOO_LONG * 2}, {"password": ""}],
        "createApiKey": [{"name": TOO_LONG}, {"expiresAt": PAST}, {"name": "", "permissions": ["users.delete"]}],
        "updateApiKey": [missing, {"id": one("ApiKey"), "name": TOO_LONG}, {"id": one("ApiKey"), "expiresAt": PAST}],
        "rotateApiKey": [missing, {"id": one("ApiKey"), "graceSeconds": -1}],
        "deleteApiKey": [missing],
        "addSshKey": [{"publicKey": "nonsense"}, {"name": TOO_LONG}],
        "renameSshKey": [missing, {"id": one("SshKey"), "name": TOO_LONG}],
        "deleteSshKey": [missing],
        "createServer": [{"ownerId": MISSING_ID}, {"name": TOO_LONG}, {"name": ""}],
        "updateServer": [missing, {"id": one("Server"), "name": TOO_LONG}, {"id": one("Server"), "name": None}],
        "transferServer": [missing, {"id": one("Server"), "ownerId": MISSING_ID}],
        "deleteServer": [missing],
        "createPermissionPreset": [{"name": TOO_LONG}, {"permissions": []}, {"permissions": ["users.read"]}],
        "updatePermissionPreset": [missing, {"id": one("PermissionPreset"), "name": TOO_LONG}],
        "deletePermissionPreset": [missing],
        "createSubuser": [
            {"serverId": MISSING_ID},
            {"email": "nonsense"},
            {"onUnknownEmail": "FAIL", "email": "a@b.c"},
        ],
        "updateSubuser": [missing, {"id": one("Subuser"), "until": PAST}],
        "deleteSubuser": [missing],
        # Rejected before an attempt is counted, which the next document would notice
        "enableTwoFactor": [{"password": TOO_LONG * 2}, {"password": ""}],
        "confirmTwoFactor": [{"code": TOO_LONG}, {"code": ""}],
        "disableTwoFactor": [{"code": TOO_LONG}, {"password": ""}],
        "regenerateRecoveryCodes": [{"code": TOO_LONG}, {"password": ""}],
        "resetTwoFactor": [missing],
        "verifyTwoFactor": [{"challenge": TOO_LONG}, {"code": ""}],
        "finishPasskeyRegistration": [{"name": TOO_LONG}, {"credential": {}}],
        "renamePasskey": [missing, {"id": one("Passkey"), "name": TOO_LONG}],
        "deletePasskey": [missing],
        "finishPasskeyLogin": [{"credential": {}}, {"twoFactorChallenge": TOO_LONG}],
        "register": [{"email": TOO_LONG * 2}, {"password": ""}],
        "verifyEmail": [{"token": ""}, {"token": TOO_LONG}],
        "changeEmail": [{"email": TOO_LONG * 2, "password": ""}, {"password": ""}],
        "undoEmailChange": [{"token": ""}, {"token": TOO_LONG}],
        "requestPasswordReset": [{"email": "nonsense"}, {"email": TOO_LONG * 2}],
        "resetPassword": [{"token": ""}, {"token": TOO_LONG, "newPassword": ""}],
        "setFeature": [{"name": "unknown"}, {"name": TOO_LONG}],
        "setGeoRule": [{"minimumAge": -1}, {"minimumAge": 1000}],
        "createWallet": [{"name": TOO_LONG}, {"name": ""}],
        "adjustBalance": [{"userId": MISSING_ID}, {"amountSat": 0}, {"reason": ""}],
        "updateSettings": [{"patch": "text"}, {"patch": [1]}],
        "updateProfile": [{"version": MISSING_VERSION}, {"firstName": TOO_LONG}, {"username": "x"}],
    }


def mutation_input(name: str, given: dict[str, Any], known: Known, random: Random) -> dict[str, Any]:
    """Return an input of the mutation that changes nothing; `given` is a random one."""
    if name == "updateProfile" and random.random() < 0.6:
        return {field: value for field, value in PROFILE.items() if random.random() < 0.4}
    if name == "updateSettings" and random.random() < 0.7:
        return {"patch": random.choice(PATCHES)}
    return given | random.choice(_rejections(known, random)[name])

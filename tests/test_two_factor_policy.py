"""Roles that require a second factor: what works without one, for every credential, and at once."""

from __future__ import annotations

import asyncio
import random

import asyncpg
import pyotp
import pytest
from graphql import get_named_type, is_composite_type, is_required_argument

from tests.authenticator import Authenticator
from tests.conftest import PASSWORD, Client, Person
from tests.sdl import SDL, harmless
from tests.second_factors import (
    App,
    challenged,
    codes,
    confirm,
    enable,
    enabled,
    finish_login,
    forget_step,
    login_options,
    register,
    top,
    with_app,
    with_passkey,
    without_limits,
)
from tests.test_later_authority import wait_for_locks

REQUIRED = ["TWO_FACTOR_REQUIRED"]
EMAIL = "{ me { email } }"
# Every root field that a user who has to set up a second factor reaches; what is not here is TWO_FACTOR_REQUIRED
REACHED = {
    "Query": {
        *("me", "permissionCatalog", "plans", "registrationPolicy", "session"),  # public
    },
    "Mutation": {
        *("finishPasskeyLogin", "login", "openAutologinLink", "startPasskeyLogin", "verifyTwoFactor"),  # public
        *("register", "requestPasswordReset", "resetPassword", "undoEmailChange", "verifyEmail"),  # public
        *("confirmTwoFactor", "disableTwoFactor", "enableTwoFactor", "regenerateRecoveryCodes"),
        *("deletePasskey", "finishPasskeyRegistration", "renamePasskey", "startPasskeyRegistration"),
        *("logout", "logoutAll", "revokeSession"),
    },
}
ID = "00000000-0000-7000-8000-00000000ffff"


async def require_of(client: Client, root: Person, user: Person, *permissions: str) -> str:
    """Give a user a role that requires a second factor; return the id of the role."""
    value = {"name": "guarded", "permissions": permissions, "requireTwoFactor": True}
    created = await client.mutate("createRole", value, "role { id requireTwoFactor }", by=root)
    assert created["role"]["requireTwoFactor"] is True
    role_id = str(created["role"]["id"])
    assert (await client.mutate("updateUser", {"id": user.id, "roleId": role_id}, "", by=root))["errors"] == []
    return role_id


FIELDS = [(root, name) for root in REACHED for name in sorted(SDL.type_map[root].fields)]  # type: ignore[attr-defined]


async def reach(client: Client, kind: str, name: str, by: Person | str) -> list[str]:
    """Return the codes of the top-level errors of a root field, with the smallest input."""
    field = SDL.type_map[kind].fields[name]  # type: ignore[attr-defined]
    given = {key: argument.type for key, argument in field.args.items() if is_required_argument(argument)}
    types = ", ".join(f"${key}: {graphql_type}" for key, graphql_type in given.items())
    call = ", ".join(f"{key}: ${key}" for key in given)
    selection = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
    document = f"{kind.lower()} {f'({types})' if types else ''} {{ {name}{f'({call})' if call else ''}{selection} }}"
    values = {key: harmless(graphql_type) for key, graphql_type in given.items()}
    if name == "user":
        values = {"by": {"id": ID}}
    return top(await client.execute(document, values, by=by))


async def test_without_a_second_factor_only_its_set_up_and_signing_out_work_panel_1_1_3(
    client: Client, root: Person, alice: Person
) -> None:
    await require_of(client, root, alice, "users.read", "roles.read")
    reached: dict[str, set[str]] = {"Query": set(), "Mutation": set()}
    for kind, name in FIELDS:
        token = (await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token"))["token"]
        found = await reach(client, kind, name, token)
        assert found in ([], REQUIRED), name
        if not found:
            reached[kind].add(name)
    assert reached == REACHED


async def test_the_own_account_shows_what_everyone_may_see_and_the_second_factors(
    client: Client, root: Person, alice: Person
) -> None:
    await require_of(client, root, alice)
    fields = SDL.type_map["User"].fields  # type: ignore[attr-defined]
    shown = set()
    for name, field in fields.items():
        selection = " { __typename }" if is_composite_type(get_named_type(field.type)) else ""
        answer = await client.execute(f"{{ me {{ {name}{selection} }} }}", by=alice)
        assert top(answer) in ([], REQUIRED)
        if not top(answer):
            shown.add(name)
    public = {"avatarUrl", "createdAt", "displayName", "id", "twoFactorEnabled", "username"}
    assert shown == {*public, "passkeys"}


async def test_a_role_that_begins_to_require_it_stops_every_credential_at_once(
    client: Client, root: Person, alice: Person
) -> None:
    value = {"name": "later", "permissions": ["users.read"]}
    role_id = (await client.mutate("createRole", value, "role { id }", by=root))["role"]["id"]
    await client.mutate("updateUser", {"id": alice.id, "roleId": role_id}, "", by=root)
    value = {"name": "robot", "permissions": ["account.read", "users.read", "account.two-factor", "sessions.delete"]}
    key = (await client.mutate("createApiKey", value, "secret", by=alice))["secret"]
    other = (await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token"))["token"]
    for by in (alice.token, key, other):
        assert top(await client.execute(EMAIL, by=by)) == []
    change = {"id": role_id, "requireTwoFactor": True}
    assert (await client.mutate("updateRole", change, "role { requireTwoFactor }", by=root)) == {
        "role": {"requireTwoFactor": True},
        "errors": [],
    }
    for by in (alice.token, key, other):
        assert top(await client.execute(EMAIL, by=by)) == REQUIRED
        assert top(await client.execute("{ users { totalCount } }", by=by)) == REQUIRED
    # A key sets up no factor: it is used without a person
    for name in ("enableTwoFactor", "logout"):
        assert await reach(client, "Mutation", name, key) == REQUIRED
    login = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token")
    assert top(await client.execute(EMAIL, by=login["token"])) == REQUIRED
    app = await with_app(client, alice)
    assert app.codes
    for by in (alice.token, key, other, login["token"]):
        assert top(await client.execute(EMAIL, by=by)) == []
    await client.mutate("updateRole", {"id": role_id, "requireTwoFactor": False}, "", by=root)
    assert await enabled(client, "alice"), "the factor stays"


async def test_it_applies_inside_a_batch_and_a_document(client: Client, root: Person, alice: Person) -> None:
    permissions = ["roles.read", "roles.update", "users.read"]
    value = {"name": "later", "permissions": permissions}
    role_id = (await client.mutate("createRole", value, "role { id }", by=root))["role"]["id"]
    await client.mutate("updateUser", {"id": alice.id, "roleId": role_id}, "", by=root)
    change = f'updateRole(input: {{id: "{role_id}", requireTwoFactor: true}}) {{ errors {{ code }} }}'
    headers = {"authorization": f"Bearer {alice.token}"}
    operations = [{"query": query} for query in (EMAIL, f"mutation {{ {change} }}", EMAIL)]
    answers = (await client.http.post("/graphql", json=operations, headers=headers)).json()
    assert [top(answer) for answer in answers] == [[], [], REQUIRED]
    await client.mutate("updateRole", {"id": role_id, "requireTwoFactor": False}, "", by=root)
    both = f"mutation {{ a: {change} b: updateSettings(input: {{patch: {{a: 1}}}}) {{ errors {{ code }} }} }}"
    answer = await client.execute(both, by=alice)
    assert (answer["data"], top(answer)) == ({"a": {"errors": []}, "b": None}, REQUIRED)


async def test_a_write_that_waits_while_the_role_changes_is_rolled_back(
    client: Client, root: Person, alice: Person, database_url: str
) -> None:
    value = {"name": "later", "permissions": ["users.read"]}
    role_id = (await client.mutate("createRole", value, "role { id }", by=root))["role"]["id"]
    await client.mutate("updateUser", {"id": alice.id, "roleId": role_id}, "", by=root)
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute("SELECT FROM users WHERE id = $1 FOR UPDATE", alice.id)
        document = 'mutation { updateProfile(input: {firstName: "Ghost"}) { user { id } } }'
        waiting = asyncio.create_task(client.execute(document, by=alice))
        await wait_for_locks(database_url, 1)
        await client.mutate("updateRole", {"id": role_id, "requireTwoFactor": True}, "", by=root)
    assert top(await waiting) == REQUIRED
    await other.close()
    assert await client.rows("SELECT 1 FROM users WHERE first_name = 'Ghost'") == []


async def test_a_role_with_the_policy_may_be_given_to_oneself(client: Client, admin: Person) -> None:
    value = {"name": "guarded", "permissions": ["users.read", "users.update", "roles.read"], "requireTwoFactor": True}
    role_id = (await client.mutate("createRole", value, "role { id }", by=admin))["role"]["id"]
    assert (await client.mutate("updateUser", {"id": admin.id, "roleId": role_id}, "", by=admin))["errors"] == []
    assert top(await client.execute("{ roles { name } }", by=admin)) == REQUIRED
    await with_app(client, admin)
    assert top(await client.execute("{ roles { name } }", by=admin)) == []


async def test_the_last_factor_cannot_be_removed_while_the_role_requires_one(
    client: Client, root: Person, alice: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_limits(monkeypatch)
    await require_of(client, root, alice)
    app = await with_app(client, alice)
    disable = {"password": PASSWORD, "code": app.codes[0]}
    assert codes(await client.mutate("disableTwoFactor", disable, "", by=alice)) == [("NOT_ALLOWED", None)]
    assert len(await client.rows("SELECT 1 FROM recovery_codes")) == 10, "the code was not used"
    await with_passkey(client, alice)
    assert (await client.mutate("disableTwoFactor", disable, "user { twoFactorEnabled }", by=alice)) == {
        "user": {"twoFactorEnabled": True},
        "errors": [],
    }
    [row] = await client.rows("SELECT id FROM passkeys")
    assert codes(await client.mutate("deletePasskey", {"id": row["id"]}, "", by=alice)) == [("NOT_ALLOWED", ["id"])]
    assert codes(await client.mutate("deletePasskey", {"id": row["id"]}, "", by=root)) == [("NOT_ALLOWED", ["id"])]
    await with_passkey(client, alice, "second")
    assert (await client.mutate("deletePasskey", {"id": row["id"]}, "", by=alice))["errors"] == []


async def test_a_reset_makes_the_user_set_up_a_factor_again(client: Client, root: Person, alice: Person) -> None:
    await require_of(client, root, alice)
    await with_app(client, alice)
    reset = "mutation ($id: ID!) { resetTwoFactor(input: {id: $id}) { errors { code } } }"
    assert await client.data(reset, {"id": alice.id}, by=root) == {"resetTwoFactor": {"errors": []}}
    token = (await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token"))["token"]
    assert top(await client.execute(EMAIL, by=token)) == REQUIRED
    assert (await register(client, token, Authenticator()))["errors"] == []
    assert top(await client.execute(EMAIL, by=token)) == []


async def test_a_built_in_role_is_not_changed(client: Client, root: Person) -> None:
    roles = (await client.data("{ roles { id builtin requireTwoFactor } }", by=root))["roles"]
    for role in roles:
        assert role["requireTwoFactor"] is False
        value = {"id": role["id"], "requireTwoFactor": True}
        assert codes(await client.mutate("updateRole", value, "", by=root)) == [("NOT_ALLOWED", ["id"])]


@pytest.mark.parametrize("seed", range(3))
async def test_whether_login_requires_a_factor_follows_from_the_factors_cve_2024_45042(
    client: Client, alice: Person, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Take random steps, and compare with a model after each."""
    without_limits(monkeypatch)
    choose = random.Random(seed)  # noqa: S311  (not a secret)
    app: App | None = None
    devices: dict[str, Authenticator] = {}
    for number in range(14):
        step = choose.choice(["app", "app", "disable", "passkey", "delete", "abandon", "rejected"])
        await forget_step(client)
        if step == "app":
            made = await enable(client, alice, **({} if app is None else {"code": app.code()}))
            assert made["errors"] == []
            confirmed = await confirm(client, alice, pyotp.TOTP(made["secret"]).now())
            app = App(made["secret"], confirmed["recoveryCodes"])
        elif step == "abandon":
            await enable(client, alice, **({} if app is None else {"code": app.code()}))
        elif step == "disable":
            value = {"password": PASSWORD, "code": "000000" if app is None else app.code()}
            payload = await client.mutate("disableTwoFactor", value, "", by=alice)
            assert codes(payload) == ([("ALREADY_DONE", None)] if app is None else [])
            app = None
        elif step == "passkey":
            devices[f"device {number}"] = await with_passkey(client, alice, f"device {number}")
        elif step == "delete" and devices:
            name = choose.choice(sorted(devices))
            del devices[name]
            [row] = await client.rows("SELECT id FROM passkeys WHERE name = $1", name)
            assert (await client.mutate("deletePasskey", {"id": row["id"]}, "", by=alice))["errors"] == []
        else:
            assert (await confirm(client, alice, "not-a-code"))["errors"] != []
        has_factor = app is not None or bool(devices)
        assert await enabled(client, "alice") is has_factor, (number, step)
        assert bool(await client.rows("SELECT 1 FROM recovery_codes")) is has_factor
        login = await client.mutate("login", {"login": "alice", "password": PASSWORD}, "token twoFactorChallenge")
        assert (login["token"] is None, login["twoFactorChallenge"] is not None) == (has_factor, has_factor)
        if devices:
            device = choose.choice(sorted(devices.items()))[1]
            challenge = await challenged(client, "alice")
            options = await login_options(client, challenge)
            assert len(options["allowCredentials"]) == len(devices)
            assert (await finish_login(client, device.get(options), challenge))["errors"] == []

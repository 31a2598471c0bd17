"""The deletion of one's own account: who may do it, what is still possible afterwards, and how it is undone."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from service.settings import Settings
from tests.conftest import PASSWORD, Client, Person
from tests.leaving import CANCEL, DELETE, EXPORT, cancel, delete, deleted, make_due
from tests.links import last_mail, mails, use
from tests.second_factors import codes, top
from tests.sessions import aged, code, contents, impersonated, key, link, login, opened
from tests.test_two_factor_policy import FIELDS, reach

# Every root field that a user reaches who has deleted the account; what is not here is DELETION_SCHEDULED
REACHED = {
    "Query": {
        *("me", "permissionCatalog", "plans", "registrationPolicy", "session"),  # public
        *("node", "nodes", "user"),  # only the own account is found
    },
    "Mutation": {
        *("finishPasskeyLogin", "login", "openAutologinLink", "startPasskeyLogin", "verifyTwoFactor"),  # public
        *("register", "requestPasswordReset", "resetPassword", "undoEmailChange", "verifyEmail"),  # public
        *("cancelAccountDeletion", "deleteMyAccount", "exportMyData", "reauthenticate"),
        *("logout", "logoutAll", "revokeSession"),
    },
}


async def test_an_account_ends_at_once_and_has_two_weeks_to_come_back(client: Client, alice: Person) -> None:
    robot = await key(client, alice, "account.read", "account.delete")
    other, _ = await login(client, "alice")
    before = dt.datetime.now(dt.UTC)
    payload = await delete(client, alice)
    assert payload["errors"] == []
    when = dt.datetime.fromisoformat(payload["deletionScheduledAt"])
    assert dt.timedelta(days=14) <= when - before < dt.timedelta(days=14, minutes=1)
    for token in (alice.token, other):
        assert await code(client, "{ me { id } }", token) == "UNAUTHENTICATED"
    assert await code(client, "{ me { id } }", robot["secret"]) == "DELETION_SCHEDULED"
    mail = await last_mail(client, "alice@roster.test")
    assert mail.template == "account-deletion"
    assert dt.datetime.fromisoformat(mail.values["due"]) == when
    token, _ = await login(client, "alice")
    assert await client.data("{ me { username email deletionScheduledAt } }", by=token) == {
        "me": {
            "username": "alice",
            "email": "alice@roster.test",
            "deletionScheduledAt": payload["deletionScheduledAt"],
        }
    }
    assert await cancel(client, token) == []
    assert (await last_mail(client, "alice@roster.test")).template == "account-kept"
    assert await code(client, "{ me { sessions { totalCount } } }", token) is None
    assert await code(client, "{ me { email } }", robot["secret"]) is None, "its keys are valid again"
    assert await code(client, "{ me { id } }", alice.token) == "UNAUTHENTICATED", "sessions stay ended"
    names = [row["event"] for row in await client.rows("SELECT event FROM audit_events ORDER BY id DESC LIMIT 3")]
    assert names == ["user.cancel-deletion", "session.create", "user.schedule-deletion"]


async def test_administrators_see_it_and_other_people_do_not(
    client: Client, staff: Person, alice: Person, bob: Person
) -> None:
    await deleted(client, alice)
    document = f'{{ user(by: {{id: "{alice.id}"}}) {{ deletionScheduledAt }} }}'
    assert (await client.data(document, by=staff))["user"]["deletionScheduledAt"] is not None
    assert (await client.data(document, by=bob))["user"] is None


async def test_a_deleted_account_can_only_be_read_and_kept(client: Client, alice: Person) -> None:
    await deleted(client, alice)
    for kind, name in FIELDS:
        if name in {"cancelAccountDeletion", "deleteMyAccount"}:  # other tests run them
            continue
        token, _ = await login(client, "alice")
        found = await reach(client, kind, name, token)
        if name in REACHED[kind]:
            assert "DELETION_SCHEDULED" not in found, name
        else:
            assert found == ["DELETION_SCHEDULED"], name


async def test_its_lists_are_denied_once(client: Client, alice: Person) -> None:
    await deleted(client, alice)
    token, _ = await login(client, "alice")
    answer = await client.execute("{ me { email apiKeys { totalCount } sshKeys { totalCount } } }", by=token)
    assert top(answer) == ["DELETION_SCHEDULED", "DELETION_SCHEDULED"]
    assert answer["data"]["me"] == {"email": "alice@roster.test", "apiKeys": None, "sshKeys": None}


async def test_an_old_session_must_prove_again_who_it_is(client: Client, alice: Person) -> None:
    token = await aged(client, "alice")
    before = await contents(client)
    assert await code(client, DELETE, token) == "REAUTH_REQUIRED"
    assert await code(client, EXPORT, token) == "REAUTH_REQUIRED"
    assert await contents(client) == before


async def test_a_person_who_acts_as_the_user_can_neither_delete_export_nor_cancel(
    client: Client, root: Person, alice: Person
) -> None:
    token = await impersonated(client, root, alice)
    for document in (DELETE, EXPORT, CANCEL):
        assert await code(client, document, token) == "FORBIDDEN", document
    await deleted(client, alice)
    assert await code(client, "{ me { id } }", token) == "UNAUTHENTICATED", "it ended with the others"
    again = await impersonated(client, root, alice)
    assert await code(client, CANCEL, again) == "DELETION_SCHEDULED"
    assert len(await client.rows("SELECT FROM users WHERE deletion_scheduled_at IS NOT NULL")) == 1
    assert await code(client, 'mutation { updateProfile(input: {firstName: "X"}) { user { id } } }', again) is not None


async def test_a_link_from_before_the_deletion_is_dead(client: Client, root: Person, alice: Person) -> None:
    token = await link(client, root, alice)
    await deleted(client, alice)
    assert codes(await opened(client, token)) == [("EXPIRED", ["token"])]


async def test_who_has_deleted_the_account_acts_as_no_other_user(client: Client, admin: Person, alice: Person) -> None:
    robot = await key(client, admin, "users.impersonate", "users.read")
    by_key, by_session = await impersonated(client, robot["secret"], alice), await impersonated(client, admin, alice)
    unused = await link(client, robot["secret"], alice)
    await deleted(client, admin)
    for token in (by_key, by_session):
        assert await code(client, "{ me { id } }", token) == "UNAUTHENTICATED"
    assert codes(await opened(client, unused)) == [("EXPIRED", ["token"])]


async def test_an_owner_of_servers_must_part_with_them_first(client: Client, root: Person, alice: Person) -> None:
    server = await client.mutate("createServer", {"name": "web", "ownerId": alice.id}, "server { id }", by=root)
    assert codes(await delete(client, alice)) == [("IN_USE", None)]
    await client.mutate("deleteServer", {"id": server["server"]["id"]}, "", by=root)
    await deleted(client, alice)


async def test_the_last_root_stays_and_one_who_leaves_does_not_count(
    client: Client, root: Person, alice: Person
) -> None:
    assert codes(await delete(client, root)) == [("NOT_ALLOWED", None)]
    await client.mutate("updateUser", {"id": alice.id, "roleName": "ROOT"}, "", by=root)
    await deleted(client, alice)
    assert codes(await delete(client, root)) == [("NOT_ALLOWED", None)], "the other one leaves"


async def test_of_two_roots_who_leave_at_once_one_stays(client: Client, root: Person, alice: Person) -> None:
    await client.mutate("updateUser", {"id": alice.id, "roleName": "ROOT"}, "", by=root)
    found = await asyncio.gather(delete(client, root), delete(client, alice))
    assert sorted(len(each["errors"]) for each in found) == [0, 1]


async def test_a_second_request_changes_nothing(client: Client, alice: Person) -> None:
    await deleted(client, alice)
    token, _ = await login(client, "alice")
    before = await contents(client)
    assert codes(await delete(client, token)) == [("ALREADY_DONE", None)]
    assert await contents(client) == before


async def test_two_requests_at_once_schedule_it_once(client: Client, alice: Person) -> None:
    other, _ = await login(client, "alice")
    await asyncio.gather(*(client.execute(DELETE, by=token) for token in (alice.token, other) * 3))
    assert len(await client.rows("SELECT FROM audit_events WHERE event = 'user.schedule-deletion'")) == 1
    assert len([mail for mail in await mails(client) if mail.template == "account-deletion"]) == 1


async def test_there_is_nothing_to_cancel_in_an_account_that_stays(client: Client, alice: Person) -> None:
    before = await contents(client)
    assert await cancel(client, alice) == ["ALREADY_DONE"]
    assert await contents(client) == before


async def test_a_login_at_the_same_moment_gives_no_more_than_one_afterwards(client: Client, alice: Person) -> None:
    value = {"login": "alice", "password": PASSWORD}
    results = await asyncio.gather(
        delete(client, alice), *(client.mutate("login", value, "token") for _ in range(6)), return_exceptions=True
    )
    assert isinstance(results[0], dict)
    assert results[0]["errors"] == []
    tokens = [each["token"] for each in results[1:] if isinstance(each, dict) and each["token"]]
    assert tokens
    for token in tokens:
        found = await code(client, 'mutation { createApiKey(input: {name: "x"}) { secret } }', token)
        assert found in {"UNAUTHENTICATED", "DELETION_SCHEDULED"}


async def test_a_forgotten_password_does_not_prevent_the_undoing(client: Client, alice: Person) -> None:
    await deleted(client, alice)
    await client.mutate("requestPasswordReset", {"email": "alice@roster.test"}, "")
    token = (await last_mail(client, "alice@roster.test")).token
    payload = await client.mutate("resetPassword", {"token": token, "newPassword": "walrus-of-a-new-kind-7"}, "")
    assert payload["errors"] == []
    login = await client.mutate("login", {"login": "alice", "password": "walrus-of-a-new-kind-7"}, "token")
    assert await cancel(client, login["token"]) == []


async def test_a_new_address_cannot_be_confirmed_after_the_deletion(client: Client, alice: Person) -> None:
    value = {"email": "new@roster.test", "password": PASSWORD}
    await client.mutate("changeEmail", value, "", by=alice)
    token = (await last_mail(client, "new@roster.test")).token
    await deleted(client, alice)
    assert await use(client, "verifyEmail", token) == [("EXPIRED", ["token"])]


async def test_a_role_that_requires_a_factor_keeps_the_account_unreadable(
    client: Client, root: Person, alice: Person
) -> None:
    await deleted(client, alice)
    role = {"name": "guarded", "permissions": [], "requireTwoFactor": True}
    made = await client.mutate("createRole", role, "role { id }", by=root)
    await client.mutate("updateUser", {"id": alice.id, "roleId": made["role"]["id"]}, "", by=root)
    value = {"login": "alice", "password": PASSWORD}
    token = str((await client.mutate("login", value, "token"))["token"])
    assert await code(client, "{ me { email } }", token) == "DELETION_SCHEDULED"
    found = await client.data("mutation { cancelAccountDeletion { errors { code } } }", by=token)
    assert found == {"cancelAccountDeletion": {"errors": []}}
    assert await code(client, "{ me { email } }", token) == "TWO_FACTOR_REQUIRED"


async def test_until_it_is_erased_a_due_account_can_still_be_kept(client: Client, alice: Person) -> None:
    await deleted(client, alice)
    await make_due(client)
    token, _ = await login(client, "alice")
    assert await cancel(client, token) == []


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> Settings:
    """Return the settings, with the days that a test sets."""
    days = getattr(request, "param", None)
    return Settings() if days is None else Settings(deletion_grace_days=days)


@pytest.mark.parametrize("settings", [0, 3, 365], indirect=True)
async def test_the_operator_sets_the_days(client: Client, alice: Person, settings: Settings) -> None:
    when = dt.datetime.fromisoformat((await delete(client, alice))["deletionScheduledAt"])
    found = when - dt.datetime.now(dt.UTC)
    assert abs(found - dt.timedelta(days=settings.deletion_grace_days)) < dt.timedelta(minutes=1)

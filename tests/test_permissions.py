"""Does the catalogue hold the permissions that the contract and the replaced panels use?"""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from service.permissions import (
    ACCOUNT,
    ADMIN,
    ALIASES,
    CATALOGUE,
    NAMES,
    SERVER,
    PermissionInfo,
    PermissionKind,
    canonical,
)


def dotted(table: str) -> set[str]:
    """The names of a table whose lines read `resource: action action`."""
    lines = (line.split(": ") for line in table.strip().splitlines())
    return {f"{resource.strip()}.{action}" for resource, actions in lines for action in actions.split()}


# The names in the contract's @access directives. They are API: a role or key that holds one must keep its meaning.
CONTRACT_ADMIN = dotted("""
    audit: read
    ips: assign read
    plans: create delete update
    roles: create delete read update
    servers: create delete read update
    settings: read update
    users: billing create credentials delete impersonate password plan read sessions suspend two-factor update
    wallets: adjust read
""")
CONTRACT_ACCOUNT = dotted("""
    account: email password read two-factor update
    activity: read
    api-keys: create delete read update
    servers: read
    sessions: delete read
    ssh-keys: create delete read update
    wallets: create read
""")

# Pterodactyl's subuser permissions, app/Models/Permission.php.
PTERODACTYL = dotted("""
    activity: read
    allocation: create delete read update
    backup: create delete download read restore
    control: console restart start stop
    database: create delete read update view_password
    file: archive create delete read read-content sftp update
    schedule: create delete read update
    settings: reinstall rename
    startup: docker-image read update
    user: create delete read update
    websocket: connect
""")


def names_of(kind: PermissionKind) -> list[str]:
    return [info.name for info in CATALOGUE if info.kind is kind]


def test_the_admin_permissions_are_those_of_the_contract() -> None:
    assert ADMIN == CONTRACT_ADMIN


def test_the_account_permissions_are_those_of_the_contract() -> None:
    assert ACCOUNT == CONTRACT_ACCOUNT


def test_the_server_permissions_are_the_forty_of_pterodactyl() -> None:
    assert SERVER == PTERODACTYL
    assert len(SERVER) == 40


@pytest.mark.parametrize("kind", PermissionKind)
def test_a_kind_lists_each_of_its_names_once_in_alphabetical_order(kind: PermissionKind) -> None:
    assert names_of(kind) == sorted(set(names_of(kind)))


def test_the_catalogue_lists_every_name_of_the_three_sets() -> None:
    assert set(names_of(PermissionKind.ADMIN)) == ADMIN
    assert set(names_of(PermissionKind.ACCOUNT)) == ACCOUNT
    assert set(names_of(PermissionKind.SERVER)) == SERVER
    assert {info.name for info in CATALOGUE} == NAMES


def test_the_kinds_follow_each_other_without_mixing() -> None:
    changes = [(a.kind, b.kind) for a, b in pairwise(CATALOGUE) if a.kind is not b.kind]
    assert changes == [
        (PermissionKind.ADMIN, PermissionKind.ACCOUNT),
        (PermissionKind.ACCOUNT, PermissionKind.SERVER),
    ]


def test_a_name_that_two_kinds_share_says_something_else_in_each() -> None:
    shared = (ADMIN & ACCOUNT) | (ACCOUNT & SERVER) | (ADMIN & SERVER)
    assert shared == {"activity.read", "servers.read", "wallets.read"}
    for name in shared:
        described = [info.description for info in CATALOGUE if info.name == name]
        assert len(described) == len(set(described)) == 2


@pytest.mark.parametrize("info", CATALOGUE, ids=lambda info: f"{info.kind.name}-{info.name}")
def test_an_entry_is_worded_for_people(info: PermissionInfo) -> None:
    assert re.fullmatch(r"[A-Z][^.]{8,}[^. ]", info.description)
    assert re.fullmatch(r"[A-Z]\w+( \w+)?", info.group)


def test_an_alias_never_hides_a_name_of_the_catalogue() -> None:
    assert not ALIASES.keys() & NAMES


def test_an_alias_leads_to_a_server_permission() -> None:
    assert set(ALIASES.values()) <= SERVER


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("users.read", "users.read"),
        ("user.read", "user.read"),
        ("subusers.read", "user.read"),
        ("control.read-console", "websocket.connect"),
        ("databases.read-password", "database.view_password"),
        ("settings.install", "settings.reinstall"),
        ("files.read-content", "file.read-content"),
    ],
)
def test_a_known_permission_has_a_canonical_name(given: str, expected: str) -> None:
    assert canonical(given) == expected


@pytest.mark.parametrize(
    "name",
    # Rights of Calagopus that no right here equals, a misspelling of a known panel manual, and near misses.
    [
        "backups.update",
        "databases.recreate",
        "files.query-raw",
        "startup.command",
        "activity.read-ip",
        "file.write",
        "Users.Read",
        "users.read ",
        "users.*",
        "*",
        "",
    ],
)
def test_an_unknown_permission_has_no_canonical_name(name: str) -> None:
    assert canonical(name) is None
